"""Users who weigh modalities: some judge by the picture, some by the text, some by the sound."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from simrec.envs.als import Factors
from simrec.envs.fitting import (
    Fitted,
    Offers,
    Parts,
    Scales,
    Shrinkage,
    check_parts,
    chosen_shrinkage,
    fit_and_judge,
    nine_tenths,
)
from simrec.envs.implicit import corrected_offers, exposure_of, item_odds
from simrec.envs.logistic import Answered, curvature, logits_of
from simrec.envs.propensity import inverse_weights
from simrec.envs.users import FactorUsers
from simrec.errors import SimrecError
from simrec.files import fingerprint
from simrec.interactions import IMPLICIT, InteractionLog
from simrec.randomness import generator

SHRINKAGE = 12.0  # where the choice begins
POWER = 0.5  # of popularity in exposure, as in `simrec.envs.implicit`


@dataclass(frozen=True)
class ModalityUsers(FactorUsers):
    """A population with logit P(like) = effects + sum over m of w(u, m) <p(u, m), e(m, i)>.

    The vectors of FactorUsers, whose columns belong to modalities: an item's are its whitened
    embeddings e(m, i), which makes lengths comparable between modalities, and a user's are
    w(u, m) p(u, m). The weights w of a user lie on the simplex and all p(u, m) of a user have the
    same length, the strength of the user's taste; so w says how much of the taste each modality
    carries, and can be read off the vectors. Users judge the true item: what an agent's table hides
    or completes does not change them.
    """

    modalities: tuple[str, ...]  # M names
    widths: tuple[int, ...]  # D_m, columns of each modality; their sum is D

    @cached_property
    def fingerprint(self) -> str:
        """Sixteen hex digits over every number of the model."""
        return fingerprint(
            list(self.modalities),
            list(self.widths),
            [self.intercept, self.scale],
            self.user_effect,
            self.item_effect,
            self.user_vectors,
            self.item_vectors,
        )

    @property
    def embeddings(self) -> tuple[NDArray[np.float32], ...]:
        """The e(m, i) of each modality, M times (I, D_m)."""
        return self._divided(self.item_vectors)

    @cached_property
    def weights(self) -> NDArray[np.float32]:
        """The w(u, m) as (U, M): the share of each modality in the lengths of a user's parts."""
        parts = self._divided(self.user_vectors)
        length = np.stack([np.linalg.norm(part, axis=1) for part in parts], axis=1)
        total = length.sum(axis=1, keepdims=True, dtype=np.float64)
        even = np.full_like(length, 1.0 / len(parts))
        return np.where(total > 1e-12, length / np.maximum(total, 1e-12), even).astype(np.float32)

    @property
    def tastes(self) -> tuple[NDArray[np.float32], ...]:
        """The p(u, m) of each modality, M times (U, D_m)."""
        parts = self._divided(np.float32(self.scale) * self.user_vectors)
        return tuple(
            part / np.maximum(w, np.float32(1e-9))[:, None]
            for part, w in zip(parts, self.weights.T, strict=True)
        )

    def _divided(self, vectors: NDArray[np.float32]) -> tuple[NDArray[np.float32], ...]:
        return tuple(np.split(vectors, np.cumsum(self.widths)[:-1], axis=1))


def fit_modality_users(
    log: InteractionLog,
    truth_rows: NDArray[np.int64],
    realism_rows: NDArray[np.int64],
    modalities: Mapping[str, NDArray[np.float32]],
    *,
    like_at: float,
    seed: int,
    width: int = 6,
    shrinkage: Shrinkage = "chosen",
    bias_shrinkage: float = 2.0,
    iterations: int = 12,
    user_scale: float = 1.0,
    item_scale: float = 1.0,
    interaction_scale: float = 1.0,
    intercept_shift: float = 0.0,
    propensity: NDArray[np.float64] | None = None,
) -> Fitted:
    """Fit how much each user weighs each modality, and what they look for in it.

    For fixed embeddings the logistic likelihood is concave in each user's joint taste vector, so
    that one is fitted (alternating with item effects, by the bound of `simrec.envs.logistic`,
    users shrunk towards the mean user); w(u, m) is the share of modality m in the lengths of its
    parts. An implicit log gets corrected negatives.

    Args:
        log: The whole log.
        truth_rows: (n,) events the users may be fitted on.
        realism_rows: (m,) events that only judge.
        modalities: Name -> (I, D_m) vectors of the true items, such as `ItemTable.parts` of a table
            from which nothing is hidden.
        like_at: Feedback of at least this much counts as a like.
        seed: Draws the held-out tenth and the negatives.
        width: Greatest width of a modality; wider ones keep their first principal components.
        shrinkage: Ridge penalty of tastes, towards the mean user; "chosen" takes the best of a grid
            in cross-validation inside the truth part.
        bias_shrinkage: Ridge penalty of the effects.
        iterations: Rounds of user and item steps.
        user_scale: Multiplies the users' effects.
        item_scale: Multiplies the items' effects.
        interaction_scale: Multiplies the personal part of taste.
        intercept_shift: Logits added for every pair.
        propensity: (n events of the log,) the chance that each rating was seen; None takes all
            alike.

    Returns:
        ModalityUsers, and how they do on the judging events; the RMSE is that of P(like).

    Raises:
        SimrecError: There are fewer than two modalities, or the parts of the log are too small.
    """
    if len(modalities) < 2:
        raise SimrecError(
            f"the item table has {len(modalities)} modality; expected 2 or more for users to "
            "weigh, so add a modality or fit ordinary users"
        )
    embeddings = [whitened(part, width) for part in modalities.values()]
    joint = np.concatenate(embeddings, axis=1)
    implicit, everything = log.unit in IMPLICIT, np.arange(len(log))
    if implicit:
        everything = np.flatnonzero((log.feedback >= like_at) & (log.feedback > 0))
        truth_rows = np.intersect1d(truth_rows, everything)
        realism_rows = np.intersect1d(realism_rows, everything)
    check_parts(log, truth_rows, realism_rows, joint.astype(np.float32))

    def offers(rows: NDArray[np.int64], purpose: str) -> Offers:
        known = everything if purpose == "judging" else truth_rows
        return offers_of(log, rows, known, like_at, seed, purpose, propensity)

    def fitted(met: Offers, vectors: NDArray[np.float64], penalty: float) -> Factors:
        return _fit(met, vectors, log.n_users, penalty, bias_shrinkage, iterations)

    def loss(fit_rows: NDArray[np.int64], fold: NDArray[np.int64], penalty: float) -> float:
        found, judged = fitted(offers(fit_rows, "folds"), joint, penalty), offers(fold, "fold")
        user, item = np.c_[found.user, found.user_bias], np.c_[found.item, found.item_bias]
        logits = logits_of(found.mean, user, item, judged.user, judged.item)
        lost = np.logaddexp(0.0, logits) - logits * judged.clicked
        return float(np.average(lost, weights=judged.weight))

    if shrinkage == "chosen":
        rng = generator(seed, "modalities", "folds")
        penalty = chosen_shrinkage(truth_rows, loss, start=SHRINKAGE, rng=rng)
    else:
        penalty = float(shrinkage)
    kept, held = nine_tenths(truth_rows, generator(seed, "modalities", "held-out"))
    found = fit_and_judge(
        Parts(
            kept=offers(kept, "kept"),
            held=offers(held, "held"),
            whole=offers(truth_rows, "all"),
            judging=offers(realism_rows, "judging"),
        ),
        (
            lambda met, purpose: fitted(met, joint, penalty),
            lambda met, purpose: fitted(met, joint[:, :0], penalty),
            lambda met, purpose: item_odds(log, met),
        ),
        popularity=np.bincount(log.item[truth_rows], minlength=log.n_items).astype(np.float64),
        shrinkage=penalty,
        chosen=shrinkage == "chosen",
        scales=Scales(user_scale, item_scale, interaction_scale, intercept_shift),
    )
    users = ModalityUsers(
        **{part.name: getattr(found.users, part.name) for part in fields(found.users)},
        modalities=tuple(modalities),
        widths=tuple(part.shape[1] for part in embeddings),
    )
    return replace(found, users=users)


def whitened(part: NDArray[np.float32], width: int) -> NDArray[np.float64]:
    """Return the first principal components of a modality (I, up to width), each of variance 1."""
    centred = part.astype(np.float64) - part.mean(axis=0)
    left, size, _ = np.linalg.svd(centred, full_matrices=False)
    real = size[:width] > 1e-6 * max(float(size[0]), 1e-12)
    return np.asarray(left[:, :width][:, real] * np.sqrt(len(part)))


def offers_of(
    log: InteractionLog,
    rows: NDArray[np.int64],
    known: NDArray[np.int64],
    like_at: float,
    seed: int,
    purpose: str,
    propensity: NDArray[np.float64] | None = None,
) -> Offers:
    """Return who met what and liked it, with corrected negatives for an implicit log.

    Args:
        log: The whole log.
        rows: (n,) the events.
        known: (m,) the events that say how often items are met, where the log is implicit.
        like_at: Feedback of at least this much counts as a like.
        seed: Draws the negatives.
        purpose: Names their luck.
        propensity: Chances of the log's events to be in it, which weigh explicit events.
    """
    if log.unit in IMPLICIT:
        rng = generator(seed, "modalities", "negatives", purpose)
        return corrected_offers(log, rows, known, exposure_of(log, known, POWER), rng=rng)
    user, item = log.user[rows].astype(np.int64), log.item[rows].astype(np.int64)
    weight = None if propensity is None else inverse_weights(propensity[rows])
    return Offers(user, item, np.asarray(log.feedback[rows] >= like_at), weight=weight)


def _fit(
    met: Offers,
    joint: NDArray[np.float64],
    n_users: int,
    shrinkage: float,
    bias_shrinkage: float,
    iterations: int,
) -> Factors:
    """Return user effects, item effects and joint tastes for fixed item vectors."""
    width, n_items = joint.shape[1], len(joint)
    share = float(np.average(met.clicked, weights=met.weight))
    mean = float(np.log(share) - np.log1p(-share))
    counts = np.ones(len(met)) if met.weight is None else met.weight
    push = counts * np.where(met.clicked, 0.5, -0.5)
    answered = Answered(met.user, met.item, (n_users, n_items))
    penalty = np.r_[np.full(width, shrinkage), bias_shrinkage]
    item = np.c_[joint, np.zeros(n_items)]
    user = np.zeros((n_users, width + 1))
    for _ in range(iterations):
        curve = counts * curvature(logits_of(mean, user, item, met.user, met.item))
        centre = np.r_[user[:, :-1].mean(axis=0), 0.0][None]
        user = answered.solve(push, curve, mean, item, penalty, centre)
        now = logits_of(mean, user, item, met.user, met.item)
        curve = counts * curvature(now)
        slope = push - curve * (now - item[met.item, -1])
        total = np.bincount(met.item, slope, minlength=n_items)
        item[:, -1] = total / (np.bincount(met.item, curve, minlength=n_items) + bias_shrinkage)
    return Factors(mean, user[:, -1], item[:, -1], user[:, :-1], item[:, :-1])
