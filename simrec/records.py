"""Run folders: what one strategy did with one seed, written whole and read back with care.

A run lives in runs/STUDY/STRATEGY/seed-N and holds run.json (the record), four Parquet tables and
digest.json, the sums that pictures are drawn from.
"""

import json
import math
import platform
import re
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from simrec import digest
from simrec.errors import SimrecError
from simrec.files import atomic_folder

SCHEMA = 1

# Columns every table must have; updates may carry further float columns, one for each quantity.
TABLES: dict[str, dict[str, str]] = {
    "episodes": {  # one row a finished session
        "start_step": "int64",  # env steps the run had made when the session began
        "end_step": "int64",
        "slot": "int64",
        "episode": "int64",  # counter of the slot
        "user": "int64",
        "reward": "float32",  # of the session, in what the world counts: clicks, minutes, ...
        "length": "int32",  # recommendations in the session
        "left": "bool",  # the user left; False = the horizon was reached
    },
    "updates": {"env_step": "int64"},
    "exposure": {"window": "str", "item": "int64", "shown": "int64", "clicked": "int64"},
    "steps": {  # sampled sessions; all of them, with a column propensity, where a study asks so
        "slot": "int64",
        "episode": "int64",
        "t": "int64",
        "item": "int64",
        "clicked": "int64",
    },
}


@dataclass(frozen=True)
class RunRecord:
    """What run.json says about a run."""

    study: str
    strategy: str
    seed: int
    world: str  # name of the world or environment id
    bounds: Mapping[str, float]  # reward a session: random, popular, static, myopic, oracle
    budget_env_steps: int
    teacher: Mapping[str, Any] = field(default_factory=dict)  # name; warning, "" or None if none
    variant: Mapping[str, Any] = field(default_factory=dict)  # what sets the strategy apart
    config: Mapping[str, Any] = field(default_factory=dict)  # resolved
    config_hash: str = ""
    fingerprints: Mapping[str, str] = field(default_factory=dict)
    git_commit: str | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    llm: Mapping[str, Any] = field(default_factory=dict)  # calls, cached, ...
    notes: Mapping[str, Any] = field(default_factory=dict)  # for example the reward model's AUC
    status: str = "done"
    schema: int = SCHEMA


@dataclass(frozen=True)
class Run:
    """One run read back from its folder; the columns of the tables are those of TABLES."""

    folder: Path
    record: RunRecord
    episodes: pd.DataFrame
    updates: pd.DataFrame
    exposure: pd.DataFrame
    steps: pd.DataFrame


def plain(value: Any) -> Any:
    """Return `value` as JSON can hold it: NumPy numbers as Python's, NaN and infinity as None."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return str(value) if isinstance(value, Path) else value


def _conform(name: str, frame: pd.DataFrame, place: str) -> pd.DataFrame:
    missing = [column for column in TABLES[name] if column not in frame.columns]
    if missing:
        raise SimrecError(
            f"table '{name}' of {place} lacks the column {', '.join(missing)}; "
            f"expected {', '.join(TABLES[name])}"
        )
    return frame.astype({c: t for c, t in TABLES[name].items() if t != "str"}).reset_index(
        drop=True
    )


def write_run(
    folder: Path,
    record: RunRecord,
    *,
    episodes: pd.DataFrame,
    updates: pd.DataFrame,
    exposure: pd.DataFrame,
    steps: pd.DataFrame,
) -> None:
    """Write a run folder, whole or not at all; an older run at the same place is replaced.

    Args:
        folder: runs/STUDY/STRATEGY/seed-N.
        record: Becomes run.json.
        episodes: Columns as TABLES says, one row a finished session.
        updates: env_step and any further float columns, one row a logged update.
        exposure: How often each item was shown and clicked in each window.
        steps: The single steps of sampled sessions.

    Raises:
        SimrecError: A table lacks a column.
    """
    given = {"episodes": episodes, "updates": updates, "exposure": exposure, "steps": steps}
    with atomic_folder(folder) as temporary:
        tables = {name: _conform(name, frame, str(folder)) for name, frame in given.items()}
        for name, frame in tables.items():
            frame.to_parquet(temporary / f"{name}.parquet")
        (temporary / digest.FILE).write_text(_digest(record, tables), encoding="utf-8")
        text = json.dumps(plain(asdict(record)), indent=2, sort_keys=True)
        (temporary / "run.json").write_text(text + "\n", encoding="utf-8")


def _digest(record: RunRecord, tables: Mapping[str, pd.DataFrame]) -> str:
    return digest.digest_text(
        digest.digest_tables(
            tables["episodes"],
            tables["updates"],
            tables["exposure"],
            budget=record.budget_env_steps,
            bounds=record.bounds,
        )
    )


def read_record(folder: Path) -> RunRecord:
    """Read run.json alone, for example to see whether a run is already done.

    Raises:
        SimrecError: The file is absent, is no record, or was written by another schema.
    """
    path = folder / "run.json"
    again = "delete the folder and run the study again"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        if not folder.is_dir():
            again = "name a folder such as runs/STUDY/STRATEGY/seed-0"
        elif runs := sorted(folder.glob("**/seed-*/run.json")):  # a study's folder: keep it
            again = f"name one such as {runs[0].parent}"
        raise SimrecError(f"{folder} has no run.json; expected a run folder; {again}") from error
    except (OSError, ValueError) as error:
        raise SimrecError(f"{path} is not readable JSON ({error}); {again}") from error
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        found = content.get("schema") if isinstance(content, dict) else None
        raise SimrecError(f"{path} has schema {found}; this simrec reads schema {SCHEMA}; {again}")
    names = {f.name for f in fields(RunRecord)}
    needed = {"study", "strategy", "seed", "world", "bounds", "budget_env_steps"}
    if not needed <= content.keys():
        lacking = ", ".join(sorted(needed - content.keys()))
        raise SimrecError(f"{path} lacks {lacking}; {again}")
    values = {key: value for key, value in content.items() if key in names}
    bounds = {k: float("nan") if v is None else float(v) for k, v in values["bounds"].items()}
    return RunRecord(**{**values, "bounds": bounds})


def read_run(folder: Path) -> Run:
    """Read a run folder written by `write_run`.

    Raises:
        SimrecError: A file is absent, broken, cut short or of another schema.
    """
    record = read_record(folder)
    tables = {}
    for name in TABLES:
        path = folder / f"{name}.parquet"
        again = "delete the folder and run the study again"
        if not path.is_file():
            raise SimrecError(f"{folder} has no {name}.parquet; {again}")
        try:
            frame = pd.read_parquet(path)
        except (OSError, ValueError) as error:  # pyarrow's ArrowInvalid is a ValueError
            reason = str(error).splitlines()[0].rstrip(".") if str(error) else "no reason given"
            raise SimrecError(f"{path} is broken ({reason}); {again}") from error
        tables[name] = _conform(name, frame, str(folder))
    return Run(folder, record, **tables)


def find_runs(roots: Path | Iterable[Path]) -> list[Path]:
    """Return every run folder under the given folders, seed 2 before seed 10.

    Args:
        roots: A runs folder, a study, a strategy or a single run, or several of these.

    Raises:
        SimrecError: A given folder does not exist.
    """
    found: set[Path] = set()
    for root in [roots] if isinstance(roots, Path) else roots:
        if not root.is_dir():
            raise SimrecError(
                f"there is no folder {root}; expected a study's runs, made by 'simrec run'"
            )
        # A seed folder without run.json is listed too: a broken run must be named, not overlooked.
        for folder in (root, *root.glob("*"), *root.glob("*/*"), *root.glob("*/*/*")):
            visible = folder == root or not folder.name.startswith(".")
            seed = re.fullmatch(r"seed-\d+", folder.name) and folder.is_dir()
            if visible and (seed or (folder / "run.json").is_file()):
                found.add(folder)
    return sorted(found, key=_natural)


def _natural(path: Path) -> list[tuple[int, str]]:
    words = re.split(r"(\d+)", str(path))
    return [(int(word), "") if word.isdigit() else (-1, word) for word in words]


def current_versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that can move a result."""
    versions = {"python": platform.python_version()}
    names = ("simrec", "numpy", "scipy", "pandas", "torch", "gymnasium", "stable-baselines3")
    for name in (*names, "transformers"):
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


def git_commit(cwd: Path | None = None) -> str | None:
    """Return the commit checked out at `cwd`, with "-dirty" after it if files were changed.

    None where `cwd` is no working tree or git is absent.

    Args:
        cwd: A folder of the working tree; where not given, the one simrec's own code lies in.
    """
    if cwd is None:
        cwd = Path(__file__).resolve().parent
        if "site-packages" in cwd.parts:  # installed: a tree around it is somebody else's
            return None
    command = ["git", "-C", str(cwd), "describe", "--always", "--dirty", "--abbrev=40"]
    try:
        answer = subprocess.run(
            [*command, "--exclude=*"], capture_output=True, text=True, check=True, timeout=10
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip() or None
