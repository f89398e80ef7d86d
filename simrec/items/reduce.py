"""Fewer and comparable columns: principal axes and scaling, fitted on the rows that are present."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh, svd


def principal_components(
    values: NDArray[np.float32], present: NDArray[np.bool_], dim: int
) -> NDArray[np.float32]:
    """Project rows on the directions of greatest variance among the present rows.

    Args:
        values: (I, D); absent rows are never read.
        present: (I,) which rows are real.
        dim: Greatest width wanted.

    Returns:
        (I, d) with d at most `dim`, D and the rank of the centred present rows (0 if they are all
        alike); zero rows where absent.
    """
    rows = values[present].astype(np.float64)
    if len(rows) < 2:
        return np.zeros((len(values), 0), dtype=np.float32)
    rows -= rows.mean(axis=0)
    if rows.shape[1] <= rows.shape[0]:
        variance, axes = eigh(rows.T @ rows)
        variance, axes = variance[::-1], axes[:, ::-1].T
    else:
        _, size, axes = svd(rows, full_matrices=False)
        variance = size**2
    wanted = int((variance > 1e-9 * max(float(variance[0]), 1e-30)).sum())
    axes = axes[: min(dim, wanted)]
    # an axis has no direction of its own: fix its sign by its largest entry
    axes = axes * np.sign(axes[np.arange(len(axes)), np.abs(axes).argmax(axis=1)])[:, None]
    out = np.zeros((len(values), len(axes)), dtype=np.float32)
    out[present] = rows @ axes.T
    return out


def standardised(values: NDArray[np.float32], present: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Scale every column to mean 0 and variance 1 over the present rows, then by 1/sqrt(d).

    The mean squared length of a present row is then 1 whatever the modality's width, so that no
    modality outweighs another by having more columns.

    Args:
        values: (I, D); absent rows are never read.
        present: (I,) which rows are real.

    Returns:
        (I, d): the d columns that vary at all; zero rows where absent.
    """
    rows = values[present].astype(np.float64)
    if len(rows) < 2:
        return np.zeros((len(values), 0), dtype=np.float32)
    rows -= rows.mean(axis=0)
    spread = rows.std(axis=0)
    varies = spread > 1e-7 * max(float(spread.max(initial=0.0)), 1e-30)
    out = np.zeros((len(values), int(varies.sum())), dtype=np.float32)
    out[present] = rows[:, varies] / spread[varies] / np.sqrt(max(int(varies.sum()), 1))
    return out


def reduced_states(
    states: Mapping[str, NDArray[np.float32]], present: NDArray[np.bool_], dim: int
) -> dict[str, NDArray[np.float32]]:
    """Reduce every layer of every modality to its principal axes, each scaled to spread 1.

    A fixed linear map that sees no interaction, so that an adapter's step costs what `dim` costs
    and not what the encoder's width does.

    Args:
        states: Modality -> (I, K, D).
        present: (I, M) in the order of `states`.
        dim: Greatest width; a modality's layers all get the least width that one of them reaches.

    Returns:
        Modality -> (I, K, d), zero where absent.
    """
    out = {}
    for column, (name, values) in enumerate(states.items()):
        there = present[:, column]
        layers = [
            standardised(principal_components(values[:, k], there, dim), there)
            for k in range(values.shape[1])
        ]
        width = min(layer.shape[1] for layer in layers)
        grow = np.float32(np.sqrt([layer.shape[1] for layer in layers]).reshape(-1, 1))
        out[name] = np.stack([layer[:, :width] for layer in layers], axis=1) * grow
    return out
