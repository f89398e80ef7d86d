"""Items that are words and nothing else yet, laid out as a catalogue's other items are."""

from collections.abc import Sequence

import numpy as np

from simrec.catalogue import Attribute, Catalogue, Features


def written_items(
    like: Catalogue, ids: Sequence[str], titles: Sequence[str], texts: Sequence[str]
) -> Catalogue:
    """Return n items with the attributes and features of `like`, all of them unknown.

    Args:
        like: Whose name, attributes and features are taken over.
        ids: (n,).
        titles: (n,).
        texts: (n,).
    """
    n = len(ids)
    return Catalogue(
        like.name,
        tuple(ids),
        tuple(titles),
        tuple(texts),
        (None,) * n,
        {
            name: Attribute(a.vocabulary, np.zeros((n, len(a.vocabulary)), np.bool_))
            for name, a in like.attributes.items()
        },
        {
            name: Features(np.zeros((n, f.values.shape[1]), np.float32), np.zeros(n, np.bool_))
            for name, f in like.features.items()
        },
    )
