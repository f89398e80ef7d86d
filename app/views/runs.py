"""The page on which studies are started, resumed, compared by their settings and deleted."""

from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st
import yaml

from simrec.app import choose, jobs, load, progress
from simrec.app.show import csv, empty, say
from simrec.app.style import plain_table
from simrec.config import StudyConfig
from simrec.errors import SimrecError
from simrec.records import plain
from simrec.study_runs import differing


def page(root: Path, read_only: bool) -> None:
    """Show what runs, what was run, and how to run more."""
    st.title("Runs")
    progress.running(root, read_only)
    folders = load.studies(root)
    if not folders:
        if not st.session_state.get("running"):
            progress.invitation(root, read_only)
    else:
        _studies(root, folders, read_only)
    if not read_only:
        _ended(root)
        _start(root)
    if len(folders) > 1:
        _settings(folders)


def _studies(root: Path, folders: list[Path], read_only: bool) -> None:
    st.subheader("Studies")
    rows = []
    for folder in folders:
        try:
            rows.append(_row(folder))
        except SimrecError as error:
            rows.append({"study": folder.name, "state": str(error)})
    frame = pd.DataFrame(rows)
    head = list(dict.fromkeys(name for row in rows for name in row))
    st.html(plain_table(head, [[row.get(name, "") for name in head] for row in rows]))
    csv(frame, "studies")
    if read_only:
        return
    left, middle, right = st.columns([2, 1, 1], vertical_alignment="bottom")
    with left:
        name = choose.one("Study to act on", [folder.name for folder in folders], "act")
    with middle:
        if st.button("Resume", icon=":material/resume:", width="stretch"):
            try:
                first = load.study(root.resolve() / name).first
            except SimrecError as error:
                say(f"Warning: {error}")
            else:
                progress.begin(root, yaml.safe_dump(plain(dict(first.config)), sort_keys=False))
    with right:
        if st.button("Delete", icon=":material/delete:", width="stretch"):
            _delete(root, name)


def _row(folder: Path) -> dict[str, Any]:
    found = load.study(folder)
    first = found.first
    try:
        wanted = jobs.planned(StudyConfig.model_validate(first.config))
        seeds = StudyConfig.model_validate(first.config).seeds
        state = "complete" if len(found.records) >= wanted else "not complete"
    except ValueError:
        wanted, seeds, state = 0, tuple(found.seeds), "settings of another version"
    if found.broken:
        state = f"{len(found.broken)} broken"
    newest = max(run.stat().st_mtime for run in found.records)
    return {
        "study": folder.name,
        "world": first.world,
        "state": state,
        "runs": f"{len(found.records)} of {wanted}" if wanted else str(len(found.records)),
        "seeds": len(seeds),
        "env steps a run": first.budget_env_steps,
        "computing (min)": round(sum(r.seconds for r in found.records.values()) / 60, 1),
        "last written": datetime.fromtimestamp(newest).strftime("%Y-%m-%d %H:%M"),
    }


@st.dialog("Delete a study")
def _delete(root: Path, name: str) -> None:
    folder = root.resolve() / name
    st.text(f"This deletes {jobs.finished_runs(folder)} runs and the stages under {folder}.")
    st.text("It cannot be undone.")
    typed = st.text_input(f"Type the study's name, {name}, to confirm")
    if st.button("Delete for good", type="primary", disabled=typed != name):
        try:
            jobs.delete_study(root, name)
        except SimrecError as error:
            say(f"Warning: {error}")
            return
        st.cache_data.clear()
        st.rerun()


def _ended(root: Path) -> None:
    """Show the jobs that ended before all their runs were there."""
    for job in jobs.jobs(root):
        if job.running or not job.log:
            continue
        folder = root / job.config.study
        done = jobs.finished_runs(folder) if folder.is_dir() else 0
        if done >= jobs.planned(job.config):
            continue
        with st.expander(f"An earlier start ended with {done} of {jobs.planned(job.config)} runs"):
            st.text(f"Study {job.config.study}")
            st.code("\n".join(job.log.splitlines()[-30:]) or "no output", language=None)
            if st.button("Resume this one", key=f"again-{job.folder.name}"):
                progress.begin(root, job.study_file.read_text(encoding="utf-8"))


def _start(root: Path) -> None:
    st.subheader("Start a study")
    texts = progress.shipped()
    name = choose.one("Begin from", list(texts), "template")
    text = st.text_area(
        "Study (YAML); only what differs from the defaults", texts[name], height=260
    )
    try:
        config = jobs.check(text)
    except SimrecError as error:
        say(f"Warning: {error}")
        return
    defaults = StudyConfig(study=config.study).model_dump(mode="json")
    rows = list(differing(defaults, config.model_dump(mode="json")))
    with st.expander(f"{len(rows)} settings differ from the defaults", expanded=len(rows) <= 6):
        st.dataframe(_pairs(rows, "default", "this study"), hide_index=True)
    st.text(
        f"{jobs.planned(config)} runs of {config.online.env_steps:,} env steps, on "
        f"{progress.cores()} processes."
    )
    if st.button("Start", type="primary", icon=":material/play_arrow:"):
        progress.begin(root, text)


def _settings(folders: list[Path]) -> None:
    st.subheader("Compare settings")
    names = {folder.name: folder for folder in folders}
    left, right = st.columns(2)
    with left:
        one = choose.one("One study", list(names), "left")
    with right:
        other = choose.one("Another", list(names)[::-1], "right")
    try:
        a, b = load.study(names[one]).first.config, load.study(names[other]).first.config
    except SimrecError as error:
        say(f"Warning: {error}")
        return
    rows = list(differing(a, b))
    if not rows:
        empty("These two have the same settings.")
        return
    st.dataframe(_pairs(rows, one, other), hide_index=True)


def _pairs(rows: list[tuple[str, Any, Any]], left: str, right: str) -> pd.DataFrame:
    if left == right:
        right += " "
    return pd.DataFrame(
        [{"setting": key, left: _word(a), right: _word(b)} for key, a, b in rows],
        columns=["setting", left, right],
    )


def _word(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
