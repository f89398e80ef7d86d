"""Whether weighting a self-selected log makes users more like people asked about random items."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simrec.envs.fit import fit_population
from simrec.envs.fitting import Fitted
from simrec.envs.realism import Score
from simrec.interactions import InteractionLog, Part, Split
from simrec.randomness import generator
from simrec.statistics import Interval, paired_interval, resolved


@dataclass(frozen=True)
class DebiasGain:
    """The weighted population beside the unweighted one, on the same judging ratings."""

    plain: Score
    weighted: Score
    squared_error: Interval  # plain - weighted, mean over users of the mean squared rating error
    log_loss: Interval  # the same for the log loss of P(like), in nats
    judged: int  # ratings
    users: int  # users, the unit of the intervals

    def sentence(self) -> str:
        """Say which population is nearer to the judging ratings, and how sure that is."""
        found = self.squared_error
        mean, ends = found.texts(signed=True)
        if not resolved(found):
            verdict = "no difference is resolved"
        elif found.mean > 0:
            verdict = "the weighted population is closer to the judging ratings"
        else:
            verdict = "the weighted population is FURTHER from the judging ratings"
        return (
            f"{verdict}: squared error {self.plain.rmse**2:.3f} unweighted, "
            f"{self.weighted.rmse**2:.3f} weighted, difference {mean} {ends} over {self.users:,} "
            f"users and {self.judged:,} ratings (95 % paired bootstrap over users); log loss of a "
            "like {} {}".format(*self.log_loss.texts(signed=True))
        )


def debias_gain(
    log: InteractionLog,
    split: Split,
    vectors: NDArray[np.float32],
    propensity: NDArray[np.float64],
    *,
    like_at: float,
    seed: int,
    **fit: Any,
) -> DebiasGain:
    """Fit the same ratings with and without inverse propensity weights, and compare.

    Args:
        log: The whole log of ratings.
        split: Both are fitted on Part.TRUTH and judged on Part.REALISM, which should be ratings of
            items that were not chosen by the user; on chosen ones the unweighted fit is at home.
        vectors: (I, D) item vectors.
        propensity: (n,) the chance that each event was seen; only those of the truth are used.
        like_at: Feedback of at least this much counts as a like.
        seed: Of the fits and the bootstrap.
        **fit: Further arguments of `fit_population`, the same for both.
    """
    truth, judging = (np.flatnonzero(split.part == part) for part in (Part.TRUTH, Part.REALISM))
    plain, weighted = (
        fit_population(
            log, truth, judging, vectors, like_at=like_at, seed=seed, propensity=chances, **fit
        )
        for chances in (None, propensity)
    )
    users, place = np.unique(log.user[judging], return_inverse=True)
    rating = log.feedback[judging].astype(np.float64)

    def by_user(loss: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(np.bincount(place, loss) / np.bincount(place))

    def squared(fitted: Fitted) -> NDArray[np.float64]:
        return by_user((fitted.rating - rating) ** 2)

    def surprise(fitted: Fitted) -> NDArray[np.float64]:
        chance = np.clip(fitted.probability, 1e-9, 1 - 1e-9)
        return by_user(-np.log(np.where(rating >= like_at, chance, 1 - chance)))

    rng = generator(seed, "debias", "bootstrap")
    return DebiasGain(
        plain=plain.report.model,
        weighted=weighted.report.model,
        squared_error=paired_interval(squared(plain), squared(weighted), rng=rng),
        log_loss=paired_interval(surprise(plain), surprise(weighted), rng=rng),
        judged=len(judging),
        users=len(users),
    )
