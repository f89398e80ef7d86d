"""A user's history as a fixed number of features: what was liked, what was not, what was recent."""

import math

import torch
from torch import Tensor, nn

from simrec.agents.pooling import WeightedSums

Observation = dict[str, Tensor]  # history (N, L) int64 -1 pad left; feedback (N, L); step (N, 1)


def seen_mask(items: Tensor, n_items: int) -> Tensor:
    """Return (N, I) True where an item is in the history; -1 entries are padding.

    Args:
        items: (N, L) int64.
        n_items: Number of items I.
    """
    seen = torch.zeros(len(items), n_items + 1, dtype=torch.bool, device=items.device)
    seen.scatter_(1, items.long() + 1, True)  # column 0 collects the padding
    return seen[:, 1:]


class HistoryPooling(nn.Module):
    """Mean vectors of liked, not liked and recent items, with counts.

    Source: the features of the learner tried on MovieLens (this project's design notes).
    """

    recent: int = 5  # items of this session that count as recent, as many as boredom looks back
    streak: int = 4  # items over which the current click rate is taken

    def __init__(
        self, n_items: int, item_dim: int, width: int, *, free_vectors: bool, slate_size: int
    ) -> None:
        super().__init__()
        self.width = width
        self.slate_size = slate_size
        self.project = nn.Linear(item_dim, width, bias=False)
        self.free = nn.Parameter(torch.zeros(n_items, width)) if free_vectors else None

    @property
    def out_dim(self) -> int:
        """Number of features F."""
        return 3 * self.width + 4

    def forward(self, obs: Observation, vectors: Tensor) -> Tensor:
        """Return (N, F) features.

        Args:
            obs: Batched observation.
            vectors: (I, D) item table.
        """
        embedded = self.project(vectors)
        if self.free is not None:
            embedded = embedded + self.free
        items = obs["history"].long()
        real = (items >= 0).float()
        liked = obs["feedback"].float() * real
        disliked = real - liked
        back = torch.arange(items.shape[1] - 1, -1, -1, device=items.device)  # 0 = newest place
        step = obs["step"].long().view(-1, 1)
        in_session = back < step * self.slate_size
        recent = real * in_session * (back < self.recent)
        rows = items.clamp(min=0)

        pools = torch.stack([liked, disliked, recent])
        share = pools / pools.sum(2, keepdim=True).clamp(min=1.0)
        pooled: Tensor = WeightedSums.apply(embedded, rows, share)  # type: ignore[no-untyped-call]
        last = real * in_session * (back < self.streak)
        rate = (liked * last).sum(1, keepdim=True) / last.sum(1, keepdim=True).clamp(min=1.0)
        length = float(items.shape[1])
        count_liked, count_disliked = liked.sum(1, keepdim=True), disliked.sum(1, keepdim=True)
        return torch.cat(
            [
                pooled,
                count_liked / length,
                count_disliked / length,
                rate,
                step.float() / length,
            ],
            dim=1,
        )


def initialise(module: nn.Module, generator: torch.Generator) -> None:
    """Draw every linear layer's weights anew from `generator` (Kaiming-uniform, bias likewise)."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear):
            bound = 1.0 / math.sqrt(layer.in_features)
            with torch.no_grad():
                layer.weight.uniform_(-bound, bound, generator=generator)
                if layer.bias is not None:
                    layer.bias.uniform_(-bound, bound, generator=generator)
