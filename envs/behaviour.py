"""How two sets of answers to the same offers differ: distances, each a pure function.

Offers are pairs of a user and an item; an answer is a click or none. Users carry multiplicities, so
that a bootstrap over users is a matter of weights.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.stats import wasserstein_distance


@dataclass(frozen=True)
class Offered:
    """What users were offered; the answers are kept apart."""

    user: NDArray[np.int64]  # (n,) places 0..m-1 among the users offered anything
    item: NDArray[np.int64]  # (n,) item rows
    topics: NDArray[np.float64]  # (I, G) shares of topics in an item; rows sum to 1, or 0
    rank: NDArray[np.int64]  # (I,) place of each item by popularity in the log, 0 = most popular

    @cached_property
    def n_users(self) -> int:
        """The number of users m."""
        return int(self.user.max()) + 1

    @cached_property
    def count(self) -> NDArray[np.float64]:
        """Offers of each user (m,)."""
        return np.bincount(self.user, minlength=self.n_users).astype(np.float64)

    def clicks(self, answers: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Return the clicks of each user (m,)."""
        return np.bincount(self.user[answers], minlength=self.n_users).astype(np.float64)

    def profile(self, answers: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Return the topics of each user's clicks (m, G); rows sum to 1, or 0 without a click."""
        total = np.zeros((self.n_users, self.topics.shape[1]))
        np.add.at(total, self.user[answers], self.topics[self.item[answers]])
        return np.asarray(total / np.maximum(total.sum(axis=1, keepdims=True), 1e-12))


Weights = NDArray[np.float64]  # (m,) how often each user counts
Answers = NDArray[np.bool_]  # (n,) True = clicked
Distance = Callable[[Offered, Answers, Answers, Weights], float]


def activity_distance(offered: Offered, a: Answers, b: Answers, weights: Weights) -> float:
    """Return how far clicks per user lie apart, relative to the mean of `a`.

    The 1-Wasserstein distance between the two distributions over users (scipy's code): the mean
    number of clicks by which users must change to turn one distribution into the other.
    """
    first, second = offered.clicks(a), offered.clicks(b)
    mean = float(np.average(first, weights=weights))
    return float(wasserstein_distance(first, second, weights, weights) / max(mean, 1e-12))


def response_distance(offered: Offered, a: Answers, b: Answers, weights: Weights) -> float:
    """Return the mean over users of |share clicked in a - share clicked in b|, in [0, 1]."""
    gap = np.abs(offered.clicks(a) - offered.clicks(b)) / offered.count
    return float(np.average(gap, weights=weights))


def popularity_distance(offered: Offered, a: Answers, b: Answers, weights: Weights) -> float:
    """Return the largest gap between the two popularity curves, in [0, 1].

    A curve is the share of clicks that go to the r most popular items of the log, over r
    (Kolmogorov and Smirnov's distance; reconstructed).
    """
    return float(np.abs(_curve(offered, a, weights) - _curve(offered, b, weights)).max())


def _curve(offered: Offered, answers: Answers, weights: Weights) -> NDArray[np.float64]:
    places = offered.rank[offered.item[answers]]
    share = np.bincount(places, weights[offered.user[answers]], minlength=len(offered.rank))
    return np.asarray(np.cumsum(share) / max(share.sum(), 1e-12))


def entropy_distance(offered: Offered, a: Answers, b: Answers, weights: Weights) -> float:
    """Return how far the diversity of users' clicks lies apart, in [0, 1].

    The 1-Wasserstein distance between the distributions over users of the entropy of the topics
    they clicked, divided by its greatest value log G. Users without a click are left out.
    """
    if offered.topics.shape[1] < 2:
        return 0.0
    values, masses = [], []
    for answers in (a, b):
        profile = offered.profile(answers)
        kept = profile.sum(axis=1) > 0
        values.append(entropy(profile[kept]) / np.log(offered.topics.shape[1]))
        masses.append(weights[kept])
    if not (masses[0].sum() and masses[1].sum()):
        return 1.0
    return float(wasserstein_distance(*values, *masses))


def entropy(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the entropy (m,) in nats of rows (m, G) that sum to 1."""
    return np.asarray(-(shares * np.log(np.maximum(shares, 1e-300))).sum(axis=1))


def spread_distance(offered: Offered, a: Answers, b: Answers, weights: Weights) -> float:
    """Return |spread between users in a - in b|, in [0, 1] (see `user_spread`)."""
    return abs(user_spread(offered, a, weights) - user_spread(offered, b, weights))


def user_spread(offered: Offered, answers: Answers, weights: Weights) -> float:
    """Return how different users are from each other: one minus the mean overlap of two users.

    Overlap is the inner product of two users' topic profiles, divided by the mean inner product of
    a profile with itself; 0 means that all users click the same topics. The overlaps of all pairs
    need only the mean profile.
    """
    profile = offered.profile(answers)
    mass = weights * (profile.sum(axis=1) > 0)
    total = mass.sum()
    own = float((mass * (profile**2).sum(axis=1)).sum())
    pairs = total**2 - float((mass**2).sum())
    if pairs <= 0 or own <= 0:
        return 0.0
    mixed = float(((mass @ profile) ** 2).sum()) - float((mass**2 * (profile**2).sum(1)).sum())
    return float(1.0 - (mixed / pairs) / (own / total))


def answer_distance(offered: Offered, a: Answers, b: Answers, weights: Weights) -> float:
    """Return the mean over users of the share of their offers answered differently, in [0, 1]."""
    differing = np.bincount(offered.user[a != b], minlength=offered.n_users) / offered.count
    return float(np.average(differing, weights=weights))


def ranking_by_user(
    offered: Offered, scores: NDArray[np.float64], answers: Answers
) -> NDArray[np.float64]:
    """Return how well scores rank each user's own clicks above their other offers, as (m,).

    The chance that a clicked offer has a higher score than one that the same user did not click,
    ties counting half: 1 is perfect, 0.5 is chance, NaN where a user clicked all or nothing. What
    is liked or met by everybody ranks too; what only the right user knows shows in the difference
    to a stranger's scores. By ranks within the user (Mann and Whitney 1947; reconstructed).

    Args:
        offered: What users were offered.
        scores: (n,) any real numbers.
        answers: (n,) the clicks to be ranked.
    """
    order = np.lexsort((scores, offered.user))
    user, score = offered.user[order], scores[order]
    new = np.r_[True, (user[1:] != user[:-1]) | (score[1:] != score[:-1])]
    first = np.flatnonzero(new)
    size = np.diff(np.r_[first, len(user)])
    place = (first + (size - 1) / 2)[np.cumsum(new) - 1]  # ties share the mean of their places
    count = offered.count
    begins = np.cumsum(count) - count
    clicked = answers[order]
    total = np.bincount(user[clicked], (place - begins[user])[clicked], minlength=offered.n_users)
    likes = offered.clicks(answers)
    pairs = likes * (count - likes)
    above = total - likes * (likes - 1) / 2
    return np.asarray(np.where(pairs > 0, above / np.maximum(pairs, 1), np.nan))
