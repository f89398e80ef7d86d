"""Ways to make one vector of several: the fusions compared by MMSR, and later gates and experts."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from simrec.errors import SimrecError, nearest
from simrec.items.side_adapter import Encoded, hide_absent, linear, shares

FUSIONS = ("linear", "sum", "concat", "film", "gated", "late_gate", "moe")


class Experts(nn.Module):
    """Experts weighed by a router that sees every modality and gives absent ones no say.

    In the style of MOMEF (CROSSAN, Fu et al., arXiv 2504.10307; abstract read, the equations were
    not: reconstructed): one expert a modality, router softmax(R [LN(e_1); ..; LN(e_M)]).
    """

    def __init__(self, count: int, width: int, *, rng: torch.Generator) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(count))
        self.router = linear(count * width, count, rng)
        self.experts = nn.ModuleList(
            nn.Sequential(linear(width, width, rng), nn.ReLU(), linear(width, width, rng))
            for _ in range(count)
        )

    def weights(self, own: Tensor, present: Tensor) -> Tensor:
        """Return the router's weights (U, M), zero for absent modalities."""
        seen = [hide_absent(norm(own[:, m]), present[:, m]) for m, norm in enumerate(self.norms)]
        return shares(self.router(torch.cat(seen, 1)), present)

    def forward(self, own: Tensor, present: Tensor) -> Tensor:
        """Fuse (U, M, width) into (U, width)."""
        weight = self.weights(own, present)
        answers = torch.stack([expert(own[:, m]) for m, expert in enumerate(self.experts)], 1)
        out: Tensor = (weight[..., None] * answers).sum(1)
        return out


class FusionEncoder(nn.Module):
    """Frozen vectors, a linear map a modality, and one fusion.

    "linear" (the control: frozen features and one linear map of them all), "sum", "concat", "film"
    (x a(y) + b(y)) and "gated" (x sigmoid(W y)) are MMSR's vector-level fusions (Li et al., arXiv
    2403.17372; public code read); "late_gate", z x + (1 - z) y
    with z = sigmoid(W [x; y]), is NoteLLM-2's (Zhang et al., arXiv 2405.16789; read); "moe" is
    `Experts`. Fusions of two fold the modalities from the left, skipping absent ones (ours), so the
    first is what the others modulate.
    """

    def __init__(
        self,
        dims: Mapping[str, int],
        layers: Mapping[str, int],
        *,
        rng: torch.Generator,
        width: int = 64,
        fusion: str = "concat",
        mlp: bool = False,
    ) -> None:
        """Build the maps.

        Args:
            dims: Width of each modality's states.
            layers: Number of each modality's states; only the last is read.
            rng: Draws the weights.
            width: Of the vectors returned.
            fusion: A member of FUSIONS.
            mlp: Follow the fusion by three layers.

        Raises:
            SimrecError: There is no such fusion.
        """
        super().__init__()
        if fusion not in FUSIONS:
            raise SimrecError(f"there is no fusion '{fusion}'; {nearest(fusion, FUSIONS)}")
        del layers
        self.names, self.fusion = tuple(dims), fusion
        count = len(self.names)
        self.maps = nn.ModuleDict({m: linear(dims[m], width, rng) for m in self.names})
        self.missing = nn.Parameter(torch.zeros(count, width))
        pair = {"film": 2 * width, "gated": width, "late_gate": width}
        self.fold = nn.ModuleList(
            linear(width * (2 if fusion == "late_gate" else 1), pair[fusion], rng)
            for _ in self.names[1:]
            if fusion in pair
        )
        self.join = linear(count * width, width, rng) if fusion == "concat" else None
        self.experts = Experts(count, width, rng=rng) if fusion == "moe" else None
        steps: list[nn.Module] = []
        if mlp:
            for _ in range(2):
                steps += [linear(width, width, rng), nn.GELU()]
            steps.append(linear(width, width, rng))
        self.tail = nn.Sequential(*steps)

    def forward(self, states: Mapping[str, Tensor], present: Tensor) -> Encoded:
        """Encode U items; see `SideAdapter.forward`."""
        vectors = []
        for column, m in enumerate(self.names):
            mapped = self.maps[m](hide_absent(states[m][:, -1], present[:, column]))
            vectors.append(torch.where(present[:, column, None], mapped, self.missing[column]))
        own = torch.stack(vectors, 1)
        fused: Tensor = self.tail(self._fused(own, present))
        return fused, own

    def _fused(self, own: Tensor, present: Tensor) -> Tensor:
        if self.join is not None:
            joined: Tensor = self.join(own.flatten(1))
            return joined
        if self.experts is not None:
            mixed: Tensor = self.experts(own, present)
            return mixed
        if self.fusion in ("linear", "sum"):
            return own.sum(1)
        x, some = own[:, 0], present[:, 0, None]
        for column in range(1, own.shape[1]):
            y, here = own[:, column], present[:, column, None]
            both = self._pair(x, y, self.fold[column - 1])
            x = torch.where(here & some, both, torch.where(here, y, x))
            some = some | here
        return x

    def _pair(self, x: Tensor, y: Tensor, layer: nn.Module) -> Tensor:
        if self.fusion == "film":
            scale, shift = layer(y).chunk(2, 1)
            film: Tensor = x * scale + shift
            return film
        if self.fusion == "gated":
            return x * torch.sigmoid(layer(y))
        z = torch.sigmoid(layer(torch.cat([x, y], 1)))
        return z * x + (1 - z) * y
