"""Full observability: the user's true state in the observation, to price what partial one costs.

Everything here reads the truth that users are simulated from. It is for research on the cost of
partial observability; `simrec.observations.refuse_truth` keeps it out of studies and policies.
"""

from typing import Any

import numpy as np
from gymnasium import spaces
from gymnasium.vector.utils import batch_space
from numpy.typing import ArrayLike, NDArray

from simrec.envs.boredom import recent_topics
from simrec.envs.sessions import Observation, Sessions
from simrec.envs.single import RecommendEnv
from simrec.envs.users import affinity_of_all
from simrec.envs.vector import RecommendVectorEnv
from simrec.envs.world import World
from simrec.errors import SimrecError, nearest
from simrec.observations import TRUTH

OBSERVABILITY = ("partial", "full")


def check_observability(name: str) -> None:
    """Raise SimrecError unless the name is "partial" or "full"."""
    if name not in OBSERVABILITY:
        raise SimrecError(f"observability is '{name}'; {nearest(name, OBSERVABILITY)}")


def truth_space(world: World, slate_size: int) -> dict[str, spaces.Box]:
    """Return the spaces of the parts that full observability adds.

    All are float32. I items, G topics; rows of topics have length 1 or 0.

    | key | shape | range | meaning |
    |---|---|---|---|
    | truth_affinity | (I,) | 0 to 1 | P(like) of every item before moods, as drifted so far |
    | truth_recent | (G,) | -1 to 1 | mean topics of the items shown lately, which bore |
    | truth_sated | (G,) | -T k to T k | satiation by topic; 0 where the rules have none |
    | truth_shown | (G,) | -1 to 1 | mean topics shown in the session; 0 without novelty seeking |
    | truth_tilt | (G,) | sum of shifts | logits that a shift gives to each topic now |
    | truth_left | (1,) | 0 to 1 | share of patience (or of the budget) that is left |
    """
    n_topics, most = world.topics.shape[1], float(world.rules.horizon * slate_size)
    tilt = max(float(sum(abs(shift.size) for shift in world.schedule.shifts)), 1.0)
    return {
        f"{TRUTH}affinity": spaces.Box(0.0, 1.0, (world.n_items,), np.float32),
        f"{TRUTH}recent": spaces.Box(-1.0, 1.0, (n_topics,), np.float32),
        f"{TRUTH}sated": spaces.Box(-most, most, (n_topics,), np.float32),
        f"{TRUTH}shown": spaces.Box(-1.0, 1.0, (n_topics,), np.float32),
        f"{TRUTH}tilt": spaces.Box(-tilt, tilt, (n_topics,), np.float32),
        f"{TRUTH}left": spaces.Box(0.0, 1.0, (1,), np.float32),
    }


def true_state(sessions: Sessions) -> dict[str, NDArray[np.float32]]:
    """Return the parts of `truth_space`, each with leading dimension B, in arrays of their own."""
    world, memory, rules = sessions.world, sessions.memory, sessions.world.rules
    shape = (len(sessions.slots), world.topics.shape[1])
    none = np.zeros(shape)
    seen = np.maximum(sessions.step * sessions.slate_size, 1)[:, None]
    if rules.leave == "budget":
        left = 1.0 - memory.sums[2] / rules.budget
    else:
        left = 1.0 - memory.counts[1] / rules.patience
    tilt = world.schedule.tilt(sessions.date, shape[1])
    found = {
        "affinity": affinity_of_all(world.users, sessions.state),
        "recent": np.clip(recent_topics(world.topics, sessions.recent()), -1.0, 1.0),
        "sated": memory.sated[:, : shape[1]] if rules.satiation else none,
        "shown": np.clip(memory.seen[:, : shape[1]] / seen, -1.0, 1.0) if rules.novelty else none,
        "tilt": np.broadcast_to(tilt, shape),
        "left": np.clip(left, 0.0, 1.0)[:, None],
    }
    return {f"{TRUTH}{name}": np.array(part, dtype=np.float32) for name, part in found.items()}


class FullRecommendEnv(RecommendEnv):
    """A RecommendEnv whose observation also holds the user's true state (see `truth_space`).

    Args:
        world: The world played.
        **arguments: As for RecommendEnv.
    """

    def __init__(self, world: World, **arguments: Any) -> None:
        super().__init__(world, **arguments)
        self.observation_space = _with_truth(self.observation_space, world, self.slate_size)

    def _observation(self) -> Observation:
        truth = true_state(self._sessions)
        return {**super()._observation(), **{name: part[0] for name, part in truth.items()}}


class _WatchedSessions(Sessions):
    """Sessions that keep the true state in which others ended before they begin the next."""

    @property
    def _begins_slowly(self) -> bool:
        """True: the end of a session is looked at before the next begins."""
        return True

    def _begin_again(self, ended: NDArray[np.int64]) -> None:
        self.ends = {name: part[ended] for name, part in true_state(self).items()}
        super()._begin_again(ended)


class FullRecommendVectorEnv(RecommendVectorEnv):
    """A RecommendVectorEnv whose observations also hold the true state (see `truth_space`).

    The arrays of the truth are made anew in every step, which costs a score of every item for every
    user; they may be kept.

    Args:
        world: The world played.
        num_envs: Parallel users B.
        **arguments: As for RecommendVectorEnv.
    """

    _sessions_class = _WatchedSessions

    def __init__(self, world: World, num_envs: int, **arguments: Any) -> None:
        super().__init__(world, num_envs, **arguments)
        one = _with_truth(self.single_observation_space, world, self.slate_size)
        self.single_observation_space = one
        self.observation_space = batch_space(one, num_envs)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """See RecommendVectorEnv."""
        observation, info = super().reset(seed=seed, options=options)
        return {**observation, **true_state(self._sessions)}, info

    def step(
        self, actions: ArrayLike
    ) -> tuple[
        Observation, NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_], dict[str, Any]
    ]:
        """See RecommendVectorEnv."""
        observation, reward, terminated, truncated, info = super().step(actions)
        if "final_obs" in info:
            assert isinstance(self._sessions, _WatchedSessions)
            finals, ends = info["final_obs"].copy(), self._sessions.ends
            for place, row in enumerate(np.flatnonzero(info["_final_obs"])):
                finals[row] = {**finals[row], **{name: part[place] for name, part in ends.items()}}
            info["final_obs"] = finals
        observation = {**observation, **true_state(self._sessions)}
        return observation, reward, terminated, truncated, info


def _with_truth(space: spaces.Space[Any], world: World, slate_size: int) -> spaces.Dict:
    assert isinstance(space, spaces.Dict)
    return spaces.Dict({**space.spaces, **truth_space(world, slate_size)})
