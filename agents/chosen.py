"""Scores of a few items a row, compiled: the last layer where only what was shown is asked for."""

from typing import Any

import numpy as np
import torch
from numba import njit
from numpy.typing import NDArray
from torch import Tensor


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _scores(
    user: NDArray[np.float32],
    table: NDArray[np.float32],
    bias: NDArray[np.float32],
    items: NDArray[np.int64],
) -> NDArray[np.float32]:
    n, k = items.shape
    out = np.empty((n, k), dtype=np.float32)
    for i in range(n):
        for j in range(k):
            row = table[items[i, j]]
            total = bias[items[i, j]]
            for c in range(len(row)):
                total += user[i, c] * row[c]
            out[i, j] = total
    return out


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _slopes(
    grad: NDArray[np.float32],
    user: NDArray[np.float32],
    table: NDArray[np.float32],
    items: NDArray[np.int64],
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    of_user, of_table = np.zeros_like(user), np.zeros_like(table)
    of_bias = np.zeros(len(table), dtype=np.float32)
    for i in range(len(items)):
        for j in range(items.shape[1]):
            item, g = items[i, j], grad[i, j]
            of_bias[item] += g
            for c in range(user.shape[1]):
                of_user[i, c] += g * table[item, c]
                of_table[item, c] += g * user[i, c]
    return of_user, of_table, of_bias


def _arrays(*tensors: Tensor) -> list[NDArray[Any]]:
    return [tensor.detach().contiguous().numpy() for tensor in tensors]


def scores_at(user: Tensor, table: Tensor, bias: Tensor, items: Tensor) -> Tensor:
    """Return user[n] . table[items[n, j]] + bias[items[n, j]] as (N, k), without a gradient.

    Args:
        user: (N, d) float32.
        table: (I, d) float32.
        bias: (I,) float32.
        items: (N, k) int64, 0 to I-1.
    """
    return torch.from_numpy(_scores(*_arrays(user, table, bias, items)))


def slopes_at(
    grad: Tensor, user: Tensor, table: Tensor, items: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Return gradients of user (N, d), table (I, d) and bias (I,) for that of the scores (N, k)."""
    of_user, of_table, of_bias = _slopes(*_arrays(grad, user, table, items))
    return torch.from_numpy(of_user), torch.from_numpy(of_table), torch.from_numpy(of_bias)


def chosen_scores(user: Tensor, table: Tensor, bias: Tensor, items: Tensor) -> Tensor:
    """Return `scores_at` for autograd: compiled on the CPU, in plain operations elsewhere."""
    if user.device.type != "cpu":
        return scored_plainly(user, table, bias, items)
    scores: Tensor = ChosenScores.apply(user, table, bias, items)  # type: ignore[no-untyped-call]
    return scores


def scored_plainly(user: Tensor, table: Tensor, bias: Tensor, items: Tensor) -> Tensor:
    """Return what `scores_at` returns, in operations that a card has too."""
    return (user.unsqueeze(1) * table[items]).sum(2) + bias[items]


class ChosenScores(torch.autograd.Function):
    """`scores_at` for autograd.

    As indexing and a product would give; their gradients on the CPU take several times as long.
    """

    @staticmethod
    def forward(ctx: Any, user: Tensor, table: Tensor, bias: Tensor, items: Tensor) -> Tensor:
        """Return (N, k); arguments as those of `scores_at`."""
        ctx.save_for_backward(user, table, items)
        return scores_at(user, table, bias, items)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        """Return the gradients of user (N, d), table (I, d) and bias (I,)."""
        return *slopes_at(grads[0], *ctx.saved_tensors), None
