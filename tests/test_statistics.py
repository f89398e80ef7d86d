"""Intervals over seeds and the measures they are made of, against numbers worked out by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from simrec.errors import SimrecError
from simrec.metrics import auc, expected_calibration_error, normalised, window_of
from simrec.statistics import Interval, interval, paired_interval, resolved, t_interval


def rng() -> np.random.Generator:
    return np.random.default_rng(7)


def test_equal_values_give_an_interval_of_no_width() -> None:
    assert interval([0.25] * 5, rng=rng()) == Interval(0.25, 0.25, 0.25)


def test_one_seed_says_nothing_about_spread() -> None:
    found = interval([0.3], rng=rng())
    assert found.mean == 0.3
    assert np.isnan([found.low, found.high]).all()
    assert not resolved(found)
    assert np.isnan(interval([], rng=rng()).mean)
    assert found.texts() == ("0.300", "one seed")


def test_two_values_bound_the_interval_by_themselves() -> None:
    # Resample means of (0, 1) are 0, 0.5, 1 with chances 1/4, 1/2, 1/4: both 2.5 % tails lie on
    # the end points, and symmetric data have no acceleration and (up to luck) no bias.
    assert interval([0.0, 1.0], rng=rng()) == Interval(0.5, 0.0, 1.0)


def test_symmetric_data_give_a_nearly_symmetric_interval() -> None:
    x = np.array([-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0])
    found = interval(x, rng=rng())
    assert found.mean == 0.0
    # For symmetric data BCa equals the percentile interval: mean +- about 1.96 * sd / sqrt(n)
    # = 1.96 * 2 / sqrt(7) = 1.48 with the population sd sqrt(28 / 7) = 2.
    assert found.low == pytest.approx(-found.high, abs=0.15)
    assert found.high == pytest.approx(1.48, abs=0.15)


def test_skewed_data_push_the_interval_to_the_long_side() -> None:
    # BCa corrects for skewness: with one large value the upper arm is the longer one, and longer
    # than the percentile interval's.
    x = np.array([0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 5.0])
    found = interval(x, rng=rng())
    means = rng().choice(x, size=(10_000, len(x))).mean(axis=1)
    assert found.high - found.mean > found.mean - found.low
    assert found.high > np.quantile(means, 0.975)


def test_same_generator_same_interval() -> None:
    x = [0.1, 0.4, 0.2, 0.9]
    assert interval(x, rng=rng()) == interval(x, rng=rng())
    assert interval(x, rng=rng()) == interval([*x, np.nan], rng=rng())  # NaN is left out


def test_a_shift_common_to_both_arms_leaves_the_difference() -> None:
    a, b = np.array([0.5, 0.7, 0.4, 0.9]), np.array([0.4, 0.4, 0.5, 0.6])
    luck = np.array([8.0, -4.0, 16.0, 2.0])  # large, and different for every seed
    plain = paired_interval(a, b, rng=rng())
    shifted = paired_interval(a + luck, b + luck, rng=rng())
    assert plain.mean == pytest.approx(0.15)  # (0.1 + 0.3 - 0.1 + 0.3) / 4
    assert shifted.mean == pytest.approx(plain.mean)
    assert (shifted.low, shifted.high) == pytest.approx((plain.low, plain.high))
    with pytest.raises(SimrecError) as error:
        paired_interval(a, b[:3], rng=rng())
    assert str(error.value) == "cannot pair 4 seeds with 3; give both arms the same seeds"


def test_a_constant_difference_is_exact_however_wild_the_seeds() -> None:
    a = np.array([1.0, 50.0, -20.0, 4.0])
    found = paired_interval(a + 0.5, a, rng=rng())
    assert found == Interval(0.5, 0.5, 0.5)
    assert resolved(found)


def test_t_interval_is_the_textbook_one() -> None:
    # mean 2, sd 1, n 3: half width = 4.30265 * 1 / sqrt(3) = 2.48414
    found = t_interval([1.0, 2.0, 3.0])
    assert (found.low, found.high) == pytest.approx((2 - 2.48414, 2 + 2.48414), abs=1e-4)
    assert np.isnan(t_interval([1.0]).low)


def test_resolved_means_that_zero_is_outside() -> None:
    assert resolved(Interval(1.0, 0.5, 1.5))
    assert resolved(Interval(-1.0, -1.5, -0.5))
    assert not resolved(Interval(0.5, 0.0, 1.0))
    assert not resolved(Interval(0.5, -0.1, 1.0))


@given(st.lists(st.floats(-5, 5), min_size=2, max_size=8))
def test_an_interval_is_finite_and_ordered(values: list[float]) -> None:
    found = interval(values, rng=rng(), resamples=200)
    assert np.isfinite([found.low, found.high]).all()
    assert min(values) - 1e-9 <= found.low <= found.high <= max(values) + 1e-9


def test_windows_have_the_boundaries_they_promise() -> None:
    # budget 1,000: early is [0, 50), middle [50, 800), late [800, ...)
    starts = np.array([0, 49, 50, 799, 800, 999])
    assert window_of(starts, 1000).tolist() == ["early"] * 2 + ["middle"] * 2 + ["late"] * 2
    # 5 % of 30 is 1.5 and 80 % is 24: steps 0 and 1 are early, 24 is the first late one
    assert window_of([0, 1, 2, 23, 24], 30).tolist() == [
        "early", "early", "middle", "middle", "late",
    ]  # fmt: skip
    assert str(window_of(49, 1000)) == "early"


def test_normalised_reward_by_hand() -> None:
    # random 2, oracle 12: 7 clicks are half of the way
    assert normalised([2.0, 7.0, 12.0, 0.0], 2.0, 12.0).tolist() == [0.0, 0.5, 1.0, -0.2]
    assert np.isnan(normalised(3.0, 2.0, 2.0))


def test_auc_counts_ties_half() -> None:
    # positives 0.9, 0.5; negatives 0.5, 0.1: wins 1 + 1 + 0.5 + 1 of 4 pairs
    assert auc([1, 1, 0, 0], [0.9, 0.5, 0.5, 0.1]) == 0.875
    assert auc([1, 0], [0.3, 0.3]) == 0.5
    assert auc([1, 1, 0], [1, 2, 3]) == 0.0
    assert np.isnan(auc([1, 1], [0.2, 0.3]))


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), min_size=1, max_size=30))
def test_auc_is_the_mann_whitney_statistic(rows: list[tuple[bool, int]]) -> None:
    labels = np.array([row[0] for row in rows])
    scores = np.array([float(row[1]) for row in rows])
    value = auc(labels, scores)
    if labels.all() or not labels.any():
        assert np.isnan(value)
        return
    u = stats.mannwhitneyu(scores[labels], scores[~labels]).statistic
    assert value == pytest.approx(u / (labels.sum() * (~labels).sum()))


def test_calibration_error_by_hand() -> None:
    # Bin [0.2, 0.3): predictions 0.2, 0.2 and outcomes 0, 1: gap |0.4 - 1| = 0.6 over 2.
    # Bin [0.9, 1.0]: predictions 1.0, 0.9 and outcomes 1, 1: gap |1.9 - 2| = 0.1 over 2.
    # Weighted by n: (0.6 + 0.1) / 4 = 0.175.
    assert expected_calibration_error([0.2, 0.2, 1.0, 0.9], [0, 1, 1, 1]) == pytest.approx(0.175)
    assert np.isnan(expected_calibration_error([], []))
