"""The transformers backend on a tiny random model: scores by hand, batches that change nothing."""

import itertools
import math
from pathlib import Path

import numpy as np
import pytest

from simrec.errors import SimrecError
from simrec.llm.backends import language_model
from simrec.llm.backends.card import Numbers
from simrec.llm.backends.causal import load_causal
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
F32 = Numbers("f32", four_bit=False)


@pytest.fixture(scope="module", params=["llama", "qwen2", "gpt2"])
def tiny(request, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("models") / request.param
    return save_tiny(folder, kind=request.param, chat=request.param != "gpt2")


def by_hand(folder: Path, text: str, choice: str) -> float:
    """log P(choice, end | prompt), every token from a forward pass of its own, no cache."""
    import torch

    causal = load_causal(folder, "cpu", F32)
    row, total = causal.tokens(text), 0.0
    for token in [*causal.option(choice), causal.tokenizer.eos_token_id]:
        with torch.inference_mode():
            logits = causal.model(input_ids=torch.tensor([row])).logits[0, -1].double()
        total += float(logits[token] - logits.logsumexp(0))
        row = [*row, token]
    return total


def test_it_keeps_the_protocol(tiny: Path):
    check_language_model(language_model(f"transformers:{tiny}"))


def test_choice_scores_equal_those_worked_out_token_by_token(tiny: Path):
    model = TransformersLM(tiny)
    for prompt, reply in zip(
        PROMPTS, model.complete(PROMPTS, max_tokens=4, choices=CHOICES), strict=True
    ):
        # "yes" and "Yes" are one reply, and what both have is added up
        want = {
            c: np.logaddexp.reduce([by_hand(tiny, prompt.text, w) for w in {c, c.capitalize()}])
            for c in CHOICES
        }
        assert reply.logprobs == pytest.approx(want, abs=2e-4)
        assert reply.choice == max(want, key=lambda c: want[c])
        assert sum(math.exp(s) for s in want.values()) < 1


def test_the_batch_does_not_matter(tiny: Path):
    together = TransformersLM(tiny, batch_size=3)
    alone = TransformersLM(tiny, batch_size=1)
    for a, b in zip(
        together.complete(PROMPTS, max_tokens=4, choices=CHOICES),
        alone.complete(PROMPTS, max_tokens=4, choices=CHOICES),
        strict=True,
    ):
        assert a.logprobs == pytest.approx(b.logprobs, abs=1e-4)
        assert (a.choice, a.prompt_tokens) == (b.choice, b.prompt_tokens)
    assert [r.text for r in together.complete(PROMPTS, max_tokens=12)] == [
        r.text for r in alone.complete(PROMPTS, max_tokens=12)
    ]


def test_generation_equals_greedy_search_by_hand(tmp_path: Path):
    import torch

    folder = save_tiny(tmp_path / "tiny")
    causal = load_causal(folder, "cpu", F32)
    row = causal.tokens(PROMPTS[1].text)
    assert causal.tokenizer.decode(row).endswith("Which is next?<|end|>\n<|assistant|>\n")
    written: list[int] = []
    for _ in range(12):
        with torch.inference_mode():
            logits = causal.model(input_ids=torch.tensor([row + written])).logits[0, -1]
        written.append(int(logits.argmax()))
        if written[-1] == causal.tokenizer.eos_token_id:
            break
    [reply] = TransformersLM(folder).complete([PROMPTS[1]], max_tokens=12)
    assert reply.text == causal.tokenizer.decode(written, skip_special_tokens=True)
    assert (reply.prompt_tokens, reply.completion_tokens) == (len(row), len(written))
    assert reply.finish == ("stop" if len(written) < 12 else "length")


def test_a_reply_that_is_no_json_is_asked_for_twice_and_marked(tmp_path: Path):
    model = TransformersLM(save_tiny(tmp_path / "tiny"))
    replies = model.complete(PROMPTS, max_tokens=6, schema={"type": "object"})
    for reply in replies:  # random weights write no JSON
        assert not reply.valid and reply.attempts == 2
        assert "is not JSON" in reply.reason or reply.reason == "cut off at 6 tokens"
        assert reply.completion_tokens > 6 or reply.finish == "stop"


def test_a_prompt_longer_than_the_context_is_marked_and_the_others_are_answered(tmp_path: Path):
    model = TransformersLM(save_tiny(tmp_path / "tiny", context=64))
    long = LLMPrompt("space " * 100)
    bad, good = model.complete([long, PROMPTS[0]], max_tokens=8, choices=("yes", "no"))
    assert good.valid
    assert (bad.valid, bad.choice, bad.finish) == (False, None, "error")
    assert bad.reason.endswith("for the reply are more than the model's 64")


def test_the_name_follows_the_weights(tmp_path: Path):
    first = TransformersLM(save_tiny(tmp_path / "a" / "tiny"))
    same = TransformersLM(save_tiny(tmp_path / "b" / "tiny"))
    other = TransformersLM(save_tiny(tmp_path / "c" / "tiny", kind="qwen2"))
    assert first.name == same.name != other.name
    assert first.name.startswith("transformers:tiny-") and first.name.endswith("-f32")


def test_mistakes_are_one_sentence(tmp_path: Path):
    with pytest.raises(SimrecError) as error:
        language_model(f"transformers:{tmp_path / 'none'}")
    assert str(error.value) == (
        f"the language model folder '{tmp_path / 'none'}' does not exist; expected "
        f"'transformers:DIR' with a folder written by save_pretrained, fetch one with: hf download "
        f"ORG/MODEL --local-dir {tmp_path / 'none'}"
    )
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(SimrecError, match=r"^cannot load the language model in '"):
        TransformersLM(tmp_path).complete(PROMPTS, max_tokens=2)
    with pytest.raises(SimrecError, match="device is 'gpu'; expected cpu, cuda or cuda:N"):
        TransformersLM(tmp_path, device="gpu")
    with pytest.raises(SimrecError, match="dtype is 'int8'; expected f32 or bf16"):
        TransformersLM(tmp_path, dtype="int8")  # type: ignore[arg-type]
    with pytest.raises(SimrecError, match="knows no option 'batchsize'; did you mean 'batch_size'"):
        language_model(f"transformers:{tmp_path}", batchsize=3)


def test_probabilities_of_all_one_token_replies_and_the_end_sum_to_at_most_one(tmp_path: Path):
    folder = save_tiny(tmp_path / "tiny")
    causal = load_causal(folder, "cpu", F32)
    rows = [causal.tokens(p.text) for p in PROMPTS[:2]]
    vocabulary = [[t] for t in range(len(causal.tokenizer)) if t != causal.tokenizer.eos_token_id]
    mass = np.exp(causal.score(rows, vocabulary)).sum(1)
    assert ((mass > 0) & (mass < 1)).all()
    pairs = [list(p) for p in itertools.product(vocabulary[5], [7, 8, 9])]
    more = np.exp(causal.score(rows, pairs)).sum(1)
    assert ((mass + more) < 1).all()  # exclusive replies: longer ones take nothing from shorter
