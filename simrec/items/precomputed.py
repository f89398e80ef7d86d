"""Rows that somebody else computed, as an encoder for the feature store."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from simrec.files import fingerprint


class Precomputed:
    """Rows that are states already, as an encoder for the feature store."""

    def __init__(self, name: str, values: NDArray[np.float32]) -> None:
        """Keep what decides the numbers.

        Args:
            name: Written into records.
            values: (I, K, D) all rows; `states` is given rows of it.
        """
        self.name = name
        self.version = fingerprint(values)

    def states(
        self, contents: Sequence[NDArray[np.float32]]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the rows (B, K, D) and their last layers (B, D)."""
        values = np.stack(list(contents))
        return values, values[:, -1]
