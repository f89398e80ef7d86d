"""What every form of asking has: requests, how their replies are read, and the judgement."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from simrec.llm.protocol import Reply


@dataclass(frozen=True)
class Ask:
    """One request of a question."""

    shown: tuple[int, ...]  # places of candidates, numbered from 1 in this order in the prompt
    max_tokens: int
    choices: tuple[str, ...] | None = None  # the reply is one of these
    schema: str | None = None  # or JSON of this schema; text, so that an ask can be compared


@dataclass(frozen=True)
class Judgement:
    """What the replies to one question say; NaN and False where a reply could not be read."""

    score: NDArray[np.float32]  # (K,)
    liked: NDArray[np.bool_]  # (K,)


class Form(Protocol):
    """A way to ask."""

    @property
    def name(self) -> str:
        """What a study calls it."""
        ...

    def asks(self, K: int) -> list[Ask]:
        """Return the requests of a question with K candidates."""
        ...

    def readable(self, ask: Ask, reply: Reply) -> bool:
        """Whether the reply says what was asked, whatever the server claims."""
        ...

    def judge(self, K: int, replies: Sequence[Reply | None]) -> Judgement:
        """Read the replies of all asks, None where one was not readable."""
        ...

    def places(self, K: int, replies: Sequence[Reply | None]) -> NDArray[np.float64]:
        """Return how much each place in a prompt was preferred (P,); empty where it has no order.

        NaN where a reply was not readable. Candidates are shuffled, so a model without position
        bias has the same mean at every place.
        """
        ...


def chances(reply: Reply, choices: Sequence[str]) -> dict[str, float]:
    """Return the probability of each choice: the model's where it gave log-probabilities, else 1.

    Args:
        reply: One whose choice is among `choices`.
        choices: All of them; those without a log-probability count as impossible.
    """
    known: Mapping[str, float] = reply.logprobs or {}
    logs = {c: known[c] for c in choices if c in known and math.isfinite(known[c])}
    if reply.choice not in logs:
        return {c: float(c == reply.choice) for c in choices}
    top = max(logs.values())
    weights = {c: math.exp(logs[c] - top) if c in logs else 0.0 for c in choices}
    total = sum(weights.values())
    return {c: w / total for c, w in weights.items()}


def best(score: NDArray[np.float32], share: float) -> NDArray[np.bool_]:
    """Return which scores lie above the (1 - share) quantile of those that are known."""
    known = score[np.isfinite(score)]
    if not len(known):
        return np.zeros(len(score), dtype=np.bool_)
    return np.asarray(score > np.quantile(known, 1.0 - share), dtype=np.bool_)


def schema_of(ask: Ask) -> dict[str, Any] | None:
    """Return the JSON schema of an ask's reply, or None."""
    return None if ask.schema is None else dict(json.loads(ask.schema))
