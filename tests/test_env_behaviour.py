"""Behaviour beyond the default, each part against numbers worked out on paper."""

import math

import numpy as np
import pytest

from simrec.envs.choice import CHOICES
from simrec.envs.drift import drifted
from simrec.envs.leave import spent
from simrec.envs.retention import Retention
from simrec.envs.rules import Rules
from simrec.envs.satiation import sated, unlike_before
from simrec.envs.schedule import FOREVER, Lifetimes, Schedule, Shift
from simrec.envs.signals import LIKE_FROM, SKIP_BELOW, read_signals, watch_ratio
from simrec.envs.single import RecommendEnv
from simrec.envs.users import FactorUsers
from simrec.envs.vector import RecommendVectorEnv
from simrec.envs.world import World
from simrec.errors import SimrecError
from tests.env_worlds import constant_world, random_world

KINDS = list(CHOICES)
HALF = np.zeros((1, 3))  # utilities 0: q = 1/2 everywhere
NOBODY = np.zeros((1, 3), dtype=bool)


def taste_world(tastes, vectors, topics=None, **rules) -> World:
    """One user with given tastes over items with given vectors; nobody has a history."""
    vectors = np.asarray(vectors, dtype=np.float32)
    n_items = len(vectors)
    users = FactorUsers(
        0.0,
        1.0,
        np.zeros(1, np.float32),
        np.zeros(n_items, np.float32),
        np.asarray([tastes], dtype=np.float32),
        vectors,
    )
    topics = np.ones((n_items, 1)) if topics is None else topics
    start = np.zeros((1, 0), dtype=np.int64)
    rules = {"boredom": 0.0, "patience": 50, "horizon": 50} | rules
    return World(
        "tastes",
        users,
        np.asarray(topics, dtype=np.float32),
        start,
        start.astype(np.float32),
        np.array([0]),
        Rules(**rules),
    )


# --- choice


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("multinomial", [1 / 4, 1 / 4, 1 / 4]),
        # cascade: 1/2, then 0.8 * 1/2 * 1/2, then that times 0.8 * 1/2
        ("cascade", [0.5, 0.2, 0.08]),
        # position: 0.8^j / 2
        ("position", [0.5, 0.4, 0.32]),
        # dependent: goes on with (0.5 * 0.5 + 0.5 * 0.8) = 0.65
        ("dependent", [0.5, 0.325, 0.21125]),
    ],
)
def test_click_probabilities_of_three_equal_items(kind, expected):
    model = CHOICES[kind](Rules(attention=0.8, browse=0.5))
    assert model.probabilities(HALF, NOBODY)[0] == pytest.approx(expected)


@pytest.mark.parametrize("kind", KINDS)
def test_clicks_come_as_often_as_stated_and_never_on_ignored_items(kind):
    n = 40_000
    model = CHOICES[kind](Rules())
    z = np.tile([[0.3, -0.5, 1.0, 0.2]], (n, 1))
    ignored = np.tile([[False, True, False, False]], (n, 1))
    luck = np.random.default_rng(0).random((n, 4))
    clicked, within = model.answer(z, ignored, luck)
    p = model.probabilities(z[:1], ignored[:1])[0]
    assert p[1] == 0.0 and not clicked[:, 1].any()
    # 4 standard errors are below 4 * sqrt(0.25 / 40000) = 0.01
    assert clicked.mean(axis=0) == pytest.approx(p, abs=0.01)
    for j in (0, 2, 3):
        # given a click, how narrow it was is uniform: mean 1/2, sd 1/sqrt(12)
        narrow = within[clicked[:, j], j]
        assert narrow.mean() == pytest.approx(0.5, abs=4 / math.sqrt(12 * len(narrow)))


@pytest.mark.parametrize("kind", KINDS)
def test_only_the_position_and_dependent_models_click_twice(kind):
    model = CHOICES[kind](Rules(attention=1.0, browse=1.0))
    z = np.full((200, 3), 3.0)
    luck = np.random.default_rng(1).random((200, 3))
    most = model.answer(z, np.zeros((200, 3), dtype=bool), luck)[0].sum(axis=1).max()
    assert most == (1 if kind in ("multinomial", "cascade") else 3)


def test_with_one_place_all_models_play_the_same_sessions():
    played = []
    for kind in KINDS:
        env = RecommendVectorEnv(random_world(rules=Rules(choice=kind)), 20)
        env.reset(seed=3)
        rng = np.random.default_rng(0)
        rewards = [env.step(rng.integers(60, size=20))[1].copy() for _ in range(60)]
        played.append(np.array(rewards).tobytes())
    assert len(set(played)) == 1


# --- signals and rewards


def test_one_response_gives_click_watch_like_and_skip():
    # z = 0 and luck v: y = -logit(v); v = 0.1: e^y = 9, watch = (9 - 1) / (9 + 1) = 0.8, a like;
    # v = 0.45: e^y = 0.55 / 0.45, watch = 0.1 / 1 = 0.1, a skip; v = 0.3: 0.4, neither
    within = np.array([[0.2, 0.9, 0.6]])  # v = within * sigmoid(0)
    assert watch_ratio(np.zeros((1, 3)), within)[0] == pytest.approx([0.8, 0.1, 0.4])
    signals = read_signals(np.zeros((1, 3)), np.array([[True, True, False]]), within)
    assert signals.watch[0] == pytest.approx([0.8, 0.1, 0.0])
    assert signals.like.tolist() == [[1, 0, 0]]
    assert signals.skip.tolist() == [[0, 1, 0]]


@pytest.mark.parametrize("z", [-1.0, 0.0, 1.5])
def test_the_watch_ratio_has_its_stated_distribution(z):
    # P(watch >= w and click) = sigmoid(z - 2 artanh(w))
    world = constant_world(1 / (1 + math.exp(-z)), rules=Rules(boredom=0.0))
    n = 20_000
    env = RecommendVectorEnv(world, n, signals=True)
    env.reset(seed=2)
    *_, info = env.step(np.full(n, 20))
    for w in (SKIP_BELOW, LIKE_FROM):
        expected = 1 / (1 + math.exp(2 * math.atanh(w) - z))
        assert (info["watch"] >= w).mean() == pytest.approx(expected, abs=0.015)
    assert (info["like"] == (info["watch"] >= LIKE_FROM)).all()


@pytest.mark.parametrize("reward", ["clicks", "minutes", "likes", "depth"])
def test_the_reward_is_the_stated_function_of_the_feedback(reward):
    rules = Rules(reward=reward, minutes=3.0, choice="position", patience=2)
    env = RecommendVectorEnv(random_world(rules=rules), 50, slate_size=3, signals=True)
    env.reset(seed=0)
    rng = np.random.default_rng(0)
    total = np.zeros(50)
    for _ in range(8):
        _, earned, left, cut, info = env.step(rng.integers(60, size=(50, 3)))
        wanted = {
            "clicks": (info["watch"] > 0).sum(axis=1),
            "minutes": 3.0 * info["watch"].sum(axis=1),
            "likes": info["like"].sum(axis=1),
            "depth": 1.0 - left,
        }[reward]
        assert earned == pytest.approx(wanted, abs=1e-4)
        total += earned
        done = left | cut
        if done.any():
            assert info["final_info"]["reward"][done] == pytest.approx(total[done], abs=1e-3)
        total[done] = 0.0
    assert total.std() > 0


# --- tastes and moods


def test_tastes_drift_towards_the_clicked_item_in_every_component():
    # u = (3, 4), length 5; v = (0, 2) points along (0, 1), so t = (0, 5);
    # half of the way: (1.5, 4.5). A scalar added to both components could not do this.
    args = np.array([[3.0, 4.0]], np.float32), np.array([5.0], np.float32)
    v = np.array([[[0.0, 2.0]]], np.float32)
    assert drifted(*args, v, np.array([[True]]), 0.5).tolist() == [[1.5, 4.5]]
    assert drifted(*args, v, np.array([[False]]), 0.5).tolist() == [[3.0, 4.0]]
    # after n clicks: t + (1 - rate)^n (u - t), n = 3 and rate 0.5: (3/8, 5 - 1/8)
    u = args[0]
    for _ in range(3):
        u = drifted(u, args[1], v, np.array([[True]]), 0.5)
    assert u[0] == pytest.approx([0.375, 4.875])


def test_drift_in_an_environment_moves_likings_apart_and_ends_with_the_session():
    # tastes (1, 1): both items have utility 1. After a click on item 0 (certain at utility 40 for
    # item 2) the taste is (1, 1) * 0.75 + 0.25 * sqrt(2) * (1, 0) = (1.10355, 0.75)
    vectors = [[1, 0], [0, 1], [40, 0]]
    world = taste_world([1, 1], vectors, drift=0.25, patience=1)
    env = RecommendVectorEnv(world, 1)
    env.reset(seed=0)
    assert env.step([2])[1][0] == 1.0
    p = env.click_probability()[0]
    assert p[0] == pytest.approx(1 / (1 + math.exp(-1.1035534)), abs=1e-6)
    assert p[1] == pytest.approx(1 / (1 + math.exp(-0.75)), abs=1e-6)
    env.reset()
    assert env.click_probability()[0, :2] == pytest.approx([1 / (1 + math.exp(-1))] * 2, abs=1e-6)


def test_drift_needs_tastes():
    with pytest.raises(
        SimrecError, match=r"^rules\.drift is 0\.1, but ConstantUsers have no taste"
    ):
        RecommendEnv(constant_world(0.5, rules=Rules(drift=0.1)))


def test_satiation_grows_with_clicks_on_a_topic_and_recovers():
    # one click on topic 0: 1; after n idle steps 0.8^n
    mood = np.zeros((1, 2), np.float32)
    mood = sated(mood, np.array([[[1, 0]]], np.float32), np.array([[True]]), 0.8)
    assert mood.tolist() == [[1.0, 0.0]]
    for _ in range(3):
        mood = sated(mood, np.array([[[0, 1]]], np.float32), np.array([[False]]), 0.8)
    assert mood[0] == pytest.approx([0.512, 0.0])


def test_satiation_lowers_the_click_probability_of_its_topic_only():
    # items 0, 1 of topic 0, item 2 of topic 1, item 3 dull: utilities 0 but for item 4, always
    # clicked. After it: topic 0 has satiation 1, so sigmoid(-2); one idle step later sigmoid(-1)
    topics = [[1, 0], [1, 0], [0, 1], [0, 1], [1, 0]]
    vectors = [[0], [0], [0], [-40], [40]]
    world = taste_world([1], vectors, topics, satiation=2.0, recovery=0.5)
    env = RecommendVectorEnv(world, 1)
    env.reset(seed=0)
    env.step([4])
    assert env.click_probability()[0, :3] == pytest.approx([0.1192029, 0.1192029, 0.5], abs=1e-6)
    env.step([3])
    assert env.click_probability()[0, :3] == pytest.approx([0.2689414, 0.2689414, 0.5], abs=1e-6)


def test_novelty_is_one_minus_the_mean_cosine_with_all_that_was_shown():
    themes = np.array([[[1, 0], [0, 1]]], np.float32)
    assert unlike_before(np.zeros((1, 2), np.float32), np.array([0]), themes).tolist() == [[1, 1]]
    # three of topic 0 and one of topic 1 were shown: 1 - 3/4 and 1 - 1/4
    shown = np.array([[3, 1]], np.float32)
    assert unlike_before(shown, np.array([4]), themes).tolist() == [[0.25, 0.75]]


def test_novelty_seekers_prefer_what_the_session_has_not_had():
    topics = [[1, 0], [1, 0], [0, 1]]
    env = RecommendVectorEnv(taste_world([1], [[0], [0], [0]], topics, novelty=1.0), 1)
    env.reset(seed=0)
    # sigmoid(1) for everything at first; then sigmoid(0) for the topic shown
    assert env.click_probability()[0] == pytest.approx([0.7310586] * 3, abs=1e-6)
    env.step([0])
    assert env.click_probability()[0] == pytest.approx([0, 0.5, 0.7310586], abs=1e-6)


# --- leaving


def length_of(world) -> int:
    env = RecommendEnv(world)
    env.reset(seed=0)
    for step in range(1, 100):
        *_, left, cut, _ = env.step(10 + step % 30)
        if left or cut:
            return step if left else -step
    raise AssertionError("never ended")


def test_a_bored_user_leaves_after_patience_steps_of_the_same():
    # one topic: overlap 0 in step 1 and 1 from step 2 on, whatever is clicked
    rules = Rules(leave="boredom", tolerance=0.8, patience=3, horizon=20)
    assert length_of(constant_world(1.0, rules=rules)) == 4


def test_a_budget_is_spent_a_unit_a_step_less_what_satisfaction_refunds():
    # nothing watched: 8 units last 8 steps
    rules = Rules(leave="budget", budget=8.0, refund=0.5, horizon=28)
    assert length_of(constant_world(0.0, rules=rules)) == 8
    # everything watched to the end (affinity 1): a step costs 1/2, so 16 steps
    assert length_of(constant_world(1.0, rules=rules)) == 16
    assert spent(np.array([2.0]), np.array([[0.0, 0.5]], np.float32), 0.8) == pytest.approx([2.6])


def test_settings_out_of_range_are_sentences():
    for wrong, sentence in [
        ({"drift": 1.5}, "rules.drift is 1.5; expected 0 to 1"),
        ({"novelty": -1.0}, "rules.novelty is -1.0; expected 0 or a positive number"),
        ({"budget": 0.0}, "rules.budget is 0.0; expected a positive number"),
        ({"choice": "cascde"}, "rules.choice has no 'cascde'; did you mean 'cascade'?"),
        ({"reward": "click"}, "rules.reward has no 'click'; did you mean 'clicks'?"),
    ]:
        with pytest.raises(SimrecError) as caught:
            Rules(**wrong)
        assert str(caught.value) == sentence


def test_settings_at_their_defaults_do_not_change_a_world_s_fingerprint():
    assert Rules().described() == {"horizon": 20, "patience": 4, "boredom": 0.6, "window": 5}
    assert Rules(drift=0.1).described()["drift"] == 0.1
    # of version 0.1.0
    assert random_world(4).fingerprint == "3a7634111f8cf1d4"


# --- what changes on a date


def test_a_shift_changes_its_topics_from_its_date_until_its_end():
    schedule = Schedule((Shift(date=2, size=1.0, topics=(1,), until=4),))
    tilts = [schedule.tilt(date, 2).tolist() for date in range(5)]
    assert tilts == [[0, 0], [0, 0], [0, 1], [0, 1], [0, 0]]
    world = taste_world([1], [[0]] * 9, [[1, 0]] * 5 + [[0, 1]] * 4).changed(schedule)
    env = RecommendVectorEnv(world, 1)
    env.reset(seed=0)
    seen = []
    for t in range(5):
        p = env.click_probability()[0]
        seen.append((p[4], p[8]))
        env.step([t if t < 4 else 5])
    # sigmoid(1) = 0.7310586 on dates 2 and 3
    expected = [(0.5, 0.5), (0.5, 0.5), (0.5, 0.7310586), (0.5, 0.7310586), (0.5, 0.5)]
    assert np.array(seen) == pytest.approx(np.array(expected), abs=1e-6)


def test_a_shift_is_felt_across_sessions_and_a_new_seed_starts_the_calendar_again():
    schedule = Schedule((Shift(date=30, size=-30.0, topics=(0,)),))
    world = constant_world(1.0, rules=Rules(horizon=5)).changed(schedule)
    env = RecommendVectorEnv(world, 2)
    for _ in range(2):
        env.reset(seed=0)
        rewards = [env.step([10 + t % 20] * 2)[1][0] for t in range(34)]
        assert rewards == [1.0] * 30 + [0.0] * 4


def test_items_outside_their_time_are_masked_and_ignored():
    appears, expires = np.zeros(40, np.int64), np.full(40, FOREVER)
    appears[20], expires[21] = 2, 2
    world = constant_world(1.0, rules=Rules()).changed(
        Schedule(lifetimes=Lifetimes(appears, expires))
    )
    env = RecommendVectorEnv(world, 1)
    env.reset(seed=0)
    there = []
    for action, reward in [(20, 0.0), (21, 1.0), (22, 1.0), (23, 1.0)]:
        there.append(env.action_masks()[0, [20, 21, 30]].tolist())
        assert env.step([action])[1][0] == reward
    # item 20 was shown too early (and is now known), item 21 in time, and again expired
    first, last = [False, True, True], [False, False, True]
    assert there == [first, first, last, last]


def test_a_schedule_that_does_not_fit_is_a_sentence():
    with pytest.raises(
        SimrecError, match=r"^a shift names topic 7; expected a column from 0 to 5$"
    ):
        random_world().changed(Schedule((Shift(0, 1.0, (7,)),)))
    with pytest.raises(
        SimrecError, match=r"^lifetimes\.appears has shape \(3,\); expected \(60,\)"
    ):
        lives = Lifetimes(np.zeros(3, np.int64), np.ones(3, np.int64))
        random_world().changed(Schedule(lifetimes=lives))
    with pytest.raises(SimrecError, match=r"^a shift names no topics"):
        Shift(0, 1.0, ())
    with pytest.raises(SimrecError, match=r"^rules have no 'drfit'; did you mean 'drift'\?$"):
        random_world().changed(drfit=0.1)


# --- coming back


def test_days_away_are_geometric_and_the_late_are_lost():
    # base 0: p = 1/2 a day; 1 - (1/2)^d of the luck lies below day d + 1
    away = Retention(base=0.0, gain=1.0, days=3).days_away(
        np.zeros(5), np.array([0.0, 0.49, 0.5, 0.87, 0.88])
    )
    assert away.tolist() == [1, 1, 2, 3, 0]
    assert Retention(base=0.0, days=3).share_kept(np.zeros(1)) == pytest.approx([0.875])
    # three clicks at gain 1: p = sigmoid(3)
    assert Retention(base=0.0, gain=1.0).daily(np.array([3.0])) == pytest.approx([0.9525741])
    with pytest.raises(SimrecError, match=r"^retention\.days is 0; expected 1 or more$"):
        Retention(days=0)


def test_satisfied_users_come_back_with_their_memory_and_others_do_not():
    for probability, back in [(1.0, True), (0.0, False)]:
        # 4 clicks: sigmoid(-9 + 4 * 5) is as good as 1; none: sigmoid(-9) is as good as 0
        world = constant_world(probability, rules=Rules(horizon=4, patience=4))
        world = world.changed(retention=Retention(base=-9.0, gain=5.0, days=3))
        env = RecommendVectorEnv(world, 200)
        _, info = env.reset(seed=0)
        before = info["user"].copy()
        for t in range(4):
            obs, *_, info = env.step(np.full(200, 20 + t))
        returned = info["days"] > 0
        assert returned.mean() == pytest.approx(float(back), abs=0.02)
        assert (info["user"] == before)[returned].all()
        assert (info["session"] == 1).all()
        if back:  # the last two of what was shown; the start history has length 2
            assert obs["history"][returned][0, -2:].tolist() == [22, 23]
            assert env.step(np.full(200, 23))[1][returned].sum() == 0.0


def test_retention_shows_at_the_rate_that_its_formula_states():
    world = constant_world(1.0, rules=Rules(horizon=2)).changed(
        retention=Retention(base=-1.0, gain=0.2, days=2)
    )
    n = 20_000
    env = RecommendVectorEnv(world, n)
    env.reset(seed=5)
    env.step(np.full(n, 20))
    *_, info = env.step(np.full(n, 21))
    # p = sigmoid(-0.6) = 0.354344; kept 1 - (1 - p)^2 = 0.583128
    assert (info["days"] > 0).mean() == pytest.approx(0.583128, abs=0.014)
