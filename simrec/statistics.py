"""Intervals over seeds: how far a mean or a paired difference is pinned down by the runs made.

The unit is the seed, never the session or the user: sessions of one run share a policy and are
not independent. Every function is deterministic given its generator.
"""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from simrec.errors import SimrecError


@dataclass(frozen=True)
class Interval:
    """A mean over seeds with its confidence interval; NaN where it cannot be told."""

    mean: float
    low: float
    high: float

    def as_dict(self) -> dict[str, float]:
        """Return mean, low and high by name."""
        return {"mean": self.mean, "low": self.low, "high": self.high}

    def texts(self, digits: int = 3, *, signed: bool = False) -> tuple[str, str]:
        """Return the mean and the interval as people read them; an end that is NaN says why.

        Args:
            digits: Decimals shown.
            signed: Write a plus before a positive mean, as for differences.
        """
        if not np.isfinite(self.mean):
            return "not seen", ""
        mean = f"{self.mean:{'+' if signed else ''}.{digits}f}"
        if not np.isfinite(self.low):
            return mean, "one seed"
        return mean, f"[{self.low:.{digits}f}, {self.high:.{digits}f}]"


def interval(
    values: ArrayLike,
    *,
    rng: np.random.Generator,
    confidence: float = 0.95,
    resamples: int = 10_000,
) -> Interval:
    """Return the mean over seeds with its BCa bootstrap interval (Efron 1987; scipy's code).

    Two cases have no BCa interval. Equal values give low = high = mean: no resample differs, so
    the bootstrap knows no spread. One value gives NaN for both ends: a single seed says nothing
    about spread. Where BCa is undefined for another reason the percentile interval is used.

    With few seeds the bootstrap is too narrow. On normal values (600 draws each) the 95 % interval
    held the true mean in about 70 % of cases with 3 seeds, 86 % with 5, 90 % with 10; t_interval
    held it in 94 to 96 %. Read "resolved" with that in mind, and prefer 10 seeds or more.

    Args:
        values: (n_seeds,) one number a seed; NaN is left out.
        rng: Draws the resamples.
        confidence: Share of such intervals that should hold the true mean, in (0, 1).
        resamples: Bootstrap resamples.
    """
    x = _finite(values)
    if len(x) < 2:
        return Interval(float(x[0]) if len(x) else np.nan, np.nan, np.nan)
    mean = float(x.mean())
    if np.ptp(x) <= 1e-12 * max(1.0, abs(mean)):  # equal up to rounding
        return Interval(mean, mean, mean)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", stats.DegenerateDataWarning)
        found = stats.bootstrap(
            (x,), np.mean, n_resamples=resamples, confidence_level=confidence, method="BCa", rng=rng
        )
    low, high = found.confidence_interval
    if not np.isfinite([low, high]).all():
        tail = (1 - confidence) / 2
        low, high = np.quantile(found.bootstrap_distribution, [tail, 1 - tail])
    return Interval(mean, float(low), float(high))


def paired_interval(
    a: ArrayLike,
    b: ArrayLike,
    *,
    rng: np.random.Generator,
    confidence: float = 0.95,
    resamples: int = 10_000,
) -> Interval:
    """Return the interval of the mean of a - b over seeds; a[i] and b[i] share a seed.

    What both arms of a seed have in common (its users, its luck) cancels in the difference.

    Args:
        a: (n_seeds,) one arm.
        b: (n_seeds,) the other arm, seeds in the same order.
        rng: Draws the resamples.
        confidence: As in `interval`.
        resamples: As in `interval`.

    Raises:
        SimrecError: The arms have different numbers of seeds.
    """
    left, right = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if left.shape != right.shape:
        raise SimrecError(
            f"cannot pair {left.size} seeds with {right.size}; give both arms the same seeds"
        )
    return interval(left - right, rng=rng, confidence=confidence, resamples=resamples)


def t_interval(values: ArrayLike, *, confidence: float = 0.95) -> Interval:
    """Return the mean over seeds with Student's t interval, exact for normal values at any n.

    Args:
        values: (n_seeds,) one number a seed; NaN is left out.
        confidence: As in `interval`.
    """
    x = _finite(values)
    if len(x) < 2:
        return Interval(float(x[0]) if len(x) else np.nan, np.nan, np.nan)
    half = stats.t.ppf((1 + confidence) / 2, len(x) - 1) * x.std(ddof=1) / np.sqrt(len(x))
    return Interval(float(x.mean()), float(x.mean() - half), float(x.mean() + half))


def resolved(found: Interval) -> bool:
    """Return whether an interval excludes zero; an interval that cannot be told does not."""
    return bool(found.low > 0 or found.high < 0)


def interquartile_mean(values: ArrayLike) -> float:
    """Return the mean of the middle half: a quarter of the weight is cut off at each end.

    Where n is not a multiple of 4, the two values at the cuts count in part, so that exactly half
    of the weight is left (IQM as in Agarwal et al., NeurIPS 2021; reconstructed).

    Args:
        values: Any shape, for example (n_worlds, n_seeds); NaN is left out.
    """
    x = np.sort(_finite(values))
    if not len(x):
        return float("nan")
    edges = np.arange(len(x) + 1) / len(x)
    kept = np.clip(np.minimum(edges[1:], 0.75) - np.maximum(edges[:-1], 0.25), 0.0, None)
    return float(kept @ x / kept.sum())


def probability_of_improvement(a: ArrayLike, b: ArrayLike) -> float:
    """Return the chance that a run of `a` beats a run of `b`, ties counting half.

    The Mann-Whitney statistic over all pairs, divided by their number; with several worlds it is
    taken in each and averaged (Agarwal et al., NeurIPS 2021; reconstructed).

    Args:
        a: (n,) or (n_worlds, n) one arm.
        b: (m,) or (n_worlds, m) the other arm.
    """
    left, right = np.atleast_2d(np.asarray(a, float)), np.atleast_2d(np.asarray(b, float))
    if len(left) != len(right):
        raise SimrecError(
            f"cannot compare {len(left)} worlds with {len(right)}; give both arms the same worlds"
        )
    gap = left[:, :, None] - right[:, None, :]
    return float(((gap > 0) + 0.5 * (gap == 0)).mean())


def sign_flip_p(differences: ArrayLike, *, rng: np.random.Generator, draws: int = 20_000) -> float:
    """Return the two-sided p-value of a paired difference by flipping signs.

    Under the hypothesis of no difference each seed's difference is as likely to be its negative
    (Fisher's randomisation test; reconstructed). All 2^n flips are tried where there are no more
    than `draws`, else as many drawn ones, the observed one counted among them.

    Args:
        differences: (n_seeds,); NaN is left out.
        rng: Draws the flips.
        draws: Greatest number of flips.
    """
    x = _finite(differences)
    n = len(x)
    if n < 2:
        return float("nan")
    if 2**n <= draws:
        signs = 1.0 - 2.0 * ((np.arange(2**n)[:, None] >> np.arange(n)) & 1)
    else:
        signs = np.vstack([np.ones(n), rng.choice([-1.0, 1.0], size=(draws - 1, n))])
    found = np.abs(signs @ x)
    return float((found >= abs(x.sum()) - 1e-12 * max(1.0, abs(x).sum())).mean())


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Return p-values adjusted for all declared contrasts, by Holm's step-down rule (1979).

    The i-th smallest of m is multiplied by m - i + 1, never falls below the one before it, and is
    at most 1. A contrast holds at level alpha when its adjusted value is at most alpha.

    Args:
        p_values: Contrast -> p; NaN stays NaN and still counts as declared.
    """
    m = len(p_values)
    adjusted: dict[str, float] = {}
    floor = 0.0
    known = sorted((p, name) for name, p in p_values.items() if np.isfinite(p))
    for place, (p, name) in enumerate(known):
        floor = max(floor, min(1.0, (m - place) * p))
        adjusted[name] = floor
    return {name: adjusted.get(name, float("nan")) for name in p_values}


def _finite(values: ArrayLike) -> NDArray[np.float64]:
    x = np.asarray(values, dtype=np.float64).ravel()
    return x[np.isfinite(x)]
