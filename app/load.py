"""What pages read, kept between reruns for as long as the run folders do not change."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from simrec.app import ahead, door
from simrec.compare import Comparison
from simrec.config import StudyConfig
from simrec.curves import Curve
from simrec.datasets.dataset import Dataset
from simrec.digest_curves import metric_curve
from simrec.digest_study import Kept, read_kept, study_key, write_kept
from simrec.errors import SimrecError
from simrec.leaders import Leader, leader
from simrec.measures import MEASURES
from simrec.overview import Overview, find_studies, overview
from simrec.randomness import generator
from simrec.records import find_runs, read_record
from simrec.stages.inputs import Inputs
from simrec.statistics import Interval

Stamp = tuple[int, int]


@st.cache_data(ttl=2, show_spinner=False)
def _stamp(folder: str) -> Stamp:
    times = [run.stat().st_mtime_ns for run in find_runs(Path(folder))]
    return len(times), max(times, default=0)


def stamp(folder: Path) -> Stamp:
    """Return how many runs a study has and when the newest was written, in nanoseconds."""
    found: Stamp = _stamp(str(folder))
    return found


@st.cache_data(ttl=2, show_spinner=False)
def _studies(root: str) -> list[str]:
    return [str(path) for path in find_studies(Path(root))]


def studies(root: Path) -> list[Path]:
    """Return the studies under a runs folder."""
    return [Path(path) for path in _studies(str(root))]


@st.cache_data(max_entries=512, show_spinner=False)
def _world(run: str, at: int) -> str:
    try:
        return read_record(Path(run)).world
    except SimrecError:
        return "unknown"


def world_of(folder: Path) -> str:
    """Return the world of a study's first run, "unknown" where that is broken."""
    run = find_runs(folder)[0]
    return _world(str(run), run.stat().st_mtime_ns)


@st.cache_resource(max_entries=16, show_spinner="Reading runs")
def _overview(folder: str, at: Stamp) -> tuple[Overview | SimrecError, Kept | None, str]:
    place = Path(folder)
    key = study_key(place)
    kept = ahead.kept(place, key) or read_kept(place, key)
    if kept is not None:
        return kept.overview, kept, key
    try:
        return overview(place), None, key
    except SimrecError as error:
        return error, None, key


def study(folder: Path) -> Overview:
    """Return a study's overview; raise SimrecError where it cannot be read."""
    found, _, _ = _overview(str(folder), stamp(folder))
    if isinstance(found, SimrecError):
        raise found
    return found


@st.cache_resource(max_entries=32, show_spinner=False)
def _comparison(folder: str, at: Stamp, seeds: tuple[int, ...]) -> Comparison:
    found = study(Path(folder))
    _, kept, _ = _overview(folder, at)
    if kept is not None and list(seeds) == found.seeds:
        return found.compare(seeds, kept.standings)
    return found.compare(seeds)


def comparison(folder: Path, seeds: tuple[int, ...]) -> Comparison:
    """Return the comparison of a study's strategies over some of its seeds."""
    return _comparison(str(folder), stamp(folder), seeds)


@st.cache_resource(max_entries=32, show_spinner=False)
def _noted(folder: str, at: Stamp, seeds: tuple[int, ...]) -> dict[str, dict[str, Interval]]:
    return _comparison(folder, at, seeds).side_measures()


def noted(folder: Path, seeds: tuple[int, ...]) -> dict[str, dict[str, Interval]]:
    """Return what a study's runs noted: strategy -> measure -> mean over some of its seeds."""
    found: dict[str, dict[str, Interval]] = _noted(str(folder), stamp(folder), seeds)
    return found


@st.cache_resource(max_entries=256, show_spinner=False)
def _leader(folder: str, at: Stamp, seeds: tuple[int, ...], measure: str) -> Leader | None:
    _, kept, _ = _overview(folder, at)
    if kept is not None and list(seeds) == kept.overview.seeds:
        return kept.leaders[measure]
    return leader(_comparison(folder, at, seeds), measure)


def leaders(folder: Path, seeds: tuple[int, ...]) -> dict[str, Leader | None]:
    """Return who leads by each measure over some of a study's seeds."""
    at = stamp(folder)
    return {measure: _leader(str(folder), at, seeds, measure) for measure in MEASURES}


def remember(found: Overview) -> None:
    """Write the study's file, so that it opens at once next time; skipped where it is there."""
    at = stamp(found.folder)
    read, kept, key = _overview(str(found.folder), at)
    seeds = tuple(found.seeds)
    if kept is not None or read is not found:
        return
    _remember(str(found.folder), at, seeds, key)


@st.cache_resource(max_entries=16, show_spinner=False)
def _remember(folder: str, at: Stamp, seeds: tuple[int, ...], key: str) -> None:
    place = Path(folder)
    with suppress(OSError):  # a runs folder that may only be read is opened the slow way
        write_kept(study(place), comparison(place, seeds), leaders(place, seeds), key)


@st.cache_data(max_entries=256, show_spinner=False)
def _table(path: str, at: int) -> pd.DataFrame:
    return pd.read_parquet(path)


def run_table(run: Path, name: str) -> pd.DataFrame:
    """Return one table of a run; raise SimrecError where it cannot be read."""
    path = run / f"{name}.parquet"
    try:
        return _table(str(path), path.stat().st_mtime_ns)
    except (OSError, ValueError) as error:
        raise SimrecError(
            f"{path} cannot be read; delete the folder {run} and run the study again"
        ) from error


@st.cache_resource(max_entries=4, show_spinner="Reading the data set")
def _inputs(content: str, root: str) -> Inputs | SimrecError:
    inputs = Inputs(StudyConfig.model_validate_json(content), Path(root))
    try:
        inputs.dataset  # noqa: B018 (read once, here)
    except (SimrecError, OSError) as error:
        return error if isinstance(error, SimrecError) else SimrecError(str(error))
    return inputs


def inputs(config: dict[str, Any], folder: Path) -> Inputs:
    """Return the data a study was made from.

    Raises:
        SimrecError: The settings are of another version, or the data are not here.
    """
    try:
        checked = StudyConfig.model_validate(config)
    except ValueError as error:
        raise SimrecError(
            "the study's settings are not those of this simrec, so its items cannot be looked up; "
            "run the study again to see them"
        ) from error
    found = _inputs(checked.model_dump_json(), str(folder.parent))
    if isinstance(found, SimrecError):
        raise found
    return found


def dataset(config: dict[str, Any], folder: Path) -> Dataset:
    """Return the filtered data set of a study; raises as `inputs`."""
    return inputs(config, folder).dataset


@st.cache_resource(max_entries=512, show_spinner=False)
def _curve(
    folder: str, at: Stamp, strategy: str, metric: str, grid: str, seeds: tuple[int, ...]
) -> Curve:
    found = study(Path(folder))
    return metric_curve(
        found.digests_of(strategy, seeds),
        metric,
        grid,
        budget=found.first.budget_env_steps,
        bounds=dict(found.first.bounds),
        rng=generator(0, "curve", strategy, metric, grid),
    )


def curve(found: Overview, strategy: str, metric: str, grid: str, seeds: tuple[int, ...]) -> Curve:
    """Return a strategy's curve of a metric over some seeds; arguments as in `metric_curve`."""
    return _curve(str(found.folder), stamp(found.folder), strategy, metric, grid, seeds)


@st.cache_resource(max_entries=4, show_spinner="Waking the simulated users")
def _world_of_run(folder: str, fingerprint: str) -> Any:
    try:
        return door.live().load_world(Path(folder), fingerprint)
    except SimrecError as error:
        return error


def world(found: Overview) -> Any:
    """Return the world of a study; raise SimrecError where it is not kept any more."""
    wanted = found.first.fingerprints.get("world", "")
    loaded = _world_of_run(str(found.folder), wanted)
    if isinstance(loaded, SimrecError):
        raise loaded
    return loaded


@st.cache_resource(max_entries=64, show_spinner="Working it out")
def _kept(folder: str, at: Stamp, what: str, _make: Callable[..., Any], rest: Any) -> Any:
    try:
        return _make(study(Path(folder)), *rest)
    except SimrecError as error:
        return error


def kept(found: Overview, what: str, make: Callable[..., Any], *rest: Any) -> Any:
    """Return make(found, *rest), worked out once for each state of the study.

    Args:
        found: The study.
        what: Name of the result; one for each `make`.
        make: What is called; a SimrecError it raises is raised again each time.
        *rest: Its further arguments, which must be hashable.
    """
    result = _kept(str(found.folder), stamp(found.folder), what, make, rest)
    if isinstance(result, SimrecError):
        raise result
    return result
