"""The page that shows one user under two strategies, step by step and with the same luck."""

from collections.abc import Hashable, Mapping
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from simrec.app import choose, door, load, sessions
from simrec.app.charts import dress, translucent
from simrec.app.sessions import Course
from simrec.app.shelf import Shelf, shelf
from simrec.app.show import chart, empty, say
from simrec.app.style import grid, item_card, meter, named
from simrec.errors import SimrecError
from simrec.overview import Overview
from simrec.palette import colour_of

_WINDOWS = ("any time", "early", "middle", "late")


def page(root: Path, read_only: bool) -> None:
    """Show a session under two strategies of a study."""
    st.title("One user, two strategies")
    st.caption(
        "The same simulated user, met by two strategies with the same luck: what each of them "
        "recommends, what is clicked, and when the user has had enough."
    )
    found = choose.study(root, read_only)
    if found is None:
        return
    columns = st.columns([1, 1, 1, 1])
    with columns[0]:
        seed = int(choose.one("Seed", [str(s) for s in found.seeds], "seed"))
    names = sorted(r.strategy for r in found.records.values() if r.seed == seed)
    if len(names) < 2:
        empty("This seed has runs of one strategy only, so there is nothing to set beside it.")
        return
    with columns[1]:
        a = choose.one("Left", sessions.left(names), "a")
    with columns[2]:
        b = choose.one("Right", sessions.right(names, a), "b")
    with columns[3]:
        window = choose.one("Session begins", _WINDOWS, "when")
    try:
        table = sessions.pairs(found, seed, a, b)
    except SimrecError as error:
        say(f"Warning: {error}")
        return
    if window != _WINDOWS[0]:
        table = table[table["window"] == window]
    if table.empty:
        empty("No session was recorded item by item under both strategies in this window.")
        return
    table = _showing_the_usual_first(table)
    st.html(f'<p class="sr-said">{escape(_summary(table, a, b, found.unit))}</p>')
    labels = {_label(row, a, b, found.unit): row for row in table.head(400).to_dict("records")}
    picked = labels[
        choose.one("Session, most different first", list(labels), "session", help=_HELP)
    ]
    slot, episode = int(picked["slot"]), int(picked["episode"])
    both = [sessions.course(found, seed, name, slot, episode) for name in (a, b)]
    truth = _truth(found, seed, slot, episode, both)
    known = shelf(found)
    if known.missing:
        say(known.missing)
    _film(f"{found.folder.name}-{seed}-{a}-{b}-{slot}-{episode}", both, truth, known, found)


def _showing_the_usual_first(table: pd.DataFrame) -> pd.DataFrame:
    """Put the sessions that differ as the mean does before those that go the other way."""
    against = table["difference"] * table["difference"].mean() < 0
    return pd.concat([table[~against], table[against]], ignore_index=True)


def _summary(table: pd.DataFrame, a: str, b: str, unit: str) -> str:
    """Say how typical the sessions at the top of the list are."""
    gap = table["difference"]
    return (
        f"{len(gap)} sessions were recorded under both: {a} had more {unit} in {(gap > 0).sum()}, "
        f"{b} in {(gap < 0).sum()}, as many in {(gap == 0).sum()}; the mean difference is "
        f"{gap.mean():+.1f} {unit} a session. The one below is among the most different."
    )


_HELP = (
    "Two of the parallel users of every run are recorded item by item. The same slot and episode "
    "meets the same user with the same luck under every strategy."
)


def _label(row: Mapping[Hashable, Any], a: str, b: str, unit: str) -> str:
    return (
        f"user {row['user']}, {row['window']} (slot {row['slot']}, episode {row['episode']}): "
        f"{a} {row['reward_a']:.0f}, {b} {row['reward_b']:.0f} {unit}"
    )


def _truth(
    found: Overview, seed: int, slot: int, episode: int, both: list[Course]
) -> list[Any] | None:
    """Return what the simulated user felt at each step, or None and say why it is not known."""
    try:
        world = load.world(found)
    except SimrecError as error:
        say(f"Affinity and boredom are not shown: {error}")
        return None
    return [
        door.live().replay(
            world,
            user=c.user,
            slates=c.slates,
            clicked=c.clicked,
            seed=seed,
            slot=slot,
            episode=episode,
        )
        for c in both
    ]


def _film(
    name: str, both: list[Course], truth: list[Any] | None, known: Shelf, found: Overview
) -> None:
    longest = max(len(c.slates) for c in both)
    if st.session_state.get("film") != name:
        st.session_state["film"], st.session_state["step"] = name, longest
        st.session_state["playing"] = False
    playing = bool(st.session_state["playing"])

    @st.fragment(run_every=0.9 if playing else None)
    def frames() -> None:
        if st.session_state["playing"]:
            st.session_state["step"] = min(st.session_state["step"] + 1, longest)
            if st.session_state["step"] == longest:
                st.session_state["playing"] = False
                st.rerun(scope="app")
        left, right = st.columns([1, 5], vertical_alignment="bottom")
        with left:
            word, icon = ("Pause", "pause") if playing else ("Play", "play_arrow")
            if st.button(word, icon=f":material/{icon}:", width="stretch", type="primary"):
                st.session_state["playing"] = not playing
                if not playing and st.session_state["step"] >= longest:
                    st.session_state["step"] = 0
                st.rerun(scope="app")
        with right:
            step = st.slider("Recommendations made", 0, longest, key="step")
        with st.container(key="courses"):  # stays side by side on a narrow screen
            columns = st.columns(2, gap="medium")
        for place, column in enumerate(columns):
            with column:
                _course(both[place], truth[place] if truth else None, known, step, found)

    frames()
    figure, data = _clicks(both)
    st.subheader("Clicks so far")
    chart(figure, data, "session-clicks", "Clicks so far under both strategies")


def _course(course: Course, truth: Any, known: Shelf, step: int, found: Overview) -> None:
    step = min(step, len(course.slates))
    clicks = int(course.clicked[:step].sum())
    st.html(
        f'<div class="sr-card"><div class="v">{named(course.strategy)}</div>'
        f'<div class="n">{_many(clicks, "click")} after {_many(step, "recommendation")}</div>'
        + (_meters(course, truth, step) if truth is not None and step else "")
        + (
            f'<div class="s">{escape(course.ending(truth.patience if truth else None))}</div>'
            if step == len(course.slates)
            else ""
        )
        + "</div>"
    )
    cards = []
    for t in range(step - 1, -1, -1):  # the newest first, where the eye is
        for place, item in enumerate(course.slates[t]):
            hit = bool(course.clicked[t, place])
            meta = f"step {t + 1}"
            if truth is not None:
                meta += f"; chance {truth.chance[t, place]:.0%}"
            words = known.words(int(item))
            cards.append(
                item_card(
                    known.title(int(item)),
                    known.cover(int(item)),
                    meta=f"{words}\n{meta}" if words else meta,
                    badge="clicked" if hit else "",
                    kind="good" if hit else "bad",
                )
            )
    st.html(grid(cards, "sr-items"))


def _many(n: int, word: str) -> str:
    return f"{n} {word}{'' if n == 1 else 's'}"


def _meters(course: Course, truth: Any, step: int) -> str:
    t = step - 1
    colour = colour_of(course.strategy)
    affinity, alike = float(truth.affinity[t].max()), float(truth.overlap[t].max())
    streak = int(truth.streak[t])
    return (
        meter("liking of the item shown last", affinity, colour, f"{affinity:.0%}")
        + meter("boredom: likeness to the items before", alike, "#D55E00", f"{alike:.0%}")
        + meter(
            "patience used up",
            streak / truth.patience,
            "#777777",
            f"{streak} of {truth.patience} without a click",
        )
    )


def _clicks(both: list[Course]) -> tuple[go.Figure, pd.DataFrame]:
    figure, frames = go.Figure(), []
    for course in both:
        total = np.append(0, course.clicked.sum(axis=1).cumsum())
        colour = colour_of(course.strategy)
        figure.add_scatter(
            x=np.arange(len(total)),
            y=total,
            name=escape(course.strategy),
            mode="lines",
            line={"color": colour, "width": 2.5, "shape": "hv"},
            fill="tozeroy",
            fillcolor=translucent(colour, 0.08),
        )
        frames.append(
            pd.DataFrame(
                {"strategy": course.strategy, "step": np.arange(len(total)), "clicks": total}
            )
        )
    figure.update_layout(
        xaxis={"title": "recommendations made"},
        yaxis={"title": "clicks so far"},
        hovermode="x unified",
    )
    return dress(figure, height=260), pd.concat(frames, ignore_index=True)
