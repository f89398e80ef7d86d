"""The runs of one study, read together or refused with the reason."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from simrec.errors import SimrecError
from simrec.records import Run, RunRecord, find_runs, read_run
from simrec.served import without_server

# Settings that may differ between runs one compares: they say what to do, not how.
HARMLESS = (
    "seeds",
    "online.strategies",
    "online.controls",
    "online.snapshot_sessions",
    "online.propensities",
    "data.path",
    "learner.device",  # the same results to tolerance
    "world.allow_static",
    "teacher.options.concurrency",
    "teacher.options.timeout",
    "teacher.options.tries",
)


def load_runs(paths: Path | Iterable[Path]) -> list[Run]:
    """Read every run under the given folders; they must be runs of one study.

    Raises:
        SimrecError: There are none, some are broken, or they do not belong together.
    """
    runs = _read(paths)
    check_together([(run.folder, run.record) for run in runs])
    return runs


def load_studies(paths: Path | Iterable[Path]) -> list[list[Run]]:
    """Read every run under the given folders and part them by study, in the order of first sight.

    Raises:
        SimrecError: As load_runs, within each study.
    """
    studies: dict[str, list[Run]] = {}
    for run in _read(paths):
        studies.setdefault(run.record.study, []).append(run)
    for runs in studies.values():
        check_together([(run.folder, run.record) for run in runs])
    return list(studies.values())


def _read(paths: Path | Iterable[Path]) -> list[Run]:
    folders = find_runs(paths)
    if not folders:
        given = [paths] if isinstance(paths, Path) else list(paths)
        raise SimrecError(
            f"there are no runs under {', '.join(map(str, given))}; make some with 'simrec run'"
        )
    runs, broken = [], []
    for folder in folders:
        try:
            runs.append(read_run(folder))
        except SimrecError as error:
            broken.append((folder, error))
    if len(broken) == 1:
        raise broken[0][1]
    if broken:
        raise SimrecError(
            f"{len(broken)} of {len(folders)} runs cannot be read "
            f"({', '.join(str(folder) for folder, _ in broken)}); "
            "delete these folders and run the study again"
        )
    return runs


def check_together(runs: Sequence[tuple[Path, RunRecord]]) -> None:
    """Raise SimrecError, with the first reason found, unless all are runs of one study.

    Args:
        runs: Folder and record of each run; at least one.
    """
    first_folder, first = runs[0]
    known: dict[tuple[str, int], Path] = {}
    for folder, record in runs:
        for what in ("study", "world", "budget_env_steps"):
            mine, theirs = getattr(first, what), getattr(record, what)
            if mine != theirs:
                step = "give the runs of one study"
                if what != "study":
                    step = "run the study again with all its seeds and strategies, or " + step
                raise SimrecError(
                    f"cannot compare {first_folder} ({what} {mine}) with {folder} "
                    f"({what} {theirs}); {step}"
                )
        for name in ("random", "oracle"):
            if name not in record.bounds:
                raise SimrecError(
                    f"{folder} has no bound '{name}'; expected clicks per session; "
                    "delete the folder and run the study again"
                )
        for name, mine, theirs in differing(first.config, record.config):
            if name in HARMLESS:
                continue
            if name == "teacher.model" and without_server(mine) == without_server(theirs):
                continue
            raise SimrecError(
                f"cannot compare {first_folder} ({name} {mine}) with {folder} "
                f"({name} {theirs}); run the study again, or give runs of one configuration"
            )
        same = first.bounds.keys() == record.bounds.keys() and all(
            np.isclose(value, record.bounds[name], rtol=1e-9, equal_nan=True)
            for name, value in first.bounds.items()
        )
        if not same:
            raise SimrecError(
                f"{folder} has other bounds than {first_folder}, so its world was configured "
                "differently; give the runs of one study"
            )
        key = (record.strategy, record.seed)
        if key in known:
            raise SimrecError(
                f"{key[0]} seed {key[1]} is there twice, in {known[key]} and {folder}; give one"
            )
        known[key] = folder


def differing(a: Mapping[str, Any], b: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """Yield every setting that differs, as dotted name and two values."""
    left, right = dict(_settings(a)), dict(_settings(b))
    for name in sorted(left.keys() | right.keys()):
        if left.get(name) != right.get(name):
            yield name, left.get(name, "absent"), right.get(name, "absent")


def _settings(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in config.items():
        if isinstance(value, Mapping):
            yield from _settings(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
