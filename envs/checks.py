"""What every environment id must hold: Gymnasium's and Stable-Baselines3's checkers, and bytes.

Imports torch through Stable-Baselines3, so this file is loaded only where checks are run.
"""

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import gymnasium
import numpy as np
from gymnasium.utils.env_checker import check_env as check_gymnasium
from gymnasium.wrappers import RecordEpisodeStatistics
from gymnasium.wrappers.vector import RecordEpisodeStatistics as VectorStatistics
from numpy.typing import NDArray
from stable_baselines3.common.env_checker import check_env as check_sb3
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env.base_vec_env import VecEnv

from simrec.envs.sb3 import SB3VecEnv
from simrec.envs.semantic_actions import SemanticIdAction, StepwiseSemanticId
from simrec.envs.single import RecommendEnv
from simrec.envs.vector import RecommendVectorEnv
from simrec.errors import SimrecError
from simrec.files import fingerprint
from simrec.items.rq_kmeans import residual_kmeans
from simrec.items.semantic_ids import SemanticIds

STEPS = 60  # of the vector checks: several sessions of every slot
SLOTS = 5


def check_world(id: str) -> list[str]:
    """Run every check on an environment id and return the names of those that passed.

    Args:
        id: A registered id whose data is present.

    Raises:
        SimrecError: A check failed; the sentence says which, and what it found.
    """
    checks: Mapping[str, Callable[[str], None]] = {
        "gymnasium's checker": _gymnasium_single,
        "gymnasium's checker, slate of 3": _gymnasium_slate,
        "SB3's checker": _sb3_single,
        "SB3's checker, slate of 3": _sb3_slate,
        "both checkers, full observability": _full,
        "both checkers, semantic ids": _semantic_ids,
        "vector: spaces, shapes, ends": _vector,
        "SB3 vector: spaces, shapes, infos": _sb3_vector,
        "statistics of Gymnasium and SB3": _statistics,
        "same seed, same bytes": _deterministic,
        "a single env is a slot of the vector env": _single_is_slot,
    }
    passed = []
    for name, check in checks.items():
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # checkers advise on style; errors are raised
                check(id)
        except Exception as error:  # a checker lets through whatever a broken world raises
            raise SimrecError(f"{id} failed '{name}': {error}; expected to pass") from error
        passed.append(name)
    return passed


def _gymnasium_single(id: str) -> None:
    check_gymnasium(gymnasium.make(id, disable_env_checker=True).unwrapped)


def _gymnasium_slate(id: str) -> None:
    check_gymnasium(gymnasium.make(id, slate_size=3, disable_env_checker=True).unwrapped)


def _sb3_single(id: str) -> None:
    check_sb3(gymnasium.make(id).unwrapped)


def _sb3_slate(id: str) -> None:
    check_sb3(gymnasium.make(id, slate_size=3).unwrapped)


def _full(id: str) -> None:
    env = gymnasium.make(id, observability="full", disable_env_checker=True).unwrapped
    check_gymnasium(env)
    check_sb3(env)


def _semantic_ids(id: str) -> None:
    for wrapper in (SemanticIdAction, StepwiseSemanticId):
        inner = gymnasium.make(id, slate_size=2, disable_env_checker=True).unwrapped
        assert isinstance(inner, RecommendEnv) and inner.table is not None
        size = min(16, inner.world.n_items)
        codes, centres = residual_kmeans(inner.table.fused, levels=2, size=size)
        env = wrapper(inner, SemanticIds.from_codes(codes, size), centres=centres)
        check_gymnasium(env, skip_render_check=True)
        check_sb3(env)


def _vector(id: str) -> None:
    env = gymnasium.make_vec(id, num_envs=SLOTS)
    assert env.unwrapped is env, "make_vec did not use the native vector environment"
    env.action_space.seed(0)
    observation, _ = env.reset(seed=0)
    assert env.observation_space.contains(observation), "the first observation is not in its space"
    for step in range(STEPS):
        observation, reward, terminated, truncated, info = env.step(env.action_space.sample())
        assert env.observation_space.contains(observation), (
            f"observation {step} is not in its space"
        )
        assert reward.shape == terminated.shape == truncated.shape == (SLOTS,), "wrong shapes"
        assert not (terminated & truncated).any(), "a session was both terminated and truncated"
        over = terminated | truncated
        if over.any():
            assert (info["_final_obs"] == over).all(), "final_obs is not where sessions ended"
            for row in np.flatnonzero(over):
                last = info["final_obs"][row]
                assert env.single_observation_space.contains(last), (
                    "a final_obs is not in its space"
                )


def _sb3_vector(id: str) -> None:
    users = gymnasium.make_vec(id, num_envs=SLOTS)
    assert isinstance(users, RecommendVectorEnv), "make_vec did not return the native environment"
    env: VecEnv = SB3VecEnv(users)
    env.seed(0)
    observation = env.reset()
    assert isinstance(observation, dict), "the observation is not a dictionary"
    env.action_space.seed(0)
    for _ in range(STEPS):
        observation, reward, done, infos = env.step(
            np.array([env.action_space.sample() for _ in range(SLOTS)])
        )
        assert isinstance(observation, dict)
        for row in range(SLOTS):
            one = {name: part[row] for name, part in observation.items()}
            assert env.observation_space.contains(one), "an observation is not in its space"
            assert ("terminal_observation" in infos[row]) == bool(done[row]), "wrong infos"
        assert reward.shape == done.shape == (SLOTS,), "wrong shapes"


def _statistics(id: str) -> None:
    for one in (RecordEpisodeStatistics(gymnasium.make(id)), Monitor(gymnasium.make(id))):
        one.action_space.seed(0)
        one.reset(seed=0)
        total, over = 0.0, False
        while not over:
            _, reward, terminated, truncated, info = one.step(one.action_space.sample())
            total, over = total + float(reward), terminated or truncated
        assert float(info["episode"]["r"]) == total, f"{type(one).__name__} counted another return"
    many = VectorStatistics(gymnasium.make_vec(id, num_envs=SLOTS))
    many.action_space.seed(0)
    many.reset(seed=0)
    for _ in range(STEPS):  # Gymnasium 1.1 counts as if no session began again in the same step
        many.step(many.action_space.sample())


def _deterministic(id: str) -> None:
    assert _course(id) == _course(id), "two runs under one seed differ"


def _course(id: str) -> str:
    env = gymnasium.make_vec(id, num_envs=SLOTS)
    env.action_space.seed(1)
    parts: list[NDArray[Any]] = []
    observation, _ = env.reset(seed=7)
    for _ in range(STEPS):
        parts += [observation[name] for name in sorted(observation)]
        observation, reward, terminated, truncated, _ = env.step(env.action_space.sample())
        parts += [reward, terminated, truncated]
    return fingerprint(*parts)


def _single_is_slot(id: str) -> None:
    many, one = gymnasium.make_vec(id, num_envs=SLOTS), gymnasium.make(id, slot=3)
    one.action_space.seed(2)
    observations, _ = many.reset(seed=3)
    observation, _ = one.reset(seed=3)
    over = False
    while not over:
        for name, part in observation.items():
            assert (np.asarray(observations[name][3]) == part).all(), f"'{name}' differs in slot 3"
        action = one.action_space.sample()
        observation, reward, terminated, truncated, _ = one.step(action)
        observations, rewards, _, _, _ = many.step(np.full(SLOTS, action))
        assert rewards[3] == reward, "rewards differ in slot 3"
        over = bool(terminated or truncated)
