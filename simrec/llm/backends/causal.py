"""A loaded causal model and its tokenizer: token rows in, text or log-probabilities out."""

import importlib.util
import inspect
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from simrec.errors import SimrecError
from simrec.llm.backends.card import Numbers
from simrec.llm.backends.shared_prefix import Sharing, alike, sharing_of, widened


@dataclass(frozen=True)
class Causal:
    """Model, tokenizer and what they say of themselves; made by `load_causal`."""

    model: Any
    tokenizer: Any
    device: str
    ends: tuple[int, ...]  # tokens that end a reply
    context: int  # greatest number of tokens
    processor: Any = None  # of a model that sees: turns text and pictures into its inputs

    def tokens(self, text: str) -> list[int]:
        """Return the prompt's tokens: a user message in the chat template where there is one."""
        if self.processor is None and self.tokenizer.chat_template is None:
            return list(self.tokenizer(f"{text}\n")["input_ids"])
        return list(self.tokenizer(self.opened(text), add_special_tokens=False)["input_ids"])

    def opened(self, text: str, *, pictures: int = 0) -> str:
        """Return a user message in the chat template, pictures after the text."""
        content: Any = text
        template = self.tokenizer
        if self.processor is not None:
            content = [{"type": "text", "text": text}, *([{"type": "image"}] * pictures)]
            template = self.processor
        chat = [{"role": "user", "content": content}]
        return str(template.apply_chat_template(chat, add_generation_prompt=True, tokenize=False))

    def option(self, text: str) -> list[int]:
        """Return the tokens of a reply, without the end token."""
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def _padded(self, rows: list[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
        """Return tokens and mask (B, N), padded on the left so that all rows end together."""
        width = max(map(len, rows))
        pad = self.ends[0] if self.ends else 0
        ids = torch.full((len(rows), width), pad, dtype=torch.long)
        mask = torch.zeros((len(rows), width), dtype=torch.long)
        for b, row in enumerate(rows):
            ids[b, width - len(row) :] = torch.tensor(row)
            mask[b, width - len(row) :] = 1
        return ids.to(self.device), mask.to(self.device)

    @torch.inference_mode()
    def generate(self, rows: list[list[int]], max_tokens: int) -> list[tuple[str, int, bool]]:
        """Continue each row greedily.

        Returns:
            Text without special tokens, tokens written with the end token, whether it ended.
        """
        ids, mask = self._padded(rows)
        out = self.model.generate(input_ids=ids, attention_mask=mask, **self.greedy(max_tokens))
        return [self.written(row) for row in out[:, ids.shape[1] :].tolist()]

    def greedy(self, max_tokens: int) -> dict[str, Any]:
        """Return arguments of `generate` for greedy search, whatever the model's own settings."""
        return {
            "max_new_tokens": max_tokens,
            "do_sample": False,
            "temperature": None,
            "top_p": None,
            "top_k": None,
            "pad_token_id": self.ends[0] if self.ends else 0,
        }

    def written(self, row: list[int]) -> tuple[str, int, bool]:
        """Return text without special tokens, tokens with the end token, whether it ended."""
        cut = next((n for n, token in enumerate(row) if token in self.ends), None)
        own = row if cut is None else row[:cut]
        text = self.tokenizer.decode(own, skip_special_tokens=True)
        return text, len(own) + (cut is not None), cut is not None

    @torch.inference_mode()
    def score(self, rows: list[list[int]], options: list[list[int]]) -> NDArray[np.float64]:
        """Return log P(option, end | row), natural logarithm, shape (B, C).

        What all rows begin with is run once where `simrec.llm.backends.shared_prefix` finds it
        possible and worth it, and the rests go on from copies of its cache; every option goes on
        from a copy of theirs. Without an end token (no tokenizer or configuration names one) the
        options' own tokens are all that counts.
        """
        size, groups = self._sharing.plan(rows, max(map(len, options)))
        shared = None
        if size:
            shared = self._cache(rows[0][:size])
        scores = np.zeros((len(rows), len(options)))
        for group in groups:
            rests = [rows[n][size:] for n in group]
            room = len(rows) // len(group)  # a small group leaves it for several options
            scores[group] = self._score_rests(rests, size, shared, options, room)
        return scores

    @cached_property
    def _sharing(self) -> Sharing:
        """What the cache allows, by the one that the model makes for a single token."""
        config = self.model.config.get_text_config()
        return sharing_of(config, self._cache([0]), positions=self._takes("position_ids"))

    def _cache(self, row: list[int]) -> Any:
        """Return the cache of a row."""
        ids, mask = self._padded([row])
        return getattr(self._begin(ids, mask, mask.cumsum(1) - 1), "past_key_values", None)

    def _begin(
        self, ids: torch.Tensor, mask: torch.Tensor, place: torch.Tensor, **past: Any
    ) -> Any:
        """Return what the model gives for tokens (B, N): logits of the last ones, and a cache."""
        last = {"logits_to_keep": 1} if self._takes("logits_to_keep") else {}
        return self.model(
            input_ids=ids,
            attention_mask=mask,
            use_cache=True,
            **past,
            **self._places(place),
            **last,
        )

    def _score_rests(
        self,
        rests: list[list[int]],
        size: int,
        shared: Any,
        options: list[list[int]],
        room: int,
    ) -> NDArray[np.float64]:
        """Return the scores of rows, up to `room` options of one length at once.

        Args:
            rests: What the rows have after the tokens in the cache.
            size: How many tokens these are.
            shared: Their cache of one row, None where there are none.
            options: Replies.
            room: How many times the rows' cache may be there.
        """
        ids, mask = self._padded(rests)
        place = size + (mask.cumsum(1) - 1).clamp(min=0)  # (B, N)
        past = {}
        if shared is not None:
            past = {"past_key_values": widened(shared, len(rests))}
            mask = torch.cat([mask.new_ones((len(rests), size)), mask], dim=1)
        out = self._begin(ids, mask, place, **past)
        after = log_softmax(out.logits[:, -1])  # (B, V)
        scores = np.zeros((len(rests), len(options)))
        ends = torch.tensor(self.ends, dtype=torch.long, device=self.device)
        for same in alike(options, room):
            S = len(same)
            tail = torch.tensor(
                [options[c] for c in same], dtype=torch.long, device=self.device
            ).repeat(len(rests), 1)  # (B * S, n)
            steps = torch.arange(1, tail.shape[1] + 1, device=self.device)
            seen, at = mask.repeat_interleave(S, 0), place[:, -1:].repeat_interleave(S, 0)
            ahead = self.model(
                input_ids=tail,
                attention_mask=torch.cat([seen, torch.ones_like(tail)], dim=1),
                past_key_values=widened(out.past_key_values, S),
                use_cache=True,
                **self._places(at + steps),
            )
            before = after[:, None].repeat_interleave(S, 0)
            table = torch.cat([before, log_softmax(ahead.logits)], dim=1)  # (B * S, n+1, V)
            total = table[:, :-1].gather(2, tail[:, :, None])[:, :, 0].sum(1)
            if len(ends):
                total = total + table[:, -1].index_select(1, ends).logsumexp(1)
            scores[:, same] = total.view(len(rests), S).double().cpu().numpy()
        return scores

    def _takes(self, name: str) -> bool:
        return name in inspect.signature(self.model.forward).parameters

    def _places(self, place: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return position_ids where the model takes them, so that padding moves nothing."""
        return {"position_ids": place} if self._takes("position_ids") else {}


def log_softmax(logits: torch.Tensor) -> torch.Tensor:
    """Return log-probabilities (..., V) in float32."""
    return logits.float().log_softmax(-1)


def check_card(device: str) -> None:
    """Raise SimrecError where a device is named that is not here."""
    if device == "cpu":
        return
    if not torch.cuda.is_available():
        raise SimrecError(f"device is '{device}', but PyTorch sees no card; use device='cpu'")
    number, count = torch.device(device).index or 0, torch.cuda.device_count()
    if number >= count:
        raise SimrecError(
            f"device is '{device}', but PyTorch sees {count} card{'s' * (count > 1)}, counted from "
            f"0; use a lower number"
        )


def placed(device: str, numbers: Numbers) -> dict[str, Any]:
    """Return how `from_pretrained` is to store the weights, and where."""
    dtype = torch.float32 if numbers.dtype == "f32" else torch.bfloat16
    options: dict[str, Any] = {"dtype": dtype}
    if numbers.four_bit:
        from transformers import BitsAndBytesConfig

        options["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_compute_dtype=dtype
        )
        options["device_map"] = {"": device}
    elif device != "cpu" and importlib.util.find_spec("accelerate") is not None:
        options["device_map"] = {"": device}  # straight to the card, not through main memory
    return options


def load_causal(folder: Path, device: str, numbers: Numbers) -> Causal:
    """Load model and tokenizer from a directory, never from a hub.

    Args:
        folder: As `save_pretrained` writes it; a model that sees has its processor there too.
        device: "cpu" or "cuda...".
        numbers: Number format of the weights.

    Raises:
        SimrecError: No such device, or the directory cannot be loaded.
    """
    from transformers import (
        AutoConfig,
        AutoImageProcessor,
        AutoModelForCausalLM,
        AutoModelForImageTextToText,
        AutoProcessor,
        AutoTokenizer,
    )
    from transformers.utils import logging

    from simrec.llm.backends.grid_pictures import FAMILY, GridPictures

    check_card(device)
    options = placed(device, numbers)
    bars = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()  # simrec draws its own
    try:
        own: dict[str, Any] = {"local_files_only": True}
        config = AutoConfig.from_pretrained(str(folder), **own)
        sees = hasattr(config, "vision_config")
        tokenizer = AutoTokenizer.from_pretrained(str(folder), **own)
        processor: Any = None
        if config.model_type in FAMILY:
            images = AutoImageProcessor.from_pretrained(str(folder), **own)
            processor = GridPictures(images, tokenizer, config.image_token_id)
        elif sees:
            processor = AutoProcessor.from_pretrained(str(folder), **own)
        kind = AutoModelForImageTextToText if sees else AutoModelForCausalLM
        model = kind.from_pretrained(str(folder), **own, **options)
    except (OSError, ValueError, ImportError, KeyError, AttributeError) as error:
        first_line = str(error).strip().split("\n")[0]
        raise SimrecError(
            f"cannot load the language model in '{folder}' ({first_line}); expected a causal "
            f"language model's config, tokenizer and weights as save_pretrained writes them"
        ) from error
    finally:
        if bars:
            logging.enable_progress_bar()
    if "device_map" not in options:
        model = model.to(device)
    model.eval()
    named = [tokenizer.eos_token_id, model.generation_config.eos_token_id]
    ends = {
        int(t) for e in named if e is not None for t in (e if isinstance(e, list | tuple) else [e])
    }
    text_config = model.config.get_text_config()
    context = int(getattr(text_config, "max_position_embeddings", None) or 2**31)
    first = [tokenizer.eos_token_id] if tokenizer.eos_token_id in ends else []
    ordered = (*first, *sorted(ends - set(first)))
    return Causal(model, tokenizer, device, ordered, context, processor)
