"""Features that somebody else computed: .npy, .parquet and .safetensors, joined by item id."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simrec.errors import SimrecError, nearest


def read_states(
    path: Path,
    ids: Sequence[str],
    *,
    row_ids: Sequence[str] | None = None,
    mask: ArrayLike | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Read a feature file and put its rows in the catalogue's order.

    `.npy` holds (n, D) or (n, K, D), rows in catalogue order unless `row_ids` names them.
    `.parquet` has a column item_id and one column of lists. `.safetensors` has a tensor "values",
    optionally "present", and optionally a JSON list "ids" in its header.

    Args:
        path: The file.
        ids: (I,) the catalogue's item ids.
        row_ids: (n,) ids of a `.npy` file's rows.
        mask: (n,) which rows are real; None calls rows that are all zero or hold NaN missing.

    Returns:
        States (I, K, D), zero where absent, and present (I,). Items the file lacks are absent.

    Raises:
        SimrecError: The file cannot be read, or ids are unknown or repeated, or rows are too few.
    """
    readers = {".npy": _npy, ".parquet": _parquet, ".safetensors": _safetensors}
    if path.suffix not in readers:
        raise SimrecError(f"{path.name} is no feature file; {nearest(path.suffix, readers)}")
    try:
        values, own_ids, own_mask = readers[path.suffix](path)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SimrecError(
            f"the feature file {path} cannot be read ({error}); expected a whole .npy, .parquet "
            f"or .safetensors file of numbers; see the documentation of read_states"
        ) from error
    if values.ndim not in (2, 3):
        raise SimrecError(
            f"{path.name} has shape {values.shape}; expected (items, width) or (items, layers, "
            f"width); reshape it"
        )
    values = values.reshape(len(values), -1, values.shape[-1]).astype(np.float32)
    flat = values.reshape(len(values), -1)
    given = own_mask if mask is None else mask
    real = np.isfinite(flat).all(1) & (flat != 0).any(1) if given is None else np.asarray(given)
    if real.shape != (len(values),) or not np.isfinite(flat[real]).all():
        raise SimrecError(
            f"the mask of {path.name} has shape {real.shape} or calls a row real that holds NaN; "
            f"expected {len(values)} entries, True for finite rows; correct the mask"
        )
    names = own_ids if own_ids is not None else row_ids
    where = _places(path.name, ids, names, len(values))
    out = np.zeros((len(ids), *values.shape[1:]), dtype=np.float32)
    present = np.zeros(len(ids), dtype=np.bool_)
    out[where[real]] = values[real]
    present[where[real]] = True
    return out, present


def _places(
    file: str, ids: Sequence[str], names: Sequence[str] | None, n: int
) -> NDArray[np.int64]:
    if names is None:
        if n != len(ids):
            raise SimrecError(
                f"{file} has {n} rows for {len(ids)} items and no ids; expected one row an item "
                f"in catalogue order; give the ids of its rows"
            )
        return np.arange(n)
    if len(names) != n:
        raise SimrecError(f"{file} has {n} rows and {len(names)} ids; expected one id a row")
    row = {name: i for i, name in enumerate(ids)}
    seen: set[str] = set()
    for name in names:
        if name not in row or name in seen:
            what = "repeats" if name in seen else "holds the unknown"
            raise SimrecError(
                f"{file} {what} item '{name}'; expected every id once, as in the catalogue; "
                f"remove that row"
            )
        seen.add(name)
    return np.array([row[name] for name in names], dtype=np.int64)


_Read = tuple[NDArray[np.generic], list[str] | None, NDArray[np.bool_] | None]


def _npy(path: Path) -> _Read:
    return np.load(path, allow_pickle=False), None, None


def _parquet(path: Path) -> _Read:
    import pyarrow.parquet as pq

    from simrec.datasets.parquet import is_list

    table = pq.read_table(path, partitioning=None)
    lists = [name for name in table.column_names if is_list(table[name].type)]
    if "item_id" not in table.column_names or len(lists) != 1:
        raise ValueError(f"columns are {', '.join(table.column_names)}: item_id and one of lists")
    rows = table[lists[0]].to_pylist()
    width = max((len(row) for row in rows if row is not None), default=0)
    values = np.array([[np.nan] * width if row is None else row for row in rows], dtype=np.float64)
    return values, [str(name) for name in table["item_id"].to_pylist()], None


def _safetensors(path: Path) -> _Read:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "np") as file:
            header = file.metadata() or {}
            keys = set(file.keys())
            if "values" not in keys:
                raise ValueError(f"tensors are {', '.join(sorted(keys))}: one must be 'values'")
            present = file.get_tensor("present").astype(bool) if "present" in keys else None
            names = [str(n) for n in json.loads(header["ids"])] if "ids" in header else None
            return file.get_tensor("values"), names, present
    except SafetensorError as error:
        raise ValueError(str(error)) from error
