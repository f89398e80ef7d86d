"""Weights in a directory, run in this process by transformers."""

import importlib.util
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from simrec.errors import SimrecError
from simrec.llm.backends.model_folder import model_folder, weights_hash
from simrec.llm.protocol import Completes, LLMPrompt, OnReply
from simrec.llm.request import Answer, Request, answer_all, make_request

if TYPE_CHECKING:
    from simrec.llm.backends.causal import Causal


class TransformersLM(Completes):
    """A causal language model: free text is generated greedily, choices are scored.

    Choices need no text to be parsed: log P(choice) is the log-probability of its tokens and then
    of an end token, given the prompt, so that "1" does not collect what belongs to "10", and the
    probabilities of all replies there are sum to at most 1. It is not divided by the length: a long
    option is as improbable as the model says it is. A choice is tokenised on its own, after the
    chat template's opening of the reply (or a line break where there is no template).

    Replies do not depend on their neighbours in a batch beyond rounding (1e-5 in float32; more in
    bfloat16); batch_size=1 takes that away too.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        device: str = "cpu",
        batch_size: int = 16,
        load_in_4bit: bool = False,
    ) -> None:
        """Locate the model; its weights are loaded when the first prompt comes.

        Args:
            folder: Directory with config.json, tokenizer and weights, as `save_pretrained` writes.
            device: "cpu" (float32) or "cuda", "cuda:1", ... (bfloat16).
            batch_size: Prompts run at once.
            load_in_4bit: Shrink the weights with bitsandbytes; CUDA only.

        Raises:
            SimrecError: The folder, the device or bitsandbytes is not here.
        """
        self.folder = model_folder("transformers", folder)
        self.device, self.batch_size, self.load_in_4bit = device, batch_size, load_in_4bit
        if device != "cpu" and device.partition(":")[0] != "cuda":
            raise SimrecError(f"device is '{device}'; expected cpu, cuda or cuda:N")
        if batch_size < 1:
            raise SimrecError(f"batch_size is {batch_size}; expected 1 or more")
        if load_in_4bit and device == "cpu":
            raise SimrecError("load_in_4bit needs a card; expected device='cuda', got 'cpu'")
        if load_in_4bit and importlib.util.find_spec("bitsandbytes") is None:
            raise SimrecError(
                "load_in_4bit needs the package bitsandbytes, which is not installed; "
                "pip install bitsandbytes"
            )

    @cached_property
    def name(self) -> str:
        """Folder name, hash of its files and number format."""
        form = "4bit" if self.load_in_4bit else "f32" if self.device == "cpu" else "bf16"
        return f"transformers:{self.folder.name}-{weights_hash(self.folder)}-{form}"

    @cached_property
    def _causal(self) -> "Causal":
        from simrec.llm.backends.causal import load_causal

        return load_causal(self.folder, self.device, self.load_in_4bit)

    def complete_each(
        self,
        prompts: Sequence[LLMPrompt],
        on_reply: OnReply,
        *,
        max_tokens: int,
        choices: Sequence[str] | None = None,
        schema: Mapping[str, Any] | None = None,
    ) -> None:
        """Run batches of alike length, longest first; see LanguageModel.

        A prompt with which a reply of max_tokens would overrun the model's context is not run; its
        reply is not valid. `max_tokens` does not limit choices.
        """
        request = make_request(max_tokens=max_tokens, choices=choices, schema=schema)
        if any(prompt.images for prompt in prompts):
            raise SimrecError(
                "'transformers:' models take text only, but a prompt has images; use vllm:DIR or "
                "openai:MODEL@URL with a model that sees"
            )
        if not prompts:
            return
        lengths = [len(self._causal.tokens(p.text)) for p in prompts]
        order = np.argsort(-np.array(lengths), kind="stable").tolist()
        for first in range(0, len(order), self.batch_size):
            rows = order[first : first + self.batch_size]
            replies = answer_all(
                lambda batch: self._ask(batch, request), [prompts[n] for n in rows], request
            )
            for n, reply in zip(rows, replies, strict=True):
                on_reply(n, reply)

    def _ask(self, batch: Sequence[LLMPrompt], request: Request) -> list[Answer]:
        tokens = [self._causal.tokens(p.text) for p in batch]
        options = [self._causal.option(c) for c in request.choices or ()]
        longest = max(map(len, options)) if options else request.max_tokens
        room = self._causal.context - longest
        answers = [
            Answer(
                "",
                "error",
                len(row),
                error=f"its {len(row)} tokens and {longest} for the reply are more than the "
                f"model's {self._causal.context}",
            )
            for row in tokens
        ]
        fits = [n for n, row in enumerate(tokens) if len(row) <= room]
        if not fits:
            return answers
        rows = [tokens[n] for n in fits]
        if request.choices is not None:
            table = self._causal.score(rows, options)  # (B, C)
            for n, scores in zip(fits, table.tolist(), strict=True):
                best = int(np.argmax(scores))
                known = dict(zip(request.choices, scores, strict=True))
                text = request.choices[best]
                answers[n] = Answer(text, "stop", len(tokens[n]), len(options[best]), known)
        else:
            for n, (text, used, ended) in zip(
                fits, self._causal.generate(rows, request.max_tokens), strict=True
            ):
                answers[n] = Answer(text, "stop" if ended else "length", len(tokens[n]), used)
        return answers
