"""Parquet tables read column by column, with a sentence for everything that can be wrong."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from simrec.errors import SimrecError


def read_table(path: Path, required: Sequence[str]) -> Any:
    """Read a Parquet file as a pyarrow.Table that has at least the `required` columns.

    Raises:
        SimrecError: The file is missing, unreadable or lacks a column.
    """
    if not path.is_file():
        raise SimrecError(
            f"{path.parent} has no {path.name}; the tidy format needs it; tables of your own are "
            "read with --format table: see `simrec data import --help` for both layouts"
        )
    try:
        table = pq.read_table(path, partitioning=None)
    except (OSError, ValueError) as error:  # pyarrow's ArrowInvalid is a ValueError
        raise SimrecError(
            f"{path.name} cannot be read as Parquet ({type(error).__name__}); expected a whole "
            "Parquet file; copy or write it again"
        ) from error
    for column in required:
        if column not in table.column_names:
            raise SimrecError(
                f"{path.name} has no column '{column}'; it has {', '.join(table.column_names)}; "
                f"expected {', '.join(required)}: add the column"
            )
    return table


def integers(table: Any, column: str, file: str) -> NDArray[np.int64]:
    """Return a column of whole numbers (n,) int64.

    Raises:
        SimrecError: A cell is empty or not a whole number.
    """
    values = table[column]
    if values.null_count:
        row = int(np.flatnonzero(np.asarray(values.is_null()))[0])
        raise SimrecError(
            f"{file}: {column} is empty in row {row}; expected a whole number in every row; "
            "fill or drop the row"
        )
    if pa.types.is_integer(values.type):
        return np.asarray(values, dtype=np.int64)
    if pa.types.is_floating(values.type):
        numbers = np.asarray(values, dtype=np.float64)
        broken = np.flatnonzero(~np.isfinite(numbers) | (numbers != np.round(numbers)))
        if len(broken):
            raise SimrecError(
                f"{file}: {column} is {numbers[broken[0]]:g} in row {broken[0]}; expected a whole "
                "number; correct the row"
            )
        return numbers.astype(np.int64)
    raise SimrecError(
        f"{file}: column '{column}' holds {kind_name(values.type)}; expected whole numbers; "
        "convert the column"
    )


def strings(table: Any, column: str, file: str) -> list[str]:
    """Return a column of text, stripped, "" where a cell is empty.

    Raises:
        SimrecError: The column is not text.
    """
    values = table[column]
    if not (is_text(values.type) or pa.types.is_null(values.type)):
        raise SimrecError(
            f"{file}: column '{column}' holds {kind_name(values.type)}; expected text; convert "
            "the column"
        )
    return [(value or "").strip() for value in values.to_pylist()]


def floats(column: Any, label: str, expected: str) -> NDArray[np.float64]:
    """Return a column of n values as float64 (n,); missing ones are NaN.

    Args:
        column: A pyarrow column.
        label: Table and column, for the sentence.
        expected: What should have been there, and what to do.

    Raises:
        SimrecError: It holds something that is no number.
    """
    try:
        return np.asarray(column.cast("float64"), dtype=np.float64)
    except (ValueError, NotImplementedError) as error:  # pyarrow: text that is no number, lists
        raise SimrecError(f"{label} holds {kind_name(column.type)}; expected {expected}") from error


def check_finite(values: NDArray[np.float64], label: str, *, first: int) -> None:
    """Raise SimrecError unless every value is a finite number.

    Args:
        values: As `floats` returns them (n,).
        label: Table and column, for the sentence.
        first: Number by which the sentence calls the first row.
    """
    broken = np.flatnonzero(~np.isfinite(values))
    if len(broken):
        raise SimrecError(
            f"{label} is {values[broken[0]]:g} in row {broken[0] + first}; expected a finite "
            "number; correct or drop the row"
        )


def check_once(names: Sequence[str], file: str) -> None:
    """Raise SimrecError unless every source_id is given and none twice.

    Args:
        names: The column, as `strings` returns it.
        file: The table it is from.
    """
    counts = Counter(names)
    if counts[""]:
        raise SimrecError(
            f"{file}: source_id is blank in {counts['']} of {len(names)} rows; expected an id in "
            "every row; fill them or drop the column"
        )
    name, most = counts.most_common(1)[0]
    if most > 1:
        raise SimrecError(
            f"{file}: source_id '{name}' appears {most} times; expected each id once; merge or "
            "rename the repeats"
        )


def is_text(kind: Any) -> bool:
    """Say whether a pyarrow type holds text (plain or dictionary-encoded)."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return cast(bool, pa.types.is_string(kind) or pa.types.is_large_string(kind))


def is_list(kind: Any) -> bool:
    """Say whether a pyarrow type holds lists."""
    return cast(
        bool,
        pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind),
    )


def kind_name(kind: Any) -> str:
    """Name a pyarrow type in the words of a sentence, the same under every pandas version."""
    if is_text(kind):
        return "text"
    if pa.types.is_timestamp(kind):
        return "dates"
    if pa.types.is_time(kind):
        return "times of day"
    return "lists" if is_list(kind) else str(kind)
