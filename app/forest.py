"""Charts of numbers with intervals: paired differences, levels, and items shown by window."""

from collections.abc import Mapping
from html import escape

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from simrec.app.charts import dress, ink
from simrec.compare import Comparison
from simrec.digest import Digest
from simrec.digest_curves import bands
from simrec.findings import YARDSTICKS
from simrec.metrics import WINDOWS
from simrec.palette import colour_of
from simrec.randomness import generator
from simrec.statistics import Interval, resolved


def _spot(
    figure: go.Figure, label: str, strategy: str, found: Interval, text: str, *, full: bool
) -> None:
    colour = colour_of(strategy)
    known = np.isfinite(found.low)
    figure.add_scatter(
        x=[found.mean],
        y=[label],
        mode="markers",
        marker={
            "size": 12,
            "color": colour if full else "rgba(0,0,0,0)",
            "line": {"color": colour, "width": 2.2},
        },
        error_x={
            "type": "data",
            "symmetric": False,
            "array": [found.high - found.mean if known else 0],
            "arrayminus": [found.mean - found.low if known else 0],
            "color": colour,
            "thickness": 2.4,
            "width": 0,
        },
        showlegend=False,
        hovertemplate=escape(text) + "<extra></extra>",
    )


def _rows(figure: go.Figure, n: int, unit: str) -> go.Figure:
    dress(figure, height=90 + 38 * n)
    figure.update_yaxes(autorange="reversed", showgrid=False, title=None)
    figure.update_xaxes(title=unit, showgrid=True, gridcolor="rgba(128,128,128,0.2)")
    return figure


def forest_chart(
    comparison: Comparison, base: str, measure: str, unit: str
) -> tuple[go.Figure, pd.DataFrame]:
    """Return the paired differences to a base: spot, interval, a tick a seed; hollow if unclear.

    Args:
        comparison: The study.
        base: A member of compare.BASES.
        measure: A member of compare.MEASURES.
        unit: What the x axis counts.
    """
    figure, rows = go.Figure(), []
    for standing in comparison.strategies.values():
        if base not in standing.against or standing.strategy in YARDSTICKS:
            continue
        found, seeds = standing.against[base][measure], standing.pairs[base][measure]
        label = f"{escape(standing.strategy)} − {escape(base)}"
        figure.add_scatter(
            x=seeds,
            y=[label] * len(seeds),
            mode="markers",
            marker={
                "symbol": "line-ns",
                "size": 13,
                "line": {"width": 1.4, "color": colour_of(standing.strategy)},
            },
            opacity=0.5,
            showlegend=False,
            hovertemplate="one seed: %{x:.3f}<extra></extra>",
        )
        clear = resolved(found)
        text = " ".join(found.texts(3, signed=True)) + ("" if clear else ", not resolved")
        _spot(figure, label, standing.strategy, found, text, full=clear)
        rows.append(
            {
                "difference": f"{standing.strategy} - {base}",
                "measure": measure,
                **found.as_dict(),
                "resolved": clear,
            }
        )
    figure.add_vline(x=0, line={"width": 1.2, "color": "rgba(128,128,128,0.8)"})
    return _rows(figure, len(rows), unit), pd.DataFrame(rows)


def levels_chart(
    values: Mapping[str, Interval], measure: str, title: str, digits: int
) -> tuple[go.Figure, pd.DataFrame]:
    """Return one measure of every strategy with its interval.

    Args:
        values: Strategy -> its mean over seeds.
        measure: Name of the column in the table.
        title: Of the x axis, with its unit.
        digits: Decimals told.
    """
    figure, rows = go.Figure(), []
    for name, found in values.items():
        _spot(figure, escape(name), name, found, " ".join(found.texts(digits)), full=True)
        rows.append({"strategy": name, measure: found.mean, "low": found.low, "high": found.high})
    return _rows(figure, len(rows), title), pd.DataFrame(rows)


def diversity_chart(
    digests: dict[str, list[Digest]], kind: str, unit: str
) -> tuple[go.Figure, pd.DataFrame]:
    """Return how many items each strategy shows in each window, with intervals over seeds.

    Args:
        digests: Strategy -> digests, one a seed.
        kind: "distinct" or "effective", as in `simrec.digest.Digest`.
        unit: What the y axis counts.
    """
    figure, rows = go.Figure(), []
    for name, mine in digests.items():
        y = np.array([[getattr(d, kind)[w] for w in WINDOWS] for d in mine], dtype=np.float64)
        if not np.isfinite(y).any(axis=0).all():
            continue
        mean, low, high = bands(y, generator(0, "diversity", name))
        known = np.isfinite(low)
        figure.add_bar(
            x=list(WINDOWS),
            y=mean,
            name=escape(name),
            marker={"color": colour_of(name)},
            error_y={
                "type": "data",
                "symmetric": False,
                "array": np.where(known, high - mean, 0),
                "arrayminus": np.where(known, mean - low, 0),
                "thickness": 1.3,
                "width": 2,
                "color": ink(),
            },
            hovertemplate="%{y:.1f} items",
        )
        rows += [
            {"strategy": name, "window": w, kind: mean[i], "low": low[i], "high": high[i]}
            for i, w in enumerate(WINDOWS)
        ]
    figure.update_layout(
        barmode="group", yaxis={"title": unit}, xaxis={"title": "window of the run"}
    )
    return dress(figure), pd.DataFrame(rows)
