"""Prompts with pictures for a model in this process: one at a time, nothing padded."""

import io
from typing import Any

import torch
from PIL import Image, UnidentifiedImageError

from simrec.llm.backends.causal import Causal, log_softmax
from simrec.llm.protocol import LLMPrompt


class Unseen(ValueError):
    """A picture that cannot be read."""


def seen_inputs(causal: Causal, prompt: LLMPrompt) -> dict[str, torch.Tensor]:
    """Return what the model's forward takes for a prompt, each with one row.

    Raises:
        Unseen: A picture is no image file, or the model's processor refuses it.
    """
    try:
        pictures = [Image.open(io.BytesIO(image)).convert("RGB") for image in prompt.images]
    except (UnidentifiedImageError, OSError, Image.DecompressionBombError) as error:
        raise Unseen(f"a picture of it cannot be read ({error})") from error
    text = causal.opened(prompt.text, pictures=len(pictures))
    try:
        inputs = causal.processor(
            text=[text], images=pictures, return_tensors="pt", add_special_tokens=False
        )
    except ValueError as error:  # too narrow a picture, or a template without a place for it
        raise Unseen(f"its pictures do not fit the model ({error})") from error
    return dict(inputs.to(causal.device))


@torch.inference_mode()
def generate_seen(causal: Causal, inputs: dict[str, Any], max_tokens: int) -> tuple[str, int, bool]:
    """Continue greedily; return text, tokens written with the end token, whether it ended."""
    out = causal.model.generate(**_right_kind(causal, inputs), **causal.greedy(max_tokens))
    return causal.written(out[0, inputs["input_ids"].shape[1] :].tolist())


@torch.inference_mode()
def score_seen(causal: Causal, inputs: dict[str, Any], options: list[list[int]]) -> list[float]:
    """Return log P(option, end | prompt) of each option, natural logarithm.

    Models place pictures in ways of their own, so each option is run with the whole prompt instead
    of going on from its cache.
    """
    row = inputs["input_ids"].shape  # (1, N), also of the mask and of the tokens' kinds
    ends = torch.tensor(causal.ends, dtype=torch.long, device=causal.device)
    scores = []
    for option in options:
        tail = torch.tensor([option], dtype=torch.long, device=causal.device)
        longer = {
            name: torch.cat([value, _more(name, tail, value)], dim=1)
            if value.shape == row
            else value
            for name, value in inputs.items()
        }
        logits = causal.model(**_right_kind(causal, longer)).logits[0, row[1] - 1 :]
        table = log_softmax(logits)  # (n+1, V)
        total = table[:-1].gather(1, tail[0, :, None]).sum()
        if len(ends):
            total = total + table[-1].index_select(0, ends).logsumexp(0)
        scores.append(float(total))
    return scores


def _more(name: str, tail: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """Return what a row of tokens, of their mask or of their kinds goes on with."""
    if name == "input_ids":
        return tail
    fill = torch.ones_like if name == "attention_mask" else torch.zeros_like
    return fill(tail).to(value.dtype)


def _right_kind(causal: Causal, inputs: dict[str, Any]) -> dict[str, Any]:
    """Return the inputs with pictures in the model's own number format."""
    return {
        name: value.to(causal.model.dtype) if value.is_floating_point() else value
        for name, value in inputs.items()
    }
