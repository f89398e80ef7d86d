"""Measures of what users were shown and how they fared, against numbers worked out on paper."""

import numpy as np
import pytest
import torch

from simrec.metrics import (
    gini,
    lost_before,
    newcomers,
    novelty,
    regret,
    session_diversity,
    worst_users,
)
from simrec.stages.noted import overlap


def test_gini_by_hand() -> None:
    assert gini([3, 3, 3, 3]) == 0.0
    assert gini([0, 0, 0, 5]) == pytest.approx(3 / 4)
    # sorted 1, 3: (-1 * 1 + 1 * 3) / (2 * 4)
    assert gini([3, 1]) == pytest.approx(1 / 4)
    assert gini([30, 10]) == gini([3, 1])
    assert np.isnan(gini([0, 0]))


def test_novelty_by_hand() -> None:
    # 1 + events = 4, 2, 2 of 8: one bit, two bits, two bits
    assert novelty([1, 0, 0], [3, 1, 1]) == pytest.approx(1.0)
    assert novelty([1, 1, 2], [3, 1, 1]) == pytest.approx((1 + 2 + 4) / 4)
    assert np.isnan(novelty([0, 0, 0], [3, 1, 1]))


def test_newcomers_by_hand() -> None:
    found = newcomers([True, False, True], [3, 6, 1], [2, 3, 0])
    assert found == {
        "new_items_share": pytest.approx(4 / 10),
        "new_items_click_rate": pytest.approx(2 / 4),
        "old_items_click_rate": pytest.approx(3 / 6),
    }
    # what was never shown has no rate
    assert newcomers([True, False], [0, 5], [0, 1]).keys() == {
        "new_items_share",
        "old_items_click_rate",
    }


def test_lost_before_by_hand() -> None:
    length, left = [4, 4, 5, 20], [True, False, True, False]
    assert lost_before(length, left) == 0.25  # only the first left, and before step 5
    assert lost_before(length, left, step=6) == 0.5
    assert np.isnan(lost_before([], []))


def test_worst_users_by_hand() -> None:
    user, reward = [7, 7, 8, 9, 9], [1.0, 3.0, 1.0, 0.0, 10.0]
    # means 2, 1 and 5: a tenth of three users is one user
    assert worst_users(user, reward) == 1.0
    assert worst_users(user, reward, share=0.6) == pytest.approx(1.5)
    assert worst_users(user, reward, share=1.0) == pytest.approx(8 / 3)


def test_session_diversity_by_hand() -> None:
    a, b = [1.0, 0.0], [0.0, 1.0]
    # session 0: a, a, b: distances 0, 1, 1; session 1: a, a: 0; session 2: one item, no pair
    assert session_diversity([0, 0, 0, 1, 1, 2], [a, a, b, a, a, b]) == pytest.approx(1 / 3)
    assert session_diversity([0, 0], [a, b]) == pytest.approx(1.0)
    assert np.isnan(session_diversity([0, 1], [a, b]))


def test_session_diversity_is_the_mean_over_pairs() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(7, 3))
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    pairs = [1 - x[i] @ x[j] for i in range(7) for j in range(i)]
    assert session_diversity(np.zeros(7), x) == pytest.approx(np.mean(pairs))


def test_regret_by_hand() -> None:
    assert regret([1.0, 4.0], 5.0) == pytest.approx(5.0)


def test_the_share_of_frozen_actions_by_hand() -> None:
    pi = torch.tensor([[0.5, 0.5, 0.0], [0.2, 0.3, 0.5]]).log()
    pi_0 = torch.tensor([[0.25, 0.5, 0.25], [0.2, 0.3, 0.5]]).log()
    # rows: .25 + .5 + 0 and 1
    assert overlap(pi, pi_0) == pytest.approx(0.875)
    # a draw of each from the best coupling of the two agrees with just this chance: 1 - TV
    tv = 0.5 * (pi.exp() - pi_0.exp()).abs().sum(1).mean()
    assert overlap(pi, pi_0) == pytest.approx(1 - float(tv))
    apart = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]).log()
    assert overlap(apart, apart.flip(0)) == 0.0
