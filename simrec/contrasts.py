"""The contrasts declared before anything was run, judged together, and strategies over worlds.

Every other interval of a comparison is read one at a time; with many of them some exclude zero by
luck. The few contrasts that decide the hypotheses are therefore declared here, and their p-values
are adjusted for one another by Holm's rule, over all worlds given.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simrec.compare import Comparison
from simrec.leaders import difference
from simrec.metrics import WINDOWS
from simrec.randomness import generator
from simrec.statistics import (
    Interval,
    holm,
    interquartile_mean,
    probability_of_improvement,
    sign_flip_p,
)

LEVEL = 0.05  # of the whole family of contrasts
REWARDS = (*WINDOWS, "area")  # the measures that worlds share a scale in


@dataclass(frozen=True)
class Contrast:
    """One question: is strategy `a` above strategy `b` by a measure?"""

    hypothesis: str
    measure: str
    a: str
    b: str

    @property
    def name(self) -> str:
        """For example "H1 early ap - scratch"."""
        return f"{self.hypothesis} {self.measure} {self.a} - {self.b}"


# H1: pretraining helps early. H3: the adaptive rule is ahead late and over the whole run.
DECLARED = (
    Contrast("H1", "early", "ap", "scratch"),
    Contrast("H3", "late", "ap", "ft"),
    Contrast("H3", "late", "ap", "scratch"),
    Contrast("H3", "area", "ap", "ft"),
    Contrast("H3", "area", "ap", "scratch"),
)


@dataclass(frozen=True)
class Outcome:
    """What the seeds of one world say about a contrast."""

    contrast: Contrast
    world: str
    difference: Interval  # paired over seeds
    improves: float  # chance that a run of a beats a run of b, ties counting half
    p: float  # two-sided, by flipping signs
    p_holm: float  # adjusted for every contrast in every world given

    @property
    def verdict(self) -> str:
        """Return "above", "below" or "not resolved", at LEVEL for the whole family.

        The interval and the adjusted p-value must agree.
        """
        if not self.p_holm <= LEVEL:
            return "not resolved"
        if self.difference.low > 0:
            return "above"
        return "below" if self.difference.high < 0 else "not resolved"

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "hypothesis": self.contrast.hypothesis,
            "measure": self.contrast.measure,
            "a": self.contrast.a,
            "b": self.contrast.b,
            "world": self.world,
            **self.difference.as_dict(),
            "probability_of_improvement": self.improves,
            "p": self.p,
            "p_holm": self.p_holm,
            "verdict": self.verdict,
        }


def outcomes(
    comparisons: Sequence[Comparison], contrasts: Sequence[Contrast] = DECLARED
) -> list[Outcome]:
    """Judge the declared contrasts in every world where both strategies were run.

    The smallest p that n seeds can give is 2 / 2^n: with 5 seeds and 5 contrasts nothing can be
    resolved, with 10 seeds and 25 contrasts it can.

    Args:
        comparisons: One for each study.
        contrasts: Declared before the runs; all of them are adjusted for.
    """
    asked = [
        (comparison, contrast)
        for comparison in comparisons
        for contrast in contrasts
        if _both(comparison, contrast)
    ]
    found = {
        f"{comparison.study} {contrast.name}": sign_flip_p(
            _gaps(comparison, contrast),
            rng=generator(0, "contrast", comparison.study, contrast.name),
        )
        for comparison, contrast in asked
    }
    adjusted = holm(found)
    return [
        Outcome(
            contrast,
            comparison.study,
            difference(comparison, contrast.a, contrast.b, contrast.measure),
            probability_of_improvement(
                _by_seed(comparison, contrast.a, contrast.measure),
                _by_seed(comparison, contrast.b, contrast.measure),
            ),
            p,
            adjusted[name],
        )
        for (comparison, contrast), (name, p) in zip(asked, found.items(), strict=True)
    ]


@dataclass(frozen=True)
class Overall:
    """A strategy's interquartile means over all worlds."""

    strategy: str
    values: dict[str, Interval]  # a key for each of REWARDS

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {measure: found.as_dict() for measure, found in self.values.items()}


def overall(comparisons: Sequence[Comparison], *, resamples: int = 2000) -> list[Overall]:
    """Return the interquartile mean over worlds and seeds of every strategy that all worlds ran.

    Every world has the same weight, however many seeds it has. The interval is a stratified
    bootstrap over seeds: worlds are fixed, seeds are drawn within each (Agarwal et al., NeurIPS
    2021; reconstructed). It says nothing about other worlds.

    Args:
        comparisons: One for each study.
        resamples: Bootstrap resamples.

    Returns:
        Best area first.
    """
    shared = [
        name
        for name in comparisons[0].strategies
        if all(name in comparison.strategies for comparison in comparisons)
    ]
    rows = []
    for name in shared:
        values = {}
        for measure in REWARDS:
            worlds = [_by_seed(comparison, name, measure) for comparison in comparisons]
            rng = generator(0, "overall", name, measure)
            drawn = [
                _level(world[rng.integers(len(world), size=len(world))] for world in worlds)
                for _ in range(resamples)
            ]
            low, high = np.quantile(drawn, [0.025, 0.975])
            values[measure] = Interval(_level(worlds), float(low), float(high))
        rows.append(Overall(name, values))
    return sorted(rows, key=lambda row: -row.values["area"].mean)


def _level(worlds: Any) -> float:
    """Return the interquartile mean with every world stretched to the same number of values."""
    parts = [np.sort(np.asarray(world)) for world in worlds]
    most = int(np.lcm.reduce([len(part) for part in parts]))
    return interquartile_mean(
        np.concatenate([np.repeat(part, most // len(part)) for part in parts])
    )


def _both(comparison: Comparison, contrast: Contrast) -> bool:
    mine = comparison.table.get(contrast.a, {})
    return bool(mine.keys() & comparison.table.get(contrast.b, {}).keys())


def _gaps(comparison: Comparison, contrast: Contrast) -> NDArray[np.float64]:
    mine, theirs = comparison.table[contrast.a], comparison.table[contrast.b]
    both = sorted(mine.keys() & theirs.keys())
    return np.array([mine[s][contrast.measure] - theirs[s][contrast.measure] for s in both])


def _by_seed(comparison: Comparison, strategy: str, measure: str) -> NDArray[np.float64]:
    mine = comparison.table[strategy]
    return np.array([mine[seed][measure] for seed in sorted(mine)])
