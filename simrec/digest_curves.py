"""Curves over env steps from digests: a metric's mean over seeds with its interval."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from simrec.curves import Curve
from simrec.digest import SUMS, Digest, grid_edges, update_edges
from simrec.metrics import normalised
from simrec.statistics import interval

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Metric:
    """Something that can be drawn over env steps; {unit} is what the world's reward counts."""

    title: str
    unit: str
    about: str


METRICS = {
    "reward": Metric(
        "normalised reward",
        "0 random, 1 oracle",
        "{unit} a session, where 0 is what random items get and 1 an oracle that knows every user",
    ),
    "earned": Metric("{unit}", "{unit} a session", "what a session brings, before any scaling"),
    "length": Metric(
        "session length",
        "recommendations a session",
        "how many recommendations a user stays for",
    ),
    "left": Metric(
        "users lost",
        "users who left, per 1,000 recommendations",
        "how fast users run out of patience and leave",
    ),
}


def metric_curve(
    digests: Sequence[Digest],
    metric: str,
    grid: str,
    *,
    budget: int,
    bounds: dict[str, float],
    rng: np.random.Generator,
) -> Curve:
    """Return the mean over seeds of a metric of the sessions that start in each bin.

    Args:
        digests: One a seed.
        metric: A key of METRICS, or a quantity in the digests' updates (the grid is then whole).
        grid: "whole", "early" or "log", as in `simrec.digest`.
        budget: Env steps of the runs.
        bounds: Reward per session of random and oracle.
        rng: Draws the resamples.
    """
    if metric not in METRICS:
        edges = update_edges(budget)
        nothing = np.full(len(edges) - 1, np.nan)
        y = np.stack([d.updates.get(metric, nothing) for d in digests])
    else:
        edges = grid_edges(grid, budget)
        y = np.stack([_values(d.bins[grid], metric, bounds) for d in digests])
    seen = np.isfinite(y).any(axis=0)
    mean, low, high = bands(y[:, seen], rng)
    return Curve(((edges[:-1] + edges[1:]) / 2)[seen], mean, low, high)


def _values(
    sums: NDArray[np.float64], metric: str, bounds: dict[str, float]
) -> NDArray[np.float64]:
    """Return the metric (P,) of one seed's sums (4, P); NaN where no session starts."""
    total = dict(zip(SUMS, sums, strict=True))
    with np.errstate(divide="ignore", invalid="ignore"):
        if metric == "left":
            return np.asarray(1000.0 * total["left"] / total["steps"])
        if metric == "length":
            return np.asarray(total["steps"] / total["sessions"])
        earned = np.asarray(total["reward"] / total["sessions"])
    return earned if metric == "earned" else normalised(earned, bounds["random"], bounds["oracle"])


def bands(
    y: NDArray[np.float64], rng: np.random.Generator, resamples: int = 2000
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return means and BCa intervals (Efron 1987; reconstructed) of many columns at once.

    All columns share the resamples of seeds, so a matrix product does the work of many bootstraps.
    Columns with gaps go through `simrec.statistics.interval`, whose rules for special cases hold.

    Args:
        y: (n_seeds, P), at least one finite value a column.
        rng: Draws the resamples.
        resamples: Bootstrap resamples.

    Returns:
        Mean, low and high, (P,) each; the ends are NaN where there is one seed.
    """
    mean = np.nanmean(y, axis=0)
    low, high = np.full_like(mean, np.nan), np.full_like(mean, np.nan)
    n = len(y)
    gaps = ~np.isfinite(y).all(axis=0)
    still = ~gaps & (np.ptp(y, axis=0) <= 1e-12 * np.maximum(1.0, np.abs(mean)))
    for column in np.flatnonzero(gaps):
        found = interval(y[:, column], rng=rng, resamples=resamples)
        low[column], high[column] = found.low, found.high
    if n < 2:
        return mean, low, high
    low[still], high[still] = mean[still], mean[still]
    usual = np.flatnonzero(~gaps & ~still)
    if len(usual):
        low[usual], high[usual] = _bca(y[:, usual], rng, resamples)
    return mean, low, high


def _bca(
    y: NDArray[np.float64], rng: np.random.Generator, resamples: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    n = len(y)
    mean = y.mean(axis=0)
    drawn = rng.multinomial(n, np.full(n, 1 / n), size=resamples) / n  # (R, n)
    boot = np.sort(drawn @ y, axis=0)  # (R, P)
    below = ((boot < mean).mean(axis=0) + (boot <= mean).mean(axis=0)) / 2
    bias = stats.norm.ppf(below)
    gap = mean - (y.sum(axis=0) - y) / (n - 1)  # (n, P) jackknife
    skew = (gap**3).sum(axis=0) / (6 * (gap**2).sum(axis=0) ** 1.5)
    ends = []
    for tail in ((1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2):
        z = bias + stats.norm.ppf(tail)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            share = stats.norm.cdf(bias + z / (1 - skew * z))
        share = np.where(np.isfinite(share), share, tail)
        place = share * (resamples - 1)
        floor = np.floor(place).astype(np.int64)
        columns = np.arange(y.shape[1])
        upper = boot[np.minimum(floor + 1, resamples - 1), columns]
        ends.append(boot[floor, columns] + (place - floor) * (upper - boot[floor, columns]))
    return ends[0], ends[1]
