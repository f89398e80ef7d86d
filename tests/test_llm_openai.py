"""The openai backend on a loopback server: exact requests, and how replies are read."""

import asyncio
import threading

import pytest

from simrec.errors import SimrecError
from simrec.llm.backends import language_model
from simrec.llm.backends.openai_lm import OpenAILM
from simrec.llm.protocol import LLMPrompt
from simrec.testing import check_language_model
from tests.llm_server import completion, model_at, serve

SCHEMA = {
    "type": "object",
    "properties": {"liked": {"type": "array", "items": {"type": "integer"}}},
    "required": ["liked"],
    "additionalProperties": False,
}


def test_it_keeps_the_protocol():
    with serve() as server:
        check_language_model(language_model(f"openai:tiny@{server.url}", api_key="k"))
        assert language_model(f"openai:tiny@{server.url}/").name == "openai:tiny"


def test_the_requests_are_exactly_these():
    with serve() as server:
        model = model_at(server.url)
        model.complete([LLMPrompt("hello")], max_tokens=5)
        model.complete([LLMPrompt("pick")], max_tokens=5, choices=["yes", "no"])
        model.complete([LLMPrompt("list")], max_tokens=5, schema=SCHEMA)
        model_at(server.url, server="openai").complete(
            [LLMPrompt("yes")], max_tokens=5, choices=["reply-5c94a4a2", "no"]
        )
        extra = {"max_tokens": None, "max_completion_tokens": 9}
        model_at(server.url, extra=extra).complete([LLMPrompt("hello")], max_tokens=5)
    base = {"model": "tiny", "max_tokens": 5, "temperature": 0}
    scores = {"logprobs": True, "top_logprobs": 20}

    def says(text: str) -> dict:
        return {"messages": [{"role": "user", "content": text}]}

    form = {
        "type": "json_schema",
        "json_schema": {"name": "reply", "schema": SCHEMA, "strict": True},
    }
    assert server.bodies[:3] == [
        {**base, **says("hello")},
        {**base, **says("pick"), **scores, "structured_outputs": {"choice": ["yes", "no"]}},
        {**base, **says("list"), "response_format": form},
    ]
    assert server.bodies[3] == {**base, **says("yes"), **scores}
    assert server.bodies[-1] == {
        "model": "tiny", "temperature": 0, "max_completion_tokens": 9, **says("hello")
    }  # fmt: skip
    assert {h["authorization"] for h in server.headers} == {"Bearer secret"}


def test_a_picture_goes_along_as_a_data_url():
    png = b"\x89PNG\r\n\x1a\n" + bytes(3)
    with serve(lambda body: completion("ok", "x")) as server:
        model_at(server.url).complete([LLMPrompt("cover", (png,))], max_tokens=5)
        with pytest.raises(SimrecError, match=r"begins with b'oops'; expected a PNG, JPEG, GIF"):
            model_at(server.url).complete([LLMPrompt("cover", (b"oops",))], max_tokens=5)
    assert server.bodies[0]["messages"][0]["content"] == [
        {"type": "text", "text": "cover"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgoAAAA="}},
    ]


def test_wrong_choices_are_asked_for_once_more_and_then_marked():
    def stubborn(body):
        text = body["messages"][0]["content"]
        good = "second" in text and "An earlier reply was wrong" in text
        return completion(' "Yes." ' if good else "maybe so", text)

    prompts = [LLMPrompt("first"), LLMPrompt("second")]
    with serve(stubborn) as server:
        first, second = model_at(server.url).complete(prompts, max_tokens=5, choices=["yes", "no"])
    assert (first.valid, first.choice, first.attempts) == (False, None, 2)
    assert first.reason == '"maybe so" is none of the 2 choices'
    assert (second.valid, second.choice, second.attempts) == (True, "yes", 2)
    assert len(server.bodies) == 4
    assert (first.completion_tokens, second.completion_tokens) == (4, 3)  # words of both attempts
    asked = [b["messages"][0]["content"] for b in server.bodies]
    assert (
        'first\n\nAn earlier reply was wrong: "maybe so" is none of the 2 choices. Reply with '
        'exactly one of these and nothing else: "yes", "no"'
    ) in asked


def test_json_that_breaks_the_schema_or_is_cut_is_marked():
    texts = {
        "cut": '{"liked": [1, 2',
        "wrong": '{"liked": "2"}',
        "extra": '{"liked": [], "note": 1}',
        "fenced": '```json\n{"liked": [2]}\n```',
        "nan": '{"liked": [NaN]}',
    }

    def reply(body):
        word = body["messages"][0]["content"].split()[0]
        return completion(texts[word], word, finish="length" if word == "cut" else "stop")

    with serve(reply) as server:
        replies = model_at(server.url).complete(
            [LLMPrompt(word) for word in texts], max_tokens=7, schema=SCHEMA
        )
    cut, wrong, extra, fenced, nan = replies
    assert cut.reason == "cut off at 7 tokens" and cut.finish == "length"
    assert wrong.reason == "reply['liked']: '2' is not of type 'array' breaks the schema's type"
    assert extra.reason.endswith("breaks the schema's additionalProperties")
    assert nan.reason == '"{\\"liked\\": [NaN]}" is not JSON'
    assert (fenced.valid, fenced.text, fenced.attempts) == (True, '{"liked": [2]}', 1)
    assert [r.valid for r in replies] == [False, False, False, True, False]


def test_log_probabilities_of_choices_come_from_the_first_place():
    def token(text, score, **others):
        top = [{"token": t, "logprob": s} for t, s in others.items()]
        return {"token": text, "logprob": score, "top_logprobs": top}

    def reply(body):
        if body["messages"][0]["content"] == "one token":
            scores = [token("no", -0.5, no=-0.5, yes=-1.0, maybe=-3.0)]
            return completion("no", "x", scores={"content": scores})
        scores = [token("1", -0.2, **{"1": -0.2, "2": -2.0}), token("0", -0.3)]
        return completion("10", "x", scores={"content": scores})

    with serve(reply) as server:
        model = model_at(server.url)
        [a] = model.complete([LLMPrompt("one token")], max_tokens=3, choices=["yes", "no"])
        [b] = model.complete([LLMPrompt("two")], max_tokens=3, choices=["1", "2", "10"])
    assert a.logprobs == {"yes": -1.0, "no": -0.5}
    assert b.choice == "10"
    assert b.logprobs == pytest.approx({"2": -2.0, "10": -0.5})  # "1" could have gone on to "10"


def test_no_more_than_the_given_number_is_in_flight_and_each_waits_for_the_one_kept():
    kept: list[int] = []
    with serve() as server:
        model_at(server.url, concurrency=4).complete_each(
            [LLMPrompt(str(n)) for n in range(40)],
            lambda n, reply: (
                kept.append(n) if len(server.bodies) <= len(kept) + 4 else pytest.fail("too early")
            ),
            max_tokens=3,
        )
    assert sorted(kept) == list(range(40)) and server.most <= 4


def test_it_works_where_a_loop_runs_already_as_in_a_notebook():
    mine = threading.get_ident()
    kept: list[int] = []

    def keep(n, reply):
        assert threading.get_ident() == mine
        kept.append(n)
        if len(kept) == 3:
            raise OSError("No space left on device")

    async def cell(model) -> None:
        prompts = [LLMPrompt(str(n)) for n in range(20)]
        assert [r.valid for r in model.complete(prompts, max_tokens=3)] == [True] * 20
        model.complete_each(prompts, keep, max_tokens=3)

    with serve() as server, pytest.raises(OSError, match="No space left"):
        asyncio.run(cell(model_at(server.url, concurrency=2)))
    assert len(kept) == 3 and len(server.bodies) <= 20 + 3 + 1


def test_the_proxy_of_the_environment_is_used_but_not_for_those_it_excepts(monkeypatch):
    for name in ("HTTP_PROXY", "NO_PROXY", "no_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    with serve() as server:
        monkeypatch.setenv("http_proxy", server.url.removesuffix("/v1"))
        with pytest.raises(SimrecError, match="away with status 404"):  # it serves one page only
            model_at("http://elsewhere.invalid/v1").complete([LLMPrompt("x")], max_tokens=3)
        assert server.headers[0]["host"] == "elsewhere.invalid"
        monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")  # nobody listens
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        [reply] = model_at(server.url).complete([LLMPrompt("x")], max_tokens=3)
    assert reply.valid


def test_who_pays_is_named_and_a_key_that_cannot_be_sent_is_one_sentence(monkeypatch):
    monkeypatch.setenv("OPENAI_ORG_ID", "org-7")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "proj-9")
    with serve() as server:
        model_at(server.url).complete([LLMPrompt("x")], max_tokens=3)
        with pytest.raises(SimrecError, match="key has letters outside ASCII; put a valid key"):
            OpenAILM("tiny", server.url, api_key="sécret").complete([LLMPrompt("x")], max_tokens=3)
    (headers,) = server.headers
    assert (headers["openai-organization"], headers["openai-project"]) == ("org-7", "proj-9")


def test_an_address_that_cannot_be_read_is_one_sentence():
    with pytest.raises(SimrecError, match=r"the address 'http://here:port/v1' cannot be read"):
        model_at("http://here:port/v1").complete([LLMPrompt("x")], max_tokens=3)


def test_a_model_without_a_server_is_one_sentence():
    with pytest.raises(SimrecError) as error:
        language_model("openai:gemma")
    assert str(error.value) == (
        "the language model 'openai:gemma' names no model and server; expected openai:MODEL@URL, "
        "for example openai:gemma-3@http://127.0.0.1:8000/v1"
    )
