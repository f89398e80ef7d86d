"""Tastes that move towards what is consumed: vectors, not one number for all."""

import numpy as np
from numpy.typing import NDArray


def drifted(
    tastes: NDArray[np.float32],
    reach: NDArray[np.float32],
    vectors: NDArray[np.float32],
    clicked: NDArray[np.bool_],
    rate: float,
) -> NDArray[np.float32]:
    """Return tastes a share of the way from where they are to the mean direction of the clicks.

    u' = (1 - rate) u + rate * reach * mean_j(v_j / |v_j|) over the clicked places j; component by
    component. After n clicks on one item: t + (1 - rate)^n (u_0 - t), t = reach * v / |v|.

    Args:
        tastes: (B, D) vectors u.
        reach: (B,) length that a taste set on one direction has: |u| at the start of the session.
        vectors: (B, k, D) vectors of the items shown.
        clicked: (B, k) True where clicked; a row without a click stays as it is.
        rate: Share of the way, 0 to 1.
    """
    length = np.sqrt((vectors**2).sum(axis=2, keepdims=True))
    direction = vectors / np.maximum(length, np.float32(1e-12))
    count = clicked.sum(axis=1)
    mean = (direction * clicked[:, :, None]).sum(axis=1) / np.maximum(count, 1)[:, None]
    moved = (1.0 - rate) * tastes + rate * reach[:, None] * mean
    return np.asarray(np.where(count[:, None] > 0, moved, tastes), dtype=np.float32)
