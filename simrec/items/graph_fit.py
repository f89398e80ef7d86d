"""Training graph encoders on pairs: an item a user met should score above one at random."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from simrec.errors import SimrecError, nearest
from simrec.interactions import InteractionLog
from simrec.items.adapters import GRAPH_ADAPTERS
from simrec.items.graph_views import MGCN, LIRDRec
from simrec.items.ranking import ndcg, ranks
from simrec.items.sequences import padded, user_sequences


@dataclass(frozen=True)
class GraphSettings:
    """How a graph encoder is trained."""

    name: str = "mgcn"  # a key of simrec.items.adapters.GRAPH_ADAPTERS
    settings: Mapping[str, Any] = field(default_factory=dict)  # further arguments of its class
    width: int = 64
    epochs: int = 30
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
    curve: tuple[float, ...]  # NDCG@10 of each user's last event, after each epoch
    places: NDArray[np.int64]  # (Q,) its places in the epoch kept


def fit_graph(
    features: Mapping[str, NDArray[np.float32]],
    present: NDArray[np.bool_],
    log: InteractionLog,
    settings: GraphSettings | None = None,
    *,
    progress: Callable[[int, float], None] | None = None,
) -> FittedGraph:
    """Train by BPR (Rendle et al., UAI 2009), choosing the epoch by each user's last event.

    Args:
        features: Modality -> (I, D), zero where absent.
        present: (I, M).
        log: What is learnt from.
        settings: How; None takes the defaults.
        progress: Called with epoch and NDCG@10.

    Raises:
        SimrecError: There is no such encoder, a setting is wrong, or the log is too short.
    """
    s = settings or GraphSettings()
    if s.name not in GRAPH_ADAPTERS:
        hint = nearest(s.name, GRAPH_ADAPTERS)
        raise SimrecError(f"there is no graph encoder '{s.name}'; {hint}")
    sequences = user_sequences(log)
    asked = np.array([u for u, items in enumerate(sequences) if len(items) >= 3], dtype=np.int64)
    if not len(asked):
        raise SimrecError("no user of the log has three events; expected some; use a longer log")
    known = [items[:-1] if len(items) >= 3 else items for items in sequences]
    target = np.array([sequences[u][-1] for u in asked], dtype=np.int64)
    history = padded([known[u] for u in asked], max(len(k) for k in known))
    user = np.repeat(np.arange(len(known)), [len(k) for k in known])
    item = np.concatenate(known)
    links = sp.csr_matrix((np.ones(len(user), np.float32), (user, item)), (len(known), log.n_items))
    links.data[:] = 1.0
    maker: Any = LIRDRec if s.name == "lirdrec" else MGCN
    rng = torch.Generator().manual_seed(s.seed)
    try:
        with torch.random.fork_rng(devices=[]):
            settings_of = {**GRAPH_ADAPTERS[s.name].fixed, **s.settings}
            model = maker(features, present, links, rng=rng, width=s.width, **settings_of)
    except TypeError as error:
        raise SimrecError(
            f"graph encoder '{s.name}' does not take the settings {dict(s.settings)} ({error})"
        ) from error
    optimiser = torch.optim.Adam(model.parameters(), lr=s.learning_rate)
    pairs = torch.from_numpy(np.stack([user, item], axis=1))
    curve: list[float] = []
    kept: tuple[dict[str, Tensor], NDArray[np.int64]] = ({}, np.zeros(0, dtype=np.int64))
    for epoch in range(s.epochs):
        model.train()
        for rows in torch.randperm(len(pairs), generator=rng).split(s.batch):
            u, i = pairs[rows].T
            j = torch.randint(log.n_items, (len(rows),), generator=rng)
            users, items, _, extra = model()
            gap = (users[u] * (items[i] - items[j])).sum(1)
            size = sum((x**2).sum(1).mean() for x in (users[u], items[i], items[j]))
            loss = functional.softplus(-gap).mean() + s.decay * size + extra
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        model.eval()
        with torch.no_grad():
            users, items, _, _ = model()
            scores = (users[torch.from_numpy(asked)] @ items.T).numpy()
        places = ranks(scores, target, history)
        curve.append(ndcg(places))
        if progress is not None:
            progress(epoch, curve[-1])
        best = int(np.argmax(curve))
        if best == epoch:
            kept = ({k: v.detach().clone() for k, v in model.state_dict().items()}, places)
        if epoch - best >= s.patience:
            break
    model.load_state_dict(kept[0])
    with torch.no_grad():
        users, items, own, _ = model()
    return FittedGraph(model, users.numpy(), items.numpy(), own.numpy(), tuple(curve), kept[1])
