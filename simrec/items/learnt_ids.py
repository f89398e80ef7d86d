"""Training quantisers: on the vectors alone (RQ-VAE), or with what people did next (DIGER)."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from simrec.items.quantiser import QuantisedAutoencoder, ResidualQuantiser
from simrec.items.sasrec import SASRec
from simrec.items.semantic_ids import SemanticIds
from simrec.items.sequences import Task


@dataclass(frozen=True)
class IdSettings:
    """How codes are learnt."""

    levels: int = 3
    size: int = 256  # codes of a level
    width: int = 32
    noise: str = "none"  # a member of simrec.items.quantiser.NOISES
    epochs: int = 50
    batch: int = 256
    learning_rate: float = 1e-3
    seed: int = 0


@dataclass(frozen=True)
class LearntIds:
    """Unique ids, what the codes stand for, and the share of codes that moved in each epoch."""

    ids: SemanticIds
    rebuilt: NDArray[np.float32]  # (I, D)
    centres: list[NDArray[np.float64]]  # L arrays (size, width), for `nearest_item`
    drift: tuple[float, ...]


class NextCode(nn.Module):
    """A sequence model that says an item's codes one after another.

    Inputs and labels are indicators times a token table, so that the loss reaches the quantiser and
    its encoder through them. DIGER (arXiv 2601.19711) has a T5 there; this is SASRec with the codes
    before added to its state (reconstructed and reduced).
    """

    def __init__(self, levels: int, size: int, width: int, length: int, rng: torch.Generator):
        super().__init__()
        self.tokens = nn.Parameter(torch.randn(levels, size, width, generator=rng) / width**0.5)
        self.sequences = SASRec(width, length, rng=rng)

    def embed(self, weights: Tensor) -> Tensor:
        """Return token embeddings (U, L, width) of indicators (U, L, K)."""
        return torch.einsum("ulk,lkw->ulw", weights, self.tokens)

    def loss(self, weights: Tensor, past: Tensor, target: Tensor) -> Tensor:
        """Return the mean negative log likelihood of the targets' codes.

        Args:
            weights: (U, L, K) indicators of U items.
            past: (B, T) rows of `weights`, -1 on the left.
            target: (B,) rows of `weights`.
        """
        tokens = self.embed(weights)
        items = tokens.sum(1)
        state = self.sequences(items[past.clamp(min=0)], past >= 0)[:, -1]
        label, own = weights[target], tokens[target]
        total = state.new_zeros(())
        for level in range(weights.shape[1]):
            logits = state @ self.tokens[level].T
            total = total - (label[:, level] * functional.log_softmax(logits, 1)).sum(1).mean()
            state = state + own[:, level]
        mean: Tensor = total / weights.shape[1]
        return mean


def learn_ids(
    vectors: NDArray[np.float32], settings: IdSettings, task: Task | None = None
) -> LearntIds:
    """Learn codes and return unique ids.

    Args:
        vectors: (I, D) what is coded, columns of spread about 1.
        settings: How.
        task: Sequences whose next codes are learnt together with the codes; None learns from the
            vectors alone.
    """
    s = settings
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(s.seed)  # dropout of the sequence model; put back afterwards
        rng = torch.Generator().manual_seed(s.seed)
        quantiser = ResidualQuantiser(s.width, rng=rng, levels=s.levels, size=s.size, noise=s.noise)
        coder = QuantisedAutoencoder(vectors.shape[1], quantiser, rng=rng)
        x = torch.from_numpy(np.ascontiguousarray(vectors))
        with torch.no_grad():
            quantiser.start(coder.encoder(x))
        modules = nn.ModuleList([coder])
        sequences = None
        if task is not None:
            length = task.train.shape[1] - 1
            sequences = NextCode(s.levels, s.size, s.width, length, rng)
            modules.append(sequences)
        optimiser = torch.optim.Adam(
            [p for p in modules.parameters() if p.requires_grad], lr=s.learning_rate
        )
        drift: list[float] = []
        before = _codes(coder, x)
        for _ in range(s.epochs):
            modules.train()
            for loss in _losses(coder, x, s, sequences, task, rng):
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
            after = _codes(coder, x)
            drift.append(float((after != before).any(1).float().mean()))
            before = after
        coder.eval()
        with torch.inference_mode():
            rebuilt = coder(x)[0].numpy()
    centres = [book.detach().numpy().astype(np.float64) for book in quantiser.codebooks]
    ids = SemanticIds.from_codes(before.numpy(), s.size)
    return LearntIds(ids, rebuilt, centres, tuple(drift))


def _codes(coder: QuantisedAutoencoder, x: Tensor) -> Tensor:
    coder.eval()
    with torch.no_grad():
        codes: Tensor = coder(x)[1].codes
    return codes


def _losses(
    coder: QuantisedAutoencoder,
    x: Tensor,
    s: IdSettings,
    sequences: NextCode | None,
    task: Task | None,
    rng: torch.Generator,
) -> Iterator[Tensor]:
    """Yield the loss of one batch after another."""
    if sequences is None or task is None:
        for rows in torch.randperm(len(x), generator=rng).split(s.batch):
            rebuilt, coded = coder(x[rows])
            main = ((rebuilt - x[rows]) ** 2).sum(1).mean()
            yield coder.quantiser.uncertainty_loss(main) + coded.loss
        return
    train = torch.from_numpy(task.train)
    for rows in torch.randperm(len(train), generator=rng).split(s.batch):
        users = train[rows]
        item, place = torch.unique(users[users >= 0], return_inverse=True)
        where = torch.full_like(users, -1)
        where[users >= 0] = place
        rebuilt, coded = coder(x[item])
        asked = sequences.loss(coded.weights, where[:, :-1], where[:, -1])
        content = ((rebuilt - x[item]) ** 2).sum(1).mean() / x.shape[1]
        yield coder.quantiser.uncertainty_loss(asked) + content + coded.loss
