"""Recommenders taught from a log before anybody is met: supervised, cloned and offline RL."""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from simrec.agents.encoders import EncoderName
from simrec.agents.history import Observation
from simrec.agents.logged import LoggedSteps
from simrec.agents.losses import advantage_weighted_loss
from simrec.agents.offline_losses import (
    conservative_penalty,
    expectile_loss,
    next_item_loss,
    sa2c_weights,
    td_loss,
)
from simrec.agents.reward import history_observation
from simrec.agents.scorer import ItemScorer
from simrec.errors import SimrecError

OfflineName = Literal["two-tower", "sasrec", "cloned", "snqn", "sa2c", "cql", "iql"]
OFFLINE: tuple[OfflineName, ...] = get_args(OfflineName)
NEGATIVES = 10  # as in SNQN's code


@dataclass(frozen=True)
class OfflineSettings:
    """How long and how far-sighted."""

    width: int = 32
    epochs: int = 10
    batch_size: int = 256
    learning_rate: float = 3e-3
    weight_decay: float = 0.1  # of all weights, decoupled
    gamma: float = 0.5  # as in SA2C's code
    conservative: float = 1.0  # weight of CQL's penalty
    expectile: float = 0.8
    advantage_temperature: float = 0.3


class Offline:
    """One or two scorers taught from a log; items are ranked by `head`.

    Args:
        name: Which lesson.
        item_vectors: (I, D) item table.
        settings: Sizes and rates.
        luck: Seed of weights, batches and negatives.
    """

    def __init__(
        self,
        name: OfflineName,
        item_vectors: NDArray[np.float32],
        settings: OfflineSettings,
        *,
        luck: int,
    ) -> None:
        self.name = name
        self.settings = settings
        self.judging = False  # SA2C follows SNQN's loss until its critic knows something
        self.vectors = torch.as_tensor(np.array(item_vectors))
        generator = torch.Generator().manual_seed(luck)
        encoder: EncoderName = "sasrec" if name == "sasrec" else "pooled"

        def scorer() -> ItemScorer:
            return ItemScorer(
                item_vectors.shape[1],
                len(item_vectors),
                width=settings.width,
                free_vectors=True,
                slate_size=1,
                generator=generator,
                encoder=encoder,
            )

        self.head = scorer()  # what ranks
        self.critic = scorer() if name in ("snqn", "sa2c", "iql") else self.head
        self.slow = scorer()  # target network
        self.slow.load_state_dict(self.critic.state_dict())
        parts = {id(p): p for m in (self.head, self.critic) for p in m.parameters()}
        self.optimizer = torch.optim.AdamW(
            parts.values(), lr=settings.learning_rate, weight_decay=settings.weight_decay
        )

    def fit(self, steps: LoggedSteps, rng: np.random.Generator) -> None:
        """Go through the log `epochs` times; raise SimrecError where it is empty."""
        if not len(steps):
            raise SimrecError(
                f"control '{self.name}' has no events to learn from; give the agent a larger part "
                "of the log (split.agent_share) or leave the control out"
            )
        for epoch in range(self.settings.epochs):
            self.judging = 2 * epoch >= self.settings.epochs
            order = rng.permutation(len(steps))
            for first in range(0, len(order), self.settings.batch_size):
                rows = order[first : first + self.settings.batch_size]
                loss = self._loss(steps, rows, rng)
                self.optimizer.zero_grad()
                loss.backward()
                torch.nn.utils.clip_grad_norm_(self.optimizer.param_groups[0]["params"], 5.0)
                self.optimizer.step()
                with torch.no_grad():
                    for slow, fast in zip(
                        self.slow.parameters(), self.critic.parameters(), strict=True
                    ):
                        slow.lerp_(fast, 0.02)

    def predict(
        self, items: NDArray[np.int64], feedback: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Return (N, I) scores for histories: items (N, L) with -1 = empty, feedback (N, L)."""
        with torch.no_grad():
            q, _ = self.head(history_observation(items, feedback), self.vectors)
        scores: NDArray[np.float32] = q.numpy()
        return scores

    # ---- lessons ----

    def _loss(
        self, steps: LoggedSteps, rows: NDArray[np.int64], rng: np.random.Generator
    ) -> Tensor:
        obs = steps.obs(rows)
        item = torch.as_tensor(steps.item[rows])
        reward = torch.as_tensor(steps.reward[rows])
        scores, _ = self.head(obs, self.vectors)
        if self.name in ("two-tower", "sasrec"):
            return next_item_loss(scores, item, reward)  # what was liked is to be found
        if self.name == "cloned":
            return next_item_loss(scores, item, torch.ones_like(reward))  # whatever was met
        going = torch.as_tensor(~steps.last[rows]).float()
        after = steps.obs(steps.next_rows(rows))
        if self.name == "cql":
            value = scores.gather(1, item.unsqueeze(1)).squeeze(1)
            loss = td_loss(value, reward, self.settings.gamma, going * self._best(after))
            return loss + self.settings.conservative * conservative_penalty(scores, item)
        if self.name == "iql":
            return self._implicit(obs, scores, item, reward, going, after)
        return self._self_supervised(obs, scores, item, reward, going, after, rng)

    def _best(self, obs: Observation) -> Tensor:
        """Return max_a Q(s, a) of the slow copy, the action chosen by the critic (double Q)."""
        with torch.no_grad():
            chosen = self.critic(obs, self.vectors)[0].argmax(1, keepdim=True)
            best: Tensor = self.slow(obs, self.vectors)[0].gather(1, chosen).squeeze(1)
        return best

    def _self_supervised(
        self,
        obs: Observation,
        scores: Tensor,
        item: Tensor,
        reward: Tensor,
        going: Tensor,
        after: Observation,
        rng: np.random.Generator,
    ) -> Tensor:
        """SNQN and SA2C: a next-item head beside a Q head that also sees items not met."""
        q, _ = self.critic(obs, self.vectors)
        negatives = torch.as_tensor(rng.integers(0, q.shape[1], (len(item), NEGATIVES)))
        met = q.gather(1, item.unsqueeze(1)).squeeze(1)
        others = q.gather(1, negatives)
        following = going * self._best(after)
        loss = td_loss(met, reward, self.settings.gamma, following)
        # A negative earns nothing and, the user not having met it, leaves the state as it is.
        stay = self._best(obs).unsqueeze(1).expand_as(others)
        loss = loss + td_loss(others, torch.zeros_like(others), self.settings.gamma, stay)
        judged = self.name == "sa2c" and self.judging
        weight = reward * sa2c_weights(met, others) if judged else reward
        return loss + next_item_loss(scores, item, weight)

    def _implicit(
        self,
        obs: Observation,
        scores: Tensor,
        item: Tensor,
        reward: Tensor,
        going: Tensor,
        after: Observation,
    ) -> Tensor:
        """IQL: an expectile of Q as V, TD against V, and advantage-weighted regression."""
        q, level = self.critic(obs, self.vectors)
        met = q.gather(1, item.unsqueeze(1)).squeeze(1)
        with torch.no_grad():
            slow, _ = self.slow(obs, self.vectors)
            target = slow.gather(1, item.unsqueeze(1)).squeeze(1)
            following = going * self.critic(after, self.vectors)[1]
        loss = expectile_loss(target - level, self.settings.expectile)
        loss = loss + td_loss(met, reward, self.settings.gamma, following)
        log_prob = scores.log_softmax(1).gather(1, item.unsqueeze(1)).squeeze(1)
        return loss + advantage_weighted_loss(
            log_prob, target - level, self.settings.advantage_temperature, 100.0
        )


def fit_offline(
    name: OfflineName, steps: LoggedSteps, item_vectors: NDArray[np.float32], *, luck: int
) -> Offline:
    """Return a recommender taught by the lesson called `name`.

    Args:
        name: One of OFFLINE.
        steps: The log.
        item_vectors: (I, D) item table.
        luck: Seed.
    """
    model = Offline(name, item_vectors, OfflineSettings(), luck=luck)
    model.fit(steps, np.random.default_rng(luck))
    return model
