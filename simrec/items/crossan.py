"""Cross-modal side adapters for any number of modalities, with experts at the end."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from simrec.items.fusion import Experts
from simrec.items.side_adapter import (
    Encoded,
    head,
    hide_absent,
    linear,
    own_vectors,
    shares,
    side_towers,
)


class CrossAdapter(nn.Module):
    """Side towers that listen to one another at every step.

    In the style of CROSSAN (Fu et al., arXiv 2504.10307; abstract read, its equations were not:
    reconstructed). For modality m at step k: x = mu h^m_k + (1 - mu) s^m_{k-1} + sum over present
    n of a_{mn,k} P_{n->m} s^n_{k-1}, s^m_k = B(x), with P of low rank and a = softmax over present
    n != m. A shorter tower starts later, so that all end together.
    """

    def __init__(
        self,
        dims: Mapping[str, int],
        layers: Mapping[str, int],
        *,
        rng: torch.Generator,
        width: int = 64,
        bottleneck: int = 64,
        rank: int = 16,
        dropout: float = 0.1,
    ) -> None:
        """Build the towers.

        Args:
            dims: Width of each modality's states.
            layers: Number of each modality's states.
            rng: Draws the weights.
            width: Of the vectors returned.
            bottleneck: Of every side block.
            rank: Of the links between towers.
            dropout: Within side blocks, in [0, 1).
        """
        super().__init__()
        self.names = tuple(dims)
        self.depth = {m: layers[m] for m in self.names}
        self.steps = max(self.depth.values())
        count = len(self.names)
        self.blocks = side_towers(dims, layers, bottleneck, dropout, rng)
        self.gate = nn.Parameter(torch.zeros(self.steps, count))
        self.listen = nn.Parameter(torch.zeros(self.steps, count, count))
        self.send = nn.ModuleDict({m: linear(dims[m], rank, rng) for m in self.names})
        self.receive = nn.ModuleDict({m: linear(rank, dims[m], rng) for m in self.names})
        self.heads = nn.ModuleDict({m: head(dims[m], width, rng) for m in self.names})
        self.missing = nn.Parameter(torch.zeros(count, width))
        self.experts = Experts(count, width, rng=rng)

    def forward(self, states: Mapping[str, Tensor], present: Tensor) -> Encoded:
        """Encode U items; see `SideAdapter.forward`."""
        safe = {m: hide_absent(states[m], present[:, c]) for c, m in enumerate(self.names)}
        side = {m: torch.zeros_like(safe[m][:, 0]) for m in self.names}
        for step in range(self.steps):
            started = [step - self.steps + self.depth[m] for m in self.names]
            sent = torch.stack([self.send[m](side[m]) for m in self.names], 1)  # (U, M, rank)
            after = dict(side)
            for column, m in enumerate(self.names):
                k = started[column]
                if k < 0:
                    continue
                speaks = torch.tensor(
                    [n != column and s > 0 for n, s in enumerate(started)], dtype=torch.bool
                )
                heard = present & speaks
                weight = shares(self.listen[step, column].expand(heard.shape), heard)
                mu = torch.sigmoid(self.gate[step, column] / 0.1)
                told = self.receive[m]((weight[..., None] * sent).sum(1))
                told = hide_absent(told, heard.any(1))  # silence carries no bias either
                x = mu * safe[m][:, k] + (1 - mu) * side[m] + told
                after[m] = self.blocks[m][k](x)  # type: ignore[index]
            side = after
        own = own_vectors(side, self.heads, self.missing, present)
        return self.experts(own, present), own
