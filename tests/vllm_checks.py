"""What is asked of the real vLLM, offline and as a server; `make test-vllm` runs it."""

import importlib.util
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

from simrec.llm.cache import AnswerCache
from simrec.llm.protocol import LanguageModel, LLMPrompt, Reply

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
LONG = LLMPrompt("space " * CONTEXT)


def workers() -> int:
    """Two, of any machine's processors; with cards, as many as there are of them up to two."""
    import torch

    return min(2, torch.cuda.device_count()) or 2


def check_constrained(model: LanguageModel) -> None:
    """Random weights obey a choice and a schema at the first attempt only if they are made to."""
    for reply in model.complete(PROMPTS, max_tokens=16, choices=CHOICES):
        assert reply.valid and reply.attempts == 1 and reply.choice in CHOICES
        assert reply.logprobs is not None and reply.choice in reply.logprobs
        assert sum(math.exp(s) for s in reply.logprobs.values()) <= 1
    for reply in model.complete(PROMPTS, max_tokens=32, schema=SCHEMA):
        assert reply.valid and reply.attempts == 1, reply
        assert json.loads(reply.text)["rating"] in range(1, 6)


def texts(replies: list[Reply]) -> list[str]:
    """vLLM holds back a character whose last bytes were cut off; transformers shows U+FFFD."""
    return [reply.text.rstrip("\ufffd") for reply in replies]


class Films:
    """`simrec prefer configs/ml100k.yaml` and what follows it, on the real films, for few users."""

    QUESTIONS = 28  # one for each of the users who are not online
    SWAPPED = 4  # of a form with several candidates in a prompt

    def __init__(self, folder: Path, data: Path, model: str, form: str, options: str) -> None:
        self.folder = folder
        self.home = folder / "home"
        teacher = (
            f"teacher={{kind: llm, model: '{model}', form: {form}, questions_per_user: 1, "
            f"candidates: 4, swap_sample: {self.SWAPPED}, options: {options}}}"
        )
        settings = (
            f"data.path={data / 'ml100k_mm'}",
            "seeds=[0]",
            "split={online_share: 0.97, history: 3}",
            teacher,
        )
        self._settings = [part for key in settings for part in ("--set", key)]

    def start(self, *words: str, runs: str = "runs") -> subprocess.Popen[str]:
        """Start `simrec WORDS configs/ml100k.yaml`."""
        study = Path(__file__).resolve().parents[1] / "configs" / "ml100k.yaml"
        command = [str(Path(sys.executable).with_name("simrec")), *words, str(study)]
        return subprocess.Popen(
            [*command, "--runs", str(self.folder / runs), *self._settings],
            env={**os.environ, "SIMREC_HOME": str(self.home), "COLUMNS": "200"},
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, *words: str, runs: str = "runs") -> str:
        """Run it to its end; return what it printed."""
        process = self.start(*words, runs=runs)
        out, _ = process.communicate()
        assert process.returncode == 0, out
        return out

    def kept(self) -> int:
        """Return how many answers are in the cache."""
        with AnswerCache(self.home / "answers.sqlite") as cache:
            return len(cache)

    def stages(self, runs: str = "runs") -> dict[str, bytes]:
        """Return the preferences, and what was measured of them, as bytes."""
        folder = self.folder / runs / "ml100k" / "stages"
        found = {path.name: path.read_bytes() for path in sorted(folder.glob("preferences*"))}
        assert len(found) == 2, found.keys()
        return found
