"""The log of somebody's folder as simrec's, and what was taken for what."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from simrec.datasets.parquet import check_finite, floats, is_text
from simrec.datasets.table_columns import Wanted, choose
from simrec.datasets.table_files import (
    TEXT,
    Source,
    first_unreadable,
    read_columns,
    refuse_empty,
)
from simrec.datasets.table_ids import read_ids
from simrec.datasets.table_times import read_times
from simrec.datasets.tidy import feedback_unit
from simrec.errors import SimrecError
from simrec.interactions import InteractionLog


def read_log(
    source: Source,
    wanted: Wanted,
    item_rows: Mapping[str, int],
    catalogue: str,
    *,
    drop_unknown: bool,
) -> tuple[InteractionLog, list[str]]:
    """Read a log with ids of its own.

    Users are numbered in the order of their ids (by length, then by alphabet); events stay in the
    order of the file. Without feedback every event is a click, 1.

    Args:
        source: The table.
        wanted: The columns the user named.
        item_rows: Row of every id of the catalogue.
        catalogue: Name of the catalogue's file.
        drop_unknown: Drop events of items that are not in the catalogue instead of refusing them.

    Returns:
        The log, and lines that say what was found.

    Raises:
        SimrecError: A column is missing, or a cell of it is not as expected.
    """
    user = choose("user", source, wanted)
    item = choose("item", source, wanted)
    feedback = choose("feedback", source, wanted)
    time = choose("time", source, wanted)
    assert user is not None and item is not None  # or `choose` had refused
    columns = list(dict.fromkeys(c for c in (user, item, feedback, time) if c is not None))
    table = read_columns(source, columns, {user: TEXT, item: TEXT})
    if table.num_rows == 0:
        raise SimrecError(f"{source.name} has no rows; expected one for each event; add the events")
    cells = {name: table[name] for name in columns}
    label = {name: f"{source.name}: {name}" for name in columns}
    items, kept, said = _items(cells[item], label[item], item_rows, catalogue, drop_unknown)
    users, names = read_ids(cells[user], label[user])
    read = [f"{source.name}: {len(cells[user]):,} events; user is {user}, item is {item}"]
    if feedback is None:
        given, unit = np.ones(len(items)), "implicit"
        read.append("no feedback, so every event is a click (a study of it says data.like_at: 1)")
    else:
        given = _feedback(cells[feedback], label[feedback])
        unit = feedback_unit(given, label[feedback], first=1)
        read.append(f"feedback is {feedback} ({unit}, {given.min():g} to {given.max():g})")
    seconds = None
    if time is not None:
        seconds, how = read_times(cells[time], label[time])
        read.append(f"time is {time} ({how}, {_span(seconds, how, label[time])})")
    left = [name for name in source.columns if name not in columns]
    if left:
        read.append(f"not used: {', '.join(left)}")
    staying = np.bincount(users[kept], minlength=len(names)) > 0  # others had dropped events only
    log = InteractionLog(
        user=(np.cumsum(staying) - 1)[users[kept]].astype(np.int32),
        item=items[kept].astype(np.int32),
        feedback=given[kept].astype(np.float32),
        time=None if seconds is None else seconds[kept],
        unit=unit,
        user_ids=tuple(names[user] for user in np.flatnonzero(staying)),
        n_items=len(item_rows),
    )
    return log, ["; ".join(read), *said]


def _items(
    column: Any, label: str, item_rows: Mapping[str, int], catalogue: str, drop: bool
) -> tuple[NDArray[np.int64], NDArray[np.bool_], list[str]]:
    """Return the catalogue's row of each event (n,), which are kept (n,) and what to say."""
    codes, ids = read_ids(column, label)
    place = np.array([item_rows.get(name, -1) for name in ids], dtype=np.int64)
    items = place[codes]
    known = items >= 0
    events = len(items) - int(known.sum())
    if not events:
        return items, known, []
    count = f"{events:,} of {len(items):,} events; such items: {int((place < 0).sum()):,}"
    if not known.any():
        raise SimrecError(
            f"{label} has no id of {catalogue}: '{ids[codes[0]]}' here, '{next(iter(item_rows))}' "
            "there; expected the same ids in both; rename them, or name another column with "
            "--column item=NAME"
        )
    if not drop:
        row = int(np.flatnonzero(~known)[0])
        raise SimrecError(
            f"{label} is '{ids[codes[row]]}' in row {row + 1}, which is not in {catalogue} (in "
            f"{count}); expected every item there; add them or say --drop-unknown"
        )
    return items, known, [f"dropped, since not in {catalogue}: {count}"]


def _feedback(column: Any, label: str) -> NDArray[np.float64]:
    """Return the feedback of each event, every one a finite number."""
    refuse_empty(column, label, "a number")
    if is_text(column.type):
        text = pc.utf8_trim_whitespace(column.cast(pa.string()))
        row = first_unreadable(text, pa.float64())
        if row is not None:
            raise SimrecError(
                f"{label} is '{text[row].as_py()}' in row {row + 1}; expected a number; correct "
                "the row, or say --column feedback= and every event is a click"
            )
        column = text
    values = floats(column, label, "numbers; name another column with --column feedback=NAME")
    check_finite(values, label, first=1)
    return values


def _span(seconds: NDArray[np.int64], how: str, label: str) -> str:
    first, last = int(seconds.min()), int(seconds.max())
    if how == "an order":
        return f"{first} to {last}"
    try:
        return " to ".join(f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d}" for at in (first, last))
    except (ValueError, OverflowError, OSError) as error:  # no year of the calendar
        raise SimrecError(
            f"{label} runs from {first} to {last} seconds since 1970, which is no date; expected "
            "years 1 to 9999; correct the column"
        ) from error
