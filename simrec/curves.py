"""Learning curves: normalised reward over the env steps of a run, averaged over seeds."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simrec.compare import session_scores
from simrec.randomness import generator
from simrec.records import Run
from simrec.statistics import interval


@dataclass(frozen=True)
class Curve:
    """One strategy's learning curve; points in which no session starts are left out."""

    env_step: NDArray[np.float64]  # (P,) middle of the bin
    mean: NDArray[np.float64]  # (P,) mean over seeds of each seed's mean y
    low: NDArray[np.float64]  # (P,) NaN with a single seed
    high: NDArray[np.float64]  # (P,)


def learning_curve(
    runs: Sequence[Run], points: int = 60, *, until: float = 1.0, log: bool = False
) -> Curve:
    """Return the mean over seeds of the normalised reward in bins of env steps.

    Args:
        runs: The runs of one strategy, one a seed.
        points: How many bins.
        until: Share of the budget to show, in (0, 1].
        log: Give the bins equal width on a logarithmic axis: dense early, sparse late.
    """
    budget = runs[0].record.budget_env_steps
    end = budget * until
    # The first hundredth shares one bin on the logarithmic grid, which cannot begin at zero.
    edges = (
        np.append(0.0, np.geomspace(end / 100, end, points))
        if log
        else np.linspace(0.0, end, points + 1)
    )
    y = np.full((len(runs), points), np.nan)  # (n_seeds, P)
    for row, run in enumerate(runs):
        start, score = session_scores(run)
        which = np.searchsorted(edges, start, side="right") - 1
        inside = which < points
        total = np.bincount(which[inside], weights=score[inside], minlength=points)
        count = np.bincount(which[inside], minlength=points)
        y[row, count > 0] = total[count > 0] / count[count > 0]
    seen = np.flatnonzero(np.isfinite(y).any(axis=0))
    strategy = runs[0].record.strategy
    found = [
        interval(y[:, p], rng=generator(0, "curve", strategy, int(p)), resamples=2000) for p in seen
    ]
    return Curve(
        env_step=((edges[:-1] + edges[1:]) / 2)[seen],
        mean=np.array([f.mean for f in found]),
        low=np.array([f.low for f in found]),
        high=np.array([f.high for f in found]),
    )
