"""Degraded teachers: what an early gain must shrink with, if it is the teacher's (H4).

Three ways to spoil a teacher's answers once they are given; nobody is asked anything for it. Which
answers are spoilt follows from luck alone, so those of a small dose are among those of a larger
one. The protocol is this project's own (design notes, H4).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simrec.llm.elicit import flat_labels, with_labels
from simrec.preferences import PreferenceSet


@dataclass(frozen=True)
class Doses:
    """Shares of the judged (question, candidate) pairs whose answer is spoilt, 0 for none."""

    shuffled: float = 0.0  # 0 to 1: dealt anew among these pairs, at random
    popularity: float = 0.0  # 0 to 1: dealt anew among these pairs, the best to popular items
    noise: float = 0.0  # 0 to 0.5: turned round; at 0.5 nothing of the teacher is left

    def __bool__(self) -> bool:
        """Return whether anything is spoilt."""
        return any((self.shuffled, self.popularity, self.noise))

    @property
    def name(self) -> str:
        """What the teacher's name gains, for example "+30% flipped"."""
        words = ((self.shuffled, "shuffled"), (self.popularity, "by popularity"),
                 (self.noise, "flipped"))  # fmt: skip
        return "".join(f"+{100 * share:g}% {word}" for share, word in words if share)


def degrade(
    preferences: PreferenceSet,
    doses: Doses,
    popularity: NDArray[np.int64],
    rng: np.random.Generator,
) -> PreferenceSet:
    """Return the answers of a worse teacher: shuffled first, then by popularity, then flipped.

    Flipping turns exactly the share `noise` of the likes, and of the others, round (to the nearest
    number); so of answers with a share p of likes, p (1 - noise) + (1 - p) noise are likes
    afterwards, and as a score the new labels have an AUC of 1 - noise against the old. A flipped
    pair gets the score of a pair drawn among those that had its new label. Dealing keeps all
    answers, only who said what of whom changes.

    Args:
        preferences: What the teacher said; pairs with score NaN stay unanswered.
        doses: How much is spoilt, and how.
        popularity: (I,) events of each item in the log that agents see.
        rng: Chooses the pairs and deals.
    """
    score, liked = flat_labels(preferences)
    item = np.concatenate([answer.question.candidates for answer in preferences])
    answered = np.flatnonzero(np.isfinite(score))
    for share, luck, ordered in zip(
        (doses.shuffled, doses.popularity), rng.spawn(2), (False, True), strict=True
    ):
        chosen = _first(answered, share, luck.random(len(answered)))
        dealt = luck.permutation(chosen)
        if ordered:  # best answer to the most popular item, ties by luck
            best = np.lexsort((score[dealt], liked[dealt]))
            chosen = dealt[np.argsort(popularity[item[dealt]], kind="stable")]
            dealt = dealt[best]
        score[chosen], liked[chosen] = score[dealt], liked[dealt]
    _flip(score, liked, answered, doses.noise, rng)
    return with_labels(preferences, score, liked, doses.name)


def _first(rows: NDArray[np.int64], share: float, luck: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the share of the rows with the least luck, nearest number, in their own order."""
    count = round(share * len(rows))
    return np.sort(rows[np.argsort(luck, kind="stable")[:count]])


def _flip(
    score: NDArray[np.float32],
    liked: NDArray[np.bool_],
    answered: NDArray[np.int64],
    noise: float,
    rng: np.random.Generator,
) -> None:
    """Turn the share `noise` of either label round, in place."""
    order, draw = rng.random((2, len(score)))
    sides = answered[liked[answered]], answered[~liked[answered]]
    said = score.copy()
    for own, others in (sides, sides[::-1]):
        turned = _first(own, noise, order[own])
        if len(others):
            score[turned] = said[others[(draw[turned] * len(others)).astype(np.int64)]]
        liked[turned] = ~liked[turned]
