"""Full observability: enough to know every click, inside its space, and refused where it cheats."""

import pickle

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from scipy.special import expit, logit
from stable_baselines3.common.env_checker import check_env as sb3_check_env

from simrec.agents.policy import ItemPolicy
from simrec.deploy import Recorder
from simrec.envs.observability import FullRecommendEnv, FullRecommendVectorEnv
from simrec.envs.rules import Rules
from simrec.envs.sb3 import SB3VecEnv
from simrec.envs.schedule import Schedule, Shift
from simrec.envs.vector import RecommendVectorEnv
from simrec.errors import SimrecError
from tests.env_worlds import constant_world, random_world

RULES = Rules(drift=0.2, satiation=0.7, novelty=0.4, patience=3, horizon=9)


def moody():
    """A world with every mood there is."""
    shift = Shift(5, 1.5, (1, 4), until=30)
    return random_world(rules=RULES).changed(Schedule((shift,)))


def random_slates(n_items, steps, batch, k=1, seed=0):
    shape = (batch,) if k == 1 else (batch, k)
    rng = np.random.default_rng(seed)
    return [rng.integers(n_items, size=shape) for _ in range(steps)]


def test_the_true_state_tells_the_chance_of_every_click():
    """The whole utility of the rules, put together again from the observation alone."""
    world = moody()
    env = FullRecommendVectorEnv(world, 6)
    obs, _ = env.reset(seed=1)
    for slate in random_slates(60, 40, 6):
        z = logit(obs["truth_affinity"].astype(float))
        z += (obs["truth_tilt"] - 0.6 * obs["truth_recent"]) @ world.topics.T
        z -= 0.7 * obs["truth_sated"] @ world.topics.T
        z += 0.4 * (1 - obs["truth_shown"] @ world.topics.T)
        chance = np.where(env.action_masks(), expit(z), 0.0)
        assert chance == pytest.approx(env.click_probability(), abs=1e-5)
        obs = env.step(slate)[0]


@pytest.mark.parametrize("k", [1, 3])
def test_what_a_partial_agent_sees_is_the_same_to_the_byte(k):
    world = moody()
    partial = RecommendVectorEnv(world, 5, slate_size=k)
    full = FullRecommendVectorEnv(world, 5, slate_size=k)
    obs, seen = partial.reset(seed=2)[0], full.reset(seed=2)[0]
    ends = 0
    for slate in random_slates(60, 60, 5, k):
        assert all((obs[name] == seen[name]).all() for name in obs)
        assert full.observation_space.contains(seen)
        obs, *wanted, info = partial.step(slate)
        seen, *got, told = full.step(slate)
        assert all((a == b).all() for a, b in zip(wanted, got, strict=True))
        for row in np.flatnonzero(info.get("_final_obs", np.zeros(0))):
            ends += 1
            mine, its = info["final_obs"][row], told["final_obs"][row]
            assert all((mine[name] == its[name]).all() for name in mine)
            assert full.single_observation_space.contains(its)
    assert ends > 5


def test_the_end_of_a_session_is_the_user_as_they_left():
    env = FullRecommendVectorEnv(constant_world(0.0, rules=Rules(patience=4, horizon=9)), 2)
    obs, _ = env.reset(seed=0)
    assert obs["truth_left"].tolist() == [[1.0]] * 2
    for left in (0.75, 0.5, 0.25):
        obs, *_ = env.step([20, 21])
        assert obs["truth_left"].tolist() == [[left]] * 2
    obs, *_, info = env.step([20, 21])
    assert [last["truth_left"].tolist() for last in info["final_obs"]] == [[0.0]] * 2
    assert obs["truth_left"].tolist() == [[1.0]] * 2


def test_a_single_environment_is_a_slot_of_the_vector():
    world = moody()
    many, one = FullRecommendVectorEnv(world, 3), FullRecommendEnv(world, slot=2)
    obs, seen = many.reset(seed=4)[0], one.reset(seed=4)[0]
    over = False
    for slate in random_slates(60, 9, 3):
        assert seen.keys() == obs.keys()
        for name, part in seen.items():
            assert part == pytest.approx(obs[name][2], abs=1e-6)
        if over:
            break
        obs = many.step(slate)[0]
        one = pickle.loads(pickle.dumps(one))
        seen, _, left, cut, _ = one.step(slate[2])
        if left or cut:
            break


@pytest.mark.filterwarnings("ignore:.*Not able to test alternative render modes")
def test_it_is_chosen_where_an_environment_is_made_and_passes_the_checkers(data_home):
    env = gymnasium.make("simrec.envs:simrec/Toy-v0", observability="full")
    check_env(env.unwrapped)
    sb3_check_env(env.unwrapped)
    many = gymnasium.make_vec("simrec/Toy-v0", num_envs=3, observability="full")
    obs, _ = many.reset(seed=0)
    assert many.observation_space.contains(obs)
    assert obs["truth_affinity"].shape == (3, env.unwrapped.world.n_items)
    assert "truth_left" not in gymnasium.make("simrec/Toy-v0").observation_space.spaces
    with pytest.raises(SimrecError, match=r"^observability is 'ful'; did you mean 'full'\?$"):
        gymnasium.make("simrec/Toy-v0", observability="ful")


def test_neither_a_study_nor_a_policy_takes_it_by_accident():
    env = SB3VecEnv(FullRecommendVectorEnv(random_world(), 2))
    with pytest.raises(SimrecError) as caught:
        Recorder(env, 100)
    assert str(caught.value) == (
        "a deployed recommender would see what only the simulator knows (truth_affinity, "
        "truth_left, truth_recent, truth_sated, truth_shown, truth_tilt); expected an environment "
        "with observability='partial', and the control 'oracle' for a policy that knows the truth"
    )
    with pytest.raises(SimrecError, match=r"^a policy would see what only the simulator knows"):
        ItemPolicy(
            env.observation_space,
            env.action_space,
            lambda _: 1.0,
            item_vectors=np.eye(60, dtype=np.float32),
            table_fingerprint="",
        )
