"""What the numbers of a teacher mean, in sentences."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from simrec.llm.agreement import LEAST_LEFT, Agreement
from simrec.llm.estimate import money

FEW = 0.02  # share of likes, or of dislikes, from which on a reward has both to learn from
Prices = tuple[float | None, float | None]  # of a million tokens sent and received


def measures_lines(measures: Mapping[str, Any] | None, kind: str, prices: Prices) -> list[str]:
    """Return what was measured when a teacher was asked, a sentence a line.

    Args:
        measures: As `ask_and_audit` returns them; None for a teacher that is no live model.
        kind: Of the teacher, as in a study.
        prices: Of a million tokens.
    """
    if measures is None:
        free = "recorded by others" if kind == "recorded" else "made by text similarity"
        return [
            "position bias, order swap, parse failures: not applicable, no prompt was sent",
            f"cost: none here, the answers were {free}",
        ]
    statuses = ", ".join(f"{n} {status}" for status, n in measures["statuses"].items())
    lines = [
        f"{measures['teacher']} with template {measures['template']}: {statuses}; "
        f"{measures['unreadable']} of {measures['asks']} replies not readable after a second try"
    ]
    if measures["unreadable"] > 0.5 * measures["asks"]:
        lines.append("more than half could not be read: use another form or another model")
    lines += _likes_lines(measures)
    bias = measures["position_bias"]
    if bias is None:
        alone = measures["form"] in ("rating", "yesno")
        why = "not applicable, a prompt shows one candidate" if alone else "nothing could be read"
        lines.append(f"position bias and order swap: {why}")
    else:
        error = 1.96 * bias["slope_error"]
        verdict = "none shown" if abs(bias["slope"]) <= error else "there is one"
        lines.append(
            f"position bias: the last place is preferred by {bias['slope']:+.3f} over the first "
            f"(95 % interval +-{error:.3f}, {bias['questions']} questions): {verdict}"
        )
    swap = measures["swap"]
    if swap is not None:
        lines.append(
            f"order swap: {swap['agreement']:.1%} of {swap['pairs']} answers stay when candidates "
            f"are shown in reverse (kappa {swap['kappa']:.2f}, {swap['questions']} questions)"
        )
    lines.append(cost_line([measures], prices))
    return lines


def _likes_lines(measures: Mapping[str, Any]) -> list[str]:
    """Return how much was liked, and what to do where that leaves nothing to be learnt."""
    judged, liked = measures.get("judged", 0), measures.get("liked", 0)  # older files have neither
    if not judged:
        return []
    told = f"liked {liked:,} of {judged:,} candidates"
    if FEW <= liked / judged <= 1.0 - FEW:
        return [told]
    remedy = "ask in form pairwise or ranking"
    if measures["form"] in ("rating", "yesno"):
        remedy = "set teacher.liked_by to share, which likes the best of each question"
    kind = "liked" if liked < 0.5 * judged else "disliked"
    return [f"{told}: next to nothing is {kind}, so little can be learnt; {remedy}"]


def rounds_lines(rounds: Mapping[int, Mapping[str, Any]], kind: str, prices: Prices) -> list[str]:
    """Return what was measured in each round of asking, and what all of them cost.

    Args:
        rounds: Number of a round -> its measures; empty for a teacher that is no live model.
        kind: Of the teacher, as in a study.
        prices: Of a million tokens.
    """
    if not rounds:
        return measures_lines(None, kind, prices)
    if len(rounds) == 1:
        return measures_lines(next(iter(rounds.values())), kind, prices)
    lines = [
        f"round {number}: {line}"
        for number, measures in rounds.items()
        for line in measures_lines(measures, kind, prices)
    ]
    return [*lines, f"all {len(rounds)} rounds: {cost_line(list(rounds.values()), prices)}"]


def cost_line(rounds: Sequence[Mapping[str, Any]], prices: Prices) -> str:
    """Return the sum of what answers cost, second tries and the order-swap sample included."""
    spent = [m[part] for m in rounds for part in ("spent", "swap_spent") if m[part]]
    sent = sum(s["prompt_tokens"] for s in spent)
    received = sum(s["completion_tokens"] for s in spent)
    requests = sum(s["requests"] for s in spent)
    price = money(sent, received, *prices)
    return (
        f"cost: {requests} requests, {sent:,} tokens sent, {received:,} received"
        + (f", {price:,.4f} in money" if price is not None else "")
        + " (what the answers cost when first given)"
    )


def part_and_whole(part: Agreement, whole: Agreement) -> str:
    """Return in words whether a teacher does worse or better on the judging part than in all.

    Args:
        part: On the part of the log that judges, with the study's items and people only.
        whole: On everything the table and the log have in common.
    """
    if math.isnan(part.pearson) or math.isnan(whole.pearson):
        return "Judging part and whole table cannot be compared: too few pairs."
    raw = _gap("correlation", part.pearson, whole.pearson, (part.error, whole.error))
    own = "the personal part cannot be compared: not enough pairs"
    if part.enough and whole.enough:
        own = _gap(
            "personal part",
            part.personal_pearson,
            whole.personal_pearson,
            (part.personal_error, whole.personal_error),
        )
    return (
        f"{raw}; {own}. The whole table also has items and people that the study leaves out, and "
        "events it is fitted on: what holds for the study is its judging part."
    )


def _gap(name: str, part: float, whole: float, errors: tuple[float, float]) -> str:
    gap, chance = part - whole, math.hypot(*errors)
    if math.isnan(gap) or math.isnan(chance):
        return f"the {name} cannot be compared"
    verdict = "more than chance explains" if abs(gap) > chance else "no more than chance explains"
    return (
        f"on the judging part the {name} is {part:.3f}, in the whole table {whole:.3f}: a "
        f"difference of {gap:+.3f}, {verdict} (+-{chance:.3f})"
    )


def remains(teacher: Agreement, name: str | None = None) -> str:
    """Return how far a teacher and people agree, and what of it is personal.

    Args:
        teacher: Against people.
        name: What to call it; where not given, its own name.
    """
    personal, error = teacher.personal_pearson, teacher.personal_error
    text = f"{name or teacher.name} and people correlate with {teacher.pearson:.2f}; "
    if not teacher.enough:
        return (
            f"{text}not enough pairs to say what is personal of it: {teacher.left} of "
            f"{teacher.pairs:,} are left once each user's and each item's mean is removed, "
            f"{LEAST_LEFT} are needed."
        )
    left = "nothing" if math.isnan(personal) else f"{personal:.2f}"
    return (
        f"{text}once each user's and each item's mean is removed, {left} is left "
        f"(95 % interval about +-{error:.2f})."
    )


def meaning(teacher: Agreement, popularity: Agreement) -> list[str]:
    """Return what the agreement means for a policy distilled from the teacher."""
    raw, personal, error = teacher.pearson, teacher.personal_pearson, teacher.personal_error
    if math.isnan(raw):
        return ["Too few pairs were judged by both to say anything."]
    lines = [remains(teacher, "Teacher")]
    if not teacher.enough:
        lines.append(
            "Whether a policy distilled from this teacher can start personal is not known: ask "
            "more about the same users and items."
        )
    elif math.isnan(personal) or personal <= error:
        lines.append(
            "No personal part can be shown: a policy distilled from this teacher knows at best "
            "which items are good for everybody; who likes what it must learn from users online."
        )
    elif personal < 0.2:
        lines.append(
            f"The personal part is small: it explains {personal**2:.1%} of what people feel beyond "
            "those means. A policy distilled from this teacher starts with what is good for nearly "
            "everybody, hardly with what is right for one person; that it must learn from users "
            "online."
        )
    else:
        lines.append(
            f"The personal part explains {personal**2:.0%} of what people feel beyond those means: "
            "a policy distilled from this teacher can start personal."
        )
    if math.isnan(teacher.user_auc):
        return lines
    better = teacher.user_auc - popularity.user_auc
    lines.append(
        f"Within one user it puts a liked item above another with chance {teacher.user_auc:.3f}; "
        f"popularity, which needs no teacher, with {popularity.user_auc:.3f}"
        + (": the teacher adds nothing to that." if better <= 0 else f" ({better:+.3f}).")
    )
    return lines
