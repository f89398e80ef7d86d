"""The vector environment as Stable-Baselines3 wants it."""

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.vector import VectorEnv
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices, VecEnvObs, VecEnvStepReturn

from simrec.envs.schedule import FOREVER
from simrec.envs.vector import RecommendVectorEnv
from simrec.envs.world import World
from simrec.errors import SimrecError


def passing(world: World) -> NDArray[np.int64]:
    """Return the items (A,) that are not on offer at all times; with creators that is any item."""
    if world.creators is not None:
        return np.arange(world.n_items)
    lives = world.schedule.lifetimes
    if lives is None:
        return np.zeros(0, dtype=np.int64)
    return np.flatnonzero((lives.appears > 0) | (lives.expires < FOREVER))


class SB3VecEnv(VecEnv):
    """A RecommendVectorEnv behind Stable-Baselines3's VecEnv.

    The info dictionaries are empty except where a session ended: there they hold
    `terminal_observation`, `TimeLimit.truncated` and `episode` = {"r": return, "l": steps}.
    `last_info` has the same news as arrays, without a loop over users.

    Where items come and go, observations have one part more, `absent` (B, A) int64: the items that
    are not on offer now, padded with -1. A recommender knows its own catalogue.

    `seed(s)` sets the luck of the next reset; all slots share it and differ by their slot number.

    Args:
        vector_env: The environment, such as `gymnasium.make_vec` makes; it is driven, and closed,
            by this one alone.

    Raises:
        SimrecError: It is no RecommendVectorEnv.
    """

    def __init__(self, vector_env: "RecommendVectorEnv | VectorEnv[Any, Any, Any]") -> None:
        if not isinstance(vector_env, RecommendVectorEnv):  # gymnasium.make_vec promises no more
            raise SimrecError(
                f"SB3VecEnv got a {type(vector_env).__name__}; expected a vector environment of "
                "simrec, such as gymnasium.make_vec('simrec/Toy-v0', num_envs=64)"
            )
        self.vector_env = vector_env
        self._actions: NDArray[Any] | None = None
        self._seed: int | None = None
        #: Of the users who answered the last step: user, episode (B,) int64, terminated,
        #: truncated (B,) bool. After a reset: user and episode of the users who arrived.
        self.last_info: dict[str, NDArray[Any]] = {}
        space = vector_env.single_observation_space
        self._passing = passing(vector_env.world)  # (A,) items that are not always on offer
        if len(self._passing):
            assert isinstance(space, spaces.Dict)
            absent = spaces.Box(-1, vector_env.world.n_items - 1, self._passing.shape, np.int64)
            space = spaces.Dict({**space.spaces, "absent": absent})
        super().__init__(vector_env.num_envs, space, vector_env.single_action_space)

    def reset(self) -> VecEnvObs:
        """Begin a session in every slot and return the observations."""
        obs, info = self.vector_env.reset(seed=self._seed)
        self._seed = None
        self._reset_seeds()
        self._reset_options()
        self.last_info = {"user": info["user"].copy(), "episode": info["session"].copy()}
        self._serving = self.last_info
        return {**obs, **self._absent()}

    def _absent(self) -> dict[str, NDArray[np.int64]]:
        """Return what is not on offer now, the same for every slot."""
        if not len(self._passing):
            return {}
        lives = self.vector_env.played.schedule.lifetimes
        assert lives is not None
        gone = self._passing[~lives.there(self._passing, self.vector_env.date)]
        rows = np.full((self.num_envs, len(self._passing)), -1, dtype=np.int64)
        rows[:, : len(gone)] = gone
        return {"absent": rows}

    def step_async(self, actions: NDArray[Any]) -> None:
        """Keep the actions for `step_wait`."""
        self._actions = actions

    def step_wait(self) -> VecEnvStepReturn:
        """Step every user; sessions that ended are begun again in the same call."""
        assert self._actions is not None, "step_wait without step_async"
        obs, reward, terminated, truncated, info = self.vector_env.step(self._actions)
        self._actions = None
        done = terminated | truncated
        absent = self._absent()
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        if done.any():
            final = info["final_info"]
            for row in np.flatnonzero(done):
                infos[row] = {
                    "terminal_observation": {
                        **info["final_obs"][row],
                        **{name: rows[row] for name, rows in absent.items()},
                    },
                    "TimeLimit.truncated": bool(truncated[row]),
                    "episode": {
                        "r": float(final["reward"][row]),
                        "l": int(final["length"][row]),
                    },
                }
        # who came back is known where the next session has begun
        back = done & (info["days"] > 0) if "days" in info else np.zeros_like(done)
        ends = {"terminated": terminated, "truncated": truncated, "back": back}
        self.last_info = self._serving | ends
        self._serving = {"user": info["user"].copy(), "episode": info["session"].copy()}
        return {**obs, **absent}, reward.astype(np.float32), done, infos

    def close(self) -> None:
        """Close the environment."""
        self.vector_env.close()

    def seed(self, seed: int | None = None) -> Sequence[int | None]:
        """Set the luck of the next reset; None leaves it to go on with the next episodes."""
        self._seed = seed
        self._seeds = [seed] * self.num_envs
        return self._seeds

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """Return an attribute of the shared environment once for each index."""
        value = getattr(self.vector_env, attr_name)
        return [value for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        """Set an attribute of the environment, which all indices share."""
        setattr(self.vector_env, attr_name, value)

    def env_method(
        self,
        method_name: str,
        *method_args: Any,
        indices: VecEnvIndices = None,
        **method_kwargs: Any,
    ) -> list[Any]:
        """Call a method of the shared environment once; a (B, ...) array is given out by row."""
        result = getattr(self.vector_env, method_name)(*method_args, **method_kwargs)
        by_row = isinstance(result, np.ndarray) and result.shape[:1] == (self.num_envs,)
        return [result[i] if by_row else result for i in self._get_indices(indices)]

    def env_is_wrapped(
        self,
        wrapper_class: type[gymnasium.Wrapper[Any, Any, Any, Any]],
        indices: VecEnvIndices = None,
    ) -> list[bool]:
        """Return False for each index: single users have no wrappers here."""
        return [False for _ in self._get_indices(indices)]
