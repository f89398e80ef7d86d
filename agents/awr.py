"""Policy expansion whose new policy is a network of its own, taught by what was remembered."""

from typing import Any

import torch
from torch import Tensor

from simrec.agents.expansion import Gated, GateScale
from simrec.agents.history import barred, seen_mask
from simrec.agents.losses import advantage_weighted_loss
from simrec.agents.policy import ItemPolicy
from simrec.agents.replay import Replay
from simrec.agents.strategy import Deployment, Online, adapted, strategy


class TaughtActor(Gated):
    """Like `Gated`, but the new policy is the softmax of a second scorer, the actor."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.actor = self.another_scorer()
        self.actor_optimizer = torch.optim.AdamW(self.actor.parameters(), lr=3e-3, weight_decay=0.0)

    def new_logits(self, obs: Any, q: Tensor) -> Tensor:
        """Return the actor's logits (N, I)."""
        logits, _ = self.actor(obs, self.vectors)
        masked: Tensor = logits.masked_fill(seen_mask(barred(obs), self.n_items), -torch.inf)
        return masked

    def log_probs(self, obs: Any) -> Tensor:
        """Return (N, I) log pi(a|s) of the actor; seen items are -inf."""
        return self.new_logits(obs, torch.zeros(())).log_softmax(-1)


class Regression(GateScale):
    """Teach the actor by advantage-weighted regression on each update's last batch.

    A(s, a) = q(s, a) - E_{b~pi}[q(s, b)].

    Args:
        temperature: Of the weights exp(A / temperature), above 0.
        cap: Greatest weight, above 0.
    """

    def __init__(self, temperature: float = 0.3, cap: float = 20.0) -> None:
        self.temperature = temperature
        self.cap = cap

    def learned(self, policy: ItemPolicy, batch: Replay) -> None:
        """Make one gradient step of the actor."""
        assert isinstance(policy, TaughtActor)
        super().learned(policy, batch)
        kept = batch.fresh[:, 0] > 0  # a repeated item has no probability
        obs = {key: value[kept] for key, value in batch.obs.items()}
        items = batch.items[kept, :1]
        log_probs = policy.log_probs(obs)
        with torch.no_grad():
            q, _ = policy.scorer(obs, policy.vectors)
            expected = (log_probs.exp() * q).sum(1)
            advantage = q.gather(1, items).squeeze(1) - expected
        loss = advantage_weighted_loss(
            log_probs.gather(1, items).squeeze(1), advantage, self.temperature, self.cap
        )
        policy.actor_optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(policy.actor.parameters(), 5.0)
        policy.actor_optimizer.step()


@strategy("ap-awr", source="advantage-weighted regression, Peng et al. 2019, as in PEX's code")
def awr(pretrained: ItemPolicy, online: Online) -> Deployment:
    """Like ap-pex, but the new policy is an actor taught by advantage-weighted regression."""
    return adapted(
        online, Regression(), policy=TaughtActor, prior=pretrained, settings={"prior_share": 0.0}
    )
