"""Scoring replies whole where an engine tells single tokens: what to ask, and the sums.

Of every beginning that a reply has, the probabilities of the tokens that go on from it are asked;
replies that begin alike share these. After a whole reply it is that of its end. All beginnings can
be asked at once, without one token being written, and an engine that remembers prompts reads only
what follows the prompt.
"""

from collections.abc import Mapping, Sequence

import numpy as np

Beginning = tuple[int, ...]


def beginnings(rows: Sequence[Sequence[int]], ends: Sequence[int]) -> dict[Beginning, list[int]]:
    """Return what to ask: beginning of a reply -> tokens whose probabilities after it count.

    Args:
        rows: Tokens of the replies, without the end token.
        ends: Tokens that end a reply; with none, the replies' own tokens are all that counts.
    """
    wanted: dict[Beginning, dict[int, None]] = {}
    for row in rows:
        for n, token in enumerate(row):
            wanted.setdefault(tuple(row[:n]), {})[token] = None
        if ends:
            wanted.setdefault(tuple(row), {}).update(dict.fromkeys(ends))
    return {beginning: list(tokens) for beginning, tokens in wanted.items()}


def summed(
    rows: Sequence[Sequence[int]],
    ends: Sequence[int],
    told: Mapping[Beginning, Mapping[int, float]],
) -> list[float]:
    """Return log P(reply, end | prompt) of every reply, natural logarithm.

    Args:
        rows: As given to `beginnings`.
        ends: As given to `beginnings`.
        told: Beginning -> token -> log-probability after it.
    """
    scores = []
    for row in rows:
        score = sum(told[tuple(row[:n])][token] for n, token in enumerate(row))
        if ends:
            after = told[tuple(row)]
            score += float(np.logaddexp.reduce([after[end] for end in ends]))
        scores.append(score)
    return scores
