"""What a batch of sessions remembers, and the two observations handed out in turn."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simrec.envs.users import has_plain_factors
from simrec.envs.world import World

BLOCK = 16  # rows of vectors and topics are padded with zeros to a multiple of this


def padded(n: int) -> int:
    """Return n rounded up to a multiple of BLOCK."""
    return -(-n // BLOCK) * BLOCK


@dataclass
class Shown:
    """What one step shows to the outside; two of these take turns, so nothing is copied."""

    history: NDArray[np.int64]  # (B, L) latest last, -1 = empty
    feedback: NDArray[np.float32]  # (B, L) 1 liked or clicked
    step: NDArray[np.int64]  # (B, 1) recommendations made so far
    reward: NDArray[np.float64]  # (B,)
    left: NDArray[np.bool_]  # (B,) the user left
    cut: NDArray[np.bool_]  # (B,) the horizon cut the session off
    who: NDArray[np.int64]  # (B, 2) user row and episode being served
    watch: NDArray[np.float32]  # (B, k) share watched, or (0, k) where nobody asks
    last_history: NDArray[np.int64]  # (B, L) of the sessions that ended and were begun again
    last_feedback: NDArray[np.float32]  # (B, L)
    last_step: NDArray[np.int64]  # (B, 1)
    last_counts: NDArray[np.int64]  # (B, 3) user row, episode and steps; 0 where none ended
    last_sums: NDArray[np.float64]  # (B, 2) clicks and reward; 0 where none ended

    @classmethod
    def empty(
        cls, batch: int, length: int, slate_size: int, *, signals: bool, again: bool
    ) -> "Shown":
        """Return room for a batch."""
        ends = batch if again else 0
        return cls(
            np.full((batch, length), -1, dtype=np.int64),
            np.zeros((batch, length), dtype=np.float32),
            np.zeros((batch, 1), dtype=np.int64),
            np.zeros(batch),
            np.zeros(batch, dtype=np.bool_),
            np.zeros(batch, dtype=np.bool_),
            np.zeros((batch, 2), dtype=np.int64),
            np.zeros((batch if signals else 0, slate_size), dtype=np.float32),
            np.full((ends, length), -1, dtype=np.int64),
            np.zeros((ends, length), dtype=np.float32),
            np.zeros((ends, 1), dtype=np.int64),
            np.zeros((ends, 3), dtype=np.int64),
            np.zeros((ends, 2)),
        )


@dataclass
class Memory:
    """The state of B sessions; parts that the rules do not use have no rows.

    A session's record is a tape: 16 + T * k times -1, the start history (H), then what was shown.
    After t steps the visible history is the L = H + T * k places that start at 16 + t * k.
    """

    counts: NDArray[np.int64]  # (B, 4) step, streak of bad steps, user row, episode
    sums: NDArray[np.float64]  # (B, 3) clicks, reward and effort of the session
    keys: NDArray[np.uint64]  # (B,) address of the session's luck
    items: NDArray[np.int32]  # (B, 16 + H + 2Tk) the tape
    liked: NDArray[np.float32]  # (B, 16 + H + 2Tk) 1 liked or clicked
    ring: NDArray[np.float32]  # (B, w, G') topics of the last items shown, oldest overwritten
    lately: NDArray[np.float32]  # (B, G') their sum; G' = G padded
    sated: NDArray[np.float32]  # (B, G') satiation by topic
    seen: NDArray[np.float32]  # (B, G') sum of the topics shown in the session
    effect: NDArray[np.float32]  # (B,) of FactorUsers
    vector: NDArray[np.float32]  # (B, D' + G') of FactorUsers, as drifted; then the step's moods
    reach: NDArray[np.float32]  # (B,) length of the vector at the start
    marks: NDArray[np.uint64]  # (B, 16) bits of items that may have been seen, for the kernel

    @classmethod
    def empty(cls, world: World, batch: int, slate_size: int) -> "Memory":
        """Return room for a batch."""
        rules, topics = world.rules, padded(world.topics.shape[1])
        shown = rules.horizon * slate_size
        tape = (batch, BLOCK + world.start_items.shape[1] + 2 * shown)
        window = min(rules.window, shown)
        users = world.users
        own, width = (batch, users.user_vectors.shape[1]) if has_plain_factors(users) else (0, 0)

        def room(*shape: int) -> NDArray[np.float32]:
            return np.zeros(shape, dtype=np.float32)

        return cls(
            np.zeros((batch, 4), dtype=np.int64),
            np.zeros((batch, 3)),
            np.zeros(batch, dtype=np.uint64),
            np.full(tape, -1, dtype=np.int32),
            room(*tape),
            room(own, window, topics),
            room(own, topics),
            room(batch if rules.satiation else 0, topics),
            room(batch if rules.novelty else 0, topics),
            room(own),
            room(own, padded(width + 1) + topics),
            room(own),
            np.zeros((batch, 16), dtype=np.uint64),
        )


def mark(marks: NDArray[np.uint64], rows: NDArray[np.int64], items: NDArray[np.int64]) -> None:
    """Set the marks of items (n, H) in batch rows (n,), as the kernel does."""
    words = items >> 6 & marks.shape[1] - 1
    bits = np.uint64(1) << (items & 63).astype(np.uint64)
    np.bitwise_or.at(marks, (rows[:, None], words), bits)
