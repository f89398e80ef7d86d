"""The openai backend and a server that fails: nothing lost or paid twice, and when to stop."""

import threading

import pytest

from simrec.errors import SimrecError
from simrec.llm.backends.backoff import retry_after_seconds, wait_seconds
from simrec.llm.backends.openai_lm import OpenAILM
from simrec.llm.protocol import LLMPrompt
from tests.llm_server import NOON, model_at, obedient, serve


def test_every_fault_is_survived_and_every_answer_counted_once():
    busy = (429, {"Retry-After": "7"}, {"error": {"message": "slow down"}})
    dated = (503, {"Retry-After": "Fri, 02 Jan 2026 12:00:09 GMT"}, {})
    faults = [busy, (500, {}, "boom"), "cut", "half", "garbage", dated, (200, {}, {"choices": []})]
    prompts = [LLMPrompt(f"item {n} and {n * n}") for n in range(60)]
    waits: list[float] = []
    with serve(fault=lambda n, body: faults[n] if n < len(faults) else None) as server:
        model = model_at(server.url, waits, luck=0.0, concurrency=16)
        arrived: dict[int, int] = {}
        mine = threading.get_ident()

        def on_reply(n, reply):
            assert threading.get_ident() == mine
            arrived[n] = arrived.get(n, 0) + 1
            replies[n] = reply

        replies: dict = {}
        model.complete_each(prompts, on_reply, max_tokens=9, choices=["yes", "no"])
    assert arrived == dict.fromkeys(range(60), 1)
    assert server.answered == 60 and len(server.bodies) == 60 + len(faults)
    for n, prompt in enumerate(prompts):
        want = obedient(
            {
                "messages": [{"content": prompt.text}],
                "structured_outputs": {"choice": ["yes", "no"]},
            }
        )
        assert replies[n].choice == want["choices"][0]["message"]["content"]
        assert (replies[n].prompt_tokens, replies[n].completion_tokens) == (4, 1)
        assert replies[n].attempts == 1
    assert sorted(waits) == [0, 0, 0, 0, 0, 7, 9]  # no jitter: only what the server named


def test_a_server_that_is_silent_is_asked_again():
    waits: list[float] = []
    with serve(fault=lambda n, body: "silent" if n == 0 else None) as server:
        [reply] = model_at(server.url, waits, timeout=3.0).complete(
            [LLMPrompt("a b")], max_tokens=5
        )
    assert reply.valid and len(server.bodies) == 2 and waits == [0.25]


def test_the_wait_of_its_own_ends_when_the_call_ends():
    failed = threading.Event()

    def fault(n, body):
        if body["messages"][0]["content"] == "0":
            failed.set()
            return 500, {}, {}
        assert failed.wait(30)  # whichever came first, prompt 0 fails before prompt 1 ends the call
        return 401, {}, {}

    prompts = [LLMPrompt("0"), LLMPrompt("1")]
    with serve(fault=fault) as server, pytest.raises(SimrecError, match="with status 401"):
        OpenAILM(  # prompt 0 would wait for half a minute before each of its other tries
            "tiny", server.url, api_key="k", luck=lambda: 60.0, tries=3, concurrency=2
        ).complete(prompts, max_tokens=3)
    assert len(server.bodies) == 2  # it was not asked a second time


def test_a_full_disk_stops_asking():
    calls: list[int] = []

    def full(n, reply):
        calls.append(n)
        raise OSError("No space left on device")

    with serve() as server:
        with pytest.raises(OSError, match="No space left"):
            model_at(server.url, concurrency=4).complete_each(
                [LLMPrompt(str(n)) for n in range(40)], full, max_tokens=3
            )
        assert len(server.bodies) <= 4 and len(calls) == 1


def test_a_server_that_dies_gives_one_sentence_after_what_it_answered():
    replies: list[int] = []
    with serve(fault=lambda n, body: (500, {}, {}) if n >= 5 else None) as server:
        model = model_at(server.url, concurrency=1, tries=3)
        with pytest.raises(SimrecError) as error:
            model.complete_each(
                [LLMPrompt(str(n)) for n in range(9)], lambda n, r: replies.append(n), max_tokens=3
            )
    assert replies == [0, 1, 2, 3, 4] and len(server.bodies) == 8
    assert str(error.value) == (
        f"{server.url} failed 3 times in a row (status 500: Error code: 500); see that the "
        f"server runs and run again, what was answered is kept"
    )
    with pytest.raises(SimrecError, match="failed 2 times in a row \\(connection failed"):
        model_at(server.url, tries=2).complete([LLMPrompt("x")], max_tokens=3)  # it is gone now


@pytest.mark.parametrize(
    ("status", "advice"),
    [(401, "put a valid key into OPENAI_API_KEY"), (404, "the address usually ends in /v1")],
)
def test_being_turned_away_is_not_tried_again(status: int, advice: str):
    gone = (status, {}, {"error": {"message": "not you"}})
    with serve(fault=lambda n, body: gone) as server:
        with pytest.raises(
            SimrecError, match=f"away with status {status} \\(not you\\); .*{advice}"
        ):
            model_at(server.url).complete([LLMPrompt("x")], max_tokens=3)
        assert len(server.bodies) == 1


def test_a_server_that_has_moved_is_one_sentence_with_its_new_address():
    moved = (308, {"Location": "https://new.example/v1/chat/completions"}, {})
    with (
        serve(fault=lambda n, body: moved) as server,
        pytest.raises(
            SimrecError, match=r"away with status 308 .*points to https://new\.example/v1/"
        ),
    ):
        model_at(server.url).complete([LLMPrompt("x")], max_tokens=3)


def test_a_prompt_the_server_refuses_is_marked_and_the_others_are_answered():
    refusal = (400, {}, {"error": {"message": "too long"}})

    def fault(n, body):
        return refusal if "long" in body["messages"][0]["content"] else None

    prompts = [LLMPrompt("long one"), *(LLMPrompt(str(n)) for n in range(20))]
    with serve(fault=fault) as server:
        first, *rest = model_at(server.url, concurrency=2).complete(prompts, max_tokens=3)
        assert len(server.bodies) == 21  # a refusal is not asked again
    assert (first.valid, first.finish, first.attempts) == (False, "error", 1)
    assert first.reason == "the server refused it: too long"
    assert all(r.valid for r in rest)


def test_a_server_that_refuses_everything_stops_the_call():
    unknown = (400, {}, {"error": {"message": "Unrecognized argument: structured_outputs"}})
    with serve(fault=lambda n, body: unknown) as server:
        with pytest.raises(
            SimrecError, match=r"refused the first 8 requests .*structured_outputs\)"
        ):
            model_at(server.url, concurrency=2).complete(
                [LLMPrompt(str(n)) for n in range(50)], max_tokens=3, choices=["a", "b"]
            )
        assert len(server.bodies) <= 10


def test_a_pause_of_an_hour_is_not_waited_for():
    tired = (429, {"Retry-After": "3600"}, {"error": {"message": "daily limit"}})
    with (
        serve(fault=lambda n, body: tired) as server,
        pytest.raises(SimrecError, match=r"asks for a pause of 3600 s \(status 429: daily limit\)"),
    ):
        model_at(server.url).complete([LLMPrompt("x")], max_tokens=3)


def test_waits_double_up_to_a_cap_and_follow_the_server():
    assert [wait_seconds(n, lambda: 1.0, None) for n in (1, 2, 3, 7, 500)] == [0.5, 1, 2, 30, 30]
    assert wait_seconds(2, lambda: 0.0, None) == 0
    assert wait_seconds(1, lambda: 0.5, 7.0) == 7.25
    assert retry_after_seconds("3", NOON) == 3
    assert retry_after_seconds("Fri, 02 Jan 2026 12:01:00 GMT", NOON) == 60
    assert retry_after_seconds("Fri, 02 Jan 2026 11:01:00 GMT", NOON) == 0
    assert retry_after_seconds("soon", NOON) is None
    assert retry_after_seconds(None, NOON) is None
