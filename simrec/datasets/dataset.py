"""A data set: a catalogue, a log and the folder where further tables of it lie."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from simrec.catalogue import Catalogue
from simrec.errors import SimrecError
from simrec.files import fingerprint
from simrec.interactions import InteractionLog


@dataclass(frozen=True)
class Dataset:
    """What every reader returns."""

    catalogue: Catalogue
    log: InteractionLog
    folder: Path | None  # where extra tables (a teacher's recorded ratings) are; None if generated
    rows: NDArray[np.int64] | None = None  # (n,) rows of the folder's log; None = all, in order

    @property
    def fingerprint(self) -> str:
        """Sixteen hex digits over catalogue and log."""
        return fingerprint(self.catalogue.fingerprint, self.log.fingerprint)

    def filtered(self, *, min_item_events: int, min_user_events: int) -> "Dataset":
        """Keep items, then users, with at least so many events; rows are renumbered.

        Raises:
            SimrecError: Nothing is left.
        """
        log = self.log
        item_counts = np.bincount(log.item, minlength=log.n_items)
        items = np.flatnonzero(item_counts >= min_item_events)
        kept = np.isin(log.item, items)
        user_counts = np.bincount(log.user[kept], minlength=log.n_users)
        users = np.flatnonzero(user_counts >= min_user_events)
        kept &= np.isin(log.user, users)
        if not kept.any():
            raise SimrecError(
                f"no event of '{self.catalogue.name}' is left with min_item_events="
                f"{min_item_events} and min_user_events={min_user_events}; lower them"
            )
        new_item = np.full(log.n_items, -1, dtype=np.int32)
        new_item[items] = np.arange(len(items), dtype=np.int32)
        new_user = np.full(log.n_users, -1, dtype=np.int32)
        new_user[users] = np.arange(len(users), dtype=np.int32)
        rows = log.select(kept)
        stored = np.flatnonzero(kept) if self.rows is None else self.rows[kept]
        return Dataset(
            self.catalogue.select(items),
            InteractionLog(
                new_user[rows.user],
                new_item[rows.item],
                rows.feedback,
                rows.time,
                rows.unit,
                tuple(log.user_ids[u] for u in users),
                len(items),
            ),
            self.folder,
            stored,
        )
