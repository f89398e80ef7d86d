"""What a language model is here: prompts in, replies out, each checked before anyone sees it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

OnReply = Callable[[int, "Reply"], None]


@dataclass(frozen=True)
class LLMPrompt:
    """One user message, with pictures where the model takes them."""

    text: str
    images: tuple[bytes, ...] = ()  # PNG, JPEG, GIF or WebP files


@dataclass(frozen=True)
class Reply:
    """One answer. It is `valid` only if it was checked against the choices or the schema."""

    text: str  # what the model wrote; a valid JSON reply without the fence around it
    choice: str | None  # the choice taken, exactly as it was offered
    logprobs: Mapping[str, float] | None  # choice -> natural log-probability, where known
    prompt_tokens: int  # over all attempts; 0 where a server does not say
    completion_tokens: int  # over all attempts
    finish: str  # "stop", "length", "error" (never answered) or the server's own word
    valid: bool = True
    reason: str = ""  # why it is not valid, a clause
    attempts: int = 1  # how often the model was asked, network retries not counted


@runtime_checkable
class LanguageModel(Protocol):
    """Anything that completes prompts; `simrec.testing.check_language_model` checks one.

    One whose numbers depend on which prompts are run together has a method `batches(prompts, *,
    choices)` too. It returns the places of prompts, batch by batch, and the same batches of what is
    left once some of them are done; then each batch is one call of `complete_each`.
    """

    @property
    def name(self) -> str:
        """Identifies model and weights; part of the key of cached answers."""
        ...

    def complete(
        self,
        prompts: Sequence[LLMPrompt],
        *,
        max_tokens: int,
        choices: Sequence[str] | None = None,
        schema: Mapping[str, Any] | None = None,
    ) -> list[Reply]:
        """Return one reply for each prompt, in order; see `complete_each`."""
        ...

    def complete_each(
        self,
        prompts: Sequence[LLMPrompt],
        on_reply: OnReply,
        *,
        max_tokens: int,
        choices: Sequence[str] | None = None,
        schema: Mapping[str, Any] | None = None,
    ) -> None:
        """Hand over every reply as it arrives.

        Args:
            prompts: What is asked.
            on_reply: Called once for each prompt with (index, reply), in the calling thread, in any
                order. New requests wait for it, so what it makes durable is never asked for twice;
                an error it raises ends the call.
            max_tokens: Longest reply, at least 1.
            choices: The reply is one of these; not together with schema.
            schema: The reply is JSON that obeys this JSON Schema.

        Raises:
            SimrecError: The model cannot be reached or loaded, or the request makes no sense. All
                replies that arrived before were handed over. One prompt that cannot be answered is
                no error but a reply that is not valid.
        """
        ...


class Completes:
    """Base of the backends: `complete` in terms of `complete_each`."""

    def complete_each(
        self,
        prompts: Sequence[LLMPrompt],
        on_reply: OnReply,
        *,
        max_tokens: int,
        choices: Sequence[str] | None = None,
        schema: Mapping[str, Any] | None = None,
    ) -> None:
        """Hand over every reply as it arrives; see LanguageModel."""
        raise NotImplementedError

    def complete(
        self,
        prompts: Sequence[LLMPrompt],
        *,
        max_tokens: int,
        choices: Sequence[str] | None = None,
        schema: Mapping[str, Any] | None = None,
    ) -> list[Reply]:
        """Return one reply for each prompt, in order; see `complete_each`."""
        replies: dict[int, Reply] = {}
        self.complete_each(
            prompts, replies.__setitem__, max_tokens=max_tokens, choices=choices, schema=schema
        )
        return [replies[n] for n in range(len(prompts))]
