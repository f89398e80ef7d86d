"""Losses beside the main one that draw an item's modalities together."""

import torch
from torch import Tensor
from torch.nn import functional

ALIGNMENTS = ("none", "infonce", "gram")


def gram_volume(vectors: Tensor) -> Tensor:
    """Return sqrt(det G) of unit vectors' Gram matrix (GRAM, arXiv 2412.11959; formula read).

    Args:
        vectors: (..., M, D), any lengths.

    Returns:
        (...) in [0, 1]; for two vectors sqrt(1 - cos^2).
    """
    unit = functional.normalize(vectors, dim=-1)
    gram = unit @ unit.transpose(-1, -2)
    volume: Tensor = torch.linalg.det(gram).clamp(min=1e-12).sqrt()
    return volume


def alignment_loss(
    own: Tensor, present: Tensor, kind: str, *, temperature: float = 0.2, most: int = 128
) -> Tensor:
    """Return a contrastive loss among items that have every modality, 0 if fewer than two do.

    "infonce" compares the first modality with each other one by cosine; "gram" compares the first
    with all others at once by the volume they span, a small volume being a match.

    Args:
        own: (U, M, width) one vector a modality.
        present: (U, M) bool.
        kind: "infonce" or "gram".
        temperature: Of the softmax.
        most: Items used, the first ones; the cost grows with its square.
    """
    whole = own[present.all(1)][:most]
    if len(whole) < 2 or own.shape[1] < 2:
        return own.new_zeros(())
    label = torch.arange(len(whole))
    if kind == "gram":
        n, count, width = whole.shape
        first = whole[:, None, :1].expand(n, n, 1, width)
        others = whole[None, :, 1:].expand(n, n, count - 1, width)
        logits = -gram_volume(torch.cat([first, others], 2)) / temperature
        return (
            functional.cross_entropy(logits, label) + functional.cross_entropy(logits.T, label)
        ) / 2
    unit = functional.normalize(whole, dim=-1)
    losses = [
        functional.cross_entropy(unit[:, 0] @ unit[:, m].T / temperature, label)
        for m in range(1, own.shape[1])
    ]
    return torch.stack(losses).mean()
