"""A folder as people have it: a log and a catalogue with ids and column names of their own.

- a log: `interactions`, `log`, `ratings`, `events` or `clicks`, and a catalogue: `items`,
  `catalogue`, `products` or `movies`, each as .csv, .tsv, .parquet or .jsonl;
- `covers/` or `images/` with pictures named by item id;
- `features/NAME.npy` in the order of the catalogue, or `features/NAME.csv` with the ids.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from simrec.catalogue import Catalogue
from simrec.datasets.dataset import Dataset
from simrec.datasets.table_columns import parse_columns, refuse_unknown
from simrec.datasets.table_files import CATALOGUES, LOGS, find_table, is_table, open_table
from simrec.datasets.table_items import read_own_items
from simrec.datasets.table_log import read_log
from simrec.datasets.table_media import read_own_features, read_pictures
from simrec.datasets.tidy import check_folder


def _say_nothing(line: str) -> None:
    """Let a line of what was found go by."""


@dataclass(frozen=True)
class TableRequest:
    """What a user says of a folder beyond where it lies."""

    columns: Sequence[str] = ()  # ROLE=NAME, see `simrec.datasets.table_columns.parse_columns`
    drop_unknown: bool = False  # drop what is of items that the catalogue has not
    tell: Callable[[str], None] = _say_nothing  # is told what was taken for what, line by line


def read_own_tables(path: Path, *, name: str, request: TableRequest | None = None) -> Dataset:
    """Read a folder with a log and a catalogue of one's own.

    Args:
        path: The folder.
        name: Name given to the catalogue.
        request: What the user says of it.

    Returns:
        The data set with the ids of the source, its folder being `path`.

    Raises:
        SimrecError: A file or a column is missing, or may be one of several, or a cell is wrong.
    """
    asked = request or TableRequest()
    check_folder(path)
    wanted = parse_columns(asked.columns)
    log_file = open_table(find_table(path, LOGS, "log"))
    items_file = open_table(find_table(path, CATALOGUES, "catalogue"))
    refuse_unknown(wanted, log_file, items_file)
    items, about_items = read_own_items(items_file, wanted)
    rows = {item: row for row, item in enumerate(items.item_ids)}
    drop = asked.drop_unknown
    log, about_log = read_log(log_file, wanted, rows, items_file.name, drop_unknown=drop)
    images, about_images = read_pictures(path, rows)
    features, about_features = read_own_features(path, rows, wanted, drop_unknown=drop)
    used = (log_file.path, items_file.path)
    other = [p.name for p in sorted(path.iterdir()) if is_table(p) and p not in used]
    about_others = [f"not read: {', '.join(other)}"] if other else []
    for line in (*about_log, about_items, *about_images, *about_features, *about_others):
        asked.tell(line)
    catalogue = Catalogue(
        name=name,
        item_ids=items.item_ids,
        titles=items.titles,
        texts=items.texts,
        images=images,
        attributes=items.attributes,
        features=features,
    )
    return Dataset(catalogue, log, path)
