"""How well a teacher's answers agree with what people said; for reports, never for training."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simrec.interactions import InteractionLog
from simrec.metrics import auc
from simrec.preferences import PreferenceSet


@dataclass(frozen=True)
class TeacherQuality:
    """Agreement between a teacher and people on the pairs both judged."""

    pairs: int  # answered pairs that a person judged too
    auc: float  # chance that a liked pair scores above a disliked one; NaN if one kind is absent
    user_auc: float  # the same within each user, averaged over users that have both kinds
    users: int  # number of those users
    teacher_likes: float  # share of those pairs the teacher calls liked; NaN without pairs
    people_like: float  # share of those pairs people liked; NaN without pairs


@dataclass(frozen=True)
class Pairs:
    """What a teacher and people said of the same (user, item) pairs."""

    user: NDArray[np.int64]  # (n,)
    item: NDArray[np.int64]  # (n,)
    score: NDArray[np.float32]  # (n,) the teacher's
    says: NDArray[np.bool_]  # (n,) whether the teacher calls it liked
    feedback: NDArray[np.float32]  # (n,) people's, in the log's unit


def both_judged(preferences: PreferenceSet, people: InteractionLog) -> Pairs:
    """Return the pairs that a teacher answered and people judged, in the teacher's order.

    Args:
        preferences: The teacher's answers; pairs with score NaN are left out.
        people: Events to compare with; whoever calls decides which part of the log may be shown.
    """
    user = np.repeat(
        np.array([a.question.user for a in preferences], dtype=np.int64),
        np.array([len(a.score) for a in preferences], dtype=np.int64),
    )
    item = np.concatenate(
        [*(a.question.candidates for a in preferences), np.zeros(0, dtype=np.int64)]
    )
    score = np.concatenate([*(a.score for a in preferences), np.zeros(0, dtype=np.float32)])
    says = np.concatenate([*(a.liked for a in preferences), np.zeros(0, dtype=np.bool_)])
    return meet(user, item, score, says, people)


def meet(
    user: NDArray[np.int64],
    item: NDArray[np.int64],
    score: NDArray[np.float32],
    says: NDArray[np.bool_],
    people: InteractionLog,
) -> Pairs:
    """Return the pairs with a finite score (all arrays (n,)) that people judged too."""
    pair = user * people.n_items + item
    known = people.user.astype(np.int64) * people.n_items + people.item
    order = np.argsort(known, kind="stable")
    known, feedback = known[order], people.feedback[order]
    place = np.minimum(np.searchsorted(known, pair), max(len(known) - 1, 0))
    both = np.isfinite(score)
    both &= known[place] == pair if len(known) else False
    found = feedback[place[both]] if len(known) else np.zeros(0, dtype=np.float32)
    return Pairs(user[both], item[both], score[both], says[both], found)


def user_auc(
    user: NDArray[np.int64], liked: NDArray[np.bool_], score: NDArray[np.floating[Any]]
) -> tuple[float, int]:
    """Return the mean of each user's AUC, and how many users have liked and disliked pairs."""
    order = np.argsort(user, kind="stable")
    ends = np.flatnonzero(np.diff(user[order])) + 1
    each = [auc(liked[rows], score[rows]) for rows in np.split(order, ends) if len(rows)]
    known = [value for value in each if np.isfinite(value)]
    return (float(np.mean(known)) if known else float("nan"), len(known))


def label_auc(
    preferences: PreferenceSet, people: InteractionLog, *, like_at: float
) -> TeacherQuality:
    """Compare a teacher's scores with people's feedback where both exist.

    `user_auc` is the part that matters for recommending: a teacher that only knows which items are
    good in general can have a high `auc` and a `user_auc` no better than popularity's.

    Args:
        preferences: The teacher's answers; pairs with score NaN are left out.
        people: Events to compare with; whoever calls decides which part of the log may be shown.
        like_at: Feedback of at least this much counts as liked.
    """
    pairs = both_judged(preferences, people)
    liked = pairs.feedback >= like_at
    within, users = user_auc(pairs.user, liked, pairs.score)
    return TeacherQuality(
        pairs=len(pairs.score),
        auc=auc(liked, pairs.score),
        user_auc=within,
        users=users,
        teacher_likes=float(pairs.says.mean()) if len(liked) else float("nan"),
        people_like=float(liked.mean()) if len(liked) else float("nan"),
    )
