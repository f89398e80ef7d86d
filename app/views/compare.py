"""The page that sets a study's strategies side by side."""

from html import escape
from pathlib import Path

import streamlit as st

from simrec.app import choose, load
from simrec.app.answer import answer, session_links
from simrec.app.compare_curves import metric_chart, strategies_shown
from simrec.app.compare_sections import SECTIONS
from simrec.app.compare_tables import differences, leader_cards, strategies
from simrec.app.glossary import meaning
from simrec.app.show import csv, say
from simrec.app.style import CSS, grid, named, note
from simrec.compare import Comparison
from simrec.findings import bounds_line, cautions, legend, pair_rows
from simrec.overview import Overview

_QUESTION = (
    "Which way of recommending satisfies simulated users best, early and late, and how sure is it?"
)


def page(root: Path, read_only: bool) -> None:
    """Compare the strategies of a study under a runs folder."""
    st.title("Strategies compared")
    about = st.empty()
    about.caption(_QUESTION)
    left, right = st.columns([1, 2])
    found = choose.study(root, read_only, left)
    if found is None:
        return
    about.caption(
        f"{_QUESTION} Reward counts {found.unit}: 0 is what random items get, 1 an oracle that "
        "knows every user."
    )
    with right:
        seeds = choose.seeds(found)
    with st.spinner("Working out intervals"):
        comparison, first = load.comparison(found.folder, seeds), load.leaders(found.folder, seeds)
    # With the style sheet in it: what the browser draws first must not stand there undressed.
    links = session_links(comparison, first, usual=load.studies(root)[0] == found.folder)
    st.html(CSS + answer(comparison, first) + links)
    for line in cautions(comparison):
        if "Warning:" in line:
            say(line)
    _believing(found, comparison, seeds)
    st.subheader("Learning curves")
    picked = strategies_shown(found.order(seeds))
    draw_curves = metric_chart(found, comparison, picked, seeds)
    st.subheader("Why")
    why = st.container()
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
    # Last, so that all else is on the page before the browser is busy with what draws them.
    draw_curves()
    with why:
        section = choose.tab("Look at", list(SECTIONS), "why")
        SECTIONS[section](found, comparison, picked, seeds)
    if not read_only and list(seeds) == found.seeds:
        load.remember(found)


def _believing(found: Overview, comparison: Comparison, seeds: tuple[int, ...]) -> None:
    runs = (
        f"{len(seeds)} seed{'s' if len(seeds) > 1 else ''}, {found.first.budget_env_steps:,} env "
        "steps a run, one recommendation each step."
    )
    with st.expander("What to know before believing the numbers"):
        lines = (runs, *cautions(comparison), bounds_line(comparison), legend(comparison))
        st.html("".join(map(note, lines)))
    with st.expander("What the strategies do"):
        told = (
            (name, meaning(name) or "see 'simrec strategies'") for name in comparison.strategies
        )
        st.html(
            "".join(
                f'<div class="sr-named">{named(name)} {escape(about)}</div>' for name, about in told
            )
        )
