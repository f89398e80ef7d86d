"""Slates drawn without replacement from item logits, with their exact log-probability."""

import numpy as np
import torch
from numba import njit
from numpy.typing import NDArray
from torch import Tensor


def sample_slates(
    logits: Tensor, k: int, *, generator: torch.Generator, deterministic: bool = False
) -> Tensor:
    """Draw k distinct items a row, or take the k best.

    One item is drawn by inverse CDF; k > 1 by the Gumbel-top-k trick, whose order follows the
    Plackett-Luce law (Kool, van Hoof and Welling, ICML 2019; read).

    Args:
        logits: (N, I), -inf never drawn; each row needs k finite entries.
        k: Slate size, 1 or more.
        generator: Source of the luck.
        deterministic: Take the k largest logits in order.

    Returns:
        (N, k) int64.
    """
    if deterministic:
        return logits.topk(k, dim=-1).indices
    if k == 1:
        u = torch.rand(len(logits), generator=generator, dtype=torch.float64)
        probs = logits.detach().softmax(-1)
        if probs.device.type != "cpu":
            return drawn_plainly(probs, u.to(probs.device)).unsqueeze(1)
        return torch.from_numpy(_draw(probs.numpy(), u.numpy())).unsqueeze(1)
    # The luck is the processor's, so that it does not depend on where the scores are.
    noise = torch.rand(logits.shape, generator=generator).clamp(min=1e-20).to(logits.device)
    return (logits - (-noise.log()).log()).topk(k, dim=-1).indices


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _draw(probs: NDArray[np.float32], u: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return (N,) the first place at which the sum of a row passes u."""
    drawn = np.zeros(len(probs), dtype=np.int64)
    for i in range(len(probs)):
        left = u[i]
        for j in range(probs.shape[1]):
            p = probs[i, j]
            if p > 0.0:
                drawn[i] = j  # stays the last possible one where rounding lets none pass
                left -= p
                if left < 0.0:
                    break
    return drawn


def drawn_plainly(probs: Tensor, u: Tensor) -> Tensor:
    """Return what the compiled draw returns, (N,), in operations that a card has too.

    Args:
        probs: (N, I) rows that sum to 1.
        u: (N,) float64, 0 to below 1.
    """
    passed = (probs.double().cumsum(1) <= u.unsqueeze(1)).sum(1)
    last = probs.shape[1] - 1 - (probs > 0.0).flip(1).int().argmax(1)  # where rounding lets none
    return torch.minimum(passed, last)


def slate_log_prob(logits: Tensor, slates: Tensor) -> Tensor:
    """Return the Plackett-Luce log-probability of ordered slates.

    log p = sum_j [ l_{a_j} - log sum over items not yet shown of exp l ] (Plackett 1975; read).

    Args:
        logits: (N, I), -inf where masked.
        slates: (N, k) distinct items.

    Returns:
        (N,) in nats.
    """
    total = logits.new_zeros(len(logits))
    left = logits
    for position in range(slates.shape[1]):
        item = slates[:, position : position + 1]
        total = total + (left.gather(1, item).squeeze(1) - left.logsumexp(-1))
        if position + 1 < slates.shape[1]:
            left = left.scatter(1, item, -torch.inf)
    return total
