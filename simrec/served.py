"""What of a language model's name and options can change an answer, and what cannot."""

from collections.abc import Mapping
from typing import Any

_DELIVERY = frozenset(("concurrency", "timeout", "tries"))  # how a server is asked, not what


def without_server(model: str) -> str:
    """Return "openai:MODEL" of "openai:MODEL@URL"; other names as they are.

    A model is known by its name, wherever it is served: a study that moves to another server finds
    its answers again. Whoever serves other weights gives them another name.
    """
    named, at, url = model.rpartition("@")
    if at and model.startswith("openai:") and url.startswith(("http://", "https://")):
        return named
    return model


def what_answers(model: str, options: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return model and options without the server and the way it is asked.

    Args:
        model: As in a study.
        options: Arguments of its backend.
    """
    if not model.startswith("openai:"):
        return model, dict(options)
    return without_server(model), {k: v for k, v in options.items() if k not in _DELIVERY}
