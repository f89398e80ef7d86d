"""Two critics that learn from the same clicks and act by their mean."""

import inspect
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from simrec.agents.adaptation import Adaptation
from simrec.agents.history import Observation
from simrec.agents.kac import KAC
from simrec.agents.policy import ItemPolicy
from simrec.agents.scorer import ItemScorer
from simrec.agents.strategy import Deployment, Online, adapted, strategy

CRITICS = 2


class Averaged(nn.Module):
    """Scores and level are means over critics that begin with different weights.

    What the critics found in the clicks alike stays, what each made up is halved.
    """

    def __init__(self, critics: Sequence[ItemScorer]) -> None:
        super().__init__()
        self.critics = nn.ModuleList(critics)
        self.hidden = sum(critic.hidden for critic in critics)

    def each(self) -> list[ItemScorer]:
        """Return the critics."""
        return [critic for critic in self.critics if isinstance(critic, ItemScorer)]

    def free_parameters(self) -> list[nn.Parameter]:
        """Return the parameters of all critics that belong to single items."""
        return [p for critic in self.each() for p in critic.free_parameters()]

    def forward(self, obs: Observation, vectors: Tensor) -> tuple[Tensor, Tensor]:
        """Return q (N, I) and the level (N,), as `ItemScorer` does."""
        return self._mean([critic(obs, vectors) for critic in self.each()])

    def at(self, obs: Observation, vectors: Tensor, items: Tensor) -> tuple[Tensor, Tensor]:
        """Return q at `items` (N, k) only, as (N, k), and the level (N,)."""
        return self._mean([critic.at(obs, vectors, items) for critic in self.each()])

    def _mean(self, found: Sequence[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
        q, level = (torch.stack(parts).mean(0) for parts in zip(*found, strict=True))
        return q, level


class Pair(ItemPolicy):
    """Acts by the mean of two critics; each learns from every click as if it were alone."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        more = [self.another_scorer() for _ in range(CRITICS - 1)]
        self.scorer = Averaged([self.scorer, *more])  # type: ignore[assignment]
        self.optimizer = self.new_optimizer(self.optimizer.param_groups[0]["lr"])

    def critics(self) -> list[ItemScorer]:
        """Return the two."""
        assert isinstance(self.scorer, Averaged)
        return self.scorer.each()


def cooler(online: Online) -> dict[str, float]:
    """Return settings that halve the temperature KAC begins with, its last one at the least.

    A mean of critics differs less from item to item than each of them, so at the temperature of one
    it would try more at random.
    """

    def own(name: str) -> float:
        usual = inspect.signature(KAC.__init__).parameters[name].default
        return float(online.spec.settings.get(name, usual))

    return {"temperature": max(own("temperature") / CRITICS, own("final_temperature"))}


@strategy(
    "scratch-pair",
    source="mean of an ensemble; this project's design notes (critics averaged)",
    pretrained=False,
)
def pair(pretrained: ItemPolicy, online: Online) -> Deployment:
    """Like scratch, but with two critics whose mean acts: what of ap-pair is not pi_0's."""
    return adapted(online, Adaptation(), policy=Pair, settings=cooler(online))
