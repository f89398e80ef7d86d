"""The replay memory gives back what really happened, whatever it leaves out."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnvWrapper
from stable_baselines3.common.vec_env.base_vec_env import VecEnvObs, VecEnvStepReturn

from simrec.agents.learners import make_learner
from simrec.agents.replay import HistoryReplay, Replay
from simrec.envs.sb3 import SB3VecEnv
from simrec.envs.world import Rules
from tests.agent_worlds import checkerboard, flat_world, make_env, make_spec, parity_vectors

B = 3
Step = dict[str, NDArray[Any]]  # what happened: the observation before, the slate, the clicks


class Witness(VecEnvWrapper):
    """Keeps every observation as the agent saw it, with the slate and the clicks."""

    def __init__(self, env: SB3VecEnv) -> None:
        super().__init__(env)
        self.k = env.vector_env.slate_size
        self.steps: list[Step] = []
        self.ends = 0

    def reset(self) -> VecEnvObs:
        self.now: Any = self.venv.reset()
        return self.now

    def step_async(self, actions: NDArray[Any]) -> None:
        self.shown = np.asarray(actions).reshape(self.num_envs, -1)
        self.venv.step_async(actions)

    def step_wait(self) -> VecEnvStepReturn:
        obs: Any
        obs, reward, done, infos = self.venv.step_wait()
        before = {key: np.array(value) for key, value in self.now.items()}
        clicks = np.stack(
            [
                (
                    infos[b]["terminal_observation"]
                    if done[b]
                    else {k: v[b] for k, v in obs.items()}
                )["feedback"][-self.k :]
                for b in range(self.num_envs)
            ]
        )
        self.steps.append({**before, "shown": self.shown.copy(), "clicks": clicks})
        self.ends += int(done.sum())
        self.now = obs
        return obs, reward, done, infos


def play(
    steps: int, *, slate_size: int = 1, buffer_size: int = 1000
) -> tuple[HistoryReplay, Witness]:
    """Show random items, seen ones too, to users who leave early, and remember all of it."""
    world = flat_world(0.0, n_items=9, rules=Rules(horizon=4, patience=2, boredom=0.0, window=1))
    env = Witness(make_env(world, B, slate_size=slate_size))
    space: Any = env.observation_space
    replay = HistoryReplay(buffer_size, space, env.action_space, "cpu", n_envs=B, luck=6)
    rng = np.random.default_rng(0)
    obs: Any = env.reset()
    for _ in range(steps):
        shape = (B,) if slate_size == 1 else (B, slate_size)
        action = rng.integers(0, 9, shape)
        after: Any
        after, reward, done, infos = env.step(action)
        last = {key: np.array(value) for key, value in after.items()}
        for row in np.flatnonzero(done):  # as SB3's off-policy algorithms do
            for key, value in infos[row]["terminal_observation"].items():
                last[key][row] = value
        replay.add(obs, last, action, reward, done, infos)
        obs = after
    return replay, env


def assert_is(found: Replay, steps: list[Step]) -> None:
    """Compare remembered steps with the true ones, newest first."""
    truth = {key: np.concatenate([s[key] for s in reversed(steps)]) for key in steps[0]}
    for key in ("history", "feedback", "step"):
        np.testing.assert_array_equal(found.obs[key].numpy(), truth[key])
    np.testing.assert_array_equal(found.items.numpy(), truth["shown"])
    np.testing.assert_array_equal(found.clicks.numpy(), truth["clicks"])
    fresh = [
        [float(item not in history) for item in slate]
        for slate, history in zip(truth["shown"].tolist(), truth["history"].tolist(), strict=True)
    ]
    assert found.fresh.tolist() == fresh


@pytest.mark.parametrize("slate_size", [1, 3])
def test_the_state_before_each_step_is_rebuilt_also_across_session_ends(slate_size: int) -> None:
    replay, env = play(25, slate_size=slate_size)
    assert env.ends > 10
    found = replay.newest(25)
    assert_is(found, env.steps)
    # items shown again were not fresh, and were never clicked
    assert 0 < found.fresh.mean() < 1
    assert float((found.clicks * (1 - found.fresh)).sum()) == 0.0
    assert_is(replay.newest(2), env.steps[-2:])


def test_what_sb3_stores_while_learning_is_what_happened() -> None:
    env = Witness(make_env(checkerboard(horizon=3), B))
    model: Any = make_learner(make_spec("kac", parity_vectors(), rollout_steps=10), env, luck=0)
    model.learn(2 * 10 * B)
    assert env.ends > 10
    assert_is(model.replay_buffer.newest(100), env.steps)


def test_a_full_ring_keeps_the_newest_steps() -> None:
    replay, env = play(8, buffer_size=3 * B)
    assert replay.full
    assert_is(replay.newest(100), env.steps[-3:])
    assert_is(replay.newest(2), env.steps[-2:])
    truth = np.concatenate([s["history"] for s in env.steps[-3:]])
    drawn = replay.sample(200).obs["history"].numpy()
    assert {row.tobytes() for row in drawn} == {row.tobytes() for row in truth}


def test_the_same_luck_draws_the_same_batches_and_no_global_luck_is_used() -> None:
    (a, _), (b, _) = play(10), play(10)
    before = np.random.get_state(legacy=False)["state"]["key"].copy()  # noqa: NPY002
    torch_before = torch.get_rng_state()
    first, second = a.sample(50), a.sample(50)
    np.random.seed(1)  # noqa: NPY002 (somebody else's luck must not matter)
    try:
        other = b.sample(50)
    finally:
        np.random.set_state(  # noqa: NPY002
            {**np.random.get_state(legacy=False), "state": {"key": before, "pos": 624}}  # noqa: NPY002
        )
    assert torch.equal(first.obs["history"], other.obs["history"])
    assert torch.equal(first.items, other.items)
    assert not torch.equal(first.obs["history"], second.obs["history"])
    assert torch.equal(torch_before, torch.get_rng_state())


def test_sampling_leaves_numpys_global_state_untouched() -> None:
    replay, _ = play(10)
    before = np.random.get_state(legacy=False)  # noqa: NPY002
    replay.sample(50)
    after = np.random.get_state(legacy=False)  # noqa: NPY002
    assert before["state"]["pos"] == after["state"]["pos"]
    assert (before["state"]["key"] == after["state"]["key"]).all()


def test_draws_are_uniform_over_what_is_remembered() -> None:
    replay, env = play(4)
    drawn = replay.sample(6000)
    steps = np.concatenate([s["step"] for s in env.steps]).ravel()
    # the share of remembered steps at each place of a session; standard error below 0.007
    for place in np.unique(steps):
        assert (drawn.obs["step"] == int(place)).float().mean().item() == pytest.approx(
            (steps == place).mean(), abs=0.03
        )
