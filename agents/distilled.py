"""An actor network that is taught the critic's softmax, in place of working it out."""

from typing import Any

import torch
from torch import Tensor

from simrec.agents.adaptation import Adaptation
from simrec.agents.history import Observation, barred, seen_mask
from simrec.agents.losses import distillation_loss
from simrec.agents.policy import ItemPolicy
from simrec.agents.replay import Replay
from simrec.agents.strategy import Deployment, Online, adapted, strategy


class Distilled(ItemPolicy):
    """Act by a second scorer, the actor; the first stays the critic."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.actor = self.another_scorer()
        self.actor_optimizer = torch.optim.AdamW(self.actor.parameters(), lr=5e-3, weight_decay=0.0)

    def logits(self, obs: Observation) -> Tensor:
        """Return the actor's logits (N, I); seen items are -inf."""
        logits, _ = self.actor(obs, self.vectors)
        masked: Tensor = logits.masked_fill(seen_mask(barred(obs), self.n_items), -torch.inf)
        return masked


class Distil(Adaptation):
    """Pull the actor towards exp(q / temperature) on the states of each update's last batch.

    Args:
        steps: Gradient steps an update.
    """

    def __init__(self, steps: int = 4) -> None:
        self.steps = steps

    def learned(self, policy: ItemPolicy, batch: Replay) -> None:
        """Teach the actor."""
        assert isinstance(policy, Distilled)
        with torch.no_grad():
            q, _ = policy.scorer(batch.obs, policy.vectors)
        parts = [
            {key: value[first :: self.steps] for key, value in batch.obs.items()}
            for first in range(self.steps)
        ]
        for first, obs in enumerate(parts):
            log_probs = policy.log_probs(obs)
            loss = distillation_loss(log_probs, q[first :: self.steps], float(policy.temperature))
            policy.actor_optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(policy.actor.parameters(), 5.0)
            policy.actor_optimizer.step()


@strategy(
    "scratch-distilled",
    source="KL-regularised actor, as in SAC: Haarnoja et al., ICML 2018; this project's notes",
    pretrained=False,
)
def distilled(pretrained: ItemPolicy, online: Online) -> Deployment:
    """Like scratch, but a second network, taught the critic's softmax, acts in its place."""
    return adapted(online, Distil(), policy=Distilled)
