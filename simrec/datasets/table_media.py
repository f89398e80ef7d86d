"""Pictures and features of somebody's folder, joined to the catalogue by the items' ids."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from simrec.catalogue import Features
from simrec.datasets.parquet import is_list, kind_name
from simrec.datasets.table_columns import Wanted, choose
from simrec.datasets.table_files import TEXT, Source, is_table, open_table, read_columns
from simrec.datasets.table_ids import read_ids, refuse_twice
from simrec.datasets.tidy_media import check_picture, is_feature_of_items, read_features
from simrec.errors import SimrecError

FOLDERS = ("covers", "images")
PICTURES = (".jpg", ".jpeg", ".png")


def read_pictures(
    folder: Path, item_rows: Mapping[str, int]
) -> tuple[tuple[bytes | None, ...], list[str]]:
    """Read covers/ and images/, whose files are named by item id.

    Returns:
        The bytes of each item's picture or None (I,), and lines that say what was found.

    Raises:
        SimrecError: A picture cannot be decoded, an item has two, or no file is named by an id.
    """
    images: list[bytes | None] = [None] * len(item_rows)
    files = [p for name in FOLDERS for p in sorted((folder / name).glob("*"))]
    files = [p for p in files if p.suffix.lower() in PICTURES]
    if not files:
        return tuple(images), []
    strangers = 0
    for path in files:
        row = item_rows.get(path.stem)
        if row is None:
            strangers += 1
            continue
        label = f"{path.parent.name}/{path.name}"
        if images[row] is not None:
            raise SimrecError(
                f"{label} is a second picture of item '{path.stem}'; expected at most one; remove "
                "one of them"
            )
        images[row] = check_picture(path.read_bytes(), label)
    if strangers == len(files):
        raise SimrecError(
            f"none of the pictures in {files[0].parent} ({files[0].name} the first) is named by an "
            f"item's id; expected names such as {next(iter(item_rows))}.jpg; rename them"
        )
    other = f"; not used, since named by no item: {strangers:,}" if strangers else ""
    return tuple(images), [
        f"pictures: of {len(files) - strangers:,} of {len(images):,} items{other}"
    ]


def read_own_features(
    folder: Path, item_rows: Mapping[str, int], wanted: Wanted, *, drop_unknown: bool
) -> tuple[dict[str, Features], list[str]]:
    """Read features/: NAME.npy in the order of the catalogue, or tables with a column of ids.

    NAME.npy is read as `simrec.datasets.tidy_media.read_features` says. NAME.csv, .tsv, .parquet
    or .jsonl have the item's id and numbers, one in a column or all in one column of lists; items
    without a row, or with an empty cell in it, have no such feature.

    Returns:
        The features by name, and lines that say what was found.

    Raises:
        SimrecError: A file is unreadable, does not fit the items, or a name is there twice.
    """
    features = read_features(folder, len(item_rows))
    for path in filter(is_table, sorted((folder / "features").glob("*"))):
        name = path.stem
        if name in features:
            raise SimrecError(
                f"features/{path.name} is a second file of the feature '{name}'; expected one; "
                "rename or remove it"
            )
        if not is_feature_of_items(name) or name.endswith("_mask"):
            raise SimrecError(
                f"features/{path.name} has a name kept for users, propensities or masks; expected "
                "another for a feature of items; rename it"
            )
        features[name] = _by_id(path, item_rows, wanted, drop_unknown)
    said = [f"{n} ({f.present.sum():,} of {len(item_rows):,} items)" for n, f in features.items()]
    return features, [f"features: {', '.join(said)}"] if said else []


def _by_id(path: Path, item_rows: Mapping[str, int], wanted: Wanted, drop: bool) -> Features:
    source = open_table(path)
    item = choose("item", source, wanted, also=("id",))
    assert item is not None  # or `choose` had refused
    table = read_columns(source, source.columns, {item: TEXT})
    label = f"features/{path.name}: {item}"
    rows, ids = read_ids(table[item], label)
    refuse_twice(rows, ids, label)
    values = _numbers(source, table.drop_columns([item]))
    place = np.array([item_rows.get(ids[row], -1) for row in rows], dtype=np.int64)
    strange = np.flatnonzero(place < 0)
    if len(strange) and not drop:
        raise SimrecError(
            f"{label} is '{ids[rows[strange[0]]]}' in row {strange[0] + 1}, which the catalogue "
            "has not; expected its ids; drop the row or say --drop-unknown"
        )
    real = (place >= 0) & np.isfinite(values).all(axis=1)
    if not real.any():
        raise SimrecError(
            f"features/{path.name} has no whole row of numbers for any item; expected some; add "
            "them or remove the file"
        )
    out = np.zeros((len(item_rows), values.shape[1]), dtype=np.float32)
    present = np.zeros(len(item_rows), dtype=np.bool_)
    out[place[real]], present[place[real]] = values[real], True
    return Features(out, present)


def _numbers(source: Source, table: Any) -> NDArray[np.float32]:
    """Return the numbers of every row (n, D), NaN where a cell is empty."""
    names = table.column_names
    if len(names) == 1 and is_list(table[names[0]].type):
        lists = table[names[0]].combine_chunks()
        widths = {len(cell) for cell in lists.to_pylist() if cell is not None}
        if len(widths) != 1 or widths == {0}:
            raise SimrecError(
                f"features/{source.name}: {names[0]} has lists of "
                f"{' and '.join(map(str, sorted(widths))) or 'no'} numbers; expected one length; "
                "mend the rows"
            )
        values = np.full((len(lists), widths.pop()), np.nan, dtype=np.float32)
        real = np.asarray(lists.is_valid())
        values[real] = _floats(source, names[0], lists.drop_null().flatten()).reshape(
            -1, values.shape[1]
        )
        return values
    if not names:
        raise SimrecError(
            f"features/{source.name} has ids and nothing else; expected columns of numbers; add "
            "them"
        )
    return np.stack([_floats(source, name, table[name]) for name in names], axis=1)


def _floats(source: Source, name: str, column: Any) -> NDArray[np.float32]:
    kind = column.type
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_null(kind)):
        raise SimrecError(
            f"features/{source.name}: {name} holds {kind_name(kind)}; expected numbers; remove or "
            "convert the column"
        )
    return np.asarray(column.cast(pa.float64()), dtype=np.float32)
