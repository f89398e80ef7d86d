"""Item encoders on graphs: MGCN's purifier and fuser, BeFA's gate, LIRDRec's ID-free streams."""

from collections.abc import Mapping

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from scipy.fft import dct
from torch import Tensor, nn
from torch.nn import functional

from simrec.errors import SimrecError, nearest
from simrec.items.neighbours import cosine_neighbours
from simrec.items.side_adapter import linear, shares

PURIFIERS = ("linear", "befa", "none")
Views = tuple[Tensor, Tensor, Tensor, Tensor]  # users (U, W), items (I, W), own (I, M, w), extra ()


def normalised_graph(links: sp.csr_matrix) -> sp.csr_matrix:
    """Return D_r^-1/2 A D_c^-1/2, rows and columns without a link staying empty."""
    matrix = sp.csr_matrix(links, dtype=np.float32)
    scale = []
    for axis in (1, 0):
        degree = np.asarray(matrix.sum(axis=axis)).ravel()
        scale.append(np.divide(1.0, np.sqrt(degree), out=np.zeros_like(degree), where=degree > 0))
    return sp.csr_matrix(sp.diags(scale[0]) @ matrix @ sp.diags(scale[1]))


def neighbour_graph(
    values: NDArray[np.float32], present: NDArray[np.bool_], k: int = 10
) -> sp.csr_matrix:
    """Link each present item to its k nearest by cosine, normalised on both sides (I, I)."""
    known = np.flatnonzero(present)
    if len(known) < 2:
        nothing = (np.zeros(0, np.float32), (known[:0], known[:0]))
        return sp.csr_matrix(nothing, shape=(len(values),) * 2)
    near, _ = cosine_neighbours(values, min(k, len(known) - 1), among=known)
    rows = np.repeat(known, near.shape[1])
    links = (np.ones(len(rows), dtype=np.float32), (rows, near[known].ravel()))
    return normalised_graph(sp.csr_matrix(links, shape=(len(values),) * 2))


def as_torch(matrix: sp.csr_matrix) -> Tensor:
    """Return a SciPy matrix as a sparse torch tensor."""
    coo = matrix.tocoo()
    place = torch.from_numpy(np.vstack([coo.row, coo.col]).astype(np.int64))
    value = torch.from_numpy(coo.data.astype(np.float32))
    shape = tuple(coo.shape)
    return torch.sparse_coo_tensor(place, value, shape, check_invariants=True).coalesce()


def light_gcn(links: Tensor, users: Tensor, items: Tensor, layers: int) -> tuple[Tensor, Tensor]:
    """Return the sum over 0..layers steps along user-item links (LightGCN, arXiv 2002.02126)."""
    user_sum, item_sum = users, items
    for _ in range(layers):
        users, items = torch.sparse.mm(links, items), torch.sparse.mm(links.t(), users)
        user_sum, item_sum = user_sum + users, item_sum + items
    return user_sum, item_sum


class _GraphEncoder(nn.Module):
    """What both encoders hold: user-item links, who has what, and features with blanks blanked."""

    links: Tensor
    present: Tensor

    def __init__(
        self,
        features: Mapping[str, NDArray[np.float32]],
        present: NDArray[np.bool_],
        links: sp.csr_matrix,
    ) -> None:
        super().__init__()
        self.names = tuple(features)
        self.safe = {
            m: np.where(present[:, c, None], v, np.float32(0.0))
            for c, (m, v) in enumerate(features.items())
        }
        for name, values in self.safe.items():
            self.hold(f"f_{name}", torch.from_numpy(values))
        self.hold("links", as_torch(normalised_graph(links)))
        self.hold("present", torch.from_numpy(present))

    def hold(self, name: str, values: Tensor) -> None:
        """Keep a tensor that is no weight and is in no saved state."""
        self.register_buffer(name, values, persistent=False)


class MGCN(_GraphEncoder):
    """Purified modality views and a behaviour view, fused by what behaviour says.

    MGCN (Yu et al., ACM MM 2023, arXiv 2308.03588; public code read, written anew): item ids times
    sigmoid(Linear(W_m f_m)), one hop on an item graph, users as the mean of their items; attention
    over views gives a common part, a gate of the behaviour view what is specific. `purifier="befa"`
    puts BeFA's three-layer gate there (AAAI 2025; code read). "none" has the features alone.
    """

    def __init__(
        self,
        features: Mapping[str, NDArray[np.float32]],
        present: NDArray[np.bool_],
        links: sp.csr_matrix,
        *,
        rng: torch.Generator,
        width: int = 64,
        purifier: str = "linear",
        factor: int = 4,
        contrast: float = 0.01,
        neighbours: int = 10,
    ) -> None:
        """Build graphs and weights.

        Args:
            features: Modality -> (I, D), zero where absent.
            present: (I, M).
            links: (U, I) who met what.
            rng: Draws the weights.
            width: Of ids and vectors.
            purifier: A member of PURIFIERS.
            factor: Width of BeFA's gate as a multiple of `width`.
            contrast: Weight of InfoNCE between side and behaviour views.
            neighbours: Of the item graphs.

        Raises:
            SimrecError: There is no such purifier.
        """
        super().__init__(features, present, links)
        if purifier not in PURIFIERS:
            raise SimrecError(f"there is no purifier '{purifier}'; {nearest(purifier, PURIFIERS)}")
        self.purifier, self.contrast = purifier, contrast
        n_users, n_items = links.shape
        self.users = nn.Parameter(0.1 * torch.randn(n_users, width, generator=rng))
        self.items = nn.Parameter(0.1 * torch.randn(n_items, width, generator=rng))
        self.maps = nn.ModuleDict()
        self.gates = nn.ModuleDict()
        for column, (name, values) in enumerate(self.safe.items()):
            graph = neighbour_graph(values, present[:, column], neighbours)
            self.hold(f"g_{name}", as_torch(graph))
            self.maps[name] = linear(values.shape[1], width, rng)
            wide = factor * width
            self.gates[name] = (
                nn.Sequential(
                    *(linear(width, wide, rng), nn.ReLU(), linear(wide, wide, rng), nn.ReLU()),
                    linear(wide, width, rng),
                )
                if purifier == "befa"
                else linear(width, width, rng)
            )
        self.attend = nn.Sequential(linear(width, width, rng), nn.Tanh(), linear(width, 1, rng))
        self.prefer = nn.ModuleDict({m: linear(width, width, rng) for m in self.names})

    def purified(self, name: str) -> Tensor:
        """Return a modality's item view before the graph (I, width)."""
        mapped: Tensor = self.maps[name](getattr(self, f"f_{name}"))
        if self.purifier == "none":
            return mapped
        gated: Tensor = self.items * torch.sigmoid(self.gates[name](mapped))
        return gated

    def forward(self) -> Views:
        """Return users, items, each modality's item view, and the contrast's loss."""
        behaviour = torch.cat([x / 3 for x in light_gcn(self.links, self.users, self.items, 2)])
        views, seen = [], []
        user_seen = torch.ones(len(self.users), dtype=torch.bool)
        for column, name in enumerate(self.names):
            there = self.present[:, column, None]
            item = torch.sparse.mm(getattr(self, f"g_{name}"), self.purified(name)) * there
            views.append(torch.cat([torch.sparse.mm(self.links, item), item]))
            seen.append(torch.cat([user_seen, there[:, 0]]))
        view, known = torch.stack(views, 1), torch.stack(seen, 1)
        weight = shares(self.attend(view)[..., 0], known)
        common = (weight[..., None] * view).sum(1)
        specific = [
            (view[:, c] - common) * torch.sigmoid(self.prefer[m](behaviour)) * known[:, c, None]
            for c, m in enumerate(self.names)
        ]
        side = (torch.stack(specific).sum(0) + common) / (len(self.names) + 1)
        whole = behaviour + side
        n = len(self.users)
        extra = whole.new_zeros(())
        if self.training and self.contrast:
            rows = torch.arange(n, len(whole))[:512]
            a, b = (functional.normalize(x[rows], dim=1) for x in (side, behaviour))
            extra = self.contrast * functional.cross_entropy(a @ b.T / 0.2, rows - n)
        return whole[:n], whole[n:], view[n:], extra


class LIRDRec(_GraphEncoder):
    """Vectors of items from their contents alone, so that a new item needs no new training.

    LIRDRec (public code read, written anew): one stream a modality and one of all modalities'
    cosine transforms side by side, each through two layers; users have a free vector a stream;
    streams are brought to length 1 and walk the user-item graph; items take a hop on a graph of
    alike items. The transform is orthonormal and fixed, so before a linear map it changes
    conditioning and nothing else. Users' weights over streams are learnt; the paper's copying of
    the last epoch's weights is left out (reduced).
    """

    def __init__(
        self,
        features: Mapping[str, NDArray[np.float32]],
        present: NDArray[np.bool_],
        links: sp.csr_matrix,
        *,
        rng: torch.Generator,
        width: int = 64,
        layers: int = 2,
        hop: float = 0.2,
        neighbours: int = 10,
    ) -> None:
        """Build graphs and weights; arguments as in `MGCN`.

        Args:
            features: Modality -> (I, D), zero where absent.
            present: (I, M).
            links: (U, I) who met what.
            rng: Draws the weights.
            width: Of a stream; vectors have `width` for each stream.
            layers: Steps along user-item links.
            hop: Weight of the item graph.
            neighbours: Of the item graph.
        """
        super().__init__(features, present, links)
        self.layers, self.hop = layers, hop
        parts = [dct(v, norm="ortho", axis=1) for v in self.safe.values()]
        joint = np.hstack(parts).astype(np.float32)
        any_there = np.asarray(present.any(axis=1), dtype=np.bool_)
        self.streams = (*self.names, "joint")
        self.hold("f_joint", torch.from_numpy(joint))
        self.hold("graph", as_torch(neighbour_graph(joint, any_there, neighbours)))
        self.maps = nn.ModuleDict()
        for name, values in {**self.safe, "joint": joint}.items():
            self.maps[name] = nn.Sequential(
                linear(values.shape[1], 4 * width, rng),
                nn.LeakyReLU(),
                linear(4 * width, width, rng),
            )
        count = len(self.streams)
        self.users = nn.Parameter(0.1 * torch.randn(links.shape[0], count, width, generator=rng))
        self.weigh = nn.Parameter(torch.zeros(links.shape[0], count))

    def contents(self) -> Tensor:
        """Return items' own vectors (I, S, width) of length 1, which no interaction enters."""
        parts = [self.maps[s](getattr(self, f"f_{s}")) for s in self.streams]
        return functional.normalize(torch.stack(parts, 1), dim=2)

    def forward(self) -> Views:
        """Return users, items, each modality's stream, and 0."""
        own = self.contents()
        weight = torch.softmax(self.weigh, 1)[..., None] * len(self.streams)
        users = (functional.normalize(self.users, dim=2) * weight).flatten(1)
        user, item = light_gcn(self.links, users, own.flatten(1), self.layers)
        item = item + self.hop * torch.sparse.mm(self.graph, own.flatten(1))
        return user, item, own[:, :-1], item.new_zeros(())
