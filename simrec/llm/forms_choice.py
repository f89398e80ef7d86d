"""Forms whose reply is one of a few words: rating, yes or no, pairwise."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simrec.llm.form import Ask, Judgement, best, chances
from simrec.llm.protocol import Reply

STRIDES = (1, 2)  # pairwise: each candidate meets its next and its next but one, once in each place


def _chosen(ask: Ask, reply: Reply) -> bool:
    return ask.choices is not None and reply.choice in ask.choices


@dataclass(frozen=True)
class PointForm:
    """An ask for each candidate alone, answered by a choice with a value; score = expected value.

    One candidate's text cannot touch another's score: they never share a prompt.
    """

    name: str
    values: tuple[tuple[str, float], ...]  # choice and what it is worth
    like_at: float  # expected value from which on a candidate is liked
    max_tokens: int
    like_share: float | None = None  # of a question's candidates, liked whatever their value

    def asks(self, K: int) -> list[Ask]:
        """Return an ask for each candidate."""
        choices = tuple(choice for choice, _ in self.values)
        return [Ask((place,), self.max_tokens, choices) for place in range(K)]

    def readable(self, ask: Ask, reply: Reply) -> bool:
        """Whether the reply is one of the choices."""
        return _chosen(ask, reply)

    def judge(self, K: int, replies: Sequence[Reply | None]) -> Judgement:
        """Score by expected value."""
        values = dict(self.values)
        score = np.full(K, np.nan, dtype=np.float32)
        for place, reply in enumerate(replies):
            if reply is not None:
                chance = chances(reply, list(values))
                score[place] = sum(chance[c] * value for c, value in values.items())
        if self.like_share is not None:
            return Judgement(score, best(score, self.like_share))
        return Judgement(score, score >= self.like_at)

    def places(self, K: int, replies: Sequence[Reply | None]) -> NDArray[np.float64]:
        """Return nothing: a prompt shows one candidate."""
        return np.zeros(0)


@dataclass(frozen=True)
class PairwiseForm:
    """Pairs around a ring, each candidate as often first as second. Score = mean chance to win."""

    like_share: float  # of the candidates, the best count as liked
    name: str = "pairwise"

    def asks(self, K: int) -> list[Ask]:
        """Return len(STRIDES) * K pairs, fewer where K is 2."""
        return [Ask(pair, 4, ("1", "2")) for pair in _ring(K)]

    def readable(self, ask: Ask, reply: Reply) -> bool:
        """Whether the reply is 1 or 2."""
        return _chosen(ask, reply)

    def judge(self, K: int, replies: Sequence[Reply | None]) -> Judgement:
        """Score by mean chance to win over the pairs that were read."""
        won, met = np.zeros(K), np.zeros(K)
        for (first, second), reply in zip(_ring(K), replies, strict=True):
            if reply is not None:
                chance = chances(reply, ("1", "2"))["1"]
                won[first] += chance
                won[second] += 1.0 - chance
                met[[first, second]] += 1.0
        score = np.where(met > 0, won / np.maximum(met, 1.0), np.nan).astype(np.float32)
        return Judgement(score, best(score, self.like_share))

    def places(self, K: int, replies: Sequence[Reply | None]) -> NDArray[np.float64]:
        """Return the mean chance of the first and of the second place."""
        first = [chances(reply, ("1", "2"))["1"] for reply in replies if reply is not None]
        mean = float(np.mean(first)) if first else float("nan")
        return np.array([mean, 1.0 - mean])


def _ring(K: int) -> list[tuple[int, int]]:
    """Return the pairs of places: every place to its next, then to its next but one."""
    return [(place, (place + stride) % K) for stride in STRIDES for place in range(K) if stride < K]
