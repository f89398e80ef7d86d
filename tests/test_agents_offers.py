"""Where items come and go, a recommender knows what is on offer and shows nothing else."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnvWrapper
from stable_baselines3.common.vec_env.base_vec_env import VecEnvObs, VecEnvStepReturn

from simrec.agents.adapt import STRATEGIES, Online, get_strategy
from simrec.agents.baselines import Greedy, RandomRecommender
from simrec.agents.policy import ItemPolicy
from simrec.agents.replay import HistoryReplay
from simrec.agents.strategy import Deployment
from simrec.agents.two_level import TwoLevelPolicy
from simrec.deploy import Recorder, deploy
from simrec.envs.creators import Creators
from simrec.envs.sb3 import SB3VecEnv
from simrec.envs.schedule import FOREVER, Lifetimes, Schedule
from simrec.envs.world import World
from tests.agent_worlds import TABLE, checkerboard, make_env, make_spec, parity_vectors, tensors

N_ITEMS = 40


def passing_world() -> World:
    """The checkerboard; items 20 to 29 come on dates 0 to 9, items 30 to 35 go on date 7."""
    appears, expires = np.zeros(N_ITEMS, dtype=np.int64), np.full(N_ITEMS, FOREVER)
    appears[20:30] = np.arange(10)
    expires[30:36] = 7
    return replace(checkerboard(), schedule=Schedule(lifetimes=Lifetimes(appears, expires)))


def on_offer(date: int) -> NDArray[np.bool_]:
    """What the world above has on a date (I,), worked out here."""
    there = np.ones(N_ITEMS, dtype=np.bool_)
    there[20:30] = np.arange(10) <= date
    there[30:36] = date < 7
    return there


class Watched(VecEnvWrapper):
    """Passes everything on, and keeps what was shown on which date."""

    def __init__(self, venv: SB3VecEnv) -> None:
        super().__init__(venv)
        self.vector_env = venv.vector_env
        self.inner = venv
        self.shown: list[tuple[int, NDArray[Any]]] = []

    @property
    def last_info(self) -> Any:
        return self.inner.last_info

    def reset(self) -> VecEnvObs:
        return self.venv.reset()

    def step_async(self, actions: NDArray[Any]) -> None:
        self.shown.append((self.vector_env.date, np.array(actions)))
        self.venv.step_async(actions)

    def step_wait(self) -> VecEnvStepReturn:
        return self.venv.step_wait()


@pytest.mark.parametrize("name", sorted(STRATEGIES))
def test_no_strategy_shows_what_is_not_on_offer(name: str) -> None:
    watched: Any = Watched(make_env(passing_world(), 8))
    recorder = Recorder(watched, 8 * 30)
    spec = make_spec("kac", parity_vectors(), rollout_steps=6, gradient_steps=1, batch_size=32)
    pretrained = ItemPolicy(
        watched.observation_space, watched.action_space, lambda _: 1e-3, **spec.policy
    )
    deploy(get_strategy(name)(pretrained, Online(spec, recorder, luck=5)), recorder)
    assert len(watched.shown) >= 30
    for date, items in watched.shown:
        assert on_offer(date)[items].all(), date


@pytest.mark.parametrize("slate_size", [1, 3])
def test_controls_show_what_is_on_offer(slate_size: int) -> None:
    score = np.arange(N_ITEMS, dtype=np.float64)
    for control in (
        Greedy(lambda obs: np.tile(score, (len(obs["history"]), 1)), N_ITEMS, slate_size),
        RandomRecommender(N_ITEMS, np.random.default_rng(0), slate_size),
    ):
        watched: Any = Watched(make_env(passing_world(), 8, slate_size=slate_size))
        deploy(Deployment(control, learns=False), Recorder(watched, 8 * 20))
        for date, items in watched.shown:
            assert on_offer(date)[items].all(), date


def test_what_is_absent_is_what_the_masks_say_less_what_was_met() -> None:
    env = make_env(passing_world(), 4)
    obs: Any = env.reset()
    for date in range(12):
        assert env.observation_space.contains({key: rows[0] for key, rows in obs.items()})
        may = env.vector_env.action_masks()
        for row in range(4):
            allowed = on_offer(date)
            met = obs["history"][row]
            allowed[met[met >= 0]] = False
            np.testing.assert_array_equal(may[row], allowed)
            gone = obs["absent"][row]
            np.testing.assert_array_equal(gone[gone >= 0], np.flatnonzero(~on_offer(date)))
        obs, _, done, infos = env.step(may.argmax(axis=1))
        for row in np.flatnonzero(done):
            assert "absent" in infos[row]["terminal_observation"]


def test_a_world_that_never_changes_says_nothing_of_absence() -> None:
    obs: Any = make_env(checkerboard(), 4).reset()
    assert set(obs) == {"history", "feedback", "step"}


def test_items_that_creators_hold_back_are_absent() -> None:
    listed = np.arange(N_ITEMS) % 4 != 3
    world = replace(checkerboard(), creators=Creators(np.arange(N_ITEMS) // 4, listed))
    obs: Any = make_env(world, 2).reset()
    gone = obs["absent"][0]
    np.testing.assert_array_equal(gone[gone >= 0], np.flatnonzero(~listed))


def test_the_memory_keeps_what_was_absent_before_and_after_a_step() -> None:
    env = make_env(passing_world(), 2)
    space: Any = env.observation_space
    replay = HistoryReplay(40, space, env.action_space, device="cpu", n_envs=2)
    obs: Any = env.reset()
    for _ in range(9):
        actions = env.vector_env.action_masks().argmax(axis=1)
        after, reward, done, infos = env.step(actions)
        replay.add(obs, after, actions, reward, done, infos)  # type: ignore[arg-type]
        obs = after
    batch = replay.newest(9)
    ahead = replay.ahead(batch, 1, 0.5)
    for i, date in enumerate(batch.when):
        for found, then in ((batch.obs, int(date)), (ahead.obs, int(date) + 1)):
            gone = found["absent"][i].numpy()
            np.testing.assert_array_equal(gone[gone >= 0], np.flatnonzero(~on_offer(then)))


def test_a_group_with_nothing_on_offer_is_not_drawn() -> None:
    env = make_env(passing_world(), 4)
    groups = np.arange(N_ITEMS) // 5  # items 30 to 34 are a group of their own
    made = TwoLevelPolicy(
        env.observation_space,
        env.action_space,
        lambda _: 1e-3,
        item_vectors=parity_vectors(),
        table_fingerprint=TABLE,
        groups=groups,
    )
    obs: Any = env.reset()
    for _ in range(8):
        obs, *_ = env.step(env.vector_env.action_masks().argmax(axis=1))
    with torch.no_grad():
        chances = made.log_probs(tensors(obs)).exp().numpy()
    np.testing.assert_allclose(chances.sum(axis=1), 1.0, atol=1e-5)
    assert not chances[:, ~on_offer(8)].any()
