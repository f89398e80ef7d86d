"""A stand-in for a language model: likes what reads like the things the user liked."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from simrec.catalogue import Catalogue
from simrec.errors import SimrecError
from simrec.items.describe import item_texts
from simrec.items.text import TextEncoder
from simrec.llm.prompts import render, told
from simrec.preferences import ParseStatus, Preference, Question


class SimilarityTeacher:
    """Answers from text similarity alone; a stand-in, NOT a language model, and named as such.

    It reads the words a prompt would show (title, attributes, clipped description) of history and
    candidates. Score of candidate c (own definition):

        cos(c, mean of liked history) - dislike_weight * cos(c, mean of disliked history)

    Liked are the candidates whose score lies above the (1 - like_share) quantile of all scores of
    one call of `prefer`. That is a calibration of the stand-in to a plausible share of likes, made
    without looking at what people liked; ask all questions in one call, or each call gets a
    threshold of its own, unless `calibrate` fixed one.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        encoder: TextEncoder,
        *,
        like_share: float = 0.3,
        dislike_weight: float = 0.5,
    ) -> None:
        """Encode the catalogue; its texts are the corpus of a corpus-dependent encoder.

        Args:
            catalogue: What is asked about.
            encoder: Turns the item texts into vectors.
            like_share: Share of candidates to call liked, in (0, 1).
            dislike_weight: How much likeness to disliked items counts against a candidate.

        Raises:
            SimrecError: like_share is outside (0, 1).
        """
        if not 0.0 < like_share < 1.0:
            raise SimrecError(
                f"like_share is {like_share}; expected a share between 0 and 1, for example 0.3"
            )
        self.catalogue = told(catalogue)
        self.like_share = like_share
        self.dislike_weight = dislike_weight
        self.encoder_name = encoder.name
        self.vectors = encoder.encode(item_texts(catalogue))  # (I, D) unit rows
        self._threshold: float | None = None  # None: of each call's own scores

    @property
    def name(self) -> str:
        """Name written into records, for example "similarity:minilm"."""
        return f"similarity:{self.encoder_name}"

    def prefer(self, questions: Sequence[Question]) -> list[Preference]:
        """Answer every question, in order.

        A question whose history has no liked item comes back "unanswered", with no likes and NaN
        scores.
        """
        scores = [self._scores(question) for question in questions]
        threshold = self._quantile(scores) if self._threshold is None else self._threshold
        answers = []
        for question, score in zip(questions, scores, strict=True):
            status: ParseStatus = "ok" if np.isfinite(score).all() else "unanswered"
            sha = render(question, self.catalogue).sha
            liked = score > threshold  # False where NaN
            answers.append(Preference(question, liked, score, self.name, sha, "", status))
        return answers

    def calibrate(self, questions: Sequence[Question]) -> None:
        """Take the threshold of these questions for all that follow.

        Later rounds ask about better candidates; with a threshold of their own, what was good
        enough before would not be any more.
        """
        self._threshold = self._quantile([self._scores(question) for question in questions])

    def _quantile(self, scores: Sequence[NDArray[np.float32]]) -> float:
        """Return the (1 - like_share) quantile of what is known; infinity where nothing is."""
        known = np.concatenate([*scores, np.zeros(0, dtype=np.float32)])
        known = known[np.isfinite(known)]
        return float(np.quantile(known, 1.0 - self.like_share)) if len(known) else np.inf

    def _scores(self, question: Question) -> NDArray[np.float32]:
        liked = question.feedback > 0
        if not liked.any():
            return np.full(len(question.candidates), np.nan, dtype=np.float32)
        candidates = self.vectors[question.candidates]
        score = _cosine(candidates, self.vectors[question.history[liked]])
        if not liked.all():
            disliked = self.vectors[question.history[~liked]]
            score = score - self.dislike_weight * _cosine(candidates, disliked)
        return score.astype(np.float32)


def _cosine(rows: NDArray[np.float32], others: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the cosine (K,) of each unit or zero row (K, D) with the mean of `others` (h, D)."""
    mean = others.astype(np.float64).mean(axis=0)
    return np.asarray(rows @ (mean / max(float(np.linalg.norm(mean)), 1e-12)), dtype=np.float64)
