"""The items table of the tidy format: ids, titles, texts and categorical attributes."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from simrec.catalogue import Attribute
from simrec.datasets.parquet import check_once, integers, is_list, is_text, read_table, strings
from simrec.errors import SimrecError

FILE = "items.parquet"
# Joined in this order, one that repeats an earlier one left out: "description" is the usual name,
# the others are what film and video catalogues call the same thing.
TEXT_COLUMNS = (
    "description",
    "overview",
    "tmdb_overview",
    "plot",
    "synopsis",
    "summary",
    "abstract",
)
MAX_VALUES = 200  # most frequent values kept of an attribute
MIN_ITEMS = 2  # items a value must be carried by: a value of one item says nothing about others
MAX_DISTINCT = 100  # a single-valued column with more values than this is a name, not a category


@dataclass(frozen=True)
class Items:
    """What the items table says, in row order."""

    item_ids: tuple[str, ...]  # (I,)
    titles: tuple[str, ...]  # (I,)
    texts: tuple[str, ...]  # (I,)
    attributes: Mapping[str, Attribute]


def read_items(folder: Path, vocabularies: Mapping[str, Sequence[str]] | None) -> Items:
    """Read and check items.parquet.

    Without `vocabularies`, every column of lists of text becomes a multi-valued attribute and
    every column of text or whole numbers with at most MAX_DISTINCT values a single-valued one;
    columns named `n_...` are left out, since they count events of the whole log, which neither the
    item adapter nor the teacher may see. A vocabulary holds the (at most MAX_VALUES) most frequent
    values that at least MIN_ITEMS items carry, in alphabetical order.

    Args:
        folder: The data set.
        vocabularies: Attribute columns with their values in order, as written by
            `simrec.datasets.tidy_write.write_tidy`; None to find them by the rules above.

    Raises:
        SimrecError: The table is malformed.
    """
    table = read_table(folder / FILE, ("item_id", "title"))
    if table.num_rows == 0:
        raise SimrecError(f"{FILE} has no rows; expected one for each item; add the items")
    ids = integers(table, "item_id", FILE)
    _check_ids(ids)
    table = table.take(pa.array(np.argsort(ids)))
    titles = strings(table, "title", FILE)
    for row, title in enumerate(titles):
        if not title:
            raise SimrecError(
                f"{FILE}: item {row} has a blank title; expected some text; give it a title"
            )
    item_ids = [str(i) for i in range(len(ids))]
    if "source_id" in table.column_names:
        item_ids = strings(table, "source_id", FILE)
        check_once(item_ids, FILE)
    columns = [c for c in TEXT_COLUMNS if c in table.column_names]
    if vocabularies is None:
        attributes = find_attributes(table)
    else:
        columns = [c for c in columns if c == "description"]
        attributes = {
            name: attribute(_values(table, name), tuple(values))
            for name, values in vocabularies.items()
        }
    parts = [strings(table, column, FILE) for column in columns]
    texts = [join_texts(cells) for cells in zip(*parts, strict=True)] if parts else [""] * len(ids)
    return Items(tuple(item_ids), tuple(titles), tuple(texts), attributes)


def attribute(values: Sequence[Sequence[str]], vocabulary: Sequence[str]) -> Attribute:
    """Return the attribute of I items from the values of each, ignoring others than `vocabulary`.

    Args:
        values: Values of each of the I items.
        vocabulary: The V names, in order.
    """
    column = {value: v for v, value in enumerate(vocabulary)}
    membership: NDArray[np.bool_] = np.zeros((len(values), len(vocabulary)), dtype=np.bool_)
    for row, cells in enumerate(values):
        for cell in cells:
            if cell in column:
                membership[row, column[cell]] = True
    return Attribute(tuple(vocabulary), membership)


def frequent_values(values: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """Return the vocabulary kept of an attribute (see `read_items`), from the values of each item.

    Ties at the cap are broken by name.
    """
    counts = Counter(cell for cells in values for cell in set(cells))
    shared = [value for value, count in counts.items() if count >= MIN_ITEMS]
    return tuple(sorted(sorted(shared, key=lambda value: (-counts[value], value))[:MAX_VALUES]))


def _check_ids(ids: NDArray[np.int64]) -> None:
    unique, counts = np.unique(ids, return_counts=True)
    if len(unique) < len(ids):
        raise SimrecError(
            f"{FILE}: item_id {unique[counts > 1][0]} appears {counts.max()} times; expected each "
            "id once; drop the repeats"
        )
    if unique[0] != 0 or unique[-1] != len(ids) - 1:
        raise SimrecError(
            f"{FILE}: item_id runs from {unique[0]} to {unique[-1]} over {len(ids)} items; "
            f"expected 0 to {len(ids) - 1} without gaps; renumber the items (source_id can keep "
            "the old ids)"
        )


def join_texts(cells: Sequence[str]) -> str:
    """Join the texts of one item, one that repeats an earlier one left out."""
    kept: list[str] = []
    for cell in cells:
        if cell and not any(cell.casefold() in earlier.casefold() for earlier in kept):
            kept.append(cell)
    return " ".join(kept)


def find_attributes(table: Any) -> dict[str, Attribute]:
    """Return the attributes among an items table's columns (see `read_items`), by name."""
    found: dict[str, Attribute] = {}
    reserved = {"item_id", "source_id", "title", *TEXT_COLUMNS}
    for name in table.column_names:
        if name in reserved or name.startswith("n_"):
            continue
        values = _values(table, name)
        single = not is_list(table.schema.field(name).type)
        if single and len({cell for cells in values for cell in cells}) > MAX_DISTINCT:
            continue
        vocabulary = frequent_values(values)
        if vocabulary:
            found[name] = attribute(values, vocabulary)
    return found


def _values(table: Any, name: str) -> list[list[str]]:
    """Return each item's values as text; empty lists for a column that is no category."""
    if name not in table.column_names:
        raise SimrecError(
            f"{FILE} has no column '{name}', which tidy.json calls an attribute; add the column or "
            "correct tidy.json"
        )
    kind = table.schema.field(name).type
    cells = table[name].to_pylist()
    if is_list(kind) and is_text(kind.value_type):
        return [[value for value in cell or () if value] for cell in cells]
    if is_text(kind):
        return [[cell] if cell else [] for cell in cells]
    if pa.types.is_integer(kind):
        return [[] if cell is None else [str(cell)] for cell in cells]
    if pa.types.is_floating(kind) and all(c is None or c == c // 1 for c in cells):
        # whole numbers with gaps (a year, say) arrive as floats from pandas
        return [[] if cell is None else [str(int(cell))] for cell in cells]
    return [[] for _ in cells]
