"""The compiled step made ready for one batch: packed tables, and where everything lies."""

import weakref
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simrec.envs.leave import LEAVES
from simrec.envs.state import BLOCK, Memory, Shown, aligned, padded
from simrec.envs.users import FactorUsers, has_plain_factors
from simrec.envs.world import World

_CHOICES = ("multinomial", "cascade", "position", "dependent")  # as the kernel numbers them
_REWARDS = ("clicks", "minutes", "likes", "depth")


class Packed:
    """One aligned row an item: scale * vector, effect, topics; shared by a world's batches.

    Args:
        users: The population.
        topics: (I, G) topics of the items.
    """

    def __init__(self, users: FactorUsers, topics: NDArray[np.float32]) -> None:
        self.users = users
        width, n_topics = users.item_vectors.shape[1], topics.shape[1]
        wide = padded(width + 1)
        row = wide + padded(n_topics)
        self.rows = aligned(users.n_items, row)
        self.rows[:, :width] = users.item_vectors * np.float32(users.scale)
        self.rows[:, width] = users.item_effect
        self.rows[:, wide : wide + n_topics] = topics


_PACKED: weakref.WeakValueDictionary[int, Packed] = weakref.WeakValueDictionary()


def pack(world: World) -> Packed:
    """Return the packed rows of a world of FactorUsers, made once while anybody plays it."""
    assert has_plain_factors(world.users)
    known = _PACKED.get(id(world))
    if known is None or known.users is not world.users:
        known = _PACKED[id(world)] = Packed(world.users, world.topics)
    return known


class Compiled:
    """The kernel's functions bound to a batch.

    Args:
        world: The world played.
        memory: What the sessions remember; changed in place.
        turns: The two sets of outputs.
        slots: (B,) addresses in the streams of luck.
        slate_size: Items shown in a step, k.
        again: Begin sessions that ended again in the same step.
    """

    def __init__(
        self,
        world: World,
        memory: Memory,
        turns: tuple[Shown, ...],
        slots: NDArray[np.int64],
        slate_size: int,
        *,
        again: bool,
    ) -> None:
        from simrec.envs import kernel, kernel_begin, kernel_layout

        rules, users = world.rules, world.users
        factors = users if has_plain_factors(users) else None
        self.covers_answer = (
            factors is not None and rules.choice in _CHOICES and rules.reward in _REWARDS
        )
        self._kernel, self._beginnings = kernel, kernel_begin
        self._schedule = world.schedule
        self._n_topics = world.topics.shape[1]
        self._again = again and world.retention is None
        topics, k = padded(self._n_topics), slate_size
        self._tilt = np.zeros(topics, dtype=np.float32)
        none: NDArray[np.float32] = np.zeros(0, dtype=np.float32)
        no_dates = np.zeros(0, dtype=np.int64)
        lives = world.schedule.lifetimes
        wide, width = memory.vector.shape[1] - topics, 0
        table: NDArray[np.float32] = none
        user_effect, user_vectors = none, none
        if factors is not None:
            self._packed = pack(world)
            table, width = self._packed.rows, factors.item_vectors.shape[1]
            user_effect = np.ascontiguousarray(factors.user_effect, dtype=np.float32)
            user_vectors = np.ascontiguousarray(factors.user_vectors, dtype=np.float32)
        shared: list[NDArray[Any]] = [
            memory.counts,
            memory.sums,
            memory.keys,
            memory.items,
            memory.liked,
            memory.ring,
            memory.lately,
            memory.sated,
            memory.seen,
            memory.effect,
            memory.vector,
            memory.reach,
            slots,
            table,
            np.ascontiguousarray(world.start_items, dtype=np.int64),
            np.ascontiguousarray(world.start_feedback, dtype=np.float32),
            np.ascontiguousarray(world.arrivals, dtype=np.int64),
            user_effect,
            user_vectors,
            no_dates if lives is None else np.ascontiguousarray(lives.appears, dtype=np.int64),
            no_dates if lives is None else np.ascontiguousarray(lives.expires, dtype=np.int64),
            self._tilt,
            np.zeros((kernel_layout.CHUNK, k)),
            np.zeros((kernel_layout.CHUNK, k)),
            np.zeros(kernel_layout.CHUNK),
            np.zeros(kernel_layout.CHUNK),
            np.zeros((kernel_layout.CHUNK, k)),
            np.zeros((kernel_layout.CHUNK, k), dtype=np.float32),
            np.zeros(max(wide, 0), dtype=np.float32),
            memory.marks,
            np.zeros((kernel_layout.CHUNK, 4)),
        ]
        self._alive = shared, turns  # the kernel knows them by address only
        self._turns, self._dropped = turns, 2 * k
        self._rooms = [(t.history_room.ctypes.data, t.feedback_room.ctypes.data) for t in turns]
        self._history_at = kernel_layout.OUT_HISTORY
        self._at = [_addresses(shared, turn) for turn in turns]
        history, shown = world.start_items.shape[1], rules.horizon * k
        self._ints = np.array(
            [
                len(slots),
                history + shown,
                history,
                BLOCK + shown,
                memory.items.shape[1],
                width,
                wide,
                topics,
                min(rules.window, shown),
                world.n_items,
                world.n_users,
                len(world.arrivals),
                rules.horizon,
                rules.patience,
                _CHOICES.index(rules.choice) if self.covers_answer else -1,
                _REWARDS.index(rules.reward) if self.covers_answer else -1,
                LEAVES.index(rules.leave),
                factors is not None,
                rules.satiation > 0,
                rules.novelty > 0,
                bool(world.schedule.shifts),
                lives is not None,
                len(turns[0].watch) > 0,
                memory.ring.size > 0,
                _search(world, history + shown, k),
                k,
            ],
            dtype=np.int64,
        )
        self._floats = np.array(
            [
                0.0 if factors is None else float(np.sign(factors.scale)),
                0.0 if factors is None else factors.intercept,
                rules.boredom,
                rules.attention,
                rules.browse,
                rules.minutes,
                rules.tolerance,
                rules.budget,
                rules.refund,
                rules.drift,
                rules.satiation,
                rules.recovery,
                rules.novelty,
            ]
        )

    def begin(
        self,
        seed: int,
        rows: NDArray[np.int64],
        episodes: NDArray[np.int64],
        users: NDArray[np.int64],
        turn: int,
    ) -> None:
        """Begin episodes (n,) in batch rows (n,); users (n,) below 0 are drawn, and written."""
        self._beginnings.begin(self._at[turn], self._ints, seed, rows, episodes, users)

    def record(self, slates: NDArray[np.int64], clicked: NDArray[np.float32], turn: int) -> None:
        """Append what was shown (B, k) and clicked (B, k) to the record, and show it."""
        fresh = self._slide(turn)
        self._beginnings.record(self._at[turn], self._ints, fresh, slates, clicked)

    def advance(
        self, seed: int, date: int, slates: NDArray[np.int64], turn: int
    ) -> NDArray[np.int64] | None:
        """Show slates (B, k); return the rows (n,) that ended, or None if an item is unknown."""
        if self._schedule.shifts:
            self._tilt[: self._n_topics] = self._schedule.tilt(date, self._n_topics)
        before = self._turns[turn].first
        fresh = self._slide(turn)
        count = self._kernel.advance(
            self._at[turn], self._ints, self._floats, seed, date, self._again, fresh, slates
        )
        if count < 0:
            if before != self._turns[turn].first:
                self._place(turn, before)
            return None
        return self._turns[turn].ended[1 : 1 + count]

    def _slide(self, turn: int) -> bool:
        """Let the histories of a turn, two steps old, drop two slates; True: write all anew."""
        shown = self._turns[turn]
        first = shown.after(self._dropped)
        if first != shown.first:
            self._place(turn, first)
        return first == 0

    def _place(self, turn: int, first: int) -> None:
        """Let the histories of a turn begin at a place of their rooms."""
        self._turns[turn].move(first)
        history, feedback = self._rooms[turn]
        at = self._at[turn]
        at[self._history_at] = history + 8 * first
        at[self._history_at + 1] = feedback + 4 * first


def _search(world: World, length: int, slate_size: int) -> int:
    """Return how the kernel finds items seen before, in records of at most `length` items."""
    from simrec.envs.kernel_layout import BY_BOTH, BY_MARK, BY_RECORD, N_MARKS

    if padded(length) * slate_size <= 8 * BLOCK:
        return BY_RECORD
    # a mark of its own for every item, and one for the padding, -1
    return BY_MARK if world.n_items < 64 * N_MARKS else BY_BOTH


def _addresses(shared: list[NDArray[Any]], turn: Shown) -> NDArray[np.int64]:
    """Return where each array lies, in the order that the kernel knows."""
    parts = [
        *shared,
        turn.history,
        turn.feedback,
        turn.step,
        turn.reward,
        turn.left,
        turn.cut,
        turn.who,
        turn.watch,
        turn.last_history,
        turn.last_feedback,
        turn.last_step,
        turn.last_counts,
        turn.last_sums,
        turn.ended,
    ]
    assert all(part.flags.c_contiguous for part in parts)
    return np.array([part.ctypes.data for part in parts], dtype=np.int64)
