"""A population fitted to what users did, where the log does not say what they declined."""

from dataclasses import replace

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
    columns,
    fit_and_judge,
    nine_tenths,
)
from simrec.envs.logistic import factorise_clicks
from simrec.errors import SimrecError
from simrec.interactions import InteractionLog
from simrec.randomness import generator

NEGATIVES = 4  # corrected negatives beside each event, which makes the mean P(click) about 1 in 5
SHRINKAGE = 3.0


def corrected_offers(
    log: InteractionLog,
    rows: NDArray[np.int64],
    known: NDArray[np.int64],
    exposure: NDArray[np.float64],
    *,
    rng: np.random.Generator,
    negatives: int = NEGATIVES,
) -> Offers:
    """Put negatives beside events, drawn as items are met rather than uniformly.

    A popular item that a user did not take was probably seen and declined; a rare one probably not
    seen. Negatives are therefore drawn in proportion to `exposure`, and an item's popularity counts
    as taste only as far as it exceeds its exposure.

    Args:
        log: The whole log.
        rows: (n,) the events.
        known: (m,) events whose pairs are never negatives.
        exposure: (I,) how often each item is met, in any unit.
        rng: Draws the negatives.
        negatives: Drawn for each event, for the same user; those in `known` are dropped.

    Returns:
        The events, then the negatives.
    """
    user, item = log.user[rows].astype(np.int64), log.item[rows].astype(np.int64)
    other = np.repeat(user, negatives)
    drawn = rng.choice(log.n_items, len(other), p=exposure / exposure.sum())
    taken = log.user[known].astype(np.int64) * log.n_items + log.item[known]
    free = ~np.isin(other * log.n_items + drawn, taken)
    return Offers(
        np.concatenate([user, other[free]]),
        np.concatenate([item, drawn[free].astype(np.int64)]),
        np.arange(len(user) + int(free.sum())) < len(user),
    )


def exposure_of(log: InteractionLog, rows: NDArray[np.int64], power: float) -> NDArray[np.float64]:
    """Return (events of the item + 1) ** power (I,): how often items are taken to be met."""
    count = np.bincount(log.item[rows], minlength=log.n_items).astype(np.float64)
    return np.asarray((count + 1.0) ** power)


def fit_clicks(
    log: InteractionLog,
    truth_rows: NDArray[np.int64],
    realism_rows: NDArray[np.int64],
    table_vectors: NDArray[np.float32],
    *,
    like_at: float,
    seed: int,
    rank: int = 12,
    shrinkage: Shrinkage = SHRINKAGE,
    bias_shrinkage: float = 1.0,
    iterations: int = 12,
    popularity_power: float = 0.5,
    user_scale: float = 1.0,
    item_scale: float = 1.0,
    interaction_scale: float = 1.0,
    intercept_shift: float = 0.0,
) -> Fitted:
    """Fit users who take what real ones took, from a log without dislikes.

    Logistic matrix factorisation of the events against corrected negatives, items resting on their
    features; on a tenth of the truth part, kept out, a logistic regression turns the parts into
    P(click); then the factors are fitted again on the whole truth part. What the log cannot tell is
    a choice: with four negatives for each event the mean P(click) over items met with `exposure` is
    about 1 in 5, the same for every user. A count is read as "did", however large.

    Args:
        log: The whole log, in the unit "implicit" or "count".
        truth_rows: (n,) events the users may be fitted on.
        realism_rows: (m,) events that only judge.
        table_vectors: (I, D) item vectors, on which items with few events fall back.
        like_at: Feedback of at least this much is a click; other events are left out.
        seed: Draws the held-out tenth, the negatives and the first factors.
        rank: Length of the taste vectors.
        shrinkage: Ridge penalty of the vectors; "chosen" takes the best of a grid in
            cross-validation inside the truth part.
        bias_shrinkage: Ridge penalty of the biases.
        iterations: Rounds of alternating steps.
        popularity_power: Exposure is (events + 1) to this power: 0 takes all popularity for taste,
            1 all of it for exposure; a half lies between (Yang et al., RecSys 2018, write
            the power as (gamma + 1) / 2; reconstructed).
        user_scale: Multiplies the users' effects.
        item_scale: Multiplies the items' effects.
        interaction_scale: Multiplies the personal part of taste.
        intercept_shift: Logits added for every pair.

    Returns:
        The population and how it does on the realism part among corrected negatives.

    Raises:
        SimrecError: A part is too small, or the item vectors do not match the log.
    """
    did = np.flatnonzero((log.feedback >= like_at) & (log.feedback > 0))
    if not len(did):
        raise SimrecError(
            f"like_at is {like_at:g} and no event reaches it: the log is '{log.unit}' with "
            f"feedback up to {log.feedback.max():g}; expected a smaller value; in a study set "
            "data.like_at to 1"
        )
    truth_rows, realism_rows = np.intersect1d(truth_rows, did), np.intersect1d(realism_rows, did)
    check_parts(log, truth_rows, realism_rows, table_vectors)
    if not 0.0 <= popularity_power <= 1.0:
        raise SimrecError(f"popularity_power is {popularity_power}; expected 0 to 1")
    features = table_vectors.astype(np.float64)
    exposure = exposure_of(log, truth_rows, popularity_power)

    def offers(rows: NDArray[np.int64], known: NDArray[np.int64], purpose: str) -> Offers:
        rng = generator(seed, "fit", "negatives", purpose)
        return corrected_offers(log, rows, known, exposure, rng=rng)

    def factors(met: Offers, purpose: str, rank: int, penalty: float) -> Factors:
        return factorise_clicks(
            met.user,
            met.item,
            met.clicked,
            features,
            n_users=log.n_users,
            rank=rank,
            shrinkage=penalty,
            bias_shrinkage=bias_shrinkage,
            iterations=iterations,
            rng=generator(seed, "fit", purpose),
        )

    def loss(fit_rows: NDArray[np.int64], fold: NDArray[np.int64], penalty: float) -> float:
        found = factors(offers(fit_rows, truth_rows, "folds"), "choice", rank, penalty)
        judged = offers(fold, truth_rows, "fold")
        logits = found.mean + columns(found, judged)[:, 1:].sum(axis=1)
        return float(np.mean(np.logaddexp(0.0, logits) - logits * judged.clicked))

    if shrinkage == "chosen":
        rng = generator(seed, "fit", "folds")
        penalty = chosen_shrinkage(truth_rows, loss, start=SHRINKAGE, rng=rng)
    else:
        penalty = float(shrinkage)
    kept, held = nine_tenths(truth_rows, generator(seed, "fit", "held-out"))
    found = fit_and_judge(
        Parts(
            kept=offers(kept, truth_rows, "part"),
            held=offers(held, truth_rows, "held-out"),
            whole=offers(truth_rows, truth_rows, "whole"),
            judging=offers(realism_rows, did, "judging"),
        ),
        (
            lambda met, purpose: factors(met, purpose, rank, penalty),
            lambda met, purpose: factors(met, purpose, 0, penalty),
            lambda met, purpose: item_odds(log, met),
        ),
        popularity=np.bincount(log.item[truth_rows], minlength=log.n_items).astype(np.float64),
        shrinkage=penalty,
        chosen=shrinkage == "chosen",
        scales=Scales(user_scale, item_scale, interaction_scale, intercept_shift),
    )
    n = len(realism_rows)  # the events come first, then the negatives
    return replace(found, rating=found.rating[:n], probability=found.probability[:n])


def item_odds(log: InteractionLog, met: Offers) -> Factors:
    """Return the log odds that each item is taken when met, shrunk by one answer of each kind."""
    taken = np.bincount(met.item[met.clicked], minlength=log.n_items)
    met_at_all = np.bincount(met.item, minlength=log.n_items)
    share = float(met.clicked.mean())
    odds = np.log((taken + share) / (met_at_all - taken + 1.0 - share) * (1.0 - share) / share)
    none = np.zeros((log.n_users, 0)), np.zeros((log.n_items, 0))
    return Factors(float(np.log(share / (1 - share))), np.zeros(log.n_users), odds, *none)
