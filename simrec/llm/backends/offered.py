"""The choices of a request as a model in this process scores them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from simrec.llm.request import Answer
from simrec.llm.spelling import spellings


@dataclass(frozen=True)
class Offered:
    """Token rows of all choices, several for one that can be spelt in several ways."""

    choices: tuple[str, ...]
    rows: list[list[int]]  # what is scored
    owner: list[int]  # row -> place of the choice it spells

    def answer(self, scores: Sequence[float], prompt_tokens: int) -> Answer:
        """Return the most probable choice, and log P of every one: the sum over its spellings.

        Args:
            scores: log P(row, end | prompt), natural logarithm (R,).
            prompt_tokens: Of the prompt.
        """
        known = np.full(len(self.choices), -np.inf)
        np.logaddexp.at(known, self.owner, np.asarray(scores, dtype=np.float64))
        known = np.minimum(known, 0.0)  # a sum over float32 numbers can pass 1 by their rounding
        best = int(np.argmax(known))
        return Answer(
            self.choices[best],
            "stop",
            prompt_tokens,
            len(self.rows[self.owner.index(best)]),
            dict(zip(self.choices, known.tolist(), strict=True)),
        )


def offered(choices: Sequence[str], tokens: Callable[[str], list[int]]) -> Offered:
    """Return choices ready to be scored.

    Args:
        choices: As they were offered.
        tokens: From a reply's text to its tokens, without the end token.
    """
    rows: list[list[int]] = []
    owner: list[int] = []
    for place, choice in enumerate(choices):
        # a tokenizer without capitals writes several spellings alike: they are one reply
        for row in dict.fromkeys(tuple(tokens(way)) for way in spellings(choice)):
            rows.append(list(row))
            owner.append(place)
    return Offered(tuple(choices), rows, owner)
