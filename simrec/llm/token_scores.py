"""Log-probabilities of choices out of the few that a server tells."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate


@dataclass(frozen=True)
class TokenScore:
    """One written token and what else stood in its place."""

    text: str
    logprob: float
    others: Mapping[str, float]  # token -> log-probability, among the most probable


def choice_logprobs(
    choices: Sequence[str], taken: str | None, tokens: Sequence[TokenScore]
) -> dict[str, float] | None:
    """Return what can be known of log P(choice).

    The choice taken has the sum over its tokens. Another choice is known if it is one token among
    the first place's alternatives and no other choice begins with it ("1" beside "10" could go on).
    The end of the reply is not counted, other than in `TransformersLM`, and vLLM gives the
    probabilities before it rules out what the choices do not allow: a sum far below 1 says that
    the model, left alone, would have written something else.

    Args:
        choices: All choices.
        taken: The valid choice, or None.
        tokens: The reply's tokens in order, with or without the end token.

    Returns:
        Choice to log-probability, or None if nothing is known.
    """
    known: dict[str, float] = {}
    if tokens:
        first = {**tokens[0].others, tokens[0].text: tokens[0].logprob}
        for choice in choices:
            alone = not any(c != choice and c.startswith(choice) for c in choices)
            if choice in first and alone:
                known[choice] = first[choice]
    written = list(accumulate(t.text for t in tokens))
    for n, text in enumerate(written, start=1):
        if taken is not None and text.strip() == taken:  # what follows is the end token
            known[taken] = sum(t.logprob for t in tokens[:n])
            break
    return known or None
