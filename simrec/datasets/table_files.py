"""The tables of somebody's folder, found by name and read by pyarrow."""

import csv
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet as pq

from simrec.errors import SimrecError

LOGS = ("interactions", "log", "ratings", "events", "clicks")
CATALOGUES = ("items", "catalogue", "catalog", "products", "movies")
SUFFIXES = (".csv", ".tsv", ".parquet", ".jsonl")
TEXT = pa.string()  # how a text table's ids and texts are read: never as numbers


@dataclass(frozen=True)
class Source:
    """A table that was found, and the names of its columns."""

    path: Path
    columns: tuple[str, ...]
    delimiter: str = ","  # of a text table
    table: Any = None  # JSON lines tell their columns only once they are read

    @property
    def name(self) -> str:
        """The file's name."""
        return self.path.name


def find_table(folder: Path, stems: Sequence[str], what: str) -> Path:
    """Return the one file of a folder that is named as a log or a catalogue is.

    Args:
        folder: Where to look.
        stems: LOGS or CATALOGUES, of any case.
        what: What is looked for, in words.

    Raises:
        SimrecError: There is none, or there are several.
    """
    files = sorted(path for path in folder.iterdir() if path.is_file())
    found = [p for p in files if p.stem.lower() in stems and is_table(p)]
    if len(found) > 1:
        raise SimrecError(
            f"{folder} has {' and '.join(p.name for p in found)}, and each may be the {what}; "
            "expected one; move or rename the others"
        )
    if not found:
        there = ", ".join(p.name for p in files) or "no file"
        raise SimrecError(
            f"{folder} has no {what}; expected {' or '.join(stems)} with an ending of "
            f"{' '.join(SUFFIXES)}; there is {there}: rename the file that it is"
        )
    return found[0]


def is_table(path: Path) -> bool:
    """Say whether a file is a table, by the ending of its name."""
    return path.is_file() and path.suffix.lower() in SUFFIXES


def open_table(path: Path) -> Source:
    """Read the names of a table's columns.

    Raises:
        SimrecError: The file cannot be read, or a column's name appears twice.
    """
    ending = path.suffix.lower()
    delimiter, table = ",", None
    try:
        if ending == ".parquet":
            names = tuple(pq.read_schema(path).names)
        elif ending == ".jsonl":
            table = pa.json.read_json(path)
            names = tuple(table.column_names)
        else:
            with path.open(encoding="utf-8-sig", newline="") as handle:
                line = next(filter(str.strip, handle), "")
                delimiter = "\t" if ending == ".tsv" else max(",;\t|", key=line.count)
                handle.seek(0)
                names = tuple(next(filter(None, csv.reader(handle, delimiter=delimiter)), ()))
    except (OSError, ValueError, csv.Error) as error:
        raise _unreadable(path, error) from error
    twice = [name for name, times in Counter(names).items() if times > 1]
    if twice or not names:
        got = f"has the column '{twice[0]}' twice" if twice else "is empty"
        raise SimrecError(f"{path.name} {got}; expected a line of different names first; mend it")
    return Source(path, names, delimiter, table)


def read_columns(source: Source, columns: Sequence[str], kinds: Mapping[str, Any]) -> Any:
    """Read columns of a table as a pyarrow.Table.

    Args:
        source: As `open_table` returned it.
        columns: The columns, each once.
        kinds: Types of a text table's columns, where they are not to be inferred; the other
            kinds of table have types of their own.

    Raises:
        SimrecError: The file cannot be read.
    """
    ending = source.path.suffix.lower()
    try:
        if source.table is not None:
            table = source.table.select(columns)
        elif ending == ".parquet":
            table = pq.read_table(source.path, columns=list(columns), partitioning=None)
        else:
            table = _read_text(source, columns, kinds)
    except (OSError, ValueError) as error:
        raise _unreadable(source.path, error) from error
    return table


def refuse_empty(column: Any, label: str, wanted: str) -> None:
    """Raise SimrecError where a cell of a column is empty.

    Args:
        column: (n,) as pyarrow.ChunkedArray.
        label: File and name of the column.
        wanted: What every cell should hold.
    """
    if column.null_count:
        row = int(np.flatnonzero(np.asarray(column.is_null()))[0])
        raise SimrecError(
            f"{label} is empty in row {row + 1}; expected {wanted} in every row; fill or drop it"
        )


def first_unreadable(column: Any, kind: Any) -> int | None:
    """Return the first row of text that is no value of a type, or None.

    Args:
        column: Text without empty cells, as pyarrow.ChunkedArray.
        kind: The type to read it as.
    """
    if _reads_as(column, kind):
        return None
    low, high = 0, len(column)  # the first such row is in [low, high)
    while high - low > 1:
        middle = (low + high) // 2
        if _reads_as(column.slice(low, middle - low), kind):
            low = middle
        else:
            high = middle
    return low


def _reads_as(column: Any, kind: Any) -> bool:
    try:
        column.cast(kind)
    except (ValueError, NotImplementedError):
        return False
    return True


def _read_text(source: Source, columns: Sequence[str], kinds: Mapping[str, Any]) -> Any:
    parse = pa.csv.ParseOptions(delimiter=source.delimiter, newlines_in_values=True)
    convert = pa.csv.ConvertOptions(include_columns=list(columns), column_types=dict(kinds))
    try:
        return pa.csv.read_csv(source.path, parse_options=parse, convert_options=convert)
    except ValueError:  # one thread knows the row that it stops at
        one = pa.csv.ReadOptions(use_threads=False)
        return pa.csv.read_csv(
            source.path, read_options=one, parse_options=parse, convert_options=convert
        )


def _unreadable(path: Path, error: Exception) -> SimrecError:
    reason = str(error).splitlines()[0].rstrip(".")
    return SimrecError(
        f"{path.name} cannot be read ({reason}); expected a whole table, text in UTF-8; mend the "
        "file or write it again"
    )
