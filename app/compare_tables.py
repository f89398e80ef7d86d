"""The cards and tables of the Compare page, with winners only where they are clear."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
import pandas as pd

from simrec.app.answer import doubt
from simrec.app.style import card, cell, dot, named, table
from simrec.compare import Comparison
from simrec.findings import COLUMNS, pair_rows, verdict
from simrec.leaders import FEWER_IS_BETTER, KNOWS_USERS, Leader
from simrec.overview import Overview
from simrec.statistics import resolved

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


_NOTED = {  # measures that a run notes beside its tables: title with unit, decimals
    "frozen_share": ("share of frozen actions (0 to 1)", 2),
    "regret": ("regret to the oracle (clicks a session)", 2),
    "lost_before_step_5": ("left before the 5th item (0 to 1)", 3),
    "worst_decile_clicks": ("clicks of the worst-served tenth", 2),
    "session_diversity": ("diversity in a session (0 to 1)", 2),
    "exposure_gini": ("inequality of exposure (Gini, 0 to 1)", 2),
    "novelty_bits": ("novelty (bits)", 1),
}


def noted(found: Overview, names: Sequence[str], seeds: Sequence[int]) -> pd.DataFrame:
    """Return what runs note beside their tables, as means over seeds: a row a strategy.

    Columns: strategy, then a title with its unit for each measure that some run notes; NaN where a
    strategy has none.
    """
    rows: dict[str, list[Mapping[str, Any]]] = {name: [] for name in names}
    for record in found.records.values():
        if record.strategy in rows and record.seed in seeds:
            rows[record.strategy].append(record.notes.get("measures") or {})
    known = {m for mine in rows.values() for noted in mine for m in noted}
    order = [m for m in _NOTED if m in known] + sorted(known - set(_NOTED))
    data: dict[str, list[Any]] = {"strategy": list(rows)}
    for measure in order:
        title, digits = _NOTED.get(measure, (measure.replace("_", " "), 3))
        data[title] = [_mean(mine, measure, digits) for mine in rows.values()]
    return pd.DataFrame(data)


def _mean(mine: Sequence[Mapping[str, Any]], measure: str, digits: int) -> float:
    values = [noted[measure] for noted in mine if noted.get(measure) is not None]
    return round(float(np.mean(values)), digits) if values else float("nan")


def measures_table(frame: pd.DataFrame) -> str:
    """Return the table of `noted` as HTML."""
    rows = [
        [("", named(str(row[0]))), *(("", "" if np.isnan(v) else f"{v:g}") for v in row[1:])]
        for row in frame.itertuples(index=False)
    ]
    return table(frame.columns, rows)
