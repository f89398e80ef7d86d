"""With what chance a recommender shows what it shows: what off-policy evaluation needs to know."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from simrec.agents.baselines import Greedy, Observations, RandomRecommender, unseen
from simrec.agents.expansion import Gated, Mixture
from simrec.agents.policy import ItemPolicy
from simrec.agents.session_bandit import BySession
from simrec.agents.slate import slate_log_prob
from simrec.agents.two_level import TwoLevelPolicy
from simrec.errors import SimrecError

Chances = Callable[[Observations, NDArray[Any]], NDArray[np.float64]]


def chances_of(recommender: Any) -> Chances:
    """Return a function from observations and the slates just shown (B, k) to chances (B,).

    Ask it before anything is learned from the step. A policy that serves whole sessions by one of
    two arms is asked for the chance under the arm it drew, which is as good: arms are drawn without
    a look at the user.

    Args:
        recommender: What acts: a policy, an SB3 learner that has one, or a control.

    Raises:
        SimrecError: The recommender's chances are not known in closed form.
    """
    acting = getattr(recommender, "policy", recommender)
    if isinstance(acting, ItemPolicy | TwoLevelPolicy):
        return lambda obs, slates: _of_policy(acting, obs, slates)
    if isinstance(acting, RandomRecommender):
        n_items = acting._greedy.n_items
        return lambda obs, slates: _of_random(obs, slates, n_items)
    if isinstance(acting, Greedy):
        return lambda obs, slates: np.ones(len(slates))
    raise SimrecError(
        f"online.propensities is true, but a {type(acting).__name__} does not know the chance of "
        "what it shows; leave its strategy out, or set online.propensities: false"
    )


def _of_random(obs: Observations, slates: NDArray[Any], n_items: int) -> NDArray[np.float64]:
    free = unseen(obs, n_items).sum(axis=1).astype(np.float64)
    return np.asarray(1.0 / (free[:, None] - np.arange(slates.shape[1])).prod(axis=1))


def _of_policy(
    policy: ItemPolicy | TwoLevelPolicy, obs: Observations, slates: NDArray[Any]
) -> NDArray[np.float64]:
    tensors = {key: torch.as_tensor(value, device=policy.device) for key, value in obs.items()}
    shown = torch.as_tensor(slates, device=policy.device).long().view(len(slates), -1)
    with torch.no_grad():
        if isinstance(policy, Mixture):
            chances = _of_mixture(policy, tensors, shown)
        else:
            logits = policy.log_probs(tensors).double()
            chances = slate_log_prob(logits, shown).exp()
    return chances.double().cpu().numpy()


def _of_mixture(policy: Mixture, obs: Any, shown: Tensor) -> Tensor:
    """Return the chance (N,) of slates drawn by one of two policies."""
    assert policy.prior is not None
    q, _ = policy.scorer(obs, policy.vectors)
    log_old = policy.prior.log_probs(obs).double()
    log_new = policy.new_logits(obs, q).double().log_softmax(-1)
    old, new = slate_log_prob(log_old, shown).exp(), slate_log_prob(log_new, shown).exp()
    if isinstance(policy, BySession):
        return torch.where(torch.as_tensor(policy.arm), new, old)
    if not isinstance(policy, Gated):
        return policy.new_share * new + (1.0 - policy.new_share) * old
    if shown.shape[1] > 1:
        raise SimrecError(
            "online.propensities is true, but the gate of ap-pex and ap-awr looks at whole slates, "
            "whose chances have no closed form; set online.slate_size: 1, or leave them out"
        )
    # As in `gated_log_probs`, for the items shown only.
    gate = ((q.gather(1, shown) - q).double() / policy.gate_temperature).sigmoid()
    chance: Tensor = old * (gate * log_new.exp()).sum(1) + new * (gate * log_old.exp()).sum(1)
    return chance
