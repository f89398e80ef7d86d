"""What every fit of a population shares: parts, calibration, judgement, choosing a penalty."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from simrec.envs.als import Factors
from simrec.envs.realism import (
    FitReport,
    Score,
    area_under_curve,
    calibration_error,
    logistic_weights,
)
from simrec.envs.users import FactorUsers
from simrec.errors import SimrecError
from simrec.interactions import InteractionLog

Shrinkage = float | Literal["chosen"]
GRID = (1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0, 24.0, 32.0, 64.0, 128.0)  # may be chosen
FOLDS = 5  # of the training part, to choose among them


@dataclass(frozen=True)
class Offers:
    """Pairs that users are taken to have met, and what they did."""

    user: NDArray[np.int64]  # (n,)
    item: NDArray[np.int64]  # (n,)
    clicked: NDArray[np.bool_]  # (n,) liked or taken; False also for a corrected negative
    rating: NDArray[np.float64] | None = None  # (n,) in the log's unit; None for implicit logs
    weight: NDArray[np.float64] | None = None  # (n,) how much each counts; None counts all once

    def __len__(self) -> int:
        """Return the number of pairs n."""
        return len(self.user)


@dataclass(frozen=True)
class Parts:
    """The training part, also divided in two, and the part that only judges."""

    kept: Offers  # nine tenths of the training part, for the factors that are calibrated
    held: Offers  # its last tenth, for the calibration
    whole: Offers  # all of it, for the final factors
    judging: Offers


@dataclass(frozen=True)
class Fitted:
    """A population with what it says of the judging events, when calibrated."""

    users: FactorUsers
    report: FitReport
    rating: NDArray[np.float64]  # (m,) predicted feedback, in the log's unit; else P(click)
    probability: NDArray[np.float64]  # (m,) predicted P(like)
    judging: Offers  # what it was judged on: the judging events and, if implicit, negatives


@dataclass(frozen=True)
class Scales:
    """What is done to calibrated effects; the defaults leave them calibrated."""

    user: float = 1.0  # times the users' effects
    item: float = 1.0  # times the items' effects
    interaction: float = 1.0  # times the personal part of taste
    shift: float = 0.0  # logits added for every pair


Fitter = Callable[[Offers, str], Factors]  # of offers and the purpose that names the luck


def nine_tenths(
    rows: NDArray[np.int64], rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return rows (n,) at random in nine tenths and one tenth (of one row at least)."""
    shuffled = rng.permutation(rows)
    n_held = max(len(shuffled) // 10, 1)
    return shuffled[n_held:], shuffled[:n_held]


def columns(factors: Factors, met: Offers) -> NDArray[np.float64]:
    """Return a column of ones and the three parts of each pair's prediction, (n, 4)."""
    u, i = met.user, met.item
    parts = (factors.user_bias[u], factors.item_bias[i], factors.interaction(u, i))
    return np.stack((np.ones(len(met)), *parts), axis=1)


def fit_and_judge(
    parts: Parts,
    fitters: Sequence[Fitter],
    *,
    popularity: NDArray[np.float64],
    shrinkage: float,
    chosen: bool,
    scales: Scales,
) -> Fitted:
    """Fit, calibrate on the held-out tenth, fit again on the whole training part, and judge.

    Args:
        parts: The log divided.
        fitters: Of the population, of effects by themselves, and of items by themselves.
        popularity: (I,) events of each item in the training part.
        shrinkage: What the population was fitted with, for the report.
        chosen: Whether that was chosen inside the training part.
        scales: What is done to the calibrated population; the report is without them.
    """
    held, judging = parts.held, parts.judging

    def judged(fitter: Fitter) -> tuple[Factors, NDArray[np.float64], _Prediction]:
        first, final = fitter(parts.kept, "calibration"), fitter(parts.whole, "final")
        weights = logistic_weights(columns(first, held), held.clicked, answer_weights=held.weight)
        return final, weights, _predicted(final, weights, judging)

    final, weights, found = judged(fitters[0])
    bias, means = (judged(fitter)[2].score for fitter in fitters[1:])
    report = FitReport(
        model=found.score,
        bias=bias,
        item_mean=means,
        popularity_auc=area_under_curve(popularity[judging.item], judging.clicked),
        judged=len(judging),
        like_share=float(judging.clicked.mean()),
        intercept=float(weights[0]),
        user_weight=float(weights[1]),
        item_weight=float(weights[2]),
        interaction_weight=float(weights[3]),
        shrinkage=shrinkage,
        chosen=chosen,
    )
    users = population(final, weights, parts.whole, scales)
    return Fitted(users, report, found.rating, found.probability, judging)


@dataclass(frozen=True)
class _Prediction:
    """What calibrated factors say of the judging offers."""

    rating: NDArray[np.float64]
    probability: NDArray[np.float64]
    score: Score


def _predicted(factors: Factors, weights: NDArray[np.float64], judging: Offers) -> _Prediction:
    outside = columns(factors, judging)
    probability = expit(outside @ weights)
    rating, target = probability, judging.clicked.astype(np.float64)
    if judging.rating is not None:
        rating, target = factors.mean + outside[:, 1:].sum(axis=1), judging.rating
    score = Score(
        rmse=float(np.sqrt(((rating - target) ** 2).mean())),
        auc=area_under_curve(probability, judging.clicked),
        calibration_error=calibration_error(probability, judging.clicked),
    )
    return _Prediction(rating, probability, score)


def population(
    factors: Factors, weights: NDArray[np.float64], over: Offers, scales: Scales
) -> FactorUsers:
    """Return the users whose logits are the calibrated factors, centred and then scaled.

    Args:
        factors: What was fitted.
        weights: (4,) of the constant, the user's bias, the item's bias and the interaction.
        over: The pairs over which the effects are centred.
        scales: What is done to the centred effects.
    """
    user_effect = weights[1] * factors.user_bias
    item_effect = weights[2] * factors.item_bias
    user_centre = float(user_effect[over.user].mean())
    item_centre = float(item_effect[over.item].mean())
    return FactorUsers(
        intercept=float(weights[0]) + user_centre + item_centre + scales.shift,
        scale=float(weights[3]) * scales.interaction,
        user_effect=(scales.user * (user_effect - user_centre)).astype(np.float32),
        item_effect=(scales.item * (item_effect - item_centre)).astype(np.float32),
        user_vectors=factors.user.astype(np.float32),
        item_vectors=factors.item.astype(np.float32),
    )


def chosen_shrinkage(
    rows: NDArray[np.int64],
    loss: Callable[[NDArray[np.int64], NDArray[np.int64], float], float],
    *,
    start: float,
    rng: np.random.Generator,
) -> float:
    """Return the penalty of GRID with the least loss in cross-validation inside the training part.

    The judging events play no part, so what is reported of them stays honest. From `start` the
    grid is descended to the first penalty whose two neighbours are no better.

    Args:
        rows: (n,) events of the training part.
        loss: Of (rows to fit on, rows to judge, penalty).
        start: A member of GRID.
        rng: Divides the rows into FOLDS folds.
    """
    folds = np.array_split(rng.permutation(rows), FOLDS)
    known: dict[int, float] = {}

    def mean_loss(place: int) -> float:
        if place not in known:
            losses = [
                loss(np.concatenate([*folds[:k], *folds[k + 1 :]]), fold, GRID[place])
                for k, fold in enumerate(folds)
            ]
            known[place] = float(np.mean(losses))
        return known[place]

    here = GRID.index(start)
    while True:
        near = [place for place in (here - 1, here, here + 1) if 0 <= place < len(GRID)]
        best = min(near, key=mean_loss)
        if best == here or mean_loss(best) >= mean_loss(here):
            return GRID[here]
        here = best


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
