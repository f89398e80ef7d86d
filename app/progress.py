"""What runs now, refreshed every two seconds, and the button that starts the toy study."""

import os
import time
from importlib.resources import files
from pathlib import Path

import streamlit as st

from simrec.app import jobs
from simrec.app.show import say
from simrec.errors import SimrecError


def cores() -> int:
    """Return how many processes a study may use on this machine."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def shipped() -> dict[str, str]:
    """Return the studies that come with simrec: name -> YAML text, the quickest first."""
    found = {
        entry.name.removesuffix(".yaml"): entry.read_text(encoding="utf-8")
        for entry in files("simrec.configs").iterdir()
        if entry.name.endswith(".yaml")
    }
    quick = ("toy", "demo")
    return {name: found[name] for name in (*quick, *sorted(found.keys() - set(quick)))}


def begin(root: Path, text: str) -> None:
    """Start a study and show it, or say why it cannot be started."""
    try:
        jobs.start(root, text, workers=cores())
    except SimrecError as error:
        say(f"Warning: {error}")
        return
    st.rerun()


def invitation(root: Path, read_only: bool) -> None:
    """Offer the toy study where there is nothing to look at yet."""
    if any(job.running for job in jobs.jobs(root)):
        running(root, read_only)
        return
    with st.container(border=True):
        st.text(f"There are no runs under {root} yet.")
        if read_only:
            st.text("Make some with 'simrec demo' or 'simrec run', then reload this page.")
            return
        st.text(
            "The toy study makes some: generated micro-videos, simulated users, four strategies "
            "and two controls, ten seeds. It takes about two minutes on two free cores. The "
            "larger demo, with ten strategies and controls, can be started on the Runs page."
        )
        if st.button("Start the toy study", type="primary", icon=":material/play_arrow:"):
            begin(root, shipped()["toy"])


@st.fragment(run_every=2.0)
def running(root: Path, read_only: bool) -> None:
    """Show every job that runs, with its progress, its log and a way to end it."""
    known = [job for job in jobs.jobs(root) if job.running]
    before = st.session_state.get("running", set())
    st.session_state["running"] = {str(job.folder) for job in known}
    if before - st.session_state["running"]:  # one has ended: its runs are to be seen everywhere
        st.rerun(scope="app")
    for job in known:
        with st.container(border=True):
            far = jobs.progress(root, job, now=time.time())
            st.text(f"{job.config.study} is running")
            left = "time left not known yet"
            if far.seconds_left is not None:
                left = f"about {_span(far.seconds_left)} left"
            st.progress(far.done / far.planned, f"{far.done} of {far.planned} runs, {left}")
            st.caption("Now:")
            st.text(far.last)
            with st.expander("Log"):
                st.code("\n".join(job.log.splitlines()[-60:]), language=None)
            if not read_only and st.button("Cancel", key=f"cancel-{job.folder.name}"):
                jobs.cancel(job)
                st.rerun(scope="app")


def _span(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
