"""What items are about, as far as boredom is concerned: rows of length 1 over topics."""

import numpy as np
from numpy.typing import NDArray

from simrec.catalogue import Attribute

N_CLUSTERS = 16


def attribute_topics(attribute: Attribute) -> NDArray[np.float32]:
    """Return (I, V) rows of membership scaled to length 1; 0 for an item without any value.

    The inner product of two rows is then the cosine of the two sets of values.
    """
    member = attribute.membership.astype(np.float32)
    size = np.linalg.norm(member, axis=1, keepdims=True)
    return np.asarray(member / np.maximum(size, 1.0), dtype=np.float32)


def cluster_topics(
    vectors: NDArray[np.float32], rng: np.random.Generator, *, clusters: int = N_CLUSTERS
) -> NDArray[np.float32]:
    """Return (I, G) one-hot rows from k-means (Lloyd 1982; reconstructed) over item vectors.

    Args:
        vectors: (I, D) item vectors.
        rng: Draws the first centres, far ones more likely (k-means++, Arthur and Vassilvitskii,
            SODA 2007; reconstructed).
        clusters: Number of clusters; G is this, or I where there are fewer items.
    """
    x = vectors.astype(np.float64)
    n = min(clusters, len(x))
    centres = x[rng.integers(len(x), size=1)]
    for _ in range(n - 1):
        gap = _squared_distance(x, centres).min(axis=1)
        chance = gap / gap.sum() if gap.sum() > 0 else None  # None: all items coincide
        centres = np.vstack([centres, x[rng.choice(len(x), p=chance)]])
    label = np.full(len(x), -1)
    for _ in range(100):
        new = _squared_distance(x, centres).argmin(axis=1)
        if (new == label).all():
            break
        label = new
        for g in np.unique(label):  # an empty cluster keeps its centre
            centres[g] = x[label == g].mean(axis=0)
    return np.asarray(np.eye(n, dtype=np.float32)[label], dtype=np.float32)


def _squared_distance(x: NDArray[np.float64], centres: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (n, g) squared distances, never below 0."""
    squares = (x**2).sum(axis=1)[:, None] - 2.0 * x @ centres.T + (centres**2).sum(axis=1)
    return np.asarray(np.maximum(squares, 0.0))
