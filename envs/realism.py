"""How well a fitted population agrees with real users whom it has not seen."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from scipy.stats import rankdata


@dataclass(frozen=True)
class Score:
    """Quality of one predictor on held-out ratings."""

    rmse: float  # of the rating, in the data's own unit; of P(click) for an implicit log
    auc: float  # P(a liked pair ranks above one not liked), 0.5 = chance; NaN with one class only
    calibration_error: float  # expected calibration error of P(like), 0 = perfect


@dataclass(frozen=True)
class FitReport:
    """The population beside simpler predictors, judged on the realism part of the log.

    For an implicit log the judging events stand beside corrected negatives (simrec.envs.implicit).
    Judged with all scales at 1, that is, calibrated: other scales make P(like) stronger or weaker
    than in the data on purpose, and would be judged wrongly here.
    """

    model: Score  # user and item effects and interaction
    bias: Score  # user and item biases, fitted by themselves
    item_mean: Score  # shrunk mean of each item
    popularity_auc: float  # AUC when pairs are ranked by the item's number of truth events
    judged: int  # events of the realism part, with the negatives beside them
    like_share: float  # share of those that are likes
    intercept: float  # logits, calibrated on a tenth of the truth part
    user_weight: float  # logits for each rating unit (logit, if implicit) of the user's bias
    item_weight: float  # the same for the item's bias
    interaction_weight: float  # the same for the interaction
    shrinkage: float  # ridge penalty of the taste vectors
    chosen: bool  # it was chosen by cross-validation inside the training part, not beforehand

    def as_dict(self) -> dict[str, Any]:
        """Return plain numbers, nested by predictor."""
        return asdict(self)


def area_under_curve(score: NDArray[np.float64], liked: NDArray[np.bool_]) -> float:
    """Return P(score of a liked > score of a not liked), ties counting half; NaN with one class.

    By ranks: AUC = (R - n(n+1)/2) / (n m), where R sums the ranks of the n liked among all n + m
    (Mann and Whitney 1947; reconstructed).

    Args:
        score: (n,) any real numbers.
        liked: (n,) the truth.
    """
    n, m = int(liked.sum()), int((~liked).sum())
    if not n or not m:
        return float("nan")
    ranks = rankdata(score)[liked].sum()
    return float((ranks - n * (n + 1) / 2) / (n * m))


def calibration_error(
    probability: NDArray[np.float64], liked: NDArray[np.bool_], *, bins: int = 10
) -> float:
    """Return the expected calibration error over equal-width bins.

    The mean over events of |mean prediction - share liked| in the event's bin (Guo et al., ICML
    2017; reconstructed).

    Args:
        probability: (n,) predictions in [0, 1].
        liked: (n,) what happened.
        bins: Number of bins of equal width.
    """
    bin_of = np.minimum((probability * bins).astype(np.int64), bins - 1)
    gap = np.bincount(bin_of, probability - liked, minlength=bins)
    return float(np.abs(gap).sum() / len(probability))


def logistic_weights(
    columns: NDArray[np.float64],
    liked: NDArray[np.bool_],
    *,
    ridge: float = 1e-3,
    answer_weights: NDArray[np.float64] | None = None,
) -> NDArray[np.float64]:
    """Return the weights (c,) of a logistic regression of `liked` on columns, by Newton's method.

    Args:
        columns: (n, c), with a column of ones for the intercept.
        liked: (n,) the outcome.
        ridge: Penalty that keeps the weights finite when the data can be separated.
        answer_weights: (n,) how much each outcome counts; None counts all once.
    """
    counts = np.ones(len(liked)) if answer_weights is None else answer_weights
    weights = np.zeros(columns.shape[1])
    for _ in range(50):
        p = expit(columns @ weights)
        slope = columns.T @ (counts * (p - liked)) + ridge * weights
        curve = (columns * (counts * p * (1 - p))[:, None]).T @ columns + ridge * np.eye(
            len(weights)
        )
        move = np.linalg.solve(curve, slope)
        weights -= np.clip(move, -2.0, 2.0)  # a full step can overshoot from far away
        if np.abs(move).max() < 1e-9:
            break
    return weights
