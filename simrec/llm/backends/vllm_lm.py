"""Weights in a directory, run in this process by vLLM: for many prompts on a card."""

import importlib.util
import os
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from simrec.errors import SimrecError
from simrec.files import fingerprint
from simrec.llm.backends.batches import by_length
from simrec.llm.backends.chat_body import messages
from simrec.llm.backends.model_folder import model_folder, weights_hash
from simrec.llm.protocol import Completes, LLMPrompt, OnReply
from simrec.llm.request import Answer, Request, answer_all, make_request
from simrec.llm.token_scores import TokenScore, choice_logprobs


class VllmLM(Completes):
    """`vllm.LLM` offline, with structured outputs for choices and schemas.

    Replies are greedy. Log-probabilities of choices are those vLLM tells of the first places; see
    `simrec.llm.token_scores`.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        batch_size: int = 256,
        tensor_parallel_size: int = 1,
        data_parallel_size: int = 1,
        enable_prefix_caching: bool = True,
        engine: Mapping[str, Any] | None = None,
    ) -> None:
        """Locate the model; the engine starts when the first prompt comes.

        Args:
            folder: Directory with config.json, tokenizer and weights, as `save_pretrained` writes.
            batch_size: Prompts handed to the engine at once; replies arrive by that many.
            tensor_parallel_size: Cards that share one copy of the weights.
            data_parallel_size: Copies of the weights. vLLM's offline class runs one copy in a
                process and refuses more; its server takes them (see `openai:`).
            enable_prefix_caching: Compute what prompts have in common once.
            engine: Further arguments of `vllm.LLM`, for example {"max_model_len": 4096}.

        Raises:
            SimrecError: The folder or vLLM is not here.
        """
        if importlib.util.find_spec("vllm") is None:
            raise SimrecError(
                "the language model 'vllm:' needs the package vllm, which is not installed; "
                "pip install 'simrec[vllm]' in an environment of its own, or serve the model "
                "elsewhere and use openai:MODEL@URL"
            )
        if batch_size < 1:
            raise SimrecError(f"batch_size is {batch_size}; expected 1 or more")
        self.folder = model_folder("vllm", folder)
        self.batch_size = batch_size
        self.engine: dict[str, Any] = {
            "tensor_parallel_size": tensor_parallel_size,
            "enable_prefix_caching": enable_prefix_caching,
            "structured_outputs_config": {"backend": "xgrammar", "disable_any_whitespace": True},
            **dict(engine or {}),
        }
        if data_parallel_size > 1:
            self.engine["data_parallel_size"] = data_parallel_size

    @cached_property
    def name(self) -> str:
        """Folder name, hash of its files and of the engine's arguments, which can move numbers."""
        return f"vllm:{self.folder.name}-{weights_hash(self.folder)}-{fingerprint(self.engine)[:8]}"

    @cached_property
    def _llm(self) -> Any:
        os.environ.setdefault("HF_HUB_OFFLINE", "1")  # read when vllm is imported
        os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
        import vllm

        try:
            return vllm.LLM(model=str(self.folder), **self.engine)
        except (OSError, ValueError, RuntimeError, TypeError) as error:
            first_line = str(error).strip().split("\n")[0]
            copies = self.engine.get("data_parallel_size", 1)
            advice = (
                f"for {copies} copies of the weights run 'vllm serve {self.folder} "
                f"--data-parallel-size {copies}' and use openai:MODEL@URL"
                if copies > 1
                else "see its output above, and change what it names with the option 'engine'"
            )
            raise SimrecError(
                f"vLLM cannot start with '{self.folder}' ({first_line}); {advice}"
            ) from error

    def batches(
        self, prompts: Sequence[LLMPrompt], *, choices: Sequence[str] | None = None
    ) -> list[list[int]]:
        """Return places of prompts handed over together; vLLM finds shared prefixes itself."""
        return by_length(prompts, self.batch_size)

    def complete_each(
        self,
        prompts: Sequence[LLMPrompt],
        on_reply: OnReply,
        *,
        max_tokens: int,
        choices: Sequence[str] | None = None,
        schema: Mapping[str, Any] | None = None,
    ) -> None:
        """Run batches; see LanguageModel.

        A prompt with which a reply of max_tokens would overrun the model's context is not run; its
        reply is not valid.
        """
        request = make_request(max_tokens=max_tokens, choices=choices, schema=schema)
        for first in range(0, len(prompts), self.batch_size):
            batch = prompts[first : first + self.batch_size]
            replies = answer_all(lambda some: self._ask(some, request), batch, request)
            for n, reply in enumerate(replies, start=first):
                on_reply(n, reply)

    def _ask(self, batch: Sequence[LLMPrompt], request: Request) -> list[Answer]:
        from vllm import SamplingParams
        from vllm.sampling_params import StructuredOutputsParams

        form: dict[str, Any] = {}
        if request.choices is not None:
            form["structured_outputs"] = StructuredOutputsParams(choice=list(request.choices))
            form["logprobs"] = 20
        elif request.schema is not None:
            form["structured_outputs"] = StructuredOutputsParams(json=request.schema)
        options = SamplingParams(temperature=0.0, max_tokens=request.max_tokens, **form)
        tokenizer = self._llm.get_tokenizer()
        context = int(self._llm.model_config.max_model_len)
        inputs: list[Any] = [self._tokens(tokenizer, p) for p in batch]
        answers = [
            Answer(
                "",
                "error",
                len(row),
                error=f"its {len(row)} tokens and {request.max_tokens} for the reply are more than "
                f"the model's {context}",
            )
            for row in inputs
        ]
        fits = [n for n, row in enumerate(inputs) if len(row) + request.max_tokens <= context]
        seen = [n for n in fits if batch[n].images]
        read = [n for n in fits if not batch[n].images]
        outputs: list[Any] = []
        if read:
            rows = [{"prompt_token_ids": inputs[n]} for n in read]
            outputs += self._llm.generate(rows, options, use_tqdm=False)
        if seen:
            chats = [messages(batch[n]) for n in seen]
            outputs += self._llm.chat(chats, options, use_tqdm=False)
        for n, output in zip([*read, *seen], outputs, strict=True):
            answers[n] = _answer(output, request)
        return answers

    def _tokens(self, tokenizer: Any, prompt: LLMPrompt) -> list[int]:
        """Return the prompt's tokens, those of pictures not counted."""
        if tokenizer.chat_template is None:
            return list(tokenizer(f"{prompt.text}\n")["input_ids"])
        chat = [{"role": "user", "content": prompt.text}]
        opened = tokenizer.apply_chat_template(chat, add_generation_prompt=True, tokenize=False)
        return list(tokenizer(opened, add_special_tokens=False)["input_ids"])


def _answer(output: Any, request: Request) -> Answer:
    """Read one vllm.RequestOutput."""
    first = output.outputs[0]
    finish = str(first.finish_reason or "stop")
    prompt_tokens, used = len(output.prompt_token_ids), len(first.token_ids)
    answer = Answer(first.text, finish, prompt_tokens, used)
    if request.choices is None or not first.logprobs:
        return answer
    tokens = []
    for token, table in zip(first.token_ids, first.logprobs, strict=True):
        others = {str(t.decoded_token): float(t.logprob) for t in table.values()}
        tokens.append(
            TokenScore(str(table[token].decoded_token), float(table[token].logprob), others)
        )
    taken = request.check(answer).choice
    scores = choice_logprobs(request.choices, taken, tokens)
    return Answer(first.text, finish, prompt_tokens, used, scores)
