"""The Compare page's first chart: any metric over env steps, or one that a run has a number of."""

from collections.abc import Callable, Mapping, Sequence

import streamlit as st

from simrec.app import choose, load
from simrec.app.charts import curves_chart, points_of
from simrec.app.forest import levels_chart
from simrec.app.quantities import told
from simrec.app.show import chart, csv, draw, say
from simrec.app.still import still
from simrec.compare import Comparison
from simrec.digest_curves import METRICS
from simrec.findings import side_columns
from simrec.metrics import normalised
from simrec.overview import Overview
from simrec.side import Noted
from simrec.statistics import Interval

HIDDEN = ("oracle", "random", "popular", "static")  # yardsticks: drawn when asked for
WINDOWS = {"whole run": "whole", "early window": "early", "whole run, log steps": "log"}
_ALT = "Learning curves of the strategies"


def strategies_shown(names: Sequence[str]) -> list[str]:
    """Let strategies be picked for the charts; the tables hold all."""
    kept = [name for name in st.session_state.get("show", []) if name in names]
    if "show" in st.session_state and kept != st.session_state["show"]:
        st.session_state["show"] = kept
    usual = [name for name in names if name not in HIDDEN] or list(names)
    picked = st.multiselect("In the charts", names, default=usual, key="show", bind="query-params")
    return [name for name in names if name in (picked or usual)]


def metric_chart(
    found: Overview, comparison: Comparison, picked: Sequence[str], seeds: tuple[int, ...]
) -> Callable[[], None]:
    """Let a metric be picked and show a still picture of it.

    Returns:
        What lays the chart that can be pointed at over the picture.
    """
    left, right = st.columns([1, 2], vertical_alignment="bottom")
    logged = sorted({name for digest in found.digests.values() for name in digest.updates})
    over_time = {told(m, found.unit).title: m for m in (*METRICS, *logged)}
    once = {f"{n.title}, one number a run": n for n in side_columns(comparison, every=True)}
    with left:
        name = choose.one("Metric", [*over_time, *once], "metric")
    if name in once:
        _one_number(load.noted(found.folder, seeds), picked, once[name])
        return lambda: None
    with right:
        window = choose.tab("Zoom", list(WINDOWS), "zoom")
    metric = over_time[name]
    return _over_time(
        found, picked, seeds, metric, WINDOWS[window] if metric in METRICS else "whole"
    )


def _one_number(
    known: Mapping[str, Mapping[str, Interval]], picked: Sequence[str], measure: Noted
) -> None:
    values = {
        name: known[name][measure.measure]
        for name in picked
        if measure.measure in known.get(name, {})
    }
    if not values:
        say(f"None of the strategies shown has a '{measure.title}'.")
        return
    title = f"{measure.title} ({measure.unit})"
    figure, data = levels_chart(values, measure.measure, title, measure.digits)
    chart(figure, data, f"noted-{measure.measure}", f"{measure.title} by strategy")
    about = f"{measure.title.capitalize()}: {measure.about}. " if measure.about else ""
    st.caption(f"{about}Mean over seeds with its 95 % bootstrap interval.")


def _over_time(
    found: Overview, picked: Sequence[str], seeds: tuple[int, ...], metric: str, window: str
) -> Callable[[], None]:
    words = told(metric, found.unit)
    curves = {
        name: curve
        for name in picked
        if len((curve := load.curve(found, name, metric, window, seeds)).env_step)
    }
    if not curves:
        say(f"None of the strategies shown logs '{words.title}'.")
        return lambda: None
    levels: dict[str, float] = {}
    if metric == "reward":
        bounds = found.first.bounds
        for name in ("popular", "static"):
            if name in bounds and name not in picked:
                level = float(normalised(bounds[name], bounds["random"], bounds["oracle"]))
                levels[name] = level
    log, name = window == "log", f"curves-{metric}-{window}"
    place = st.container(key="drawn-at-once")
    place.html(still(curves, _ALT, words, levels, log=log))
    csv(points_of(curves, metric), name)
    about = f"{words.title.capitalize()}: {words.about}. " if words.about else ""
    st.caption(
        f"{about}Mean over seeds of what falls in each bin of env steps; the band is the 95 % "
        "bootstrap interval over seeds. Drag to zoom, double-click to zoom out."
    )

    def lay_over() -> None:
        with place:
            draw(curves_chart(curves, words, log=log, levels=levels), name, _ALT)

    return lay_over
