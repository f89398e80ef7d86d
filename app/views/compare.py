"""The page that sets a study's strategies side by side."""

from html import escape
from pathlib import Path

import streamlit as st

from simrec.app import choose, load
from simrec.app.answer import answer, session_links
from simrec.app.charts import curves_chart, title_of
from simrec.app.compare_sections import SECTIONS
from simrec.app.compare_tables import differences, leader_cards, strategies
from simrec.app.glossary import meaning
from simrec.app.show import chart, csv, say
from simrec.app.style import grid, named
from simrec.compare import Comparison
from simrec.digest_curves import METRICS
from simrec.findings import bounds_line, cautions, legend, pair_rows
from simrec.metrics import normalised
from simrec.overview import Overview

HIDDEN = ("oracle", "random", "popular", "static")  # yardsticks: drawn when asked for
WINDOWS = {"whole run": "whole", "early window": "early", "whole run, log steps": "log"}


def page(root: Path, read_only: bool) -> None:
    """Compare the strategies of a study under a runs folder."""
    st.title("Strategies compared")
    st.caption(
        "Which way of recommending satisfies simulated users best, early and late, and how sure is "
        "it? Reward counts clicks: 0 is what random items get, 1 an oracle that knows every user."
    )
    left, right = st.columns([1, 2])
    found = choose.study(root, read_only, left)
    if found is None:
        return
    with right:
        seeds = choose.seeds(found)
    with st.spinner("Working out intervals"):
        comparison, first = load.comparison(found.folder, seeds), load.leaders(found.folder, seeds)
    st.html(answer(comparison, first) + session_links(comparison, first))
    for line in cautions(comparison):
        if "Warning:" in line:
            say(line)
    _believing(found, comparison, seeds)
    picked = _curves(found, seeds)
    st.subheader("Why")
    section = choose.tab("Look at", list(SECTIONS), "why")
    SECTIONS[section](found, comparison, picked, seeds)
    st.subheader("Beside early and late")
    st.html(grid(leader_cards(first)))
    st.subheader("Every strategy by window")
    html, frame = strategies(comparison, first)
    st.html(html)
    csv(frame, "strategies")
    if pair_rows(comparison):
        st.subheader("Paired differences over the seeds both have")
        html, frame = differences(comparison)
        st.html(html)
        csv(frame, "differences")
    if not read_only and list(seeds) == found.seeds:
        load.remember(found)


def _believing(found: Overview, comparison: Comparison, seeds: tuple[int, ...]) -> None:
    runs = (
        f"{len(seeds)} seed{'s' if len(seeds) > 1 else ''}, {found.first.budget_env_steps:,} env "
        "steps a run, one recommendation each step."
    )
    with st.expander("What to know before believing the numbers"):
        for line in (runs, *cautions(comparison), bounds_line(comparison), legend(comparison)):
            say(line)
    with st.expander("What the strategies do"):
        for name in comparison.strategies:
            about = meaning(name) or "see 'simrec strategies'"
            st.html(f'<div class="sr-named">{named(name)} {escape(about)}</div>')


def _strategies(names: list[str]) -> list[str]:
    """Let strategies be picked for the charts; the tables hold all."""
    kept = [name for name in st.session_state.get("show", []) if name in names]
    if "show" in st.session_state and kept != st.session_state["show"]:
        st.session_state["show"] = kept
    usual = [name for name in names if name not in HIDDEN] or names
    picked = st.multiselect("In the charts", names, default=usual, key="show", bind="query-params")
    return [name for name in names if name in (picked or usual)]


def _curves(found: Overview, seeds: tuple[int, ...]) -> list[str]:
    """Show the learning curves and return the strategies picked for this and the other charts."""
    st.subheader("Learning curves")
    picked = _strategies(found.order(seeds))
    left, right = st.columns([1, 2], vertical_alignment="bottom")
    logged = sorted({name for digest in found.digests.values() for name in digest.updates})
    titles = {title_of(metric)[0]: metric for metric in (*METRICS, *logged)}
    with left:
        metric = titles[choose.one("Metric", list(titles), "metric")]
    with right:
        window = choose.tab("Zoom", list(WINDOWS), "zoom")
    which = WINDOWS[window] if metric in METRICS else "whole"
    curves = {
        name: curve
        for name in picked
        if len((curve := load.curve(found, name, metric, which, seeds)).env_step)
    }
    if not curves:
        say(f"None of the strategies shown logs '{metric}'.")
        return picked
    levels: dict[str, float] = {}
    if metric == "reward":
        bounds = found.first.bounds
        for name in ("popular", "static"):
            if name in bounds and name not in picked:
                level = float(normalised(bounds[name], bounds["random"], bounds["oracle"]))
                levels[name] = level
    figure, points = curves_chart(curves, metric, log=which == "log", levels=levels)
    chart(figure, points, f"curves-{metric}-{which}", "Learning curves of the strategies")
    st.caption(
        "Mean over seeds of the sessions that start in each bin of env steps; the band is the "
        "95 % bootstrap interval over seeds. Drag to zoom, double-click to zoom out."
    )
    return picked
