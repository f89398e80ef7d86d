"""Pickers that all pages share; what is picked stands in the page's address."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from simrec.app import load
from simrec.app.progress import invitation
from simrec.app.show import say
from simrec.errors import SimrecError
from simrec.overview import Overview

ALL = "all worlds"


def one(label: str, options: Sequence[str], key: str, *, help: str | None = None) -> str:
    """Return one of the options, kept in the address under `key`.

    A choice that is no longer among the options falls back to the first.
    """
    if st.session_state.get(key) not in options:
        st.session_state.pop(key, None)
    return st.selectbox(label, list(options), key=key, bind="query-params", help=help) or options[0]


def tab(label: str, options: Sequence[str], key: str) -> str:
    """Return one of a few options shown side by side, kept in the address."""
    if st.session_state.get(key) not in options:
        st.session_state.pop(key, None)
    found = st.segmented_control(
        label,
        list(options),
        default=options[0],
        key=key,
        bind="query-params",
        required=True,
        wrap=True,
    )
    return found or options[0]


def study(root: Path, read_only: bool, place: Any = None) -> Overview | None:
    """Let a study be picked and return it, or say why there is none and return None.

    Args:
        root: Folder of all run folders.
        read_only: Whether nothing may be started.
        place: Container the picker goes into; None takes a part of the page's width.
    """
    folders = load.studies(root)
    if not folders:
        invitation(root, read_only)
        return None
    worlds = {folder: load.world_of(folder) for folder in folders}
    several = len(set(worlds.values())) > 1
    if place is None:
        left, right, _ = st.columns(3)
    else:
        left, right = place.columns(2) if several else (place, place)
    if several:
        with left:
            world = one("World", [ALL, *sorted(set(worlds.values()))], "world")
        folders = [f for f in folders if world in (ALL, worlds[f])]
    else:
        right = left
    names = {folder.name: folder for folder in folders}
    with right:
        folder = names[one("Study", list(names), "study")]
    try:
        found = load.study(folder)
    except SimrecError as error:
        say(f"Warning: {error}")
        return None
    for line in found.broken:
        say(f"Warning: left out: {line}")
    return found


def seeds(found: Overview) -> tuple[int, ...]:
    """Return the seeds picked, all of them where none is."""
    options = [str(seed) for seed in found.seeds]
    kept = [s for s in st.session_state.get("seeds", []) if s in options]
    if "seeds" in st.session_state and kept != st.session_state["seeds"]:
        st.session_state["seeds"] = kept
    picked = st.multiselect("Seeds", options, key="seeds", bind="query-params", placeholder="all")
    return tuple(int(seed) for seed in picked or options)
