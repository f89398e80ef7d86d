"""Moods and leaving, each part against numbers worked out on paper."""

import math

import numpy as np
import pytest

from simrec.envs.drift import drifted
from simrec.envs.leave import spent
from simrec.envs.rules import Rules
from simrec.envs.satiation import sated, unlike_before
from simrec.envs.single import RecommendEnv
from simrec.envs.vector import RecommendVectorEnv
from simrec.errors import SimrecError
from tests.env_worlds import constant_world, random_world, taste_world

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
