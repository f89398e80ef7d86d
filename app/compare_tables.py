"""The cards and tables of the Compare page, with winners only where they are clear."""

from html import escape

import pandas as pd

from simrec.app.style import card, cell, dot, named, table
from simrec.compare import Comparison
from simrec.findings import COLUMNS, pair_rows, verdict
from simrec.leaders import FEWER_IS_BETTER, KNOWS_USERS, Leader, leader
from simrec.statistics import resolved

_CARDS = (
    ("early", "Best early (first 5 % of env steps)", "normalised reward", 3),
    ("late", "Best late (last 20 %)", "normalised reward", 3),
    ("area", "Best over the whole run", "normalised reward", 3),
    ("lost_early", "Fewest users lost early", "left per 1,000 recommendations", 1),
)


def leaders(comparison: Comparison) -> list[str]:
    """Return a card for each question a newcomer asks: who is best, and how sure is it?"""
    cards = []
    for measure, label, unit, digits in _CARDS:
        found = leader(comparison, measure)
        if found is None:
            continue
        value = " ".join(found.value.texts(digits))
        cards.append(
            card(label, named(found.strategy), f"{value} {unit}", *_doubt(found, digits, measure))
        )
    return cards


def _doubt(found: Leader, digits: int, measure: str) -> list[str]:
    lines = []
    if found.tied:
        lines.append(f"Not resolved from {', '.join(found.tied)}.")
    if found.lead is not None:
        words = " ".join(found.lead.texts(digits, signed=True))
        fewer = "fewer than" if measure in FEWER_IS_BETTER else "ahead of"
        lines.append(f"Clearly {fewer} {found.runner_up} by {words}.".replace("by +", "by "))
    if not lines:
        lines.append("Nothing to compare it with.")
    return lines


def strategies(comparison: Comparison) -> tuple[str, pd.DataFrame]:
    """Return the table of levels as HTML and as data; a winner is marked only where it is alone.

    Strategies that know the users are shown and cannot win.
    """
    first = {column.measure: leader(comparison, column.measure) for column in COLUMNS}
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
