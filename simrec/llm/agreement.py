"""How far a teacher and people agree: in all, and on the personal part alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.stats import rankdata

from simrec.llm.audit import kappa
from simrec.llm.quality import Pairs, user_auc
from simrec.metrics import auc

# Numbers that must be left once means are off before a personal part is told: with fewer the 95 %
# interval is wider than +-0.2, which is where a personal part begins to be more than small.
LEAST_LEFT = 100
SWEEPS = 100  # of removing means; the rest has then settled to four digits on real logs


@dataclass(frozen=True)
class Agreement:
    """A teacher against people on the pairs both judged."""

    name: str
    pairs: int
    auc: float  # chance that a pair people liked scores above one they did not
    user_auc: float  # the same within each user, averaged
    pearson: float
    spearman: float
    personal_pearson: float  # without user and item means; NaN if nothing is left
    personal_spearman: float
    error: float  # half width of a 95 % interval of a correlation near 0: 1.96 / sqrt(pairs - 3)
    personal_error: float  # the same of the personal part: 1.96 / sqrt(left); NaN without any
    left: int  # numbers left once user and item means are off, see `freedom`

    @property
    def enough(self) -> bool:
        """Whether enough pairs are left for the personal part to say anything."""
        return self.left >= LEAST_LEFT


@dataclass(frozen=True)
class TwoTeachers:
    """Two teachers on the pairs both judged."""

    names: tuple[str, str]
    pairs: int
    pearson: float
    personal_pearson: float
    same: float  # share of pairs both like or both do not
    kappa: float  # the same beyond chance
    left: int  # numbers left for the personal part, as in Agreement

    @property
    def enough(self) -> bool:
        """Whether enough pairs are left for the personal part to say anything."""
        return self.left >= LEAST_LEFT


@dataclass(frozen=True)
class CalibrationRow:
    """What people thought of the pairs to which a teacher gave about the same score."""

    score: float  # mean of the teacher's
    pairs: int
    feedback: float  # mean of people's
    liked: float  # share people liked


def pearson(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Return the correlation; NaN below 2 pairs or where one side does not vary."""
    if len(a) < 2:
        return float("nan")
    x, y = a - a.mean(), b - b.mean()
    size = float(np.sqrt((x @ x) * (y @ y)))
    scale = max(float(np.abs(a).max()) * float(np.abs(b).max()), 1e-12)
    return float(x @ y) / size if size > 1e-9 * scale * len(a) else float("nan")


def spearman(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Return the correlation of ranks, ties sharing the mean rank."""
    return pearson(rankdata(a).astype(np.float64), rankdata(b).astype(np.float64))


def without_means(
    values: NDArray[np.float64], user: NDArray[np.int64], item: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return what no sum of a user's and an item's number can explain, (n,).

    The least-squares fit of v = a_user + b_item is found by taking user and item means off in turn
    (own arrangement of the two-way additive model).
    """
    _, u = np.unique(user, return_inverse=True)
    _, i = np.unique(item, return_inverse=True)
    in_user, in_item = np.bincount(u), np.bincount(i)
    rest = values.astype(np.float64).copy()
    for _ in range(SWEEPS if len(values) else 0):
        rest -= (np.bincount(u, rest) / in_user)[u]
        rest -= (np.bincount(i, rest) / in_item)[i]
    return rest


def freedom(user: NDArray[np.int64], item: NDArray[np.int64]) -> int:
    """Return how many numbers are left once the means of users and items are taken off pairs.

    n - users - items + parts, where a part is a set of users and items that pairs connect: the rank
    of the two-way additive model. Few pairs for many users and items leave little to correlate,
    however large the correlation.
    """
    if not len(user):
        return 0
    _, u = np.unique(user, return_inverse=True)
    _, i = np.unique(item, return_inverse=True)
    n_users, nodes = int(u.max()) + 1, int(u.max() + i.max()) + 2
    graph = coo_matrix((np.ones(len(u)), (u, n_users + i)), shape=(nodes, nodes))
    parts, _ = connected_components(graph, directed=False)
    return int(len(u) - nodes + parts)


def agreement(name: str, pairs: Pairs, *, like_at: float) -> Agreement:
    """Compare a teacher with people.

    Args:
        name: Of the teacher.
        pairs: What both said.
        like_at: Feedback of at least this much is a like.
    """
    score, feedback = pairs.score.astype(np.float64), pairs.feedback.astype(np.float64)
    liked = feedback >= like_at
    mine = without_means(score, pairs.user, pairs.item)
    theirs = without_means(feedback, pairs.user, pairs.item)
    n, left = len(score), freedom(pairs.user, pairs.item)
    return Agreement(
        name,
        n,
        auc(liked, score),
        user_auc(pairs.user, liked, score)[0],
        pearson(score, feedback),
        spearman(score, feedback),
        pearson(mine, theirs),
        spearman(mine, theirs) if np.isfinite(pearson(mine, theirs)) else float("nan"),
        1.96 / np.sqrt(n - 3) if n > 3 else float("nan"),
        1.96 / np.sqrt(left) if left > 0 else float("nan"),
        left,
    )


def between_teachers(teachers: Sequence[tuple[str, Pairs]], *, like_at: float) -> list[TwoTeachers]:
    """Compare every two teachers that judged the same pairs in the same order.

    Args:
        teachers: Name and judgements of each.
        like_at: A score of at least this much is a like.
    """
    found = []
    for (one, a), (two, b) in combinations(teachers, 2):
        x, y = a.score.astype(np.float64), b.score.astype(np.float64)
        found.append(
            TwoTeachers(
                (one, two),
                len(x),
                pearson(x, y),
                pearson(without_means(x, a.user, a.item), without_means(y, b.user, b.item)),
                float(np.mean((x >= like_at) == (y >= like_at))) if len(x) else float("nan"),
                kappa(x >= like_at, y >= like_at),
                freedom(a.user, a.item),
            )
        )
    return found


def calibration(pairs: Pairs, *, like_at: float, rows: int = 10) -> list[CalibrationRow]:
    """Group pairs by the teacher's score, lowest first: by value where there are few values.

    Args:
        pairs: What both said.
        like_at: Feedback of at least this much is a like.
        rows: Greatest number of groups; more values than this are cut into equal shares.
    """
    values, group = np.unique(pairs.score, return_inverse=True)
    if len(values) > rows:
        order = np.argsort(pairs.score, kind="stable")
        group = np.empty(len(order), dtype=np.int64)
        group[order] = np.arange(len(order)) * rows // len(order)
    return [
        CalibrationRow(
            float(pairs.score[at].mean()),
            int(at.sum()),
            float(pairs.feedback[at].mean()),
            float((pairs.feedback[at] >= like_at).mean()),
        )
        for at in (group == g for g in np.unique(group))
    ]
