"""The contract beyond the checkers: spaces, masks, topics, pictures, other ways to act."""

import io

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from stable_baselines3.common.env_checker import check_env as sb3_check_env

from simrec.envs.rules import Rules
from simrec.envs.schedule import Lifetimes, Schedule
from simrec.envs.single import RecommendEnv
from simrec.envs.users import FactorUsers
from simrec.envs.vector import RecommendVectorEnv
from simrec.envs.world import World
from simrec.envs.wrappers import ProtoItemAction, nearest_items
from simrec.errors import SimrecError
from tests.env_worlds import constant_world, random_world

RULES = st.builds(
    Rules,
    horizon=st.integers(1, 9),
    patience=st.integers(1, 5),
    boredom=st.floats(0, 50),
    window=st.integers(1, 30),
    choice=st.sampled_from(["multinomial", "cascade", "position", "dependent"]),
    reward=st.sampled_from(["clicks", "minutes", "likes", "depth"]),
    leave=st.sampled_from(["streak", "boredom", "budget"]),
    attention=st.floats(0, 1),
    browse=st.floats(0, 1),
    drift=st.floats(0, 1),
    satiation=st.floats(0, 50),
    novelty=st.floats(0, 50),
)


@settings(max_examples=40, deadline=None)
@given(RULES, st.integers(1, 4), st.integers(0, 2**40), st.booleans())
def test_every_observation_is_inside_its_space_whatever_the_rules(rules, k, seed, signals):
    env = RecommendVectorEnv(random_world(rules=rules), 5, slate_size=k, signals=signals)
    obs, info = env.reset(seed=seed)
    rng = np.random.default_rng(seed)
    for _ in range(14):
        assert env.observation_space.contains(obs)
        actions = rng.integers(60, size=(5, k))
        obs, reward, left, cut, info = env.step(actions)
        assert np.isfinite(reward).all() and reward.min() >= 0.0
        assert not (left & cut).any()
        for row in np.flatnonzero(left | cut):
            assert env.single_observation_space.contains(info["final_obs"][row])
        if signals:
            assert info["watch"].min() >= 0.0 and info["watch"].max() <= 1.0


def test_random_recommendations_reach_every_topic_and_every_topic_is_clicked():
    world = random_world()
    env = RecommendVectorEnv(world, 64)
    env.reset(seed=0)
    rng = np.random.default_rng(0)
    shown, clicked = np.zeros(6), np.zeros(6)
    for _ in range(40):
        items = rng.integers(60, size=64)
        reward = env.step(items)[1]
        shown += world.topics[items].sum(axis=0)
        clicked += world.topics[items[reward > 0]].sum(axis=0)
    assert (shown > 0).all() and (clicked > 0).all()


def big_world(n_items: int = 10_000) -> World:
    rng = np.random.default_rng(0)
    users = FactorUsers(
        0.0,
        1.0,
        np.zeros(20, np.float32),
        np.zeros(n_items, np.float32),
        rng.normal(size=(20, 4)).astype(np.float32),
        rng.normal(size=(n_items, 4)).astype(np.float32),
    )
    start = rng.integers(n_items, size=(20, 10))
    return World(
        "big",
        users,
        np.ones((n_items, 1), np.float32),
        start,
        np.zeros(start.shape, np.float32),
        np.arange(20),
    )


def test_masks_are_right_at_ten_thousand_items():
    world = big_world()
    env = RecommendVectorEnv(world, 6, slate_size=2, masks=True)
    obs, info = env.reset(seed=0)
    rng = np.random.default_rng(1)
    for _ in range(12):
        masks = env.action_masks()
        assert masks.shape == (6, 20_000)
        assert (info["action_mask"] == masks).all()
        for b in range(6):
            seen = set(obs["history"][b].tolist()) - {-1}
            for block in (masks[b, :10_000], masks[b, 10_000:]):
                assert set(np.flatnonzero(~block).tolist()) == seen
        obs, *_, info = env.step(rng.integers(10_000, size=(6, 2)))


def test_a_mask_can_be_given_to_the_action_space():
    env = RecommendEnv(big_world(), masks=True)
    obs, info = env.reset(seed=0)
    env.action_space.seed(0)
    for _ in range(20):
        item = env.action_space.sample(mask=info["action_mask"].astype(np.int8))
        assert item not in obs["history"]
        obs, _, left, cut, info = env.step(item)
        if left or cut:
            obs, info = env.reset()


def test_items_out_of_their_time_are_out_of_every_mask():
    lives = Lifetimes(np.arange(60), np.arange(60) + 3)
    env = RecommendVectorEnv(random_world().changed(Schedule(lifetimes=lives)), 2)
    env.reset(seed=0)
    for date in range(20):
        there = np.flatnonzero(env.action_masks().any(axis=0))
        assert set(there.tolist()) <= set(range(date - 2, date + 1))
        env.step([0, 0])


# --- proto-items


def test_the_nearest_items_are_the_ones_worked_by_hand():
    vectors = np.array([[1, 0], [0.9, 0.1], [0, 1], [-1, 0]], dtype=np.float32)
    allowed = np.array([True, True, True, False])
    # inner products with (1, 0): 1, 0.9, 0; the second proto-item wants item 0 too but it is gone
    proto = np.array([[1.0, 0.0], [1.0, 0.0], [-1.0, 0.1]])
    assert nearest_items(proto, vectors, allowed).tolist() == [0, 1, 2]
    assert nearest_items(proto[:1], vectors, np.zeros(4, bool)).tolist() == [0]


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.filterwarnings("ignore:.*is different from the unwrapped version")
def test_proto_items_pass_the_checkers_and_show_unseen_items(data_home, k):
    env = ProtoItemAction(gymnasium.make("simrec.envs:simrec/Toy-v0", slate_size=k))
    assert isinstance(env.action_space, gymnasium.spaces.Box)
    check_env(env, skip_render_check=True)
    sb3_check_env(env)
    obs, _ = env.reset(seed=0)
    env.action_space.seed(0)
    seen = set(obs["history"].tolist())
    obs, *_ = env.step(env.action_space.sample())
    slate = obs["history"][-k:].tolist()
    assert len(set(slate)) == k and not set(slate) & seen


def test_proto_items_need_a_table():
    with pytest.raises(
        SimrecError, match=r"^ProtoItemAction needs a RecommendEnv with an item tab"
    ):
        ProtoItemAction(RecommendEnv(random_world()))


# --- pictures


def test_a_picture_shows_covers_titles_and_what_was_clicked():
    picture = io.BytesIO()
    Image.new("RGB", (9, 9), (255, 0, 255)).save(picture, "PNG")
    covers = [None] * 20 + [picture.getvalue()] * 20
    world = constant_world(1.0, rules=Rules())
    titles = [f"film {i}" for i in range(40)]
    env = RecommendEnv(world, slate_size=2, render_mode="rgb_array", titles=titles, covers=covers)
    env.reset(seed=0)
    first = env.render()
    assert first.shape == (360, 640, 3) and first.dtype == np.uint8
    env.step([30, 10])
    second = env.render()
    magenta = (second == [255, 0, 255]).all(axis=2)
    assert 140 * 140 < magenta.sum() <= 150 * 150  # one cover of two
    assert magenta[:, :320].any() and not magenta[:, 320:].any()  # in the first place
    frames = (second == [0, 120, 90]).all(axis=2)
    assert frames[60:210].sum() == 2 * 4 * 150  # the sides of a border of 4 around what was clicked
    assert (first != second).any()


@pytest.mark.parametrize("mode", ["ansi", "rgb_array"])
def test_every_render_mode_passes_the_checker(data_home, mode):
    env = gymnasium.make("simrec.envs:simrec/Toy-v0", render_mode=mode)
    env.reset(seed=0)
    env.step(0)
    assert isinstance(env.render(), str if mode == "ansi" else np.ndarray)


def test_frames_of_gymnasium_make_show_the_covers_of_the_data_set(data_home):
    from simrec.envs.load import load_parts
    from simrec.envs.registry import TOY

    env = gymnasium.make("simrec.envs:simrec/Toy-v0", render_mode="rgb_array")
    covers = load_parts(TOY).dataset.catalogue.images
    env.reset(seed=0)
    env.step(5)
    picture = Image.open(io.BytesIO(covers[5])).convert("RGB").resize((150, 150))
    left = 16 + (608 - 150) // 2
    assert (env.render()[60:210, left : left + 150] == np.asarray(picture)).all()


def test_record_video_writes_a_film(data_home, tmp_path):
    pytest.importorskip("moviepy", reason="RecordVideo needs moviepy, which wants an older pillow")
    env = gymnasium.make("simrec.envs:simrec/Toy-v0", render_mode="rgb_array")
    film = gymnasium.wrappers.RecordVideo(
        env, str(tmp_path / "films"), episode_trigger=lambda episode: True
    )
    film.reset(seed=0)
    over = False
    while not over:
        *_, left, cut, _ = film.step(film.action_space.sample())
        over = left or cut
    film.close()
    assert [path.suffix for path in (tmp_path / "films").iterdir()] == [".mp4"]
