"""The items most alike, found block by block so that no I x I matrix is ever held."""

import numpy as np
from numpy.typing import NDArray


def cosine_neighbours(
    values: NDArray[np.float32],
    k: int,
    *,
    among: NDArray[np.int64] | None = None,
    block: int = 1024,
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return each row's k nearest other rows by cosine, nearest first, ties to the lower row.

    Args:
        values: (I, D); zero rows have cosine 0 with all.
        k: Neighbours wanted, fewer where there are fewer.
        among: (n,) rows that may be neighbours; None allows all.
        block: Rows compared at a time; memory is block x n numbers.

    Returns:
        Rows (I, k) and cosines (I, k); a row that has no other to offer is its own, with -inf.
    """
    length = np.linalg.norm(values, axis=1, keepdims=True)
    unit = values / np.where(length > 0, length, 1.0)
    pool = np.arange(len(values)) if among is None else np.sort(among)
    k = min(k, len(pool))
    near = np.empty((len(values), k), dtype=np.int64)
    alike = np.empty((len(values), k), dtype=np.float32)
    for first in range(0, len(values), block):
        rows = np.arange(first, min(first + block, len(values)))
        cosine = (unit[rows] @ unit[pool].T).astype(np.float32)
        cosine[rows[:, None] == pool] = -np.inf
        part = np.argpartition(-cosine, k - 1, axis=1)[:, :k]
        value = np.take_along_axis(cosine, part, axis=1)
        order = np.lexsort((part, -value), axis=1)
        near[rows] = pool[np.take_along_axis(part, order, axis=1)]
        alike[rows] = np.take_along_axis(value, order, axis=1)
    return near, alike
