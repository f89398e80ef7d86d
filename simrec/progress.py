"""Progress for people: bars with the time left on a terminal, one line a stage anywhere else.

Everything goes to standard error, so that results on standard output can be piped.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)


def _line(console: Console, text: str) -> None:
    console.print(text, markup=False, highlight=False, soft_wrap=True)


class Bars:
    """Several tasks that advance side by side; made by `bars`."""

    def __init__(self, console: Console, progress: Progress | None) -> None:
        self._console = console
        self._progress = progress  # None where nothing can be redrawn
        self._tasks: dict[int, tuple[str, int, int, float]] = {}  # name, done, total, began

    def add(self, name: str, total: int) -> int:
        """Start a task of `total` units and return its number."""
        if self._progress is not None:
            return int(self._progress.add_task(name, total=total))
        task = len(self._tasks)
        self._tasks[task] = (name, 0, total, time.monotonic())
        _line(self._console, f"{name} ...")
        return task

    def advance(self, task: int, n: int = 1) -> None:
        """Count `n` more units of a task as done."""
        if self._progress is not None:
            self._progress.advance(TaskID(task), n)
            return
        name, done, total, began = self._tasks[task]
        self._tasks[task] = (name, done + n, total, began)
        if done < total <= done + n:
            _line(self._console, f"{name} done in {time.monotonic() - began:.0f} s")


@contextmanager
def bars(console: Console | None = None) -> Iterator[Bars]:
    """Show bars while the block runs.

    Args:
        console: Where to draw; standard error where not given.
    """
    console = console or Console(stderr=True)
    if not console.is_terminal:
        yield Bars(console, None)
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:
        yield Bars(console, progress)


@contextmanager
def stage(name: str, console: Console | None = None) -> Iterator[None]:
    """Say that a stage begins and, when it ends without an error, how long it took.

    Args:
        name: What the stage does, for example "teacher".
        console: Where to write; standard error where not given.
    """
    console = console or Console(stderr=True)
    began = time.monotonic()
    _line(console, f"{name} ...")
    yield
    _line(console, f"{name} done in {time.monotonic() - began:.1f} s")
