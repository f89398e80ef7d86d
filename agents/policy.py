"""The one policy of all learners: item logits by dot product, masked, shaped by a prior."""

import copy
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import Schedule
from torch import Tensor

from simrec.agents.adamw import AdamW
from simrec.agents.categorical import chosen_and_entropy
from simrec.agents.encoders import EncoderName
from simrec.agents.history import Observation, barred, hide_seen
from simrec.agents.scorer import ItemScorer
from simrec.agents.slate import sample_slates, slate_log_prob
from simrec.errors import SimrecError
from simrec.observations import refuse_truth

PRIOR_FLOOR = -30.0  # nats; keeps items the prior rules out reachable (design notes: max(., -30))


def slate_size_of(action_space: spaces.Space[Any]) -> int:
    """Return k: 1 for Discrete(I), the length of MultiDiscrete([I] * k)."""
    return len(action_space.nvec) if isinstance(action_space, spaces.MultiDiscrete) else 1


class ItemPolicy(BasePolicy):
    """pi(a|s) proportional to pi_0(a|s)^alpha exp(q(s, a) / temperature), seen items masked.

    This is the closed form of argmax over pi of E[q] - temperature KL(pi || pi_0^alpha)
    (reconstructed, see `KAC`). Without a prior it is a softmax over scores. The same class serves
    A2C, where q / temperature are the actor's logits and the scorer's level is V(s).

    Args:
        observation_space: Dict with history (L,), feedback (L,) and step (1,).
        action_space: Discrete(I) or MultiDiscrete([I] * k).
        lr_schedule: Learning rate for the remaining share of training, given by SB3.
        item_vectors: (I, D) float32 fused rows of the item table.
        table_fingerprint: Fingerprint of that table; another table is refused.
        width: Width d of user and item factors.
        free_vectors: Learn a free vector and bias for each item beside its table row.
        free_decay: Decoupled weight decay of the free vectors (AdamW), 0 or more.
        encoder: How histories are read: "pooled", "gru" or "sasrec".
        temperature: Start value of the temperature, above 0.
        alpha: Start value of the prior's exponent, 0 to 1.
        prior: Constructor arguments of the prior policy, or None; weights arrive by state dict.
        luck: Seed of initial weights and of sampling.
        use_sde: Accepted because SB3's on-policy learners pass it; must be False.
    """

    vectors: Tensor  # (I, D)
    temperature: Tensor  # ()
    alpha: Tensor  # ()

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        lr_schedule: Schedule,
        *,
        item_vectors: NDArray[np.float32],
        table_fingerprint: str,
        width: int = 32,
        free_vectors: bool = False,
        free_decay: float = 0.0,
        encoder: EncoderName = "pooled",
        temperature: float = 1.0,
        alpha: float = 1.0,
        prior: dict[str, Any] | None = None,
        luck: int = 0,
        use_sde: bool = False,
    ) -> None:
        super().__init__(observation_space, action_space)
        refuse_truth(observation_space, "a policy")
        assert not use_sde, "state-dependent exploration is for continuous actions"
        self.arguments: dict[str, Any] = {
            "item_vectors": item_vectors,
            "table_fingerprint": table_fingerprint,
            "width": width,
            "free_vectors": free_vectors,
            "free_decay": free_decay,
            "encoder": encoder,
            "temperature": temperature,
            "alpha": alpha,
            "prior": prior,
            "luck": luck,
        }
        self.generator = torch.Generator().manual_seed(luck)
        self.slate_size = slate_size_of(action_space)
        self.n_items = len(item_vectors)
        self.table_fingerprint = table_fingerprint
        self.register_buffer("vectors", torch.as_tensor(np.array(item_vectors)))
        self.register_buffer("temperature", torch.tensor(float(temperature)))
        self.register_buffer("alpha", torch.tensor(float(alpha)))
        self.scorer = self.another_scorer()
        self.prior: ItemPolicy | None = None
        if prior is not None:
            self.prior = ItemPolicy(observation_space, action_space, lr_schedule, **prior)
            self.prior.requires_grad_(False)
        self.optimizer: AdamW = self.new_optimizer(lr_schedule(1.0))

    def another_scorer(self) -> ItemScorer:
        """Return a new scorer of the policy's own kind; its weights come from the policy's luck."""
        return ItemScorer(
            self.vectors.shape[1],
            self.n_items,
            width=self.arguments["width"],
            free_vectors=self.arguments["free_vectors"],
            slate_size=self.slate_size,
            generator=self.generator,
            encoder=self.arguments["encoder"],
        )

    def new_optimizer(self, rate: float) -> AdamW:
        """Return an optimizer of all the scorer's parameters; free vectors decay."""
        free = self.scorer.free_parameters()
        kept = {id(p) for p in free}
        trained = [p for p in self.scorer.parameters() if id(p) not in kept]
        groups: list[dict[str, Any]] = [{"params": trained, "weight_decay": 0.0}]
        if free:
            groups.append({"params": free, "weight_decay": self.arguments["free_decay"]})
        return AdamW(groups, lr=rate)

    def critics(self) -> list[ItemScorer]:
        """Return the scorers that learn from clicks, each as if it were alone."""
        return [self.scorer]

    @property
    def n_scores(self) -> int:
        """Numbers worked out for a state: hidden ones and a score an item."""
        return self.scorer.hidden + len(self.vectors)

    def set_training_mode(self, mode: bool) -> None:
        """Do nothing: no layer acts differently while it learns, and SB3 asks at every step."""

    # ---- distribution over items ----

    def logits(self, obs: Observation) -> Tensor:
        """Return (N, I) unnormalised log-probabilities; seen items are -inf."""
        q, _ = self.scorer(obs, self.vectors)
        return self._shaped(q, obs)

    def log_probs(self, obs: Observation) -> Tensor:
        """Return (N, I) log pi(a|s) of the next single item; seen items are -inf."""
        return self.logits(obs).log_softmax(-1)

    def _shaped(self, q: Tensor, obs: Observation) -> Tensor:
        logits = q / self.temperature
        if self.prior is not None and float(self.alpha) > 0.0:
            with torch.no_grad():
                prior = self.prior.log_probs(obs).clamp(min=PRIOR_FLOOR)
            logits = logits + self.alpha * prior
        return hide_seen(logits, barred(obs))

    def _act(self, logits: Tensor, deterministic: bool) -> Tensor:
        slates = sample_slates(
            logits, self.slate_size, generator=self.generator, deterministic=deterministic
        )
        return slates.squeeze(1) if self.slate_size == 1 else slates

    def _predict(self, observation: Any, deterministic: bool = False) -> Tensor:
        return self._act(self.logits(observation), deterministic)

    # ---- what SB3's on-policy learners call ----

    def act(self, obs: Observation) -> tuple[Tensor, Tensor]:
        """Return drawn actions (N,) or (N, k) and values (N,): all that A2C reads of a step."""
        q, level = self.scorer(obs, self.vectors)
        return self._act(self._shaped(q, obs), deterministic=False), level

    def forward(self, obs: Observation, deterministic: bool = False) -> tuple[Tensor, ...]:
        """Return actions (N,) or (N, k), values (N, 1) and log-probabilities (N,)."""
        q, level = self.scorer(obs, self.vectors)
        logits = self._shaped(q, obs)
        actions = self._act(logits, deterministic)
        return actions, level.unsqueeze(1), slate_log_prob(logits, self._slates(actions))

    def evaluate_actions(self, obs: Observation, actions: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return values (N,), log-probabilities (N,) and entropies of the first item (N,)."""
        q, level = self.scorer(obs, self.vectors)
        logits = self._shaped(q, obs)
        slates = self._slates(actions)
        chosen, entropy = chosen_and_entropy(logits, slates[:, 0])
        if self.slate_size > 1:
            chosen = slate_log_prob(logits, slates)
        return level, chosen, entropy

    def predict_values(self, obs: Observation) -> Tensor:
        """Return V(s) as (N, 1)."""
        return self.scorer.level(self.scorer.pool(obs, self.vectors))  # type: ignore[no-any-return]

    def _slates(self, actions: Tensor) -> Tensor:
        return actions.long().view(len(actions), -1)

    # ---- copies ----

    def _get_constructor_parameters(self) -> dict[str, Any]:
        return {
            "observation_space": self.observation_space,
            "action_space": self.action_space,
            "lr_schedule": self._dummy_schedule,
            **self.arguments,
        }

    def reseed(self, luck: int) -> None:
        """Restart the sampling luck, so that a deployment does not depend on what ran before."""
        self.generator.manual_seed(luck)

    def twin(self) -> dict[str, Any]:
        """Return constructor arguments for a policy of this shape (weights not included)."""
        return copy.copy(self.arguments)

    def check_table(self, fingerprint: str) -> None:
        """Raise SimrecError unless `fingerprint` is that of the table this policy was made for."""
        check_fingerprint(self.table_fingerprint, fingerprint)


def check_fingerprint(trained_on: str, given: str) -> None:
    """Raise SimrecError unless the item table given is the one a policy was trained on."""
    if given != trained_on:
        raise SimrecError(
            f"the policy was trained on item table {trained_on}, the environment has table "
            f"{given}; load the policy of this catalogue or pretrain again"
        )
