"""Who is best in a window, and how sure one can be of it."""

from dataclasses import dataclass

import numpy as np

from simrec.compare import Comparison
from simrec.randomness import generator
from simrec.statistics import Interval, paired_interval, resolved

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


def leader(comparison: Comparison, measure: str) -> Leader | None:
    """Return who leads by a measure among strategies that could be deployed; None without any.

    The leader is picked after the fact and compared with each of the others; no correction is made
    for that.

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
    return Leader(best, value, equal, *(behind[0] if behind else ("", None)))


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
