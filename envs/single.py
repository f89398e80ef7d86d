"""One user at a time, as an ordinary Gymnasium environment: a batch of one of the same dynamics."""

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import ArrayLike, NDArray

from simrec.envs.render import Scene, frame, line
from simrec.envs.sessions import Observation, Sessions
from simrec.envs.signals import more_signals
from simrec.envs.spaces import action_space, observation_space
from simrec.envs.vector import check_options
from simrec.envs.world import World
from simrec.errors import SimrecError
from simrec.items.table import ItemTable


class RecommendEnv(gymnasium.Env[Observation, ArrayLike]):
    """A simulated user who clicks, gets bored and leaves.

    Actions, observations, rewards and ends are those of RecommendVectorEnv, without the leading
    batch dimension: `reset(seed=s)` here and slot `slot` of the vector environment under the same
    seed go through identical sessions. There is no automatic reset.

    Args:
        world: The world played.
        slate_size: Items shown in a step, k.
        slot: Address in the streams of luck.
        render_mode: None, "ansi" for a short text of the last slate, or "rgb_array" for a picture.
        table: The item table that agents may see, kept here for their convenience.
        titles: (I,) names of the items for rendering; row numbers are written without them.
        covers: (I,) encoded pictures of the items, or None; for "rgb_array".
        signals: Put `watch`, `like` and `skip` (k,) of the step into the info.
        masks: Put `action_mask`, what `action_masks()` returns, into the info.
    """

    metadata: dict[str, Any] = {  # noqa: RUF012 (Gymnasium declares it so)
        "render_modes": ["ansi", "rgb_array"],
        "render_fps": 1,
    }

    def __init__(
        self,
        world: World,
        *,
        slate_size: int = 1,
        slot: int = 0,
        render_mode: str | None = None,
        table: ItemTable | None = None,
        titles: Sequence[str] | None = None,
        covers: Sequence[bytes | None] | None = None,
        signals: bool = False,
        masks: bool = False,
    ) -> None:
        if render_mode not in (None, *self.metadata["render_modes"]):
            raise SimrecError(
                f"render_mode is '{render_mode}'; expected 'ansi', 'rgb_array' or None"
            )
        self.render_mode = render_mode
        self.table = table
        self.titles = titles
        self.covers = covers
        self._sessions = Sessions(
            world, np.array([slot], dtype=np.int64), slate_size, again=False, signals=signals
        )
        self._one = np.zeros((1, 1), dtype=np.int64) if slate_size == 1 else None
        self._signals, self._masks = signals, masks
        self._started = False
        self._over = True
        self.observation_space: spaces.Space[Any] = observation_space(world, slate_size)
        self.action_space: spaces.Space[Any] = action_space(world, slate_size)

    @property
    def world(self) -> World:
        """The world played; its users are the truth, which agents must not read."""
        return self._sessions.world

    @property
    def slate_size(self) -> int:
        """Items shown in a step, k."""
        return self._sessions.slate_size

    @property
    def current_users(self) -> NDArray[np.int64]:
        """A copy of the user row now being served, as (1,)."""
        return self._sessions.user.copy()

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begin a session: episode 0 under a given seed, else the next episode.

        In a world with retention the user of the last session may be back, as there; a session
        that is not over ends where it stands.

        Args:
            seed: Luck; None goes on to the next episode (the first reset of all then draws a seed
                from entropy).
            options: Not used; must be empty.
        """
        super().reset(seed=seed)
        check_options(options)
        if seed is None and self._started:
            self._sessions.go_on()
        else:
            self._sessions.start(int(self.np_random.integers(2**31)) if seed is None else seed)
        self._started, self._over = True, False
        return self._observation(), self._info()

    def step(self, action: ArrayLike) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Show one slate: an item row for k = 1, else (k,) item rows.

        Raises:
            SimrecError: An action of a wrong shape, type or range, or the session is over.
        """
        if self._over:
            raise SimrecError("step was called on a session that is over; call reset() first")
        outcome = self._sessions.advance(self._slate(action))
        terminated, truncated = bool(outcome.terminated[0]), bool(outcome.truncated[0])
        self._over = terminated or truncated
        return (
            self._observation(),
            float(outcome.reward[0]),
            terminated,
            truncated,
            self._info(),
        )

    def action_masks(self) -> NDArray[np.bool_]:
        """Return (k * I,), k times the same (I,): True where the item has not been seen."""
        return np.tile(self._sessions.unseen()[0], self.slate_size)

    def render(self) -> Any:
        """Return the last slate as a line of text or a picture (360, 640, 3), as the mode says."""
        if self.render_mode is None:
            return None
        sessions, k = self._sessions, self.slate_size
        now, memory = sessions.now, sessions.memory
        step = int(sessions.step[0])
        shown = now.history[0, -k:].tolist() if step else []
        scene = Scene(
            user=int(sessions.user[0]),
            step=step,
            horizon=self.world.rules.horizon,
            patience=self.world.rules.patience,
            streak=int(memory.counts[1, 0]),
            clicks=float(memory.sums[0, 0]),
            items=shown,
            clicked=[mark > 0 for mark in now.feedback[0, -k:]] if step else [],
            titles=self.titles,
            covers=self.covers,
        )
        return frame(scene) if self.render_mode == "rgb_array" else line(scene)

    def _observation(self) -> Observation:
        now = self._sessions.now
        return {
            "history": now.history[0].copy(),
            "feedback": now.feedback[0].copy(),
            "step": now.step[0].copy(),
        }

    def _slate(self, action: ArrayLike) -> NDArray[np.int64]:
        """Return an action as a slate (1, k); a plain item row takes the short way."""
        if self._one is not None and isinstance(action, int | np.integer):
            self._one[0, 0] = action
            return self._one
        given = np.asarray(action)
        if self._one is not None and given.ndim:  # a batch of actions, say, or a slate
            raise SimrecError(
                f"the action has shape {given.shape}; expected one integer, an item row, because "
                "slate_size is 1"
            )
        return self._sessions.slates(given[None])

    def _info(self) -> dict[str, Any]:
        user, session = self._sessions.now.who[0].tolist()
        info: dict[str, Any] = {"user": user, "session": session}
        if self.world.retention is not None:
            info["days"] = int(self._sessions.days[0])
        if self._signals:
            for name, values in more_signals(self._sessions.now.watch).items():
                info[name] = values[0].copy()
        if self._masks:
            info["action_mask"] = self.action_masks()
        return info
