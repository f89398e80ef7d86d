"""Users who weigh modalities: some judge by the picture, some by the text, some by the sound."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from simrec.envs.als import Factors
from simrec.envs.fit import check_parts, population
from simrec.envs.implicit import Offers, corrected_offers, exposure_of
from simrec.envs.logistic import Answered, curvature, logits_of
from simrec.envs.realism import area_under_curve, logistic_weights
from simrec.envs.users import FactorUsers, UserState
from simrec.errors import SimrecError
from simrec.files import fingerprint
from simrec.interactions import IMPLICIT, InteractionLog
from simrec.randomness import generator


@dataclass(frozen=True)
class ModalityUsers:
    """A population with logit P(like) = effects + sum over m of w(u, m) <p(u, m), e(m, i)>.

    The weights w of a user lie on the simplex and all p(u, m) of a user have the same length, the
    strength of the user's taste; so w says how much of the taste each modality carries. The e are
    whitened, which makes lengths comparable between modalities. Users judge the true item: what an
    agent's table hides or completes does not change them.
    """

    modalities: tuple[str, ...]
    intercept: float
    user_effect: NDArray[np.float32]  # (U,)
    item_effect: NDArray[np.float32]  # (I,)
    weights: NDArray[np.float32]  # (U, M) rows on the simplex
    tastes: tuple[NDArray[np.float32], ...]  # M times (U, D_m)
    embeddings: tuple[NDArray[np.float32], ...]  # M times (I, D_m)

    @property
    def n_users(self) -> int:
        """The number of users U."""
        return len(self.user_effect)

    @property
    def n_items(self) -> int:
        """The number of items I."""
        return len(self.item_effect)

    @cached_property
    def factors(self) -> FactorUsers:
        """The same population as FactorUsers, which can be saved and is faster."""
        weighted = [w[:, None] * p for w, p in zip(self.weights.T, self.tastes, strict=True)]
        return FactorUsers(
            self.intercept,
            1.0,
            self.user_effect,
            self.item_effect,
            np.concatenate(weighted, axis=1).astype(np.float32),
            np.concatenate(self.embeddings, axis=1).astype(np.float32),
        )

    @property
    def fingerprint(self) -> str:
        """Sixteen hex digits over every number of the model."""
        return fingerprint(list(self.modalities), self.factors.fingerprint, self.weights)

    def begin(self, users: NDArray[np.int64]) -> UserState:
        """Return the state of user rows (B,): their effects and tastes, which never change."""
        return self.factors.begin(users)

    def affinity(self, state: UserState, items: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return P(like) for items (B, k) as (B, k)."""
        return self.factors.affinity(state, items)

    def affinity_of_all(self, state: UserState) -> NDArray[np.float64]:
        """Return P(like) for the whole catalogue as (B, I)."""
        return self.factors.affinity_of_all(state)

    def consume(
        self, state: UserState, items: NDArray[np.int64], feedback: NDArray[np.float32]
    ) -> None:
        """Change nothing: these tastes do not drift."""


def fit_modality_users(
    log: InteractionLog,
    truth_rows: NDArray[np.int64],
    realism_rows: NDArray[np.int64],
    parts: Mapping[str, NDArray[np.float32]],
    *,
    like_at: float,
    seed: int,
    width: int = 6,
    shrinkage: float = 4.0,
    bias_shrinkage: float = 2.0,
    iterations: int = 12,
) -> tuple[ModalityUsers, float]:
    """Fit how much each user weighs each modality, and what they look for in it.

    For fixed embeddings the logistic likelihood is concave in each user's joint taste vector, so
    that one is fitted (alternating with item effects, by the bound of `simrec.envs.logistic`,
    users shrunk towards the mean user) and then taken apart exactly: w(u, m) is the share of
    modality m in the lengths of the user's parts. An implicit log gets corrected negatives.

    Args:
        log: The whole log.
        truth_rows: (n,) events the users may be fitted on.
        realism_rows: (m,) events that only judge.
        parts: Modality -> (I, D_m) item vectors, such as `ItemTable.parts`.
        like_at: Feedback of at least this much counts as a like.
        seed: Draws the held-out tenth and the negatives.
        width: Greatest width of a modality; wider ones keep their first principal components.
        shrinkage: Ridge penalty of tastes, towards the mean user.
        bias_shrinkage: Ridge penalty of the effects.
        iterations: Rounds of user and item steps.

    Returns:
        The population, and its AUC on the judging events.

    Raises:
        SimrecError: There are fewer than two modalities, or the parts of the log are too small.
    """
    if len(parts) < 2:
        raise SimrecError(
            f"the item table has {len(parts)} modality; expected 2 or more for users to weigh, so "
            "add a modality or fit ordinary users"
        )
    embeddings = [whitened(part, width) for part in parts.values()]
    joint = np.concatenate(embeddings, axis=1)
    check_parts(log, truth_rows, realism_rows, joint.astype(np.float32))
    shuffled = generator(seed, "modalities", "held-out").permutation(truth_rows)
    held, kept = shuffled[: len(shuffled) // 10], shuffled[len(shuffled) // 10 :]
    met = {
        name: offers_of(log, rows, truth_rows, like_at, seed, name)
        for name, rows in (("kept", kept), ("held", held), ("all", truth_rows))
    }
    judging = offers_of(log, realism_rows, np.arange(len(log)), like_at, seed, "judging")

    def fitted(offers: Offers) -> Factors:
        return _fit(offers, joint, log.n_users, shrinkage, bias_shrinkage, iterations)

    def columns(factors: Factors, offers: Offers) -> NDArray[np.float64]:
        u, i = offers.user, offers.item
        parts = (factors.user_bias[u], factors.item_bias[i], factors.interaction(u, i))
        return np.stack((np.ones(len(u)), *parts), axis=1)

    weights = logistic_weights(columns(fitted(met["kept"]), met["held"]), met["held"].clicked)
    final = fitted(met["all"])
    chance = expit(columns(final, judging) @ weights)
    users = population(
        final,
        weights,
        met["all"].user,
        met["all"].item,
        user_scale=1.0,
        item_scale=1.0,
        interaction_scale=1.0,
        intercept_shift=0.0,
    )
    return _taken_apart(users, tuple(parts), embeddings), area_under_curve(chance, judging.clicked)


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
) -> Offers:
    """Return who met what and liked it, with corrected negatives for an implicit log."""
    if log.unit in IMPLICIT:
        rng = generator(seed, "modalities", "negatives", purpose)
        return corrected_offers(log, rows, known, exposure_of(log, known, 0.5), rng=rng)
    user, item = log.user[rows].astype(np.int64), log.item[rows].astype(np.int64)
    return Offers(user, item, np.asarray(log.feedback[rows] >= like_at))


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
    share = float(met.clicked.mean())
    mean = float(np.log(share) - np.log1p(-share))
    push = np.where(met.clicked, 0.5, -0.5)
    answered = Answered(met.user, met.item, (n_users, n_items))
    penalty = np.r_[np.full(width, shrinkage), bias_shrinkage]
    item = np.c_[joint, np.zeros(n_items)]
    user = np.zeros((n_users, width + 1))
    for _ in range(iterations):
        curve = curvature(logits_of(mean, user, item, met.user, met.item))
        centre = np.r_[user[:, :-1].mean(axis=0), 0.0][None]
        user = answered.solve(push, curve, mean, item, penalty, centre)
        now = logits_of(mean, user, item, met.user, met.item)
        curve = curvature(now)
        slope = push - curve * (now - item[met.item, -1])
        total = np.bincount(met.item, slope, minlength=n_items)
        item[:, -1] = total / (np.bincount(met.item, curve, minlength=n_items) + bias_shrinkage)
    return Factors(mean, user[:, -1], item[:, -1], user[:, :-1], item[:, :-1])


def _taken_apart(
    users: FactorUsers, modalities: tuple[str, ...], embeddings: list[NDArray[np.float64]]
) -> ModalityUsers:
    """Return the population with its joint tastes divided into weights and parts."""
    ends = np.cumsum([part.shape[1] for part in embeddings])
    tastes = np.split(users.scale * users.user_vectors.astype(np.float64), ends[:-1], axis=1)
    length = np.stack([np.linalg.norm(part, axis=1) for part in tastes], axis=1)  # (U, M)
    total = np.maximum(length.sum(axis=1, keepdims=True), 1e-12)
    weights = np.where(total > 1e-12, length / total, 1.0 / len(tastes))
    parts = [part / np.maximum(w, 1e-9)[:, None] for part, w in zip(tastes, weights.T, strict=True)]
    return ModalityUsers(
        modalities,
        users.intercept,
        users.user_effect,
        users.item_effect,
        weights.astype(np.float32),
        tuple(part.astype(np.float32) for part in parts),
        tuple(part.astype(np.float32) for part in embeddings),
    )
