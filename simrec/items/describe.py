"""Items as plain sentences: what text encoders, similarity teachers and prompts read of an item."""

import numpy as np

from simrec.catalogue import Catalogue

DESCRIPTION_LIMIT = 400  # characters; longer plots cost encoder time and add little


def attribute_words(catalogue: Catalogue, item: int) -> list[tuple[str, tuple[str, ...]]]:
    """Return the attributes of one item as (attribute, values), those without a value left out."""
    words = []
    for name, attribute in catalogue.attributes.items():
        values = np.flatnonzero(attribute.membership[item])
        if len(values):
            words.append((name, tuple(attribute.vocabulary[v] for v in values)))
    return words


def clipped(text: str, limit: int = DESCRIPTION_LIMIT) -> str:
    """Return `text` on one line, cut after the last whole word within `limit` characters.

    A first word that is longer than that is cut itself.
    """
    line = " ".join(text.split())
    if len(line) <= limit:
        return line
    return line[: limit + 1].rsplit(" ", 1)[0][:limit]


def item_texts(catalogue: Catalogue) -> list[str]:
    """Return one text for each of the I items: title, attribute values, clipped description."""
    texts = []
    for item, (title, text) in enumerate(zip(catalogue.titles, catalogue.texts, strict=True)):
        values = [", ".join(v) for _, v in attribute_words(catalogue, item)]
        texts.append(". ".join(part for part in (title, *values, clipped(text)) if part))
    return texts
