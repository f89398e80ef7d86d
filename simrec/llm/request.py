"""A request and its check: what was asked for decides whether a reply counts, not the server."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from simrec.errors import SimrecError
from simrec.llm.protocol import LLMPrompt, Reply
from simrec.llm.spelling import plain

ATTEMPTS = 2  # a reply that fails its check is asked for once more
_SHOWN = 60  # characters of a wrong reply quoted in a reason
_FENCE = "```"


@dataclass(frozen=True)
class Answer:
    """What a backend got for one prompt, before the check."""

    text: str
    finish: str
    prompt_tokens: int = 0
    completion_tokens: int = 0
    logprobs: Mapping[str, float] | None = None
    error: str = ""  # why this prompt cannot be answered at all; it is not asked again


def too_long(length: int, reply: int, context: int) -> Answer:
    """Return what a backend has for a prompt that its model's context does not hold.

    Args:
        length: Tokens of the prompt.
        reply: Tokens of the longest reply.
        context: Tokens that the model takes.
    """
    words = f"its {length} tokens and {reply} for the reply are more than the model's {context}"
    return Answer("", "error", length, error=words)


@dataclass(frozen=True)
class Request:
    """What every prompt of one call asks for; made by `make_request`."""

    max_tokens: int
    choices: tuple[str, ...] | None
    schema: dict[str, Any] | None
    schema_error: Callable[[Any], str] | None  # a value's first fault against the schema, or ""

    def check(self, answer: Answer) -> Reply:
        """Judge one answer.

        A choice may come with spaces or quotes around it, a final full stop or in other case, as
        long as one choice only is meant. JSON may come in a fence and must not be cut, hold NaN or
        disobey the schema.
        """
        text, choice, reason = answer.text, None, answer.error
        if not reason and self.choices is not None:
            choice = self._choice(text)
            if choice is None:
                reason = f"{_quoted(text)} is none of the {len(self.choices)} choices"
        elif not reason and self.schema_error is not None:
            text, reason = self._json(text, self.schema_error)
            if reason and answer.finish == "length":
                reason = f"cut off at {self.max_tokens} tokens"
        return Reply(
            text=text,
            choice=choice,
            logprobs=answer.logprobs,
            prompt_tokens=answer.prompt_tokens,
            completion_tokens=answer.completion_tokens,
            finish="error" if answer.error else answer.finish,
            valid=not reason,
            reason=reason,
        )

    def _choice(self, text: str) -> str | None:
        assert self.choices is not None
        exact = text.strip()
        if exact in self.choices:
            return exact
        alike = [c for c in self.choices if plain(c) == plain(text)]
        return alike[0] if len(alike) == 1 else None

    def _json(self, text: str, schema_error: Callable[[Any], str]) -> tuple[str, str]:
        """Return the text without a fence and why it is not valid, "" if it is."""
        inside = text.strip()
        if inside.startswith(_FENCE) and inside.endswith(_FENCE) and len(inside) > 6:
            inside = inside[3:-3].removeprefix("json").strip()
        try:
            value = json.loads(inside, parse_constant=_no_constant)
        except (ValueError, RecursionError):
            return text, f"{_quoted(text)} is not JSON"
        fault = schema_error(value)
        return (text, fault) if fault else (inside, "")

    def again(self, prompt: LLMPrompt, reply: Reply) -> LLMPrompt:
        """Return the prompt for another attempt: at temperature 0 the same one fails again."""
        if self.choices is not None:
            want = "exactly one of these and nothing else: " + ", ".join(
                json.dumps(c, ensure_ascii=False) for c in self.choices
            )
        else:
            want = f"JSON only, that obeys this JSON Schema: {json.dumps(self.schema)}"
        text = f"{prompt.text}\n\nAn earlier reply was wrong: {reply.reason}. Reply with {want}"
        return replace(prompt, text=text)


def make_request(
    *, max_tokens: int, choices: Sequence[str] | None, schema: Mapping[str, Any] | None
) -> Request:
    """Check what a caller asks for.

    Raises:
        SimrecError: max_tokens below 1; choices together with a schema; no, empty, equal or
            ambiguous choices; a schema that is no JSON Schema.
    """
    if max_tokens < 1:
        raise SimrecError(f"max_tokens is {max_tokens}; expected 1 or more")
    if choices is not None and schema is not None:
        raise SimrecError("choices and schema were both given; expected at most one of them")
    if choices is not None:
        known = [plain(c) for c in choices]
        if not known or "" in known or len(set(known)) < len(known):
            raise SimrecError(
                f"the choices are {list(choices)}; expected at least one, none empty, all "
                f"different (case and quotation marks do not count)"
            )
    return Request(
        max_tokens,
        None if choices is None else tuple(choices),
        None if schema is None else dict(schema),
        None if schema is None else _schema_check(schema),
    )


def answer_all(
    ask: Callable[[Sequence[LLMPrompt]], Sequence[Answer]],
    prompts: Sequence[LLMPrompt],
    request: Request,
) -> list[Reply]:
    """Ask for all prompts, and again for those whose reply fails the check.

    Args:
        ask: Gets one answer for each prompt, in order.
        prompts: What is asked.
        request: What every reply must be.

    Returns:
        One reply for each prompt; tokens are summed over attempts, the rest is the last attempt's.
    """
    replies = [request.check(answer) for answer in ask(prompts)]
    for _ in range(1, ATTEMPTS):
        wrong = [n for n, r in enumerate(replies) if not r.valid and r.finish != "error"]
        if not wrong:
            break
        answers = ask([request.again(prompts[n], replies[n]) for n in wrong])
        for n, answer in zip(wrong, answers, strict=True):
            replies[n] = joined(replies[n], request.check(answer))
    return replies


def joined(old: Reply, new: Reply) -> Reply:
    """Return the later attempt with the tokens of both."""
    return replace(
        new,
        prompt_tokens=old.prompt_tokens + new.prompt_tokens,
        completion_tokens=old.completion_tokens + new.completion_tokens,
        attempts=old.attempts + 1,
    )


def _quoted(text: str) -> str:
    short = text if len(text) <= _SHOWN else text[:_SHOWN] + "..."
    return json.dumps(short, ensure_ascii=False)


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def _schema_check(schema: Mapping[str, Any]) -> Callable[[Any], str]:
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import SchemaError, best_match

    try:
        Draft202012Validator.check_schema(dict(schema))
    except SchemaError as error:
        raise SimrecError(f"the schema is no JSON Schema: {error.message}") from error
    validator = Draft202012Validator(dict(schema))

    def fault(value: Any) -> str:
        worst = best_match(validator.iter_errors(value))
        if worst is None:
            return ""
        place = "".join(f"[{part!r}]" for part in worst.absolute_path)
        message = worst.message if len(worst.message) <= 2 * _SHOWN else "a value"
        return f"reply{place}: {message} breaks the schema's {worst.validator}"

    return fault
