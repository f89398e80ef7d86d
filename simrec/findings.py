"""The sentences and columns of a comparison, worded once for the terminal, report and dashboard."""

from dataclasses import dataclass
from typing import Any

from simrec.compare import BASES, Comparison, Standing
from simrec.side import Noted, noted
from simrec.statistics import Interval, resolved

YARDSTICKS = ("random", "popular", "oracle")


@dataclass(frozen=True)
class Column:
    """One measure as a table shows it."""

    measure: str  # a member of compare.MEASURES
    title: str
    digits: int


COLUMNS = (
    Column("early", "early", 3),
    Column("middle", "middle", 3),
    Column("late", "late", 3),
    Column("area", "area", 3),
    Column("lost_early", "lost early", 1),
    Column("distinct_late", "distinct items", 1),
)

_LEGEND = (
    "Early, middle, late and area are (clicks per session - random) / (oracle - random): the first "
    "5 % of the env steps, what lies between, the last 20 %, and the whole run. Lost early counts "
    "users who left, for every 1,000 early recommendations. Distinct items are those shown in the "
    "late window."
)


def verdict(difference: Interval) -> str:
    """Return "" for a difference whose interval excludes zero, else "not resolved"."""
    return "" if resolved(difference) else "not resolved"


def side_columns(comparison: Comparison, *, every: bool = False) -> list[Noted]:
    """Return what the runs noted beside the columns, as a table shows it; empty where nothing.

    Args:
        comparison: The study.
        every: All that was noted, not only what tables usually show.
    """
    known = {key for record in comparison.records for key in record.notes.get("measures", {})}
    if every:
        known = {key for found in comparison.noted().values() for key in found}
    return noted(known, comparison.unit, every=every)


def legend(comparison: Comparison) -> str:
    """Return how the columns are to be read."""
    return _LEGEND.replace("clicks", comparison.unit)


def bounds_line(comparison: Comparison) -> str:
    """Return the world's yardsticks, in the unit of its reward per session."""
    order = ("random", "popular", "static", "myopic", "oracle")
    names = [n for n in order if n in comparison.bounds]
    names += [n for n in comparison.bounds if n not in order]
    listed = ", ".join(f"{name} {comparison.bounds[name]:.2f}" for name in names)
    return f"Bounds in {comparison.unit} per session: {listed}."


def cautions(comparison: Comparison) -> list[str]:
    """Return what a reader must know before believing the numbers, one sentence each."""
    lines = []
    for name, warning in comparison.teachers.items():
        lines.append(f"Teacher: {name}." + (f" Warning: {warning.rstrip('.')}." if warning else ""))
    lines += agreement(comparison)
    n = len(comparison.seeds)
    if n == 1:
        lines.append("One seed: nothing can be said about spread; run more seeds.")
    else:
        lines.append(
            f"Intervals: 95 % BCa bootstrap over {n} seeds, the unit being the seed."
            + (" With so few seeds they are too narrow; prefer 10 or more." if n < 10 else "")
        )
    for standing in comparison.strategies.values():
        if standing.seeds != comparison.seeds:
            have = ", ".join(map(str, standing.seeds))
            lines.append(f"{standing.strategy} has only the seeds {have}.")
    rising = [s.strategy for s in comparison.strategies.values() if s.still_rising]
    if rising:
        lines.append(
            f"Still rising over the last 20 % of env steps: {', '.join(rising)}; "
            "the late window is not the end state, so a longer run may change the order."
        )
    return lines


def agreement(comparison: Comparison) -> list[str]:
    """Return how far teacher, learned reward and people agree, as a mean over seeds; or nothing."""
    notes = {
        record.seed: record.notes
        for record in comparison.records
        if "reward" in record.notes and not record.strategy.endswith("-shuffled")
    }
    if not notes:
        return []

    def mean(*path: str) -> str:
        values = []
        for note in notes.values():
            value: Any = note
            for name in path:
                value = value.get(name) if isinstance(value, dict) else None
            if value is not None:
                values.append(float(value))
        return f"{sum(values) / len(values):.2f}" if values else "unknown"

    return [
        f"Learned reward: AUC {mean('reward', 'held_out_auc')} on the teacher's answers for users "
        f"left out of training, {mean('people', 'reward_auc')} on held-out likes in the log. "
        f"Teacher on held-out likes in the log: AUC {mean('people', 'teacher', 'auc')}, within a "
        f"user {mean('people', 'teacher', 'user_auc')} (0.5 is chance; the log's likes are only "
        "reported, nothing is fitted to them)."
    ]


def pair_rows(comparison: Comparison) -> list[tuple[Standing, str]]:
    """Return (strategy, base) for the paired differences worth reading, grouped by base.

    No pair comes twice, and yardsticks, whose place is never in doubt, are left to the JSON.
    """
    return [
        (standing, base)
        for number, base in enumerate(BASES)
        for standing in comparison.strategies.values()
        if base in standing.against and standing.strategy not in (*BASES[:number], *YARDSTICKS)
    ]
