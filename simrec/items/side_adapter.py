"""The side adapter of IISAN and IISAN-Versa: small blocks beside frozen towers, M modalities."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

Encoded = tuple[Tensor, Tensor]  # fused (U, width), and one vector a modality (U, M, width)


class SideBlock(nn.Module):
    """x + up(act(down(x))), weights N(0, 0.01^2) and zero biases, so it starts near identity."""

    def __init__(self, dim: int, bottleneck: int, dropout: float, rng: torch.Generator) -> None:
        super().__init__()
        self.down, self.up = nn.Linear(dim, bottleneck), nn.Linear(bottleneck, dim)
        self.drop = nn.Dropout(dropout)
        for layer in (self.down, self.up):
            nn.init.normal_(layer.weight, std=0.01, generator=rng)
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., dim) to the same shape."""
        out: Tensor = x + self.up(self.drop(torch.relu(self.down(x))))
        return out


def linear(inputs: int, outputs: int, rng: torch.Generator) -> nn.Linear:
    """Return a Linear drawn from `rng`: Xavier-normal weights, zero bias."""
    layer = nn.Linear(inputs, outputs)
    nn.init.xavier_normal_(layer.weight, generator=rng)
    nn.init.zeros_(layer.bias)
    return layer


def hide_absent(states: Tensor, present: Tensor) -> Tensor:
    """Return states (U, ...) with zeros where `present` (U,) is False, whatever stood there."""
    keep = present.view(-1, *([1] * (states.dim() - 1)))
    return torch.where(keep, states, torch.zeros((), dtype=states.dtype))


def shares(logits: Tensor, present: Tensor) -> Tensor:
    """Return softmax weights over present modalities (U, M); all zero where none is present."""
    some = present.any(1, keepdim=True)
    masked = torch.where(present | ~some, logits, torch.full_like(logits, -torch.inf))
    return torch.softmax(masked, 1) * present


def side_towers(
    dims: Mapping[str, int],
    layers: Mapping[str, int],
    bottleneck: int,
    dropout: float,
    rng: torch.Generator,
) -> nn.ModuleDict:
    """Return a side block for each state of each modality."""
    return nn.ModuleDict(
        {
            m: nn.ModuleList(SideBlock(dims[m], bottleneck, dropout, rng) for _ in range(layers[m]))
            for m in dims
        }
    )


def head(dim: int, width: int, rng: torch.Generator) -> nn.Sequential:
    """Return two layers from a tower's width to the vectors' width."""
    return nn.Sequential(linear(dim, dim, rng), nn.ReLU(), linear(dim, width, rng))


def own_vectors(
    sides: Mapping[str, Tensor], heads: nn.ModuleDict, missing: Tensor, present: Tensor
) -> Tensor:
    """Return each tower's head (U, M, width), the learnt vector where a modality is absent."""
    return torch.stack(
        [
            torch.where(present[:, c, None], heads[m](side), missing[c])
            for c, (m, side) in enumerate(sides.items())
        ],
        1,
    )


class SideAdapter(nn.Module):
    """Intra- and inter-modal side towers over cached states.

    Intra tower of modality m: s_k = B_k(mu_k h_k + (1 - mu_k) s_{k-1}), s_0 = 0. Inter tower:
    z_k = B_k(z_{k-1} + sum_m b_{k,m} A_m h^m_k), z_0 = 0, where gates are sigmoid or softmax of
    g / 0.1 with g = 0 at the start. Towers of different depth are paired at their last steps and
    the deeper one's first steps run alone; the inter tower has the smallest width and wider states
    pass a linear map A_m (equal widths: none). Heads of two layers bring every tower to `width`; a
    linear map fuses them. Two modalities alike in depth and width are IISAN (Fu et al., SIGIR 2024,
    arXiv 2404.02059), others IISAN-Versa (Fu et al., TKDE): abstracts and public code
    read, written anew. More than two modalities, absent ones and the heads' activation are ours.
    """

    def __init__(
        self,
        dims: Mapping[str, int],
        layers: Mapping[str, int],
        *,
        rng: torch.Generator,
        width: int = 64,
        bottleneck: int = 64,
        dropout: float = 0.1,
    ) -> None:
        """Build the towers.

        Args:
            dims: Width of each modality's states.
            layers: Number of each modality's states.
            rng: Draws the weights.
            width: Of the vectors returned.
            bottleneck: Of every side block.
            dropout: Within side blocks, in [0, 1).
        """
        super().__init__()
        self.names = tuple(dims)
        self.depth = {m: layers[m] for m in self.names}
        self.steps, self.inner = max(self.depth.values()), min(dims.values())

        self.intra = side_towers(dims, layers, bottleneck, dropout, rng)
        self.intra_gate = nn.ParameterDict(
            {m: nn.Parameter(torch.zeros(layers[m])) for m in self.names}
        )
        self.inter = nn.ModuleList(
            SideBlock(self.inner, bottleneck, dropout, rng) for _ in range(self.steps)
        )
        self.inter_gate = nn.Parameter(torch.zeros(self.steps, len(self.names)))
        self.align = nn.ModuleDict(
            {
                m: nn.ModuleList(linear(dims[m], self.inner, rng) for _ in range(layers[m]))
                for m in self.names
                if dims[m] != self.inner
            }
        )
        self.heads = nn.ModuleDict({m: head(dims[m], width, rng) for m in self.names})
        self.inter_head = head(self.inner, width, rng)
        self.missing = nn.Parameter(torch.zeros(len(self.names), width))
        self.fuse = linear(width * (len(self.names) + 1), width, rng)

    def _intra(self, name: str, states: Tensor) -> Tensor:
        side = torch.zeros_like(states[:, 0])
        gates = torch.sigmoid(self.intra_gate[name] / 0.1)
        for step in range(self.depth[name]):
            mixed = gates[step] * states[:, step] + (1 - gates[step]) * side
            side = self.intra[name][step](mixed)  # type: ignore[index]
        return side

    def _inter(self, states: Mapping[str, Tensor], present: Tensor) -> Tensor:
        side = states[self.names[0]].new_zeros(len(present), self.inner)
        for step in range(self.steps):
            offset = {m: step - self.steps + self.depth[m] for m in self.names}
            here = present & torch.tensor([offset[m] >= 0 for m in self.names])
            weight = shares((self.inter_gate[step] / 0.1).expand_as(here), here)
            mixed = side
            for column, m in enumerate(self.names):
                if offset[m] < 0:
                    continue
                state = states[m][:, offset[m]]
                if m in self.align:
                    state = self.align[m][offset[m]](state)  # type: ignore[index]
                mixed = mixed + weight[:, column, None] * state
            side = self.inter[step](mixed)
        return side

    def forward(self, states: Mapping[str, Tensor], present: Tensor) -> Encoded:
        """Encode U items.

        Args:
            states: Modality -> (U, K_m, D_m); contents of absent rows are never read.
            present: (U, M) bool, columns in the order of `dims`.

        Returns:
            Fused vectors (U, width), and the intra towers' own (U, M, width), a learnt vector where
            a modality is absent.
        """
        safe = {m: hide_absent(states[m], present[:, c]) for c, m in enumerate(self.names)}
        sides = {m: self._intra(m, safe[m]) for m in self.names}
        own = own_vectors(sides, self.heads, self.missing, present)
        joint = self.inter_head(self._inter(safe, present))
        return self.fuse(torch.cat([own.flatten(1), joint], 1)), own
