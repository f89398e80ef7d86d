"""Slates drawn without replacement from item logits, with their exact log-probability."""

import torch
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
        cdf = logits.double().softmax(-1).cumsum(-1)
        u = torch.rand(len(logits), 1, generator=generator, dtype=torch.float64)
        # Scaling by the last entry keeps rounding from pushing u past the end of the row.
        drawn = torch.searchsorted(cdf, u * cdf[:, -1:], right=True)
        return drawn.clamp(max=logits.shape[1] - 1)
    noise = torch.rand(logits.shape, generator=generator).clamp(min=1e-20)
    return (logits - (-noise.log()).log()).topk(k, dim=-1).indices


def slate_log_prob(logits: Tensor, slates: Tensor) -> Tensor:
    """Return the Plackett-Luce log-probability of ordered slates.

    log p = sum_j [ l_{a_j} - log sum over items not yet shown of exp l ] (Plackett 1975; read).

    Args:
        logits: (N, I), -inf where masked.
        slates: (N, k) distinct items.

    Returns:
        (N,) in nats.
    """
    total = torch.zeros(len(logits), dtype=logits.dtype)
    left = logits
    for position in range(slates.shape[1]):
        item = slates[:, position : position + 1]
        total = total + (left.gather(1, item).squeeze(1) - left.logsumexp(-1))
        if position + 1 < slates.shape[1]:
            left = left.scatter(1, item, -torch.inf)
    return total
