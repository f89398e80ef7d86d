"""The catalogue of somebody's folder: ids, titles, texts and attributes."""

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from simrec.datasets.parquet import is_list, is_text, kind_name, strings
from simrec.datasets.table_columns import Wanted, choose, choose_texts
from simrec.datasets.table_files import TEXT, Source, read_columns
from simrec.datasets.table_ids import read_ids, refuse_twice
from simrec.datasets.tidy_items import Items, find_attributes, join_texts
from simrec.errors import SimrecError

BAR = "|"  # between several values in one cell, as in "Action|Comedy"


def read_own_items(source: Source, wanted: Wanted) -> tuple[Items, str]:
    """Read a catalogue with ids of its own; items stay in the order of the file.

    Args:
        source: The table.
        wanted: The columns the user named.

    Returns:
        The items, and a line that says what was found.

    Raises:
        SimrecError: A column is missing, an id is there twice, or a title is blank.
    """
    item = choose("item", source, wanted, also=("id",))
    title = choose("title", source, wanted)
    assert item is not None and title is not None  # or `choose` had refused
    texts = choose_texts(source, wanted)
    plain = dict.fromkeys((title, *texts), TEXT)
    table = read_columns(source, source.columns, {**plain, item: TEXT})
    if table.num_rows == 0:
        raise SimrecError(f"{source.name} has no rows; expected one for each item; add the items")
    label = f"{source.name}: {item}"
    rows, ids = read_ids(table[item], label)
    refuse_twice(rows, ids, label)
    item_ids = [ids[row] for row in rows]
    for name in plain:
        table = _with(table, name, _as_text(table[name], f"{source.name}: {name}"))
    titles = strings(table, title, source.name)
    if "" in titles:
        row = titles.index("")
        raise SimrecError(
            f"{source.name}: item '{item_ids[row]}' has no {title} in row {row + 1}; expected some "
            "text; give it a title"
        )
    cells = [strings(table, name, source.name) for name in texts]
    joined = (
        [join_texts(parts) for parts in zip(*cells, strict=True)] if cells else [""] * len(rows)
    )
    rest, split = _split_bars(table.drop_columns(list({item, *plain})))
    attributes = find_attributes(rest)
    said = [f"{source.name}: {len(rows):,} items; item is {item}, title is {title}"]
    said.append(f"text is {' and '.join(texts)}" if texts else "no text")
    shown = [
        f"{name} ({len(found.vocabulary)}{f', split at {BAR}' if name in split else ''})"
        for name, found in attributes.items()
    ]
    said.append(f"attributes: {', '.join(shown) or 'none'}")
    left = [name for name in rest.column_names if name not in attributes]
    if left:
        said.append(f"not used: {', '.join(left)}")
    return Items(tuple(item_ids), tuple(titles), tuple(joined), attributes), "; ".join(said)


def _with(table: Any, name: str, column: Any) -> Any:
    return table.set_column(table.column_names.index(name), name, column)


def _as_text(column: Any, label: str) -> Any:
    """Return a column as text: titles such as 1984 are numbers in some files."""
    if is_list(column.type):
        raise SimrecError(f"{label} holds lists; expected text; name another column")
    try:
        return column.cast(pa.string())
    except (ValueError, NotImplementedError) as error:
        raise SimrecError(
            f"{label} holds {kind_name(column.type)}; expected text; name another column"
        ) from error


def _split_bars(table: Any) -> tuple[Any, list[str]]:
    """Turn columns of text in which a BAR stands into lists; return them and their names."""
    split = []
    for name in table.column_names:
        if not is_text(table[name].type):
            continue
        text = table[name].cast(pa.string())
        if pc.any(pc.match_substring(text, BAR)).as_py():
            table = _with(table, name, pc.split_pattern_regex(text, rf"\s*\{BAR}\s*"))
            split.append(name)
    return table, split
