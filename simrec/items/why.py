"""Why this recommendation: the nearest items of the user's past, checked by leaving them out.

After search-inspired attribution of generated content: what lies near is a cheap guess of what
mattered; what mattered is how the score moves when a group is left out and the head is fitted anew,
which is exact for ridge regression. Their rank correlation says how far to trust the guess.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simrec.errors import SimrecError
from simrec.llm.agreement import spearman


@dataclass(frozen=True)
class Why:
    """An explanation of one score."""

    score: float  # of the item by the ridge head fitted to the whole past
    nearest: NDArray[np.int64]  # (k,) item rows of the past, nearest first
    cosine: NDArray[np.float64]  # (k,)
    groups: NDArray[np.int64]  # (G,) labels
    nearness: NDArray[np.float64]  # (G,) sum over the group of cosine times centred feedback
    moved: NDArray[np.float64]  # (G,) score less the score without the group
    agreement: float  # Spearman's correlation of the last two; NaN below 3 groups


def ridge_taste(
    rows: NDArray[np.float64], feedback: NDArray[np.float64], ridge: float
) -> NDArray[np.float64]:
    """Return the taste (D,) that minimises |rows w - feedback|^2 + ridge |w|^2."""
    gram = rows.T @ rows + ridge * np.eye(rows.shape[1])
    return np.asarray(np.linalg.solve(gram, rows.T @ feedback))


def why(
    vectors: NDArray[np.float32],
    history: ArrayLike,
    feedback: ArrayLike,
    item: int,
    *,
    groups: ArrayLike | None = None,
    k: int = 5,
    ridge: float = 1.0,
) -> Why:
    """Explain an item's score to a user.

    Args:
        vectors: (I, D) item table.
        history: (n,) item rows of the user's past, the training items of the head.
        feedback: (n,) what the user said of them; centred before the fit.
        item: Row of the recommended item.
        groups: (n,) integer label of each event, left out together (a genre, a session); None
            leaves out one event at a time.
        k: Nearest items returned.
        ridge: Penalty, above 0.

    Raises:
        SimrecError: An empty past, lengths that differ, or no penalty.
    """
    rows = np.asarray(history, dtype=np.int64)
    label = np.arange(len(rows)) if groups is None else np.asarray(groups, dtype=np.int64)
    said = np.asarray(feedback, dtype=np.float64)
    if not len(rows) or said.shape != rows.shape or label.shape != rows.shape or ridge <= 0:
        raise SimrecError(
            f"an explanation got {len(rows)} events, {len(said)} answers, {len(label)} group "
            f"labels and penalty {ridge}; expected equal numbers above 0 and a penalty above 0"
        )
    past, target = vectors[rows].astype(np.float64), vectors[item].astype(np.float64)
    said = said - said.mean()
    score = float(target @ ridge_taste(past, said, ridge))
    length = np.linalg.norm(past, axis=1) * np.linalg.norm(target)
    cosine = np.divide(past @ target, length, out=np.zeros(len(rows)), where=length > 0)
    order = np.argsort(-cosine, kind="stable")[:k]
    names = np.unique(label)
    nearness = np.array([(cosine * said)[label == g].sum() for g in names])
    moved = np.array(
        [score - target @ ridge_taste(past[label != g], said[label != g], ridge) for g in names]
    )
    agreement = spearman(nearness, moved) if len(names) >= 3 else float("nan")
    return Why(score, rows[order], cosine[order], names, nearness, moved, agreement)
