"""Log-probabilities of choices out of the few that a server tells."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from simrec.llm.spelling import plain


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

    A choice has the sum of all first tokens that read as it ("yes", "Yes", " yes"), as each of them
    would have been taken for it, unless another choice begins alike ("1" beside "10" could go on).
    The choice taken has at least the product over the tokens that were written. The end of the
    reply is not counted, other than in `TransformersLM`, and a server that rules out what the
    choices do not allow may tell shares of what is left (vLLM does) or probabilities from before
    (llama.cpp's server): then a sum far below 1 says that the model, left alone, would have
    written something else.

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
            meant = plain(choice)
            alone = not any(c != choice and plain(c).startswith(meant) for c in choices)
            ways = [first[token] for token in first if plain(token) == meant]
            if ways and alone:
                known[choice] = min(0.0, float(np.logaddexp.reduce(ways)))  # told ones are rounded
    written = list(accumulate(t.text for t in tokens))
    for n, text in enumerate(written, start=1):
        if taken is not None and plain(text) == plain(taken):  # what follows is the end token
            path = sum(t.logprob for t in tokens[:n])
            known[taken] = max(path, known.get(taken, path))
            break
    return known or None
