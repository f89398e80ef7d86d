"""Losses of recommenders taught from a log, as pure functions; each names its source.

Letters: N rows, I items, M sampled negatives. All sources are reconstructed unless they say read.
"""

import torch
from torch import Tensor
from torch.nn import functional


def next_item_loss(scores: Tensor, item: Tensor, weight: Tensor) -> Tensor:
    """Return the weighted mean cross-entropy of the item met, over the whole catalogue.

    Args:
        scores: (N, I) logits.
        item: (N,) int64.
        weight: (N,) 0 leaves a row out.
    """
    loss = functional.cross_entropy(scores, item, reduction="none")
    return (loss * weight).sum() / weight.sum().clamp(min=1.0)


def td_loss(value: Tensor, reward: Tensor, gamma: float, following: Tensor) -> Tensor:
    """Return mean (Q(s, a) - r - gamma V(s'))^2, the target held constant.

    Args:
        value: (N,) Q of the item met.
        reward: (N,).
        gamma: Discount, 0 to 1.
        following: (N,) value of the state after, 0 where there is none.
    """
    return (value - (reward + gamma * following).detach()).square().mean()


def sa2c_weights(q_item: Tensor, q_negatives: Tensor) -> Tensor:
    """Return SA2C's weights of the supervised loss (N,), clipped to [0, 10].

    A = Q(s, a) - mean of Q over the item met and the sampled negatives (Xin et al., WSDM 2022; the
    clip was read in its code).

    Args:
        q_item: (N,).
        q_negatives: (N, M).
    """
    every = torch.cat([q_item.unsqueeze(1), q_negatives], dim=1)
    return (q_item - every.mean(1)).clamp(0.0, 10.0).detach()


def conservative_penalty(q: Tensor, item: Tensor) -> Tensor:
    """Return mean [log sum_a exp Q(s, a) - Q(s, a_met)] (CQL, Kumar et al. 2020).

    Args:
        q: (N, I).
        item: (N,) int64.
    """
    return (q.logsumexp(1) - q.gather(1, item.unsqueeze(1)).squeeze(1)).mean()


def expectile_loss(gap: Tensor, expectile: float) -> Tensor:
    """Return mean |expectile - 1(gap < 0)| gap^2 (IQL, Kostrikov et al. 2021).

    Args:
        gap: (N,) Q(s, a) - V(s).
        expectile: 0.5 is the mean; towards 1 the best of what was met.
    """
    return ((expectile - (gap < 0).float()).abs() * gap.square()).mean()
