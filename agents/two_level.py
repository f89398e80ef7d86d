"""A policy for large catalogues: a group of items is drawn first, then an item of that group."""

import math
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import Schedule
from torch import Tensor, nn
from torch.nn import functional

from simrec.agents.adamw import AdamW
from simrec.agents.categorical import chosen_and_entropy
from simrec.agents.groups import full_groups, group_items, member_scores, places_met
from simrec.agents.history import Observation, barred, hide_seen, initialise, seen_mask
from simrec.agents.policy import check_fingerprint
from simrec.agents.slate import sample_slates, slate_log_prob
from simrec.errors import SimrecError


class TwoLevelPolicy(BasePolicy):
    """pi(a|s) = p(c(a)|s) p(a|c(a), s): softmax over groups, softmax over one group's items.

    Both levels are dot products of a state vector with vectors of groups (their mean item, and a
    bias) and of items, so a step costs C + I / C instead of I; the log-probability is exact. Items
    met are masked within their group; a group all of whose items were met is masked. A
    hierarchical softmax after Morin and Bengio (2005); reconstructed. For single
    items and `ItemA2C`.

    Args:
        observation_space: Dict with history (L,), feedback (L,) and step (1,).
        action_space: Discrete(I).
        lr_schedule: Learning rate for the remaining share of training, given by SB3.
        item_vectors: (I, D) float32 fused rows of the item table.
        table_fingerprint: Fingerprint of that table; another table is refused.
        groups: (I,) group of each item, from 0 on; None makes sqrt(I) by `group_items`.
        width: Width of state, group and item factors.
        luck: Seed of initial weights and of sampling.
        use_sde: Accepted because SB3's on-policy learners pass it; must be False.
    """

    vectors: Tensor  # (I, D)
    members: Tensor  # (C, M) items of each group, -1 = none
    sizes: Tensor  # (C,) items in each group
    centres: Tensor  # (C, D) mean vector of each group
    group_of: Tensor  # (I,)
    starts: Tensor  # (C + 1,) first row of each group in `sorted`
    sorted: Tensor  # (I, D) vectors, group after group
    place_of: Tensor  # (I,) place of each item among its group's members
    is_compiled = True  # its scores are, so that a learner keeps it on the CPU
    prior = None  # the learners' schedules look for one
    alpha: Tensor  # () without effect, moved by the learners' schedules

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        lr_schedule: Schedule,
        *,
        item_vectors: NDArray[np.float32],
        table_fingerprint: str,
        groups: NDArray[np.int64] | None = None,
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
        if groups is None:
            groups = group_items(item_vectors, math.isqrt(len(item_vectors)), luck=0)
        self.table_fingerprint = table_fingerprint
        self.n_items = len(item_vectors)
        self.arguments = {
            "item_vectors": item_vectors,
            "table_fingerprint": table_fingerprint,
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
        self.register_buffer("sizes", torch.as_tensor(size))
        self.register_buffer("group_of", torch.as_tensor(groups))
        within = np.empty_like(groups)
        within[order] = place
        self.register_buffer("place_of", torch.as_tensor(within))
        starts = torch.as_tensor(np.concatenate([[0], np.cumsum(size)]))
        self.register_buffer("starts", starts)
        self.register_buffer("sorted", self.vectors[torch.as_tensor(order)], persistent=False)
        self.register_buffer("alpha", torch.tensor(0.0))
        total = torch.zeros(len(size), item_vectors.shape[1]).index_add_(
            0, self.group_of, self.vectors
        )
        centres = total / self.sizes.unsqueeze(1).clamp(min=1)
        self.register_buffer("centres", centres, persistent=False)
        dim = item_vectors.shape[1]
        self.scorer = nn.ModuleDict(
            {
                "state": nn.Sequential(
                    nn.Linear(2 * dim + 3, 64), nn.ReLU(), nn.Linear(64, 2 * width + 1)
                ),
                "skip": nn.Linear(2 * dim + 3, 2 * width, bias=False),
                "item": nn.Linear(dim, width, bias=False),
                "group": nn.Linear(dim, width, bias=False),
                "group_bias": nn.Linear(len(size), 1, bias=False),
            }
        )
        initialise(self.scorer, self.generator)
        with torch.no_grad():
            # Every logit starts at 0, so that the first policy shows all items equally often.
            for name in ("item", "group", "group_bias"):
                self._weight(name).zero_()
        self.width = width
        self.optimizer: AdamW = AdamW(
            self.scorer.parameters(), lr=lr_schedule(1.0), weight_decay=0.0
        )

    def _weight(self, name: str) -> Tensor:
        weight: Tensor = self.scorer[name].weight  # type: ignore[assignment]
        return weight

    @property
    def n_scores(self) -> int:
        """Numbers worked with for a state: a score a group, a score an item of one group."""
        return len(self.members) + self.members.shape[1]

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
        for_both = out[:, :-1] + self.scorer["skip"](features)
        return for_both[:, : self.width], for_both[:, self.width :], out[:, -1]

    def _group_logits(self, h: Tensor, obs: Observation) -> Tensor:
        """Return (N, C) logits of the groups; a group without an unseen item is -inf."""
        towards = h @ self._weight("group")
        offset = self._weight("group_bias") + self.sizes.log()  # no item, no chance
        return hide_seen(towards @ self.centres.T + offset, self._full(obs))

    def _full(self, obs: Observation) -> Tensor:
        """Return (N, L') groups without an item that may be shown, -1 elsewhere."""
        items = barred(obs).contiguous()
        return torch.from_numpy(
            full_groups(items.numpy(), self.group_of.numpy(), self.sizes.numpy())
        )

    def _item_logits(self, h: Tensor, group: Tensor, obs: Observation) -> Tensor:
        """Return (N, M) logits of the members of `group` (N,); -inf where seen or none."""
        towards = h @ self._weight("item")  # (N, D): h . W x = (W' h) . x, one product a row
        widest = self.members.shape[1]
        logits = member_scores(towards, self.sorted, self.starts, group, widest)
        items = barred(obs).contiguous()
        parts = (items, group, self.group_of, self.place_of, self._full(obs))
        return hide_seen(logits, torch.from_numpy(places_met(*(one.numpy() for one in parts))))

    def _draw(self, logits: Tensor, deterministic: bool) -> Tensor:
        drawn = sample_slates(logits, 1, generator=self.generator, deterministic=deterministic)
        return drawn.squeeze(1)

    def _drawn(self, obs: Observation, deterministic: bool) -> tuple[Tensor, ...]:
        """Return groups and places (N,), the logits they were drawn from, and V(s) (N,)."""
        for_groups, for_items, value = self._state(obs)
        of_groups = self._group_logits(for_groups, obs)
        group = self._draw(of_groups, deterministic)
        of_items = self._item_logits(for_items, group, obs)
        return group, self._draw(of_items, deterministic), of_groups, of_items, value

    def act(self, obs: Observation) -> tuple[Tensor, Tensor]:
        """Return drawn actions (N,) and values (N,): all that A2C reads of a step."""
        group, place, _, _, value = self._drawn(obs, deterministic=False)
        return self.members[group, place], value

    def _predict(self, observation: Any, deterministic: bool = False) -> Tensor:
        group, place, *_ = self._drawn(observation, deterministic)
        return self.members[group, place]

    def forward(self, obs: Observation, deterministic: bool = False) -> tuple[Tensor, ...]:
        """Return actions (N,), values (N, 1) and log-probabilities (N,)."""
        group, place, of_groups, of_items, value = self._drawn(obs, deterministic)
        log_prob = slate_log_prob(of_groups, group.unsqueeze(1))
        log_prob = log_prob + slate_log_prob(of_items, place.unsqueeze(1))
        return self.members[group, place], value.unsqueeze(1), log_prob

    def log_probs(self, obs: Observation) -> Tensor:
        """Return (N, I) log pi(a|s) of every item, -inf where seen: as dear as a flat head."""
        for_groups, for_items, _ = self._state(obs)
        logits = (for_items @ self._weight("item")) @ self.vectors.T
        logits = logits.masked_fill(seen_mask(barred(obs), self.n_items), -torch.inf)
        padded = functional.pad(logits, (0, 1), value=-torch.inf)[:, self.members]  # -1: the pad
        size = padded.logsumexp(2)  # (N, C), -inf where every item of a group was met
        shift = self._group_logits(for_groups, obs).log_softmax(1) - size.clamp(min=-1e30)
        return logits + shift[:, self.group_of]

    def evaluate_actions(self, obs: Observation, actions: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return values, log-probabilities and entropies (N,).

        The entropy is that of the group plus that within the chosen group: an unbiased estimate,
        the exact one would need every group's items.
        """
        for_groups, for_items, value = self._state(obs)
        chosen = actions.long().flatten()
        group = self.group_of[chosen]
        of_group, spread = chosen_and_entropy(self._group_logits(for_groups, obs), group)
        of_item, within = chosen_and_entropy(
            self._item_logits(for_items, group, obs), self.place_of[chosen]
        )
        return value, of_group + of_item, spread + within

    def predict_values(self, obs: Observation) -> Tensor:
        """Return V(s) as (N, 1)."""
        return self._state(obs)[2].unsqueeze(1)

    def reseed(self, luck: int) -> None:
        """Restart the sampling luck, so that a deployment does not depend on what ran before."""
        self.generator.manual_seed(luck)

    def check_table(self, fingerprint: str) -> None:
        """Raise SimrecError unless `fingerprint` is that of the table this policy was made for."""
        check_fingerprint(self.table_fingerprint, fingerprint)

    def _get_constructor_parameters(self) -> dict[str, Any]:
        return {
            "observation_space": self.observation_space,
            "action_space": self.action_space,
            "lr_schedule": self._dummy_schedule,
            **self.arguments,
        }
