"""The dynamics: B sessions advanced at once. Every environment of this room is a face of this."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simrec.envs.big_pages import settle
from simrec.envs.compiled import Compiled
from simrec.envs.processes import Processes
from simrec.envs.reference import Moment, answer
from simrec.envs.refusals import as_slates, check_sessions, check_slates
from simrec.envs.state import BLOCK, Memory, Shown, mark
from simrec.envs.users import UserState, has_plain_factors
from simrec.envs.world import World
from simrec.randomness import Purpose, uniform

Observation = dict[str, NDArray[np.generic]]


class Outcome(NamedTuple):
    """What one step brought; the arrays are written again two steps later."""

    reward: NDArray[np.float64]  # (B,) as Rules.reward says
    terminated: NDArray[np.bool_]  # (B,) the user left
    truncated: NDArray[np.bool_]  # (B,) the horizon cut the session off; never with terminated
    ended: NDArray[np.int64]  # (n,) batch rows of the sessions that are over


class Sessions:
    """The state of B sessions and the rules that move it.

    A session's course depends only on (world, seed, slot, episode, slates) and, where the world
    has a schedule, the date: who arrives and how lucky a step is are read from counter-based
    streams, so batch size and history of the process do not matter. Only creators and friends, if
    the world has them, answer to what all slots are shown (see `simrec.envs.processes`).

    Args:
        world: The world played.
        slots: (B,) addresses of the sessions in the streams of luck.
        slate_size: Items shown in a step, k.
        again: Begin a session that is over again in the same step.
        signals: Keep the watch ratios of each step.
        compiled: True takes the compiled step where the world allows it; False always plain numpy,
            to compare.
    """

    def __init__(
        self,
        world: World,
        slots: NDArray[np.int64],
        slate_size: int,
        *,
        again: bool,
        signals: bool = False,
        compiled: bool = True,
    ) -> None:
        check_sessions(world, len(slots), slate_size)
        self.world = world
        self._processes = Processes(world) if world.creators or world.friends else None
        #: The world as creators and friends have made it by now; `world` where there are none.
        self.played = world if self._processes is None else self._processes.world
        self.slate_size = slate_size
        self.slots = slots  # (B,) int64
        self.again = again
        self.seed = 0
        self.date = 0  # steps since the seed was set
        self.memory = Memory.empty(world, len(slots), slate_size)
        self.length = world.start_items.shape[1] + world.rules.horizon * slate_size
        self.days = np.zeros(len(slots), dtype=np.int64)  # (B,) since the user's last session
        self._shown = tuple(
            Shown.empty(len(slots), self.length, slate_size, signals=signals, again=again)
            for _ in range(2)
        )
        self._turn = 0
        self._wanted = compiled
        self.state: UserState = {}
        self._bind()

    @property
    def now(self) -> Shown:
        """What was shown last: valid until the step after next."""
        return self._shown[self._turn]

    @property
    def turn(self) -> int:
        """Which of the two sets of outputs was written last."""
        return self._turn

    @property
    def turns(self) -> tuple[Shown, ...]:
        """The two sets of outputs."""
        return self._shown

    @property
    def user(self) -> NDArray[np.int64]:
        """The user rows (B,) being served; live."""
        return self.memory.counts[2, :]

    @property
    def episode(self) -> NDArray[np.int64]:
        """The episodes (B,) being played; live."""
        return self.memory.counts[3, :]

    @property
    def step(self) -> NDArray[np.int64]:
        """Recommendations made so far (B,); live."""
        return self.memory.counts[0, :]

    def start(self, seed: int) -> None:
        """Begin episode 0 of every slot under this luck."""
        self.seed, self.date = seed, 0
        if self._processes is not None:
            self._processes.start()
        if not has_plain_factors(self.world.users):
            self.state = {}
        self._turn ^= 1
        every = np.arange(len(self.slots))
        self.begin(every, np.zeros_like(every))

    def go_on(self) -> None:
        """Begin the next episode of every slot; sessions that are not over end where they stand."""
        before = self.now
        self._turn ^= 1
        self._next(np.arange(len(self.slots)), before.history, before.feedback)

    def begin(
        self,
        rows: NDArray[np.int64],
        episodes: NDArray[np.int64],
        users: NDArray[np.int64] | None = None,
    ) -> None:
        """Begin the given episodes (n,) in batch rows (n,), with users (n,) or whoever arrives."""
        users = np.full(len(rows), -1, dtype=np.int64) if users is None else users
        self._compiled.begin(self.seed, rows, episodes, users, self._turn)
        if self._processes is not None and self._processes.circle is not None:
            self._processes.circle.begin(users)
            self._compiled.begin(self.seed, rows, episodes, users, self._turn)  # with new tastes
        self.days[rows] = 0
        if has_plain_factors(self.world.users):
            return
        fresh = self.world.users.begin(users)
        if not self.state:  # the first time all rows are begun, so this is the whole state
            self.state = {name: np.array(part) for name, part in fresh.items()}
        else:
            for name, part in fresh.items():
                self.state[name][rows] = part

    def slates(self, actions: ArrayLike) -> NDArray[np.int64]:
        """Return actions as slates (B, k).

        Raises:
            SimrecError: Wrong shape, or not whole numbers.
        """
        return as_slates(actions, len(self.slots), self.slate_size)

    def advance(self, slates: NDArray[np.int64]) -> Outcome:
        """Show slates (B, k), let the users answer, and return what came of it.

        Only the k shown items are scored. Without `again` a session that is over must be begun
        again first.

        Raises:
            SimrecError: An item outside the catalogue, or a session that the horizon has cut off;
                nothing has changed then.
        """
        turn = self._turn ^ 1
        if self._fast:
            found = self._compiled.advance(self.seed, self.date, slates, turn)
            if found is None:
                check_slates(slates, self.step, self.world)
            assert found is not None, "the compiled step refused what the plain one takes"
            self._turn, ended = turn, found
        else:
            check_slates(slates, self.step, self.world)
            self._turn = turn
            ended = self._advance_plainly(slates)
        self.date += 1
        if self._processes is not None:
            self._tell(self._processes, slates, ended)
        if self.again and self._ends_here:
            ended = ended.copy()
            self._begin_again(ended)
        return Outcome(self.now.reward, self.now.left, self.now.cut, ended)

    def _tell(
        self, processes: Processes, slates: NDArray[np.int64], ended: NDArray[np.int64]
    ) -> None:
        """Let creators and friends know what was shown (B, k) and who is done (n,)."""
        if processes.supply is not None:
            clicked = self.now.feedback[:, -self.slate_size :] > 0
            processes.supply.shown(slates, clicked, self.date)
        if processes.circle is not None:
            processes.circle.end(self.user[ended], self.state["vector"][ended])

    def _advance_plainly(self, slates: NDArray[np.int64]) -> NDArray[np.int64]:
        """Do in numpy what the compiled step does; return the rows (n,) that ended."""
        now, memory, rules = self.now, self.memory, self.world.rules
        found = answer(self.played, memory, self.state, slates, self._moment())
        self._compiled.record(slates, found.signals.click, self._turn)
        now.reward[:] = found.reward
        now.left[:] = found.left
        now.cut[:] = (self.step >= rules.horizon) & ~found.left
        now.done[:] = now.left | now.cut
        now.who[:] = memory.counts[2:4].T
        if len(now.watch):
            now.watch[:] = found.signals.watch
        return np.flatnonzero(now.done)

    def _begin_again(self, ended: NDArray[np.int64]) -> None:
        """Keep the ends of sessions in batch rows (n,) and begin the next ones."""
        now, memory, n = self.now, self.memory, len(ended)
        now.last_history[:n] = now.history[ended]
        now.last_feedback[:n] = now.feedback[ended]
        now.last_step[:n] = now.step[ended]
        now.last_counts[:] = 0
        now.last_counts[ended] = memory.counts[[2, 3, 0]][:, ended].T
        now.last_sums[:] = 0.0
        now.last_sums[ended] = memory.sums[:2, ended].T
        if n:
            self._next(ended, now.last_history[:n], now.last_feedback[:n])

    def _next(self, over: NDArray[np.int64], history: NDArray[Any], liked: NDArray[Any]) -> None:
        """Begin the next sessions in rows (n,); those who come back know their last (n, L)."""
        if self.world.retention is None:
            self.begin(over, self.episode[over] + 1)
            return
        luck = uniform(self.seed, self.slots[over], self.episode[over], 0, Purpose.RETURN)
        days = self.world.retention.days_away(self.memory.sums[0, over], luck)
        self.begin(over, self.episode[over] + 1, np.where(days > 0, self.user[over], -1))
        self.days[over] = days
        rows, now, memory = over[days > 0], self.now, self.memory
        start = slice(self.length - self.world.start_items.shape[1], None)
        items, likes = history[days > 0, start], liked[days > 0, start]
        ends = BLOCK + self.length  # the start history, in the record
        place = slice(ends - self.world.start_items.shape[1], ends)
        now.history[rows, start], now.feedback[rows, start] = items, likes
        memory.record[rows, place] = 2 * items + (likes > 0)
        mark(memory.marks, rows, items, self.world.n_items)

    def observation(self) -> Observation:
        """Return what an agent may see, each with leading dimension B; see `now`."""
        now = self.now
        return {"history": now.history, "feedback": now.feedback, "step": now.step}

    def unseen(self) -> NDArray[np.bool_]:
        """Return (B, I) True where an item can be shown: not in the visible history, and there."""
        mask = np.ones((len(self.slots), self.world.n_items + 1), dtype=np.bool_)
        rows = np.arange(len(self.slots))[:, None]
        mask[rows, self.history()] = False  # -1 strikes the extra last column, then dropped
        lifetimes = self.played.schedule.lifetimes
        if lifetimes is not None:
            mask[:, :-1] &= lifetimes.there(np.arange(self.world.n_items), self.date)
        return mask[:, :-1]

    def history(self) -> NDArray[np.int32]:
        """Return a copy of the visible history (B, L), from the sessions' own record."""
        place = BLOCK + (self.step * self.slate_size)[:, None] + np.arange(self.length)
        return np.asarray(np.take_along_axis(self.memory.record, place, axis=1) >> 1)

    def _moment(self) -> Moment:
        tilt = self.world.schedule.tilt(self.date, self.world.topics.shape[1])
        return Moment(self.seed, self.slots, self.history(), self.recent(), tilt, self.date)

    def recent(self) -> NDArray[np.int64]:
        """Return the last `window` items shown in this session (B, w), -1 = empty."""
        window = min(self.world.rules.window, self.world.rules.horizon * self.slate_size)
        age = np.arange(window, 0, -1)  # 1 = shown last
        shown = (self.step * self.slate_size)[:, None]
        place = BLOCK + self.length + shown - age
        past = np.take_along_axis(self.memory.record, place, axis=1) >> 1
        return np.where(age <= shown, past, -1).astype(np.int64)

    @property
    def _begins_slowly(self) -> bool:
        """True where something must be done here between the end of a session and the next."""
        return self.world.retention is not None or self._processes is not None

    def _bind(self) -> None:
        """Prepare the compiled step, and the state of factors that lies in the memory."""
        memory, users = self.memory, self.world.users
        settle(memory, *self._shown)
        again = self.again and not self._begins_slowly
        self._compiled = Compiled(
            self.played, memory, self._shown, self.slots, self.slate_size, again=again
        )
        self._fast = self._wanted and self._compiled.covers_answer
        self._ends_here = not self._fast or self._begins_slowly
        if has_plain_factors(users):
            width = users.item_vectors.shape[1]
            self.state = {"effect": memory.effect, "vector": memory.vector[:, :width]}

    def __getstate__(self) -> dict[str, Any]:
        """Return everything but what can be made again from the world."""
        return {name: part for name, part in self.__dict__.items() if name != "_compiled"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take a pickled state and prepare the compiled step again."""
        self.__dict__.update(state)
        self._bind()
