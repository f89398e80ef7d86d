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
from simrec.llm.backends.next_tokens import beginnings, summed
from simrec.llm.backends.offered import offered
from simrec.llm.protocol import Completes, LLMPrompt, OnReply
from simrec.llm.request import Answer, Request, answer_all, make_request, too_long
from simrec.llm.token_scores import TokenScore, choice_logprobs

MOST_TOKENS = 128  # whose probabilities vLLM tells in one request (MAX_LOGPROB_TOKEN_IDS)


class VllmLM(Completes):
    """`vllm.LLM` offline, greedy, with structured outputs for schemas.

    Choices are scored whole and with the end of the reply, the numbers that `TransformersLM`
    defines; see `next_tokens`. Asked by structured outputs, a choice is spelt by the likeliest
    tokens that its letters allow ("B", "er", "l", "in" where "Paris" is meant), the numbers are
    shares among what is allowed, and nothing is told of an end. With pictures they are still asked
    so, as no reply is begun there, and scored by the tokens told; see `simrec.llm.token_scores`.
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
        """Folder name, hash of its files and of the engine's arguments, which can move numbers.

        "+scored": answers that are kept from before choices were scored whole are other numbers.
        """
        engine = fingerprint(self.engine)[:8]
        return f"vllm:{self.folder.name}-{weights_hash(self.folder)}-{engine}+scored"

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
        reply is not valid. `max_tokens` does not limit choices, other than of prompts with
        pictures.
        """
        request = make_request(max_tokens=max_tokens, choices=choices, schema=schema)
        for first in range(0, len(prompts), self.batch_size):
            batch = prompts[first : first + self.batch_size]
            replies = answer_all(lambda some: self._ask(some, request), batch, request)
            for n, reply in enumerate(replies, start=first):
                on_reply(n, reply)

    def _ask(self, batch: Sequence[LLMPrompt], request: Request) -> list[Answer]:
        inputs = [self._tokens(p) for p in batch]
        seen = [n for n, prompt in enumerate(batch) if prompt.images]
        read = [n for n, prompt in enumerate(batch) if not prompt.images]
        answers: dict[int, Answer] = {}
        if request.choices is not None:
            asked = [inputs[n] for n in read]
            answers |= zip(read, self._score(asked, request.choices), strict=True)
            read = []
        fits = []
        for n in (*read, *seen):
            if len(inputs[n]) + request.max_tokens <= self._context:
                fits.append(n)
            else:
                answers[n] = too_long(len(inputs[n]), request.max_tokens, self._context)
        outputs: list[Any] = []
        options = _written(request)
        if rows := [{"prompt_token_ids": inputs[n]} for n in fits if not batch[n].images]:
            outputs += self._llm.generate(rows, options, use_tqdm=False)
        if chats := [messages(batch[n]) for n in fits if batch[n].images]:
            outputs += self._llm.chat(chats, options, use_tqdm=False)
        answers |= {n: _answer(output, request) for n, output in zip(fits, outputs, strict=True)}
        return [answers[n] for n in range(len(batch))]

    def _score(self, prompts: list[list[int]], choices: Sequence[str]) -> list[Answer]:
        """Score every choice after each prompt, in one call of the engine.

        Args:
            prompts: Their tokens.
            choices: As they were offered.
        """
        from vllm import SamplingParams

        offer = offered(choices, self._option)
        asked = [
            (beginning, tokens[first : first + MOST_TOKENS])
            for beginning, tokens in beginnings(offer.rows, self._ends).items()
            for first in range(0, len(tokens), MOST_TOKENS)
        ]
        # the one token that vLLM insists on writing is not read
        form: dict[str, Any] = {"temperature": 0.0, "max_tokens": 1, "detokenize": False}
        options = [SamplingParams(logprob_token_ids=tokens, **form) for _, tokens in asked]
        longest = max(map(len, offer.rows)) + 1
        fits = [n for n, prompt in enumerate(prompts) if len(prompt) + longest <= self._context]
        # one prompt's requests follow each other, so that the first leaves the prompt to the others
        rows = [{"prompt_token_ids": [*prompts[n], *begun]} for n in fits for begun, _ in asked]
        outputs = self._llm.generate(rows, options * len(fits), use_tqdm=False) if rows else []
        answers = [too_long(len(prompt), longest, self._context) for prompt in prompts]
        for place, n in enumerate(fits):
            told: dict[tuple[int, ...], dict[int, float]] = {}
            own = outputs[place * len(asked) : (place + 1) * len(asked)]
            for (begun, _), output in zip(asked, own, strict=True):
                (table,) = output.outputs[0].logprobs
                told.setdefault(begun, {}).update((t, s.logprob) for t, s in table.items())
            answers[n] = offer.answer(summed(offer.rows, self._ends, told), len(prompts[n]))
        return answers

    @cached_property
    def _context(self) -> int:
        return int(self._llm.model_config.max_model_len)

    @cached_property
    def _ends(self) -> tuple[int, ...]:
        """Tokens that end a reply, by the tokenizer and the model's own configuration."""
        settings = self._llm.model_config.try_get_generation_config()
        named = [self._llm.get_tokenizer().eos_token_id, settings.get("eos_token_id")]
        ends = [t for e in named for t in (e if isinstance(e, list) else [e]) if t is not None]
        return tuple(dict.fromkeys(ends))

    def _option(self, text: str) -> list[int]:
        """Return the tokens of a reply, without the end token."""
        return list(self._llm.get_tokenizer()(text, add_special_tokens=False)["input_ids"])

    def _tokens(self, prompt: LLMPrompt) -> list[int]:
        """Return the prompt's tokens, those of pictures not counted."""
        tokenizer = self._llm.get_tokenizer()
        if tokenizer.chat_template is None:
            return list(tokenizer(f"{prompt.text}\n")["input_ids"])
        chat = [{"role": "user", "content": prompt.text}]
        opened = tokenizer.apply_chat_template(chat, add_generation_prompt=True, tokenize=False)
        return list(tokenizer(opened, add_special_tokens=False)["input_ids"])


def _written(request: Request) -> Any:
    """Return vllm.SamplingParams for a reply that is written."""
    from vllm import SamplingParams
    from vllm.sampling_params import StructuredOutputsParams

    form: dict[str, Any] = {}
    if request.choices is not None:
        form["structured_outputs"] = StructuredOutputsParams(choice=list(request.choices))
        form["logprobs"] = 20
    elif request.schema is not None:
        form["structured_outputs"] = StructuredOutputsParams(json=request.schema)
    return SamplingParams(temperature=0.0, max_tokens=request.max_tokens, **form)


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
