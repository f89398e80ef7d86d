"""What llama.cpp's server is asked, exactly, and how its answers are read; on a loopback server."""

import math

import pytest

from simrec.errors import SimrecError
from simrec.llm.protocol import LLMPrompt
from tests.llm_server import completion, model_at, serve

# its tokenizer writes "Maybe" as "maybe"
SPELT = {"yes": [3], "Yes": [5], "no": [1, 2], "No": [6], "maybe": [4], "Maybe": [4]}
WAYS = {way: ids for way, ids in SPELT.items() if way != "Maybe"}
SCORES = {  # with the end
    "yes": [-2.0, -0.5],
    "Yes": [-1.5, -1.0],
    "no": [-0.25, -0.5, -1.0],
    "No": [-2.0, -math.inf],
    "maybe": [-1.0, -4.0],
}
FORCED = {f"root ::= {' '.join(f'<[{n}]>' for n in ids)}": word for word, ids in WAYS.items()}


def llama(body):
    """Answer as the server does: tokens of a text, or what the grammar makes the model write."""
    if "content" in body:
        return {"tokens": SPELT[body["content"]]}
    word = FORCED[body["grammar"]]
    written = [{"token": "x", "logprob": s, "top_logprobs": []} for s in SCORES[word]]
    return completion(word, body["messages"][0]["content"], scores={"content": written})


def test_each_choice_is_forced_and_its_end_counts():
    """no: -0.25 - 0.5 - 1 = -1.75 beats yes: -2 - 0.5 = -2.5, twice with Yes, and maybe: -1 - 4."""
    with serve(llama) as server:
        model = model_at(server.url, server="llama.cpp", extra={"cache_prompt": False})
        assert model.complete([], max_tokens=1, choices=["yes", "no"]) == []
        [reply] = model.complete(
            [LLMPrompt("pick one")], max_tokens=1, choices=["yes", "no", "maybe"]
        )
    assert model.name.startswith("openai:tiny+scored+")  # its answers are kept apart
    assert reply.logprobs == pytest.approx({"yes": -2.5 + math.log(2), "no": -1.75, "maybe": -5.0})
    assert (reply.choice, reply.valid, reply.attempts, reply.prompt_tokens) == ("no", True, 1, 2)
    asked = [{"content": word, "add_special": False, "parse_special": False} for word in SPELT]
    forced = [
        {
            "model": "tiny",
            "messages": [{"role": "user", "content": "pick one"}],
            "max_tokens": len(ids) + 1,
            "temperature": 0,
            "logprobs": True,
            "top_logprobs": 1,
            "grammar": "root ::= " + " ".join(f"<[{n}]>" for n in ids),
            "cache_prompt": False,
        }
        for ids in WAYS.values()
    ]
    assert server.bodies == asked + forced
    assert sum(map(math.exp, reply.logprobs.values())) < 1


def test_a_server_that_is_another_kind_is_one_sentence():
    with serve(lambda body: {"error": "no such page"}) as server:
        model = model_at(server.url, server="llama.cpp", tries=1)
        with pytest.raises(SimrecError, match=r"server='llama\.cpp' is for llama\.cpp's server"):
            model.complete([LLMPrompt("x")], max_tokens=1, choices=["yes", "no"])

    def unforced(body):
        if "content" in body:
            return llama(body)
        written = [{"token": "The", "logprob": -1.0}] * 5
        return completion("The", "x", scores={"content": written})

    with serve(unforced) as server:
        model = model_at(server.url, server="llama.cpp", tries=1)
        with pytest.raises(SimrecError, match="5 tokens where 1 and the end were forced"):
            model.complete([LLMPrompt("x")], max_tokens=1, choices=["yes", "no"])


def test_a_prompt_that_is_too_long_is_marked():
    def fault(n, body):
        words = {"error": {"message": "the request exceeds the available context size"}}
        return (400, {}, words) if body.get("messages", [{}])[0].get("content") == "long" else None

    with serve(llama, fault) as server:
        model = model_at(server.url, server="llama.cpp", concurrency=1)
        prompts = [LLMPrompt("short"), LLMPrompt("long")]
        short, long = model.complete(prompts, max_tokens=1, choices=["yes", "no"])
    assert short.valid and (long.valid, long.finish) == (False, "error")
    assert long.reason == "the server refused it: the request exceeds the available context size"
