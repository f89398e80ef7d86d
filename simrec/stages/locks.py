"""Folders that several processes of a study write answers to."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from simrec.errors import SimrecError


@contextmanager
def writable(folder: Path) -> Iterator[None]:
    """Turn a failure to write preferences into a folder into one sentence."""
    try:
        yield
    except OSError as error:
        raise SimrecError(
            f"cannot write preferences to {folder} ({error}); make room or name another folder "
            f"with --runs, then run again: no answer is asked for twice"
        ) from error


@contextmanager
def one_at_a_time(path: Path) -> Iterator[None]:
    """Let one process of a study work at a time; the lock goes with its holder, even a killed one.

    Two that ask the same at once would pay twice, and two copies of a model need memory twice.
    """
    with writable(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = path.open("w")
    with handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
