"""A user's history as a fixed number of features: what was liked, what was not, what was recent."""

import math
from typing import Any

import numpy as np
import torch
from numba import njit
from numpy.typing import NDArray
from torch import Tensor, nn

from simrec.agents.kept import Kept
from simrec.agents.pooling import Pooled, pool_back, pooled_plainly

Observation = dict[str, Tensor]  # history (N, L) int64 -1 pad left; feedback (N, L); step (N, 1)


def barred(obs: Observation) -> Tensor:
    """Return (N, L') int64 items that must not be shown, -1 = none: met, or not on offer now.

    Args:
        obs: `history` (N, L), and in worlds whose items come and go `absent` (N, A).
    """
    met = obs["history"].long()
    return torch.cat([met, obs["absent"].long()], dim=1) if "absent" in obs else met


def seen_mask(items: Tensor, n_items: int) -> Tensor:
    """Return (N, I) True where an item is among some of its own; -1 entries are padding.

    Args:
        items: (N, L) int64, such as a history or what `barred` says.
        n_items: Number of items I.
    """
    seen = torch.zeros(len(items), n_items + 1, dtype=torch.bool, device=items.device)
    seen.scatter_(1, items.long() + 1, True)  # column 0 collects the padding
    return seen[:, 1:]


class _Hidden(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, items: Tensor) -> Tensor:
        _hide(logits.detach().numpy(), items.numpy())
        ctx.mark_dirty(logits)
        return logits

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        return grads[0], None  # an item that is never shown has no slope


def hide_seen(logits: Tensor, items: Tensor) -> Tensor:
    """Return the logits, on the CPU overwritten: -inf where an item is among those to hide.

    What follows must be a softmax, whose slope is 0 there.

    Args:
        logits: (N, I) float32, contiguous, that nobody else reads.
        items: (N, L) int64, -1 entries are padding.
    """
    if logits.device.type != "cpu":
        return logits.masked_fill(seen_mask(items, logits.shape[1]), -torch.inf)
    hidden: Tensor = _Hidden.apply(logits, items.long())  # type: ignore[no-untyped-call]
    return hidden


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _hide(logits: NDArray[np.float32], items: NDArray[np.int64]) -> None:
    for i in range(len(items)):
        for j in range(items.shape[1]):
            if items[i, j] >= 0:
                logits[i, items[i, j]] = -np.inf


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
        self._kept = Kept()

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
        table = self._embedded(vectors)
        if table.device.type == "cpu":
            pooled: Tensor = Pooled.apply(  # type: ignore[no-untyped-call]
                table, *self._read(obs), self.recent, self.streak
            )
        else:
            in_session = obs["step"].long().view(-1) * self.slate_size
            pooled = pooled_plainly(
                table, obs["history"], obs["feedback"], in_session, self.recent, self.streak
            )
        step = obs["step"].view(-1, 1) / float(obs["history"].shape[1])
        return torch.cat([pooled, step], dim=1)

    def table_gradient(self, grad: Tensor, obs: Observation, n_items: int) -> Tensor:
        """Return the gradient (I, width) of W x + o for that of the features (N, F)."""
        grads = grad[:, :-1].contiguous().numpy()
        return torch.from_numpy(pool_back(grads, *self._read(obs), self.recent, n_items))

    def _read(self, obs: Observation) -> tuple[NDArray[Any], ...]:
        return (
            obs["history"].long().contiguous().numpy(),
            obs["feedback"].float().contiguous().numpy(),
            (obs["step"].long().view(-1) * self.slate_size).numpy(),
        )

    def _embedded(self, vectors: Tensor) -> Tensor:
        def make() -> Tensor:
            rows: Tensor = self.project(vectors)
            return rows if self.free is None else rows + self.free

        return self._kept.get(make, [vectors, *self.parameters()])


def initialise(module: nn.Module, generator: torch.Generator) -> None:
    """Draw every linear layer's weights anew from `generator` (Kaiming-uniform, bias likewise)."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear):
            bound = 1.0 / math.sqrt(layer.in_features)
            with torch.no_grad():
                layer.weight.uniform_(-bound, bound, generator=generator)
                if layer.bias is not None:
                    layer.bias.uniform_(-bound, bound, generator=generator)
