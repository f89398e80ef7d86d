"""The compiled step against the plain numpy one, and what it promises about memory."""

import pickle
import tracemalloc

import numpy as np
import pytest

from simrec.envs.compiled import pack, themes_of
from simrec.envs.schedule import Lifetimes, Schedule, Shift
from simrec.envs.sessions import Sessions
from simrec.envs.state import mark
from simrec.envs.truth import click_probability
from simrec.envs.vector import RecommendVectorEnv
from simrec.envs.world import Rules, World
from simrec.errors import SimrecError
from tests.env_worlds import random_world

SETTINGS = {
    "default": {},
    "cascade": {"choice": "cascade"},
    "position": {"choice": "position", "reward": "minutes"},
    "dependent": {"choice": "dependent", "reward": "likes", "attention": 0.9},
    "moods": {"satiation": 0.7, "novelty": 0.4, "drift": 0.2, "reward": "depth"},
    "bored": {"leave": "boredom", "tolerance": 0.3, "boredom": 0.0},
    "budget": {"leave": "budget", "budget": 5.0, "window": 2},
    "short": {"horizon": 2, "window": 9},
    "once": {"horizon": 1},
    "many": {"patience": 9},  # items 1024 apart share a mark
}


def world_of(name: str) -> World:
    n_items = 60 + 1024 * (name == "many")
    plain = random_world(3, n_users=30, n_items=n_items, rules=Rules(**SETTINGS[name]))
    if name != "moods":
        return plain
    rng = np.random.default_rng(0)
    lives = Lifetimes(rng.integers(0, 50, 60), rng.integers(50, 200, 60))
    schedule = Schedule((Shift(20, 1.5, (0, 2)), Shift(60, -2.0, (1,), until=90)), lives)

    return plain.changed(schedule)


@pytest.mark.parametrize(
    ("name", "k"),
    # slates of 17 are written in three blocks of 8, of which the last one runs over
    [(name, k) for name in SETTINGS for k in (1, 2, 7)] + [("default", 17), ("many", 17)],
)
def test_compiled_and_plain_steps_agree_over_long_runs(name, k):
    world, batch = world_of(name), 69  # one of the kernel's chunks, and a part of one
    slots = np.arange(batch, dtype=np.int64)
    both = [
        Sessions(world, slots, k, again=True, signals=True, compiled=way) for way in (True, False)
    ]
    for sessions in both:
        sessions.start(17)
    rng = np.random.default_rng(1)
    ended = 0
    for _ in range(150):
        slates = rng.integers(60, size=(batch, k))
        if name == "many":
            slates += 1024 * rng.integers(2, size=(batch, k))
        fast, plain = (sessions.advance(slates) for sessions in both)
        ended += len(fast.ended)
        assert fast.ended.tolist() == plain.ended.tolist()
        for part in ("terminated", "truncated"):
            assert (getattr(fast, part) == getattr(plain, part)).all()
        assert fast.reward == pytest.approx(plain.reward, abs=3e-4)
        one, two = (sessions.now for sessions in both)
        for part in ("history", "feedback", "step", "who", "last_counts"):
            assert (getattr(one, part) == getattr(two, part)).all(), part
        # how narrow a click was is a difference over a probability: the rounding grows by 1 / p
        assert one.watch == pytest.approx(two.watch, abs=3e-4)
        rows = slice(len(fast.ended))  # of those that ended, in their order
        for part in ("last_history", "last_feedback", "last_step"):
            assert (getattr(one, part)[rows] == getattr(two, part)[rows]).all(), part
        assert one.last_sums == pytest.approx(two.last_sums, abs=1e-3)
    truth = [click_probability(sessions) for sessions in both]
    assert truth[0] == pytest.approx(truth[1], abs=1e-5)
    assert ended > 100


@pytest.mark.parametrize("n_items", [60, 5000])
def test_marks_of_a_start_history_are_the_same_in_numpy_and_compiled(n_items):
    sessions = Sessions(random_world(3, n_items=n_items), np.arange(9), 20, again=True)
    sessions.start(4)
    made, rows = np.zeros_like(sessions.memory.marks), np.arange(9)
    mark(made, rows, sessions.world.start_items[sessions.user], n_items)
    assert made.any() and (made == sessions.memory.marks).all()


def test_packed_topics_are_those_of_the_items():
    rng = np.random.default_rng(0)
    kinds = rng.random((5, 3)).astype(np.float32)
    topics = kinds[[0, 3, 3, 1, 0, 4]]
    of, first = themes_of(topics)
    assert len(first) == 4  # kind 2 is not there
    assert (topics[first][of] == topics).all()
    packed = pack(random_world())
    kind = packed.aside.view(np.int32)[:, 1]
    assert (packed.themes[kind, :6] == random_world().topics).all()
    assert len(packed.themes) == 7 and not packed.themes[-1].any()  # six topics, and none


def test_an_observation_stays_as_it_was_while_the_next_step_is_made():
    env = RecommendVectorEnv(random_world(), 8)
    obs, info = env.reset(seed=0)
    rng = np.random.default_rng(0)
    for _ in range(60):
        kept = {name: part.copy() for name, part in obs.items()}
        users = info["user"].copy()
        following, *_, info_after = env.step(rng.integers(60, size=8))
        # Stable-Baselines3 stores the last observation only now, after stepping
        assert all((obs[name] == kept[name]).all() for name in kept)
        assert (info["user"] == users).all()
        assert following["history"] is not obs["history"]
        obs, info = following, info_after


def test_two_sets_of_arrays_take_turns():
    env = RecommendVectorEnv(random_world(), 8)
    seen = [env.reset(seed=0)[0]["history"]]
    seen += [env.step(np.arange(8) + t)[0]["history"] for t in range(3)]
    assert np.shares_memory(seen[0], seen[2]) and np.shares_memory(seen[1], seen[3])
    assert not np.shares_memory(seen[0], seen[1])


def test_what_an_agent_writes_into_an_observation_does_not_reach_the_dynamics():
    world = random_world()
    env, other = RecommendVectorEnv(world, 4), RecommendVectorEnv(world, 4)
    mine, _ = env.reset(seed=0)
    other.reset(seed=0)
    rng = np.random.default_rng(0)
    for _ in range(40):
        mine["history"][:] = 7
        mine["feedback"][:] = 0.5
        actions = rng.integers(60, size=4)
        mine, reward, *_ = env.step(actions)
        assert reward.tolist() == other.step(actions)[1].tolist()
        assert (env.action_masks() == other.action_masks()).all()


def test_a_step_allocates_nothing_that_grows_with_the_batch():
    """Grown 16 times, a step may need no more than a few bytes an added user beyond its finals."""
    world = random_world(rules=Rules(patience=50))
    peaks = []
    for batch in (256, 4096):
        env = RecommendVectorEnv(world, batch)
        env.reset(seed=0)
        actions = np.random.default_rng(0).integers(60, size=(6, batch))
        for row in actions[:3]:
            env.step(row)
        tracemalloc.start()
        for row in actions[3:]:
            env.step(row)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] - peaks[0] < 4096  # one byte a user


def test_a_pickled_vector_environment_reports_endings_of_its_own():
    world = random_world(rules=Rules(patience=1))
    env = RecommendVectorEnv(world, 6)
    env.reset(seed=0)
    rng = np.random.default_rng(0)
    env.step(rng.integers(60, size=6))
    copy = pickle.loads(pickle.dumps(env))
    for _ in range(20):
        actions = rng.integers(60, size=6)
        first, second = env.step(actions)[-1], copy.step(actions)[-1]
        assert first.keys() == second.keys()
        if "final_obs" in first:
            for one, two in zip(first["final_obs"], second["final_obs"], strict=True):
                assert (one is None) == (two is None)
                assert one is None or (one["history"] == two["history"]).all()
            for name in ("clicks", "length", "user", "_user"):
                assert (first["final_info"][name] == second["final_info"][name]).all()


def test_an_unknown_item_changes_nothing():
    env = RecommendVectorEnv(random_world(), 3)
    env.reset(seed=0)
    with pytest.raises(SimrecError, match="action 60 is not an item"):
        env.step([0, 60, 1])
    after = env.step([0, 5, 1])[0]
    other = RecommendVectorEnv(random_world(), 3)
    other.reset(seed=0)
    assert (other.step([0, 5, 1])[0]["history"] == after["history"]).all()


@pytest.mark.parametrize("compiled", [True, False])
def test_a_session_past_its_horizon_is_refused(compiled):
    world = random_world(rules=Rules(horizon=2, patience=9))
    sessions = Sessions(world, np.arange(2), 1, again=False, compiled=compiled)
    sessions.start(0)
    for item in (1, 2):
        sessions.advance(np.full((2, 1), item))
    with pytest.raises(SimrecError, match=r"^a session is past its horizon"):
        sessions.advance(np.full((2, 1), 3))
