"""A language model that is loaded only when it is asked something."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from simrec.errors import SimrecError
from simrec.llm.cache import AnswerCache
from simrec.llm.protocol import Completes, LanguageModel, LLMPrompt, OnReply


class DeferredModel(Completes):
    """Stands for a model that may be absent as long as the cache knows all answers."""

    def __init__(self, spec: str, load: Callable[[], LanguageModel], cache: AnswerCache) -> None:
        """Prepare; nothing is loaded.

        Args:
            spec: What the configuration calls the model.
            load: Makes it ready.
            cache: Remembers under which name the model answered.
        """
        self.spec = spec
        self._load = load
        self._cache = cache
        self._model: LanguageModel | None = None
        self._name = cache.model_name(spec)

    @property
    def name(self) -> str:
        """Name under which its answers are kept; loads the model where it never answered before."""
        if self._name is None:
            self._name = self._ready().name
            self._cache.remember_model(self.spec, self._name)
        return self._name

    @property
    def former_name(self) -> str | None:
        """Name under which its answers were kept once; only a server's model ever had another."""
        if not self.spec.startswith("openai:"):
            return None
        former: str | None = getattr(self._ready(), "former_name", None)
        return former

    @property
    def has_answered(self) -> bool:
        """Whether its name is known without loading it."""
        return self._name is not None

    def _ready(self) -> LanguageModel:
        if self._model is None:
            self._model = self._load()
            if self._name is not None and self._model.name != self._name:
                self._cache.remember_model(self.spec, self._model.name)
                raise SimrecError(
                    f"the model at {self.spec} is now {self._model.name}, but answers were kept "
                    f"from {self._name}; run again to ask the new one, or bring the old one back"
                )
        return self._model

    def batches(
        self, prompts: Sequence[LLMPrompt], *, choices: Sequence[str] | None = None
    ) -> list[list[int]] | None:
        """Return the model's batches, None where each prompt stands alone. Loads the model."""
        choose = getattr(self._ready(), "batches", None)
        found: list[list[int]] | None = choose and choose(prompts, choices=choices)
        return found

    def complete_each(
        self,
        prompts: Sequence[LLMPrompt],
        on_reply: OnReply,
        *,
        max_tokens: int,
        choices: Sequence[str] | None = None,
        schema: Mapping[str, Any] | None = None,
    ) -> None:
        """Load the model if it is not, and ask it."""
        model = self._ready()
        model.complete_each(
            prompts, on_reply, max_tokens=max_tokens, choices=choices, schema=schema
        )
