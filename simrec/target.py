"""The target set for the adaptive rule before its runs: early, late and over the whole run at once.

It asks more than the declared contrasts do: one rule has to keep the teacher's early gain, end
where the best ends, and have saved something on the way.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from simrec.compare import Comparison
from simrec.leaders import difference
from simrec.statistics import Interval
from simrec.switching import switching_gain

RULE = "ap"
RIVALS = ("scratch", "ft", "frozen")
UNTAUGHT = "ap-random"  # the same rule around a policy that no teacher taught
MARGIN = 0.02  # normalised reward that counts as nothing
SWITCH = (
    "A perfect switch plays the better of `scratch` and `frozen` at each moment: the most that a "
    "rule can gain which only chooses between them."
)


@dataclass(frozen=True)
class Gap:
    """The rule minus a rival by one measure, paired over seeds."""

    measure: str
    rival: str
    found: Interval
    least: float  # the interval has to lie above it

    @property
    def met(self) -> bool:
        """Whether the whole interval is above `least`; never with a single seed."""
        return self.found.low > self.least


@dataclass(frozen=True)
class Target:
    """What one world says."""

    world: str
    seeds: int
    early: Gap
    late: Gap  # against the better of the two that learn
    area: tuple[Gap, ...]  # against every rival
    taught: tuple[Gap, ...]  # against UNTAUGHT, early and whole run; empty where it was not run
    switching: Interval  # what playing the better of `scratch` and `frozen` would gain, whole run

    @property
    def met(self) -> bool:
        """Whether early, late and whole run are met together."""
        return self.early.met and self.late.met and self.area_met

    @property
    def area_met(self) -> bool:
        """Whether the whole run is above every rival."""
        return all(gap.met for gap in self.area)

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        gaps = (self.early, self.late, *self.area, *self.taught)
        return {
            "world": self.world,
            "seeds": self.seeds,
            "met": self.met,
            "switching": self.switching.as_dict(),
            "gaps": [
                {
                    "measure": gap.measure,
                    "rival": gap.rival,
                    "least": gap.least,
                    "met": gap.met,
                    **gap.found.as_dict(),
                }
                for gap in gaps
            ],
        }


def targets(comparisons: Sequence[Comparison]) -> list[Target]:
    """Judge the target in every study that ran the rule and all its rivals.

    Early: not below `frozen` by more than MARGIN. Late: not below the better of `scratch` and `ft`
    by more than MARGIN. Whole run: above all three, clear of zero.
    """
    return [_target(c) for c in comparisons if {RULE, *RIVALS} <= c.strategies.keys()]


def _target(comparison: Comparison) -> Target:
    def gap(measure: str, rival: str, least: float) -> Gap:
        return Gap(measure, rival, difference(comparison, RULE, rival, measure), least)

    best = max(("scratch", "ft"), key=lambda n: comparison.strategies[n].values["late"].mean)
    taught = UNTAUGHT in comparison.strategies
    return Target(
        comparison.study,
        len(comparison.seeds),
        gap("early", "frozen", -MARGIN),
        gap("late", best, -MARGIN),
        tuple(gap("area", rival, 0.0) for rival in RIVALS),
        tuple(gap(m, UNTAUGHT, 0.0) for m in ("early", "area")) if taught else (),
        switching_gain(comparison.runs_of("scratch"), comparison.runs_of("frozen")),
    )
