"""From a catalogue to an item table: encode, reduce and scale every modality, then join them."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simrec.catalogue import Catalogue
from simrec.errors import SimrecError, nearest
from simrec.files import fingerprint
from simrec.interactions import InteractionLog
from simrec.items import image as pixels
from simrec.items.describe import item_texts
from simrec.items.reduce import principal_components, standardised
from simrec.items.table import ItemTable
from simrec.items.text import TextEncoder, text_encoder

ATTRIBUTE_DIM = 32  # wider multi-hot attributes are projected to this many columns
_OWN = ("text", "attributes", "image")

Part = tuple[NDArray[np.float32], NDArray[np.bool_]]  # values (I, D), present (I,)


def available_modalities(catalogue: Catalogue) -> tuple[str, ...]:
    """Return the modalities a catalogue offers: "text", "attributes", "image", then its features.

    Raises:
        SimrecError: A precomputed feature carries one of the first three names.
    """
    for name in _OWN:
        if name in catalogue.features:
            raise SimrecError(
                f"catalogue '{catalogue.name}' has a precomputed feature named '{name}', a name "
                f"that simrec's own modality uses; rename the feature's file"
            )
    has = {
        "text": True,
        "attributes": bool(catalogue.attributes),
        "image": any(image is not None for image in catalogue.images),
    }
    return (*(name for name in _OWN if has[name]), *catalogue.features)


def _text(catalogue: Catalogue, encoder: TextEncoder, dim: int) -> Part:
    vectors = encoder.encode(item_texts(catalogue))
    present = (vectors != 0).any(axis=1)
    return principal_components(vectors, present, dim), present


def _attributes(catalogue: Catalogue) -> Part:
    multi_hot = np.hstack([a.membership for a in catalogue.attributes.values()])
    present = np.asarray(multi_hot.any(axis=1), dtype=np.bool_)
    values = multi_hot.astype(np.float32)
    if values.shape[1] > ATTRIBUTE_DIM:
        # unscaled on purpose: scaling first would let attribute values of one item lead the axes
        values = principal_components(values, present, ATTRIBUTE_DIM)
    return values, present


def _feature(catalogue: Catalogue, name: str, dim: int) -> Part:
    feature = catalogue.features[name]
    return principal_components(feature.values, feature.present, dim), feature.present


def _image(catalogue: Catalogue, dim: int) -> Part:
    values, present = pixels.image_features(catalogue.images, catalogue.item_ids)
    return principal_components(values, present, dim), present


def build_item_table(
    catalogue: Catalogue,
    popularity: NDArray[Any],
    *,
    text: str | TextEncoder = "hashed",
    text_dim: int = 48,
    image_dim: int = 16,
    feature_dim: int = 16,
    modalities: Sequence[str] | None = None,
    seed: int = 0,
    adapter: Mapping[str, Any] | None = None,
    log: InteractionLog | None = None,
) -> ItemTable:
    """Build the table that environments and agents read.

    Every modality is reduced, standardised over the items that have it and scaled by 1/sqrt of its
    width, so each has mean squared length 1; `fused` is their concatenation with zeros where an
    item lacks one. Without an adapter nothing here looks at an interaction; `popularity` is the
    only number of the log, and it must be counted on the agent's part alone.

    Args:
        catalogue: What there is to recommend, I items.
        popularity: (I,) events of each item in the agent's part of the log.
        text: Name of a text encoder ("hashed", "minilm", "transformers:DIR") or an encoder.
        text_dim: Greatest width of the text part.
        image_dim: Greatest width of the image part.
        feature_dim: Greatest width of the part of each precomputed feature.
        modalities: Names to use, in this order; None uses all the catalogue offers.
        seed: Of the hashed text encoder.
        adapter: Arguments of `simrec.items.adapted.adapted_table` (with its name) to learn the
            vectors from `log`; None keeps the frozen ones.
        log: The agent's part of the log, which only an adapter reads.

    Returns:
        The table, with the encoders and widths in its provenance.

    Raises:
        SimrecError: An unknown modality or encoder, a modality in which all items are alike,
            popularity of another length, or an adapter without a log.
    """
    if popularity.shape != (len(catalogue),):
        raise SimrecError(
            f"popularity has shape {popularity.shape}; expected ({len(catalogue)},), one count for "
            f"each item of catalogue '{catalogue.name}'"
        )
    offered = available_modalities(catalogue)
    for name in modalities or ():
        if name not in offered:
            raise SimrecError(
                f"catalogue '{catalogue.name}' has no modality '{name}'; {nearest(name, offered)}"
            )
    if modalities is not None and not modalities:
        raise SimrecError(f"no modality was chosen; expected one or more of {', '.join(offered)}")
    wanted = offered if modalities is None else tuple(dict.fromkeys(modalities))
    encoders = {"image": pixels.NAME, "attributes": "multi-hot"}
    encoder: TextEncoder | None = None
    if "text" in wanted:
        encoder = text_encoder(text, seed=seed) if isinstance(text, str) else text
        encoders["text"] = encoder.name
    makers: dict[str, Callable[[], Part]] = {
        "attributes": partial(_attributes, catalogue),
        "image": partial(_image, catalogue, image_dim),
    }
    if encoder is not None:
        makers["text"] = partial(_text, catalogue, encoder, text_dim)
    parts: dict[str, NDArray[np.float32]] = {}
    present: list[NDArray[np.bool_]] = []
    alike: list[str] = []
    for name in wanted:
        raw, there = makers[name]() if name in makers else _feature(catalogue, name, feature_dim)
        part = standardised(raw, there)
        if part.shape[1] == 0:
            alike.append(name)
            continue
        parts[name] = part
        present.append(there)
    if alike and (modalities is not None or not parts):
        raise SimrecError(
            f"modality '{alike[0]}' of catalogue '{catalogue.name}' is the same for every item "
            f"that has it, so it cannot tell items apart; leave it out of modalities"
        )
    provenance = {
        "catalogue": catalogue.fingerprint,
        "popularity": fingerprint(popularity),
        "widths": {name: part.shape[1] for name, part in parts.items()},
        "left_out": alike,
        "encoders": {name: encoders.get(name, "precomputed") for name in parts},
        "seed": seed,
    }
    table = ItemTable(
        catalogue.item_ids,
        np.hstack(list(parts.values())),
        parts,
        np.stack(present, axis=1),
        np.log1p(popularity).astype(np.float32),
        provenance,
    )
    if adapter is None:
        return table
    if log is None:
        raise SimrecError(
            f"item adapter '{adapter.get('name')}' needs the agent's part of the log to learn "
            f"from; expected one; leave items.adapter out or give the log"
        )
    from simrec.items.adapted import adapted_table  # torch, only where something is learnt

    return adapted_table(table, log, **adapter)
