"""Ids of any kind, text or numbers, as text and the row numbers that stand for them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from simrec.datasets.parquet import is_text, kind_name
from simrec.datasets.table_files import refuse_empty
from simrec.errors import SimrecError


def read_ids(column: Any, label: str) -> tuple[NDArray[np.int64], list[str]]:
    """Read a column of ids, which costs Python a step for each different id and none for a row.

    Args:
        column: (n,) text or whole numbers, as pyarrow.ChunkedArray.
        label: File and name of the column, for sentences.

    Returns:
        Which id each row has (n,), and the ids as text without blanks around them, each once, in
        the order of their length and then of the alphabet (so that numbers count up).

    Raises:
        SimrecError: A cell is blank, or holds neither text nor a whole number.
    """
    refuse_empty(column, label, "an id")
    kind = column.type
    if not (is_text(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        raise _no_ids(column, label)
    if pa.types.is_dictionary(column.type):
        column = column.unify_dictionaries()
    else:
        column = column.dictionary_encode()  # its chunks have one dictionary from the start
    encoded = column.combine_chunks()
    codes = np.asarray(encoded.indices, dtype=np.int64)
    names = _as_text(encoded.dictionary, label)
    used = np.bincount(codes, minlength=len(names)) > 0
    ids = sorted(
        {n for n, seen in zip(names, used, strict=True) if seen}, key=lambda n: (len(n), n)
    )
    place = {name: row for row, name in enumerate(ids)}
    rows = np.array([place.get(name, -1) for name in names], dtype=np.int64)[codes]
    if ids and not ids[0]:
        raise SimrecError(
            f"{label} is empty in row {np.flatnonzero(rows == 0)[0] + 1}; expected an id in every "
            "row; fill or drop it"
        )
    return rows, ids


def refuse_twice(rows: NDArray[np.int64], ids: Sequence[str], label: str) -> None:
    """Raise SimrecError unless every row has an id of its own.

    Args:
        rows: Which id each row has (n,), as `read_ids` returns it.
        ids: The ids.
        label: File and name of the column.
    """
    if len(ids) < len(rows):
        twice = int(np.flatnonzero(np.bincount(rows) > 1)[0])
        first, second = np.flatnonzero(rows == twice)[:2] + 1
        raise SimrecError(
            f"{label} is '{ids[twice]}' in row {first} and in row {second}; expected each id once; "
            "drop one of the rows"
        )


def _as_text(ids: Any, label: str) -> list[str]:
    if is_text(ids.type):
        return [name.strip() for name in ids.to_pylist()]
    values = ids.to_pylist()
    if pa.types.is_floating(ids.type) and all(value == value // 1 for value in values):
        return [str(int(value)) for value in values]  # whole numbers with gaps, as pandas has them
    if pa.types.is_integer(ids.type):
        return [str(value) for value in values]
    raise _no_ids(ids, label)


def _no_ids(column: Any, label: str) -> SimrecError:
    return SimrecError(
        f"{label} holds {kind_name(column.type)}; expected ids, text or whole numbers; convert the "
        "column"
    )
