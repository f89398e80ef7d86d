"""The transformers backend on a card; skipped where PyTorch sees none."""

import importlib.util
from pathlib import Path

import pytest

from simrec.llm.backends.transformers_lm import TransformersLM
from simrec.llm.protocol import LLMPrompt
from simrec.testing import check_language_model
from tests.tiny_lm import save_tiny
from tests.tiny_vlm import BLUE, RED, save_tiny_vlm

PROMPTS = [LLMPrompt(f"A person liked film {n} about robots. Which is next?") for n in range(20)]
CHOICES = ("yes", "no", "1", "10")


def no_card() -> bool:
    import torch

    return not torch.cuda.is_available()


pytestmark = pytest.mark.skipif(no_card(), reason="PyTorch sees no CUDA card")


def gap(a: TransformersLM, b: TransformersLM, prompts: list[LLMPrompt] = PROMPTS) -> float:
    """Return the greatest difference of a choice's log-probability."""
    asked = {"max_tokens": 4, "choices": CHOICES}
    pairs = zip(a.complete(prompts, **asked), b.complete(prompts, **asked), strict=True)
    return max(abs(x.logprobs[c] - y.logprobs[c]) for x, y in pairs for c in CHOICES)


def test_a_card_gives_the_probabilities_of_the_processor(tmp_path: Path):
    folder = save_tiny(tmp_path / "tiny")
    here, card = TransformersLM(folder), TransformersLM(folder, device="cuda", dtype="f32")
    check_language_model(card)
    assert gap(here, card) < 1e-3
    assert [r.text for r in here.complete(PROMPTS, max_tokens=12)] == [
        r.text for r in card.complete(PROMPTS, max_tokens=12)
    ]


@pytest.mark.parametrize("kind", ["llava", "gemma3", "qwen2vl"])
def test_a_card_sees_what_the_processor_sees(kind: str, tmp_path: Path):
    folder = save_tiny_vlm(tmp_path / kind, kind=kind)
    prompts = [LLMPrompt("yes or no?", (RED, BLUE)), LLMPrompt("yes or no?", (BLUE,))]
    card = TransformersLM(folder, device="cuda", dtype="f32")
    assert gap(TransformersLM(folder), card, prompts) < 1e-3


def test_a_card_runs_the_format_that_it_has(tmp_path: Path):
    folder = save_tiny(tmp_path / "tiny")
    card = TransformersLM(folder, device="cuda")
    check_language_model(card)
    allowed = 0.5 if card.numbers.dtype == "bf16" else 1e-3  # of about -5: eight bits of mantissa
    assert gap(TransformersLM(folder), card) < allowed


@pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("bitsandbytes", "accelerate")),
    reason="bitsandbytes or accelerate is not installed",
)
def test_four_bits_run(tmp_path: Path):
    folder = save_tiny(tmp_path / "tiny")
    small = TransformersLM(folder, device="cuda", load_in_4bit=True)
    check_language_model(small)
    assert gap(TransformersLM(folder), small) > 0  # other weights: four bits of each
