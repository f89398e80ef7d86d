"""Choices on llama.cpp's server, each scored whole: the probabilities `TransformersLM` gives.

The server ignores `structured_outputs`. It obeys a grammar of letters, but then follows the
likeliest next letters: a small trained model is led to spell "B", "er", "l", "in" where it means
"Paris", and nothing is told of the end, so that "1" collects what belongs to "1. First". So each
choice is forced by a grammar of its own tokens, and the log-probabilities from before the grammar
are added up, that of the end token too. The server keeps the prompt in between.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from simrec.llm.backends.chat_body import Malformed, messages
from simrec.llm.protocol import LLMPrompt

TOKENIZE = "../../tokenize"  # from .../v1/chat/completions


@dataclass(frozen=True)
class Forced:
    """What the server tells of one choice that it was made to write."""

    logprob: float
    prompt_tokens: int


def tokenize_body(choice: str) -> dict[str, Any]:
    """Return the JSON that asks for a choice's tokens."""
    return {"content": choice, "add_special": False, "parse_special": False}


def read_tokens(data: Any) -> list[int]:
    """Return the tokens of a choice.

    Raises:
        Malformed: It is something else.
    """
    tokens = data.get("tokens") if isinstance(data, dict) else None
    if not tokens or not all(type(t) is int for t in tokens):
        raise Malformed("no tokens from /tokenize; server='llama.cpp' is for llama.cpp's server")
    return list(tokens)


def forced_body(
    model: str, prompt: LLMPrompt, tokens: Sequence[int], extra: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the JSON of a request that can only be answered with these tokens and the end."""
    body: dict[str, Any] = {
        "model": model,
        "messages": messages(prompt),
        "max_tokens": len(tokens) + 1,
        "temperature": 0,
        "logprobs": True,
        "top_logprobs": 1,
        "grammar": "root ::= " + " ".join(f"<[{token}]>" for token in tokens),
    }
    return {k: v for k, v in {**body, **extra}.items() if v is not None}


def read_forced(data: Any, n_tokens: int) -> Forced:
    """Return the log-probability of a choice of so many tokens, and of the end after it.

    Raises:
        Malformed: Not exactly these tokens were written.
    """
    try:
        written = data["choices"][0]["logprobs"]["content"]
        scores = [float(token["logprob"]) for token in written]
        usage = data.get("usage") or {}
        prompt_tokens = int(usage.get("prompt_tokens", 0))
    except (KeyError, IndexError, TypeError, AttributeError, ValueError) as error:
        raise Malformed(f"no log-probabilities ({type(error).__name__}: {error})") from error
    if len(scores) != n_tokens + 1:
        raise Malformed(f"{len(scores)} tokens where {n_tokens} and the end were forced")
    return Forced(sum(scores), prompt_tokens)
