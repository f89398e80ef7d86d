"""Files that are whole or absent: everything is written to a temporary name and renamed."""

import errno
import hashlib
import json
import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simrec.errors import SimrecError

FULL = 2**20  # free bytes below which a write that fails is taken to have failed for want of room


def home() -> Path:
    """Return the data home: SIMREC_HOME, else ~/.cache/simrec."""
    return Path(os.environ.get("SIMREC_HOME") or Path.home() / ".cache" / "simrec").expanduser()


def _umask() -> int:
    """Return the process's file mode mask, which can only be read by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


@contextmanager
def _told_when_full(folder: Path) -> Iterator[None]:
    """Turn what safetensors and PyTorch raise on a full disk into the OSError that others raise."""
    try:
        yield
    except (OSError, SimrecError):
        raise
    except Exception as error:
        if shutil.disk_usage(folder).free > FULL:
            raise
        reason = os.strerror(errno.ENOSPC)
        raise OSError(errno.ENOSPC, reason, str(folder)) from error


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it on success, delete it on any error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.stem}-", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        with _told_when_full(path.parent):
            yield temporary
        temporary.chmod(0o666 & ~_umask())  # mkstemp lets only its owner read
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder beside `path`; swap it into place on success, delete it on error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
    try:
        with _told_when_full(path.parent):
            yield temporary
        temporary.chmod(0o777 & ~_umask())
        if path.exists():
            shutil.rmtree(path)
        temporary.replace(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON, whole or not at all."""
    with atomic_file(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def check_archive(path: Path) -> None:
    """Raise SimrecError unless `path` is a whole zip archive, as PyTorch writes its files."""
    if not zipfile.is_zipfile(path):
        raise SimrecError(
            f"{path} is absent, cut short or not a PyTorch file; delete the files {path.stem}.* "
            "beside it and run again"
        )


def fingerprint(*parts: str | bytes | NDArray[Any] | dict[str, Any] | list[Any] | None) -> str:
    """Return 16 hex digits that change when any part changes (SHA-256 over typed, framed bytes)."""
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, np.ndarray):
            label = f"{part.dtype.str}{part.shape}".encode()
            data = label + np.ascontiguousarray(part).tobytes()
        elif isinstance(part, bytes):
            data = part
        elif isinstance(part, str):
            data = part.encode()
        else:
            data = json.dumps(part, sort_keys=True, default=str).encode()
        digest.update(len(data).to_bytes(8, "little") + data)
    return digest.hexdigest()[:16]
