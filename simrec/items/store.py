"""The feature store: what a frozen encoder said of every item, written once and memory-mapped.

A store is a folder: `hidden.npy` (I, K, D) float16, the pooled states of K kept layers;
`final.npy` (I, F) float32, the encoder's own last vector; `present.npy` (I,) bool;
`statistics.npz`, mean and spread of every layer over the training items; `meta.json`. It is
written beside its place, chunk by chunk, and renamed when whole, so a killed run goes on where
it stopped.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from simrec.errors import SimrecError
from simrec.files import fingerprint, write_json

HALF_MAX = float(np.finfo(np.float16).max)
_FILES = ("hidden.npy", "final.npy", "present.npy", "statistics.npz")


class StateEncoder(Protocol):
    """Anything that turns raw contents of one modality into the states of K layers."""

    @property
    def name(self) -> str:
        """Short name written into records."""
        ...

    @property
    def version(self) -> str:
        """What decides its numbers: a hash of weights, kept layers and pooling."""
        ...

    def states(self, contents: Sequence[Any]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return (B, K, D) pooled states and (B, F) final vectors of B contents."""
        ...


@dataclass(frozen=True)
class FeatureStore:
    """A whole store, opened for reading."""

    folder: Path
    meta: dict[str, Any]  # encoder, version, ids (hash), clipped, files (hashes), contents (hash)
    present: NDArray[np.bool_]  # (I,)

    @cached_property
    def hidden(self) -> NDArray[np.float16]:
        """The raw states (I, K, D), memory-mapped."""
        return np.asanyarray(np.load(self.folder / "hidden.npy", mmap_mode="r"))

    @cached_property
    def final(self) -> NDArray[np.float32]:
        """The raw final vectors (I, F), memory-mapped."""
        return np.asanyarray(np.load(self.folder / "final.npy", mmap_mode="r"))

    @cached_property
    def statistics(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Mean and spread (K, D) over the present training items."""
        with np.load(self.folder / "statistics.npz") as arrays:
            return arrays["mean"], arrays["spread"]

    @property
    def bytes_per_item(self) -> float:
        """Bytes on disk for one item, states and final vector together."""
        return (self.hidden.nbytes + self.final.nbytes) / max(len(self.present), 1)

    def states(self, rows: NDArray[np.int64] | slice = slice(None)) -> NDArray[np.float32]:
        """Return standardised states (n, K, D) of some rows, zero where the item lacks them."""
        mean, spread = self.statistics
        values = np.asarray(self.hidden[rows].astype(np.float32))
        values -= mean  # in place: a large catalogue's states fill a good part of the memory
        values /= spread
        values[~self.present[rows]] = 0.0
        return values


def _sha256(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _content_key(contents: Sequence[Any | None]) -> str:
    """Return one hash over all contents, whatever they are made of."""
    digest = hashlib.sha256()
    for content in contents:
        frames = content if isinstance(content, (list, tuple)) else [content]
        digest.update(fingerprint(str(len(frames)), *frames).encode())
    return digest.hexdigest()[:16]


def open_store(folder: Path, ids: Sequence[str], *, verify: bool = True) -> FeatureStore:
    """Open a store and check that it belongs to these items and is undamaged.

    Args:
        folder: A store's folder.
        ids: (I,) item ids, in row order.
        verify: Read every byte and compare hashes; False compares the ids only.

    Raises:
        SimrecError: No store there, another catalogue's, or a damaged file.
    """
    try:
        meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
        present = np.load(folder / "present.npy")
    except (OSError, ValueError) as error:
        raise SimrecError(
            f"there is no feature store in {folder} ({error}); expected one written by "
            f"`simrec items encode`; encode the modality first"
        ) from error
    if meta["ids"] != fingerprint("\0".join(ids)):
        raise SimrecError(
            f"the feature store {folder} was made for other items; expected the same ids in the "
            f"same order; encode this catalogue anew"
        )
    for name in _FILES if verify else ():
        if not (folder / name).is_file() or _sha256(folder / name) != meta["files"][name]:
            raise SimrecError(
                f"{name} of the feature store {folder} is not what was written; expected SHA-256 "
                f"{meta['files'][name][:16]}...; delete the folder and encode again"
            )
    return FeatureStore(folder, meta, present)


def encode_features(
    folder: Path,
    encoder: StateEncoder,
    contents: Sequence[Any | None],
    ids: Sequence[str],
    *,
    train: NDArray[np.bool_] | None = None,
    chunk: int = 256,
    progress: Callable[[int, int], None] | None = None,
) -> FeatureStore:
    """Encode every item once; a run that was killed goes on at the first unfinished chunk.

    Args:
        folder: Where the store will lie.
        encoder: What encodes.
        contents: (I,) raw contents, None where an item lacks the modality.
        ids: (I,) item ids.
        train: (I,) items over which statistics are taken; None takes all present ones.
        chunk: Items encoded and secured at a time.
        progress: Called with chunks done and chunks in all.

    Returns:
        The store; one that exists already and is the same is opened, not remade.

    Raises:
        SimrecError: Nothing to encode, numbers that are not finite, or a store of other contents.
    """
    there = np.array([content is not None for content in contents], dtype=np.bool_)
    learn = there if train is None else there & train
    if not learn.any():
        raise SimrecError(
            f"no training item has the modality for '{encoder.name}'; expected at least one; "
            f"choose another modality"
        )
    plan = {
        "encoder": encoder.name,
        "version": encoder.version,
        "ids": fingerprint("\0".join(ids)),
        "contents": _content_key(contents),
        "train": fingerprint(learn),
    }
    if (folder / "meta.json").is_file():
        store = open_store(folder, ids)
        _same_plan(folder, store.meta, plan)
        return store
    part = folder.with_name(f".{folder.name}.part")
    part.mkdir(parents=True, exist_ok=True)
    if (part / "plan.json").is_file():
        _same_plan(part, json.loads((part / "plan.json").read_text(encoding="utf-8")), plan)
    write_json(part / "plan.json", plan)
    chunks = [np.arange(i, min(i + chunk, len(ids))) for i in range(0, len(ids), chunk)]
    clipped = 0
    for number, rows in enumerate(chunks):
        clipped += _encode_chunk(part, encoder, contents, rows[there[rows]], len(ids))
        if progress is not None:
            progress(number + 1, len(chunks))
    np.save(part / "present.npy", there)
    mean, spread = _statistics(np.load(part / "hidden.npy", mmap_mode="r"), np.flatnonzero(learn))
    np.savez(part / "statistics.npz", mean=mean, spread=spread)
    for leftover in [*part.glob("chunk-*.json"), part / "plan.json"]:
        leftover.unlink()
    files = {name: _sha256(part / name) for name in _FILES}
    write_json(part / "meta.json", {**plan, "clipped": clipped, "files": files})
    part.replace(folder)
    return open_store(folder, ids, verify=False)


def _same_plan(folder: Path, found: dict[str, Any], plan: dict[str, Any]) -> None:
    for key, value in plan.items():
        if found.get(key) != value:
            raise SimrecError(
                f"{folder} holds features of another {key} ({found.get(key)}, expected {value}); "
                f"delete the folder to encode again, or choose another one"
            )


def _encode_chunk(
    part: Path, encoder: StateEncoder, contents: Sequence[Any], rows: NDArray[np.int64], n: int
) -> int:
    """Encode the rows unless they are done and whole; return how many numbers were clipped."""
    if not len(rows):
        return 0
    mark = part / f"chunk-{int(rows[0])}-{int(rows[-1])}.json"
    if mark.is_file() and (part / "hidden.npy").is_file() and (part / "final.npy").is_file():
        done = json.loads(mark.read_text(encoding="utf-8"))
        written = [np.load(part / f"{k}.npy", mmap_mode="r")[rows] for k in ("hidden", "final")]
        if done["hash"] == fingerprint(*written):
            return int(done["clipped"])
    hidden, final = encoder.states([contents[row] for row in rows])
    if not (np.isfinite(hidden).all() and np.isfinite(final).all()):
        raise SimrecError(
            f"encoder '{encoder.name}' gave numbers that are not finite for items in rows "
            f"{rows[0]} to {rows[-1]}; expected finite states; check these contents"
        )
    clipped = int((np.abs(hidden) > HALF_MAX).sum())
    half = np.clip(hidden, -HALF_MAX, HALF_MAX).astype(np.float16)
    for name, values in (("hidden", half), ("final", final.astype(np.float32))):
        path = part / f"{name}.npy"
        shape = (n, *values.shape[1:])
        fresh = not path.is_file()
        target = open_memmap(
            path, mode="w+" if fresh else "r+", dtype=values.dtype, shape=shape if fresh else None
        )
        target[rows] = values
        target.flush()
    write_json(mark, {"hash": fingerprint(half, final.astype(np.float32)), "clipped": clipped})
    return clipped


def _statistics(
    hidden: NDArray[np.float16], rows: NDArray[np.int64], block: int = 4096
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return mean and spread (K, D) of some rows, in two passes over blocks; no spread is 1."""
    total = np.zeros(hidden.shape[1:])
    for i in range(0, len(rows), block):
        total += hidden[rows[i : i + block]].astype(np.float64).sum(axis=0)
    mean = total / len(rows)
    squares = np.zeros_like(mean)
    for i in range(0, len(rows), block):
        squares += ((hidden[rows[i : i + block]].astype(np.float64) - mean) ** 2).sum(axis=0)
    spread = np.sqrt(squares / len(rows))
    spread[spread < 1e-6] = 1.0
    return mean.astype(np.float32), spread.astype(np.float32)
