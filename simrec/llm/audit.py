"""Does the order of candidates change what a language model says? Measured, never assumed."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simrec.llm.ask import LLMTeacher
from simrec.llm.transcript import Exchange
from simrec.preferences import Preference, Question


@dataclass(frozen=True)
class SwapAgreement:
    """A sample of questions asked twice, the second time with the candidates in reversed order."""

    questions: int
    pairs: int  # (question, candidate) pairs answered both times
    agreement: float  # share of pairs liked both times or neither; NaN without pairs
    kappa: float  # agreement beyond chance, at most 1; NaN where chance explains all


@dataclass(frozen=True)
class PositionBias:
    """How much more the last place in a prompt is preferred than the first."""

    questions: int
    by_place: tuple[float, ...]  # mean preference at each place, first to last
    slope: float  # last minus first, from a line through the places; 0 = no bias
    slope_error: float  # standard error of the slope over questions; NaN below 2 questions


def kappa(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    """Return Cohen's kappa of two raters: (p_o - p_e) / (1 - p_e) (Cohen 1960; reconstructed).

    p_o is the share of equal labels, p_e what two raters with these shares of likes agree on by
    chance. NaN without labels or where p_e is 1.
    """
    if not len(a):
        return float("nan")
    same = float(np.mean(a == b))
    one, two = float(np.mean(a)), float(np.mean(b))
    chance = one * two + (1.0 - one) * (1.0 - two)
    return (same - chance) / (1.0 - chance) if chance < 1.0 else float("nan")


def swapped(question: Question) -> Question:
    """Return the question with its candidates in reversed order."""
    return replace(
        question, candidates=question.candidates[::-1].copy(), sources=question.sources[::-1]
    )


def swap_agreement(first: Sequence[Preference], second: Sequence[Preference]) -> SwapAgreement:
    """Compare answers with those to the swapped questions, in the same order."""
    both = [
        (a.liked, b.liked[::-1], np.isfinite(a.score) & np.isfinite(b.score[::-1]))
        for a, b in zip(first, second, strict=True)
    ]
    none = np.zeros(0, dtype=np.bool_)
    known = np.concatenate([*(k for _, _, k in both), none])
    one = np.concatenate([*(a for a, _, _ in both), none])[known]
    two = np.concatenate([*(b for _, b, _ in both), none])[known]
    agreement = float(np.mean(one == two)) if len(one) else float("nan")
    return SwapAgreement(len(both), len(one), agreement, kappa(one, two))


def position_bias(places: Sequence[NDArray[np.float64]]) -> PositionBias | None:
    """Measure the preference for places; None where prompts have no order or nothing was read.

    Args:
        places: (P,) preference at each place, for each question; only the longest are used, those
            with a NaN left out.
    """
    longest = max((len(p) for p in places), default=0)
    rows = [p for p in places if len(p) == longest and np.isfinite(p).all()]
    if longest < 2 or not rows:
        return None
    values = np.stack(rows)  # (n, P)
    x = np.linspace(-0.5, 0.5, longest)
    slopes = values @ x / float(x @ x)  # (n,) least squares; x has mean 0
    n = len(slopes)
    error = float(slopes.std(ddof=1) / np.sqrt(n)) if n > 1 else float("nan")
    by_place = tuple(float(v) for v in values.mean(axis=0))
    return PositionBias(n, by_place, float(slopes.mean()), error)


def ask_and_audit(
    teacher: LLMTeacher,
    questions: Sequence[Question],
    *,
    sample: int,
    rng: np.random.Generator,
    heard: Callable[[list[Exchange]], None] = lambda exchanges: None,
) -> tuple[list[Preference], dict[str, Any]]:
    """Ask all questions, and a sample again in reversed order.

    Args:
        teacher: Who is asked.
        questions: What is asked.
        sample: How many questions to ask again; where prompts have no order, none are.
        rng: Draws the sample.
        heard: Told what was said word by word, of the questions themselves.

    Returns:
        The answers, and plain numbers for a file beside them: statuses, position bias, order-swap
        agreement (each None where it does not apply) and what the answers cost.
    """
    answers = teacher.prefer(questions, heard)
    K = [len(q.candidates) for q in questions]
    places = [teacher.form.places(k, r) for k, r in zip(K, teacher.replies, strict=True)]
    spent, tally = teacher.spent, teacher.tally
    bias = position_bias(places)
    chosen = np.sort(rng.permutation(len(questions))[: sample if bias else 0]).tolist()
    swap = None
    if chosen:
        again = teacher.prefer([swapped(questions[n]) for n in chosen])
        swap = swap_agreement([answers[n] for n in chosen], again)
    statuses = [a.status for a in answers]
    return answers, {
        "teacher": teacher.name,
        "form": teacher.form.name,
        "template": teacher.template.id,
        "questions": len(answers),
        "statuses": {s: statuses.count(s) for s in sorted(set(statuses))},
        "asks": tally.total,
        "unreadable": tally.failures,
        "judged": sum(int(np.isfinite(a.score).sum()) for a in answers),
        "liked": sum(int(a.liked.sum()) for a in answers),
        "spent": asdict(spent),
        "position_bias": asdict(bias) if bias else None,
        "swap": asdict(swap) if swap else None,
        "swap_spent": asdict(teacher.spent) if swap else None,
    }
