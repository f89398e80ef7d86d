"""The page on which a user is served live, by a policy of one's choice or played by oneself."""

from pathlib import Path
from typing import Any

import streamlit as st

from simrec.app import choose, door, load
from simrec.app.shelf import Shelf, shelf
from simrec.app.show import say
from simrec.app.style import grid, item_card, meter
from simrec.errors import SimrecError
from simrec.overview import Overview

_MODES = {"a simulated user answers": "simulated", "I am the user": "me"}
_CHOICES = 6  # items a person chooses from


def page(root: Path, read_only: bool) -> None:
    """Play a world of a study."""
    st.title("Live")
    st.caption(
        "Serve one user step by step: pick a policy and see how what it shows next follows "
        "what was clicked; or be the user yourself."
    )
    found = choose.study(root, read_only)
    if found is None:
        return
    try:
        world = load.world(found)
    except SimrecError as error:
        say(f"Warning: {error}")
        return
    known = shelf(found)
    if known.missing:
        say(known.missing)
    left, middle, right, last = st.columns([1.3, 1, 1, 1], vertical_alignment="bottom")
    with left:
        mode = _MODES[choose.one("Who answers", list(_MODES), "mode")]
    with middle:
        offered = door.live().policies(found.folder, found.seeds[0])
        policies = [p for p in offered if mode == "simulated" or p != "oracle"]
        policy = choose.one("Policy", policies, "policy", help=_HELP)
    with right:
        users = [str(user) for user in sorted(set(world.arrivals.tolist()))]
        user = int(choose.one("User", users, "user", help="Whose history the session begins with."))
    with last:
        again = st.button("New session", icon=":material/restart_alt:", width="stretch")
    key = (str(found.folder), policy, user, mode)
    if again or st.session_state.get("live-key") != key:
        luck = int(st.session_state.get("live-luck", 0)) + int(again)
        try:
            session = _begin(found, world, policy, user, luck)
        except SimrecError as error:
            say(f"Warning: {error}")
            return
        st.session_state.update({"live": session, "live-key": key, "live-luck": luck})
    session = st.session_state["live"]
    if mode == "simulated":
        _simulated(session, known)
    else:
        _myself(session, known)
    _past(session, known, world, user)


_HELP = (
    "after the run: the policy a strategy ended with, of the first seed; pretrained: the policy "
    "before deployment; learned reward: greedy on what was learnt from the teacher; oracle: knows "
    "the user. Every policy adapts to what is clicked in the session, except popular and random."
)


def _begin(found: Overview, world: Any, policy: str, user: int, luck: int) -> Any:
    return door.live().LiveSession(
        world, found.folder, policy, user=user, seed=found.seeds[0], luck_seed=luck
    )


def _simulated(session: Any, known: Shelf) -> None:
    if session.over:
        why = "The user left: too many recommendations in a row without a click."
        if session.over == "horizon":
            why = "The user stayed to the end of the session."
        say(f"{why} Press 'New session' for another one.")
        return
    one, five, _ = st.columns([1, 1, 3])
    steps = 0
    with one:
        steps = 1 if st.button("One step", type="primary", width="stretch") else steps
    with five:
        steps = 5 if st.button("Five steps", width="stretch") else steps
    for _step in range(steps):
        if not session.over:
            door.live().play(session)
    if steps:
        st.rerun()
    best, _scores = session.suggestions(_CHOICES)
    chance = session.chance()
    st.subheader("What the policy would show next, best first")
    st.html(
        grid(
            [
                item_card(
                    known.title(int(item)),
                    known.cover(int(item)),
                    meta=f"{known.words(int(item))}\nchance of a click {chance[item]:.0%}",
                    badge="next" if place == 0 else "",
                    kind="good" if place == 0 else "",
                )
                for place, item in enumerate(best)
            ],
            "sr-items",
        )
    )


def _myself(session: Any, known: Shelf) -> None:
    best, _scores = session.suggestions(_CHOICES)
    if not len(best):
        say("Every item has been shown. Press 'New session' to begin again.")
        return
    st.subheader("What would you like to see?")
    for column, item in zip(st.columns(len(best)), best, strict=True):
        title = known.title(int(item))
        with column:
            st.html(item_card(title, known.cover(int(item)), meta=known.words(int(item))))
            if st.button("This one", key=f"take-{item}", help=None, width="stretch"):
                session.answer(best, int(item))
                st.rerun()
    if st.button("None of these"):
        session.answer(best, None)
        st.rerun()
    st.caption(
        "What you click, and what you pass over, goes into the history the policy sees; it was "
        "trained on one item at a time, so six at once is more than it is used to."
    )


def _past(session: Any, known: Shelf, world: Any, user: int) -> None:
    st.subheader("The session so far, newest first")
    clicks = sum(clicked for _, clicked in session.shown)
    n = len(session.shown)
    words = f"{clicks} of {n} item{'s' if n > 1 else ''} shown" if n else "nothing shown yet"
    bar = meter("clicks", clicks / max(n, 1), "#009E73", words)
    st.html(f'<div class="sr-card">{bar}</div>')
    before = [
        (int(item), int(liked))
        for item, liked in zip(world.start_items[user], world.start_feedback[user], strict=True)
        if item >= 0
    ]
    groups = (
        ("", session.shown[::-1], "clicked"),
        ("Known before the session", before[::-1], "liked"),
    )
    for label, shown, word in groups:
        if not shown:
            continue
        if label:
            st.text(label)
        st.html(
            grid(
                [
                    item_card(
                        known.title(item),
                        known.cover(item),
                        meta=known.words(item),
                        badge=word if hit else "",
                        kind="good" if hit else "bad",
                    )
                    for item, hit in shown
                ],
                "sr-items",
            )
        )
