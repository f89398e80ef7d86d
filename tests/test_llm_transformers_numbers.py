"""Which numbers the transformers backend computes with: bfloat16, 4-bit, and what a card can do."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from simrec.errors import SimrecError
from simrec.llm.backends.card import Numbers, numbers_for
from simrec.llm.backends.causal import check_card, placed
from simrec.llm.backends.transformers_lm import TransformersLM
from simrec.llm.protocol import LLMPrompt
from simrec.testing import check_language_model
from tests.tiny_lm import save_tiny

PROMPTS = [
    LLMPrompt("yes or no?"),
    LLMPrompt("A person liked films about space, robots and other worlds. Which is next?"),
    LLMPrompt("1 or 10?"),
]
CHOICES = ("yes", "no", "1", "10")


def test_bfloat16_runs_on_the_cpu_and_is_another_model(tmp_path: Path):
    folder = save_tiny(tmp_path / "tiny")
    full, half = TransformersLM(folder), TransformersLM(folder, dtype="bf16")
    assert half.name == full.name.removesuffix("f32") + "bf16"
    for a, b in zip(
        full.complete(PROMPTS, max_tokens=4, choices=CHOICES),
        half.complete(PROMPTS, max_tokens=4, choices=CHOICES),
        strict=True,
    ):
        assert a.logprobs is not None and b.logprobs is not None
        assert b.valid and a.logprobs != b.logprobs  # eight bits of mantissa, a loss below 1/100
        assert list(b.logprobs.values()) == pytest.approx(list(a.logprobs.values()), rel=0.03)


def installed(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Let these packages of the card's branch seem to be here, and no other of them."""
    found = importlib.util.find_spec

    def find_spec(name: str, *more: str) -> object:
        card = name in ("bitsandbytes", "accelerate")
        return (object() if name in names else None) if card else found(name, *more)

    monkeypatch.setattr(importlib.util, "find_spec", find_spec)


@pytest.mark.parametrize("there", [(), ("bitsandbytes",), ("accelerate",)])
def test_four_bits_without_their_packages_are_one_sentence(
    there: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    installed(monkeypatch, *there)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(SimrecError) as error:
        TransformersLM(tmp_path, device="cuda", load_in_4bit=True)
    missing = "accelerate" if "bitsandbytes" in there else "bitsandbytes"
    assert str(error.value) == (
        f"load_in_4bit needs the package {missing}, which is not installed; pip install "
        f"'simrec[bits]'"
    )


def test_number_format_and_name_follow_the_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    installed(monkeypatch, "bitsandbytes", "accelerate")
    (tmp_path / "config.json").write_text("{}")
    ends = {
        "f32": TransformersLM(tmp_path),
        "bf16": TransformersLM(tmp_path, device="cuda:1"),
        "4bit": TransformersLM(tmp_path, device="cuda", load_in_4bit=True),
    }
    for end, model in ends.items():
        assert model.name.endswith(f"-{end}")
    assert TransformersLM(tmp_path, device="cuda", dtype="f32").numbers.dtype == "f32"
    for device in ("cuda:", "cuda:x", "cudas", "mps"):
        with pytest.raises(SimrecError, match=f"device is '{device}'; expected cpu, cuda or cuda"):
            TransformersLM(tmp_path, device=device)


@pytest.mark.parametrize(
    ("device", "capability", "dtype", "four", "found"),
    [
        ("cpu", None, None, False, "f32"),
        ("cpu", None, "bf16", False, "bf16"),
        ("cuda", (9, 0), None, False, "bf16"),  # H100
        ("cuda:1", (8, 0), None, False, "bf16"),  # A100
        ("cuda", (8, 9), "f32", False, "f32"),
        ("cuda", (7, 5), None, False, "f32"),  # T4 only imitates bfloat16
        ("cuda", (8, 6), None, True, "4bit"),
        ("cuda", (8, 6), "f32", True, "4bit-f32"),
        ("cuda", (7, 5), None, True, "4bit-f32"),
        ("cuda", None, None, False, "bf16"),  # a card of another machine
        ("cpu", None, None, True, "4bit-f32"),
        ("cpu", None, "bf16", True, "4bit"),
        ("cuda", (7, 5), "bf16", False, "the card 'cuda' has CUDA capability 7.5, bfloat16 needs "
         "8.0; use dtype='f32', or leave dtype out"),
        ("cuda", (5, 2), None, True, "the card 'cuda' has CUDA capability 5.2, load_in_4bit needs "
         "6.0; leave load_in_4bit out"),
    ],
)  # fmt: skip
def test_what_a_device_can_do(device, capability, dtype, four, found):
    def asked():
        return numbers_for(device, capability, dtype, load_in_4bit=four)

    if " " not in found:
        assert asked().name == found
    else:
        with pytest.raises(SimrecError) as error:
            asked()
        assert str(error.value) == found


@pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("bitsandbytes", "accelerate")),
    reason="bitsandbytes or accelerate is not installed (extra bits)",
)
def test_four_bits_run_and_say_other_things_than_whole_weights(tmp_path: Path):
    folder = save_tiny(tmp_path / "tiny")
    whole, small = TransformersLM(folder), TransformersLM(folder, load_in_4bit=True)
    check_language_model(small)
    kept = {type(m).__name__ for m in small._causal.model.modules()}
    assert "Linear4bit" in kept
    asked = {"max_tokens": 4, "choices": ("yes", "no")}
    for a, b in zip(
        whole.complete(PROMPTS, **asked), small.complete(PROMPTS, **asked), strict=True
    ):
        assert a.logprobs != b.logprobs
        assert np.exp(list(b.logprobs.values())).sum() == pytest.approx(
            np.exp(list(a.logprobs.values())).sum(), abs=0.2
        )


def test_an_old_card_of_this_machine_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    import torch

    (tmp_path / "config.json").write_text("{}")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda n: [(9, 0), (7, 5)][n])
    ends = {d: TransformersLM(tmp_path, device=d).name for d in ("cuda", "cuda:1", "cuda:2")}
    assert [name.rpartition("-")[2] for name in ends.values()] == ["bf16", "f32", "bf16"]


def test_what_weights_are_loaded_with_on_a_card(monkeypatch: pytest.MonkeyPatch):
    import torch

    installed(monkeypatch, "accelerate")
    whole = placed("cuda:1", Numbers("bf16", four_bit=False))
    assert whole == {"dtype": torch.bfloat16, "device_map": {"": "cuda:1"}}
    assert placed("cpu", Numbers("f32", four_bit=False)) == {"dtype": torch.float32}
    small = placed("cuda", Numbers("bf16", four_bit=True))
    assert small["device_map"] == {"": "cuda"}
    assert small["quantization_config"].load_in_4bit
    assert small["quantization_config"].bnb_4bit_compute_dtype == torch.bfloat16
    installed(monkeypatch)  # without accelerate the weights come through main memory
    assert placed("cuda", Numbers("bf16", four_bit=False)) == {"dtype": torch.bfloat16}


def test_a_card_that_is_not_here_is_one_sentence(monkeypatch: pytest.MonkeyPatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    check_card("cpu")
    with pytest.raises(SimrecError) as error:
        check_card("cuda")
    assert str(error.value) == "device is 'cuda', but PyTorch sees no card; use device='cpu'"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    check_card("cuda")
    check_card("cuda:1")
    with pytest.raises(SimrecError) as error:
        check_card("cuda:2")
    assert str(error.value) == (
        "device is 'cuda:2', but PyTorch sees 2 cards, counted from 0; use a lower number"
    )
