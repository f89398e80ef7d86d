"""The learned reward r_psi: what the teacher would say of any item in any state."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from simrec.agents.history import Observation, barred, seen_mask
from simrec.agents.scorer import ItemScorer
from simrec.files import atomic_file, check_archive


class Reward(nn.Module):
    """r_psi(history, item) as a logit of the teacher's like."""

    def logits(self, obs: Observation) -> Tensor:
        """Return (N, I) logits of a like."""
        raise NotImplementedError

    def cautious_logits(self, obs: Observation) -> Tensor:
        """Return (N, I) what pretraining is promised: the logits, less where r_psi is unsure."""
        return self.logits(obs)

    def content(self) -> dict[str, Any]:
        """Return what `save` writes."""
        raise NotImplementedError

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.parameters()).device

    def predict(
        self, items: NDArray[np.int64], feedback: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Return (N, I) logits for histories: items (N, L) with -1 = empty, feedback (N, L)."""
        with torch.no_grad():
            logits = self.logits(history_observation(items, feedback, self.device))
            rows: NDArray[np.float32] = logits.cpu().numpy()
        return rows

    def cautious(
        self, items: NDArray[np.int64], feedback: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Return (N, I) cautious logits for histories as in `predict`."""
        with torch.no_grad():
            logits = self.cautious_logits(history_observation(items, feedback, self.device))
            rows: NDArray[np.float32] = logits.cpu().numpy()
        return rows

    def log_policy(self, obs: Observation, temperature: float) -> Tensor:
        """Return log softmax(cautious r_psi / temperature) over unseen items (N, I).

        It is the anchor of A2C.
        """
        logits = self.cautious_logits(obs) / temperature
        mask = seen_mask(barred(obs), logits.shape[1])
        return logits.masked_fill(mask, -torch.inf).log_softmax(-1)

    def save(self, path: Path) -> None:
        """Write arguments, table and weights to one file."""
        with atomic_file(path) as temporary:
            torch.save(self.content(), temporary)

    @classmethod
    def load(cls, path: Path) -> "Reward":
        """Read what `save` wrote; raise SimrecError when the file cannot be read."""
        check_archive(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
        if "members" in content:
            members = [RewardModel.of(member) for member in content["members"]]
            return RewardEnsemble(members, pessimism=content["pessimism"])
        return RewardModel.of(content)


class RewardModel(Reward):
    """r_psi as an `ItemScorer` without a session."""

    vectors: Tensor  # (I, D)

    def __init__(
        self, item_vectors: NDArray[np.float32], *, width: int, free_vectors: bool, luck: int
    ) -> None:
        super().__init__()
        self.arguments = {"width": width, "free_vectors": free_vectors, "luck": luck}
        self.register_buffer("vectors", torch.as_tensor(np.array(item_vectors)))
        self.scorer = ItemScorer(
            item_vectors.shape[1],
            len(item_vectors),
            width=width,
            free_vectors=free_vectors,
            slate_size=1,
            generator=torch.Generator().manual_seed(luck),
        )

    def logits(self, obs: Observation) -> Tensor:
        """Return (N, I) logits of a like."""
        q, level = self.scorer(obs, self.vectors)
        logits: Tensor = q + level.unsqueeze(1)
        return logits

    def content(self) -> dict[str, Any]:
        """Return arguments, table and weights."""
        state = {name: value.cpu() for name, value in self.state_dict().items()}
        return {"arguments": self.arguments, "state": state}

    @classmethod
    def of(cls, content: dict[str, Any]) -> "RewardModel":
        """Return the model with this content."""
        model = cls(content["state"]["vectors"].numpy(), **content["arguments"])
        model.load_state_dict(content["state"])
        return model


class RewardEnsemble(Reward):
    """Several models of the same answers: r_psi is their mean, uncertainty how far they differ.

    Source: deep ensembles (Lakshminarayanan et al., NeurIPS 2017; reconstructed). The penalty on
    what they disagree about follows model-based offline learning (MOPO: Yu et al., NeurIPS 2020;
    reconstructed); taking it off the logit is our own.

    Args:
        members: Two or more.
        pessimism: Standard deviations taken off in `cautious_logits`, 0 or more.
    """

    def __init__(self, members: Sequence[RewardModel], *, pessimism: float) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.pessimism = pessimism

    def _each(self, obs: Observation) -> Tensor:
        """Return (M, N, I) logits of every member."""
        logits: list[Tensor] = [member.logits(obs) for member in self.models()]
        return torch.stack(logits)

    def models(self) -> list[RewardModel]:
        """Return the members, as the models they are."""
        return [member for member in self.members if isinstance(member, RewardModel)]

    def logits(self, obs: Observation) -> Tensor:
        """Return (N, I) the members' mean."""
        return self._each(obs).mean(0)

    def cautious_logits(self, obs: Observation) -> Tensor:
        """Return (N, I) mean - pessimism * standard deviation between members."""
        each = self._each(obs)
        return each.mean(0) - self.pessimism * each.std(0)

    def spread(
        self, items: NDArray[np.int64], feedback: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Return (N, I) standard deviations between members, for histories as in `predict`."""
        with torch.no_grad():
            each = self._each(history_observation(items, feedback, self.device))
            rows: NDArray[np.float32] = each.std(0).cpu().numpy()
        return rows

    def content(self) -> dict[str, Any]:
        """Return the content of every member."""
        members = [member.content() for member in self.models()]
        return {"members": members, "pessimism": self.pessimism}


def history_observation(
    items: NDArray[np.int64], feedback: NDArray[np.float32], device: torch.device | None = None
) -> dict[str, Tensor]:
    """Return an observation before the first step of a session, from histories (N, L)."""
    return {
        "history": torch.as_tensor(items, device=device).long(),
        "feedback": torch.as_tensor(feedback, device=device).float(),
        "step": torch.zeros(len(items), 1, dtype=torch.long, device=device),
    }
