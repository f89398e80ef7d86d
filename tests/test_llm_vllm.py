"""The real vLLM, offline and as a server, on the tiny model: `make test-vllm`."""

import contextlib
import importlib.util
import json
import math
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from simrec.catalogue import Catalogue
from simrec.datasets.tidy import read_tidy
from simrec.errors import SimrecError
from simrec.llm.ask import LLMTeacher
from simrec.llm.backends import language_model
from simrec.llm.cache import AnswerCache
from simrec.llm.elicit import make_questions
from simrec.llm.forms import make_form
from simrec.llm.protocol import LanguageModel, LLMPrompt, Reply
from simrec.llm.templates import SHIPPED
from simrec.preferences import Question
from simrec.randomness import generator
from simrec.testing import check_language_model
from tests.tiny_lm import save_tiny

HAS_VLLM = importlib.util.find_spec("vllm") is not None
needs_vllm = pytest.mark.skipif(not HAS_VLLM, reason="vllm is not installed; run make test-vllm")
slow = pytest.mark.timeout(900)

PROMPTS = [LLMPrompt(f"A person liked film {n} about robots. Which is next?") for n in range(12)]
CHOICES = ("yes", "no", "1", "10")
SCHEMA = {
    "type": "object",
    "properties": {"rating": {"type": "integer", "enum": [1, 2, 3, 4, 5]}},
    "required": ["rating"],
    "additionalProperties": False,
}
CONTEXT = 8192  # a real question with descriptions has 5,000 of the tiny tokenizer's tokens
ENGINE = {
    "dtype": "float32",
    "max_model_len": CONTEXT,
    "enforce_eager": True,
    "max_num_seqs": 16,
    "data_parallel_size": 1,
}
LONG = LLMPrompt("space " * CONTEXT)


def test_without_vllm_there_is_one_sentence(tmp_path: Path):
    if HAS_VLLM:
        with pytest.raises(
            SimrecError, match=r"^the language model folder '.*' has no config\.json"
        ):
            language_model(f"vllm:{tmp_path}")
    else:
        with pytest.raises(SimrecError) as error:
            language_model(f"vllm:{tmp_path}")
        assert str(error.value) == (
            "the language model 'vllm:' needs the package vllm, which is not installed; pip "
            "install 'simrec[vllm]' in an environment of its own, or serve the model elsewhere and "
            "use openai:MODEL@URL"
        )


STAND_IN = {
    "__init__.py": """
import json

class LLM:
    def __init__(self, **arguments):
        raise ValueError(json.dumps(arguments))

def SamplingParams(**options):
    return options
""",
    "sampling_params.py": "StructuredOutputsParams = dict",
}


@pytest.mark.skipif(HAS_VLLM, reason="the real vllm is here")
def test_the_engine_gets_its_arguments_and_its_refusal_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """With a package in vLLM's place that refuses to start and says what it was given."""
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "vllm").mkdir()
    for name, text in STAND_IN.items():
        (tmp_path / "vllm" / name).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("HF_HUB_OFFLINE", "VLLM_NO_USAGE_STATS"):
        monkeypatch.setenv(name, os.environ.get(name, "1"))  # the backend sets them; put back
    model = language_model(
        f"vllm:{tmp_path}",
        tensor_parallel_size=2,
        data_parallel_size=4,
        engine={"max_model_len": 4096},
    )
    with pytest.raises(SimrecError) as error:
        model.complete([LLMPrompt("x")], max_tokens=2)
    for name in ("vllm", "vllm.sampling_params"):
        sys.modules.pop(name, None)
    said = str(error.value)
    assert said.startswith(f"vLLM cannot start with '{tmp_path}' (") and "option 'engine'" in said
    assert json.loads(said[said.index("{") : said.rindex("}") + 1]) == {
        "data_parallel_size": 4,
        "enable_prefix_caching": True,
        "max_model_len": 4096,
        "model": str(tmp_path),
        "structured_outputs_config": {"backend": "xgrammar", "disable_any_whitespace": True},
        "tensor_parallel_size": 2,
    }


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("models") / "tiny", context=CONTEXT)


@pytest.fixture(scope="module")
def offline(tiny: Path) -> LanguageModel:
    return language_model(
        f"vllm:{tiny}", tensor_parallel_size=1, enable_prefix_caching=True, engine=ENGINE
    )


def answers(url: str) -> bool:
    try:
        return bool(urllib.request.urlopen(url, timeout=5).status == 200)
    except OSError:
        return False


@pytest.fixture(scope="module")
def served(tiny: Path) -> Iterator[LanguageModel]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        *(sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(tiny)),
        *("--served-model-name", "tiny", "--dtype", "float32"),
        *("--max-model-len", str(CONTEXT), "--enable-prefix-caching"),
        *("--tensor-parallel-size", "1", "--data-parallel-size", "1"),
        *("--enforce-eager", "--max-num-seqs", "16", "--host", "127.0.0.1", "--port", str(port)),
        *("--structured-outputs-config", '{"backend":"xgrammar","disable_any_whitespace":true}'),
    ]
    server = subprocess.Popen(command, env={**os.environ, "HF_HUB_OFFLINE": "1"})
    try:
        patience = time.monotonic() + 600
        while not answers(f"http://127.0.0.1:{port}/health"):
            assert time.monotonic() < patience, "the server did not start within ten minutes"
            with contextlib.suppress(subprocess.TimeoutExpired):
                pytest.fail(f"the server ended with status {server.wait(1)}")
        yield language_model(f"openai:tiny@http://127.0.0.1:{port}/v1", concurrency=8)
    finally:
        server.terminate()
        server.wait(60)


def check_constrained(model: LanguageModel) -> None:
    """Random weights obey a choice and a schema at the first attempt only if they are made to."""
    for reply in model.complete(PROMPTS, max_tokens=16, choices=CHOICES):
        assert reply.valid and reply.attempts == 1 and reply.choice in CHOICES
        assert reply.logprobs is not None and reply.choice in reply.logprobs
        assert sum(math.exp(s) for s in reply.logprobs.values()) <= 1
    for reply in model.complete(PROMPTS, max_tokens=32, schema=SCHEMA):
        assert reply.valid and reply.attempts == 1, reply
        assert json.loads(reply.text)["rating"] in range(1, 6)


@pytest.fixture(scope="module")
def asked() -> tuple[Catalogue, list[Question]]:
    """Eight people of the real films, a question each; skipped where the data is not here."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data" / "ml100k_mm"
    if not folder.is_dir():
        pytest.skip(f"the real films are not at {folder}")
    films = read_tidy(folder, name="ml100k_mm")
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
    return films.catalogue, questions


def check_elicitation(
    model: LanguageModel, asked: tuple[Catalogue, list[Question]], folder: Path
) -> None:
    """Both kinds of form are answered; asked again, everything is known and nothing is sent."""
    films, questions = asked
    for name in ("list", "yesno"):
        form = make_form(name, like_at=4.0, like_share=0.5)
        with AnswerCache(folder / f"{name}.sqlite") as cache:
            teacher = LLMTeacher(model, form, SHIPPED[name], cache, films)
            answers = teacher.prefer(questions)
            assert [a.status for a in answers] == ["ok"] * 8
            for answer in answers:
                assert np.isfinite(answer.score).all()
                assert ((answer.score >= 0) & (answer.score <= 1)).all()
            sent = 8 if name == "list" else 8 * 4
            assert (teacher.tally.sent, teacher.tally.failures) == (sent, 0)
            assert teacher.tally.prompt_tokens > 1000 * sent
            again = LLMTeacher(model, form, SHIPPED[name], cache, films)
            for old, new in zip(answers, again.prefer(questions), strict=True):
                np.testing.assert_array_equal(old.score, new.score)
            assert (again.tally.sent, again.tally.hits) == (0, sent)


def texts(replies: list[Reply]) -> list[str]:
    """vLLM holds back a character whose last bytes were cut off; transformers shows U+FFFD."""
    return [reply.text.rstrip("\ufffd") for reply in replies]


@needs_vllm
@slow
def test_vllm_offline(offline: LanguageModel, tiny: Path):
    check_language_model(offline)
    check_constrained(offline)
    mine = language_model(f"transformers:{tiny}").complete(PROMPTS, max_tokens=12)
    theirs = offline.complete(PROMPTS, max_tokens=12)
    assert texts(theirs) == texts(mine)
    assert [r.completion_tokens for r in theirs] == [r.completion_tokens for r in mine]
    assert [r.prompt_tokens for r in theirs] == [r.prompt_tokens for r in mine]
    long, short = offline.complete([LONG, PROMPTS[0]], max_tokens=12)
    assert (long.valid, long.finish, short.valid) == (False, "error", True)


@needs_vllm
@slow
def test_real_films_are_judged_offline(
    offline: LanguageModel, asked: tuple[Catalogue, list[Question]], tmp_path: Path
):
    check_elicitation(offline, asked, tmp_path)
    config = offline._llm.llm_engine.vllm_config  # type: ignore[attr-defined]
    assert config.cache_config.enable_prefix_caching
    assert config.parallel_config.tensor_parallel_size == 1
    assert config.parallel_config.data_parallel_size == 1


@needs_vllm
@slow
def test_real_films_are_judged_by_a_server(
    served: LanguageModel, asked: tuple[Catalogue, list[Question]], tmp_path: Path
):
    check_elicitation(served, asked, tmp_path)


@needs_vllm
@slow
def test_vllm_as_a_server(served: LanguageModel, tiny: Path):
    check_language_model(served)
    check_constrained(served)
    mine = language_model(f"transformers:{tiny}").complete(PROMPTS, max_tokens=12)
    assert texts(served.complete(PROMPTS, max_tokens=12)) == texts(mine)
    long, short = served.complete([LONG, PROMPTS[0]], max_tokens=12)
    assert (long.valid, long.finish, short.valid) == (False, "error", True)
