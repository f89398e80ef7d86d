"""Histories read in order: a recurrent and a self-attentive encoder beside the pooled one."""

from typing import Literal

import torch
from torch import Tensor, nn

from simrec.agents.history import HistoryPooling, Observation

EncoderName = Literal["pooled", "gru", "sasrec"]


class Sequence(nn.Module):
    """What both read: item vectors with the feedback they got, oldest first, and a mask.

    A position's input is W x_i (+ free vector of i) + e_liked or e_not; empty places are 0.
    """

    def __init__(self, n_items: int, item_dim: int, width: int, *, free_vectors: bool) -> None:
        super().__init__()
        self.width = width
        self.project = nn.Linear(item_dim, width, bias=False)
        self.free = nn.Parameter(torch.zeros(n_items, width)) if free_vectors else None
        self.liked = nn.Linear(2, width, bias=False)

    @property
    def out_dim(self) -> int:
        """Number of features F: the state, and how far the session is."""
        return self.width + 1

    def inputs(self, obs: Observation, vectors: Tensor) -> tuple[Tensor, Tensor]:
        """Return inputs (N, L, width) and which places are filled (N, L)."""
        items = obs["history"].long()
        real = items >= 0
        rows = items.clamp(min=0)
        x = self.project(vectors[rows])
        if self.free is not None:
            x = x + self.free[rows]
        answer = obs["feedback"].float()
        x = x + self.liked(torch.stack([answer, 1.0 - answer], dim=2))
        return x * real.unsqueeze(2), real

    def with_step(self, state: Tensor, obs: Observation) -> Tensor:
        """Return state (N, width) and step / L side by side, (N, F)."""
        length = float(obs["history"].shape[1])
        return torch.cat([state, obs["step"].float().view(-1, 1) / length], dim=1)


class GRUEncoder(Sequence):
    """A gated recurrent unit over the history (Cho et al. 2014; GRU4Rec uses it so)."""

    def __init__(self, n_items: int, item_dim: int, width: int, *, free_vectors: bool) -> None:
        super().__init__(n_items, item_dim, width, free_vectors=free_vectors)
        self.gates = nn.Linear(2 * width, 2 * width)  # reset and update
        self.candidate = nn.Linear(2 * width, width)

    def forward(self, obs: Observation, vectors: Tensor) -> Tensor:
        """Return (N, F) features; empty places leave the state as it is.

        Args:
            obs: Batched observation.
            vectors: (I, D) item table.
        """
        x, real = self.inputs(obs, vectors)
        h = x.new_zeros(len(x), self.width)
        for place in range(x.shape[1]):
            if not real[:, place].any():
                continue
            now = x[:, place]
            reset, update = self.gates(torch.cat([now, h], 1)).sigmoid().chunk(2, dim=1)
            new = self.candidate(torch.cat([now, reset * h], 1)).tanh()
            moved = update * h + (1.0 - update) * new
            h = torch.where(real[:, place : place + 1], moved, h)
        return self.with_step(h, obs)


class SASRecEncoder(Sequence):
    """One block of single-head self-attention, read at the newest place (Kang, McAuley 2018).

    Reconstructed: a start token is always there, so that an empty history has a state too; places
    are counted from the newest, so that the length of the padding does not matter. No dropout.
    """

    places: int = 64  # older items share the last place's position

    def __init__(self, n_items: int, item_dim: int, width: int, *, free_vectors: bool) -> None:
        super().__init__(n_items, item_dim, width, free_vectors=free_vectors)
        self.position = nn.Linear(self.places, width, bias=False)
        self.query = nn.Linear(width, width, bias=False)
        self.key = nn.Linear(width, width, bias=False)
        self.value = nn.Linear(width, width, bias=False)
        self.start = nn.Parameter(torch.zeros(width))
        self.feed = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width))
        self.norm_attention = nn.LayerNorm(width)
        self.norm_feed = nn.LayerNorm(width)

    def forward(self, obs: Observation, vectors: Tensor) -> Tensor:
        """Return (N, F) features.

        Args:
            obs: Batched observation.
            vectors: (I, D) item table.
        """
        x, real = self.inputs(obs, vectors)
        back = torch.arange(x.shape[1] - 1, -1, -1, device=x.device).clamp(max=self.places - 1)
        x = (x + self.position.weight.T[back]) * real.unsqueeze(2)
        start = self.start.expand(len(x), 1, -1)
        x = torch.cat([start, x], dim=1)
        there = torch.cat([real.new_ones(len(x), 1), real], dim=1)
        last = torch.where(real[:, -1:], x[:, -1], self.start)  # the newest item, or the start
        query = self.query(self.norm_attention(last)).unsqueeze(1)
        weight = (query * self.key(x)).sum(2) / self.width**0.5
        weight = weight.masked_fill(~there, -torch.inf).softmax(1)
        state = last + (weight.unsqueeze(2) * self.value(x)).sum(1)
        state = state + self.feed(self.norm_feed(state))
        return self.with_step(state, obs)


Encoder = HistoryPooling | GRUEncoder | SASRecEncoder


def make_encoder(
    name: EncoderName,
    n_items: int,
    item_dim: int,
    width: int,
    *,
    free_vectors: bool,
    slate_size: int,
) -> Encoder:
    """Return the history encoder called `name`."""
    if name == "gru":
        return GRUEncoder(n_items, item_dim, width, free_vectors=free_vectors)
    if name == "sasrec":
        return SASRecEncoder(n_items, item_dim, width, free_vectors=free_vectors)
    return HistoryPooling(
        n_items, item_dim, width, free_vectors=free_vectors, slate_size=slate_size
    )
