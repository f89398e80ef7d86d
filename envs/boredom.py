"""How alike an item is to what was shown just before: more of the same bores."""

import numpy as np
from numpy.typing import NDArray


def recent_topics(topics: NDArray[np.float32], recent: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return the mean topic vector of the items shown lately.

    Args:
        topics: (I, G) rows of length 1 (or 0 for an item without topics).
        recent: (B, w) items, -1 = empty.

    Returns:
        (B, G); zero where nothing was shown.
    """
    shown = recent >= 0
    total = (topics[recent] * shown[:, :, None]).sum(axis=1)
    return np.asarray(total / np.maximum(shown.sum(axis=1), 1)[:, None], dtype=np.float32)


def overlap(
    topics: NDArray[np.float32], items: NDArray[np.int64], recent: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return the mean cosine between each item and the items shown lately.

    The mean of inner products equals the inner product with the mean, so the cost does not grow
    with the product of slate and window.

    Args:
        topics: (I, G) rows of length 1 (or 0).
        items: (B, k) items to judge.
        recent: (B, w) items shown lately, -1 = empty.

    Returns:
        (B, k) in [0, 1] for non-negative topics; 0 where nothing was shown.
    """
    mean = recent_topics(topics, recent)
    return np.asarray(np.einsum("bg,bkg->bk", mean, topics[items]), dtype=np.float64)
