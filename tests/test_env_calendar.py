"""What changes on a date and who comes back, against numbers worked out on paper."""

import numpy as np
import pytest

from simrec.envs.retention import Retention
from simrec.envs.rules import Rules
from simrec.envs.schedule import FOREVER, Lifetimes, Schedule, Shift
from simrec.envs.vector import RecommendVectorEnv
from simrec.errors import SimrecError
from tests.env_worlds import constant_world, random_world, taste_world

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


def test_a_schedule_read_from_a_later_date() -> None:
    lives = Lifetimes(np.array([0, 5, 9]), np.array([FOREVER, 7, 12]))
    shifts = (Shift(2, 1.0, (0,), until=4), Shift(3, 2.0, (1,)), Shift(8, 3.0, (2,), until=20))
    whole = Schedule(shifts, lives)
    later = whole.later(6)
    # the first is over, the second has begun, the third begins in 2 and ends in 14 steps
    assert later.shifts == (Shift(0, 2.0, (1,)), Shift(2, 3.0, (2,), until=14))
    assert later.lifetimes is not None
    for date in range(10):
        np.testing.assert_array_equal(
            later.lifetimes.there(np.arange(3), date), lives.there(np.arange(3), 6 + date)
        )
    assert not Schedule().later(3)
