"""The tidy format: a folder of Parquet tables, read and checked.

- `items.parquet`: item_id (0..I-1, each once) and title; optional description, overview or plot,
  and further columns that become attributes (`simrec.datasets.tidy_items`); source_id (text) keeps
  the ids of the source.
- `interactions.parquet`: user_id, item_id, rating; optional timestamp (seconds) or position (order
  within the user). Repeated pairs are allowed.
- `users.parquet` (optional): user_id (each once) and anything else; source_id as above.
- `images.parquet` (optional): item_id, jpeg (the bytes of a JPEG or PNG).
- `features/NAME.npy` (optional): see `simrec.datasets.tidy_media`.
- `tidy.json` (optional): the feedback's unit and the attributes with their values, stated rather
  than found; `simrec.datasets.tidy_write` writes it.

Other tables (`llm_*.parquet`, `tag_events.parquet`) are left alone; `Dataset.folder` leads to them.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simrec.catalogue import Catalogue
from simrec.datasets.dataset import Dataset
from simrec.datasets.parquet import check_finite, check_once, floats, integers, read_table, strings
from simrec.datasets.tidy_items import read_items
from simrec.datasets.tidy_media import read_features, read_images
from simrec.errors import SimrecError
from simrec.interactions import IMPLICIT, InteractionLog

LOG = "interactions.parquet"
USERS = "users.parquet"
UNITS = ("stars", *IMPLICIT)


def read_tidy(path: Path, *, name: str) -> Dataset:
    """Read a folder in the tidy format.

    Args:
        path: The folder.
        name: Name given to the catalogue.

    Returns:
        The data set, its folder being `path`.

    Raises:
        SimrecError: The folder or a table in it is not as described above.
    """
    check_folder(path)
    stated = _stated(path / "tidy.json")
    items = read_items(path, stated["attributes"] if stated else None)
    n_items = len(items.item_ids)
    catalogue = Catalogue(
        name=name,
        item_ids=items.item_ids,
        titles=items.titles,
        texts=items.texts,
        images=read_images(path, n_items),
        attributes=items.attributes,
        features=read_features(path, n_items),
    )
    return Dataset(catalogue, _read_log(path, n_items, stated["unit"] if stated else None), path)


def check_folder(path: Path) -> None:
    """Raise SimrecError unless `path` is a folder."""
    if not path.exists():
        raise SimrecError(f"there is no folder {path}; expected a data set there; check the path")
    if not path.is_dir():
        raise SimrecError(
            f"{path} is a file; expected the folder of a data set; unpack it or give its folder"
        )


def feedback_unit(
    ratings: NDArray[np.float64], label: str = f"{LOG}: rating", first: int = 0
) -> str:
    """Name the unit of a column of ratings (n,), all finite.

    "implicit" where there is nothing but 1 (did) and 0 (was shown, did not); "stars" where all are
    multiples of a half from 0.5 to 5; "count" where all are whole and positive. A sentence names
    the column by `label` and counts rows from `first`.

    Raises:
        SimrecError: None of the three fits.
    """
    if np.isin(ratings, (0.0, 1.0)).all():
        return "implicit"
    if ((ratings >= 0.5) & (ratings <= 5.0) & (ratings * 2 == np.round(ratings * 2))).all():
        return "stars"
    other = (ratings < 1.0) | (ratings != np.round(ratings))
    if other.any():
        raise SimrecError(
            f"{label} is {ratings[other][0]:g} in row {np.flatnonzero(other)[0] + first}; expected "
            "stars (0.5 to 5 in halves), counts (1, 2, ...) or 0 and 1; rescale the column"
        )
    return "count"


def _read_log(folder: Path, n_items: int, unit: str | None) -> InteractionLog:
    table = read_table(folder / LOG, ("user_id", "item_id", "rating"))
    if table.num_rows == 0:
        raise SimrecError(f"{LOG} has no rows; expected one for each event; add the events")
    users = integers(table, "user_id", LOG)
    items = integers(table, "item_id", LOG)
    unknown = np.flatnonzero((items < 0) | (items >= n_items))
    if len(unknown):
        raise SimrecError(
            f"{LOG}: item_id {items[unknown[0]]} in row {unknown[0]} is not in items.parquet; "
            f"expected 0 to {n_items - 1}; drop the row or add the item"
        )
    ratings = _ratings(table)
    time = None
    for column in ("timestamp", "position"):
        if time is None and column in table.column_names:
            time = integers(table, column, LOG)
    ids, source_ids = _users(folder, users)
    return InteractionLog(
        user=np.searchsorted(ids, users).astype(np.int32),
        item=items.astype(np.int32),
        feedback=ratings.astype(np.float32),
        time=time,
        unit=unit or feedback_unit(ratings),
        user_ids=source_ids,
        n_items=n_items,
    )


def _ratings(table: Any) -> NDArray[np.float64]:
    ratings = floats(table["rating"], f"{LOG}: column 'rating'", "numbers; convert the column")
    check_finite(ratings, f"{LOG}: rating", first=0)
    return ratings


def _users(folder: Path, seen: NDArray[np.int64]) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Return the sorted user_id values (U,), whose order is the row order, and the source's ids."""
    if not (folder / USERS).exists():
        ids = np.unique(seen)
        return ids, tuple(str(i) for i in ids)
    table = read_table(folder / USERS, ("user_id",))
    listed = integers(table, "user_id", USERS)
    ids, counts = np.unique(listed, return_counts=True)
    if len(ids) < len(listed):
        raise SimrecError(
            f"{USERS}: user_id {ids[counts > 1][0]} appears {counts.max()} times; expected each "
            "id once; drop the repeats"
        )
    unknown = np.flatnonzero(~np.isin(seen, ids))
    if len(unknown):
        raise SimrecError(
            f"{LOG}: user_id {seen[unknown[0]]} in row {unknown[0]} is not in {USERS}; expected a "
            "user listed there; add the user or drop the row"
        )
    names = [str(i) for i in ids]
    if "source_id" in table.column_names:
        source = strings(table, "source_id", USERS)
        check_once(source, USERS)
        names = [source[row] for row in np.argsort(listed)]
    return ids, tuple(names)


def _stated(path: Path) -> dict[str, Any] | None:
    if not path.exists():
        return None
    try:
        stated = json.loads(path.read_text(encoding="utf-8"))
        fits = stated["unit"] in UNITS and all(
            isinstance(names, list) and all(isinstance(name, str) for name in names)
            for names in stated["attributes"].values()
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        fits = False
    if not fits:
        raise SimrecError(
            f"tidy.json is not as expected: an object with 'unit' (one of {', '.join(UNITS)}) and "
            "'attributes' (each with a list of its values); correct it or remove it, and both are "
            "found from the tables"
        )
    found: dict[str, Any] = stated
    return found
