"""Titles and covers of the items of a study, where its data are on this machine."""

import io
from dataclasses import dataclass

import numpy as np
import streamlit as st
from PIL import Image

from simrec.app import load
from simrec.catalogue import Catalogue
from simrec.errors import SimrecError
from simrec.overview import Overview

_SIDE = 220  # pixels of a cover's longer side on the page


@dataclass(frozen=True)
class Shelf:
    """What is known of the items of a study."""

    catalogue: Catalogue | None
    missing: str  # why there is none, "" where there is one
    fingerprint: str

    def title(self, item: int) -> str:
        """Return an item's title, or its number where titles are not here."""
        if self.catalogue is None or not 0 <= item < len(self.catalogue):
            return f"item {item}"
        return self.catalogue.titles[item]

    def cover(self, item: int) -> bytes | None:
        """Return an item's cover, made small, or None."""
        if self.catalogue is None or not 0 <= item < len(self.catalogue):
            return None
        image = self.catalogue.images[item]
        if image is None or len(image) < 12_000:
            return image
        small: bytes | None = _small(self.fingerprint, item, image)
        return small

    def words(self, item: int) -> str:
        """Return the item's attribute values, for example its topic or genres."""
        if self.catalogue is None or not 0 <= item < len(self.catalogue):
            return ""
        names = []
        for attribute in self.catalogue.attributes.values():
            held = np.flatnonzero(attribute.membership[item])
            if len(held) <= 4:
                names += [attribute.vocabulary[value] for value in held]
        return ", ".join(list(dict.fromkeys(names))[:4])


@st.cache_data(max_entries=4000, show_spinner=False)
def _small(fingerprint: str, item: int, _image: bytes) -> bytes | None:
    return thumbnail(_image, _SIDE)


def thumbnail(image: bytes, side: int) -> bytes | None:
    """Return a JPEG whose longer side is at most `side` pixels; None if it is no picture."""
    try:
        picture = Image.open(io.BytesIO(image)).convert("RGB")
    except (OSError, ValueError):
        return None
    picture.thumbnail((side, side))
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=82)
    return buffer.getvalue()


def shelf(found: Overview) -> Shelf:
    """Return the titles and covers of a study's items, or why they are not here."""
    wanted = found.first.fingerprints.get("data", "")
    try:
        data = load.dataset(dict(found.first.config), found.folder)
    except SimrecError as error:
        return Shelf(None, f"Items are shown by number: {error}", wanted)
    if data.fingerprint != wanted:
        return Shelf(
            None,
            "Items are shown by number: the data on this machine are not those of the study.",
            wanted,
        )
    return Shelf(data.catalogue, "", wanted)
