"""Pictures in prompts: covers reach a model that sees, and one that does not is one sentence."""

import base64
from pathlib import Path

import numpy as np
import pytest

from simrec.catalogue import Catalogue
from simrec.errors import SimrecError
from simrec.llm.backends import language_model
from simrec.llm.backends.card import Numbers
from simrec.llm.backends.causal import load_causal
from simrec.llm.backends.seeing import seen_inputs
from simrec.llm.backends.transformers_lm import TransformersLM
from simrec.llm.protocol import LLMPrompt
from simrec.testing import check_language_model
from tests.asking import TITLES, question, teacher
from tests.llm_server import completion, serve
from tests.tiny_lm import save_tiny
from tests.tiny_vlm import BLUE, RED, picture, save_tiny_vlm

CHOICES = ("yes", "no", "1", "10")
F32 = Numbers("f32", four_bit=False)


@pytest.fixture(scope="module", params=["llava", "gemma3", "qwen2vl"])
def sees(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_vlm(tmp_path_factory.mktemp("model") / request.param, kind=request.param)


def test_it_keeps_the_protocol(sees: Path):
    check_language_model(language_model(f"transformers:{sees}"))


def test_scores_equal_those_worked_out_token_by_token_and_pictures_count(sees: Path):
    import torch

    causal = load_causal(sees, "cpu", F32)
    prompts = [LLMPrompt("yes or no?", images) for images in ((RED, BLUE), (BLUE, RED), ())]
    replies = TransformersLM(sees).complete(prompts, max_tokens=4, choices=CHOICES)
    first = seen_inputs(causal, prompts[0])
    row, mark = first["input_ids"], causal.model.config.image_token_id
    eyes = {name: first[name] for name in ("pixel_values", "image_grid_thw") if name in first}
    if "image_grid_thw" in first:  # Qwen2-VL: 20 x 30 and 40 x 30 pixels, a token for 16 x 16
        assert first["image_grid_thw"].tolist() == [[1, 4, 2], [1, 4, 4]]
        assert (row == mark).sum() == 2 + 4
    else:
        assert first["pixel_values"].shape == (2, 3, 16, 16)
        assert (row == mark).sum() == 8  # four tokens a picture

    def by_hand(reply):
        tokens, total = row, 0.0
        for token in [*causal.option(reply), causal.tokenizer.eos_token_id]:
            known = {"input_ids": tokens, "attention_mask": torch.ones_like(tokens)}
            for kinds in {"token_type_ids", "mm_token_type_ids"} & set(first):  # 1 = of a picture
                known[kinds] = (tokens == mark).long()
            with torch.inference_mode():
                out = causal.model(**known, **eyes)
            logits = out.logits[0, -1].double()
            total += float(logits[token] - logits.logsumexp(0))
            tokens = torch.cat([tokens, torch.tensor([[token]])], dim=1)
        return total

    want = {c: np.logaddexp.reduce([by_hand(w) for w in {c, c.capitalize()}]) for c in CHOICES}
    assert replies[0].logprobs == pytest.approx(want, abs=2e-4)
    assert replies[0].prompt_tokens == row.shape[1]
    assert len({tuple((r.logprobs or {}).values()) for r in replies}) == 3


def test_free_text_is_written_after_a_picture_and_a_broken_one_is_marked(sees: Path):
    model = TransformersLM(sees)
    prompts = [LLMPrompt("Which?", (RED,)), LLMPrompt("Which?", (b"\x89PNG\r\n\x1a\nrust",))]
    good, bad = model.complete(prompts, max_tokens=6)
    assert good.valid and good.completion_tokens >= 1
    assert (bad.valid, bad.finish) == (False, "error")
    assert bad.reason.startswith("a picture of it cannot be read (")


def test_words_alone_are_the_same_before_and_after_a_picture(sees: Path):
    model, words = TransformersLM(sees), LLMPrompt("yes or no?")
    options = {"max_tokens": 4, "choices": CHOICES}
    [before] = model.complete([words], **options)
    model.complete([LLMPrompt("Which?", (RED, BLUE))], max_tokens=6)
    [after] = model.complete([words], **options)
    assert before.logprobs == after.logprobs
    assert model.complete([words], max_tokens=6) == TransformersLM(sees).complete(
        [words], max_tokens=6
    )


def test_pictures_as_wide_as_the_prompt_is_long_are_not_taken_for_tokens(tmp_path: Path):
    """Qwen2-VL's pixels are a table (patches, 384 numbers): 384 tokens must not confuse it."""
    folder = save_tiny_vlm(tmp_path / "qwen", kind="qwen2vl")
    causal = load_causal(folder, "cpu", F32)
    bare = seen_inputs(causal, LLMPrompt("", (RED,)))["input_ids"].shape[1]
    prompt = LLMPrompt(" 1" * (384 - bare), (RED,))
    while (more := seen_inputs(causal, prompt)["input_ids"].shape[1] - 384) > 0:
        prompt = LLMPrompt(prompt.text[: -2 * more], (RED,))
    inputs = seen_inputs(causal, prompt)
    assert inputs["input_ids"].shape[1] == inputs["pixel_values"].shape[1] == 384
    [reply] = TransformersLM(folder).complete([prompt], max_tokens=4, choices=CHOICES)
    assert reply.valid and reply.prompt_tokens == 384


def test_a_picture_that_the_model_cannot_take_is_marked(tmp_path: Path):
    model = TransformersLM(save_tiny_vlm(tmp_path / "qwen", kind="qwen2vl"))
    strip = LLMPrompt("Which?", (picture("red", 9000),))  # 300 times as wide as high
    bad, good = model.complete([strip, LLMPrompt("Which?", (RED,))], max_tokens=4, choices=CHOICES)
    assert good.valid and not bad.valid
    assert bad.reason.startswith("its pictures do not fit the model (absolute aspect ratio must be")


def with_covers() -> Catalogue:
    n = len(TITLES)
    covers = (RED, BLUE, None, RED, None, BLUE)
    return Catalogue("films", tuple(map(str, range(n))), TITLES, ("",) * n, covers)


def test_covers_reach_a_model_in_this_process(sees: Path, tmp_path: Path):
    model = language_model(f"transformers:{sees}", batch_size=1)  # padding moves the last digits
    scores = []
    for pictures in (True, False):
        asked = teacher(model, tmp_path / f"{pictures}.sqlite", form="yesno", pictures=pictures)
        asked.catalogue = with_covers()
        (answer,) = asked.prefer([question([1, 2, 3])])
        assert answer.status == "ok"
        scores.append(answer.score.tolist())
    assert [a == b for a, b in zip(*scores, strict=True)] == [False, True, False]  # 2 has no cover


def test_a_model_that_does_not_see_is_one_sentence(tmp_path: Path):
    folder = save_tiny(tmp_path / "blind")
    with pytest.raises(SimrecError) as error:
        TransformersLM(folder).complete([LLMPrompt("x", (RED,))], max_tokens=2)
    assert str(error.value) == (
        f"the language model in '{folder}' takes text only, but a prompt has pictures; set "
        "teacher.pictures to false, or name a model that sees"
    )


def test_covers_reach_a_server_as_data_urls_in_the_order_shown(tmp_path: Path):
    with serve(lambda body: completion('{"liked": [1]}', "")) as server:
        asked = teacher(
            language_model(f"openai:tiny@{server.url}"), tmp_path / "a.sqlite", pictures=True
        )
        asked.catalogue = with_covers()
        (answer,) = asked.prefer([question([1, 2, 3])])
        (body,) = server.bodies
    assert answer.liked.tolist() == [True, False, False]
    text, *pictures = body["messages"][0]["content"]
    assert "The pictures, in order, are the covers of candidates 1, 3." in text["text"]
    found = [base64.b64decode(p["image_url"]["url"].partition(",")[2]) for p in pictures]
    assert found == [BLUE, RED]
