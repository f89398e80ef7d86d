"""A trained model through simrec's backends: what it knows, and that llama.cpp's server agrees."""

import json
from collections.abc import Iterator

import numpy as np
import pytest
from scipy.stats import spearmanr

from simrec.llm.backends import language_model
from simrec.llm.protocol import LanguageModel
from simrec.testing import check_language_model
from tests.trained_llm import FOLDER, MODEL, SLOTS, needs_trained, served_model, serving
from tests.trained_questions import FACTS, bar, genre_prompts, genre_scores, known_facts
from tests.vllm_checks import CHOICES, PROMPTS, SCHEMA

pytestmark = needs_trained


@pytest.fixture(scope="module")
def here() -> LanguageModel:
    """The model in this process, in float32."""
    return language_model(MODEL, batch_size=20)


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with serving() as address:
        yield address


def test_it_keeps_the_protocol_here(here: LanguageModel):
    check_language_model(here, max_tokens=8)


def test_it_keeps_the_protocol_on_the_server_which_keeps_to_choices_and_schema(address: str):
    model = served_model(address)
    check_language_model(model)
    for reply in model.complete(PROMPTS[:2], max_tokens=4, choices=CHOICES):
        assert reply.valid and reply.attempts == 1 and reply.logprobs is not None
        assert set(reply.logprobs) == set(CHOICES)
        assert reply.choice == max(CHOICES, key=reply.logprobs.__getitem__)
    for reply in model.complete(PROMPTS[:4], max_tokens=32, schema=SCHEMA):
        assert reply.valid and reply.attempts == 1, reply
        assert json.loads(reply.text)["rating"] in range(1, 6)


@pytest.mark.parametrize("where", ["here", "server"])
def test_it_knows_plain_facts(where: str, here: LanguageModel, address: str):
    """Random weights, or a wrong template, mapping or sum, pass once in a thousand times."""
    model = here if where == "here" else served_model(address, extra={})
    right, pairs = known_facts(model)
    print(f"{where}: {right} of {len(FACTS)} facts, {pairs} of 6 pairs")
    assert right >= bar(1e-3)  # six pairs can show nothing of that size; they are printed


def test_both_backends_say_the_same(here: LanguageModel, address: str):
    """Of the same films: genres by log-probability, and bfloat16 beside them.

    llama.cpp rounds activations to 8 bits and bfloat16 to 8 binary digits: some tenths of a nat
    where choices differ by several. 100 numbers of two unrelated models would correlate by more
    than 0.4 less than once in 10,000 times; the bar asks for nearly one order.
    """
    mine = genre_scores(here)
    theirs = genre_scores(served_model(address, concurrency=SLOTS, extra={}))
    half = genre_scores(language_model(MODEL, batch_size=20, dtype="bf16"))
    genre = np.arange(20) // 4
    for name, other in (("llama.cpp", theirs), ("bf16", half)):
        rank = spearmanr(mine.ravel(), other.ravel()).statistic
        apart = np.abs(mine - other)
        print(
            f"{name}: rank correlation {rank:.3f}, apart {apart.mean():.2f} (at most "
            f"{apart.max():.2f}) of a spread of {mine.std():.2f}; same choice "
            f"{(mine.argmax(1) == other.argmax(1)).sum()} of 20, right "
            f"{(mine.argmax(1) == genre).sum()} and {(other.argmax(1) == genre).sum()}"
        )
        assert rank > 0.9


def test_greedy_text_is_what_generate_writes(address: str):
    """transformers' own generate with the model's own chat template; llama.cpp's text is shown."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(FOLDER)
    model = AutoModelForCausalLM.from_pretrained(FOLDER, dtype=torch.float32)
    asked = [PROMPTS[0], *genre_prompts()[:2]]
    want = []
    for prompt in asked:
        chat = [{"role": "user", "content": prompt.text}]
        row = tokenizer.apply_chat_template(
            chat, add_generation_prompt=True, return_tensors="pt", return_dict=True
        )
        out = model.generate(**row, max_new_tokens=16, do_sample=False)
        start = row["input_ids"].shape[1]
        want.append(tokenizer.decode(out[0, start:], skip_special_tokens=True))
    ours = language_model(MODEL, batch_size=1).complete(asked, max_tokens=16)
    assert [reply.text for reply in ours] == want
    theirs = served_model(address).complete(asked, max_tokens=16)
    print(f"llama.cpp: the same text {sum(r.text == w for r, w in zip(theirs, want, strict=True))}")
