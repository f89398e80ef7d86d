"""A language model as a judge of generated item text: few-shot scores and a chain of questions.

The protocol is Video-Bench's (Han et al., CVPR 2025, arXiv 2504.04907; abstract read, the rest
reconstructed): every text is scored several times with other examples in the prompt, and asked
about in steps, each question with the answers before it. Only how well the judge agrees with itself
and with people is claimed.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simrec.errors import SimrecError
from simrec.llm.agreement import spearman
from simrec.llm.protocol import LanguageModel, LLMPrompt
from simrec.randomness import generator

SCORES = ("1", "2", "3", "4", "5")
CHAIN = (
    "In one sentence: what does this text offer?",
    "In one sentence: what in it contradicts itself or cannot be true?",
    "In one sentence: who would want it, and why?",
)


@dataclass(frozen=True)
class Example:
    """A text whose score people agreed on."""

    text: str
    score: int  # 1 to 5


@dataclass(frozen=True)
class Judged:
    """What a judge said of n texts."""

    scores: NDArray[np.float64]  # (n, R) 1 to 5 a round, NaN where a reply was not valid
    chain: tuple[tuple[str, ...], ...]  # (n,) answers to the questions

    @property
    def mean(self) -> NDArray[np.float64]:
        """Mean score (n,) over the valid rounds, NaN where there is none."""
        valid = np.isfinite(self.scores)
        total = np.where(valid, self.scores, 0.0).sum(axis=1)
        out = np.full(len(total), np.nan)
        return np.asarray(np.divide(total, valid.sum(1), out=out, where=valid.any(1)))

    @property
    def spread(self) -> float:
        """Mean over texts of the range of scores over rounds; 0 is a judge sure of itself."""
        whole = self.scores[np.isfinite(self.scores).all(axis=1)]
        return float(np.ptp(whole, axis=1).mean()) if len(whole) else float("nan")

    def agreement(self, people: NDArray[np.float64]) -> float:
        """Return Spearman's correlation of the mean scores with people's (n,)."""
        known = np.isfinite(self.mean)
        return spearman(self.mean[known], people[known])


def judge_texts(
    model: LanguageModel,
    texts: Sequence[str],
    examples: Sequence[Example],
    *,
    shots: int = 3,
    rounds: int = 3,
    questions: Sequence[str] = CHAIN,
    seed: int = 0,
) -> Judged:
    """Score texts from 1 to 5.

    Args:
        model: The judge; not the model that wrote the texts, or it judges itself.
        texts: (n,) what is judged.
        examples: Scored texts to draw from.
        shots: Examples in a prompt.
        rounds: Scores asked of each text, each with other examples.
        questions: Asked first, one after another.
        seed: Draws the examples.

    Raises:
        SimrecError: Too few examples, a score outside 1 to 5, or no round.
    """
    wrong = [e.score for e in examples if str(e.score) not in SCORES]
    if len(examples) < shots or rounds < 1 or wrong:
        raise SimrecError(
            f"the judge got {len(examples)} examples{f' (one scored {wrong[0]})' if wrong else ''} "
            f"for {shots} shots and {rounds} rounds; expected as many examples with scores 1 to 5, "
            f"and 1 round or more"
        )
    told: list[list[str]] = [[] for _ in texts]
    for question in questions:
        prompts = [
            LLMPrompt(f"{_case(t, questions, a)}Question: {question}")
            for t, a in zip(texts, told, strict=True)
        ]
        for answers, reply in zip(told, model.complete(prompts, max_tokens=80), strict=True):
            answers.append(" ".join(reply.text.split()))
    scores = np.full((len(texts), rounds), np.nan)
    for number in range(rounds):
        rng = generator(seed, "judge", number)
        drawn = [examples[i] for i in rng.choice(len(examples), size=shots, replace=False)]
        shown = "".join(f"Text: {e.text}\nScore: {e.score}\n\n" for e in drawn)
        prompts = [
            LLMPrompt(
                f"Score texts about items from 1 (worthless) to 5 (excellent).\n\n{shown}"
                f"{_case(t, questions, a)}Score:"
            )
            for t, a in zip(texts, told, strict=True)
        ]
        replies = model.complete(prompts, max_tokens=4, choices=SCORES)
        for row, reply in enumerate(replies):
            if reply.valid and reply.choice is not None:
                scores[row, number] = float(reply.choice)
    return Judged(scores, tuple(map(tuple, told)))


def _case(text: str, questions: Sequence[str], answers: Sequence[str]) -> str:
    before = "".join(f"{q}\n{a}\n" for q, a in zip(questions, answers, strict=False))
    return f"Text: {text}\n{before}"
