"""What a batch of sessions remembers, and the two observations handed out in turn."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simrec.envs.users import has_plain_factors
from simrec.envs.world import World

BLOCK = 16  # rows of vectors and topics are padded with zeros to a multiple of this
N_MARKS = 1024  # marks that say which items a session may have seen, at least
SLIDES = 64  # steps for which a history's room has space, before it is written from its beginning


def padded(n: int) -> int:
    """Return n rounded up to a multiple of BLOCK."""
    return -(-n // BLOCK) * BLOCK


def aligned(*shape: int) -> NDArray[np.float32]:
    """Return zeros that begin at a whole cache line, so that no block lies across two."""
    size = int(np.prod(shape))
    room = np.zeros(size + BLOCK, dtype=np.float32)
    first = (-room.ctypes.data % 64) // 4
    return room[first : first + size].reshape(shape)


@dataclass
class Shown:
    """What one step shows to the outside; two of these take turns, so nothing is copied.

    Histories lie in rooms that are longer than B * L. When each row should drop its n oldest
    entries, all rows begin n places later in the room instead: what one row drops is where the row
    before it puts its n newest, and nothing else has to move.
    """

    history_room: NDArray[np.int64]  # (B * L + more,)
    feedback_room: NDArray[np.float32]  # (B * L + more,)
    first: int  # where the first row begins in the rooms
    length: int  # L
    step: NDArray[np.int64]  # (B, 1) recommendations made so far
    reward: NDArray[np.float64]  # (B,)
    left: NDArray[np.bool_]  # (B,) the user left
    cut: NDArray[np.bool_]  # (B,) the horizon cut the session off
    done: NDArray[np.bool_]  # (B,) one of both
    who: NDArray[np.int64]  # (B, 2) user row and episode being served
    watch: NDArray[np.float32]  # (B, k) share watched, or (0, k) where nobody asks
    # of the sessions that ended and were begun again, row after row as `ended` lists them:
    last_history: NDArray[np.int64]  # (B, L)
    last_feedback: NDArray[np.float32]  # (B, L)
    last_step: NDArray[np.int64]  # (B, 1)
    # of the same, in the rows of the batch:
    last_counts: NDArray[np.int64]  # (B, 3) user row, episode and steps; 0 where none ended
    last_sums: NDArray[np.float64]  # (B, 2) clicks and reward; 0 where none ended
    ended: NDArray[np.int64]  # (1 + B,) how many sessions ended, then their rows

    history: NDArray[np.int64] = field(init=False)  # (B, L) view, latest last, -1 = empty
    feedback: NDArray[np.float32] = field(init=False)  # (B, L) view, 1 liked or clicked
    #: The views by where their first row begins: there are few such places.
    _views: dict[int, tuple[NDArray[np.int64], NDArray[np.float32]]] = field(init=False)

    def __post_init__(self) -> None:
        """Look into the rooms."""
        self._views = {}
        self.move(self.first)

    def move(self, first: int) -> None:
        """Let the first row begin at a place of the rooms."""
        self.first = first
        if first not in self._views:
            part = slice(first, first + len(self.step) * self.length)
            self._views[first] = (
                self.history_room[part].reshape(-1, self.length),
                self.feedback_room[part].reshape(-1, self.length),
            )
        self.history, self.feedback = self._views[first]

    def after(self, n: int) -> int:
        """Return where the first row begins once each row drops its n oldest entries.

        It is 0 where the room is at its end: then every row must be written anew.
        """
        following = self.first + n
        end = following + len(self.step) * self.length
        return following if end <= len(self.history_room) else 0

    def __getstate__(self) -> dict[str, Any]:
        """Return everything but the views."""
        views = ("history", "feedback", "_views")
        return {name: part for name, part in vars(self).items() if name not in views}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take a pickled state and look into its rooms again."""
        self.__dict__.update(state)
        self.__post_init__()

    @classmethod
    def empty(
        cls, batch: int, length: int, slate_size: int, *, signals: bool, again: bool
    ) -> "Shown":
        """Return room for a batch."""
        ends = batch if again else 0
        # one history alone is written faster than it is moved
        room = batch * length + (SLIDES * 2 * slate_size if batch > 1 else 0)
        return cls(
            np.full(room, -1, dtype=np.int64),
            np.zeros(room, dtype=np.float32),
            0,
            length,
            np.zeros((batch, 1), dtype=np.int64),
            np.zeros(batch),
            np.zeros(batch, dtype=np.bool_),
            np.zeros(batch, dtype=np.bool_),
            np.zeros(batch, dtype=np.bool_),
            np.zeros((batch, 2), dtype=np.int64),
            np.zeros((batch if signals else 0, slate_size), dtype=np.float32),
            np.full((ends, length), -1, dtype=np.int64),
            np.zeros((ends, length), dtype=np.float32),
            np.zeros((ends, 1), dtype=np.int64),
            np.zeros((ends, 3), dtype=np.int64),
            np.zeros((ends, 2)),
            np.zeros(1 + batch, dtype=np.int64),
        )


@dataclass
class Memory:
    """The state of B sessions; parts that the rules do not use have no rows.

    A session's record is a tape of codes, twice an item plus 1 if it was liked or clicked: 16 +
    T * k times -2, the start history (H), what was shown, and 16 places into which a block may run
    over. After t steps the visible history is the L = H + T * k places that start at 16 + t * k.
    """

    counts: NDArray[np.int64]  # (4, B) step, streak of bad steps, user row, episode
    sums: NDArray[np.float64]  # (3, B) clicks, reward and effort of the session
    keys: NDArray[np.uint64]  # (B,) address of the session's luck
    record: NDArray[np.int32]  # (B, 32 + H + 2Tk) the tape
    ring: NDArray[np.int32]  # (w, B) themes of the last w items, where k < w; for the kernel
    lately: NDArray[np.float32]  # (B, G') sum of the topics of the last w items; G' = G padded
    sated: NDArray[np.float32]  # (B, G') satiation by topic
    seen: NDArray[np.float32]  # (B, G') sum of the topics shown in the session
    effect: NDArray[np.float32]  # (B,) of FactorUsers
    vector: NDArray[np.float32]  # (B, D') of FactorUsers, as drifted; D' = D padded
    reach: NDArray[np.float32]  # (B,) length of the vector at the start
    marks: NDArray[np.uint64]  # (B, n_words) bits of items that may have been seen, for the kernel

    @classmethod
    def empty(cls, world: World, batch: int, slate_size: int) -> "Memory":
        """Return room for a batch."""
        rules, topics = world.rules, padded(world.topics.shape[1])
        shown = rules.horizon * slate_size
        tape = (batch, BLOCK + world.start_items.shape[1] + 2 * shown + BLOCK)
        window = min(rules.window, shown)
        words = n_words(world.n_items, world.start_items.shape[1] + shown)
        users = world.users
        own, width = (batch, users.user_vectors.shape[1]) if has_plain_factors(users) else (0, 0)

        return cls(
            np.zeros((4, batch), dtype=np.int64),
            np.zeros((3, batch)),
            np.zeros(batch, dtype=np.uint64),
            np.full(tape, -2, dtype=np.int32),
            np.zeros((window if slate_size < window else 0, own), dtype=np.int32),
            aligned(own, topics),
            aligned(batch if rules.satiation else 0, topics),
            aligned(batch if rules.novelty else 0, topics),
            aligned(own),
            aligned(own, padded(width)),
            aligned(own),
            np.zeros((batch, words), dtype=np.uint64),
        )


def n_words(n_items: int, length: int) -> int:
    """Return how many words of 64 marks a session has, a power of two.

    Each item has a mark of its own, unless there are N_MARKS items or more: then it leaves two, and
    there are about ten marks for every item of a history of `length`.
    """
    marks = N_MARKS if n_items < N_MARKS else max(8 * length, N_MARKS)
    return int(2 ** np.ceil(np.log2(marks / 64)))


def mark(
    marks: NDArray[np.uint64], rows: NDArray[np.int64], items: NDArray[np.int64], n_items: int
) -> None:
    """Set the marks of items (n, H) in batch rows (n,), as the kernel does."""
    words, bits = items >> 6, np.uint64(1) << (items & 63).astype(np.uint64)
    if n_items >= N_MARKS:
        x = items.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        words = (x >> np.uint64(32)).astype(np.int64)
        first, second = (x >> np.uint64(shift) & np.uint64(63) for shift in (58, 52))
        bits = np.uint64(1) << first | np.uint64(1) << second
    np.bitwise_or.at(marks, (rows[:, None], words & marks.shape[1] - 1), bits)
