"""Histories summed up, compiled: what the pooled encoder and its gradient rest on."""

from typing import Any

import numpy as np
import torch
from numba import njit
from numpy.typing import NDArray
from torch import Tensor

ONE = np.float32(1.0)


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def pool(
    table: NDArray[np.float32],
    items: NDArray[np.int64],
    feedback: NDArray[np.float32],
    in_session: NDArray[np.int64],
    recent: int,
    streak: int,
) -> NDArray[np.float32]:
    """Return (N, 3 d + 3): three means of rows of the table, and what is counted.

    The means are of what was liked, of what was not and of what is recent; then come liked and not
    liked items as a share of L, and the click rate of the newest places.

    Args:
        table: (I, d).
        items: (N, L), newest last, -1 where empty.
        feedback: (N, L) 0 to 1.
        in_session: (N,) newest places that belong to the session under way.
        recent: Newest places of the session that count as recent.
        streak: Newest places of the session over which the click rate is taken.
    """
    n, length = items.shape
    d = table.shape[1]
    out = np.empty((n, 3 * d + 3), dtype=np.float32)
    # Arrays of their own, which cannot overlap with `out`: the loops run as vector instructions.
    liked = np.empty(d, dtype=np.float32)
    all_met = np.empty(d, dtype=np.float32)
    new = np.empty(d, dtype=np.float32)
    for i in range(n):
        liked[:], all_met[:], new[:] = 0.0, 0.0, 0.0
        n_liked = n_met = n_new = n_last = liked_last = np.float32(0.0)
        for j in range(length):
            item, f = items[i, j], feedback[i, j]
            back = length - 1 - j  # 0 = newest place
            if item < 0:
                continue
            n_met += ONE
            n_liked += f
            for c in range(d):
                all_met[c] += table[item, c]
            if f != 0.0:
                for c in range(d):
                    liked[c] += f * table[item, c]
            if back < min(in_session[i], recent):
                n_new += ONE
                for c in range(d):
                    new[c] += table[item, c]
            if back < min(in_session[i], streak):
                n_last += ONE
                liked_last += f
        n_not = n_met - n_liked
        for c in range(d):
            out[i, c] = liked[c] / max(n_liked, ONE)
            out[i, d + c] = (all_met[c] - liked[c]) / max(n_not, ONE)
            out[i, 2 * d + c] = new[c] / max(n_new, ONE)
        out[i, 3 * d] = n_liked / length
        out[i, 3 * d + 1] = n_not / length
        out[i, 3 * d + 2] = liked_last / max(n_last, ONE)
    return out


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def pool_back(
    grad: NDArray[np.float32],
    items: NDArray[np.int64],
    feedback: NDArray[np.float32],
    in_session: NDArray[np.int64],
    recent: int,
    n_rows: int,
) -> NDArray[np.float32]:
    """Return the gradient (I, d) of the table for that of `pool`'s result (N, 3 d + 3)."""
    n, length = items.shape
    d = grad.shape[1] // 3 - 1
    out = np.zeros((n_rows, d), dtype=np.float32)
    not_liked = np.empty(d, dtype=np.float32)
    if_liked = np.empty(d, dtype=np.float32)
    new = np.empty(d, dtype=np.float32)
    for i in range(n):
        n_liked = n_met = n_new = np.float32(0.0)
        newest = min(in_session[i], recent)
        for j in range(length):
            if items[i, j] >= 0:
                n_met += ONE
                n_liked += feedback[i, j]
                if length - 1 - j < newest:
                    n_new += ONE
        for c in range(d):
            not_liked[c] = grad[i, d + c] / max(n_met - n_liked, ONE)
            if_liked[c] = grad[i, c] / max(n_liked, ONE) - not_liked[c]
            new[c] = grad[i, 2 * d + c] / max(n_new, ONE)
        for j in range(length):
            item, f = items[i, j], feedback[i, j]
            if item < 0:
                continue
            for c in range(d):
                out[item, c] += not_liked[c] + f * if_liked[c]
            if length - 1 - j < newest:
                for c in range(d):
                    out[item, c] += new[c]
    return out


def pooled_plainly(
    table: Tensor, items: Tensor, feedback: Tensor, in_session: Tensor, recent: int, streak: int
) -> Tensor:
    """Return what `pool` returns, in operations that a card has too and autograd knows.

    Arguments as those of `pool`, as tensors in one place.
    """
    items, length = items.long(), items.shape[1]
    back = torch.arange(length - 1, -1, -1, device=table.device)  # 0 = newest place
    met = (items >= 0).float()
    liked = met * feedback.float()
    new, last = (met * (back < in_session.clamp(max=n).unsqueeze(1)) for n in (recent, streak))
    rows = table[items.clamp(min=0)]  # (N, L, d)

    def mean(weight: Tensor) -> Tensor:
        return (weight.unsqueeze(2) * rows).sum(1) / weight.sum(1, keepdim=True).clamp(min=1.0)

    counts = torch.stack([liked.sum(1) / length, (met - liked).sum(1) / length], dim=1)
    rate = (last * liked).sum(1, keepdim=True) / last.sum(1, keepdim=True).clamp(min=1.0)
    return torch.cat([mean(liked), mean(met - liked), mean(new), counts, rate], dim=1)


class Pooled(torch.autograd.Function):
    """`pool` for autograd.

    `embedding_bag` with `per_sample_weights` could make the sums; its gradient on the CPU takes
    thirty times as long. Sums run in the order of the places, so the same input gives the same
    bytes, whatever the batch.
    """

    @staticmethod
    def forward(
        ctx: Any,
        table: Tensor,
        items: NDArray[np.int64],
        feedback: NDArray[np.float32],
        in_session: NDArray[np.int64],
        recent: int,
        streak: int,
    ) -> Tensor:
        """Return (N, 3 d + 3); arguments as those of `pool`, the table as a tensor."""
        ctx.read = (items, feedback, in_session, recent)
        ctx.n_rows = len(table)
        return torch.from_numpy(
            pool(table.detach().numpy(), items, feedback, in_session, recent, streak)
        )

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradient (I, d) of the table."""
        grad = grads[0].contiguous().numpy()
        return torch.from_numpy(pool_back(grad, *ctx.read, ctx.n_rows)), *[None] * 5
