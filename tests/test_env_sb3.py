"""The environment behind Stable-Baselines3's VecEnv."""

import gymnasium
import numpy as np
import pytest
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor

from simrec.envs.sb3 import SB3VecEnv
from simrec.envs.vector import RecommendVectorEnv
from simrec.envs.world import Rules
from simrec.errors import SimrecError
from tests.env_worlds import constant_world, random_world


class FeedbackOnly(BaseFeaturesExtractor):
    """The smallest reader of the observation: the feedback alone."""

    def __init__(self, space):
        super().__init__(space, space["feedback"].shape[0])

    def forward(self, obs):
        return obs["feedback"]


def test_an_environment_of_others_is_refused():
    with pytest.raises(
        SimrecError, match=r"^SB3VecEnv got a \w+; expected a vector environment of"
    ):
        SB3VecEnv(gymnasium.make_vec("CartPole-v1", num_envs=2))


def test_a_session_that_ends_reports_what_sb3_needs():
    env = SB3VecEnv(RecommendVectorEnv(constant_world(1.0, rules=Rules(horizon=3)), 2))
    env.seed(0)
    env.reset()
    for t in range(3):
        obs, reward, done, infos = env.step(np.array([10 + t, 20 + t]))
        assert done.tolist() == [t == 2] * 2
        if t < 2:
            assert infos == [{}, {}]
    assert reward.dtype == np.float32
    assert [info["episode"] for info in infos] == [{"r": 3.0, "l": 3}] * 2
    assert [info["TimeLimit.truncated"] for info in infos] == [True, True]
    assert infos[1]["terminal_observation"]["history"][-3:].tolist() == [20, 21, 22]
    assert obs["step"].tolist() == [[0], [0]]
    assert env.observation_space.contains(infos[0]["terminal_observation"])


def test_a_user_who_leaves_is_not_reported_as_truncated():
    env = SB3VecEnv(RecommendVectorEnv(constant_world(0.0, rules=Rules(patience=1)), 1))
    env.reset()
    *_, infos = env.step(np.array([20]))
    assert infos[0]["TimeLimit.truncated"] is False
    assert env.last_info["terminated"].tolist() == [True]


def test_last_info_is_about_the_users_who_answered():
    world = random_world(rules=Rules(patience=1))
    env = SB3VecEnv(RecommendVectorEnv(world, 6))
    env.seed(1)
    env.reset()
    rng = np.random.default_rng(0)
    for _ in range(30):
        users, episodes = env.vector_env.current_users, env.last_info["episode"]
        previous = env.last_info.get("terminated", np.zeros(6, dtype=bool))
        env.step(rng.integers(60, size=6))
        assert (env.last_info["user"] == users).all()
        assert (env.last_info["episode"] == episodes + previous).all()


def test_seed_sets_the_luck_of_the_next_reset_only():
    env = SB3VecEnv(RecommendVectorEnv(random_world(), 3))
    env.seed(7)
    first = env.reset()["history"]
    assert env.vector_env.luck_seed == 7
    env.reset()
    assert env.last_info["episode"].tolist() == [1, 1, 1]
    env.seed(7)
    assert (env.reset()["history"] == first).all()


def test_attributes_and_methods_reach_the_environment_by_slot():
    env = SB3VecEnv(RecommendVectorEnv(random_world(), 3))
    env.reset()
    masks = env.env_method("action_masks")
    assert [mask.shape for mask in masks] == [(60,)] * 3
    assert (env.env_method("action_masks", indices=[2])[0] == masks[2]).all()
    assert env.get_attr("slate_size", indices=1) == [1]
    assert env.has_attr("action_masks") and not env.has_attr("no_such_thing")
    env.set_attr("render_mode", None)
    assert env.env_is_wrapped(gymnasium.Wrapper) == [False] * 3


def test_plain_ppo_trains_on_it():
    torch.set_num_threads(1)
    env = SB3VecEnv(RecommendVectorEnv(random_world(), 8))
    model = PPO(
        "MultiInputPolicy",
        env,
        n_steps=16,
        batch_size=64,
        n_epochs=1,
        seed=0,
        device="cpu",
        policy_kwargs={"features_extractor_class": FeedbackOnly, "net_arch": [8]},
    )
    before = [p.detach().clone() for p in model.policy.parameters()]
    model.learn(256)
    assert model.num_timesteps == 256
    assert any((a != b).any() for a, b in zip(before, model.policy.parameters(), strict=True))
    # the buffer kept the observations acted on: the step counter runs 0, 1, 2, ... and restarts
    # (training has flattened it slot by slot)
    steps = model.rollout_buffer.observations["step"].reshape(8, 16).T
    starts = model.rollout_buffer.episode_starts.astype(bool)
    assert (steps[starts] == 0).all() and starts[1:].any()
    assert (steps[1:][~starts[1:]] == steps[:-1][~starts[1:]] + 1).all()
