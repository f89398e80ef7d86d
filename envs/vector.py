"""The environment: B users at once, as a native Gymnasium vector environment."""

from typing import Any

import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import ArrayLike, NDArray

from simrec.envs.finals import Finals
from simrec.envs.sessions import Observation, Sessions
from simrec.envs.signals import more_signals
from simrec.envs.spaces import action_space, observation_space
from simrec.envs.truth import click_probability
from simrec.envs.world import World
from simrec.errors import SimrecError
from simrec.items.table import ItemTable


def check_options(options: dict[str, Any] | None) -> None:
    """Raise SimrecError if a reset was given options: this world has none."""
    if options:
        raise SimrecError(
            f"reset got options {sorted(options)}; expected none, the world is set by its arguments"
        )


class RecommendVectorEnv(VectorEnv[Observation, ArrayLike, NDArray[Any]]):
    """Simulated users who click, get bored and leave; B sessions in parallel.

    ## Action
    `Discrete(I)` for one item a step, `MultiDiscrete([I] * k)` for a slate of k > 1. An item that
    the user has already seen, in the visible history or earlier in the slate, is ignored.

    ## Observation
    A dictionary; the most recent item is last and padding is on the left.

    | key | shape | range | meaning |
    |---|---|---|---|
    | history | (L,) int64 | -1 to I-1 | start history and items shown, -1 = empty; L = H + T * k |
    | feedback | (L,) float32 | 0 or 1 | liked before the session, or clicked in it |
    | step | (1,) int64 | 0 to T | steps made in this session |

    ## Reward
    What `Rules.reward` names: clicks in the slate (default; 0 or 1 with the multinomial and cascade
    choices, up to k with the others), minutes watched, likes, or 1 for each step after which the
    user stays.

    ## Start
    A user drawn from the world's arrivals, with the history known before the session. In a world
    with retention the user of the last session may come back instead, and then starts with the end
    of what that session showed.

    ## End
    Terminated: the user left, as `Rules.leave` says: after `patience` bad steps in a row (without a
    click, or boring), or with the effort spent. Truncated: the step is the horizon and the user has
    not left. Never both.

    ## Seeding
    `reset(seed=s)` starts episode 0 of every slot under luck s, at date 0; `reset()` goes on to
    each slot's next episode. The same (seed, slot, episode, step) meets the same luck and, without
    retention, the same user, whatever is recommended (common random numbers).

    ## Info
    `user` and `session` (B,), the number of the slot's episode, belong to the returned observation
    (Gymnasium keeps the key `episode` for RecordEpisodeStatistics). In a world with retention so do
    `days` (B,): days since the same user's last session, 0 for a new user. Sessions that ended are
    begun again in the same step; their last observation and info are in `final_obs` (an object
    array of dictionaries) and `final_info`, with Gymnasium's masks `_final_obs` and `_final_info`.

    ## Memory
    Two sets of arrays take turns, so nothing is copied: what a step returns is valid until the step
    after the next, and is then written over. Copy what is to be kept longer. What is written into
    a history stays there while the session lasts, but does not reach the dynamics.

    Args:
        world: The world played.
        num_envs: Parallel users B.
        slate_size: Items shown in a step, k.
        table: The item table that agents may see, kept here for their convenience.
        first_slot: Address of the first slot in the streams of luck; slot b is first_slot + b.
        signals: Put `watch`, `like` and `skip` (B, k) float32 of the step into the info: the share
            of the item watched, and whether a click was worth a like or was a skip.
        masks: Put `action_mask`, what `action_masks()` returns, into the info.
    """

    metadata: dict[str, Any] = {  # noqa: RUF012 (Gymnasium declares it so)
        "autoreset_mode": AutoresetMode.SAME_STEP,
        "render_modes": [],
    }
    _sessions_class: type[Sessions] = Sessions

    def __init__(
        self,
        world: World,
        num_envs: int,
        *,
        slate_size: int = 1,
        table: ItemTable | None = None,
        first_slot: int = 0,
        signals: bool = False,
        masks: bool = False,
    ) -> None:
        self.num_envs = num_envs
        self.table = table
        slots = np.arange(first_slot, first_slot + num_envs, dtype=np.int64)
        self._sessions = self._sessions_class(world, slots, slate_size, again=True, signals=signals)
        self._finals = [Finals(shown) for shown in self._sessions.turns]
        self._all = np.ones(num_envs, dtype=np.bool_)
        self._signals, self._masks = signals, masks
        self._started = False
        self.single_observation_space: spaces.Space[Any] = observation_space(world, slate_size)
        self.single_action_space: spaces.Space[Any] = action_space(world, slate_size)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)

    @property
    def world(self) -> World:
        """The world played; its users are the truth, which agents must not read."""
        return self._sessions.world

    @property
    def played(self) -> World:
        """The world as creators and friends have made it by now; the truth, like `world`."""
        return self._sessions.played

    @property
    def date(self) -> int:
        """Steps since the seed was set."""
        return self._sessions.date

    @property
    def slate_size(self) -> int:
        """Items shown in a step, k."""
        return self._sessions.slate_size

    @property
    def current_users(self) -> NDArray[np.int64]:
        """A copy of the user rows (B,) now being served."""
        return self._sessions.user.copy()

    @property
    def luck_seed(self) -> int:
        """The seed of the luck now in use."""
        return self._sessions.seed

    @property
    def nbytes(self) -> int:
        """Bytes of the sessions' state and outputs, without the world's tables."""
        views = ("history", "feedback")
        parts = [self._sessions.memory, *self._sessions.turns]
        arrays = [a for part in parts for name, a in vars(part).items() if name not in views]
        return sum(array.nbytes for array in arrays if isinstance(array, np.ndarray))

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begin a session in every slot and return the observations and infos.

        Args:
            seed: Luck from which episode 0 of every slot is played; None goes on to the next
                episodes (the first reset of all then draws a seed from entropy).
            options: Not used; must be empty.
        """
        super().reset(seed=seed)
        check_options(options)
        sessions = self._sessions
        if seed is None and self._started:
            sessions.go_on()
        else:
            sessions.start(int(self.np_random.integers(2**31)) if seed is None else seed)
        self._started = True
        return sessions.observation(), self._info()

    def step(
        self, actions: ArrayLike
    ) -> tuple[
        Observation,
        NDArray[np.float64],
        NDArray[np.bool_],
        NDArray[np.bool_],
        dict[str, Any],
    ]:
        """Show one slate to every user.

        Args:
            actions: Item rows, (B,) for k = 1, else (B, k).

        Returns:
            Observations, rewards (B,), terminated (B,), truncated (B,) and infos; sessions that
            ended are already begun again.

        Raises:
            SimrecError: Actions of a wrong shape, type or range, or no reset before.
        """
        if not self._started:
            raise SimrecError("step was called before reset; call reset() first")
        sessions = self._sessions
        outcome = sessions.advance(sessions.slates(actions))
        info = self._info()
        if len(outcome.ended):
            info |= self._finals[sessions.turn].fill(outcome.ended)
        return (
            sessions.observation(),
            outcome.reward,
            outcome.terminated,
            outcome.truncated,
            info,
        )

    def __getstate__(self) -> dict[str, Any]:
        """Return everything but the views into the outputs."""
        return {name: part for name, part in self.__dict__.items() if name != "_finals"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take a pickled state and look into its outputs again."""
        self.__dict__.update(state)
        self._finals = [Finals(shown) for shown in self._sessions.turns]

    def action_masks(self) -> NDArray[np.bool_]:
        """Return (B, k * I), k times the same (B, I): True where the item has not been seen."""
        return np.tile(self._sessions.unseen(), (1, self.slate_size))

    def click_probability(self) -> NDArray[np.float64]:
        """Return the truth (B, I): P(click) if an item were shown alone now, 0 where seen.

        For bounds and oracles only: an agent that calls this is cheating.
        """
        return click_probability(self._sessions)

    def _info(self) -> dict[str, Any]:
        info = self._finals[self._sessions.turn].info()
        if self._signals:
            for name, values in more_signals(self._sessions.now.watch).items():
                info |= {name: values, f"_{name}": self._all}
        if self.world.retention is not None:
            info |= {"days": self._sessions.days.copy(), "_days": self._all}
        if self._masks:
            info |= {"action_mask": self.action_masks(), "_action_mask": self._all}
        return info
