"""Pictures and precomputed features of the tidy format."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from PIL import Image

from simrec.catalogue import Features
from simrec.datasets.parquet import integers, kind_name, read_table
from simrec.errors import SimrecError

IMAGES = "images.parquet"


def read_images(folder: Path, n_items: int) -> tuple[bytes | None, ...]:
    """Read images.parquet where there is one: the bytes of each item's picture or None.

    Every picture is decoded once, at low resolution, so that a broken one is found here.

    Raises:
        SimrecError: The table is malformed, or a cell is no whole picture.
    """
    images: list[bytes | None] = [None] * n_items
    if not (folder / IMAGES).exists():
        return tuple(images)
    table = read_table(folder / IMAGES, ("item_id", "jpeg"))
    kind = table.schema.field("jpeg").type
    if not (pa.types.is_binary(kind) or pa.types.is_large_binary(kind)):
        raise SimrecError(
            f"{IMAGES}: column 'jpeg' holds {kind_name(kind)}; expected the bytes of a picture; "
            "store the file's bytes"
        )
    ids = integers(table, "item_id", IMAGES)
    for item, data in zip(ids.tolist(), table["jpeg"].to_pylist(), strict=True):
        if not 0 <= item < n_items:
            raise SimrecError(
                f"{IMAGES}: item_id {item} is not in items.parquet; expected 0 to {n_items - 1}; "
                "drop the row or add the item"
            )
        if images[item] is not None:
            raise SimrecError(
                f"{IMAGES}: item {item} has two pictures; expected at most one; drop one"
            )
        images[item] = check_picture(data or b"", f"{IMAGES}: the picture of item {item}")
    return tuple(images)


def is_feature_of_items(name: str) -> bool:
    """Say whether features/NAME.npy describes items; `user...` and `propensity...` do not."""
    return not name.startswith(("user", "propensity"))


def read_features(folder: Path, n_items: int) -> dict[str, Features]:
    """Read features/*.npy: one row for each item, in item_id order.

    NAME.npy takes its mask (I,) from NAME_mask.npy or else from the longest PREFIX_mask.npy with
    NAME starting with PREFIX and an underscore; without one, every row is present. Files named
    `user...` or `propensity...` describe users or pairs; they are left for those who know them.

    Raises:
        SimrecError: A file is unreadable or does not fit the items.
    """
    found = sorted((folder / "features").glob("*.npy"))
    paths = {path.stem: path for path in found if is_feature_of_items(path.stem)}
    masks = {stem.removesuffix("_mask"): stem for stem in paths if stem.endswith("_mask")}
    features: dict[str, Features] = {}
    used: set[str] = set()
    for name in (stem for stem in paths if not stem.endswith("_mask")):
        owners = [p for p in masks if name == p or name.startswith(f"{p}_")]
        present = np.ones(n_items, dtype=np.bool_)
        if owners:
            mask = masks[max(owners, key=len)]
            used.add(mask)
            present = _mask(paths[mask], n_items)
        features[name] = _feature(paths[name], present)
    for stem in sorted(set(masks.values()) - used):
        raise SimrecError(
            f"features/{stem}.npy masks no feature; expected a file "
            f"{stem.removesuffix('_mask')}.npy or {stem.removesuffix('_mask')}_....npy beside it; "
            "rename or remove it"
        )
    return features


def _feature(path: Path, present: NDArray[np.bool_]) -> Features:
    values = _load(path)
    label = f"features/{path.name}"
    if values.ndim != 2 or values.shape[1] == 0:
        raise SimrecError(
            f"{label} has shape {values.shape}; expected a 2-D array, one row of numbers for each "
            "item; reshape it"
        )
    if len(values) != len(present):
        raise SimrecError(
            f"{label} has {len(values)} rows; expected {len(present)}, one for each item; name "
            "it user... or propensity... if its rows are not items"
        )
    rows = np.where(present[:, None], values, 0).astype(np.float32)
    broken = np.flatnonzero(~np.isfinite(rows).all(axis=1))
    if len(broken):
        raise SimrecError(
            f"{label} is not finite in row {broken[0]}, which is marked present; expected numbers; "
            f"mark the row absent in {path.stem}_mask.npy"
        )
    return Features(rows, present)


def _mask(path: Path, n_items: int) -> NDArray[np.bool_]:
    mask = _load(path)
    if mask.shape != (n_items,):
        raise SimrecError(
            f"features/{path.name} has shape {mask.shape}; expected ({n_items},), one value for "
            "each item; write it again"
        )
    return mask.astype(np.bool_)


def _load(path: Path) -> NDArray[Any]:
    try:
        values: NDArray[Any] = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise SimrecError(
            f"features/{path.name} cannot be read as a NumPy array ({type(error).__name__}); "
            "expected a file written by numpy.save without objects; write it again"
        ) from error
    if values.dtype.kind not in "fiub":
        raise SimrecError(
            f"features/{path.name} holds {values.dtype} values; expected real numbers; convert it"
        )
    return values


def check_picture(data: bytes, label: str) -> bytes:
    """Return the bytes of a picture; raise SimrecError where they cannot be decoded."""
    try:
        with Image.open(io.BytesIO(data)) as picture:
            picture.draft("RGB", (8, 8))  # a JPEG is then decoded at an eighth of its size
            picture.load()
    except (OSError, SyntaxError, ValueError) as error:
        raise SimrecError(
            f"{label} cannot be decoded; expected JPEG or PNG bytes; drop the row or store the "
            "picture again"
        ) from error
    return data
