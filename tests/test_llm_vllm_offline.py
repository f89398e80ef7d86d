"""The real `vllm.LLM` on the tiny model, in this process and under `simrec prefer`."""

from pathlib import Path

import numpy as np
import pytest

from simrec.datasets.tidy import read_tidy
from simrec.errors import SimrecError
from simrec.llm.ask import LLMTeacher
from simrec.llm.backends import language_model, vllm_lm
from simrec.llm.cache import AnswerCache
from simrec.llm.elicit import make_questions
from simrec.llm.forms import make_form
from simrec.llm.prompts import told
from simrec.llm.protocol import LanguageModel, LLMPrompt, Reply
from simrec.llm.templates import SHIPPED
from simrec.randomness import generator
from simrec.testing import check_language_model
from tests.tiny_lm import save_tiny
from tests.trained_llm import ROOT
from tests.trained_questions import FACTS, bar, genre_scores, known_facts
from tests.vllm_checks import (
    CHOICES,
    CONTEXT,
    LONG,
    PROMPTS,
    Films,
    check_constrained,
    needs_vllm,
    slow,
    texts,
    workers,
)

pytestmark = [needs_vllm, slow]

ENGINE = {
    "dtype": "float32",
    "max_model_len": CONTEXT,
    "enforce_eager": True,
    "max_num_seqs": 16,
    "block_size": 32,  # without a card it would be 128: most of these prompts is less
}
ROUNDING = 1e-3  # nats, of float32 sums in another order
TRAINED = ROOT / ".venv-llm" / "smollm2"  # `make test-llm` writes it


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("models") / "tiny", context=CONTEXT)


@pytest.fixture(scope="module")
def offline(tiny: Path) -> LanguageModel:
    return language_model(f"vllm:{tiny}", enable_prefix_caching=True, engine=ENGINE)


def test_it_keeps_the_protocol_and_says_what_transformers_says(offline: LanguageModel, tiny: Path):
    check_language_model(offline)
    check_constrained(offline)
    mine = language_model(f"transformers:{tiny}").complete(PROMPTS, max_tokens=12)
    theirs = offline.complete(PROMPTS, max_tokens=12)
    assert texts(theirs) == texts(mine)
    assert [r.completion_tokens for r in theirs] == [r.completion_tokens for r in mine]
    assert [r.prompt_tokens for r in theirs] == [r.prompt_tokens for r in mine]
    long, short = offline.complete([LONG, PROMPTS[0]], max_tokens=12)
    assert (long.valid, long.finish, short.valid) == (False, "error", True)


def test_choices_have_the_numbers_transformers_gives(
    offline: LanguageModel, tiny: Path, monkeypatch: pytest.MonkeyPatch
):
    """float32 on both sides; some choices are tokens, some several, one begins another."""
    from vllm.sampling_params import MAX_LOGPROB_TOKEN_IDS

    choices = (*CHOICES, "1. A film", "a choice of many tokens")
    mine = language_model(f"transformers:{tiny}").complete(PROMPTS, max_tokens=1, choices=choices)
    theirs = offline.complete(PROMPTS, max_tokens=1, choices=choices)
    apart = [abs(a[c] - b[c]) for a, b in zip(_told(mine), _told(theirs), strict=True) for c in a]
    print(f"apart by at most {max(apart):.1e}")
    assert max(apart) < ROUNDING
    assert [r.choice for r in theirs] == [r.choice for r in mine]
    assert [r.prompt_tokens for r in theirs] == [r.prompt_tokens for r in mine]
    long, short = offline.complete([LONG, PROMPTS[0]], max_tokens=1, choices=choices)
    assert (long.valid, long.finish, short.valid) == (False, "error", True)
    (alone,) = _told([short])
    assert max(abs(alone[c] - _told(theirs)[0][c]) for c in choices) < ROUNDING
    assert vllm_lm.MOST_TOKENS <= MAX_LOGPROB_TOKEN_IDS
    monkeypatch.setattr(vllm_lm, "MOST_TOKENS", 2)  # the same in more requests
    (told,) = _told(offline.complete(PROMPTS[:1], max_tokens=1, choices=choices))
    assert max(abs(told[c] - _told(mine)[0][c]) for c in choices) < ROUNDING


def _told(replies: list[Reply]) -> list[dict[str, float]]:
    return [dict(reply.logprobs or {}) for reply in replies]


@pytest.mark.skipif(not TRAINED.is_dir(), reason="no trained model here; run make test-llm")
def test_a_trained_model_knows_plain_facts_as_by_transformers():
    """Asked by structured outputs it found 6 of the 24 facts, what guessing finds."""
    model = language_model(f"vllm:{TRAINED}", engine={**ENGINE, "max_model_len": 1024})
    right, pairs = known_facts(model)
    print(f"vllm: {right} of {len(FACTS)} facts, {pairs} of 6 pairs")
    assert right >= bar(1e-3)
    mine = genre_scores(language_model(f"transformers:{TRAINED}"))
    assert np.abs(genre_scores(model) - mine).max() < ROUNDING


def test_real_films_are_judged(offline: LanguageModel, shared_data: Path, tmp_path: Path):
    """Both kinds of form are answered; asked again, everything is known and nothing is sent."""
    films = read_tidy(shared_data / "ml100k_mm", name="ml100k_mm")
    catalogue = told(films.catalogue)
    events = np.bincount(films.log.item, minlength=films.log.n_items)
    questions = make_questions(
        films.log,
        np.arange(8),
        like_at=4.0,
        log_popularity=np.log1p(events).astype(np.float32),
        per_user=1,
        K=4,
        history=4,
        rng=generator(100, "questions"),
    )
    for name in ("list", "yesno"):
        form = make_form(name, like_at=4.0, like_share=0.5)
        with AnswerCache(tmp_path / f"{name}.sqlite") as cache:
            teacher = LLMTeacher(offline, form, SHIPPED[name], cache, catalogue)
            answers = teacher.prefer(questions)
            assert [a.status for a in answers] == ["ok"] * 8
            for answer in answers:
                assert np.isfinite(answer.score).all()
                assert ((answer.score >= 0) & (answer.score <= 1)).all()
            sent = 8 if name == "list" else 8 * 4
            assert (teacher.tally.sent, teacher.tally.failures) == (sent, 0)
            assert teacher.tally.prompt_tokens > 1000 * sent
            again = LLMTeacher(offline, form, SHIPPED[name], cache, catalogue)
            for old, new in zip(answers, again.prefer(questions), strict=True):
                np.testing.assert_array_equal(old.score, new.score)
            assert (again.tally.sent, again.tally.hits) == (0, sent)
    config = offline._llm.llm_engine.vllm_config  # type: ignore[attr-defined]
    assert config.cache_config.enable_prefix_caching
    assert config.parallel_config.tensor_parallel_size == 1


def test_the_command_asks_a_model_in_two_parts_once_and_then_needs_none(
    shared_data: Path, tmp_path: Path
):
    """Tensor parallel: each worker holds one of the tiny model's two heads."""
    model = save_tiny(tmp_path / "tiny", context=CONTEXT)
    engine = ", ".join(f"{key}: {str(value).lower()}" for key, value in ENGINE.items())
    options = f"{{batch_size: 16, tensor_parallel_size: {workers()}, engine: {{{engine}}}}}"
    films = Films(tmp_path, shared_data, f"vllm:{model}", "list", options)
    planned = films.run("prefer", "--dry-run")
    assert "28 questions, 28 requests, 0 of them already answered" in planned
    assert "(counted by the model's tokenizer)" in planned and films.kept() == 0
    said = films.run("prefer")
    assert "list with template like-list-1: 28 ok; 0 of 28 replies not readable" in said
    assert "position bias: " in said and "order swap: " in said and "cost: 32 requests" in said
    assert films.kept() == films.QUESTIONS + films.SWAPPED
    model.rename(tmp_path / "away")
    assert films.run("prefer").startswith("seed 0: already asked, ")
    said = films.run("prefer", runs="other")  # the stage is lost, the answers are not
    assert "28 requests, 28 of them already answered; to send: 0 prompt tokens" in said
    assert films.stages("other") == films.stages()
    report = films.run("teacher", "report")
    assert "all of llm_ratings_3teachers.parquet" in report
    assert "cost: 32 requests" in report


def test_copies_of_the_weights_are_refused_with_the_way_that_works(tiny: Path):
    model = language_model(f"vllm:{tiny}", data_parallel_size=2, engine=ENGINE)
    with pytest.raises(SimrecError) as error:
        model.complete([LLMPrompt("x")], max_tokens=2)
    said = str(error.value)
    assert "(LLM(data_parallel_size=2) is not supported for single-process usage" in said
    assert said.endswith(
        f"for 2 copies of the weights run 'vllm serve {tiny} --data-parallel-size 2' and use "
        f"openai:MODEL@URL"
    )
