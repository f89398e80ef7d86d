"""Deployment: one recommender meets users, and everything that happens is written down.

The harness records; agents need not know. Time is counted in env steps, one for each user served.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecEnvWrapper
from stable_baselines3.common.vec_env.base_vec_env import VecEnvObs, VecEnvStepReturn

from simrec.agents.propensity import Chances
from simrec.agents.strategy import Deployment
from simrec.checkpoint import Checkpoint
from simrec.envs.sb3 import SB3VecEnv
from simrec.metrics import WINDOWS, window_number
from simrec.observations import refuse_truth
from simrec.snapshots import Snapshots

SAMPLED_SLOTS = 2  # parallel users whose sessions are kept item by item


@dataclass(frozen=True)
class Tables:
    """What a deployment leaves behind; columns as in `simrec.records.TABLES`."""

    episodes: pd.DataFrame
    updates: pd.DataFrame
    exposure: pd.DataFrame
    steps: pd.DataFrame


class Recorder(VecEnvWrapper):
    """Counts env steps and writes down sessions that begin before the budget is spent."""

    def __init__(
        self, venv: SB3VecEnv, budget: int, on_steps: Callable[[int], None] | None = None
    ) -> None:
        refuse_truth(venv.observation_space, "a deployed recommender")
        super().__init__(venv)
        self.base = venv
        self.budget = budget
        self.on_steps = on_steps
        self.env_steps = 0
        n_items = venv.vector_env.world.users.n_items
        self.k = venv.vector_env.slate_size
        self._shown = np.zeros((len(WINDOWS), n_items), dtype=np.int64)
        self._clicked = np.zeros((len(WINDOWS), n_items), dtype=np.int64)
        self._episodes: list[tuple[int, int, int, int, int, float, int, bool]] = []
        self._steps: list[tuple[int, int, int, int, int]] = []
        self.back: list[bool] = []  # after each recorded session, whether its user came back
        self._actions: NDArray[Any] = np.zeros((0,), dtype=np.int64)
        self.chances: Chances | None = None  # tells the chance of what is shown, which is then kept
        self.seen: Any = None  # what the actions of the step answer to
        self._chance: NDArray[np.float64] = np.zeros(0)  # (B,) of the slates of the step
        self._chance_of: list[float] = []  # a row of _steps each

    def reset(self) -> VecEnvObs:
        """Begin a session in every slot."""
        obs = self.seen = self.venv.reset()
        self._begin = np.full(self.num_envs, self.env_steps, dtype=np.int64)
        self._reward = np.zeros(self.num_envs, dtype=np.float64)
        self._length = np.zeros(self.num_envs, dtype=np.int64)
        return obs

    def step_async(self, actions: NDArray[Any]) -> None:
        """Keep the actions; they are what users are shown."""
        self._actions = np.asarray(actions).reshape(self.num_envs, -1)
        if self.chances is not None:
            self._chance = self.chances(self.seen, self._actions)
        self.venv.step_async(actions)

    def step_wait(self) -> VecEnvStepReturn:
        """Step and record."""
        obs, reward, done, infos = self.venv.step_wait()
        self.seen = obs
        assert isinstance(obs, dict)
        clicked = obs["feedback"][:, -self.k :].copy()
        for row in np.flatnonzero(done):
            clicked[row] = infos[row]["terminal_observation"]["feedback"][-self.k :]
        counted = self._begin < self.budget
        window = window_number(self._begin, self.budget)[counted, np.newaxis]
        shown = self._actions[counted]
        np.add.at(self._shown, (window, shown), 1)
        np.add.at(self._clicked, (window, shown), clicked[counted].astype(np.int64))
        serving = self.base.last_info
        kept = SAMPLED_SLOTS if self.chances is None else self.num_envs
        for slot in range(min(kept, self.num_envs)):
            if counted[slot]:
                episode, t = int(serving["episode"][slot]), int(self._length[slot])
                for item, click in zip(self._actions[slot], clicked[slot], strict=True):
                    self._steps.append((slot, episode, t, int(item), int(click)))
                if self.chances is not None:
                    self._chance_of += [float(self._chance[slot])] * self.k
        self._reward += reward
        self._length += 1
        self.env_steps += self.num_envs
        for slot in map(int, np.flatnonzero(done & counted)):
            self._episodes.append(
                (
                    int(self._begin[slot]),
                    self.env_steps,
                    slot,
                    int(serving["episode"][slot]),
                    int(serving["user"][slot]),
                    float(self._reward[slot]),
                    int(self._length[slot]),
                    bool(serving["terminated"][slot]),
                )
            )
            self.back.append(bool(self.base.last_info["back"][slot]))
        self._begin[done] = self.env_steps
        self._reward[done] = 0.0
        self._length[done] = 0
        if self.on_steps is not None:
            self.on_steps(self.num_envs)
        return obs, reward, done, infos

    def __getstate__(self) -> dict[str, Any]:
        """Leave out who is told of progress or tells chances, and SB3's list of the class."""
        state = {**self.__dict__, "on_steps": None, "chances": None}
        del state["class_attributes"]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take up the state."""
        self.__dict__.update(state)
        self.class_attributes = dict(inspect.getmembers(type(self)))

    @property
    def unfinished(self) -> bool:
        """Whether a session that began before the budget was spent is still running."""
        return bool((self._begin < self.budget).any())

    def tables(self, updates: list[dict[str, float]]) -> Tables:
        """Return everything recorded."""
        window, item = np.nonzero(self._shown)
        steps = pd.DataFrame(self._steps, columns=["slot", "episode", "t", "item", "clicked"])
        if self._chance_of:
            steps["propensity"] = self._chance_of
        return Tables(
            pd.DataFrame(
                self._episodes,
                columns=[
                    "start_step",
                    "end_step",
                    "slot",
                    "episode",
                    "user",
                    "reward",
                    "length",
                    "left",
                ],
            ),
            pd.DataFrame(updates if updates else {"env_step": []}),
            pd.DataFrame(
                {
                    "window": np.array(WINDOWS, dtype=object)[window],
                    "item": item,
                    "shown": self._shown[window, item],
                    "clicked": self._clicked[window, item],
                }
            ),
            steps,
        )


class UpdateLog(BaseCallback):
    """Keeps what the learner logged after each update, with the env step it belongs to.

    Between two updates a learner can be put down and taken up again, so `at_rest` is called there.

    Args:
        probe: Returns what else is noted of the learner; its own numbers win. None notes nothing.
    """

    def __init__(self, probe: Callable[[BaseAlgorithm], dict[str, float]] | None = None) -> None:
        super().__init__()
        self.probe = probe
        self.rows: list[dict[str, float]] = []
        self.at_rest: Callable[[], None] | None = None
        self._values: dict[str, Any] = {}  # of the last update, which a new logger does not know

    def _on_step(self) -> bool:
        return True

    def _on_training_start(self) -> None:
        self.logger.name_to_value.update(self._values)

    def _on_rollout_start(self) -> None:
        if self.at_rest is not None:
            self.at_rest()
        self._note()

    def _on_training_end(self) -> None:
        self._note()

    def _note(self) -> None:
        values = self.logger.name_to_value
        row = {
            name.removeprefix("train/"): float(value)
            for name, value in values.items()
            if name.startswith("train/") and isinstance(value, int | float)
        }
        if row and self.probe is not None:
            row = {**self.probe(self.model), **row}
        if row:
            self.rows.append({"env_step": int(self.num_timesteps), **row})

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the frames of SB3's loop, which its next call hands over again."""
        values = dict(self.logger.name_to_value)
        return {**self.__dict__, "locals": {}, "globals": {}, "at_rest": None, "_values": values}


@dataclass(frozen=True)
class Underway:
    """A deployment that has begun, with all that it needs to go on."""

    deployment: Deployment
    recorder: Recorder
    updates: UpdateLog
    snapshots: Snapshots | None = None


def deploy(
    deployment: Deployment, recorder: Recorder, checkpoint: Checkpoint | None = None
) -> Tables:
    """Let a recommender serve users until the budget is spent and the last session has ended.

    Sessions that are under way when the budget ends are played out without learning: dropping
    them would drop long sessions more often than short ones.

    Args:
        deployment: From a strategy whose learner, if any, was built on `recorder`.
        recorder: The users.
        checkpoint: Where a learner is kept while it learns; None keeps nothing.
    """
    return go_on(Underway(deployment, recorder, UpdateLog()), checkpoint)


def go_on(underway: Underway, checkpoint: Checkpoint | None = None) -> Tables:
    """Play a deployment to its end, from its beginning or from a checkpoint, to the same bytes."""
    recorder, updates = underway.recorder, underway.updates
    recommender: Any = underway.deployment.recommender

    def at_rest() -> None:
        if underway.snapshots is not None:
            underway.snapshots.take(recommender, recorder.env_steps)
        if checkpoint is not None and checkpoint.due():
            checkpoint.save(underway)

    if underway.deployment.learns:
        updates.at_rest = at_rest
        made = recommender.num_timesteps
        recommender.learn(
            recorder.budget - made,
            callback=updates,
            log_interval=None,
            reset_num_timesteps=made == 0,
        )
        obs = recommender._last_obs
    else:
        obs = recorder.reset()
    if underway.snapshots is not None:
        underway.snapshots.take(recommender, recorder.env_steps)
    while recorder.env_steps < recorder.budget or recorder.unfinished:
        actions, _ = recommender.predict(obs, deterministic=False)
        obs, _, _, _ = recorder.step(actions)
    return recorder.tables(updates.rows)
