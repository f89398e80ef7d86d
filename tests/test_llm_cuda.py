"""The transformers backend on a card: a pretended one here, a real one where it is.

`pytest -m cuda` runs these tests on the real card, with all others that need one. A pretended card
says nothing of four bits, which bitsandbytes works out on a card itself.
"""

import importlib.util
from pathlib import Path

import pytest
import torch

from simrec.errors import SimrecError
from simrec.llm.backends.transformers_lm import TransformersLM
from simrec.llm.protocol import LLMPrompt
from simrec.testing import check_language_model
from tests.cards import CARDS, REAL, no_card, on
from tests.pretend_card import pretend_card
from tests.tiny_lm import save_tiny
from tests.tiny_vlm import BLUE, RED, save_tiny_vlm

PROMPTS = [LLMPrompt(f"A person liked film {n} about robots. Which is next?") for n in range(20)]
FAMILY = [LLMPrompt("A person liked films about space, and robots. " * 4 + n) for n in "123"]
CHOICES = ("yes", "no", "1", "10")


def gap(a: TransformersLM, b: TransformersLM, prompts: list[LLMPrompt] = PROMPTS) -> float:
    """Return the greatest difference of a choice's log-probability."""
    asked = {"max_tokens": 4, "choices": CHOICES}
    pairs = zip(a.complete(prompts, **asked), b.complete(prompts, **asked), strict=True)
    return max(abs(x.logprobs[c] - y.logprobs[c]) for x, y in pairs for c in CHOICES)


@pytest.mark.parametrize("card", CARDS)
@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_a_card_gives_the_probabilities_of_the_processor(kind: str, card: str, tmp_path: Path):
    folder = save_tiny(tmp_path / kind, kind=kind)
    here, prompts = TransformersLM(folder), PROMPTS[:4] if card == "pretended" else PROMPTS
    with on(card):
        there = TransformersLM(folder, device="cuda", dtype="f32")
        assert gap(here, there, prompts) < 1e-3
        assert gap(here, there, FAMILY) < 1e-3  # what they share is run once
        assert there._causal.model.device.type == "cuda"
        assert [r.text for r in here.complete(prompts, max_tokens=6)] == [
            r.text for r in there.complete(prompts, max_tokens=6)
        ]


@pytest.mark.parametrize(
    ("kind", "card"),
    [("llava", "pretended"), ("qwen2vl", "pretended")]
    + [pytest.param(kind, "real", marks=REAL) for kind in ("llava", "gemma3", "qwen2vl")],
)
def test_a_card_sees_what_the_processor_sees(kind: str, card: str, tmp_path: Path):
    folder = save_tiny_vlm(tmp_path / kind, kind=kind)
    prompts = [LLMPrompt("yes or no?", (RED, BLUE)), LLMPrompt("yes or no?", (BLUE,))]
    here = TransformersLM(folder)
    with on(card):
        there = TransformersLM(folder, device="cuda", dtype="f32")
        assert gap(here, there, prompts) < 1e-3
        assert there._causal.model.device.type == "cuda"
        assert [r.text for r in here.complete(prompts, max_tokens=4)] == [
            r.text for r in there.complete(prompts, max_tokens=4)
        ]


@pytest.mark.parametrize(
    ("card", "capability"),
    [
        ("pretended", (7, 5)),
        ("pretended", (8, 0)),
        pytest.param("real", None, marks=REAL),
    ],
)
def test_a_card_runs_the_format_that_it_has(
    card: str, capability: tuple[int, int] | None, tmp_path: Path
):
    folder = save_tiny(tmp_path / "tiny")
    prompts = PROMPTS[:4] if card == "pretended" else PROMPTS
    exact, rough = TransformersLM(folder), TransformersLM(folder, dtype="bf16")
    lost = gap(exact, rough, prompts)  # what eight bits of mantissa cost on the CPU
    with on(card) if capability is None else pretend_card(capability):
        has_it = torch.cuda.get_device_capability() >= (8, 0)
        there = TransformersLM(folder, device="cuda")
        assert there.numbers.name == ("bf16" if has_it else "f32")
        assert gap(exact, there, prompts) < (2.0 * lost if has_it else 1e-3)


@pytest.mark.parametrize(
    ("room", "what"), [(20_000, "the weights in"), (2_000_000, "batch_size 16")]
)
def test_a_card_that_is_too_small_says_so(room: int, what: str, tmp_path: Path):
    folder = save_tiny(tmp_path / "tiny")
    long = [LLMPrompt(8 * prompt.text) for prompt in PROMPTS]  # attention takes the most
    with pretend_card(room=room), pytest.raises(SimrecError) as error:
        TransformersLM(folder, device="cuda", dtype="f32").complete(long, max_tokens=2)
    told = str(error.value)
    assert told.startswith(f"the memory of 'cuda' is too small for {what}")
    assert told.endswith("set a smaller batch_size or load_in_4bit, or free the card")


@pytest.mark.cuda
@no_card
def test_a_card_is_a_language_model(tmp_path: Path):
    check_language_model(TransformersLM(save_tiny(tmp_path / "tiny"), device="cuda"))


@pytest.mark.cuda
@no_card
@pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("bitsandbytes", "accelerate")),
    reason="bitsandbytes or accelerate is not installed",
)
def test_four_bits_of_a_card_are_those_of_the_processor(tmp_path: Path):
    folder = save_tiny(tmp_path / "tiny")
    four = {"load_in_4bit": True, "dtype": "f32"}
    here, there = TransformersLM(folder, **four), TransformersLM(folder, device="cuda", **four)
    lost = gap(TransformersLM(folder), here)  # other weights: four bits of each
    assert lost > 0.0
    assert gap(here, there) < 0.5 * lost  # the same four bits, read by other kernels
    check_language_model(TransformersLM(folder, device="cuda", load_in_4bit=True))
