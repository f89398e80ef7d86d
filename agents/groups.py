"""Groups of items: how they are made, and the scores of one group's items at a time."""

from typing import Any

import numpy as np
import torch
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


def marked(places: Tensor, n: int) -> Tensor:
    """Return (N, n) True at the places (N, L) of each row; places of n count for nothing."""
    found = torch.zeros(len(places), n + 1, dtype=torch.bool, device=places.device)
    return found.scatter_(1, places, True)[:, :-1]


class _Members(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, towards: Tensor, vectors: Tensor, starts: Tensor, group: Tensor, members: Tensor
    ) -> Tensor:
        bounds = list(
            zip(starts[group].tolist(), starts[group + 1].tolist(), strict=True)
        )  # first and last row of each one's group
        logits = towards.new_full((len(group), members.shape[1]), -torch.inf)
        for row, (first, last) in enumerate(bounds):
            torch.mv(vectors[first:last], towards[row], out=logits[row, : last - first])
        ctx.bounds = bounds
        ctx.save_for_backward(vectors)
        return logits

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None, None]:
        (vectors,) = ctx.saved_tensors
        slope = gradients[0]
        back = slope.new_empty(len(slope), vectors.shape[1])
        for row, (first, last) in enumerate(ctx.bounds):
            torch.mv(vectors[first:last].T, slope[row, : last - first], out=back[row])
        return back, None, None, None, None


def member_scores(
    towards: Tensor, vectors: Tensor, starts: Tensor, group: Tensor, members: Tensor
) -> Tensor:
    """Return towards . x of the items of each row's group (N, M), -inf where there is no member.

    A group's vectors lie next to each other, so nothing is gathered: a row is one product.

    Args:
        towards: (N, D); derivatives go to it alone.
        vectors: (I, D) item vectors, group after group.
        starts: (C + 1,) first row of each group.
        group: (N,) int64.
        members: (C, M) of which only the width M counts.
    """
    scores: Tensor = _Members.apply(  # type: ignore[no-untyped-call]
        towards, vectors, starts, group, members
    )
    return scores
