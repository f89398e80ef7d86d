"""What prompts share is run once, and moves no score: whatever the model, whatever they share."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers

from simrec.llm.backends.causal import Causal, log_softmax
from simrec.llm.backends.shared_prefix import ENDLESS, Sharing, alike, in_common
from simrec.llm.backends.transformers_lm import TransformersLM
from simrec.llm.protocol import LLMPrompt
from tests.tiny_lm import save_tiny
from tests.tiny_vlm import save_tiny_vlm

END, WINDOW = 0, 16
PLAIN = {"vocab_size": 97, "initializer_range": 0.3, "eos_token_id": END, "bos_token_id": None}
SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
LLAMA = PLAIN | SIZES | {"intermediate_size": 64, "num_key_value_heads": 2, "pad_token_id": END}
GPT2 = PLAIN | {"n_embd": 32, "n_layer": 2, "n_head": 2}
SLIDING = {"sliding_window": WINDOW, "layer_types": ["sliding_attention", "full_attention"]}
LOCAL = {"attention_types": [[["global", "local"], 1]], "window_size": WINDOW}
CONV = {"layer_types": ["conv", "full_attention"]}
LONG = {"rope_type": "longrope", "short_factor": [1.0] * 8, "long_factor": [4.0] * 8}
TURNS = {"original_max_position_embeddings": 48, "rope_parameters": LONG}
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("Llama", LLAMA),
    "qwen2": ("Qwen2", LLAMA),
    "gpt2": ("GPT2", GPT2),  # learned positions
    "gemma3": ("Gemma3Text", LLAMA | {"head_dim": 16} | SLIDING),
    "gpt_neo": ("GPTNeo", PLAIN | {"hidden_size": 32, "num_layers": 2, "num_heads": 2} | LOCAL),
    "bloom": ("Bloom", PLAIN | {"hidden_size": 32, "n_layer": 2, "n_head": 2}),  # no position_ids
    "lfm2": ("Lfm2", LLAMA | CONV),  # half of it recurrent
    "phi3": ("Phi3", LLAMA | TURNS),
}
LUCK = np.random.default_rng(5).integers(1, 97, (9, 40)).tolist()  # none of them the end
PREFIX = LUCK[0]
BATCHES = {
    "most": [PREFIX + LUCK[n][:count] for n, count in enumerate((3, 9, 9, 1, 14), start=1)],
    "nothing": [[n, *LUCK[n][:count]] for n, count in enumerate((20, 12, 30), start=1)],
    "all but one": [[*PREFIX, token] for token in (5, 6, 7)],
    "one of another": [PREFIX, [*PREFIX, 5], PREFIX + LUCK[1][:9]],
    "everything": [PREFIX, PREFIX],
    "a little": [[*PREFIX[:9], n, *LUCK[n][:30]] for n in (1, 2)],
}
OPTIONS = [[5], [6, 7], [9, 3, 4], [8]]  # two of them of one length


def causal(kind: str) -> Causal:
    """Return a random model without a tokenizer."""
    name, shape = MODELS[kind]
    config = getattr(transformers, f"{name}Config")(**shape)
    with torch.random.fork_rng():
        torch.manual_seed(7)
        model = transformers.AutoModelForCausalLM.from_config(config)
    return Causal(model.eval(), None, "cpu", (END,), 512)


@pytest.fixture(scope="module", params=[kind for kind in MODELS if kind != "phi3"])
def model(request: pytest.FixtureRequest) -> tuple[str, Causal]:
    return request.param, causal(request.param)


def alone(one: Causal, row: list[int], option: list[int]) -> float:
    """log P(option, end | row) by one pass over all tokens: no cache, no batch, no padding."""
    with torch.inference_mode():
        table = log_softmax(one.model(torch.tensor([row + option])).logits[0, len(row) - 1 :])
    said = [*option, END]
    return float(table[torch.arange(len(said)), said].sum())


def counted(one: Causal, rows: list[list[int]]) -> tuple[np.ndarray, int]:
    """Return scores, and how many tokens were run for them, padding included."""
    one.score([[1]], OPTIONS)  # the first call also looks at the cache
    seen: list[int] = []
    layer = one.model.get_input_embeddings()
    hook = layer.register_forward_hook(lambda _, given, out: seen.append(given[0].numel()))
    scores = one.score(rows, OPTIONS)
    hook.remove()
    return scores, sum(seen)


@pytest.mark.parametrize("batch", BATCHES)
def test_shared_scores_are_those_of_each_prompt_on_its_own(model: tuple[str, Causal], batch: str):
    rows = BATCHES[batch]
    scores, _ = counted(model[1], rows)
    want = [[alone(model[1], row, option) for option in OPTIONS] for row in rows]
    np.testing.assert_allclose(scores, want, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("batch", "padded", "unpadded", "unshared"),
    [  # seven tokens of options for every row
        ("most", 40 + 5 * 14 + 35, 40 + 3 + 2 * 9 + 1 + 14 + 35, 5 * 54 + 35),
        ("nothing", 3 * 31 + 21, 3 * 31 + 21, 3 * 31 + 21),
        ("all but one", 40 + 3 + 21, 40 + 3 + 21, 3 * 41 + 21),
        ("one of another", 39 + 3 * 10 + 21, 39 + 1 + 2 + 10 + 21, 3 * 49 + 21),
        ("everything", 39 + 2 + 14, 39 + 2 + 14, 2 * 40 + 14),
        ("a little", 2 * 40 + 14, 2 * 40 + 14, 2 * 40 + 14),  # 9 of 40: below a third
    ],
)
def test_how_many_tokens_are_run(
    model: tuple[str, Causal], batch: str, padded: int, unpadded: int, unshared: int
):
    kind, one = model
    ways = {"gemma3": unpadded, "gpt_neo": unpadded, "bloom": unpadded, "lfm2": unshared}
    assert counted(one, BATCHES[batch])[1] == ways.get(kind, padded)


def test_padding_is_allowed_as_long_as_the_window_holds_all():
    rows = [
        PREFIX[:8] + rest for rest in ([1], [2, 3, 4, 5, 6])
    ]  # 13 tokens and 3 of an option: the window
    one = causal("gemma3")
    scores, tokens = counted(one, rows)
    assert tokens == 8 + 2 * 5 + 2 * 7
    want = [[alone(one, row, option) for option in OPTIONS] for row in rows]
    np.testing.assert_allclose(scores, want, rtol=1e-5, atol=1e-5)
    assert counted(one, [[*row, 5] for row in rows])[1] == 8 + 2 + 6 + 2 * 7  # one more each


def test_nothing_is_shared_where_longer_prompts_turn_positions_otherwise():
    one = causal("phi3")
    rows = [[*PREFIX, 5, token] for token in (1, 2)]
    assert counted(one, rows)[1] == 41 + 2 + 14  # 45 tokens with the longest option
    assert counted(one, [[*row, 5, 6, 7, 8] for row in rows])[1] == 2 * 46 + 14


def test_rows_or_options_of_one_length_run_together_as_far_as_there_is_room():
    options = [[1], [1, 2], [3], [4], [5, 6]]
    assert alike(options, 5) == [[0, 2, 3], [1, 4]]
    assert alike(options, 2) == [[0, 2], [3], [1, 4]]
    assert alike(options, 1) == [[0], [2], [3], [1], [4]]


def test_what_rows_begin_with_leaves_each_a_token():
    assert in_common([[1, 2, 3], [1, 2, 4]]) == 2
    assert in_common([[1, 2, 3], [1, 2, 3]]) == 2
    assert in_common([[1, 2], [1, 2, 3, 4]]) == 1
    assert in_common([[1], [1, 2]]) == 0
    assert in_common([[1, 2, 3], [1, 3, 3], [1, 2, 3]]) == 1


def test_rows_alone_or_with_little_in_common_share_nothing():
    free = Sharing(ENDLESS, ENDLESS)
    assert free.plan([PREFIX], 2) == (0, [[0]])
    assert free.plan([PREFIX[:4] + [n] * 9 for n in (1, 2)], 2) == (0, [[0, 1]])  # 4 of 13
    assert free.plan([PREFIX[:5] + [n] * 9 for n in (1, 2)], 2) == (5, [[0, 1]])  # 5 of 14
    assert Sharing(42, ENDLESS).plan([PREFIX, PREFIX], 2) == (39, [[0, 1]])
    assert Sharing(41, ENDLESS).plan([PREFIX, PREFIX], 2) == (0, [[0, 1]])
    rows = [PREFIX, [*PREFIX, 1], PREFIX]
    assert Sharing(ENDLESS, 42).plan(rows, 2) == (39, [[0, 2], [1]])


@pytest.mark.parametrize("kind", ["llama", "llava", "gemma3", "qwen2vl"])
def test_prompts_of_one_history_get_the_scores_they_have_on_their_own(kind: str, tmp_path: Path):
    save = save_tiny if kind == "llama" else save_tiny_vlm  # which also read prompts of text alone
    folder = save(tmp_path / "tiny", kind=kind, context=2048)
    told = ["A person liked films about " + 20 * f"{what} and " for what in ("space", "robots")]
    prompts = [LLMPrompt(f"{told[n % 2]}\nCandidate {7**n}: yes or no?") for n in range(8)]
    together, single = TransformersLM(folder), TransformersLM(folder, batch_size=1)
    batches = together.batches(prompts, choices=("yes", "no"))
    assert sorted(map(sorted, batches)) == [[0, 2, 4, 6], [1, 3, 5, 7]]
    asked = {"max_tokens": 4, "choices": ("yes", "no")}
    for a, b in zip(
        together.complete(prompts, **asked), single.complete(prompts, **asked), strict=True
    ):
        assert a.logprobs == pytest.approx(b.logprobs, rel=1e-5, abs=1e-5)
        assert (a.choice, a.prompt_tokens) == (b.choice, b.prompt_tokens)
    assert len(together.batches(prompts)) == 1  # text is written with whoever is as long
