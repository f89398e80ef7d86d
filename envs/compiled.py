"""The compiled step made ready for one batch: packed tables, and where everything lies."""

import weakref
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simrec.envs.big_pages import gather
from simrec.envs.leave import LEAVES
from simrec.envs.state import BLOCK, N_MARKS, Memory, Shown, aligned, padded
from simrec.envs.users import FactorUsers, has_plain_factors
from simrec.envs.world import World

_CHOICES = ("multinomial", "cascade", "position", "dependent")  # as the kernel numbers them
_REWARDS = ("clicks", "minutes", "likes", "depth")


class Packed:
    """What a step reads of an item, in whole cache lines; shared by a world's batches.

    An item's topics are looked up by their kind: most catalogues have few, which stay in the cache.

    Args:
        users: The population.
        topics: (I, G) topics of the items.
    """

    def __init__(self, users: FactorUsers, topics: NDArray[np.float32]) -> None:
        self.users = users
        width, n_topics = users.item_vectors.shape[1], topics.shape[1]
        kinds, first = themes_of(topics)
        rows = aligned(users.n_items, padded(width))  # scale * vector
        np.multiply(users.item_vectors, np.float32(users.scale), out=rows[:, :width])
        themes = aligned(len(first) + 1, padded(n_topics))  # each kind once; then a 0
        themes[:-1, :n_topics] = topics[first]
        aside = np.empty((users.n_items, 2), dtype=np.float32)  # effect, and bits of the kind
        aside[:, 0] = users.item_effect
        aside.view(np.int32)[:, 1] = kinds
        moved = gather({"rows": rows, "themes": themes, "aside": aside})
        self.rows, self.themes, self.aside = moved["rows"], moved["themes"], moved["aside"]

    @property
    def nbytes(self) -> int:
        """Bytes of the tables."""
        return self.rows.nbytes + self.themes.nbytes + self.aside.nbytes


def themes_of(topics: NDArray[np.float32]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the kind (I,) of each row of topics (I, G), and a row (M,) that has each kind.

    Rows of a kind are equal. (Equal rows are of a kind, unless chance makes the sums by which they
    are sorted fall together; then every row is a kind of its own.)
    """
    words = np.ascontiguousarray(topics, dtype=np.float32).view(np.uint32).astype(np.uint64)
    weights = np.random.default_rng(0).integers(2**63, size=topics.shape[1], dtype=np.uint64)
    _, first, kinds = np.unique(words @ weights, return_index=True, return_inverse=True)
    if not (topics == topics[first][kinds]).all():
        first = kinds = np.arange(len(topics))
    return kinds.astype(np.int64), first.astype(np.int64)


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
        topics, k, chunk = padded(self._n_topics), slate_size, kernel_layout.CHUNK
        self._tilt = np.zeros(topics, dtype=np.float32)
        none: NDArray[np.float32] = np.zeros(0, dtype=np.float32)
        no_dates = np.zeros(0, dtype=np.int64)
        lives = world.schedule.lifetimes
        wide, width, n_themes = memory.vector.shape[1], 0, 0
        table = aside = themes = user_effect = user_vectors = none
        if factors is not None:
            packed = pack(world)
            table, aside, themes = packed.rows, packed.aside, packed.themes
            self._packed, n_themes = packed, len(themes) - 1
            width = factors.item_vectors.shape[1]
            user_effect = np.ascontiguousarray(factors.user_effect, dtype=np.float32)
            user_vectors = np.ascontiguousarray(factors.user_vectors, dtype=np.float32)
        counted = np.maximum(np.arange(1 + min(rules.window, rules.horizon * k)), 1)
        weights = (-rules.boredom / counted).astype(np.float32)  # by items shown lately
        shared: list[NDArray[Any]] = [
            memory.counts,
            memory.sums,
            memory.keys,
            memory.record,
            memory.ring,
            memory.lately,
            memory.sated,
            memory.seen,
            memory.effect,
            memory.vector,
            memory.reach,
            slots,
            table,
            aside,
            themes,
            np.ascontiguousarray(world.start_items, dtype=np.int64),
            np.ascontiguousarray(world.start_feedback, dtype=np.float32),
            np.ascontiguousarray(world.arrivals, dtype=np.int64),
            user_effect,
            user_vectors,
            no_dates if lives is None else np.ascontiguousarray(lives.appears, dtype=np.int64),
            no_dates if lives is None else np.ascontiguousarray(lives.expires, dtype=np.int64),
            self._tilt,
            *np.zeros((2, k, chunk)),
            *np.zeros((2, chunk)),
            np.zeros((k, chunk)),
            np.zeros((k, chunk), dtype=np.float32),
            np.zeros(max(wide, 0), dtype=np.float32),
            memory.marks,
            np.zeros((4, chunk)),
            aligned(chunk, topics),
            np.zeros(chunk),
            np.zeros((chunk, k), dtype=np.int64),
            np.zeros((4, chunk)),
            np.zeros((padded(k) // BLOCK, chunk), dtype=np.int32),
            np.zeros(k * chunk + 1, dtype=np.int64),
            weights,
            *np.zeros((2, chunk), dtype=np.int64),
            np.zeros(2 + chunk, dtype=np.int64),
        ]
        self._alive = shared, turns  # the kernel knows them by address only
        self._turns, self._dropped = turns, 2 * k
        self._at = [_addresses(shared, turn) for turn in turns]
        history, shown = world.start_items.shape[1], rules.horizon * k
        self._ints = np.array(
            [
                len(slots),
                history + shown,
                history,
                BLOCK + shown,
                memory.record.shape[1],
                width,
                wide,
                topics,
                min(rules.window, shown),
                world.n_items,
                world.n_users,
                len(world.arrivals),
                n_themes,
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
                memory.marks.shape[1],
                rules.drift > 0,
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
        shown = self._turns[turn]
        first = shown.after(self._dropped)
        self._beginnings.record(self._at[turn], self._ints, first, slates, clicked)
        shown.move(first)

    def advance(
        self, seed: int, date: int, slates: NDArray[np.int64], turn: int
    ) -> NDArray[np.int64] | None:
        """Show slates (B, k); return the rows (n,) that ended, or None if an item is unknown."""
        if self._schedule.shifts:
            self._tilt[: self._n_topics] = self._schedule.tilt(date, self._n_topics)
        shown = self._turns[turn]
        first = shown.after(self._dropped)
        count = self._kernel.advance(
            self._at[turn], self._ints, self._floats, seed, date, self._again, first, slates
        )
        if count < 0:
            return None
        shown.move(first)
        return shown.ended[1 : 1 + count]


def _search(world: World, length: int, slate_size: int) -> int:
    """Return how the kernel finds items seen before, in records of at most `length` items."""
    from simrec.envs.kernel_layout import BY_BOTH, BY_MARK, BY_RECORD

    if padded(length) * slate_size <= 8 * BLOCK:
        return BY_RECORD
    # a mark of its own for every item, and one for the padding, -1
    return BY_MARK if world.n_items < N_MARKS else BY_BOTH


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
        turn.done,
        turn.who,
        turn.watch,
        turn.last_history,
        turn.last_feedback,
        turn.last_step,
        turn.last_counts,
        turn.last_sums,
        turn.ended,
        turn.history_room,
        turn.feedback_room,
    ]
    assert all(part.flags.c_contiguous for part in parts)
    return np.array([part.ctypes.data for part in parts], dtype=np.int64)
