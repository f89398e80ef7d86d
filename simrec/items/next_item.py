"""What an adapter and a sequence model are trained by: the next item among those of the batch."""

import math
from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from simrec.items.alignment import alignment_loss
from simrec.items.fit_settings import FitSettings
from simrec.items.sasrec import SASRec

States = Mapping[str, NDArray[np.float32]]  # modality -> (I, K, D), zero where absent


def drop_modality(present: Tensor, chosen: Tensor) -> Tensor:
    """Return `present` (U, M) without the chosen modality (U,), -1 for none.

    A modality that is an item's only one stays.
    """
    columns = torch.arange(present.shape[1])
    kept = present & (columns != chosen[:, None])
    return torch.where(kept.any(1, keepdim=True), kept, present)


def next_item_loss(
    states: Tensor, candidates: Tensor, log_chance: Tensor, targets: Tensor, own: Tensor
) -> Tensor:
    """Softmax over a batch's items, corrected for how often each is in a batch.

    Logits are <state, item> / sqrt(width) - log chance; a user's own other items are no negatives,
    the target stays although it may be among them. Correction: Yi et al. (RecSys 2019); as in IISAN
    (read), but for the scale (ours): states have length sqrt(width), so without it the softmax of
    an untrained model is nearly one-hot and most of a short training goes into undoing that.

    Args:
        states: (P, width) after each known item.
        candidates: (C, width) the batch's distinct items.
        log_chance: (C,) log of each one's chance to be among the candidates.
        targets: (P,) column of the true next item.
        own: (P, C) True where the column is in the user's sequence.
    """
    logits = states @ candidates.T / math.sqrt(states.shape[1]) - log_chance
    hidden = own.clone()
    hidden[torch.arange(len(targets)), targets] = False
    return functional.cross_entropy(logits.masked_fill(hidden, -torch.inf), targets)


def log_chances(share: Tensor, drawn: int) -> Tensor:
    """Return the log of 1 - (1 - share)^drawn, the chance that an item is drawn at least once.

    A batch's distinct items are its candidates, so what is met often is among them surely and not
    in proportion to its share: in a small catalogue log share would take off too much of it.
    """
    return torch.log(-torch.expm1(drawn * torch.log1p(-share)))


class NextItemLoss:
    """The loss of a batch of sequences; everything drawn comes from one generator."""

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
        self.share = torch.from_numpy(np.maximum(counts, 1) / max(counts.sum(), 1))

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

    def __call__(self, users: Tensor) -> Tensor:
        """Return the loss of sequences (B, T + 1)."""
        users = users[
            :, int((users < 0).all(0).sum()) :
        ]  # padding is on the left: cut what all have
        real = users >= 0
        item, column = torch.unique(users[real], return_inverse=True)
        place = torch.full_like(users, -1)
        place[real] = column
        past, past_real = users[:, :-1], real[:, :-1]
        # an item is encoded once for each modality hidden from it, as candidate or as input
        count = self.present.shape[1] + 1
        hide = self._chosen(len(users))[:, None].expand_as(past)
        told = (past * count + hide + 1)[past_real]
        offered = item * count + self._chosen(len(item)) + 1
        code, where = torch.unique(torch.cat([offered, told]), return_inverse=True)
        fused, own, seen = self._encode(code // count, code % count - 1)
        shown, heard = where[: len(item)], where[len(item) :]
        asked = past_real & real[:, 1:]
        target = place[:, 1:][asked]
        member = torch.zeros(len(users), len(item), dtype=torch.bool)
        rows, columns = torch.nonzero(real, as_tuple=True)
        member[rows, place[rows, columns]] = True
        mask = member[torch.nonzero(asked, as_tuple=True)[0]]

        chance = log_chances(self.share[item], len(column)).to(torch.float32)

        def of(encoded: Tensor) -> Tensor:
            vectors = encoded.new_zeros(*past.shape, encoded.shape[1])
            vectors[past_real] = encoded[heard]
            state = self.sequences(vectors, past_real)[asked]
            return next_item_loss(state, encoded[shown], chance, target, mask)

        total = of(fused)
        if self.settings.tower_weight:
            aside = [of(own[:, m]) for m in range(own.shape[1])]
            total = total + self.settings.tower_weight * torch.stack(aside).mean()
        if self.settings.align != "none":
            aligned = alignment_loss(own[shown], seen[shown], self.settings.align)
            total = total + self.settings.align_weight * aligned
        return total
