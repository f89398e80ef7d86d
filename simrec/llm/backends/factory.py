"""From the name in a study file to a language model."""

import inspect
from collections.abc import Callable
from typing import Any

from simrec.errors import SimrecError, nearest
from simrec.llm.protocol import LanguageModel


def _transformers(rest: str, options: dict[str, Any]) -> LanguageModel:
    from simrec.llm.backends.transformers_lm import TransformersLM

    return TransformersLM(rest, **_known("transformers", TransformersLM, options))


def _vllm(rest: str, options: dict[str, Any]) -> LanguageModel:
    from simrec.llm.backends.vllm_lm import VllmLM

    return VllmLM(rest, **_known("vllm", VllmLM, options))


def _openai(rest: str, options: dict[str, Any]) -> LanguageModel:
    from simrec.llm.backends.openai_lm import OpenAILM

    model, at, url = rest.rpartition("@")
    if not (at and model and url.startswith(("http://", "https://"))):
        raise SimrecError(
            f"the language model 'openai:{rest}' names no model and server; expected "
            f"openai:MODEL@URL, for example openai:gemma-3@http://127.0.0.1:8000/v1"
        )
    return OpenAILM(model, url, **_known("openai", OpenAILM, options))


def _scripted(rest: str, options: dict[str, Any]) -> LanguageModel:
    from simrec.llm.backends.scripted import scripted

    _known("scripted", scripted, options)
    return scripted(rest)


_KINDS: dict[str, Callable[[str, dict[str, Any]], LanguageModel]] = {
    "transformers": _transformers,
    "vllm": _vllm,
    "openai": _openai,
    "scripted": _scripted,
}


def _known(kind: str, maker: Callable[..., Any], options: dict[str, Any]) -> dict[str, Any]:
    """Return `options` if `maker` takes all of them by keyword."""
    parameters = inspect.signature(maker).parameters.values()
    takes = [p.name for p in parameters if p.kind is p.KEYWORD_ONLY]
    for name in options:
        if name not in takes:
            raise SimrecError(f"'{kind}:' knows no option '{name}'; {nearest(name, takes)}")
    return options


def language_model(spec: str, **options: Any) -> LanguageModel:
    """Return the model a name stands for; weights are loaded when the first prompt comes.

    Args:
        spec: "transformers:DIR", "vllm:DIR", "openai:MODEL@URL", "scripted:hash" or
            "scripted:my.module:function".
        **options: Keyword arguments of TransformersLM, VllmLM or OpenAILM.

    Raises:
        SimrecError: An unknown kind or option, a folder or package that is not here.
    """
    kind, _, rest = spec.partition(":")
    if kind not in _KINDS:
        raise SimrecError(f"there is no language model '{spec}'; {nearest(kind, _KINDS)}")
    if not rest:
        raise SimrecError(
            f"the language model '{spec}' names nothing after '{kind}:'; expected "
            f"transformers:DIR, vllm:DIR, openai:MODEL@URL or scripted:NAME"
        )
    return _KINDS[kind](rest, options)
