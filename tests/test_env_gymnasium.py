"""The environments under Gymnasium's contract: checkers, ids, registration."""

import subprocess
import sys

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode
from stable_baselines3.common.env_checker import check_env as sb3_check_env

import simrec.envs
from simrec.datasets.toy import make_toy
from simrec.envs.retention import Retention
from simrec.envs.vector import RecommendVectorEnv
from simrec.errors import SimrecError
from tests.env_worlds import random_world

IDS = ["simrec/Toy-v0", "simrec/MovieLens-v0"]


def tiny():
    """A data set that a user of simrec might bring along."""
    return make_toy(seed=1, n_items=60, n_users=80)


@pytest.fixture
def movielens(shared_data, data_home):
    """A library that has the real MovieLens."""
    from simrec.datasets.library import import_dataset

    import_dataset("tidy", shared_data / "ml100k_mm", "movielens")


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.filterwarnings("ignore:.*Not able to test alternative render modes")
def test_the_toy_passes_both_checkers(data_home, k):
    env = gymnasium.make("simrec.envs:simrec/Toy-v0", slate_size=k)
    check_env(env.unwrapped)
    sb3_check_env(env.unwrapped)


def test_movielens_passes_both_checkers_and_needs_personal_recommendation(movielens):
    env = gymnasium.make("simrec/MovieLens-v0")
    check_env(env.unwrapped)
    sb3_check_env(env.unwrapped)
    assert env.unwrapped.table.ids[:1] == ("0",)
    assert gymnasium.make_vec("simrec/MovieLens-v0", num_envs=2).world is env.unwrapped.world


def test_make_vec_uses_the_native_class(data_home):
    env = gymnasium.make_vec("simrec/Toy-v0", num_envs=8, slate_size=2)
    assert type(env) is RecommendVectorEnv
    assert (env.num_envs, env.slate_size) == (8, 2)
    assert env.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    assert env.table is not None and len(env.table) == env.world.n_items
    obs, _ = env.reset(seed=0)
    assert env.observation_space.contains(obs)


@pytest.mark.parametrize("id", IDS)
def test_no_wrapper_cuts_sessions_a_second_time(id):
    assert gymnasium.spec(id).max_episode_steps is None


def test_the_synchronous_vector_of_gymnasium_plays_the_same_world(data_home):
    env = gymnasium.make_vec("simrec/Toy-v0", num_envs=2, vectorization_mode="sync")
    obs, _ = env.reset(seed=0)
    native = gymnasium.make_vec("simrec/Toy-v0", num_envs=1)
    assert (obs["history"][0] == native.reset(seed=0)[0]["history"][0]).all()


def test_a_world_is_read_back_from_the_disk_unchanged(data_home):
    from simrec.envs import load

    world, table = simrec.envs.load_world("toy")
    load.load.cache_clear()
    again, same_table = simrec.envs.load_world("simrec/Toy-v0")
    assert again is not world
    assert (again.fingerprint, same_table.fingerprint) == (world.fingerprint, table.fingerprint)
    assert len(list((data_home / "worlds").iterdir())) == 1


def test_a_world_of_ones_own_is_registered_in_a_line(data_home, request):
    here = f"{__name__}:tiny"
    sys.modules.setdefault(__name__, sys.modules[tiny.__module__])
    request.addfinalizer(lambda: gymnasium.registry.pop("simrec/Tiny-v0"))
    simrec.envs.register("simrec/Tiny-v0", dataset=here, topics_attribute="topic", patience=2)
    simrec.envs.register("simrec/Tiny-v0", dataset=here, topics_attribute="topic", patience=2)
    env = gymnasium.make("simrec/Tiny-v0", horizon=9)
    assert env.unwrapped.world.n_items <= 60
    assert (env.unwrapped.world.rules.patience, env.unwrapped.world.rules.horizon) == (2, 9)
    with pytest.raises(SimrecError, match=r"^the environment id 'simrec/Tiny-v0' is taken already"):
        simrec.envs.register("simrec/Tiny-v0", dataset=here)


def test_mistakes_in_names_are_sentences(data_home):
    with pytest.raises(SimrecError) as caught:
        simrec.envs.register("simrec/Bad-v0", dataset="toy", pateince=3)
    assert str(caught.value) == "a world has no setting 'pateince'; did you mean 'patience'?"
    with pytest.raises(SimrecError, match=r"^there is no world 'toi'; did you mean 'toy'\?$"):
        simrec.envs.load_world("toi")
    with pytest.raises(SimrecError, match=r"^cannot import the data set 'no\.shop:load'"):
        simrec.envs.load_world(simrec.envs.WorldSpec("no.shop:load"))
    with pytest.raises(SimrecError) as caught:
        gymnasium.make("simrec/MovieLens-v0")
    assert str(caught.value) == (
        "the data set 'movielens' (MovieLens 100K) is not in the library; run `simrec data fetch "
        "ml-100k` or `simrec data import --format tidy PATH --name movielens` with your copy of it"
    )


def test_importing_the_environments_does_not_import_torch():
    code = "import sys, simrec.envs; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_masks_have_a_block_for_each_place_of_the_slate():
    env = RecommendVectorEnv(random_world(), 3, slate_size=2)
    obs, _ = env.reset(seed=0)
    masks = env.action_masks()
    assert masks.shape == (3, 120)
    assert (masks[:, :60] == masks[:, 60:]).all()
    for b in range(3):
        seen = set(obs["history"][b].tolist()) - {-1}
        assert set(np.flatnonzero(~masks[b, :60]).tolist()) == seen


def test_behaviour_is_chosen_where_an_environment_is_made(data_home):
    chosen = {"choice": "cascade", "drift": 0.1, "retention": Retention()}
    env = gymnasium.make_vec(
        "simrec/Toy-v0", num_envs=4, slate_size=3, signals=True, masks=True, behaviour=chosen
    )
    _, info = env.reset(seed=0)
    assert {"watch", "like", "skip", "action_mask", "days"} <= info.keys()
    assert (env.world.rules.choice, env.world.rules.drift) == ("cascade", 0.1)
    single = gymnasium.make("simrec/Toy-v0", behaviour={"reward": "depth"}, signals=True)
    check_env(single.unwrapped, skip_render_check=True)
    with pytest.raises(SimrecError, match=r"^rules have no 'drfit'; did you mean 'drift'\?$"):
        gymnasium.make("simrec/Toy-v0", behaviour={"drfit": 1})
