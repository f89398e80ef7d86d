"""One factored network for critic, learned reward and actor: a score for every item in a state."""

import torch
from torch import Tensor, nn

from simrec.agents.chosen import chosen_scores
from simrec.agents.encoders import EncoderName, make_encoder
from simrec.agents.history import Observation, initialise
from simrec.agents.kept import Kept


class ItemScorer(nn.Module):
    """q(s, a) = (m(f) + L f) . (W x_a + o_a) + b_a, and a level u(f) of the state alone.

    m is a small ReLU network, L a linear skip; x_a is the item's frozen table row. The free
    vectors o_a and biases b_a exist only with `free_vectors`: without them the number of
    parameters does not grow with the catalogue, and a cold item is scored like any other.
    f is the history as an encoder sees it. Source: the factored click critic of this project's
    design notes (reconstructed from them).
    """

    hidden: int = 64

    def __init__(
        self,
        item_dim: int,
        n_items: int,
        *,
        width: int,
        free_vectors: bool,
        slate_size: int,
        generator: torch.Generator,
        encoder: EncoderName = "pooled",
    ) -> None:
        super().__init__()
        self.pool = make_encoder(
            encoder, n_items, item_dim, width, free_vectors=free_vectors, slate_size=slate_size
        )
        features = self.pool.out_dim
        self.user = nn.Sequential(
            nn.Linear(features, self.hidden), nn.ReLU(), nn.Linear(self.hidden, width)
        )
        self.skip = nn.Linear(features, width, bias=False)
        self.item = nn.Linear(item_dim, width, bias=False)
        self.item_bias = nn.Linear(item_dim, 1, bias=False)
        self.level = nn.Sequential(
            nn.Linear(features, self.hidden), nn.ReLU(), nn.Linear(self.hidden, 1)
        )
        self.free_out = nn.Parameter(torch.zeros(n_items, width)) if free_vectors else None
        self.free_bias = nn.Parameter(torch.zeros(n_items)) if free_vectors else None
        self._kept_items, self._kept_bias = Kept(), Kept()
        initialise(self, generator)
        with torch.no_grad():
            # q starts at 0 for every item: the first policy is exactly uniform, or the prior.
            self.item.weight.zero_()
            self.item_bias.weight.zero_()

    def free_parameters(self) -> list[nn.Parameter]:
        """Return the parameters that belong to single items (empty without `free_vectors`)."""
        parts = (self.pool.free, self.free_out)
        return [p for p in parts if p is not None]

    def forward(self, obs: Observation, vectors: Tensor) -> tuple[Tensor, Tensor]:
        """Return q (N, I) and the level (N,).

        Args:
            obs: Batched observation.
            vectors: (I, D) item table.
        """
        f = self.pool(obs, vectors)
        rows, bias = self.items(vectors), self.bias(vectors)
        return torch.addmm(bias, self.user(f) + self.skip(f), rows.T), self.level(f).squeeze(1)

    def at(self, obs: Observation, vectors: Tensor, items: Tensor) -> tuple[Tensor, Tensor]:
        """Return q at `items` (N, k) only, as (N, k), and the level (N,)."""
        f = self.pool(obs, vectors)
        towards = self.user(f) + self.skip(f)
        q = chosen_scores(towards, self.items(vectors), self.bias(vectors), items)
        return q, self.level(f).squeeze(1)

    def items(self, vectors: Tensor) -> Tensor:
        """Return (I, width) W x_a + o_a."""

        def make() -> Tensor:
            items: Tensor = self.item(vectors)
            return items if self.free_out is None else items + self.free_out

        free = [] if self.free_out is None else [self.free_out]
        return self._kept_items.get(make, [vectors, self.item.weight, *free])

    def bias(self, vectors: Tensor) -> Tensor:
        """Return (I,) b_a."""

        def make() -> Tensor:
            bias: Tensor = self.item_bias(vectors).squeeze(1)
            return bias if self.free_bias is None else bias + self.free_bias

        free = [] if self.free_bias is None else [self.free_bias]
        return self._kept_bias.get(make, [vectors, self.item_bias.weight, *free])
