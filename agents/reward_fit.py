"""Fitting r_psi to a teacher's answers, and how well it then speaks for the teacher."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from simrec.agents.label_bias import LabelBias, label_bias
from simrec.agents.losses import preference_loss
from simrec.agents.reward import Reward, RewardEnsemble, RewardModel, history_observation
from simrec.errors import SimrecError
from simrec.metrics import auc
from simrec.preferences import Preference, PreferenceSet

Scores = Callable[[NDArray[np.int64], NDArray[np.float32]], NDArray[np.float32]]


@dataclass(frozen=True)
class RewardReport:
    """How well r_psi speaks for the teacher."""

    questions: int  # answered questions, training and held out
    labels: int  # judged candidates in them
    like_rate: float  # share of judged candidates the teacher liked, 0 to 1
    weight_decay: float  # chosen on the labels of a second group of users
    held_out_auc: float  # on the labels of users left out of training, against the teacher
    train_auc: float  # on the labels trained on
    ensemble: "EnsembleReport | None" = None  # None where there is one member

    def as_dict(self) -> dict[str, Any]:
        """Return the numbers for a run record."""
        content = asdict(self)
        if self.ensemble is None:
            content.pop("ensemble")
        return content


@dataclass(frozen=True)
class EnsembleReport:
    """What the members of an ensemble are worth alone, and what their disagreement tells."""

    member_aucs: tuple[float, ...]  # held out, as `RewardReport.held_out_auc`
    spread: float  # mean standard deviation between members over held-out labels, in logits
    sure_auc: float  # on the half of the held-out labels the members agree on most
    unsure_auc: float  # on the other half


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
    members: int = 1,
    pessimism: float = 0.0,
    item_correction: float = 0.0,
    position_correction: bool = False,
    device: torch.device | str = "cpu",
) -> tuple[Reward, RewardReport]:
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
        members: Models in the ensemble; above 1, each is fitted to users drawn with replacement.
        pessimism: What the ensemble's `cautious` takes off, in standard deviations.
        item_correction: Share of the teacher's bias for items that is taken out, 0 to 1; at 1
            r_psi need not say which items the teacher likes for everybody.
        position_correction: Take out its bias for places in a prompt; the candidates of every
            question must be in the order shown.
        device: Where the model is fitted, and stays.

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

    def bias_of(rows: NDArray[np.bool_]) -> LabelBias:
        some = data.rows(rows)
        return label_bias(
            some.candidates,
            some.liked,
            some.judged,
            len(item_vectors),
            item_share=item_correction,
            places=position_correction,
        )

    def fitted(
        rows: NDArray[np.bool_] | NDArray[np.int64], bias: LabelBias, decay: float, luck: int
    ) -> RewardModel:
        model = RewardModel(item_vectors, width=width, free_vectors=free_vectors, luck=luck)
        _train(
            model.to(device),
            data.rows(rows),
            bias,
            np.random.default_rng(luck),
            weight_decay=decay,
            epochs=epochs,
            batch_size=batch_size,
            learning_rate=learning_rate,
            pair_weight=pair_weight,
        )
        return model

    decay = weight_decays[0]
    if len(weight_decays) > 1 and n_out:
        rest = ~held_out & ~choosing
        bias = bias_of(rest)
        scores = [
            data.rows(choosing).auc_of(fitted(rest, bias, decay, luck), bias)
            for decay in weight_decays
        ]
        decay = weight_decays[int(np.nanargmax(scores))] if np.isfinite(scores).any() else decay
    bias = bias_of(~held_out)
    model: Reward
    if members == 1:
        model = fitted(~held_out, bias, decay, luck)
    else:
        draws = [_drawn(users, ~held_out, luck, m) for m in range(members)]
        each = [fitted(rows, bias, decay, luck + m) for m, rows in enumerate(draws)]
        model = RewardEnsemble(each, pessimism=pessimism)
    judged = data.judged > 0
    return model, RewardReport(
        questions=len(answered),
        labels=int(judged.sum()),
        like_rate=float(data.liked[judged].mean()),
        weight_decay=float(decay),
        held_out_auc=data.rows(held_out).auc_of(model),
        train_auc=data.rows(~held_out).auc_of(model),
        ensemble=_disagreement(model, data.rows(held_out))
        if isinstance(model, RewardEnsemble)
        else None,
    )


def _drawn(
    users: NDArray[np.int64], allowed: NDArray[np.bool_], luck: int, member: int
) -> NDArray[np.int64]:
    """Return the rows of a member's answers: as many users as there are, drawn with replacement."""
    rng = np.random.default_rng([luck, member])
    known = np.unique(users[allowed])
    rows = np.flatnonzero(allowed)
    of = {user: rows[users[rows] == user] for user in known.tolist()}
    drawn = rng.choice(known, len(known))
    return np.concatenate([of[user] for user in drawn.tolist()])


def _disagreement(model: RewardEnsemble, data: "_Answers") -> EnsembleReport:
    judged = data.judged > 0
    spread = data.at_candidates(model.spread)[judged]
    scores = data.at_candidates(model.predict)[judged]
    liked = data.liked[judged] > 0
    sure = spread <= np.median(spread) if len(spread) else np.zeros(0, dtype=np.bool_)
    return EnsembleReport(
        member_aucs=tuple(data.auc_of(member) for member in model.models()),
        spread=float(spread.mean()) if len(spread) else float("nan"),
        sure_auc=auc(liked[sure], scores[sure]),
        unsure_auc=auc(liked[~sure], scores[~sure]),
    )


def _train(
    model: RewardModel,
    data: "_Answers",
    bias: LabelBias,
    rng: np.random.Generator,
    *,
    weight_decay: float,
    epochs: int,
    batch_size: int,
    learning_rate: float,
    pair_weight: float,
) -> None:
    own = [] if model.scorer.free_bias is None else [model.scorer.free_bias]  # of single items
    rest = [p for p in model.parameters() if not any(p is b for b in own)]
    groups = [{"params": rest, "weight_decay": weight_decay}]
    if own:
        groups.append({"params": own, "weight_decay": 0.0, "lr": 10.0 * learning_rate})
    optimizer = torch.optim.AdamW(groups, lr=learning_rate)
    steps = epochs * -(-len(data.items) // batch_size)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.1, total_iters=steps)
    for _ in range(epochs):
        order = rng.permutation(len(data.items))
        for first in range(0, len(order), batch_size):
            batch = data.rows(order[first : first + batch_size])
            candidates, offset, liked, judged = (
                torch.as_tensor(part, device=model.device)
                for part in (batch.candidates, bias.at(batch.candidates), batch.liked, batch.judged)
            )
            q, level = model.scorer.at(
                history_observation(batch.items, batch.feedback, model.device),
                model.vectors,
                candidates,
            )
            loss = preference_loss(
                q + level.unsqueeze(1) + offset,
                liked,
                judged,
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

    def at_candidates(self, scores_of: Scores) -> NDArray[np.float32]:
        """Return (n, K) what a function of histories that scores all items says of candidates."""
        parts = np.array_split(np.arange(len(self.items)), max(1, len(self.items) // 512))
        return np.concatenate(
            [
                np.take_along_axis(
                    scores_of(self.items[part], self.feedback[part]), self.candidates[part], axis=1
                )
                for part in parts
            ]
        )

    def auc_of(self, model: Reward, bias: LabelBias | None = None) -> float:
        """Return the AUC of r_psi against the teacher's labels; NaN without both kinds.

        With a bias, it is put back: then r_psi and bias together speak for the labels.
        """
        scores = self.at_candidates(model.predict)
        if bias is not None:
            scores = scores + bias.at(self.candidates)
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
