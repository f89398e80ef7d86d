"""What some logs say of an event or a user besides who, what and when.

Read from the data set's folder on demand: `split` and `propensity` of interactions.parquet,
`features/propensity_user_by_item.npy`, and `friends` of users.parquet.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simrec.datasets.dataset import Dataset
from simrec.datasets.parquet import floats, integers, is_list, read_table, strings
from simrec.datasets.tidy import LOG, USERS
from simrec.datasets.tidy_items import FILE as ITEMS
from simrec.errors import SimrecError
from simrec.interactions import Part, Split, split_log

TEST = "test"  # events whose split begins so were not chosen by the user, or are for judging only
PROPENSITY = "propensity_user_by_item.npy"


@dataclass(frozen=True)
class EventColumns:
    """Further columns of a log; None where the data set has no such column."""

    judging: NDArray[np.bool_] | None  # (n,) True for events that may only judge
    propensity: NDArray[np.float64] | None  # (n,) the chance that this event was seen, in (0, 1]


def event_columns(dataset: Dataset) -> EventColumns:
    """Return the `split` and `propensity` of every event of a data set's log.

    Where interactions.parquet has no propensity, the matrix of users by items beside the features
    is looked up, if there is one: users in the order of their user_id, items of their item_id.

    Raises:
        SimrecError: A propensity is not in (0, 1], the matrix has another shape, or the folder's
            log has changed.
    """
    if dataset.folder is None:
        return EventColumns(None, None)
    table = read_table(dataset.folder / LOG, ())
    rows = np.arange(len(dataset.log)) if dataset.rows is None else dataset.rows
    if len(rows) and rows.max() >= table.num_rows:
        raise SimrecError(
            f"{LOG} has {table.num_rows} rows; expected {rows.max() + 1} or more, as when it was "
            "read; import the data set again with --replace"
        )
    judging, propensity = None, None
    if "split" in table.column_names:
        names = strings(table, "split", LOG)
        judging = np.array([name.startswith(TEST) for name in names])[rows]
    if "propensity" in table.column_names:
        label = f"{LOG}: column 'propensity'"
        expected = "chances above 0 and up to 1; convert the column"
        propensity = floats(table["propensity"], label, expected)[rows]
    else:
        propensity = _from_matrix(dataset.folder, table)
        propensity = None if propensity is None else propensity[rows]
    if propensity is not None and not ((propensity > 0) & (propensity <= 1)).all():
        worst = propensity[~((propensity > 0) & (propensity <= 1))][0]
        raise SimrecError(
            f"the data set '{dataset.catalogue.name}' has a propensity of {worst:g}; expected "
            "chances above 0 and up to 1; correct the column"
        )
    return EventColumns(judging, propensity)


def _from_matrix(folder: Path, table: Any) -> NDArray[np.float64] | None:
    """Return what the matrix of users by items says of each event of the log, None without one."""
    path = folder / "features" / PROPENSITY
    if not path.is_file():
        return None
    try:
        matrix = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise SimrecError(
            f"{PROPENSITY} cannot be read ({error}); expected numbers, users by items; write it "
            "again or remove it"
        ) from error
    users, items = (integers(table, name, LOG) for name in ("user_id", "item_id"))
    known = users
    if (folder / USERS).is_file():
        known = integers(read_table(folder / USERS, ("user_id",)), "user_id", USERS)
    ids = np.unique(known)
    wanted = (len(ids), read_table(folder / ITEMS, ()).num_rows)
    if matrix.shape != wanted:
        raise SimrecError(
            f"{PROPENSITY} has shape {matrix.shape}; expected {wanted}, users by items; correct or "
            "remove it"
        )
    return np.asarray(matrix[np.searchsorted(ids, users), items], dtype=np.float64)


def split_dataset(dataset: Dataset, *, seed: int, history: int = 10, **shares: float) -> Split:
    """Split a data set's log; events that may only judge are the whole of Part.REALISM.

    Without a `split` column this is `split_log`. With one, `split_log` divides the other events
    into the agent's and the truth's part only, and the users are judged on the events that the data
    set's makers set apart (in Coat: ratings of items drawn at random).

    Args:
        dataset: The data set.
        seed: Of `split_log`.
        history: Least number of agent events a user should have, events permitting.
        **shares: agent_share, realism_share and online_share of `split_log`.

    Returns:
        The part of every event and the group of every user.
    """
    judging = event_columns(dataset).judging
    if judging is None or not judging.any() or judging.all():
        return split_log(dataset.log, seed=seed, history=history, **shares)
    inner = split_log(dataset.log.select(~judging), seed=seed, history=history, **shares)
    part = np.full(len(dataset.log), Part.REALISM, dtype=np.int8)
    part[~judging] = np.where(inner.part == Part.AGENT, Part.AGENT, Part.TRUTH)
    return Split(part, inner.online)


def friend_pairs(dataset: Dataset) -> NDArray[np.int64]:
    """Return the friendships of a data set as user rows (n, 2), each direction as it is listed.

    Empty where users.parquet has no column `friends`. Friends who are not in the log are left out.

    Raises:
        SimrecError: The column does not hold lists of user_id.
    """
    path = None if dataset.folder is None else dataset.folder / USERS
    if path is None or not path.is_file():
        return np.zeros((0, 2), dtype=np.int64)
    table = read_table(path, ("user_id",))
    if "friends" not in table.column_names:
        return np.zeros((0, 2), dtype=np.int64)
    if not is_list(table.schema.field("friends").type):
        raise SimrecError(f"{USERS}: column 'friends' holds no lists; expected lists of user ids")
    listed = table["friends"].to_pylist()
    for row, friends in enumerate(listed):
        wrong = [other for other in friends or () if not isinstance(other, int)]
        if wrong:
            raise SimrecError(
                f"{USERS}: friends holds {wrong[0]!r} in row {row}; expected lists of user_id, "
                "which are whole numbers; convert the lists"
            )
    ids = integers(table, "user_id", USERS)
    names = [str(i) for i in ids]
    if "source_id" in table.column_names:
        names = strings(table, "source_id", USERS)
    row_of_name = {name: row for row, name in enumerate(dataset.log.user_ids)}
    row_of_id = {int(i): row_of_name.get(name, -1) for i, name in zip(ids, names, strict=True)}
    pairs = [
        (row_of_id[int(one)], row_of_id.get(other, -1))
        for one, friends in zip(ids, listed, strict=True)
        for other in friends or ()
    ]
    found = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    return np.asarray(found[(found >= 0).all(axis=1)])
