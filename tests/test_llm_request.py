"""Requests and scripted models: what counts as a valid reply, and a check that bites."""

import json
import math
from dataclasses import replace

import pytest

from simrec.errors import SimrecError
from simrec.llm.backends import language_model
from simrec.llm.backends.scripted import ScriptedLM
from simrec.llm.protocol import LLMPrompt
from simrec.llm.request import Answer, make_request
from simrec.llm.token_scores import TokenScore, choice_logprobs
from simrec.testing import check_language_model

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}


def choice(text: str, *choices: str) -> str | None:
    request = make_request(max_tokens=5, choices=choices, schema=None)
    return request.check(Answer(text, "stop")).choice


def test_scripted_models_keep_the_protocol():
    check_language_model(language_model("scripted:hash"))
    check_language_model(language_model("scripted:simrec.llm.backends.scripted:hashed"))
    check_language_model(ScriptedLM("polite", lambda prompt, choices, schema: "thank you"))


def test_the_hash_script_answers_within_any_form_and_by_the_prompt_alone():
    model = language_model("scripted:hash")
    prompts = [LLMPrompt(f"question {n}") for n in range(50)]
    replies = model.complete(prompts, max_tokens=9, choices=["1", "2", "3"])
    assert {r.choice for r in replies} == {"1", "2", "3"}
    for reply in replies:
        assert sum(math.exp(s) for s in reply.logprobs.values()) == pytest.approx(1)
        assert reply.logprobs[reply.choice] == max(reply.logprobs.values())
    assert model.complete(prompts[7:8], max_tokens=9, choices=["1", "2", "3"]) == [replies[7]]
    numbers = {
        "type": "array",
        "items": {"enum": [1, 2, 3, 4]},
        "uniqueItems": True,
        "minItems": 4,
        "maxItems": 4,
    }
    schema = {"type": "object", "properties": {"ranking": numbers}, "required": ["ranking"]}
    for reply in model.complete(prompts, max_tokens=9, schema=schema):
        assert reply.valid and sorted(json.loads(reply.text)["ranking"]) == [1, 2, 3, 4]


def test_a_choice_may_be_dressed_but_must_be_one():
    assert choice(" yes\n", "yes", "no") == "yes"
    assert choice('"Yes."', "yes", "no") == "yes"
    assert choice("no!", "yes", "no") is None
    assert choice("yes, because", "yes", "no") is None
    assert choice("10", "1", "10") == "10"
    assert choice("", "yes", "no") is None


def test_json_is_checked_whatever_it_is_wrapped_in():
    request = make_request(max_tokens=5, choices=None, schema=SCHEMA)

    def reason(text: str, finish: str = "stop") -> str:
        reply = request.check(Answer(text, finish))
        assert reply.valid == (reply.reason == "")
        return reply.reason

    assert reason('{"n": 1}') == reason('```json\n{"n": 1}\n```') == reason('```{"n": 1}```') == ""
    assert reason("{}") == "reply: 'n' is a required property breaks the schema's required"
    assert reason('{"n": 1', "length") == "cut off at 5 tokens"
    assert reason('{"n": 1} I hope') == '"{\\"n\\": 1} I hope" is not JSON'
    assert reason("x" * 90) == f'"{"x" * 60}..." is not JSON'
    assert reason("[" * 100_000).endswith("is not JSON")


def test_requests_that_make_no_sense_are_one_sentence():
    bad = [
        ({"max_tokens": 0}, "max_tokens is 0; expected 1 or more"),
        ({"choices": ["a"], "schema": SCHEMA}, "at most one of them"),
        ({"choices": []}, "expected at least one, none empty, all different"),
        ({"choices": ["Yes", "yes"]}, "all different"),
        ({"schema": {"type": "objekt"}}, "the schema is no JSON Schema: 'objekt' is not valid"),
    ]
    for change, sentence in bad:
        with pytest.raises(SimrecError, match=sentence):
            language_model("scripted:hash").complete(
                [LLMPrompt("x")], **{"max_tokens": 5, "choices": None, "schema": None, **change}
            )


def test_names_that_mean_nothing_are_one_sentence():
    with pytest.raises(SimrecError) as error:
        language_model("transformer:models/x")
    assert str(error.value) == (
        "there is no language model 'transformer:models/x'; did you mean 'transformers'?"
    )
    with pytest.raises(SimrecError, match="names nothing after 'vllm:'"):
        language_model("vllm:")
    with pytest.raises(SimrecError, match=r"cannot load 'scripted:no\.such:thing' \(No module"):
        language_model("scripted:no.such:thing")
    with pytest.raises(
        SimrecError, match="'scripted:first' is no function; expected scripted:hash"
    ):
        language_model("scripted:first")


def test_what_is_known_of_the_choices():
    first = TokenScore("yes", -1.0, {"yes": -1.0, "no": -2.0, "y": -3.0})
    assert choice_logprobs(["yes", "no", "maybe"], "yes", [first]) == {"yes": -1.0, "no": -2.0}
    # "y" can go on to "yes", so its first token says nothing of the reply "y"
    assert choice_logprobs(["yes", "y"], "yes", [first]) == {"yes": -1.0}
    # a reply in another case or after a space is taken for the choice, so its share is the choice's
    ways = {"Yes": 1 / 4, "yes": 1 / 8, " Yes": 1 / 8, "No": 1 / 5, "If": 1 / 9}
    free = TokenScore("Yes", math.log(1 / 4), {way: math.log(p) for way, p in ways.items()})
    assert choice_logprobs(["yes", "no"], "yes", [free]) == pytest.approx(
        {"yes": math.log(1 / 2), "no": math.log(1 / 5)}
    )
    # told to four places, two halves can be a little more than all
    halves = TokenScore("yes", -0.6931, {"Yes": -0.6931})
    assert choice_logprobs(["yes", "no"], "yes", [halves]) == {"yes": 0.0}
    parts = [TokenScore(t, s, {}) for t, s in [("may", -0.5), ("be", -0.25), ("<|end|>", -9.0)]]
    assert choice_logprobs(["yes", "maybe"], "maybe", parts[:2]) == {"maybe": -0.75}
    assert choice_logprobs(["yes", "maybe"], "maybe", parts) == {"maybe": -0.75}
    assert choice_logprobs(["yes", "no"], None, []) is None


class Broken(ScriptedLM):
    """Keeps the protocol but for one change made to every reply."""

    def __init__(self, **change):
        super().__init__("broken", language_model("scripted:hash")._script)
        self.change = change

    def complete_each(self, prompts, on_reply, **options):
        def changed(n, reply):
            on_reply(n, replace(reply, **self.change))

        super().complete_each(prompts, changed, **options)


@pytest.mark.parametrize(
    "change",
    [
        {"choice": "blue"},
        {"reason": "bad"},
        {"completion_tokens": 999},
        {"logprobs": {"yes": 0.5}},
        {"logprobs": {"blue": -1.0}},
        {"logprobs": {"yes": -0.1, "no": -0.2}},
        {"text": "{}"},
        {"attempts": 0},
    ],
    ids=str,
)
def test_the_conformance_check_catches(change):
    with pytest.raises(AssertionError):
        check_language_model(Broken(**change))


def test_the_conformance_check_catches_lost_and_doubled_replies():
    class Twice(ScriptedLM):
        def complete_each(self, prompts, on_reply, **options):
            for _ in range(2):
                super().complete_each(prompts, on_reply, **options)

    with pytest.raises(AssertionError, match="replies arrived for"):
        check_language_model(Twice("twice", language_model("scripted:hash")._script))
