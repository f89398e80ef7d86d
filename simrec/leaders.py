"""Who is best in a window, and how sure one can be of it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtr

from simrec.compare import Comparison
from simrec.randomness import generator
from simrec.statistics import Interval, holm, paired_interval, resolved

KNOWS_USERS = ("oracle", "static")  # they read the truth, so they cannot be deployed
FEWER_IS_BETTER = ("lost_early",)


@dataclass(frozen=True)
class Leader:
    """The best strategy by one measure."""

    strategy: str
    value: Interval
    tied: tuple[str, ...]  # whose difference to the leader is not resolved
    runner_up: str  # the best of those clearly behind; "" where there is none
    lead: Interval | None  # over the runner-up, paired over seeds; positive is better
    contrasts: int  # how many differences to the leader were looked at
    p: float  # of the lead, two-sided paired t, by Holm's rule over the contrasts; NaN without


def leader(comparison: Comparison, measure: str) -> Leader | None:
    """Return who leads by a measure among strategies that could be deployed; None without any.

    The leader is picked after the fact and compared with each of the others. The intervals are not
    corrected for that; `p` is, by Holm's rule over these differences.

    Args:
        comparison: The study.
        measure: A member of compare.MEASURES.
    """
    sign = -1.0 if measure in FEWER_IS_BETTER else 1.0
    names = [
        name
        for name, standing in comparison.strategies.items()
        if name not in KNOWS_USERS and np.isfinite(standing.values[measure].mean)
    ]
    names.sort(key=lambda name: -sign * comparison.strategies[name].values[measure].mean)
    if not names:
        return None
    best = names[0]
    tied: list[tuple[str, Interval]] = []
    behind: list[tuple[str, Interval]] = []
    for name in names[1:]:
        lead = difference(comparison, best, name, measure)
        lead = lead if sign > 0 else _mirrored(lead)
        (behind if resolved(lead) else tied).append((name, lead))
    value = comparison.strategies[best].values[measure]
    equal = tuple(name for name, _ in tied)
    runner_up, lead_over = behind[0] if behind else ("", None)
    p_values = {name: t_p(_differences(comparison, best, name, measure)) for name in names[1:]}
    p = holm(p_values).get(runner_up, float("nan"))
    return Leader(best, value, equal, runner_up, lead_over, len(p_values), p)


def t_p(differences: Sequence[float]) -> float:
    """Return the two-sided p-value of Student's paired t; NaN for fewer than two differences.

    Differences that are all equal have no spread: 0 where they are not zero, else 1.
    """
    x = np.asarray(differences, dtype=np.float64)
    x = x[np.isfinite(x)]
    n = len(x)
    if n < 2:
        return float("nan")
    if np.ptp(x) <= 1e-12 * max(1.0, float(np.abs(x).max())):
        return float(abs(x.mean()) <= 1e-12)
    t = abs(float(x.mean())) / (float(x.std(ddof=1)) / np.sqrt(n))
    return float(2 * stdtr(n - 1, -t))


def _differences(comparison: Comparison, a: str, b: str, measure: str) -> list[float]:
    mine, theirs = comparison.table[a], comparison.table[b]
    both = sorted(mine.keys() & theirs.keys())
    return [mine[seed][measure] - theirs[seed][measure] for seed in both]


def difference(comparison: Comparison, a: str, b: str, measure: str) -> Interval:
    """Return the paired difference a - b over the seeds both have."""
    known = comparison.strategies[a].against.get(b)
    if known is not None:
        return known[measure]
    known = comparison.strategies[b].against.get(a)
    if known is not None:
        return _mirrored(known[measure])
    mine, theirs = comparison.table[a], comparison.table[b]
    both = sorted(mine.keys() & theirs.keys())
    return paired_interval(
        [mine[seed][measure] for seed in both],
        [theirs[seed][measure] for seed in both],
        rng=generator(0, "compare", *sorted((a, b)), measure),
    )


def _mirrored(found: Interval) -> Interval:
    return Interval(-found.mean, -found.high, -found.low)
