"""A language model that is a Python function: for tests, rehearsals and your own rules."""

import hashlib
import importlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from simrec.errors import SimrecError
from simrec.llm.protocol import Completes, LLMPrompt, OnReply
from simrec.llm.request import Answer, answer_all, make_request

Script = Callable[[LLMPrompt, Sequence[str] | None, Mapping[str, Any] | None], str]


class ScriptedLM(Completes):
    """Gives what a function of (prompt, choices, schema) returns, checked like any other reply.

    A token is a word here, so that tokens can be counted on paper.
    """

    def __init__(self, name: str, script: Script) -> None:
        """Name the model and say how it answers.

        Args:
            name: Goes into records and cache keys as "scripted:NAME"; change it with the rule.
            script: Returns the text of the reply.
        """
        self._name = name
        self._script = script

    @property
    def name(self) -> str:
        """Name written into records."""
        return f"scripted:{self._name}"

    def complete_each(
        self,
        prompts: Sequence[LLMPrompt],
        on_reply: OnReply,
        *,
        max_tokens: int,
        choices: Sequence[str] | None = None,
        schema: Mapping[str, Any] | None = None,
    ) -> None:
        """Answer prompts one after the other; see LanguageModel."""
        request = make_request(max_tokens=max_tokens, choices=choices, schema=schema)

        def ask(batch: Sequence[LLMPrompt]) -> list[Answer]:
            return [self._answer(prompt, max_tokens, choices, schema) for prompt in batch]

        for n, prompt in enumerate(prompts):
            on_reply(n, answer_all(ask, [prompt], request)[0])

    def _answer(
        self,
        prompt: LLMPrompt,
        max_tokens: int,
        choices: Sequence[str] | None,
        schema: Mapping[str, Any] | None,
    ) -> Answer:
        text = self._script(prompt, choices, schema)
        words = text.split()
        finish = "stop" if len(words) <= max_tokens else "length"
        if finish == "length":
            text = " ".join(words[:max_tokens])
        used = min(len(words), max_tokens)
        scores = None if choices is None else hashed_logprobs(prompt.text, choices)
        return Answer(text, finish, len(prompt.text.split()), used, scores)


def _luck(*parts: str) -> float:
    """Return a number in (0, 1) that depends on the parts only."""
    digest = hashlib.sha256("\0".join(parts).encode()).digest()
    return (int.from_bytes(digest[:6], "little") + 1) / (2**48 + 1)


def hashed_logprobs(text: str, choices: Sequence[str]) -> dict[str, float]:
    """Return log-probabilities that sum to 1, drawn from a hash of text and choice."""
    weight = {c: _luck(text, c) for c in choices}
    total = sum(weight.values())
    return {c: math.log(w / total) for c, w in weight.items()}


def hashed(
    prompt: LLMPrompt, choices: Sequence[str] | None, schema: Mapping[str, Any] | None
) -> str:
    """Answer by a hash of the prompt: the likeliest choice, JSON of the right form, or a word."""
    if choices is not None:
        scores = hashed_logprobs(prompt.text, choices)
        return max(scores, key=lambda c: scores[c])
    if schema is not None:
        return json.dumps(_instance(schema, prompt.text), separators=(",", ":"))
    return f"reply-{hashlib.sha256(prompt.text.encode()).hexdigest()[:8]}"


def _instance(schema: Mapping[str, Any], seed: str) -> Any:
    """Return a value of the schema; knows enum, objects, arrays, integers, numbers and booleans."""
    if "enum" in schema:
        options = list(schema["enum"])
        return options[int(_luck(seed, "enum") * len(options))]
    kind = schema.get("type")
    if kind == "object":
        return {k: _instance(v, f"{seed}.{k}") for k, v in schema.get("properties", {}).items()}
    if kind == "array":
        least, most = schema.get("minItems", 0), schema.get("maxItems", 3)
        n = least + int(_luck(seed, "n") * (most - least + 1))
        values = [_instance(schema.get("items", {}), f"{seed}[{k}]") for k in range(20 * n)]
        if schema.get("uniqueItems"):
            values = [v for k, v in enumerate(values) if v not in values[:k]]
        return values[:n]
    low, high = schema.get("minimum", 0), schema.get("maximum", 9)
    if kind == "integer":
        return low + int(_luck(seed, "integer") * (high - low + 1))
    if kind == "number":
        return low + _luck(seed, "number") * (high - low)
    if kind == "boolean":
        return _luck(seed, "boolean") < 0.5
    return f"word-{int(_luck(seed, 'string') * 1000)}"


def scripted(rest: str) -> ScriptedLM:
    """Return "hash", or the function at "my.module:function".

    Raises:
        SimrecError: There is no such function.
    """
    if rest == "hash":
        return ScriptedLM("hash", hashed)
    module, colon, attribute = rest.partition(":")
    try:
        script = getattr(importlib.import_module(module), attribute) if colon else None
    except (ImportError, AttributeError) as error:
        raise SimrecError(
            f"cannot load 'scripted:{rest}' ({error}); expected scripted:my.module:function"
        ) from error
    if not callable(script):
        raise SimrecError(
            f"'scripted:{rest}' is no function; expected scripted:hash or "
            f"scripted:my.module:function"
        )
    return ScriptedLM(rest, script)
