"""Full ranking: the place of the true next item among all items, ties counted against the model."""

import numpy as np
from numpy.typing import NDArray

from simrec.errors import SimrecError


def ranks(
    scores: NDArray[np.float32],
    target: NDArray[np.int64],
    history: NDArray[np.int64] | None = None,
) -> NDArray[np.int64]:
    """Return the place of each target, 1 being the best.

    Args:
        scores: (n, I) higher means more likely next.
        target: (n,) true items.
        history: (n, T) items that are not offered, -1 for none; a target in it stays offered,
            because people do come back to items.

    Returns:
        (n,) one more than the number of other items that score at least as much as the target.

    Raises:
        SimrecError: A score is not finite; NaN compares false and would look like a perfect rank.
    """
    if not np.isfinite(scores).all():
        bad = int((~np.isfinite(scores)).sum())
        raise SimrecError(
            f"{bad} of {scores.size} scores are not finite; expected numbers, for they cannot be "
            f"ranked; lower the learning rate or check the features"
        )
    own = np.take_along_axis(scores, target[:, None], axis=1)
    ahead = scores >= own
    if history is not None:
        rows, columns = np.nonzero(history >= 0)
        ahead[rows, history[rows, columns]] = False
    ahead[np.arange(len(target)), target] = False
    return np.asarray(ahead.sum(axis=1) + 1, dtype=np.int64)


def hit_rate(places: NDArray[np.int64], k: int = 10) -> float:
    """Return HR@k, the share of targets among the first k, in [0, 1]."""
    return float((places <= k).mean()) if len(places) else float("nan")


def ndcg(places: NDArray[np.int64], k: int = 10) -> float:
    """Return NDCG@k with one relevant item each, the mean of 1 / log2(1 + place), in [0, 1].

    Jaervelin and Kekaelaeinen (TOIS 2002; reconstructed from the definition).
    """
    gain = np.where(places <= k, 1.0 / np.log2(1.0 + places), 0.0)
    return float(gain.mean()) if len(places) else float("nan")
