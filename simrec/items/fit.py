"""Learning item vectors from what people did next: an adapter under a sequence model."""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from simrec.errors import SimrecError, nearest
from simrec.items.adapters import make_adapter
from simrec.items.alignment import ALIGNMENTS
from simrec.items.fit_settings import FitSettings
from simrec.items.next_item import NextItemLoss, States
from simrec.items.ranking import ndcg, ranks
from simrec.items.sasrec import SASRec
from simrec.items.sequences import Questions, Task


@dataclass(frozen=True)
class FittedItems:
    """A trained adapter with the sequence model it was trained under."""

    items: nn.Module
    sequences: SASRec
    curve: tuple[float, ...]  # NDCG@10 on the questions that choose, after each epoch
    best: int  # epoch kept, from 0
    seconds: float  # mean of an epoch, choosing left out
    parameters: int  # trainable ones

    def vectors(
        self, states: States, present: NDArray[np.bool_], block: int = 2048
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return fused vectors (I, width) and each modality's own (I, M, width)."""
        self.items.eval()
        fused, own = [], []
        with torch.inference_mode():
            for i in range(0, len(present), block):
                chosen = {m: torch.from_numpy(v[i : i + block]) for m, v in states.items()}
                a, b = self.items(chosen, torch.from_numpy(present[i : i + block]))
                fused.append(a.numpy())
                own.append(b.numpy())
        return np.concatenate(fused), np.concatenate(own)

    def scores(
        self, vectors: NDArray[np.float32], history: NDArray[np.int64], block: int = 512
    ) -> NDArray[np.float32]:
        """Return scores (n, I) of every item as the next one after histories (n, T)."""
        self.sequences.eval()
        table = torch.from_numpy(vectors)
        out = []
        with torch.inference_mode():
            for i in range(0, len(history), block):
                past = torch.from_numpy(history[i : i + block])
                state = self.sequences(table[past.clamp(min=0)], past >= 0)[:, -1]
                out.append((state @ table.T).numpy())
        return np.concatenate(out)


def places_of(
    fitted: FittedItems, states: States, present: NDArray[np.bool_], asked: Questions
) -> NDArray[np.int64]:
    """Return the full ranking's place (Q,) of each target; see `simrec.items.ranking.ranks`."""
    vectors, _ = fitted.vectors(states, present)
    rows = [slice(i, i + 512) for i in range(0, len(asked.target), 512)]
    return np.concatenate(
        [
            ranks(fitted.scores(vectors, asked.history[r]), asked.target[r], asked.seen[r])
            for r in rows
        ]
    )


def shuffled_batches(train: Tensor, size: int, rng: torch.Generator) -> Iterator[Tensor]:
    """Yield batches of rows without end, every row once before any comes again."""
    while True:
        for rows in torch.randperm(len(train), generator=rng).split(size):
            yield train[rows]


def fit_items(
    states: States,
    present: NDArray[np.bool_],
    task: Task,
    settings: FitSettings | None = None,
    *,
    progress: Callable[[int, float], None] | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> FittedItems:
    """Train an adapter and a sequence model together and keep the best epoch.

    Args:
        states: Modality -> standardised states (I, K, D) of the frozen encoders.
        present: (I, M) which item has which, columns in the order of `states`.
        task: What to learn from and to choose the epoch by.
        settings: How; None takes the defaults.
        progress: Called with epoch and NDCG@10 after each epoch.
        clock: Seconds.

    Returns:
        The trained models. Equal arguments give equal weights; torch's own generator is left as
        it was.

    Raises:
        SimrecError: Settings are wrong, or the loss is not finite.
    """
    s = settings or FitSettings()
    if s.align not in ALIGNMENTS:
        raise SimrecError(f"there is no alignment '{s.align}'; {nearest(s.align, ALIGNMENTS)}")
    dims = {m: v.shape[2] for m, v in states.items()}
    layers = {m: v.shape[1] for m, v in states.items()}
    history = task.valid.history.shape[1]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(s.seed)  # dropout knows only the global generator, which is put back
        rng = torch.Generator().manual_seed(s.seed)
        items = make_adapter(s.adapter, dims, layers, rng=rng, width=s.width, settings=s.settings)
        sequences = SASRec(s.width, history, rng=rng)
        modules = nn.ModuleList([items, sequences])
        parameters = [p for p in modules.parameters() if p.requires_grad]
        optimiser = torch.optim.AdamW(
            parameters, lr=s.learning_rate, weight_decay=s.weight_decay, fused=True
        )
        there = torch.from_numpy(present)
        loss_of = NextItemLoss(items, sequences, states, there, task.counts, s, rng)
        batches = shuffled_batches(torch.from_numpy(task.train), s.batch, rng)
        curve: list[float] = []
        kept: dict[str, Tensor] = {}
        spent = 0.0
        for epoch in range(s.epochs):
            started = clock()
            modules.train()
            for users in islice(batches, s.steps or math.ceil(len(task.train) / s.batch)):
                loss = loss_of(users)
                if not bool(torch.isfinite(loss)):
                    raise SimrecError(
                        f"the loss of item adapter '{s.adapter}' is not finite in epoch {epoch}; "
                        f"expected a number; lower the learning rate (now {s.learning_rate:g})"
                    )
                optimiser.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(parameters, 5.0)
                optimiser.step()
            spent += clock() - started
            now = FittedItems(items, sequences, (), epoch, 0.0, 0)
            places = places_of(now, states, present, task.valid)
            curve.append(ndcg(places))
            if progress is not None:
                progress(epoch, curve[-1])
            best = int(np.argmax(curve))
            if best == epoch:
                kept = {k: v.detach().clone() for k, v in modules.state_dict().items()}
            if epoch - best >= s.patience:
                break
        modules.load_state_dict(kept)
    size = sum(p.numel() for p in parameters)
    best = int(np.argmax(curve))
    return FittedItems(items, sequences, tuple(curve), best, spent / len(curve), size)
