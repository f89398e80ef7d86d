"""Training graph encoders on pairs: an item a user met should score above one at random."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from simrec.errors import SimrecError, nearest
from simrec.items.adapters import GRAPH_ADAPTERS
from simrec.items.fit import shuffled_batches
from simrec.items.graph_views import MGCN, LIRDRec
from simrec.items.ranking import ndcg, ranks
from simrec.items.sequences import Questions, Task


@dataclass(frozen=True)
class GraphSettings:
    """How a graph encoder is trained."""

    name: str = "mgcn"  # a key of simrec.items.adapters.GRAPH_ADAPTERS
    settings: Mapping[str, Any] = field(default_factory=dict)  # further arguments of its class
    width: int = 64
    epochs: int = 30
    steps: int | None = None  # batches in an epoch; None is one pass over the pairs
    patience: int = 5
    batch: int = 1024  # pairs
    learning_rate: float = 5e-3
    decay: float = 1e-4  # of the squared length of vectors in a batch
    seed: int = 0


@dataclass(frozen=True)
class FittedGraph:
    """What a trained graph encoder says."""

    model: nn.Module
    users: NDArray[np.float32]  # (U, W)
    items: NDArray[np.float32]  # (I, W)
    own: NDArray[np.float32]  # (I, M, width)
    curve: tuple[float, ...] = ()  # NDCG@10 on the questions that choose, after each epoch
    best: int = 0  # epoch kept, from 0

    def places(self, asked: Questions) -> NDArray[np.int64]:
        """Return the full ranking's place (Q,) of each target; see `simrec.items.ranking.ranks`."""
        rows = [slice(i, i + 512) for i in range(0, len(asked.target), 512)]
        return np.concatenate(
            [
                ranks(self.users[asked.user[r]] @ self.items.T, asked.target[r], asked.seen[r])
                for r in rows
            ]
        )


def _said(model: nn.Module) -> FittedGraph:
    model.eval()
    with torch.no_grad():  # sparse links cannot be transposed in inference mode
        users, items, own, _ = model()
    return FittedGraph(model, users.numpy(), items.numpy(), own.numpy())


def graph_encoder(
    features: Mapping[str, NDArray[np.float32]],
    present: NDArray[np.bool_],
    task: Task,
    settings: GraphSettings,
) -> nn.Module:
    """Return an untrained encoder on the training pairs of a task; arguments as in `fit_graph`."""
    s = settings
    if s.name not in GRAPH_ADAPTERS:
        hint = nearest(s.name, GRAPH_ADAPTERS)
        raise SimrecError(f"there is no graph encoder '{s.name}'; {hint}")
    user, item = task.pairs.T
    shape = (1 + int(max(user.max(), task.valid.user.max(), task.test.user.max())), len(present))
    links = sp.csr_matrix((np.ones(len(user), np.float32), (user, item)), shape)
    links.data[:] = 1.0
    maker: Any = LIRDRec if s.name == "lirdrec" else MGCN
    rng = torch.Generator().manual_seed(s.seed)
    try:
        with torch.random.fork_rng(devices=[]):
            settings_of = {**GRAPH_ADAPTERS[s.name].fixed, **s.settings}
            made: nn.Module = maker(features, present, links, rng=rng, width=s.width, **settings_of)
    except TypeError as error:
        raise SimrecError(
            f"graph encoder '{s.name}' does not take the settings {dict(s.settings)} ({error})"
        ) from error
    return made


def on_other_contents(
    fitted: FittedGraph,
    features: Mapping[str, NDArray[np.float32]],
    present: NDArray[np.bool_],
    task: Task,
    settings: GraphSettings,
) -> FittedGraph:
    """Return the same weights reading other contents, such as with a modality hidden."""
    model = graph_encoder(features, present, task, settings)
    model.load_state_dict(fitted.model.state_dict())
    return _said(model)


def fit_graph(
    features: Mapping[str, NDArray[np.float32]],
    present: NDArray[np.bool_],
    task: Task,
    settings: GraphSettings | None = None,
    *,
    progress: Callable[[int, float], None] | None = None,
) -> FittedGraph:
    """Train by BPR (Rendle et al., UAI 2009), choosing the epoch by the task's questions.

    Args:
        features: Modality -> (I, D), zero where absent.
        present: (I, M).
        task: Its pairs teach; the order in which things were met is not known here.
        settings: How; None takes the defaults.
        progress: Called with epoch and NDCG@10.

    Raises:
        SimrecError: There is no such encoder, or a setting is wrong.
    """
    s = settings or GraphSettings()
    model = graph_encoder(features, present, task, s)
    rng = torch.Generator().manual_seed(s.seed + 1)  # the encoder's weights are drawn by s.seed
    optimiser = torch.optim.Adam(model.parameters(), lr=s.learning_rate)
    batches = shuffled_batches(torch.from_numpy(task.pairs), s.batch, rng)
    curve: list[float] = []
    kept: dict[str, Tensor] = {}
    for epoch in range(s.epochs):
        model.train()
        for rows in islice(batches, s.steps or math.ceil(len(task.pairs) / s.batch)):
            u, i = rows.T
            j = torch.randint(len(present), (len(rows),), generator=rng)
            users, items, _, extra = model()
            gap = (users[u] * (items[i] - items[j])).sum(1)
            size = sum((x**2).sum(1).mean() for x in (users[u], items[i], items[j]))
            loss = functional.softplus(-gap).mean() + s.decay * size + extra
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        curve.append(ndcg(_said(model).places(task.valid)))
        if progress is not None:
            progress(epoch, curve[-1])
        best = int(np.argmax(curve))
        if best == epoch:
            kept = {k: v.detach().clone() for k, v in model.state_dict().items()}
        if epoch - best >= s.patience:
            break
    model.load_state_dict(kept)
    return replace(_said(model), curve=tuple(curve), best=int(np.argmax(curve)))
