"""The times of a log, however they are written, as whole seconds since 1970 in UTC."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from simrec.datasets.parquet import is_text, kind_name
from simrec.datasets.table_files import first_unreadable, refuse_empty
from simrec.datasets.tidy_write import FIRST_SECOND
from simrec.errors import SimrecError

# The least number that is read in a unit: its 3 March 1973, and the year 5138 of the unit before.
_UNITS = (
    ("nanoseconds", 10**9, 10**17),
    ("microseconds", 10**6, 10**14),
    ("milliseconds", 10**3, 10**11),
    ("seconds", 1, FIRST_SECOND),
)
_A_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_FRACTION = r"[.,]\d+"
_ZONE = r"[T ]\d{2}.*(Z|[+-]\d{2}(:?\d{2})?)$"


def read_times(column: Any, label: str) -> tuple[NDArray[np.int64], str]:
    """Read a column of times: numbers, dates, or text in ISO 8601.

    The largest number tells the unit: from 10**11 on milliseconds, from 10**14 on microseconds,
    from 10**17 on nanoseconds, from 10**8 on seconds. Smaller numbers are no time but an order,
    and are kept, or ranked where they are not whole. Dates without a zone are UTC. Parts of a
    second are cut off.

    Args:
        column: (n,) as pyarrow.ChunkedArray.
        label: File and name of the column, for sentences.

    Returns:
        Seconds (n,) int64, or the order, and how they were read in a few words.

    Raises:
        SimrecError: A cell is empty or is none of these.
    """
    refuse_empty(column, label, "a time")
    kind = column.type
    if is_text(kind):
        text = pc.utf8_trim_whitespace(column.cast(pa.string()))
        row = first_unreadable(text, pa.float64())
        if row == 0:
            return _dates(text, label), "dates"
        if row is not None:
            raise _no_time(text, row, label)
        column = text.cast(pa.float64())
        kind = column.type
    if pa.types.is_date(kind):
        column = column.cast(pa.timestamp("s" if pa.types.is_date32(kind) else "ms"))
        kind = column.type
    if pa.types.is_timestamp(kind):
        counts = np.asarray(column.cast(pa.int64()), dtype=np.int64)
        return counts // _A_SECOND[kind.unit], "dates"
    if pa.types.is_integer(kind):
        return _numbers(np.asarray(column, dtype=np.int64))
    if not (pa.types.is_floating(kind) or pa.types.is_decimal(kind)):
        raise SimrecError(
            f"{label} holds {kind_name(kind)}; expected seconds, milliseconds or dates in ISO "
            "8601; convert the column"
        )
    values = np.asarray(column.cast(pa.float64()), dtype=np.float64)
    broken = np.flatnonzero(~(np.abs(values) < 2.0**63))
    if len(broken):
        raise SimrecError(
            f"{label} is {values[broken[0]]:g} in row {broken[0] + 1}; expected a time in every "
            "row; fill or drop it"
        )
    return _numbers(values)


def _numbers(values: NDArray[Any]) -> tuple[NDArray[np.int64], str]:
    largest = max(values.max(initial=0).item(), -values.min(initial=0).item())
    for name, unit, least in _UNITS:
        if largest >= least:
            return np.floor_divide(values, unit).astype(np.int64), name
    if (values == np.floor(values)).all():
        return values.astype(np.int64), "an order"
    return np.unique(values, return_inverse=True)[1].astype(np.int64), "an order"


def _dates(text: Any, label: str) -> NDArray[np.int64]:
    """Read dates in ISO 8601, each with a zone or without, as seconds."""
    whole = pc.replace_substring_regex(text, _FRACTION, "")
    whole = pc.replace_substring_regex(whole, r"\s*UTC$", "Z")
    zoned = np.asarray(pc.match_substring_regex(whole, _ZONE))
    seconds = np.empty(len(text), dtype=np.int64)
    worst: list[int] = []
    for rows, zone in ((np.flatnonzero(zoned), "UTC"), (np.flatnonzero(~zoned), None)):
        part, kind = whole.take(pa.array(rows)), pa.timestamp("s", zone)
        broken = first_unreadable(part, kind)
        if broken is None:
            seconds[rows] = np.asarray(part.cast(kind).cast(pa.int64()))
        else:
            worst.append(int(rows[broken]))
    if worst:
        raise _no_time(text, min(worst), label)
    return seconds


def _no_time(text: Any, row: int, label: str) -> SimrecError:
    return SimrecError(
        f"{label} is '{text[row].as_py()}' in row {row + 1}; expected seconds, milliseconds or a "
        "date in ISO 8601 such as 2024-05-31 18:30:00, the same in every row; rewrite the column"
    )
