"""Worlds: saving, refusing what does not fit, the imagined world, the bounds."""

import dataclasses

import numpy as np
import pytest
from scipy.special import expit

from simrec.datasets.toy import make_toy
from simrec.envs.bounds import check_headroom, static_order, static_share, world_bounds
from simrec.envs.imagined import imagined_world
from simrec.envs.plan import beam_plans, spread_list
from simrec.envs.users import affinity_of_all
from simrec.envs.vector import RecommendVectorEnv
from simrec.envs.world import Rules, World, build_world
from simrec.errors import SimrecError
from simrec.interactions import Part, split_log
from simrec.items.build import build_item_table
from tests.env_worlds import ConstantUsers, constant_world, random_world


@pytest.fixture(scope="module")
def toy():
    """The toy's world, item table and fit."""
    data = make_toy(seed=0)
    split = split_log(data.log, seed=0)
    seen = data.log.item[split.part == Part.AGENT]
    table = build_item_table(data.catalogue, np.bincount(seen, minlength=data.log.n_items))
    world, report = build_world(
        data,
        split,
        table,
        topics_attribute="topic",
        like_at=4.0,
        history=10,
        rules=Rules(),
        seed=0,
    )
    return data, split, table, world, report


def test_a_saved_world_comes_back_and_plays_the_same(tmp_path):
    world = random_world(rules=Rules(horizon=6, boredom=0.25))
    world.save(tmp_path / "world")
    again = World.load(tmp_path / "world")
    assert again.fingerprint == world.fingerprint
    assert again.rules == world.rules
    played = []
    for each in (world, again):
        env = RecommendVectorEnv(each, 5)
        env.reset(seed=0)
        played.append([env.step([i] * 5)[1].tolist() for i in range(30)])
    assert played[0] == played[1]


def test_the_fingerprint_changes_with_any_part():
    world = random_world()
    others = [
        dataclasses.replace(world, rules=Rules(patience=5)),
        dataclasses.replace(world, arrivals=world.arrivals[1:]),
        dataclasses.replace(world, users=dataclasses.replace(world.users, intercept=0.0)),
        dataclasses.replace(world, topics=world.topics[::-1].copy()),
    ]
    assert len({each.fingerprint for each in [world, *others]}) == 5
    assert random_world().fingerprint == world.fingerprint


def test_what_cannot_be_saved_loaded_or_built_is_refused_in_a_sentence(tmp_path):
    world = constant_world(0.5, rules=Rules())
    with pytest.raises(
        SimrecError, match=r"^world 'constant' cannot be saved: its users are Const"
    ):
        world.save(tmp_path / "world")
    with pytest.raises(SimrecError, match=r"^cannot read the world in .*delete the folder"):
        World.load(tmp_path / "nothing")
    with pytest.raises(SimrecError, match=r"^world 'constant' has topics of shape \(3, 1\)"):
        dataclasses.replace(world, topics=world.topics[:3])
    with pytest.raises(SimrecError, match=r"has arrivals from 0 to 6; expected .* from 0 to 5$"):
        dataclasses.replace(world, arrivals=np.arange(7))


def test_a_catalogue_is_scored_the_same_by_the_slow_and_the_fast_way():
    world = random_world()
    state = world.users.begin(np.arange(4))
    everything = np.tile(np.arange(60), (4, 1))
    assert affinity_of_all(world.users, state) == pytest.approx(
        world.users.affinity(state, everything), abs=1e-6
    )
    plain = ConstantUsers(0.3, 4, 600)
    assert affinity_of_all(plain, plain.begin(np.arange(2))).shape == (2, 600)


def test_imagined_users_answer_as_the_reward_read_their_start_history():
    start = np.array([[-1, 0], [1, 2]])
    liked = np.array([[0, 1], [1, 0]], dtype=np.float32)

    def reward(items, liked):
        # liked items raise everything by 1 each; item i has logit i on top
        return (liked.sum(axis=1)[:, None] + np.arange(8)).astype(np.float32) - 3.0

    topics = np.eye(8, dtype=np.float32)
    world = imagined_world(reward, start, liked, topics, Rules(boredom=0.0))
    env = RecommendVectorEnv(world, 50)
    env.reset(seed=0)
    assert set(env.current_users.tolist()) == {0, 1}
    expected = np.tile(expit(np.arange(8) - 2.0), (50, 1))
    expected[env.current_users == 0, 0] = 0.0
    expected[np.ix_(env.current_users == 1, [1, 2])] = 0.0
    assert env.click_probability() == pytest.approx(expected, abs=1e-6)
    env.step(np.full(50, 7))
    env.step(np.full(50, 6))
    assert env.click_probability()[:, :6] == pytest.approx(expected[:, :6], abs=1e-6)


def test_a_spread_list_changes_topic_when_boredom_outweighs_taste():
    # one user, logits 2, 1.9 (topic a), 1.5 (topic b), boredom 1: after item 0, item 1 falls to
    # 0.9 and item 2 (1.5) is better; then the mean of a and b takes half a logit off both
    topics = np.array([[1, 0], [1, 0], [0, 1]], dtype=np.float32)
    logits = np.array([[2.0, 1.9, 1.5]])
    assert spread_list(logits, topics, length=3, boredom=1.0, window=5).tolist() == [0, 2, 1]
    assert spread_list(logits, topics, length=3, boredom=0.0, window=5).tolist() == [0, 1, 2]


def test_beam_search_finds_the_best_of_all_lists_of_a_small_world():
    rng = np.random.default_rng(0)
    topics = np.eye(2, dtype=np.float32)[[0, 0, 0, 1, 1]]
    logits = rng.normal(0, 1, (30, 5))

    def value(row, items):
        total = 0.0
        for t, item in enumerate(items):
            recent = items[max(0, t - 2) : t]
            bored = np.mean([topics[item] @ topics[j] for j in recent]) if recent else 0.0
            total += expit(row[item] - 2.0 * bored)
        return total

    import itertools

    lists = list(itertools.permutations(range(5), 3))
    plans = beam_plans(logits, topics, length=3, boredom=2.0, window=2, beams=60)
    for row, plan in zip(logits, plans, strict=True):
        best = max(value(row, list(items)) for items in lists)
        assert value(row, plan.tolist()) == pytest.approx(best, abs=1e-5)


def test_plans_leave_out_what_must_not_be_used():
    logits = np.random.default_rng(0).normal(size=(20, 30))
    logits[:, ::2] = -np.inf
    plans = beam_plans(logits, np.ones((30, 1), dtype=np.float32), length=10, boredom=0.5, window=3)
    assert (plans % 2 == 1).all()
    assert all(len(set(plan)) == 10 for plan in plans.tolist())


def test_the_bounds_of_the_toy_are_in_order_and_leave_room(toy):
    *_, table, world, _ = toy
    bounds = world_bounds(world, log_popularity=table.log_popularity, seed=1, sessions=400)
    clicks = [bounds[name]["reward"] for name in ("random", "static", "myopic", "oracle")]
    assert clicks[0] < clicks[1] < clicks[2] <= clicks[3]
    assert bounds["random"]["reward"] < bounds["popular"]["reward"] < bounds["myopic"]["reward"]
    assert all(0 < bound["length"] <= 20 for bound in bounds.values())
    check_headroom(bounds, allow_static=False)
    assert bounds == world_bounds(world, log_popularity=table.log_popularity, seed=1, sessions=400)


def test_the_static_order_names_every_item_once():
    assert sorted(static_order(random_world(), seed=0, sessions=50).tolist()) == list(range(60))


def test_a_world_that_one_list_can_serve_is_refused():
    # (8 - 2) / (10 - 2) = 75 %
    bounds = {
        name: {"reward": c} for name, c in (("random", 2.0), ("static", 8.0), ("oracle", 10.0))
    }
    assert static_share(bounds) == pytest.approx(0.75)
    with pytest.raises(SimrecError) as caught:
        check_headroom(bounds, allow_static=False)
    assert str(caught.value) == (
        "one list for everybody has 75% of what knowing every user gains over chance; expected at "
        "most 70% for personal recommendation to matter, so raise interaction_scale or set "
        "allow_static: true"
    )
    check_headroom(bounds, allow_static=True)
    bounds["static"]["reward"] = 7.6  # (7.6 - 2) / 8 = 70 %: just allowed
    check_headroom(bounds, allow_static=False)


def test_only_online_users_arrive_and_they_start_with_the_agents_part(toy):
    data, split, _, world, _ = toy
    assert (np.flatnonzero(split.online) == world.arrivals).all()
    agent = split.part == Part.AGENT
    for user in world.arrivals[:20]:
        start = world.start_items[user]
        own = set(data.log.item[agent & (data.log.user == user)].tolist())
        assert set(start[start >= 0].tolist()) <= own


def test_a_world_without_a_topic_attribute_gets_clusters(toy):
    data, split, table, *_ = toy
    world, _ = build_world(
        data,
        split,
        table,
        topics_attribute=None,
        like_at=4.0,
        history=5,
        rules=Rules(),
        seed=0,
        iterations=1,
    )
    assert world.topics.shape == (len(table), 16)
    assert np.linalg.norm(world.topics, axis=1) == pytest.approx(np.ones(len(table)))
    assert world.start_items.shape[1] == 5
