"""Residual k-means: codes by clustering what earlier codes left over; needs no torch."""

import numpy as np
from numpy.typing import NDArray

from simrec.errors import SimrecError
from simrec.randomness import generator


def _distances(rows: NDArray[np.float64], centres: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return squared distances (n, K)."""
    square = (rows**2).sum(1)[:, None] + (centres**2).sum(1)[None]
    return np.asarray(np.maximum(square - 2 * rows @ centres.T, 0.0))


def kmeans(
    rows: NDArray[np.float64], k: int, rng: np.random.Generator, *, steps: int = 25
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Cluster rows by Lloyd's steps from a k-means++ start; empty clusters take the farthest row.

    Arthur and Vassilvitskii (SODA 2007; reconstructed).

    Args:
        rows: (n, D).
        k: Clusters, at most n.
        rng: Draws the start.
        steps: Greatest number of steps.

    Returns:
        Centres (k, D) and each row's cluster (n,).
    """
    centres = rows[rng.integers(len(rows), size=1)]
    nearest = _distances(rows, centres)[:, 0]
    for _ in range(1, k):
        total = nearest.sum()
        chance = nearest / total if total > 0 else None
        row = int(rng.choice(len(rows), p=chance))
        centres = np.vstack([centres, rows[row]])
        nearest = np.minimum(nearest, _distances(rows, rows[row : row + 1])[:, 0])
    code = np.full(len(rows), -1, dtype=np.int64)
    for _ in range(steps):
        gap = _distances(rows, centres)
        found = gap.argmin(axis=1)
        if (found == code).all():
            break
        code = found
        count = np.bincount(code, minlength=k)
        total_of = np.zeros_like(centres)
        np.add.at(total_of, code, rows)
        centres = np.where(count[:, None] > 0, total_of / np.maximum(count, 1)[:, None], centres)
        far = np.argsort(-gap[np.arange(len(rows)), code], kind="stable")
        for empty, row in zip(np.flatnonzero(count == 0), far, strict=False):
            centres[empty] = rows[row]
    return centres, _distances(rows, centres).argmin(axis=1).astype(np.int64)


def residual_kmeans(
    vectors: NDArray[np.float32], *, levels: int = 3, size: int = 256, seed: int = 0
) -> tuple[NDArray[np.int64], list[NDArray[np.float64]]]:
    """Code vectors by levels of k-means, each on what the one before left over.

    Args:
        vectors: (I, D).
        levels: Number of codes an item gets.
        size: Codes of a level.
        seed: Draws the starts.

    Returns:
        Codes (I, levels), and each level's centres (size, D).

    Raises:
        SimrecError: More codes than items.
    """
    if size > len(vectors):
        raise SimrecError(f"{size} codes were asked for {len(vectors)} items; choose fewer codes")
    left = vectors.astype(np.float64)
    codes, centres = [], []
    for level in range(levels):
        middle, code = kmeans(left, size, generator(seed, "residual k-means", level))
        left = left - middle[code]
        codes.append(code)
        centres.append(middle)
    return np.stack(codes, axis=1), centres


def rebuild(codes: NDArray[np.int64], centres: list[NDArray[np.float64]]) -> NDArray[np.float32]:
    """Return the vectors (I, D) that codes (I, L) stand for."""
    parts = [middle[codes[:, level]] for level, middle in enumerate(centres)]
    return np.asarray(np.sum(parts, axis=0), dtype=np.float32)
