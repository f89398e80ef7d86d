"""What could be gained at most by choosing, from moment to moment, between two strategies' rewards.

A rule that plays pi_0 while it is the better one and a new policy from then on gains over the new
policy alone what lies between their curves before they cross. Where that is next to nothing, no
such rule can meet a target for the whole run; only a rule that learns from both at once can.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from simrec.compare import session_scores
from simrec.randomness import generator
from simrec.records import Run
from simrec.statistics import Interval, interval

Array = NDArray[np.float64]

BLOCKS = 30  # of the run, dense early, where curves cross
FIRST = 400  # the first block is a 400th of the run


def switching_gain(base: Sequence[Run], other: Sequence[Run]) -> Interval:
    """Return what a run of `base` would gain by playing `other` wherever that does better.

    For a seed, the sum over blocks of the run of the block's share of base's sessions times other's
    mean normalised reward less base's, over those blocks in which other is ahead on average over
    all the other seeds: told by its own seed, a rule would also gain what is only luck. This
    project's own measure.

    Args:
        base: Runs of the strategy that learns, one a seed.
        other: Runs of the one it may fall back on; seeds that only one has are left out.

    Returns:
        The mean over seeds with its interval, in normalised reward over the whole run; NaN with
        fewer than two seeds.
    """
    learnt, fixed = ({run.record.seed: run for run in runs} for runs in (base, other))
    seeds = sorted(learnt.keys() & fixed.keys())
    if len(seeds) < 2:
        return interval([], rng=generator(0, "switching"))
    edges = np.append(0.0, np.geomspace(1.0 / FIRST, 1.0, BLOCKS))
    parts = [(_sums(learnt[seed], edges), _sums(fixed[seed], edges)) for seed in seeds]
    lead = np.stack([_mean(*theirs) - _mean(*ours) for ours, theirs in parts])
    lead = np.nan_to_num(lead)  # a block in which one has no session says nothing
    share = np.stack([count / count.sum() for (_, count), _ in parts])
    elsewhere = lead.sum(axis=0) - lead  # (n, BLOCKS) of the other seeds
    gains = (np.where(elsewhere > 0.0, lead, 0.0) * share).sum(axis=1)
    names = (base[0].record.strategy, other[0].record.strategy)
    return interval(gains, rng=generator(0, "switching", *names))


def _sums(run: Run, edges: Array) -> tuple[Array, Array]:
    """Return (BLOCKS,) normalised reward and number of the sessions that begin in each block."""
    start, score = session_scores(run)
    block = np.searchsorted(edges, start / run.record.budget_env_steps, side="right") - 1
    count = np.bincount(block, minlength=BLOCKS).astype(np.float64)
    total = np.bincount(block, weights=score, minlength=BLOCKS).astype(np.float64)
    return total, count


def _mean(total: Array, count: Array) -> Array:
    found: Array = np.divide(total, count, out=np.full(BLOCKS, np.nan), where=count > 0)
    return found
