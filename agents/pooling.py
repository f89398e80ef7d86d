"""Weighted sums of table rows, compiled: what every history encoding and its gradient rest on."""

from typing import Any

import numpy as np
import torch
from numba import njit
from numpy.typing import NDArray
from torch import Tensor


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _sum_rows(
    table: NDArray[np.float32], rows: NDArray[np.int64], weight: NDArray[np.float32]
) -> NDArray[np.float32]:
    kinds, n, length = weight.shape
    width = table.shape[1]
    out = np.zeros((n, kinds * width), dtype=np.float32)
    for i in range(n):
        for j in range(length):
            for kind in range(kinds):
                w = weight[kind, i, j]
                if w != 0.0:
                    for c in range(width):
                        out[i, kind * width + c] += w * table[rows[i, j], c]
    return out


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _give_back(
    grad: NDArray[np.float32],
    rows: NDArray[np.int64],
    weight: NDArray[np.float32],
    n_rows: int,
) -> NDArray[np.float32]:
    kinds, n, length = weight.shape
    width = grad.shape[1] // kinds
    out = np.zeros((n_rows, width), dtype=np.float32)
    for i in range(n):
        for j in range(length):
            for kind in range(kinds):
                w = weight[kind, i, j]
                if w != 0.0:
                    for c in range(width):
                        out[rows[i, j], c] += w * grad[i, kind * width + c]
    return out


class WeightedSums(torch.autograd.Function):
    """out[n, k] = sum over l of weight[k, n, l] * table[rows[n, l]], the K sums side by side.

    What `embedding_bag` does with `per_sample_weights`; its gradient on the CPU takes thirty times
    as long. Sums run in the order of the places, so that the same input gives the same bytes.
    """

    @staticmethod
    def forward(ctx: Any, table: Tensor, rows: Tensor, weight: Tensor) -> Tensor:
        """Return (N, K * d).

        Args:
            ctx: Autograd's.
            table: (I, d) float32.
            rows: (N, L) int64, 0 to I-1.
            weight: (K, N, L) float32; gets no gradient.
        """
        ctx.rows, ctx.weight, ctx.n_rows = rows.numpy(), weight.numpy(), len(table)
        return torch.from_numpy(_sum_rows(table.detach().numpy(), ctx.rows, ctx.weight))

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        """Return the gradient (I, d) of the table."""
        grad = grads[0].contiguous().numpy()
        return torch.from_numpy(_give_back(grad, ctx.rows, ctx.weight, ctx.n_rows)), None, None
