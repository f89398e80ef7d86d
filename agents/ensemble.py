"""Several critics that serve different users: Thompson sampling by an ensemble."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from simrec.agents.adaptation import Adaptation
from simrec.agents.history import Observation
from simrec.agents.policy import ItemPolicy
from simrec.agents.scorer import ItemScorer
from simrec.agents.strategy import Deployment, Online, adapted, strategy

MEMBERS = 4
SPREAD = 0.5  # logits; of the item biases a member begins with, its guess before any click


class Members(nn.Module):
    """Scorers that share the rows of a batch: row b is scored, and learned from, by b mod M.

    Users arrive in rows at random, so a member's users are a random share of all. Together the
    members cost what one scorer costs; each hears an M-th of what was remembered.
    """

    def __init__(self, scorers: Sequence[ItemScorer]) -> None:
        super().__init__()
        self.scorers = nn.ModuleList(scorers)
        self.hidden = scorers[0].hidden

    def free_parameters(self) -> list[nn.Parameter]:
        """Return the parameters of all members that belong to single items."""
        return [p for scorer in self._each() for p in scorer.free_parameters()]

    def forward(self, obs: Observation, vectors: Tensor) -> tuple[Tensor, Tensor]:
        """Return q (N, I) and the level (N,), as `ItemScorer` does."""
        return self._together([s(part, vectors) for s, part in self._parts(obs)])

    def at(self, obs: Observation, vectors: Tensor, items: Tensor) -> tuple[Tensor, Tensor]:
        """Return q at `items` (N, k) only, as (N, k), and the level (N,)."""
        some = [items[m :: len(self.scorers)] for m in range(len(self.scorers))]
        parts = zip(self._parts(obs), some, strict=False)
        return self._together([s.at(part, vectors, shown) for (s, part), shown in parts])

    def _each(self) -> list[ItemScorer]:
        return [scorer for scorer in self.scorers if isinstance(scorer, ItemScorer)]

    def _parts(self, obs: Observation) -> list[tuple[ItemScorer, Observation]]:
        """Return the members that have a row, each with its rows."""
        M, n = len(self.scorers), len(obs["history"])
        members = enumerate(self._each()[:n])
        return [(s, {key: value[m::M] for key, value in obs.items()}) for m, s in members]

    def _together(self, found: Sequence[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
        """Put the members' rows back in order."""
        M, n = len(self.scorers), sum(len(level) for _, level in found)
        order = torch.cat([torch.arange(m, n, M) for m in range(len(found))]).argsort()
        q, level = (torch.cat(parts)[order] for parts in zip(*found, strict=True))
        return q, level


class Ensemble(ItemPolicy):
    """Row b acts by the critic of member b mod M."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        rate = self.optimizer.param_groups[0]["lr"]
        scorers = []
        for _ in range(MEMBERS):
            scorer = self.another_scorer()
            if scorer.free_bias is not None:
                with torch.no_grad():
                    luck = torch.randn(self.n_items, generator=self.generator)
                    scorer.free_bias.copy_(SPREAD * luck)
            scorers.append(scorer)
        self.scorer = Members(scorers)  # type: ignore[assignment]
        self.optimizer = self.new_optimizer(rate)


@strategy(
    "scratch-ensemble",
    source="bootstrapped Thompson sampling: Osband et al., NeurIPS 2016; reconstructed",
    pretrained=False,
)
def ensemble(pretrained: ItemPolicy, online: Online) -> Deployment:
    """Like scratch, but four critics with random first guesses share users and what is learned."""
    return adapted(online, Adaptation(), policy=Ensemble)
