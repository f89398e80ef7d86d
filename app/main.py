"""The dashboard: `streamlit run app/main.py -- RUNS [--read-only]`; `simrec app` calls it so."""

import sys
from functools import partial
from typing import Any

import streamlit as st

from simrec.app.serve import arguments
from simrec.app.style import CSS, icon
from simrec.app.views import compare, items, live, runs, session, teacher, users


def main() -> None:
    """Show the pages over the runs folder given after `--`, or over ./runs."""
    given = arguments(sys.argv[1:])
    st.set_page_config(page_title="simrec", page_icon=icon(), layout="wide")
    st.html(CSS)
    shown = {
        "Results": [
            ("Compare", "insights", compare.page),
            ("Session", "person_play", session.page),
            ("Live", "play_circle", live.page),
        ],
        "World": [
            ("Items", "category", items.page),
            ("Teacher", "school", teacher.page),
            ("Users", "groups", users.page),
        ],
        "Make": [("Runs", "science", runs.page)],
    }
    pages = {
        section: [
            st.Page(
                partial(function, given.runs, given.read_only),
                title=title,
                icon=f":material/{icon}:",
                url_path="start" if title == "Compare" else title.lower(),
                default=title == "Compare",
            )
            for title, icon, function in entries
        ]
        for section, entries in shown.items()
    }
    # Streamlit serves the default page at "/" only; a bookmark of "/compare" is to be found too.
    moved = partial(_moved, pages["Results"][0])
    hidden = st.Page(moved, title="Compare", url_path="compare", visibility="hidden")
    chosen = st.navigation({**pages, "Results": [*pages["Results"], hidden]})
    with st.sidebar:
        st.segmented_control("Save charts as", ["PNG", "SVG"], default="PNG", key="picture")
    chosen.run()


def _moved(page: Any) -> None:
    """Show another page in this one's place, with what the address says."""
    st.switch_page(page, query_params={k: st.query_params.get_all(k) for k in st.query_params})


main()
