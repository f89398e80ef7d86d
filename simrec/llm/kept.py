"""Prompts in, replies out: a language model that is asked everything once on this machine."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from simrec.errors import SimrecError
from simrec.llm.backends import language_model
from simrec.llm.cache import AnswerCache, answer_key
from simrec.llm.deferred import DeferredModel
from simrec.llm.protocol import LLMPrompt, Reply


class KeptModel:
    """A language model behind the file of answers; it is loaded only for what it was not asked.

    Every reply is durable before the next is awaited, so a kill costs the requests in flight only.
    The file is opened for each call, so that this object can be pickled and copied.

    Args:
        model: As in a study file, for example "openai:MODEL@URL".
        options: Further arguments of its backend.
        path: The file of answers.
        choices: The only replies allowed.
    """

    def __init__(
        self, model: str, options: Mapping[str, Any], path: Path, *, choices: Sequence[str]
    ) -> None:
        self.model = model
        self._options = dict(options)
        self._path = path
        self._choices = tuple(choices)

    def complete(self, texts: list[str]) -> list[str]:
        """Return one of the choices for each prompt, in order.

        Raises:
            SimrecError: The model cannot be used, the file cannot be written, or a prompt got no
                valid reply. Whatever was answered is kept.
        """
        with AnswerCache(self._path) as cache:
            spec = self.model
            spec += f" {json.dumps(self._options, sort_keys=True)}" if self._options else ""
            model = DeferredModel(spec, lambda: language_model(self.model, **self._options), cache)
            asked = {"max_tokens": 4, "choices": self._choices}
            name = model.name
            keys = [answer_key(name, _sha(text), asked, None) for text in texts]
            known = cache.find(keys)
            missing = {k: t for k, t in zip(keys, texts, strict=True) if k not in known}
            if missing:
                known |= self._asked(model, cache, missing)
        return [known[key].choice or known[key].text for key in keys]

    def _asked(
        self, model: DeferredModel, cache: AnswerCache, missing: Mapping[str, str]
    ) -> dict[str, Reply]:
        keys, found = list(missing), {}

        def arrived(index: int, reply: Reply) -> None:
            if not reply.valid:
                raise SimrecError(
                    f"model '{model.name}' gave no answer from {self._choices[0]} to "
                    f"{self._choices[-1]} ({reply.reason}); answers so far are kept, so run again "
                    "or take a model that follows the instruction"
                )
            key = keys[index]
            found.update(cache.keep(model.name, {key: reply}))

        prompts = [LLMPrompt(missing[key]) for key in keys]
        model.complete_each(prompts, arrived, max_tokens=4, choices=self._choices)
        return found


def bare_name(model: str) -> str:
    """Return a model's name without backend, folder, server and form, in lower case.

    "openai:Gemma-3@http://here/v1", "vllm:models/gemma-3" and "gemma-3" are one model: "gemma-3".
    """
    kind, colon, rest = model.partition(":")
    name = rest if colon and kind in ("openai", "transformers", "vllm", "scripted") else model
    name = name.partition("@http")[0].rstrip("/")
    return name.rpartition("/")[2].lower()


def _sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
