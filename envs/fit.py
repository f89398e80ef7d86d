"""A population of simulated users fitted to the ratings of the truth part of a log."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from simrec.envs.als import Factors, factorise
from simrec.envs.propensity import inverse_weights
from simrec.envs.realism import (
    FitReport,
    Score,
    area_under_curve,
    calibration_error,
    logistic_weights,
)
from simrec.envs.users import FactorUsers
from simrec.errors import SimrecError
from simrec.interactions import IMPLICIT, InteractionLog
from simrec.randomness import generator


@dataclass(frozen=True)
class Fitted:
    """A population with what it says of the judging events, when calibrated."""

    users: FactorUsers
    report: FitReport
    rating: NDArray[np.float64]  # (m,) predicted feedback, in the log's unit
    probability: NDArray[np.float64]  # (m,) predicted P(like)


def fit_population(
    log: InteractionLog,
    truth_rows: NDArray[np.int64],
    realism_rows: NDArray[np.int64],
    table_vectors: NDArray[np.float32],
    *,
    like_at: float,
    seed: int,
    rank: int = 12,
    shrinkage: float = 12.0,
    bias_shrinkage: float = 4.0,
    iterations: int = 12,
    user_scale: float = 1.0,
    item_scale: float = 1.0,
    interaction_scale: float = 1.0,
    intercept_shift: float = 0.0,
    propensity: NDArray[np.float64] | None = None,
) -> Fitted:
    """Fit users who rate as real ones do, and judge them on ratings kept apart.

    Biased matrix factorisation on nine tenths of the truth part; on the last tenth a logistic
    regression turns user bias, item bias and interaction into P(like); then the factors are fitted
    again on the whole truth part. Ratings are given by choice, so P(like) is calibrated for pairs
    that people chose to rate; for others it rests on the same model. With a propensity every event
    is weighted by the inverse of its chance to be seen, in the factors as in the calibration, so
    that P(like) is meant for pairs drawn at random.

    The scales multiply the centred effects and the interaction. At 1, and without a shift, the
    population is calibrated. Other values make tastes stronger or weaker, or users harder to
    please, than the data says, so that P(like) is no longer calibrated: only the order of items
    within each part still comes from the data.

    Args:
        log: The whole log, in a unit where higher is better.
        truth_rows: (n,) events the users may be fitted on.
        realism_rows: (m,) events that only judge.
        table_vectors: (I, D) item vectors, on which items with few ratings fall back.
        like_at: Feedback of at least this much counts as a like.
        seed: Draws the held-out tenth and the first factors.
        rank: Length of the taste vectors.
        shrinkage: Ridge penalty of the vectors, in events.
        bias_shrinkage: Ridge penalty of the biases, in events.
        iterations: Rounds of alternating least squares.
        user_scale: Multiplies the users' effects.
        item_scale: Multiplies the items' effects.
        interaction_scale: Multiplies the personal part of taste.
        intercept_shift: Logits added for every pair.
        propensity: (n events of the log,) the chance that each event was seen; None takes all
            events alike.

    Returns:
        The population, and how it does on the realism part when calibrated (scales 1, no shift).

    Raises:
        SimrecError: The log is implicit, a part is too small, there are only likes or none, or the
            item vectors do not match the log.
    """
    _check(log, truth_rows, realism_rows, table_vectors, like_at)
    user = log.user.astype(np.int64)
    item = log.item.astype(np.int64)
    rating = log.feedback.astype(np.float64)
    liked = rating >= like_at
    features = table_vectors.astype(np.float64)

    def weights_of(rows: NDArray[np.int64]) -> NDArray[np.float64] | None:
        return None if propensity is None else inverse_weights(propensity[rows])

    def fitted(rows: NDArray[np.int64], purpose: str, rank: int) -> Factors:
        return factorise(
            user[rows],
            item[rows],
            rating[rows],
            features,
            n_users=log.n_users,
            rank=rank,
            shrinkage=shrinkage,
            bias_shrinkage=bias_shrinkage,
            iterations=iterations,
            rng=generator(seed, "fit", purpose),
            weights=weights_of(rows),
        )

    def item_means(rows: NDArray[np.int64]) -> Factors:
        mean = float(rating[rows].mean())
        total = np.bincount(item[rows], rating[rows] - mean, minlength=log.n_items)
        count = np.bincount(item[rows], minlength=log.n_items)
        none = np.zeros((log.n_users, 0)), np.zeros((log.n_items, 0))
        return Factors(mean, np.zeros(log.n_users), total / (count + bias_shrinkage), *none)

    def columns(factors: Factors, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        u, i = user[rows], item[rows]
        parts = (factors.user_bias[u], factors.item_bias[i], factors.interaction(u, i))
        return np.stack((np.ones(len(rows)), *parts), axis=1)

    shuffled = generator(seed, "fit", "held-out").permutation(truth_rows)
    n_held = max(len(shuffled) // 10, 1)
    held, kept = shuffled[:n_held], shuffled[n_held:]

    def calibrated(part: Factors) -> NDArray[np.float64]:
        return logistic_weights(columns(part, held), liked[held], answer_weights=weights_of(held))

    def predicted(
        whole: Factors, weights: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        outside = columns(whole, realism_rows)
        return whole.mean + outside[:, 1:].sum(axis=1), expit(outside @ weights)

    def judged(part: Factors, whole: Factors) -> Score:
        """Calibrate what was fitted to `kept`, then score what was fitted to the whole truth."""
        return _score(*predicted(whole, calibrated(part)), rating[realism_rows], like_at)

    final = fitted(truth_rows, "final", rank)
    weights = calibrated(fitted(kept, "calibration", rank))
    rated, probability = predicted(final, weights)
    bias = judged(fitted(kept, "calibration", 0), fitted(truth_rows, "final", 0))
    means = judged(item_means(kept), item_means(truth_rows))
    popularity = np.bincount(item[truth_rows], minlength=log.n_items).astype(np.float64)
    report = FitReport(
        model=_score(rated, probability, rating[realism_rows], like_at),
        bias=bias,
        item_mean=means,
        popularity_auc=area_under_curve(popularity[item[realism_rows]], liked[realism_rows]),
        judged=len(realism_rows),
        like_share=float(liked[realism_rows].mean()),
        intercept=float(weights[0]),
        user_weight=float(weights[1]),
        item_weight=float(weights[2]),
        interaction_weight=float(weights[3]),
    )
    users = population(
        final,
        weights,
        user[truth_rows],
        item[truth_rows],
        user_scale=user_scale,
        item_scale=item_scale,
        interaction_scale=interaction_scale,
        intercept_shift=intercept_shift,
    )
    return Fitted(users, report, rated, probability)


def population(
    factors: Factors,
    weights: NDArray[np.float64],
    users: NDArray[np.int64],
    items: NDArray[np.int64],
    *,
    user_scale: float,
    item_scale: float,
    interaction_scale: float,
    intercept_shift: float,
) -> FactorUsers:
    """Return the users whose logits are the calibrated factors, centred and then scaled.

    Args:
        factors: What was fitted.
        weights: (4,) of the constant, the user's bias, the item's bias and the interaction.
        users: (n,) user rows of the events over which the users' effects are centred.
        items: (n,) item rows of the events over which the items' effects are centred.
        user_scale: Multiplies the users' effects.
        item_scale: Multiplies the items' effects.
        interaction_scale: Multiplies the personal part of taste.
        intercept_shift: Logits added for every pair.
    """
    user_effect = weights[1] * factors.user_bias
    item_effect = weights[2] * factors.item_bias
    user_centre = float(user_effect[users].mean())
    item_centre = float(item_effect[items].mean())
    return FactorUsers(
        intercept=float(weights[0]) + user_centre + item_centre + intercept_shift,
        scale=float(weights[3]) * interaction_scale,
        user_effect=(user_scale * (user_effect - user_centre)).astype(np.float32),
        item_effect=(item_scale * (item_effect - item_centre)).astype(np.float32),
        user_vectors=factors.user.astype(np.float32),
        item_vectors=factors.item.astype(np.float32),
    )


def _score(
    rated: NDArray[np.float64],
    probability: NDArray[np.float64],
    rating: NDArray[np.float64],
    like_at: float,
) -> Score:
    error = rated - rating
    return Score(
        rmse=float(np.sqrt((error**2).mean())),
        auc=area_under_curve(probability, rating >= like_at),
        calibration_error=calibration_error(probability, rating >= like_at),
    )


def _check(
    log: InteractionLog,
    truth_rows: NDArray[np.int64],
    realism_rows: NDArray[np.int64],
    table_vectors: NDArray[np.float32],
    like_at: float,
) -> None:
    """Raise SimrecError unless a population can be fitted to this."""
    if log.unit in IMPLICIT:
        raise SimrecError(
            f"the log's feedback is in '{log.unit}', which has no dislikes; fitting ratings "
            "needs a unit such as 'stars', so fit this log with simrec.envs.implicit.fit_clicks"
        )
    check_parts(log, truth_rows, realism_rows, table_vectors)
    share = float((log.feedback[truth_rows] >= like_at).mean())
    if share in (0.0, 1.0):
        raise SimrecError(
            f"like_at is {like_at} and {share:.0%} of the truth part reach it; expected a value "
            f"between {log.feedback[truth_rows].min():g} and {log.feedback[truth_rows].max():g}"
            " that divides the feedback"
        )


def check_parts(
    log: InteractionLog,
    truth_rows: NDArray[np.int64],
    realism_rows: NDArray[np.int64],
    table_vectors: NDArray[np.float32],
) -> None:
    """Raise SimrecError unless the parts are large enough and the table is the log's."""
    if len(table_vectors) != log.n_items:
        raise SimrecError(
            f"the item table has {len(table_vectors)} rows; expected {log.n_items}, one for each "
            "item of the log, so build it from the same catalogue"
        )
    if len(truth_rows) < 20 or not len(realism_rows):
        raise SimrecError(
            f"the truth part has {len(truth_rows)} events and the realism part "
            f"{len(realism_rows)}; expected 20 or more and 1 or more, so use a longer log"
        )
