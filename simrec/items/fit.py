"""Learning item vectors from what people did next: an adapter under a sequence model."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from simrec.errors import SimrecError, nearest
from simrec.items.adapters import make_adapter
from simrec.items.alignment import ALIGNMENTS, alignment_loss
from simrec.items.ranking import ndcg, ranks
from simrec.items.sasrec import SASRec
from simrec.items.sequences import Task

States = Mapping[str, NDArray[np.float32]]  # modality -> (I, K, D), zero where absent


@dataclass(frozen=True)
class FitSettings:
    """How an adapter is trained."""

    adapter: str = "iisan"  # a key of simrec.items.adapters.ADAPTERS
    settings: Mapping[str, Any] = field(default_factory=dict)  # further arguments of its class
    width: int = 64
    epochs: int = 20
    patience: int = 4  # epochs without a better NDCG@10 before it stops
    batch: int = 64  # users
    learning_rate: float = 1e-3
    weight_decay: float = 0.01
    modality_dropout: float = 0.3  # chance that a sequence loses one modality throughout
    tower_weight: float = 0.0  # of the loss of each modality's own vector; NoteLLM-2 idea
    align: str = "none"  # "none", "infonce" or "gram"
    align_weight: float = 0.05
    seed: int = 0


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
    fitted: FittedItems,
    states: States,
    present: NDArray[np.bool_],
    history: NDArray[np.int64],
    target: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Return the full ranking's place (n,) of each target; see `simrec.items.ranking.ranks`."""
    vectors, _ = fitted.vectors(states, present)
    blocks = [
        ranks(
            fitted.scores(vectors, history[i : i + 512]), target[i : i + 512], history[i : i + 512]
        )
        for i in range(0, len(target), 512)
    ]
    return np.concatenate(blocks)


def drop_modality(present: Tensor, chosen: Tensor) -> Tensor:
    """Return `present` (U, M) without the chosen modality (U,), -1 for none.

    A modality that is an item's only one stays.
    """
    columns = torch.arange(present.shape[1])
    kept = present & (columns != chosen[:, None])
    return torch.where(kept.any(1, keepdim=True), kept, present)


def next_item_loss(
    states: Tensor, candidates: Tensor, log_share: Tensor, targets: Tensor, own: Tensor
) -> Tensor:
    """Softmax over a batch's items, corrected for how often each would be drawn.

    Logits are <state, item> - log share; a user's own other items are no negatives, the target
    stays although it may be among them. Correction: Yi et al. (RecSys 2019); as in IISAN (read).

    Args:
        states: (P, width) after each known item.
        candidates: (C, width) the batch's distinct items.
        log_share: (C,) log of each one's share of the training events.
        targets: (P,) column of the true next item.
        own: (P, C) True where the column is in the user's sequence.
    """
    logits = states @ candidates.T - log_share
    hidden = own.clone()
    hidden[torch.arange(len(targets)), targets] = False
    return functional.cross_entropy(logits.masked_fill(hidden, -torch.inf), targets)


class _Trainer:
    """One batch after another; everything drawn comes from one generator."""

    def __init__(
        self,
        items: nn.Module,
        sequences: SASRec,
        states: States,
        present: Tensor,
        counts: NDArray[np.int64],
        settings: FitSettings,
        rng: torch.Generator,
    ) -> None:
        self.items, self.sequences, self.settings, self.rng = items, sequences, settings, rng
        self.states = {m: torch.from_numpy(v) for m, v in states.items()}
        self.present = present
        self.log_share = torch.from_numpy(np.log(np.maximum(counts, 1) / max(counts.sum(), 1)))
        self.log_share = self.log_share.to(torch.float32)

    def _chosen(self, n: int) -> Tensor:
        """Return a modality to hide (n,) or -1."""
        count = self.present.shape[1]
        hide = torch.rand(n, generator=self.rng) < self.settings.modality_dropout
        which = torch.randint(count, (n,), generator=self.rng)
        return torch.where(hide, which, -1) if count > 1 else torch.full((n,), -1)

    def _encode(self, item: Tensor, hide: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        chosen = {m: v[item] for m, v in self.states.items()}
        present = drop_modality(self.present[item], hide)
        fused, own = self.items(chosen, present)
        return fused, own, present

    def loss(self, users: Tensor) -> Tensor:
        """Return the loss of sequences (B, T + 1)."""
        real = users >= 0
        item, column = torch.unique(users[real], return_inverse=True)
        place = torch.full_like(users, -1)
        place[real] = column
        table, towers, seen = self._encode(item, self._chosen(len(item)))
        # inputs are encoded once for each distinct pair of item and hidden modality
        past, past_real = users[:, :-1], real[:, :-1]
        hide = self._chosen(len(users))[:, None].expand_as(past)
        count = self.present.shape[1] + 1
        code, where = torch.unique((past * count + hide + 1)[past_real], return_inverse=True)
        fused, own, _ = self._encode(code // count, code % count - 1)
        asked = past_real & real[:, 1:]
        target = place[:, 1:][asked]
        member = torch.zeros(len(users), len(item), dtype=torch.bool)
        rows, columns = torch.nonzero(real, as_tuple=True)
        member[rows, place[rows, columns]] = True
        mask = member[torch.nonzero(asked, as_tuple=True)[0]]

        def of(inputs: Tensor, candidates: Tensor) -> Tensor:
            vectors = inputs.new_zeros(*past.shape, inputs.shape[1])
            vectors[past_real] = inputs[where]
            state = self.sequences(vectors, past_real)[asked]
            return next_item_loss(state, candidates, self.log_share[item], target, mask)

        total = of(fused, table)
        if self.settings.tower_weight:
            aside = [of(own[:, m], towers[:, m]) for m in range(own.shape[1])]
            total = total + self.settings.tower_weight * torch.stack(aside).mean()
        if self.settings.align != "none":
            aligned = alignment_loss(towers, seen, self.settings.align)
            total = total + self.settings.align_weight * aligned
        return total


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
    history = task.valid_history.shape[1]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(s.seed)  # dropout knows only the global generator, which is put back
        rng = torch.Generator().manual_seed(s.seed)
        items = make_adapter(s.adapter, dims, layers, rng=rng, width=s.width, settings=s.settings)
        sequences = SASRec(s.width, history, rng=rng)
        modules = nn.ModuleList([items, sequences])
        parameters = [p for p in modules.parameters() if p.requires_grad]
        optimiser = torch.optim.AdamW(parameters, lr=s.learning_rate, weight_decay=s.weight_decay)
        there = torch.from_numpy(present)
        trainer = _Trainer(items, sequences, states, there, task.counts, s, rng)
        train = torch.from_numpy(task.train)
        curve: list[float] = []
        kept: dict[str, Tensor] = {}
        spent = 0.0
        for epoch in range(s.epochs):
            started = clock()
            modules.train()
            for users in torch.randperm(len(train), generator=rng).split(s.batch):
                loss = trainer.loss(train[users])
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
            places = places_of(now, states, present, task.valid_history, task.valid_target)
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
