"""Weights in a directory, run in this process by transformers."""

import importlib.util
import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simrec.errors import SimrecError
from simrec.llm.backends.batches import by_family, by_length
from simrec.llm.backends.card import Format, Numbers, enough_memory, numbers_for, seen_capability
from simrec.llm.backends.model_folder import model_folder, weights_hash
from simrec.llm.backends.offered import offered
from simrec.llm.protocol import Completes, LLMPrompt, OnReply
from simrec.llm.request import Answer, Request, answer_all, make_request, too_long

if TYPE_CHECKING:
    from simrec.llm.backends.causal import Causal


class TransformersLM(Completes):
    """A causal language model: free text is generated greedily, choices are scored.

    Choices need no text to be parsed: log P(choice) is the log-probability of its tokens and then
    of an end token, given the prompt, so that "1" does not collect what belongs to "10", and the
    probabilities of all replies there are sum to at most 1. "yes" counts as "Yes" does, as in a
    reply that is read: what both have is added up. It is not divided by the length: a long
    option is as improbable as the model says it is. A choice is tokenised on its own, after the
    chat template's opening of the reply (or a line break where there is no template).

    Prompts of choices that begin with the same half or more run together, and what a batch begins
    with is run once (`simrec.llm.backends.shared_prefix`): asked of ten candidates in ten prompts,
    a long history is read once.

    Replies do not depend on their neighbours in a batch beyond rounding (about 1e-5 in float32,
    more in bfloat16); batch_size=1 takes that away too. Prompts with pictures are run one by one,
    by models that have a vision part.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        device: str = "cpu",
        batch_size: int = 16,
        dtype: Format | None = None,
        load_in_4bit: bool = False,
    ) -> None:
        """Locate the model; its weights are loaded when the first prompt comes.

        Args:
            folder: Directory with config.json, tokenizer and weights, as `save_pretrained` writes.
            device: "cpu" or "cuda", "cuda:1", ...
            batch_size: Prompts run at once.
            dtype: "f32" or "bf16"; where not given, bfloat16 on a card that has it, else float32.
            load_in_4bit: Shrink the weights with bitsandbytes: an eighth of the memory.

        Raises:
            SimrecError: The folder, the device or bitsandbytes is not here.
        """
        self.folder = model_folder("transformers", folder)
        self.device, self.batch_size, self.load_in_4bit = device, batch_size, load_in_4bit
        if re.fullmatch(r"cpu|cuda(:\d+)?", device) is None:
            raise SimrecError(f"device is '{device}'; expected cpu, cuda or cuda:N")
        self._wanted = dtype
        numbers_for(device, None, dtype, load_in_4bit=load_in_4bit)  # as far as that needs no card
        if batch_size < 1:
            raise SimrecError(f"batch_size is {batch_size}; expected 1 or more")
        for package in ("bitsandbytes", "accelerate") if load_in_4bit else ():
            if importlib.util.find_spec(package) is None:
                raise SimrecError(
                    f"load_in_4bit needs the package {package}, which is not installed; "
                    f"pip install 'simrec[bits]'"
                )

    @cached_property
    def numbers(self) -> Numbers:
        """Number format; raises SimrecError where the card cannot do what was asked for."""
        seen = seen_capability(self.device)
        return numbers_for(self.device, seen, self._wanted, load_in_4bit=self.load_in_4bit)

    @cached_property
    def name(self) -> str:
        """Folder name, hash of its files and number format."""
        form = self.numbers.name
        return f"transformers:{self.folder.name}-{weights_hash(self.folder)}-{form}"

    @cached_property
    def _causal(self) -> "Causal":
        from simrec.llm.backends.causal import load_causal

        with enough_memory(self.device, f"the weights in '{self.folder}'"):
            return load_causal(self.folder, self.device, self.numbers)

    def batches(
        self, prompts: Sequence[LLMPrompt], *, choices: Sequence[str] | None = None
    ) -> list[list[int]]:
        """Return the places of prompts that are run together, batch by batch.

        Prompts of choices that begin alike share a batch, as their beginning is run once.
        """
        together = by_length if choices is None else by_family
        return together(prompts, self.batch_size)

    def complete_each(
        self,
        prompts: Sequence[LLMPrompt],
        on_reply: OnReply,
        *,
        max_tokens: int,
        choices: Sequence[str] | None = None,
        schema: Mapping[str, Any] | None = None,
    ) -> None:
        """Run the batches of `batches`; see LanguageModel.

        A prompt with which a reply of max_tokens would overrun the model's context is not run; its
        reply is not valid. `max_tokens` does not limit choices.
        """
        request = make_request(max_tokens=max_tokens, choices=choices, schema=schema)
        if not prompts:
            return
        if any(prompt.images for prompt in prompts) and self._causal.processor is None:
            raise SimrecError(
                f"the language model in '{self.folder}' takes text only, but a prompt has pictures;"
                f" set teacher.pictures to false, or name a model that sees"
            )
        for rows in self.batches(prompts, choices=choices):
            with enough_memory(self.device, f"batch_size {self.batch_size}"):
                replies = answer_all(
                    lambda batch: self._ask(batch, request), [prompts[n] for n in rows], request
                )
            for n, reply in zip(rows, replies, strict=True):
                on_reply(n, reply)

    def _ask(self, batch: Sequence[LLMPrompt], request: Request) -> list[Answer]:
        read = [n for n, prompt in enumerate(batch) if not prompt.images]
        answers = dict(zip(read, self._read([batch[n] for n in read], request), strict=True))
        for n, prompt in enumerate(batch):
            if prompt.images:
                answers[n] = self._see(prompt, request)
        return [answers[n] for n in range(len(batch))]

    def _see(self, prompt: LLMPrompt, request: Request) -> Answer:
        """Answer a prompt with pictures."""
        from simrec.llm.backends.seeing import Unseen, generate_seen, score_seen, seen_inputs

        try:
            inputs = seen_inputs(self._causal, prompt)
        except Unseen as error:
            return Answer("", "error", error=str(error))
        length = inputs["input_ids"].shape[1]
        offer = offered(request.choices or (), self._causal.option)
        longest = max(map(len, offer.rows), default=request.max_tokens)
        if length > self._causal.context - longest:
            return too_long(length, longest, self._causal.context)
        if request.choices is None:
            text, used, ended = generate_seen(self._causal, inputs, request.max_tokens)
            return Answer(text, "stop" if ended else "length", length, used)
        return offer.answer(score_seen(self._causal, inputs, offer.rows), length)

    def _read(self, batch: Sequence[LLMPrompt], request: Request) -> list[Answer]:
        tokens = [self._causal.tokens(p.text) for p in batch]
        offer = offered(request.choices or (), self._causal.option)
        longest = max(map(len, offer.rows), default=request.max_tokens)
        room = self._causal.context - longest
        answers = [too_long(len(row), longest, self._causal.context) for row in tokens]
        fits = [n for n, row in enumerate(tokens) if len(row) <= room]
        if not fits:
            return answers
        rows = [tokens[n] for n in fits]
        if request.choices is not None:
            table = self._causal.score(rows, offer.rows)  # (B, rows of the choices)
            for n, scores in zip(fits, table.tolist(), strict=True):
                answers[n] = offer.answer(scores, len(tokens[n]))
        else:
            for n, (text, used, ended) in zip(
                fits, self._causal.generate(rows, request.max_tokens), strict=True
            ):
                answers[n] = Answer(text, "stop" if ended else "length", len(tokens[n]), used)
        return answers
