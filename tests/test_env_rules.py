"""The user's rules, each against numbers worked out on paper."""

import numpy as np
import pytest

from simrec.envs.boredom import overlap
from simrec.envs.choice import click_probabilities, clicked_place, logit
from simrec.envs.leave import has_left, next_streak
from simrec.envs.topics import cluster_topics

HALF = float(np.sqrt(0.75))
TOPICS = np.array([[1, 0], [0.5, HALF], [0, 1], [0, 0]], dtype=np.float32)


def test_logit_is_the_log_odds_and_stays_finite_at_the_edges():
    # ln(0.8 / 0.2) = ln 4 = 1.3863; the edges are moved by 1e-12: ln(1e12) = 27.631
    assert logit(np.array([0.5, 0.8, 1.0, 0.0])) == pytest.approx(
        [0, 1.3863, 27.631, -27.631], abs=1e-4
    )


def test_a_slate_of_two_is_chosen_from_by_the_multinomial_logit():
    # weights exp(0) = 1, exp(ln 2) = 2 and 1 for no click: 1/4, 2/4 and 1/4
    z = np.array([[0.0, np.log(2.0)]])
    assert click_probabilities(z, np.array([[False, False]])) == pytest.approx(
        np.array([[0.25, 0.5]])
    )
    # without the second place: 1 / (1 + 1)
    assert click_probabilities(z, np.array([[False, True]])) == pytest.approx(
        np.array([[0.5, 0.0]])
    )


def test_with_one_place_the_choice_is_a_sigmoid():
    # 1 / (1 + e^0.3) = 0.425557
    p = click_probabilities(np.array([[-0.3]]), np.array([[False]]))
    assert p[0, 0] == pytest.approx(0.425557, abs=1e-6)


def test_luck_decides_in_slate_order():
    p = np.tile([[0.25, 0.5]], (5, 1))
    luck = np.array([0.0, 0.2499, 0.25, 0.7499, 0.75])
    assert clicked_place(p, luck).tolist() == [0, 0, 1, 1, 2]


def test_a_place_of_probability_zero_is_never_clicked_even_at_luck_zero():
    assert clicked_place(np.array([[0.0, 0.5]]), np.array([0.0])).tolist() == [1]


def test_overlap_is_the_mean_cosine_with_what_was_shown():
    # item 1 after item 0: 0.5; item 2 after items 0 and 1: (0 + 0.8660) / 2 = 0.4330
    one = overlap(TOPICS, np.array([[1]]), np.array([[-1, 0]]))
    two = overlap(TOPICS, np.array([[2]]), np.array([[0, 1]]))
    assert one[0, 0] == pytest.approx(0.5)
    assert two[0, 0] == pytest.approx(0.4330127, abs=1e-6)


def test_nothing_shown_and_no_topics_bore_nobody():
    assert overlap(TOPICS, np.array([[0, 2]]), np.array([[-1, -1]])).tolist() == [[0.0, 0.0]]
    assert overlap(TOPICS, np.array([[3]]), np.array([[3, 0]])).tolist() == [[0.0]]


def test_a_click_ends_the_streak_and_patience_ends_the_session():
    streak = next_streak(np.array([3, 3, 0]), np.array([True, False, False]))
    assert streak.tolist() == [0, 4, 1]
    assert has_left(streak, 4).tolist() == [False, True, False]


def test_clusters_find_two_clouds_and_give_rows_of_length_one():
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(0, 0.1, (20, 3)), rng.normal(5, 0.1, (20, 3))])
    topics = cluster_topics(x.astype(np.float32), rng, clusters=2)
    assert topics.sum(axis=1).tolist() == [1.0] * 40
    assert (topics[:20] == topics[0]).all() and (topics[20:] == topics[20]).all()
    assert (topics[0] != topics[20]).any()
