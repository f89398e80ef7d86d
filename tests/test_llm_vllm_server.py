"""vLLM's own OpenAI server on two copies of the tiny model, and `simrec prefer` against it."""

import contextlib
import os
import random
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from simrec.llm.backends import language_model
from simrec.testing import check_language_model
from tests.tiny_lm import save_tiny
from tests.vllm_checks import (
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


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("models") / "tiny", context=CONTEXT)


def answers(url: str) -> bool:
    try:
        return bool(urllib.request.urlopen(url, timeout=5).status == 200)
    except OSError:
        return False


@pytest.fixture(scope="module")
def served(tiny: Path) -> Iterator[str]:
    """What a study calls the model."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        *(sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(tiny)),
        *("--served-model-name", "tiny", "--dtype", "float32"),
        *("--max-model-len", str(CONTEXT), "--enable-prefix-caching"),
        *("--data-parallel-size", str(workers())),
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
        yield f"openai:tiny@http://127.0.0.1:{port}/v1"
    finally:
        server.terminate()
        server.wait(60)


def test_it_keeps_the_protocol_and_says_what_transformers_says(served: str, tiny: Path):
    model = language_model(served, concurrency=8)
    check_language_model(model)
    check_constrained(model)
    mine = language_model(f"transformers:{tiny}").complete(PROMPTS, max_tokens=12)
    assert texts(model.complete(PROMPTS, max_tokens=12)) == texts(mine)
    long, short = model.complete([LONG, PROMPTS[0]], max_tokens=12)
    assert (long.valid, long.finish, short.valid) == (False, "error", True)


@pytest.mark.parametrize("form", ["list", "yesno"])
def test_the_command_judges_real_films(form: str, served: str, shared_data: Path, tmp_path: Path):
    films = Films(tmp_path, shared_data, served, form, "{concurrency: 8}")
    requests = films.QUESTIONS * (1 if form == "list" else 4)
    planned = films.run("prefer", "--dry-run")
    assert f"28 questions, {requests} requests, 0 of them already answered" in planned
    said = films.run("prefer")
    assert f": 28 ok; 0 of {requests} replies not readable" in said
    gone = Films(tmp_path, shared_data, "openai:tiny@http://127.0.0.1:9/v1", form, "{}")
    assert "to send: 0 prompt tokens" in gone.run("prefer", runs="other")  # and no server is there
    assert gone.stages("other") == films.stages()
    report = films.run("teacher", "report")
    assert "all of llm_ratings_3teachers.parquet" in report and "cost: " in report


def test_killed_and_run_again_it_keeps_the_same_bytes(
    served: str, shared_data: Path, tmp_path: Path
):
    """Replies to a list do not depend on which requests the server met together."""
    whole = Films(tmp_path / "whole", shared_data, served, "list", "{concurrency: 8}")
    whole.run("prefer")
    asked = whole.kept()
    films = Films(tmp_path / "killed", shared_data, served, "list", "{concurrency: 8}")
    luck = random.Random(4)
    for _ in range(3):
        goal = films.kept() + luck.randint(0, asked // 4)
        process = films.start("prefer")
        while films.kept() < goal and process.poll() is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.02)
        process.kill()
        process.communicate()
    films.run("prefer")
    assert films.stages() == whole.stages()
