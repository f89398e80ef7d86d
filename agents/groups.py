"""Groups of items: how they are made, and the scores of one group's items at a time."""

from typing import Any

import numpy as np
import torch
from numba import njit
from numpy.typing import NDArray
from torch import Tensor


def group_items(
    vectors: NDArray[np.float32], groups: int, *, luck: int, rounds: int = 10
) -> NDArray[np.int64]:
    """Return the group (I,) of every item: k-means of sampled rows, then the nearest centre.

    Args:
        vectors: (I, D) item table.
        groups: How many groups C, 1 to I; about sqrt(I) makes both levels alike in cost.
        luck: Seed.
        rounds: Rounds of Lloyd's algorithm (1982).
    """
    rng = np.random.default_rng(luck)
    sample = vectors[rng.permutation(len(vectors))[: 50 * groups]]
    centres = sample[:groups].copy()

    def nearest(rows: NDArray[np.float32]) -> NDArray[np.int64]:
        size = (centres**2).sum(1)
        parts = np.array_split(np.arange(len(rows)), max(1, len(rows) // 20_000))
        found = [(size - 2.0 * rows[part] @ centres.T).argmin(1) for part in parts]
        return np.concatenate(found).astype(np.int64)

    for _ in range(rounds):
        place = nearest(sample)
        for group in np.unique(place):
            centres[group] = sample[place == group].mean(0)
    return nearest(vectors)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def full_groups(
    items: NDArray[np.int64], group_of: NDArray[np.int64], sizes: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return (N, L) groups all of whose items are among the row's own (N, L), -1 elsewhere."""
    n, length = items.shape
    full = np.full((n, length), -1, dtype=np.int64)
    for i in range(n):
        small = False
        for j in range(length):
            small = small or (items[i, j] >= 0 and sizes[group_of[items[i, j]]] <= length)
        if not small:  # nearly always: a group has more items than a history
            continue
        row = np.sort(items[i])
        met = np.zeros(len(sizes), dtype=np.int64)
        for j in range(length):
            if row[j] >= 0 and (j == 0 or row[j] != row[j - 1]):  # an item met twice counts once
                met[group_of[row[j]]] += 1
        for j in range(length):
            if items[i, j] >= 0 and met[group_of[items[i, j]]] >= sizes[group_of[items[i, j]]]:
                full[i, j] = group_of[items[i, j]]
    return full


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def places_met(
    items: NDArray[np.int64],
    group: NDArray[np.int64],
    group_of: NDArray[np.int64],
    place_of: NDArray[np.int64],
    full: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Return (N, L) places in `group` (N,) of items of the history, -1 elsewhere.

    None is named where the group is among the `full` ones (N, L): it has no chance anyway.
    """
    n, length = items.shape
    places = np.full((n, length), -1, dtype=np.int64)
    for i in range(n):
        none_left = False
        for j in range(length):
            none_left = none_left or full[i, j] == group[i]
        for j in range(length):
            if not none_left and items[i, j] >= 0 and group_of[items[i, j]] == group[i]:
                places[i, j] = place_of[items[i, j]]
    return places


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})  # type: ignore[untyped-decorator]
def _scores(
    towards: NDArray[np.float32],
    vectors: NDArray[np.float32],
    starts: NDArray[np.int64],
    group: NDArray[np.int64],
    widest: int,
) -> NDArray[np.float32]:
    n, dim = towards.shape
    out = np.full((n, widest), -np.inf, dtype=np.float32)
    for i in range(n):
        first = starts[group[i]]
        for place in range(starts[group[i] + 1] - first):
            total = np.float32(0.0)
            for c in range(dim):
                total += towards[i, c] * vectors[first + place, c]
            out[i, place] = total
    return out


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _scores_back(
    slope: NDArray[np.float32],
    vectors: NDArray[np.float32],
    starts: NDArray[np.int64],
    group: NDArray[np.int64],
) -> NDArray[np.float32]:
    n, dim = len(slope), vectors.shape[1]
    out = np.empty((n, dim), dtype=np.float32)
    total = np.empty(dim, dtype=np.float32)  # of its own, so that the loop is vectorised
    for i in range(n):
        first = starts[group[i]]
        total[:] = 0.0
        for place in range(starts[group[i] + 1] - first):
            for c in range(dim):
                total[c] += slope[i, place] * vectors[first + place, c]
        out[i] = total
    return out


class _Members(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, towards: Tensor, vectors: Tensor, starts: Tensor, group: Tensor, widest: int
    ) -> Tensor:
        ctx.save_for_backward(vectors, starts, group)
        arrays = (one.detach().contiguous().numpy() for one in (towards, vectors, starts, group))
        return torch.from_numpy(_scores(*arrays, widest))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None, None]:
        arrays = (one.detach().contiguous().numpy() for one in (gradients[0], *ctx.saved_tensors))
        return torch.from_numpy(_scores_back(*arrays)), None, None, None, None


def member_scores(
    towards: Tensor, vectors: Tensor, starts: Tensor, group: Tensor, widest: int
) -> Tensor:
    """Return towards . x of the items of each row's group (N, M), -inf where there is no member.

    A group's vectors lie next to each other, so nothing is gathered: a row is one product.

    Args:
        towards: (N, D); derivatives go to it alone.
        vectors: (I, D) item vectors, group after group.
        starts: (C + 1,) first row of each group.
        group: (N,) int64.
        widest: Size M of the largest group.
    """
    scores: Tensor = _Members.apply(  # type: ignore[no-untyped-call]
        towards, vectors, starts, group, widest
    )
    return scores
