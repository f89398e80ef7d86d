"""Statistics of several arms and worlds, against numbers worked out on paper."""

import numpy as np
import pytest
from scipy import stats

from simrec.errors import SimrecError
from simrec.statistics import holm, interquartile_mean, probability_of_improvement, sign_flip_p


def test_interquartile_mean_by_hand() -> None:
    assert interquartile_mean([100, 2, 3, -50]) == pytest.approx(2.5)
    # five values, a fifth of the weight each: the cuts take 1/4, so 1.25 values at each end;
    # left are .75 of the second, the third whole, .75 of the fourth
    assert interquartile_mean([1, 2, 3, 5, 99]) == pytest.approx((1.5 + 3 + 3.75) / 2.5)
    assert interquartile_mean([7.0]) == 7.0
    assert interquartile_mean([[1.0, np.nan], [3.0, np.nan]]) == pytest.approx(2.0)


def test_interquartile_mean_of_fours_is_scipys_trimmed_mean() -> None:
    x = np.random.default_rng(0).normal(size=40)
    assert interquartile_mean(x) == pytest.approx(stats.trim_mean(x, 0.25))


def test_probability_of_improvement_by_hand() -> None:
    # pairs: 1-0, 1-1, 3-0, 3-1: win, tie, win, win
    assert probability_of_improvement([1, 3], [0, 1]) == pytest.approx(3.5 / 4)
    assert probability_of_improvement([0, 1], [1, 3]) == pytest.approx(0.5 / 4)
    # two worlds: sure in one, hopeless in the other
    assert probability_of_improvement([[2, 2], [0, 0]], [[1, 1], [1, 1]]) == 0.5
    with pytest.raises(SimrecError) as error:
        probability_of_improvement([[1], [2]], [1])
    assert str(error.value) == ("cannot compare 2 worlds with 1; give both arms the same worlds")


def test_holm_by_hand() -> None:
    # sorted .01, .02, .04: times 3, 2, 1
    assert holm({"a": 0.04, "b": 0.01, "c": 0.02}) == pytest.approx(
        {"a": 0.04, "b": 0.03, "c": 0.04}
    )
    # .03 * 2 = .06, and .04 * 1 = .04 may not fall below it
    assert holm({"a": 0.03, "b": 0.04}) == pytest.approx({"a": 0.06, "b": 0.06})
    assert holm({"a": 0.9, "b": 0.8}) == {"a": 1.0, "b": 1.0}
    # a contrast that could not be told still counts
    found = holm({"a": 0.01, "b": float("nan")})
    assert found["a"] == pytest.approx(0.02)
    assert np.isnan(found["b"])


def test_sign_flips_by_hand() -> None:
    rng = np.random.default_rng(0)
    # of the 8 flips of (1, 2, 3) only all and none reach |sum| = 6
    assert sign_flip_p([1.0, 2.0, 3.0], rng=rng) == pytest.approx(2 / 8)
    # (1, -1): all four flips have |sum| of 0 or more
    assert sign_flip_p([1.0, -1.0], rng=rng) == 1.0
    assert np.isnan(sign_flip_p([1.0], rng=rng))


def test_drawn_sign_flips_come_near_all_of_them() -> None:
    x = np.random.default_rng(1).normal(0.4, 1.0, size=12)
    whole = sign_flip_p(x, rng=np.random.default_rng(2))
    drawn = sign_flip_p(x, rng=np.random.default_rng(2), draws=4000)
    assert drawn == pytest.approx(whole, abs=0.02)
