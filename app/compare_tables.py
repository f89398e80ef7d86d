"""The cards and tables of the Compare page, with winners only where they are clear."""

from collections.abc import Mapping, Sequence
from html import escape

import pandas as pd

from simrec.app.answer import doubt
from simrec.app.style import card, cell, dot, named, table
from simrec.compare import Comparison
from simrec.findings import COLUMNS, pair_rows, verdict
from simrec.leaders import FEWER_IS_BETTER, KNOWS_USERS, Leader
from simrec.side import Noted
from simrec.statistics import Interval, resolved

_CARDS = (
    ("area", "Best over the whole run", "normalised reward", 3),
    ("lost_early", "Fewest users lost early", "left per 1,000 recommendations", 1),
)


def leader_cards(first: Mapping[str, Leader | None]) -> list[str]:
    """Return a card for what counts beside early and late: the whole run, and users kept.

    Args:
        first: Measure -> who leads by it.
    """
    cards = []
    for measure, label, unit, digits in _CARDS:
        found = first[measure]
        if found is None:
            continue
        value = " ".join(found.value.texts(digits))
        cards.append(
            card(label, named(found.strategy), f"{value} {unit}", *doubt(found, digits, measure))
        )
    return cards


def strategies(
    comparison: Comparison, first: Mapping[str, Leader | None]
) -> tuple[str, pd.DataFrame]:
    """Return the table of levels as HTML and as data; a winner is marked only where it is alone.

    Strategies that know the users are shown and cannot win.

    Args:
        comparison: The study.
        first: Measure -> who leads by it.
    """
    rows, data = [], []
    for name, standing in comparison.strategies.items():
        marks = " (knows the users)" if name in KNOWS_USERS else ""
        marks += " (still rising)" if standing.still_rising else ""
        cells = [("", f"{dot(name)} {escape(name)}<small>{escape(marks.strip())}</small>")]
        for column in COLUMNS:
            best, notes, kind = first[column.measure], [], ""
            value, spread = standing.values[column.measure].texts(column.digits)
            if best is not None and column.measure != "distinct_late":
                if best.strategy == name and not best.tied and best.lead is not None:
                    kind, notes = "up", ["best"]
                elif best.tied and name in (best.strategy, *best.tied):
                    notes = ["best, not resolved"]
            cells.append((kind, cell(value, spread, *notes)))
            data.append(
                {
                    "strategy": name,
                    "measure": column.measure,
                    **standing.values[column.measure].as_dict(),
                }
            )
        rows.append(cells)
    return table(["strategy", *(c.title for c in COLUMNS)], rows), pd.DataFrame(data)


def differences(comparison: Comparison) -> tuple[str, pd.DataFrame]:
    """Return the table of paired differences: green better, red worse, pale where not resolved."""
    rows, data = [], []
    for standing, base in pair_rows(comparison):
        label = f"{escape(standing.strategy)} − {escape(base)}"
        cells = [("", f"{dot(standing.strategy)} {label}")]
        for column in COLUMNS:
            found = standing.against[base][column.measure]
            doubt = verdict(found)
            sign = -1 if column.measure in FEWER_IS_BETTER else 1
            kind = "unsure" if doubt else "up" if sign * found.mean > 0 else "down"
            kind = "" if column.measure == "distinct_late" and not doubt else kind
            cells.append((kind, cell(*found.texts(column.digits, signed=True), doubt)))
            data.append(
                {"difference": f"{standing.strategy} - {base}", "measure": column.measure}
                | found.as_dict()
                | {"resolved": resolved(found)}
            )
        rows.append(cells)
    return table(["difference", *(c.title for c in COLUMNS)], rows), pd.DataFrame(data)


def noted(
    known: Mapping[str, Mapping[str, Interval]], measures: Sequence[Noted], names: Sequence[str]
) -> tuple[str, pd.DataFrame]:
    """Return what runs note beside their tables, a row a measure, as HTML and as data.

    Args:
        known: Strategy -> measure -> its mean over seeds.
        measures: What is told.
        names: The strategies, one a column.
    """
    rows, data = [], []
    for of in measures:
        unit = f" ({of.unit})" if of.unit else ""
        cells = [("wrap", f"{escape(of.title + unit)}<small>{escape(of.about)}</small>")]
        for name in names:
            found = known.get(name, {}).get(of.measure)
            cells.append(("", found.texts(of.digits)[0] if found else ""))
            if found:
                data.append({"measure": of.measure, "unit": of.unit, "strategy": name}
                            | found.as_dict())  # fmt: skip
        rows.append(cells)
    return table(["measure", *names], rows), pd.DataFrame(data)
