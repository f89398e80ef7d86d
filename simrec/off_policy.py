"""Off-policy evaluation: what a policy would have earned, from sessions another one served.

Letters: N sessions, T steps; sessions that ended early are padded with mask 0. A ratio is
pi(a|s) / mu(a|s), of the policy judged to the one that served; mu's propensities must have been
written down and be above 0 wherever pi's are. All formulas are reconstructed from their names'
sources.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def importance_sampling(ratio: Floats, reward: Floats, mask: Floats, gamma: float = 1.0) -> float:
    """Return IPS: the mean of (product of a session's ratios) times its discounted reward.

    Unbiased; its variance grows with the length of sessions (Precup, Sutton and Singh 2000).

    Args:
        ratio: (N, T).
        reward: (N, T).
        mask: (N, T) 1 where the step was made.
        gamma: Discount, 0 to 1.
    """
    weight = np.where(mask > 0, ratio, 1.0).prod(axis=1)
    return float((weight * _returns(reward, mask, gamma)).mean())


def self_normalised(ratio: Floats, reward: Floats, mask: Floats, gamma: float = 1.0) -> float:
    """Return SNIPS: like IPS, divided by the mean weight; biased, consistent, less spread.

    Swaminathan and Joachims (2015); NaN where all weights are 0. Arguments as
    `importance_sampling`.
    """
    weight = np.where(mask > 0, ratio, 1.0).prod(axis=1)
    total = weight.sum()
    if not total:
        return float("nan")
    return float((weight * _returns(reward, mask, gamma)).sum() / total)


def per_decision(ratio: Floats, reward: Floats, mask: Floats, gamma: float = 1.0) -> float:
    """Return per-decision IPS: each reward is weighted by the ratios up to its own step only.

    Precup, Sutton and Singh (2000). Arguments as `importance_sampling`.
    """
    weight = np.where(mask > 0, ratio, 1.0).cumprod(axis=1)
    return float((weight * reward * mask * _discounts(mask, gamma)).sum(axis=1).mean())


def doubly_robust(
    ratio: Floats,
    reward: Floats,
    mask: Floats,
    value: Floats,
    state_value: Floats,
    gamma: float = 1.0,
) -> float:
    """Return the doubly robust estimate for sessions (Jiang and Li 2016).

    V_DR(t) = V(s_t) + rho_t (r_t + gamma V_DR(t+1) - Q(s_t, a_t)), from the last step back. It is
    unbiased when the ratios are right, and exact when the model is.

    Args:
        ratio: (N, T).
        reward: (N, T).
        mask: (N, T).
        value: (N, T) model's Q(s_t, a_t) of the judged policy.
        state_value: (N, T) model's V(s_t) = sum_a pi(a|s_t) Q(s_t, a).
        gamma: Discount, 0 to 1.
    """
    estimate = np.zeros(len(ratio))
    for t in range(ratio.shape[1] - 1, -1, -1):
        step = state_value[:, t] + ratio[:, t] * (reward[:, t] + gamma * estimate - value[:, t])
        estimate = np.where(mask[:, t] > 0, step, 0.0)
    return float(estimate.mean())


def effective_sample_size(ratio: Floats, mask: Floats) -> float:
    """Return (sum w)^2 / sum w^2 of the sessions' weights: how many sessions really count.

    Args:
        ratio: (N, T).
        mask: (N, T).
    """
    weight = np.where(mask > 0, ratio, 1.0).prod(axis=1)
    squares = float((weight**2).sum())
    return float(weight.sum()) ** 2 / squares if squares else 0.0


def _discounts(mask: Floats, gamma: float) -> Floats:
    return np.asarray(gamma ** np.arange(mask.shape[1]), dtype=np.float64)


def _returns(reward: Floats, mask: Floats, gamma: float) -> Floats:
    return np.asarray((reward * mask * _discounts(mask, gamma)).sum(axis=1))
