"""The learned reward r_psi: what the teacher would say of any item in any state."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from simrec.agents.history import Observation, seen_mask
from simrec.agents.losses import preference_loss
from simrec.agents.scorer import ItemScorer
from simrec.errors import SimrecError
from simrec.files import atomic_file, check_archive
from simrec.metrics import auc
from simrec.preferences import Preference, PreferenceSet


@dataclass(frozen=True)
class RewardReport:
    """How well r_psi speaks for the teacher."""

    questions: int  # answered questions, training and held out
    labels: int  # judged candidates in them
    like_rate: float  # share of judged candidates the teacher liked, 0 to 1
    weight_decay: float  # chosen on the labels of a second group of users
    held_out_auc: float  # on the labels of users left out of training, against the teacher
    train_auc: float  # on the labels trained on

    def as_dict(self) -> dict[str, Any]:
        """Return the numbers for a run record."""
        return asdict(self)


class RewardModel(nn.Module):
    """r_psi(history, item) as a logit of the teacher's like: an `ItemScorer` without a session."""

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

    def predict(
        self, items: NDArray[np.int64], feedback: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Return (N, I) logits for histories: items (N, L) with -1 = empty, feedback (N, L)."""
        with torch.no_grad():
            rows: NDArray[np.float32] = self.logits(history_observation(items, feedback)).numpy()
        return rows

    def log_policy(self, obs: Observation, temperature: float) -> Tensor:
        """Return log softmax(r_psi / temperature) over unseen items (N, I), A2C's anchor."""
        logits = self.logits(obs) / temperature
        mask = seen_mask(obs["history"], logits.shape[1])
        return logits.masked_fill(mask, -torch.inf).log_softmax(-1)

    def save(self, path: Path) -> None:
        """Write arguments, table and weights to one file."""
        with atomic_file(path) as temporary:
            torch.save({"arguments": self.arguments, "state": self.state_dict()}, temporary)

    @classmethod
    def load(cls, path: Path) -> "RewardModel":
        """Read a model written by `save`; raise SimrecError when the file cannot be read."""
        check_archive(path)
        content = torch.load(path, weights_only=True)
        model = cls(content["state"]["vectors"].numpy(), **content["arguments"])
        model.load_state_dict(content["state"])
        return model


def history_observation(
    items: NDArray[np.int64], feedback: NDArray[np.float32]
) -> dict[str, Tensor]:
    """Return an observation before the first step of a session, from histories (N, L)."""
    return {
        "history": torch.as_tensor(items).long(),
        "feedback": torch.as_tensor(feedback).float(),
        "step": torch.zeros(len(items), 1, dtype=torch.long),
    }


def fit_reward(
    preferences: PreferenceSet,
    item_vectors: NDArray[np.float32],
    *,
    luck: int,
    width: int = 32,
    free_vectors: bool = False,
    weight_decays: Sequence[float] = (0.0, 3.0, 10.0, 30.0),
    epochs: int = 12,
    batch_size: int = 64,
    learning_rate: float = 3e-3,
    pair_weight: float = 0.5,
    held_out_share: float = 0.1,
) -> tuple[RewardModel, RewardReport]:
    """Fit r_psi on a teacher's answers; users are held out, not answers.

    How much of a teacher is personal differs between teachers, so the decay that suits it is
    chosen by the AUC on the answers for a second group of users. People's feedback is never read.

    Args:
        preferences: The teacher's answers; candidates with a NaN score were not judged.
        item_vectors: (I, D) fused rows of the item table.
        luck: Seed of weights, groups of users and batches.
        width: Width of user and item factors.
        free_vectors: Learn a vector and bias for each item beside its table row.
        weight_decays: Decoupled weight decays tried, 0 or more; item biases are never decayed.
        epochs: Passes over the answers.
        batch_size: Answers a gradient step reads.
        learning_rate: AdamW's rate, falling linearly to a tenth; item biases learn at ten times it.
        pair_weight: Weight of the pairwise part of the loss.
        held_out_share: Share of users whose answers only measure the AUC, and share of users
            whose answers choose the decay, in (0, 0.5).

    Returns:
        The model, fitted with the chosen decay to all but the held-out users, and its report.

    Raises:
        SimrecError: No question was answered.
    """
    answered = [p for p in preferences if p.status in ("ok", "retried")]
    if not answered:
        raise SimrecError(
            f"the teacher answered none of {len(preferences)} questions; "
            "check its model and the candidates it can judge"
        )
    data = _arrays(answered)
    users = np.array([p.question.user for p in answered])
    known = np.random.default_rng(luck).permutation(np.unique(users))
    n_out = max(1, round(held_out_share * len(known))) if len(known) > 2 else 0
    held_out = np.isin(users, known[:n_out])
    choosing = np.isin(users, known[n_out : 2 * n_out])

    def fitted(rows: NDArray[np.bool_], weight_decay: float) -> RewardModel:
        model = RewardModel(item_vectors, width=width, free_vectors=free_vectors, luck=luck)
        _train(
            model,
            data.rows(rows),
            np.random.default_rng(luck),
            weight_decay=weight_decay,
            epochs=epochs,
            batch_size=batch_size,
            learning_rate=learning_rate,
            pair_weight=pair_weight,
        )
        return model

    decay = weight_decays[0]
    if len(weight_decays) > 1 and n_out:
        scores = [
            data.rows(choosing).auc_of(fitted(~held_out & ~choosing, decay))
            for decay in weight_decays
        ]
        decay = weight_decays[int(np.nanargmax(scores))] if np.isfinite(scores).any() else decay
    model = fitted(~held_out, decay)
    judged = data.judged > 0
    return model, RewardReport(
        questions=len(answered),
        labels=int(judged.sum()),
        like_rate=float(data.liked[judged].mean()),
        weight_decay=float(decay),
        held_out_auc=data.rows(held_out).auc_of(model),
        train_auc=data.rows(~held_out).auc_of(model),
    )


def _train(
    model: RewardModel,
    data: "_Answers",
    rng: np.random.Generator,
    *,
    weight_decay: float,
    epochs: int,
    batch_size: int,
    learning_rate: float,
    pair_weight: float,
) -> None:
    bias = [] if model.scorer.free_bias is None else [model.scorer.free_bias]
    rest = [p for p in model.parameters() if not any(p is b for b in bias)]
    groups = [{"params": rest, "weight_decay": weight_decay}]
    if bias:
        groups.append({"params": bias, "weight_decay": 0.0, "lr": 10.0 * learning_rate})
    optimizer = torch.optim.AdamW(groups, lr=learning_rate)
    steps = epochs * -(-len(data.items) // batch_size)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.1, total_iters=steps)
    for _ in range(epochs):
        order = rng.permutation(len(data.items))
        for first in range(0, len(order), batch_size):
            batch = data.rows(order[first : first + batch_size])
            q, level = model.scorer.at(
                history_observation(batch.items, batch.feedback),
                model.vectors,
                torch.as_tensor(batch.candidates),
            )
            loss = preference_loss(
                q + level.unsqueeze(1),
                torch.as_tensor(batch.liked),
                torch.as_tensor(batch.judged),
                pair_weight,
            )
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
            optimizer.step()
            schedule.step()


@dataclass(frozen=True)
class _Answers:
    items: NDArray[np.int64]  # (n, L) histories, -1 = empty, padded on the left
    feedback: NDArray[np.float32]  # (n, L) 1 liked
    candidates: NDArray[np.int64]  # (n, K) 0 where there are fewer
    liked: NDArray[np.float32]  # (n, K) 1 the teacher would pick it
    judged: NDArray[np.float32]  # (n, K) 1 the teacher answered

    def rows(self, which: NDArray[np.bool_] | NDArray[np.int64]) -> "_Answers":
        return _Answers(*(getattr(self, field.name)[which] for field in fields(self)))

    def auc_of(self, model: RewardModel) -> float:
        """Return the AUC of r_psi against the teacher's labels; NaN without both kinds."""
        parts = np.array_split(np.arange(len(self.items)), max(1, len(self.items) // 512))
        scores = np.concatenate(
            [
                np.take_along_axis(
                    model.predict(self.items[part], self.feedback[part]),
                    self.candidates[part],
                    axis=1,
                )
                for part in parts
            ]
        )
        judged = self.judged > 0
        return auc(self.liked[judged] > 0, scores[judged])


def _arrays(answered: list[Preference]) -> _Answers:
    """Return the answers as padded arrays."""
    n = len(answered)
    length = max(1, max(len(p.question.history) for p in answered))
    width = max(len(p.question.candidates) for p in answered)
    items = np.full((n, length), -1, dtype=np.int64)
    feedback = np.zeros((n, length), dtype=np.float32)
    candidates = np.zeros((n, width), dtype=np.int64)
    liked = np.zeros((n, width), dtype=np.float32)
    judged = np.zeros((n, width), dtype=np.float32)
    for row, p in enumerate(answered):
        h, k = len(p.question.history), len(p.question.candidates)
        if h:
            items[row, -h:] = p.question.history
            feedback[row, -h:] = p.question.feedback
        candidates[row, :k] = p.question.candidates
        liked[row, :k] = p.liked
        judged[row, :k] = np.isfinite(p.score)
    return _Answers(items, feedback, candidates, liked, judged)
