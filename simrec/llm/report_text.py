"""What the numbers of a teacher mean, in sentences."""

import math
from collections.abc import Mapping
from typing import Any

from simrec.llm.agreement import Agreement
from simrec.llm.estimate import money

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
    spent = [measures["spent"], *([measures["swap_spent"]] if measures["swap_spent"] else [])]
    sent = sum(s["prompt_tokens"] for s in spent)
    received = sum(s["completion_tokens"] for s in spent)
    requests = sum(s["requests"] for s in spent)
    price = money(sent, received, *prices)
    lines.append(
        f"cost: {requests} requests, {sent:,} tokens sent, {received:,} received"
        + (f", {price:,.4f} in money" if price is not None else "")
        + " (what the answers cost when first given)"
    )
    return lines


def meaning(teacher: Agreement, popularity: Agreement) -> list[str]:
    """Return what the agreement means for a policy distilled from the teacher."""
    raw, personal, error = teacher.pearson, teacher.personal_pearson, teacher.personal_error
    if math.isnan(raw):
        return ["Too few pairs were judged by both to say anything."]
    lines = [
        f"Teacher and people correlate with {raw:.2f}; once each user's and each item's mean is "
        f"removed, {'nothing' if math.isnan(personal) else f'{personal:.2f}'} is left "
        + (
            "(too few pairs for an interval)."
            if math.isnan(error)
            else f"(95 % interval about +-{error:.2f})."
        )
    ]
    if math.isnan(personal) or math.isnan(error) or personal <= error:
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
