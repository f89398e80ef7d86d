"""Checks that a part of yours keeps its protocol: run them in your own tests."""

import json
import math

from simrec.llm.protocol import LanguageModel, LLMPrompt, Reply

_PROMPTS = (
    "Which is a colour?",
    "A person liked films about space, robots and other worlds, again and again. What is next?",
    "One more?",
)
_CHOICES = ("yes", "no", "10", "1")
_SCHEMA = {
    "type": "object",
    "properties": {"rating": {"type": "integer", "minimum": 1, "maximum": 5}},
    "required": ["rating"],
    "additionalProperties": False,
}


def check_language_model(model: LanguageModel, *, max_tokens: int = 24) -> None:
    """Check that a language model keeps the protocol.

    It need not be a good model: random weights pass. What is asked of it is that every prompt gets
    one reply in its place, that a reply called valid is a choice or obeys the schema and that one
    that is not says why, that tokens are counted, and that the same prompt gets the same text.

    Args:
        model: The model to check.
        max_tokens: Longest reply.

    Raises:
        AssertionError: The protocol is broken; the message says where.
    """
    prompts = [LLMPrompt(text) for text in _PROMPTS]
    assert isinstance(model, LanguageModel), "name, complete and complete_each are expected"
    assert model.name and model.name == model.name, "the name must be there and stay the same"
    assert model.complete([], max_tokens=max_tokens) == [], "no prompts, no replies"

    free = model.complete(prompts, max_tokens=max_tokens)
    _check_replies(free, len(prompts), max_tokens)
    for reply in free:
        assert reply.valid and reply.choice is None, "free text is valid and no choice"
    again = model.complete(prompts, max_tokens=max_tokens)
    assert [r.text for r in again] == [r.text for r in free], "equal prompts, equal texts"

    chosen = model.complete(prompts, max_tokens=max_tokens, choices=_CHOICES)
    _check_replies(chosen, len(prompts), max_tokens)
    for reply in chosen:
        assert reply.valid == (reply.choice in _CHOICES), f"{reply} is valid without a choice"
        for choice, score in (reply.logprobs or {}).items():
            assert choice in _CHOICES, f"log-probability of '{choice}', which was not offered"
            assert math.isfinite(score) and score <= 1e-4, f"log-probability {score}"
        mass = sum(math.exp(s) for s in (reply.logprobs or {}).values())
        assert mass <= 1 + 1e-3, f"the choices' probabilities sum to {mass}"

    formed = model.complete(prompts, max_tokens=max_tokens, schema=_SCHEMA)
    _check_replies(formed, len(prompts), max_tokens)
    for reply in formed:
        assert reply.choice is None, "JSON is no choice"
        if reply.valid:
            value = json.loads(reply.text)
            assert set(value) == {"rating"} and value["rating"] in range(1, 6), reply.text

    arrived: list[int] = []
    model.complete_each(
        prompts, lambda n, _: arrived.append(n), max_tokens=max_tokens, choices=_CHOICES
    )
    assert sorted(arrived) == list(range(len(prompts))), f"replies arrived for {arrived}"


def _check_replies(replies: list[Reply], n: int, max_tokens: int) -> None:
    assert len(replies) == n, f"{len(replies)} replies to {n} prompts"
    for reply in replies:
        assert isinstance(reply, Reply), f"{type(reply).__name__} is no Reply"
        assert bool(reply.reason) != reply.valid, (
            "a reason is there exactly if a reply is not valid"
        )
        assert reply.attempts >= 1 and reply.prompt_tokens >= 0, "counts cannot be negative"
        assert 0 <= reply.completion_tokens <= (max_tokens + 1) * reply.attempts, (
            f"{reply.completion_tokens} tokens written, {max_tokens} allowed"
        )
