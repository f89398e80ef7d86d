"""Plotly charts of strategies over env steps, in the colours of the report."""

from collections.abc import Mapping
from html import escape

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from simrec.curves import Curve
from simrec.digest_curves import Metric
from simrec.palette import colour_of, is_dashed

GREY = "#8C8C8C"  # of bars of error and lines: seen on a light and on a dark ground


def ink() -> str:
    """Return a colour for bars of error that is seen on the page's ground and on coloured bars."""
    return {"light": "#3A3F47", "dark": "#E2E6EC"}.get(str(st.context.theme.type), GREY)


def translucent(colour: str, share: float) -> str:
    """Return #RRGGBB as an rgba() that lets the ground through."""
    red, green, blue = bytes.fromhex(colour[1:])
    return f"rgba({red},{green},{blue},{share})"


def dress(figure: go.Figure, *, height: int = 430) -> go.Figure:
    """Give a figure the margins, legend and paper all charts share."""
    figure.update_layout(
        height=height,
        margin={"l": 10, "r": 10, "t": 38, "b": 10},
        modebar={
            "orientation": "h",
            "bgcolor": "rgba(0,0,0,0)",
            "color": "rgba(128,128,128,0.8)",
            "activecolor": "#0072B2",
        },
        legend={  # below, where the buttons above the chart never cover it
            "orientation": "h",
            "yref": "container",
            "y": 0,
            "yanchor": "bottom",
            "x": 0,
            "title": None,
        },
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        hoverlabel={"namelength": -1},
    )
    figure.update_xaxes(showgrid=False, automargin=True)
    figure.update_yaxes(gridcolor="rgba(128,128,128,0.2)", automargin=True, zeroline=False)
    return figure


def curves_chart(
    curves: Mapping[str, Curve],
    metric: Metric,
    *,
    log: bool = False,
    levels: Mapping[str, float] | None = None,
) -> go.Figure:
    """Return the curves with their bands.

    Args:
        curves: Strategy -> curve, best first.
        metric: What is drawn, in the words of the world.
        log: Put env steps on a logarithmic axis.
        levels: Static list ("popular", "static") -> height of a dotted line.
    """
    figure = go.Figure()
    steps = [step for curve in curves.values() for step in curve.env_step]
    ends = [min(steps), max(steps)] if steps else []
    for name, level in (levels or {}).items():
        figure.add_scatter(
            x=ends,
            y=[level] * len(ends),
            name=f"{escape(name)} list",
            mode="lines",
            line={"dash": "dot", "width": 1.3, "color": colour_of(name)},
            hovertemplate="%{y:.3f}",
        )
    for name, curve in reversed(list(curves.items())):  # the best is drawn last, on top
        colour, shown = colour_of(name), escape(name)  # Plotly reads tags in names
        if len(curve.low) and not pd.isna(curve.low).all():
            figure.add_scatter(
                x=[*curve.env_step, *curve.env_step[::-1]],
                y=[*curve.high, *curve.low[::-1]],
                mode="lines",
                fill="toself",
                fillcolor=translucent(colour, 0.18),
                line={"width": 0},
                hoverinfo="skip",
                legendgroup=shown,
                showlegend=False,
            )
        figure.add_scatter(
            x=curve.env_step,
            y=curve.mean,
            customdata=list(zip(curve.low, curve.high, strict=True)),
            name=shown,
            legendgroup=shown,
            mode="lines",
            line={"color": colour, "width": 2.5, "dash": "dash" if is_dashed(name) else "solid"},
            hovertemplate="%{y:.3f} [%{customdata[0]:.3f}, %{customdata[1]:.3f}]",
        )
    figure.update_layout(
        hovermode="x unified",
        legend_traceorder="reversed",
        xaxis={"title": "env steps (recommendations made)", "type": "log" if log else "linear"},
        yaxis={"title": f"{metric.title} ({metric.unit})"},
    )
    return dress(figure)


def points_of(curves: Mapping[str, Curve], metric: str) -> pd.DataFrame:
    """Return the points of curves as a table: strategy, env_step, the metric, low and high."""
    frames = [
        pd.DataFrame(
            {
                "strategy": name,
                "env_step": curve.env_step,
                metric: curve.mean,
                "low": curve.low,
                "high": curve.high,
            }
        )
        for name, curve in curves.items()
    ]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


def phase_chart(
    across: Mapping[str, Curve], up: Mapping[str, Curve], metric: Metric
) -> tuple[go.Figure, pd.DataFrame]:
    """Return each strategy's way through (quantity, reward): a hollow spot starts, a full one ends.

    Args:
        across: Strategy -> curve of a logged quantity, drawn on the x axis.
        up: Strategy -> curve of normalised reward.
        metric: The quantity.
    """
    figure, frames = go.Figure(), []
    for name, curve in across.items():
        reward = up[name]
        joined = pd.merge_asof(
            pd.DataFrame({"env_step": curve.env_step, metric.title: curve.mean}),
            pd.DataFrame({"env_step": reward.env_step, "reward": reward.mean}),
            on="env_step",
            direction="nearest",
        )
        frames.append(joined.assign(strategy=name))
        colour = colour_of(name)
        ends = ["circle-open", *["circle"] * (len(joined) - 1)]
        sizes = [11, *[4] * max(len(joined) - 2, 0), 11][: len(joined)]
        figure.add_scatter(
            x=joined[metric.title],
            y=joined["reward"],
            name=escape(name),
            mode="lines+markers",
            line={"color": colour, "width": 1.5, "dash": "dash" if is_dashed(name) else "solid"},
            marker={"symbol": ends, "size": sizes, "color": colour},
            customdata=joined["env_step"],
            hovertemplate="after %{customdata:,.0f} env steps: %{x:.2f}, reward %{y:.3f}",
        )
    figure.update_layout(
        xaxis={"title": f"{metric.title} ({metric.unit})"},
        yaxis={"title": "normalised reward (0 random, 1 oracle)"},
    )
    return dress(figure), pd.concat(frames, ignore_index=True)
