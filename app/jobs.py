"""Studies started from the dashboard: each is a process of its own, which outlives the page.

A job lives in RUNS/.jobs/NAME and holds study.yaml, job.json and log.txt.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from simrec.config import StudyConfig, load_config
from simrec.errors import SimrecError
from simrec.files import write_json
from simrec.records import find_runs

_COMMAND = "from simrec.cli import main; main()"
_started: dict[str, subprocess.Popen[bytes]] = {}  # jobs of this server, so that they are reaped


@dataclass(frozen=True)
class Job:
    """A study that was started here."""

    folder: Path
    config: StudyConfig
    pid: int
    began: float  # seconds since 1970

    @property
    def study_file(self) -> Path:
        """The study as it was started."""
        return self.folder / "study.yaml"

    @property
    def log(self) -> str:
        """What the process said so far."""
        try:
            return (self.folder / "log.txt").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""

    @property
    def running(self) -> bool:
        """Whether the process is still there."""
        own = _started.get(str(self.folder))
        if own is not None:
            return own.poll() is None
        try:  # started by an earlier server: the number may belong to somebody else by now
            said = Path(f"/proc/{self.pid}/cmdline").read_bytes()
            return str(self.study_file).encode() in said
        except OSError:
            return False


@dataclass(frozen=True)
class Progress:
    """How far a job is."""

    done: int  # runs
    planned: int
    seconds_left: float | None  # None where it cannot be told yet
    last: str  # the newest line of the log


def check(text: str) -> StudyConfig:
    """Return the study a YAML text describes; raise SimrecError with the first mistake."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "study.yaml"
        path.write_text(text, encoding="utf-8")
        try:
            return load_config(path)
        except SimrecError as error:
            raise SimrecError(str(error).replace(str(path), "the study")) from error


def start(root: Path, text: str, *, workers: int) -> Job:
    """Start a study in a process of its own.

    Args:
        root: Folder of all run folders.
        text: The study as YAML.
        workers: Processes it may use.

    Raises:
        SimrecError: The study has a mistake, or is already running.
    """
    config = check(text)
    if any(job.running and job.config.study == config.study for job in jobs(root)):
        raise SimrecError(
            f"the study '{config.study}' is already running; cancel it first, or give the other "
            "one a name of its own under 'study:'"
        )
    shelf = root.resolve() / ".jobs"
    shelf.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{config.study}-", dir=shelf))
    (folder / "study.yaml").write_text(text, encoding="utf-8")
    command = [sys.executable, "-c", _COMMAND, "run", str(folder / "study.yaml")]
    command += ["--runs", str(root.resolve()), "--workers", str(workers)]
    with (folder / "log.txt").open("wb") as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
    _started[str(folder)] = process
    job = Job(folder, config, process.pid, time.time())
    write_json(folder / "job.json", {"pid": job.pid, "began": job.began})
    return job


def cancel(job: Job) -> None:
    """End a running job and the processes it started; what it finished is kept."""
    if job.running:
        os.killpg(job.pid, signal.SIGTERM)
        own = _started.get(str(job.folder))
        if own is not None:
            own.wait(timeout=20)


def jobs(root: Path) -> list[Job]:
    """Return the jobs started over a runs folder, newest first; unreadable ones are left out."""
    found = []
    for path in (root / ".jobs").glob("*/job.json"):
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            config = load_config(path.parent / "study.yaml")
            found.append(Job(path.parent.resolve(), config, content["pid"], content["began"]))
        except (OSError, ValueError, KeyError, SimrecError):
            continue
    return sorted(found, key=lambda job: -job.began)


def planned(config: StudyConfig) -> int:
    """Return how many runs a study has when it is finished."""
    return len(config.seeds) * (len(config.online.strategies) + len(config.online.controls))


def progress(root: Path, job: Job, *, now: float) -> Progress:
    """Return how far a job is, from its log.

    Args:
        root: Folder of all run folders.
        job: The job.
        now: Seconds since 1970.
    """
    lines = [line for line in job.log.splitlines() if line.strip()]
    said = "\n".join(lines)
    skipped = re.search(r"^(\d+) of \d+ runs are already done", said, re.MULTILINE)
    before = int(skipped.group(1)) if skipped else 0
    ended = re.findall(r"^(?!pretrain).* seed \d+ done in \d+ s$", said, re.MULTILINE)
    total = planned(job.config)
    left = None
    if ended and len(ended) + before < total:
        left = (now - job.began) / len(ended) * (total - before - len(ended))
    return Progress(
        min(before + len(ended), total), total, left, lines[-1] if lines else "starting"
    )


def finished_runs(folder: Path) -> int:
    """Return how many whole runs a study's folder holds."""
    return sum((run / "run.json").is_file() for run in find_runs(folder))


def delete_study(root: Path, name: str) -> None:
    """Delete a study's runs and stages.

    Raises:
        SimrecError: It is no study of this runs folder, or it is running.
    """
    folder = root.resolve() / name
    if folder.parent != root.resolve() or not folder.is_dir() or not find_runs(folder):
        raise SimrecError(f"there is no study '{name}' under {root}; nothing was deleted")
    if any(job.running and job.config.study == name for job in jobs(root)):
        raise SimrecError(f"the study '{name}' is running; cancel it first; nothing was deleted")
    shutil.rmtree(folder)
