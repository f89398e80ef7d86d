"""A run under way, kept on disk: a run that was killed goes on where it was, to the same bytes."""

import os
import pickle
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import cloudpickle

from simrec.files import atomic_file, fingerprint

EVERY = 60.0  # seconds between two checkpoints; shorter runs are simply made again


class Checkpoint:
    """One file for one run.

    It is a pickle: it stands among a study's own files, is read by this class only and is deleted
    when the run is whole. What is meant to last (policies, tables) is written without pickle.

    Args:
        path: The file.
        key: Says what is being made; a file with another key is not read.
        shared: Large things the run reads and never changes, by name; they are not written.
        clock: Seconds of a clock that never goes back.
    """

    def __init__(
        self,
        path: Path,
        key: str,
        shared: Mapping[str, Any],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.path = path
        self.key = key.encode()
        self.shared = dict(shared)
        self._clock = clock
        self._last = clock()

    def due(self) -> bool:
        """Whether EVERY seconds are over since the start or the last checkpoint."""
        return self._clock() - self._last >= EVERY

    def save(self, state: Any) -> None:
        """Write the state, whole or not at all."""
        with atomic_file(self.path) as temporary, temporary.open("wb") as stream:
            stream.write(self.key + b"\n")
            _Writer(stream, self.shared).dump(state)
        self._last = self._clock()

    def load(self) -> Any:
        """Return the state, or None where no file with this key stands."""
        if not self.path.is_file():
            return None
        with self.path.open("rb") as stream:
            if stream.readline() != self.key + b"\n":
                return None
            return _Reader(stream, self.shared).load()

    def clear(self) -> None:
        """Delete the file, if it is there."""
        self.path.unlink(missing_ok=True)


def code_fingerprint(package: Path) -> str:
    """Return 16 hex digits over the Python files below a folder, linked folders included.

    It belongs into a checkpoint's key: what one version of the code has pickled another may read
    without an error and go on with wrongly.
    """
    files = sorted(
        Path(folder, name)
        for folder, _, names in os.walk(package, followlinks=True)
        for name in names
        if name.endswith(".py")
    )
    return fingerprint(
        *(part for f in files for part in (str(f.relative_to(package)), f.read_bytes()))
    )


class _Writer(cloudpickle.Pickler):  # type: ignore[misc] # the package has no annotations
    def __init__(self, stream: Any, shared: Mapping[str, Any]) -> None:
        super().__init__(stream)
        self._names = {id(value): name for name, value in shared.items()}

    def persistent_id(self, value: Any) -> str | None:
        return self._names.get(id(value))


class _Reader(pickle.Unpickler):
    def __init__(self, stream: Any, shared: Mapping[str, Any]) -> None:
        super().__init__(stream)
        self._shared = shared

    def persistent_load(self, name: str) -> Any:
        return self._shared[name]
