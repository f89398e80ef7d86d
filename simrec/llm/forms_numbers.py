"""Forms whose reply is JSON with candidates' numbers: list pick and ranking."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from simrec.llm.form import Ask, Judgement, best
from simrec.llm.protocol import Reply


def _numbers(reply: Reply, key: str) -> list[int] | None:
    try:
        value = json.loads(reply.text)[key]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    if not isinstance(value, list) or not all(type(n) is int for n in value):
        return None
    return value


@cache
def _schema(key: str, K: int, least: int) -> str:
    items = {"type": "integer", "minimum": 1, "maximum": K}
    array = {"type": "array", "items": items, "minItems": least, "maxItems": K}
    return json.dumps(
        {
            "type": "object",
            "properties": {key: array},
            "required": [key],
            "additionalProperties": False,
        },
        sort_keys=True,
    )


@dataclass(frozen=True)
class ListForm:
    """One ask: the numbers of the liked candidates. Score 1 named, 0 not."""

    name: str = "list"

    def asks(self, K: int) -> list[Ask]:
        """Return the one ask."""
        return [Ask(tuple(range(K)), 16 + 4 * K, schema=_schema("liked", K, 0))]

    def readable(self, ask: Ask, reply: Reply) -> bool:
        """Whether the reply names candidates and nothing else; once or twice is the same."""
        return _inside(_numbers(reply, "liked"), len(ask.shown))

    def judge(self, K: int, replies: Sequence[Reply | None]) -> Judgement:
        """Like what is named."""
        return Judgement((score := self._score(K, replies)), score > 0)

    def places(self, K: int, replies: Sequence[Reply | None]) -> NDArray[np.float64]:
        """Return 1 at every named place."""
        return self._score(K, replies).astype(np.float64)

    def _score(self, K: int, replies: Sequence[Reply | None]) -> NDArray[np.float32]:
        (reply,) = replies
        named = _numbers(reply, "liked") if reply else None
        if named is None:
            return np.full(K, np.nan, dtype=np.float32)
        score = np.zeros(K, dtype=np.float32)
        score[[n - 1 for n in named]] = 1.0
        return score


@dataclass(frozen=True)
class RankingForm:
    """One ask: all candidates in order. Score 1 for the first to 0 for the last."""

    like_share: float  # of the candidates, the best count as liked
    name: str = "ranking"

    def asks(self, K: int) -> list[Ask]:
        """Return the one ask."""
        return [Ask(tuple(range(K)), 16 + 4 * K, schema=_schema("ranking", K, K))]

    def readable(self, ask: Ask, reply: Reply) -> bool:
        """Whether the reply names every candidate once."""
        K = len(ask.shown)
        return sorted(_numbers(reply, "ranking") or []) == list(range(1, K + 1))

    def judge(self, K: int, replies: Sequence[Reply | None]) -> Judgement:
        """Like the first like_share of the order."""
        return Judgement((score := self._score(K, replies)), best(score, self.like_share))

    def places(self, K: int, replies: Sequence[Reply | None]) -> NDArray[np.float64]:
        """Return the score of every place."""
        return self._score(K, replies).astype(np.float64)

    def _score(self, K: int, replies: Sequence[Reply | None]) -> NDArray[np.float32]:
        (reply,) = replies
        order = _numbers(reply, "ranking") if reply else None
        score = np.full(K, np.nan, dtype=np.float32)
        if order is not None:
            score[np.array(order) - 1] = np.linspace(1.0, 0.0, K) if K > 1 else 1.0
        return score


def _inside(numbers: list[int] | None, K: int) -> bool:
    return numbers is not None and all(1 <= n <= K for n in numbers)
