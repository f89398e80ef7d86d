"""Writing a data set in the tidy format, so that reading it back gives the same fingerprint."""

import json
from pathlib import Path

import numpy as np
import pandas as pd

from simrec.catalogue import Catalogue
from simrec.datasets.dataset import Dataset
from simrec.errors import SimrecError
from simrec.files import atomic_folder
from simrec.interactions import InteractionLog

# A log of seconds since 1970 lies above this, a log of positions below.
FIRST_SECOND = 10**8
_RESERVED = frozenset({"item_id", "source_id", "title", "description"})


def write_tidy(dataset: Dataset, folder: Path) -> None:
    """Write catalogue and log in the tidy format, whole or not at all.

    Ids become row numbers, the source's ids a column `source_id`; attributes and the unit of the
    feedback are stated in `tidy.json`. Extra tables of `dataset.folder` are not written.

    Args:
        dataset: What to write.
        folder: Where; must not exist, or be empty.

    Raises:
        SimrecError: The folder holds something, or an attribute has the name of a fixed column.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise SimrecError(f"{folder} is not empty; expected a new folder; choose another")
    with atomic_folder(folder) as temporary:
        _write_catalogue(dataset.catalogue, temporary)
        _write_log(dataset.log, temporary)
        stated = {
            "unit": dataset.log.unit,
            "attributes": {
                name: list(attribute.vocabulary)
                for name, attribute in dataset.catalogue.attributes.items()
            },
        }
        (temporary / "tidy.json").write_text(json.dumps(stated, indent=2) + "\n", encoding="utf-8")


def _write_catalogue(catalogue: Catalogue, folder: Path) -> None:
    columns: dict[str, object] = {
        "item_id": np.arange(len(catalogue)),
        "source_id": list(catalogue.item_ids),
        "title": list(catalogue.titles),
        "description": list(catalogue.texts),
    }
    for name, attribute in catalogue.attributes.items():
        if name in _RESERVED:
            raise SimrecError(
                f"attribute '{name}' has the name of a fixed column of items.parquet; expected "
                f"another name than {', '.join(sorted(_RESERVED))}; rename it"
            )
        columns[name] = [
            [attribute.vocabulary[v] for v in np.flatnonzero(row)] for row in attribute.membership
        ]
    pd.DataFrame(columns).to_parquet(folder / "items.parquet", index=False)
    pictures = [(i, data) for i, data in enumerate(catalogue.images) if data is not None]
    if pictures:
        ids, data = zip(*pictures, strict=True)
        frame = pd.DataFrame({"item_id": list(ids), "jpeg": list(data)})
        frame.to_parquet(folder / "images.parquet", index=False)
    if catalogue.features:
        (folder / "features").mkdir()
    for name, feature in catalogue.features.items():
        np.save(folder / "features" / f"{name}.npy", feature.values)
        np.save(folder / "features" / f"{name}_mask.npy", feature.present)


def _write_log(log: InteractionLog, folder: Path) -> None:
    events = pd.DataFrame({"user_id": log.user, "item_id": log.item, "rating": log.feedback})
    if log.time is not None:
        seconds = len(log) > 0 and log.time.max() >= FIRST_SECOND
        events["timestamp" if seconds else "position"] = log.time
    events.to_parquet(folder / "interactions.parquet", index=False)
    users = pd.DataFrame({"user_id": np.arange(log.n_users), "source_id": list(log.user_ids)})
    users.to_parquet(folder / "users.parquet", index=False)
