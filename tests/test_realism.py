"""Simulated against real behaviour: distances by hand, and a population wrong on purpose."""

import dataclasses
import json

import numpy as np
import pytest
from PIL import Image

from simrec.datasets.toy import make_toy
from simrec.envs import behaviour
from simrec.envs.behaviour import Offered
from simrec.envs.cards import write_card
from simrec.envs.describe import personal_sentence
from simrec.envs.resemblance import resemblance
from simrec.envs.rhythm import (
    length_rhythm,
    logged_repeats,
    logged_sessions,
    played_sessions,
    repeat_rhythm,
)
from simrec.envs.users import FactorUsers
from simrec.envs.world import Rules, build_world
from simrec.errors import SimrecError
from simrec.interactions import InteractionLog, Part, split_log
from simrec.items.build import build_item_table
from tests.env_worlds import constant_world

# two users, each offered items 0 (topic a) and 1 (topic b); item 1 is the more popular
OFFERED = Offered(np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1]), np.eye(2), rank=np.array([1, 0]))
BOTH = np.ones(2)


def answers(*clicked):
    return np.array(clicked, dtype=bool)


def test_distances_of_two_users_by_hand():
    a, b = answers(1, 1, 1, 0), answers(1, 0, 1, 0)
    # clicks 2, 1 against 1, 1: one click moves for one of two users, half a click of a mean 1.5
    assert behaviour.activity_distance(OFFERED, a, b, BOTH) == pytest.approx(0.5 / 1.5)
    # shares 1, 1/2 against 1/2, 1/2
    assert behaviour.response_distance(OFFERED, a, b, BOTH) == pytest.approx(0.25)
    assert behaviour.answer_distance(OFFERED, a, b, BOTH) == pytest.approx(0.25)
    # of a's clicks 1 of 3 goes to the most popular item, of b's none
    assert behaviour.popularity_distance(OFFERED, a, b, BOTH) == pytest.approx(1 / 3)
    # entropies log 2 and 0 against 0 and 0, in units of log 2
    assert behaviour.entropy_distance(OFFERED, a, b, BOTH) == pytest.approx(0.5)


def test_a_distance_counts_users_as_often_as_their_weights_say():
    a, b = answers(1, 1, 1, 0), answers(1, 0, 1, 0)
    assert behaviour.answer_distance(OFFERED, a, b, np.array([2.0, 0.0])) == 0.5
    assert behaviour.answer_distance(OFFERED, a, b, np.array([0.0, 2.0])) == 0.0
    for distance in (
        behaviour.activity_distance,
        behaviour.popularity_distance,
        behaviour.entropy_distance,
        behaviour.spread_distance,
    ):
        assert distance(OFFERED, a, a, np.array([3.0, 1.0])) == 0.0


def test_users_who_click_the_same_topics_have_no_spread():
    assert behaviour.user_spread(OFFERED, answers(1, 0, 1, 0), BOTH) == pytest.approx(0.0)
    assert behaviour.user_spread(OFFERED, answers(1, 0, 0, 1), BOTH) == pytest.approx(1.0)
    assert behaviour.user_spread(OFFERED, answers(1, 0, 0, 0), BOTH) == 0.0  # one user, no pair


def test_ranking_within_a_user_by_hand():
    offered = Offered(
        np.array([1, 0, 0, 1, 0, 2, 1]), np.zeros(7, int), np.eye(1), rank=np.array([0])
    )
    scores = np.array([3.0, 0.5, 0.2, 3.0, 0.9, 1.0, 7.0])
    real = answers(1, 1, 0, 0, 0, 1, 1)
    # user 0 likes 0.5 among 0.2 and 0.9: one of two pairs; user 1 likes 3 and 7 and not the other
    # 3: a tie and a win, 1.5 of 2; user 2 liked everything, so nothing can be told
    found = behaviour.ranking_by_user(offered, scores, real)
    assert found[:2].tolist() == [0.5, 0.75] and np.isnan(found[2])


def log_of(user, item, time):
    n = len(user)
    return InteractionLog(
        np.array(user, dtype=np.int32),
        np.array(item, dtype=np.int32),
        np.ones(n, dtype=np.float32),
        None if time is None else np.array(time, dtype=np.int64),
        "implicit",
        tuple(map(str, range(max(user) + 1))),
        max(item) + 1,
    )


def test_real_sessions_end_with_half_an_hour_of_silence():
    start = 1_600_000_000
    times = [start, start + 1800, start + 3601, start]  # the gap of 1801 s ends a session
    log = log_of([0, 0, 0, 1], [0, 1, 0, 0], times)
    assert logged_sessions(log).tolist() == [2, 1, 1]
    assert logged_repeats(log).tolist() == [False, False, True, False]
    assert logged_sessions(log_of([0, 0], [0, 1], [0, 1])) is None  # an order, not seconds
    assert logged_sessions(log_of([0, 0], [0, 1], None)) is None


def test_played_sessions_and_their_distances():
    world = constant_world(0.0, rules=Rules(horizon=9, patience=3, boredom=0.0))
    steps, clicks, repeats = played_sessions(world, np.ones(40), sessions=20, seed=0)
    assert set(steps.tolist()) == {3} and not clicks.any() and not repeats.any()
    rng = np.random.default_rng(0)
    length = length_rhythm(np.array([6, 6, 6]), steps, rng)
    assert (length.real, length.simulated) == (6.0, 3.0)
    assert length.distance.mean == length.distance.low == 0.5  # 3 steps of 6
    found = repeat_rhythm(
        np.array([0, 0, 0, 0]), np.array([0, 1, 0, 0]) > 0, np.array([4]), np.array([0]), rng
    )
    assert (found.real, found.simulated, found.distance.mean) == (0.25, 0.0, 0.25)


@pytest.fixture(scope="module")
def toy():
    data = make_toy(seed=0)
    split = split_log(data.log, seed=0)
    seen = np.bincount(data.log.item[split.part == Part.AGENT], minlength=data.log.n_items)
    world, _ = build_world(
        data,
        split,
        build_item_table(data.catalogue, seen),
        topics_attribute="topic",
        like_at=4.0,
        history=10,
        rules=Rules(),
        seed=0,
    )
    return data, split, world, resemblance(world, data.log, split, like_at=4.0, seed=0)


def test_shuffled_users_are_clearly_worse_and_fitted_ones_near_the_floor(toy):
    *_, report = toy
    assert report.shuffled_gap.low > 0.03
    assert report.overall.mean < report.floor + 0.3 * (report.shuffled.mean - report.floor)
    by_name = {measure.name: measure for measure in report.measures}
    assert by_name["single answers"].distance.high < by_name["single answers"].shuffled.low
    assert len(report.measures) == 9
    assert report.personal_gap.low > 0.1 and report.ranking_gap.low > 0.2
    assert personal_sentence(report).startswith("the right user clearly matters: person by")
    assert json.loads(json.dumps(report.as_dict()))["users"] == report.users


def test_users_dealt_out_at_random_in_the_world_itself_are_seen_through(toy):
    data, split, world, report = toy
    rng = np.random.default_rng(1)
    rows = rng.permutation(world.n_users)
    users = world.users
    wrong = dataclasses.replace(
        world,
        users=FactorUsers(
            users.intercept,
            users.scale,
            users.user_effect[rows],
            users.item_effect,
            users.user_vectors[rows],
            users.item_vectors,
        ),
    )
    found = resemblance(wrong, data.log, split, like_at=4.0, seed=0)
    assert found.overall.low > report.overall.high
    assert abs(found.shuffled_gap.mean) < 0.02  # shuffling the shuffled changes nothing
    assert "no closer to real people" in " ".join(m.sentence for m in found.measures) or (
        "a little closer" in " ".join(m.sentence for m in found.measures)
    )


def test_a_fit_without_personal_signal_is_said_to_have_none(toy):
    """With one taste for everybody a stranger is as good, and no distance can be worse."""
    data, split, world, _ = toy
    users = world.users
    nobody = dataclasses.replace(
        users, user_effect=0 * users.user_effect, user_vectors=0 * users.user_vectors
    )
    found = resemblance(
        dataclasses.replace(world, users=nobody), data.log, split, like_at=4.0, seed=0
    )
    assert found.personal_gap.mean == pytest.approx(0.0, abs=1e-12)
    assert found.ranking_gap.high == pytest.approx(0.0, abs=1e-12)
    assert personal_sentence(found).startswith("the fit has no personal signal that held-out even")


def test_an_implicit_log_has_no_response_rate_and_says_so(toy):
    data, split, world, _ = toy
    log = dataclasses.replace(data.log, unit="count", time=None)
    report = resemblance(world, log, split, like_at=4.0, seed=0)
    assert "response rate" not in {measure.name for measure in report.measures}
    assert report.notes[0].startswith("response rate: the log tells nothing of it")
    assert report.notes[1].startswith("session length: the log has no times in seconds")


def test_events_people_were_asked_for_are_no_repeats(toy):
    data, split, world, _ = toy
    twice = np.r_[np.arange(len(data.log)), np.arange(100)]  # the first 100 events again
    log = data.log.select(twice)
    again = dataclasses.replace(split, part=split.part[twice])
    asked = np.arange(len(log)) >= len(data.log)
    shares = [
        next(
            measure.distance.mean
            for measure in resemblance(world, log, again, like_at=4.0, seed=0, asked=mask).measures
            if measure.name == "repeat rate"
        )
        for mask in (None, asked)
    ]
    assert shares == pytest.approx([100 / len(log), 0.0])


def test_too_few_held_out_users_are_refused(toy):
    data, split, world, _ = toy
    part = np.where(data.log.user == 0, Part.REALISM, Part.TRUTH).astype(np.int8)
    lonely = dataclasses.replace(split, part=part)
    with pytest.raises(SimrecError, match=r"^the held-out part has events of 1 users; expected 2"):
        resemblance(world, data.log, lonely, like_at=4.0, seed=0)


def test_the_card_is_one_picture_with_all_measures(toy, tmp_path):
    *_, report = toy
    path = write_card(report, tmp_path / "card.png")
    with Image.open(path) as picture:
        assert picture.format == "PNG"
        assert picture.width > 1000 and picture.height > 500
