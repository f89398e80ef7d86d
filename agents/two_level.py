"""A policy for large catalogues: a group of items is drawn first, then an item of that group."""

from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import Schedule
from torch import Tensor, nn

from simrec.agents.history import Observation, initialise
from simrec.errors import SimrecError


def group_items(
    vectors: NDArray[np.float32], groups: int, *, luck: int, rounds: int = 10
) -> NDArray[np.int64]:
    """Return the group (I,) of every item: k-means of sampled rows, then the nearest centre.

    Args:
        vectors: (I, D) item table.
        groups: How many groups C, 1 to I; about sqrt(I) makes both levels alike in cost.
        luck: Seed.
        rounds: Rounds of Lloyd's algorithm (1982).
    """
    rng = np.random.default_rng(luck)
    sample = vectors[rng.permutation(len(vectors))[: 50 * groups]]
    centres = sample[:groups].copy()

    def nearest(rows: NDArray[np.float32]) -> NDArray[np.int64]:
        size = (centres**2).sum(1)
        parts = np.array_split(np.arange(len(rows)), max(1, len(rows) // 20_000))
        found = [(size - 2.0 * rows[part] @ centres.T).argmin(1) for part in parts]
        return np.concatenate(found).astype(np.int64)

    for _ in range(rounds):
        place = nearest(sample)
        for group in np.unique(place):
            centres[group] = sample[place == group].mean(0)
    return nearest(vectors)


class TwoLevelPolicy(BasePolicy):
    """pi(a|s) = p(c(a)|s) p(a|c(a), s): softmax over groups, softmax over one group's items.

    Both levels are dot products of a state vector with vectors of groups and items, so a step
    costs C + I / C instead of I, and the log-probability is exact. Items met are masked within
    their group; a group all of whose items were met is masked. A hierarchical softmax after Morin
    and Bengio (2005); reconstructed. For single items and `ItemA2C` without an anchor.

    Args:
        observation_space: Dict with history (L,), feedback (L,) and step (1,).
        action_space: Discrete(I).
        lr_schedule: Learning rate for the remaining share of training, given by SB3.
        item_vectors: (I, D) float32 fused rows of the item table.
        groups: (I,) group of each item, from 0 on, for example of `group_items`.
        width: Width of state, group and item factors.
        luck: Seed of initial weights and of sampling.
        use_sde: Accepted because SB3's on-policy learners pass it; must be False.
    """

    vectors: Tensor  # (I, D)
    members: Tensor  # (C, M) items of each group, -1 = none
    group_of: Tensor  # (I,)
    prior = None  # the learners' schedules look for one
    alpha: Tensor  # () without effect, moved by the learners' schedules

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        lr_schedule: Schedule,
        *,
        item_vectors: NDArray[np.float32],
        groups: NDArray[np.int64],
        width: int = 32,
        luck: int = 0,
        use_sde: bool = False,
    ) -> None:
        super().__init__(observation_space, action_space)
        assert not use_sde, "state-dependent exploration is for continuous actions"
        if not isinstance(action_space, spaces.Discrete) or len(item_vectors) != action_space.n:
            raise SimrecError(
                f"the two-level policy got actions {action_space} and {len(item_vectors)} items; "
                "expected one item of the catalogue a step (slate_size 1)"
            )
        self.arguments = {
            "item_vectors": item_vectors,
            "groups": groups,
            "width": width,
            "luck": luck,
        }
        self.slate_size = 1
        self.generator = torch.Generator().manual_seed(luck)
        size = np.bincount(groups)
        members = np.full((len(size), int(size.max())), -1, dtype=np.int64)
        order = np.argsort(groups, kind="stable")
        place = np.arange(len(groups)) - np.repeat(np.cumsum(size) - size, size)
        members[groups[order], place] = order
        self.register_buffer("vectors", torch.as_tensor(np.array(item_vectors)))
        self.register_buffer("members", torch.as_tensor(members))
        self.register_buffer("group_of", torch.as_tensor(groups))
        self.register_buffer("alpha", torch.tensor(0.0))
        dim = item_vectors.shape[1]
        self.scorer = nn.ModuleDict(
            {
                "state": nn.Sequential(
                    nn.Linear(2 * dim + 3, 64), nn.ReLU(), nn.Linear(64, 2 * width + 1)
                ),
                "item": nn.Linear(dim, width, bias=False),
                "group": nn.Linear(width, len(size)),
            }
        )
        initialise(self.scorer, self.generator)
        self.width = width
        self.optimizer = torch.optim.AdamW(
            self.scorer.parameters(), lr=lr_schedule(1.0), weight_decay=0.0
        )

    def _state(self, obs: Observation) -> tuple[Tensor, Tensor, Tensor]:
        """Return the state for groups (N, d), for items (N, d) and V(s) (N,)."""
        items = obs["history"].long()
        real = (items >= 0).float()
        liked = obs["feedback"].float() * real
        rows = self.vectors[items.clamp(min=0)]  # only what was met is looked up
        parts = [
            (weight.unsqueeze(2) * rows).sum(1) / weight.sum(1, keepdim=True).clamp(min=1.0)
            for weight in (liked, real - liked)
        ]
        length = float(items.shape[1])
        counts = [liked.sum(1, keepdim=True), real.sum(1, keepdim=True), obs["step"].float()]
        features = torch.cat([*parts, *(count.view(-1, 1) / length for count in counts)], dim=1)
        out = self.scorer["state"](features)
        return out[:, : self.width], out[:, self.width : -1], out[:, -1]

    def _group_log_probs(self, h: Tensor, obs: Observation) -> Tensor:
        """Return (N, C) log p(c|s); a group without an unseen item is -inf."""
        items = obs["history"].long()
        n_groups = len(self.members)
        met = torch.where(items >= 0, self.group_of[items.clamp(min=0)], n_groups)
        first = torch.ones_like(items, dtype=torch.bool)  # an item met twice counts once
        for back in range(1, items.shape[1]):
            first[:, back:] &= items[:, back:] != items[:, :-back]
        seen = torch.zeros(len(items), n_groups + 1).scatter_add_(1, met, first.float())
        full = seen[:, :-1] >= (self.members >= 0).sum(1)
        logits: Tensor = self.scorer["group"](h)
        return logits.masked_fill(full, -torch.inf).log_softmax(1)

    def _item_log_probs(self, h: Tensor, group: Tensor, obs: Observation) -> Tensor:
        """Return (N, M) log p(a|c, s) of the members of `group` (N,); -inf where seen or none."""
        members = self.members[group]  # (N, M)
        rows = self.scorer["item"](self.vectors[members.clamp(min=0)])
        logits = torch.einsum("nd,nmd->nm", h, rows)
        seen = (members.unsqueeze(2) == obs["history"].long().unsqueeze(1)).any(2)
        out = seen | (members < 0)
        log_probs = logits.masked_fill(out, -torch.inf).log_softmax(1)
        return log_probs.masked_fill(out, -torch.inf)  # also where nothing is left: NaN before

    def _draw(self, log_probs: Tensor, deterministic: bool) -> Tensor:
        if deterministic:
            return log_probs.argmax(1)
        return torch.multinomial(log_probs.exp(), 1, generator=self.generator).squeeze(1)

    def _act(self, obs: Observation, deterministic: bool) -> tuple[Tensor, Tensor, Tensor]:
        for_groups, for_items, value = self._state(obs)
        of_groups = self._group_log_probs(for_groups, obs)
        group = self._draw(of_groups, deterministic)
        of_items = self._item_log_probs(for_items, group, obs)
        place = self._draw(of_items, deterministic).unsqueeze(1)
        log_prob = of_groups.gather(1, group.unsqueeze(1)) + of_items.gather(1, place)
        return self.members[group].gather(1, place).squeeze(1), value, log_prob.squeeze(1)

    def _predict(self, observation: Any, deterministic: bool = False) -> Tensor:
        return self._act(observation, deterministic)[0]

    def forward(self, obs: Observation, deterministic: bool = False) -> tuple[Tensor, ...]:
        """Return actions (N,), values (N, 1) and log-probabilities (N,)."""
        actions, value, log_prob = self._act(obs, deterministic)
        return actions, value.unsqueeze(1), log_prob

    def evaluate_actions(
        self, obs: Observation, actions: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return values, log-probabilities and entropies (N,), and no item log-probs (N, 0).

        The entropy is that of the group plus that within the chosen group: an unbiased estimate,
        the exact one would need every group's items.
        """
        for_groups, for_items, value = self._state(obs)
        of_groups = self._group_log_probs(for_groups, obs)
        group = self.group_of[actions.long().flatten()]
        of_items = self._item_log_probs(for_items, group, obs)
        here = self.members[group] == actions.long().view(-1, 1)
        within = of_items.masked_fill(~here, 0.0).sum(1)
        log_prob = of_groups.gather(1, group.unsqueeze(1)).squeeze(1) + within
        return value, log_prob, _entropy(of_groups) + _entropy(of_items), value.new_zeros(0)

    def predict_values(self, obs: Observation) -> Tensor:
        """Return V(s) as (N, 1)."""
        return self._state(obs)[2].unsqueeze(1)

    def _get_constructor_parameters(self) -> dict[str, Any]:
        return {
            "observation_space": self.observation_space,
            "action_space": self.action_space,
            "lr_schedule": self._dummy_schedule,
            **self.arguments,
        }


def _entropy(log_probs: Tensor) -> Tensor:
    return -(log_probs.exp() * log_probs.clamp(min=-1e4)).sum(1)
