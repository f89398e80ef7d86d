"""Text encoders: the protocol, and how one is chosen by name."""

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from simrec.errors import SimrecError, nearest
from simrec.items.hashed_text import HashedTextEncoder
from simrec.items.transformer_text import (
    MINILM_INSTALL,
    MINILM_PACKAGE,
    MiniLMEncoder,
    TransformersEncoder,
)

__all__ = [
    "HashedTextEncoder",
    "MiniLMEncoder",
    "TextEncoder",
    "TransformersEncoder",
    "best_offline_encoder",
    "text_encoder",
]


class TextEncoder(Protocol):
    """Anything that turns texts into vectors."""

    @property
    def name(self) -> str:
        """Short name written into records, for example "minilm"."""
        ...

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return (n, D) vectors, rows of unit length or zero; compare within one call only."""
        ...


def text_encoder(spec: str, *, seed: int = 0) -> TextEncoder:
    """Return the encoder a configuration names.

    Args:
        spec: "hashed", "minilm", or "transformers:DIR" with a local model directory.
        seed: Of the hashed encoder's decomposition; the others draw nothing.

    Raises:
        SimrecError: No such encoder, or its weights are absent or wrong.
    """
    if spec == "hashed":
        return HashedTextEncoder(seed=seed)
    if spec == "minilm":
        return MiniLMEncoder()
    kind, _, folder = spec.partition(":")
    if kind == "transformers" and folder:
        return TransformersEncoder(Path(folder))
    hint = nearest(spec, ["hashed", "minilm", "transformers:DIR"])
    raise SimrecError(f"there is no text encoder '{spec}'; {hint}")


def best_offline_encoder() -> tuple[TextEncoder, str | None]:
    """Return the best encoder this installation has, and a notice to print when it is not MiniLM.

    Callers print the notice: falling back in silence would let two machines report different
    numbers without anyone knowing why.
    """
    if importlib.util.find_spec(MINILM_PACKAGE) is not None:
        return MiniLMEncoder(), None
    return HashedTextEncoder(), (
        "MiniLM is not installed, so texts are compared by their words and letters only (text "
        f"encoder 'hashed'); {MINILM_INSTALL} for vectors that know meanings"
    )
