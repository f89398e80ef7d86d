"""What an encoder is given: contents of one modality, from a catalogue or a folder of files."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simrec.catalogue import Catalogue
from simrec.datasets.feature_files import read_states
from simrec.errors import SimrecError, nearest
from simrec.items.audio import LogMelEncoder
from simrec.items.describe import item_texts
from simrec.items.hashed_text import HashedTextEncoder
from simrec.items.image import NAME as IMAGE_NAME
from simrec.items.image import image_features
from simrec.items.precomputed import Precomputed
from simrec.items.store import StateEncoder
from simrec.items.video import FrameDifferenceEncoder

MODALITIES = ("text", "image", "audio", "video")
_ENDINGS = {"image": (".jpg", ".jpeg", ".png"), "audio": (".wav",)}
_ENDINGS["video"] = (".gif", ".webp", ".png", ".mp4", ".webm", ".mkv", ".mov")


def contents_of(catalogue: Catalogue, modality: str, folder: Path | None) -> list[Any | None]:
    """Return the raw contents of every item, None where there is none.

    Args:
        catalogue: Texts and pictures come from it unless a folder is given.
        modality: A member of MODALITIES.
        folder: Files named by item id (`7.wav`), or for videos folders of frames (`7/001.jpg`).

    Raises:
        SimrecError: An unknown modality, or nothing there.
    """
    if modality not in MODALITIES:
        raise SimrecError(f"there is no modality '{modality}'; {nearest(modality, MODALITIES)}")
    if modality == "text" and folder is None:
        return list(item_texts(catalogue))
    if modality == "image" and folder is None:
        return list(catalogue.images)
    if folder is None or not folder.is_dir():
        raise SimrecError(
            f"contents of modality '{modality}' need a folder of files named by item id; got "
            f"{folder}; give --contents FOLDER"
        )
    endings = _ENDINGS.get(modality, (".txt",))
    found: list[Any | None] = []
    for item in catalogue.item_ids:
        frames = folder / item
        file = next((p for e in endings if (p := folder / f"{item}{e}").is_file()), None)
        if modality == "video" and frames.is_dir():
            found.append(tuple(p.read_bytes() for p in sorted(frames.iterdir()) if p.is_file()))
        elif file is not None:
            found.append(file.read_text("utf-8") if modality == "text" else file.read_bytes())
        else:
            found.append(None)
    return found


class ColourEdgeEncoder:
    """Colour and edge statistics of picture bytes as one state."""

    name = IMAGE_NAME
    version = IMAGE_NAME

    def states(self, contents: Sequence[bytes]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return (B, 1, D) states and (B, D) final vectors, the same numbers."""
        names = [f"number {k} of its chunk" for k in range(len(contents))]
        values, _ = image_features(contents, names)
        return values[:, None], values


def prepare(
    catalogue: Catalogue, modality: str, encoder: str, *, folder: Path | None, keep: int | None
) -> tuple[StateEncoder, list[Any | None]]:
    """Return an encoder and what it is to encode.

    Args:
        catalogue: The items.
        modality: A member of MODALITIES.
        encoder: "none" for the one that needs no weights (hashed words, colours and edges, log-mel,
            frame differences), "transformers:DIR", or "features:FILE" for vectors made elsewhere.
        folder: As in `contents_of`.
        keep: Layers kept of a transformer; None keeps all.

    Raises:
        SimrecError: There is no such encoder or content.
    """
    kind, _, place = encoder.partition(":")
    if kind == "features" and place:
        values, present = read_states(Path(place), catalogue.item_ids)
        rows = [values[i] if there else None for i, there in enumerate(present)]
        return Precomputed(f"features:{Path(place).name}", values), list(rows)
    contents = contents_of(catalogue, modality, folder)
    if kind == "transformers" and place:
        from simrec.items.towers import TransformerTower  # torch

        return TransformerTower(place, modality, keep=keep), contents
    if encoder != "none":
        options = ["none", "transformers:DIR", "features:FILE"]
        raise SimrecError(f"there is no encoder '{encoder}'; {nearest(encoder, options)}")
    if modality == "text":  # its directions depend on all texts, so all are encoded at once
        texts = [text or "" for text in contents]
        vectors = HashedTextEncoder().encode(texts)[:, None]
        full = set(np.flatnonzero(vectors[:, 0].any(axis=1)).tolist())
        return Precomputed("hashed-128", vectors), [
            vectors[i] if i in full else None for i in range(len(texts))
        ]
    plain: dict[str, Callable[[], StateEncoder]] = {
        "image": ColourEdgeEncoder,
        "audio": LogMelEncoder,
        "video": FrameDifferenceEncoder,
    }
    return plain[modality](), contents
