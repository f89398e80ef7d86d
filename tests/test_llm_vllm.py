"""What the vllm backend hands over and refuses, without vLLM; `make test-vllm` has the real one."""

import json
import os
import sys
from pathlib import Path

import pytest

from simrec.errors import SimrecError
from simrec.llm.backends import language_model
from simrec.llm.protocol import LLMPrompt
from tests.vllm_checks import HAS_VLLM


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
@pytest.mark.parametrize("copies", [1, 4])
def test_the_engine_gets_its_arguments_and_its_refusal_is_one_sentence(
    copies: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
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
        data_parallel_size=copies,
        engine={"max_model_len": 4096},
    )
    with pytest.raises(SimrecError) as error:
        model.complete([LLMPrompt("x")], max_tokens=2)
    for name in ("vllm", "vllm.sampling_params"):
        sys.modules.pop(name, None)
    said = str(error.value)
    assert said.startswith(f"vLLM cannot start with '{tmp_path}' (")
    assert said.endswith(
        "); see its output above, and change what it names with the option 'engine'"
        if copies == 1
        else f"); for 4 copies of the weights run 'vllm serve {tmp_path} --data-parallel-size 4' "
        f"and use openai:MODEL@URL"
    )
    assert json.loads(said[said.index("{") : said.rindex("}") + 1]) == {
        **({"data_parallel_size": copies} if copies > 1 else {}),
        "enable_prefix_caching": True,
        "max_model_len": 4096,
        "model": str(tmp_path),
        "structured_outputs_config": {"backend": "xgrammar", "disable_any_whitespace": True},
        "tensor_parallel_size": 2,
    }
