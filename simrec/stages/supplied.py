"""Items that a language model wrote, joined to a world as what its creators hold in reserve.

A study's level: what is written knows no environment, and creators know no language model.
"""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simrec.catalogue import Attribute, Catalogue, Features
from simrec.datasets.dataset import Dataset
from simrec.envs.creators import Creators
from simrec.errors import SimrecError
from simrec.items.supply import Supplied


def with_supplied(dataset: Dataset, supplied: Supplied) -> Dataset:
    """Return the data set with new items after its own; nobody has met them.

    Args:
        dataset: The data that the items were written beside.
        supplied: Its `catalogue` holds the new items.

    Raises:
        SimrecError: The new items were written beside another catalogue.
    """
    old, new = dataset.catalogue, supplied.catalogue
    if list(old.attributes) != list(new.attributes) or list(old.features) != list(new.features):
        raise SimrecError(
            f"the new items of '{new.name}' have other attributes or features than catalogue "
            f"'{old.name}'; expected items written beside it; create them from this catalogue"
        )
    attributes = {
        k: Attribute(a.vocabulary, np.vstack([a.membership, new.attributes[k].membership]))
        for k, a in old.attributes.items()
    }
    features = {
        k: Features(
            np.vstack([f.values, new.features[k].values]),
            np.concatenate([f.present, new.features[k].present]),
        )
        for k, f in old.features.items()
    }
    both = Catalogue(
        old.name,
        old.item_ids + new.item_ids,
        old.titles + new.titles,
        old.texts + new.texts,
        old.images + new.images,
        attributes,
        features,
    )
    return replace(dataset, catalogue=both, log=replace(dataset.log, n_items=len(both)))


def creators_of(owner: NDArray[np.int64], supplied: Supplied, **settings: Any) -> Creators:
    """Return creators who have the old items on offer and the new ones in reserve.

    A new item belongs to the creator of most of the items that the model was shown when it wrote
    it, the first of them where several have as many.

    Args:
        owner: (I,) creator of each old item, 0..C-1.
        supplied: The n new items.
        **settings: Further fields of `Creators`.

    Returns:
        Creators of I + n items, in the row order of `with_supplied`.

    Raises:
        SimrecError: The model was shown a row that `owner` lacks, or a setting is wrong.
    """
    last = max((row for rows in supplied.shown for row in rows), default=-1)
    if last >= len(owner):
        raise SimrecError(
            f"the creators own {len(owner)} items and the new items were written beside row "
            f"{last}; expected an owner for every old item; give the catalogue's owners"
        )
    new = [int(np.bincount(owner[list(rows)]).argmax()) for rows in supplied.shown]
    everyone = np.concatenate([owner, np.array(new, dtype=np.int64)])
    return Creators(everyone, np.arange(len(everyone)) < len(owner), **settings)
