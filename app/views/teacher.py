"""The page of the teacher: what it was asked, what it said, and how far people agree."""

from html import escape
from pathlib import Path
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from simrec.app import choose, load
from simrec.app.charts import dress, ink
from simrec.app.shelf import Shelf, shelf
from simrec.app.show import chart, csv, empty, say
from simrec.app.style import card, grid, item_card, plain_table
from simrec.app.teaching import (
    answers,
    by_place,
    calibration,
    costs,
    exchanges,
    from_cache,
    rewritten,
)
from simrec.errors import SimrecError
from simrec.overview import Overview
from simrec.preferences import Preference, PreferenceSet


def page(root: Path, read_only: bool) -> None:
    """Show the teacher of a study."""
    st.title("Teacher")
    st.caption(
        "Who said what users would like before any user was met, and how often real people agree."
    )
    left, right, _ = st.columns(3)
    found = choose.study(root, read_only, left)
    if found is None:
        return
    with right:
        seed = int(choose.one("Seed", [str(s) for s in found.seeds], "seed"))
    try:
        given = load.kept(found, "answers", answers, seed)
    except SimrecError as error:
        say(f"Warning: {error}")
        return
    if not len(given):
        empty("The teacher was asked nothing.")
        return
    taught = [
        record
        for record in found.records.values()
        if record.seed == seed and record.notes and not record.strategy.endswith("-shuffled")
    ]
    notes: dict[str, Any] = dict(taught[0].notes) if taught else {}
    _facts(given, notes)
    for record in taught[:1]:
        if record.teacher.get("warning"):
            say(f"Warning: {str(record.teacher['warning']).rstrip('.')}.")
    known = shelf(found)
    if known.missing:
        say(known.missing)
    left, right = st.columns(2, gap="medium")
    with left:
        _calibration(found, given, seed)
    with right:
        _places(given)
    _cost(found, seed, given, dict(taught[0].llm) if taught else {})
    _question(found, seed, given, known)


def _facts(given: PreferenceSet, notes: dict[str, Any]) -> None:
    first = next(iter(given))
    labels = sum(len(a.liked) for a in given)
    likes = sum(int(a.liked.sum()) for a in given)
    people, reward = notes.get("people", {}), notes.get("reward", {})
    teacher = people.get("teacher", {})
    st.html(
        grid(
            [
                card(
                    "Who answers",
                    f"<span>{escape(first.model)}</span>",
                    f"{len(given):,} questions, {labels:,} candidates",
                    f"likes {likes / max(labels, 1):.0%} of them",
                ),
                card(
                    "Teacher against people",
                    f"<span>{_number(teacher.get('auc'))}</span>",
                    "AUC on held-out likes",
                    f"within a user {_number(teacher.get('user_auc'))}; 0.5 is chance",
                    f"{teacher.get('pairs', 0):,} pairs that people judged too",
                ),
                card(
                    "Learned reward against the teacher",
                    f"<span>{_number(reward.get('held_out_auc'))}</span>",
                    "AUC on users left out",
                    "how well the reward learnt what the teacher says",
                ),
                card(
                    "Learned reward against people",
                    f"<span>{_number(people.get('reward_auc'))}</span>",
                    "AUC on held-out likes",
                    "only reported; nothing is fitted to these",
                ),
            ]
        )
    )


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.2f}"


def _calibration(found: Overview, given: PreferenceSet, seed: int) -> None:
    st.subheader("Do people like what it likes?")
    try:
        data = load.kept(found, f"calibration-{seed}", _calibrate, seed)
    except SimrecError as error:
        say(str(error))
        return
    if data.empty:
        say("No pair was judged by the teacher and by people.")
        return
    figure = go.Figure()
    figure.add_scatter(
        x=data["score"],
        y=data["people_like"],
        error_y={"type": "data", "array": 1.96 * data["error"], "thickness": 1.5, "width": 0},
        mode="lines+markers",
        marker={"size": 9, "color": "#0072B2"},
        line={"color": "#0072B2"},
        customdata=data["pairs"],
        hovertemplate="score %{x:.2f}: %{y:.0%} of %{customdata} pairs liked<extra></extra>",
    )
    figure.update_layout(
        xaxis={"title": "the teacher's score (its own scale)"},
        yaxis={"title": "share people like", "tickformat": ".0%"},
    )
    chart(dress(figure, height=320), data, "calibration", "People's likes by the teacher's score")


def _calibrate(found: Overview, seed: int) -> pd.DataFrame:
    return calibration(found, answers(found, seed))


def _places(given: PreferenceSet) -> None:
    st.subheader("Does the place in the list matter?")
    data = by_place([a for a in given if a.status in ("ok", "retried")])
    mean = float(data["liked"].sum() / data["shown"].sum())
    figure = go.Figure()
    figure.add_bar(
        x=data["place"],
        y=data["share"],
        error_y={
            "type": "data",
            "array": 1.96 * data["error"],
            "thickness": 1.5,
            "width": 0,
            "color": ink(),
        },
        marker={"color": "#56B4E9"},
        hovertemplate="place %{x}: %{y:.1%} liked<extra></extra>",
    )
    figure.add_hline(y=mean, line={"dash": "dot", "width": 1.2, "color": ink()})
    figure.update_layout(
        xaxis={"title": "place of the candidate", "dtick": 1},
        yaxis={"title": "share the teacher likes", "tickformat": ".0%"},
    )
    chart(dress(figure, height=320), data, "position", "Likes by place in the question")
    st.caption("Candidates are put in random order, so a slope would be a bias of the teacher.")


def _cost(found: Overview, seed: int, given: PreferenceSet, llm: dict[str, Any]) -> None:
    st.subheader("Cost and cache")
    answered = sum(a.status in ("ok", "retried") for a in given)
    known = {"questions": len(given), "answered": answered} | llm
    frame = pd.DataFrame(costs(known, from_cache(found, seed)), columns=["what", "number"])
    st.html(plain_table(frame.columns, frame.to_numpy()))
    csv(frame, "cost")
    if "spent" not in llm and not any(a.raw for a in given):
        st.caption("This teacher is recorded or a stand-in: no language model was called, no cost.")


def _question(found: Overview, seed: int, given: PreferenceSet, known: Shelf) -> None:
    st.subheader("A question and its answer")
    number = st.number_input("Question", 1, len(given), 1, key="question", bind="query-params")
    answer = given.answers[int(number) - 1]
    asked = answer.question
    st.text(f"What is known of user {asked.user}, oldest first")
    st.html(
        grid(
            [
                item_card(
                    known.title(int(item)),
                    known.cover(int(item)),
                    meta=known.words(int(item)),
                    badge="liked" if liked else "",
                    kind="good" if liked else "bad",
                )
                for item, liked in zip(asked.history, asked.feedback > 0, strict=True)
            ],
            "sr-items",
        )
    )
    st.text("Would this user like these? The teacher's answer")
    st.html(grid(_candidates(answer, known), "sr-items"))
    _words(found, seed, int(number) - 1, answer, known)
    frame = pd.DataFrame(
        {
            "item": asked.candidates,
            "title": [known.title(int(i)) for i in asked.candidates],
            "liked": answer.liked,
            "score": answer.score,
            "source": asked.sources,
        }
    )
    csv(frame, "question")


def _words(found: Overview, seed: int, number: int, answer: Preference, known: Shelf) -> None:
    """Show prompt and reply as text, and say plainly what of them was kept."""
    try:
        said = exchanges(found, seed, number)
    except SimrecError as error:
        say(f"Warning: {error}")
        said = pd.DataFrame()
    for row in said.to_dict("records"):
        _pair(
            f"Prompt, {_tokens(row['prompt_tokens'])}",
            str(row["prompt"]),
            f"Reply, {_tokens(row['completion_tokens'])}"
            + (", from the cache" if row["cached"] else "")
            + ("" if row["valid"] else ", could not be read"),
            str(row["reply"]),
        )
        st.text(f"Read as: {row['parsed'] or 'nothing'}")
    if len(said):
        return
    prompt, note = "", "The prompt cannot be written again: titles and texts are not here."
    if known.catalogue is not None:
        prompt, exact = rewritten(found, known.catalogue, answer)
        if found.first.config.get("teacher", {}).get("kind") != "llm":
            note = (
                "This teacher reads no prompt and writes no reply: it is recorded or a stand-in. "
                "Below is what a language model would be asked about the same user."
            )
        elif exact:
            note = "Written again from the study's settings; its fingerprint is that of the answer."
        else:
            note = (
                "Written again from the study's settings. The text itself was not kept, and its "
                "fingerprint is another: the model was asked in several requests, "
                "or in other words."
            )
    say(note)
    reply = answer.raw or "No text was written."
    cached = ", from the cache" if answer.cached else ""
    _pair("Prompt", prompt or "not kept", f"Reply ({answer.status}{cached})", reply)


def _tokens(n: int) -> str:
    return f"{n:,} token{'' if n == 1 else 's'}"


def _pair(asked: str, prompt: str, replied: str, reply: str) -> None:
    left, right = st.columns(2, gap="medium")
    for column, label, text in ((left, asked, prompt), (right, replied, reply)):
        with column:
            st.text(label)
            st.code(text, language=None, wrap_lines=True, height=320 if len(text) > 700 else None)


def _candidates(answer: Preference, known: Shelf) -> list[str]:
    asked = answer.question
    return [
        item_card(
            known.title(int(item)),
            known.cover(int(item)),
            meta=f"score {score:.2f}\n{source}",
            badge="would like" if liked else "",
            kind="good" if liked else "bad",
        )
        for item, liked, score, source in zip(
            asked.candidates, answer.liked, answer.score, asked.sources, strict=True
        )
    ]
