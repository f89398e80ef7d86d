"""A population of simulated users fitted to the ratings of the truth part of a log."""

import numpy as np
from numpy.typing import NDArray

from simrec.envs.als import Factors, factorise
from simrec.envs.fitting import (
    Fitted,
    Offers,
    Parts,
    Scales,
    Shrinkage,
    check_parts,
    chosen_shrinkage,
    columns,
    fit_and_judge,
    nine_tenths,
)
from simrec.envs.propensity import inverse_weights
from simrec.errors import SimrecError
from simrec.interactions import IMPLICIT, InteractionLog
from simrec.randomness import generator

SHRINKAGE = 12.0  # where cross-validation on MovieLens-100K ends too


def fit_population(
    log: InteractionLog,
    truth_rows: NDArray[np.int64],
    realism_rows: NDArray[np.int64],
    table_vectors: NDArray[np.float32],
    *,
    like_at: float,
    seed: int,
    rank: int = 12,
    shrinkage: Shrinkage = SHRINKAGE,
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
        shrinkage: Ridge penalty of the vectors, in events; "chosen" takes the best of a grid in
            cross-validation inside the truth part.
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
    user, item = log.user.astype(np.int64), log.item.astype(np.int64)
    rating = log.feedback.astype(np.float64)
    features = table_vectors.astype(np.float64)

    def offers(rows: NDArray[np.int64]) -> Offers:
        weight = None if propensity is None else inverse_weights(propensity[rows])
        return Offers(user[rows], item[rows], rating[rows] >= like_at, rating[rows], weight)

    def factors(met: Offers, purpose: str, rank: int, penalty: float) -> Factors:
        assert met.rating is not None
        return factorise(
            met.user,
            met.item,
            met.rating,
            features,
            n_users=log.n_users,
            rank=rank,
            shrinkage=penalty,
            bias_shrinkage=bias_shrinkage,
            iterations=iterations,
            rng=generator(seed, "fit", purpose),
            weights=met.weight,
        )

    def item_means(met: Offers, purpose: str) -> Factors:
        assert met.rating is not None
        mean = float(met.rating.mean())
        total = np.bincount(met.item, met.rating - mean, minlength=log.n_items)
        count = np.bincount(met.item, minlength=log.n_items)
        none = np.zeros((log.n_users, 0)), np.zeros((log.n_items, 0))
        return Factors(mean, np.zeros(log.n_users), total / (count + bias_shrinkage), *none)

    def loss(fit_rows: NDArray[np.int64], fold: NDArray[np.int64], penalty: float) -> float:
        found, judged = factors(offers(fit_rows), "choice", rank, penalty), offers(fold)
        error = found.mean + columns(found, judged)[:, 1:].sum(axis=1) - rating[fold]
        return float(np.average(error**2, weights=judged.weight))

    if shrinkage == "chosen":
        rng = generator(seed, "fit", "folds")
        penalty = chosen_shrinkage(truth_rows, loss, start=SHRINKAGE, rng=rng)
    else:
        penalty = float(shrinkage)
    kept, held = nine_tenths(truth_rows, generator(seed, "fit", "held-out"))
    return fit_and_judge(
        Parts(offers(kept), offers(held), offers(truth_rows), offers(realism_rows)),
        (
            lambda met, purpose: factors(met, purpose, rank, penalty),
            lambda met, purpose: factors(met, purpose, 0, penalty),
            item_means,
        ),
        popularity=np.bincount(item[truth_rows], minlength=log.n_items).astype(np.float64),
        shrinkage=penalty,
        chosen=shrinkage == "chosen",
        scales=Scales(user_scale, item_scale, interaction_scale, intercept_shift),
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
    least, most = log.feedback[truth_rows].min(), log.feedback[truth_rows].max()
    if least == most:
        raise SimrecError(
            f"all feedback is {least:g}, so nothing tells likes from dislikes; expected several "
            "values, or a log of what people did: write 1 in every row and set data.like_at to 1"
        )
    if share in (0.0, 1.0):
        raise SimrecError(
            f"like_at is {like_at} and {share:.0%} of the truth part reach it; expected a value "
            f"between {least:g} and {most:g} that divides the feedback"
        )
