"""What goes to and comes from an OpenAI-compatible server, as plain dictionaries."""

import base64
from collections.abc import Mapping
from typing import Any

from simrec.errors import SimrecError
from simrec.llm.protocol import LLMPrompt
from simrec.llm.request import Answer, Request
from simrec.llm.token_scores import TokenScore, choice_logprobs

_MAGIC = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF8": "image/gif",
}


class Malformed(ValueError):
    """The server's answer is not a chat completion."""


def data_url(image: bytes) -> str:
    """Return a picture file as a data URL.

    Raises:
        SimrecError: Neither PNG, JPEG, GIF nor WebP.
    """
    kind = next((m for magic, m in _MAGIC.items() if image.startswith(magic)), None)
    if image[:4] == b"RIFF" and image[8:12] == b"WEBP":
        kind = "image/webp"
    if kind is None:
        raise SimrecError(
            f"a prompt's image begins with {image[:8]!r}; expected a PNG, JPEG, GIF or WebP file"
        )
    return f"data:{kind};base64,{base64.b64encode(image).decode('ascii')}"


def messages(prompt: LLMPrompt) -> list[dict[str, Any]]:
    """Return one user message: the text, then the pictures as data URLs."""
    if not prompt.images:
        return [{"role": "user", "content": prompt.text}]
    pictures = [{"type": "image_url", "image_url": {"url": data_url(i)}} for i in prompt.images]
    return [{"role": "user", "content": [{"type": "text", "text": prompt.text}, *pictures]}]


def request_body(
    model: str, prompt: LLMPrompt, request: Request, *, vllm: bool, extra: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the JSON of one request.

    Choices go out as vLLM's `structured_outputs`, if the server is to get that, and ask for
    log-probabilities; a schema goes out as `response_format`.

    Args:
        model: The server's name of the model.
        prompt: What is asked.
        request: What the reply must be.
        vllm: Whether the server knows `structured_outputs`.
        extra: Fields to add or replace; None takes a field away.
    """
    body: dict[str, Any] = {
        "model": model,
        "messages": messages(prompt),
        "max_tokens": request.max_tokens,
        "temperature": 0,
    }
    if request.choices is not None:
        body |= {"logprobs": True, "top_logprobs": 20}
        if vllm:
            body["structured_outputs"] = {"choice": list(request.choices)}
    if request.schema is not None:
        form = {"name": "reply", "schema": request.schema, "strict": True}
        body["response_format"] = {"type": "json_schema", "json_schema": form}
    return {k: v for k, v in {**body, **extra}.items() if v is not None}


def read_completion(data: Any, request: Request) -> Answer:
    """Return the first choice of a chat completion.

    Raises:
        Malformed: It is none.
    """
    try:
        first = data["choices"][0]
        message = first["message"]
        text = message.get("content") or ""
        finish = first.get("finish_reason") or "stop"
        usage = data.get("usage") or {}
        tokens = [_score(t) for t in (first.get("logprobs") or {}).get("content") or []]
        answer = Answer(
            text, finish, int(usage.get("prompt_tokens", 0)), int(usage.get("completion_tokens", 0))
        )
        refusal = message.get("refusal")
        if not isinstance(text, str) or not isinstance(finish, str):
            raise TypeError(type(text).__name__)
    except (KeyError, IndexError, TypeError, AttributeError, ValueError) as error:
        raise Malformed(f"no chat completion ({type(error).__name__}: {error})") from error
    if refusal and not text:
        return Answer(str(refusal), finish, answer.prompt_tokens, answer.completion_tokens)
    if request.choices is None or not tokens:
        return answer
    taken = request.check(answer).choice
    scores = choice_logprobs(request.choices, taken, tokens)
    return Answer(text, finish, answer.prompt_tokens, answer.completion_tokens, scores)


def _score(token: Mapping[str, Any]) -> TokenScore:
    others = {t["token"]: float(t["logprob"]) for t in token.get("top_logprobs") or []}
    return TokenScore(str(token["token"]), float(token["logprob"]), others)
