"""A language model as teacher: asked once, read strictly, replayed without it."""

from pathlib import Path

import numpy as np
import pytest

from simrec.errors import SimrecError
from simrec.llm.backends.scripted import ScriptedLM
from simrec.llm.cache import AnswerCache
from simrec.llm.deferred import DeferredModel
from simrec.llm.protocol import Completes, LanguageModel, Reply
from simrec.llm.tally import Spent
from tests.asking import TITLES, Counting, catalogue, likes, question, teacher


def test_numbers_map_back_to_items_in_whatever_order_they_are_shown(tmp_path: Path):
    asked = teacher(likes("Dune", "Brazil"), tmp_path / "a.sqlite")
    one, two = asked.prefer([question([1, 2, 3]), question([3, 2, 4, 1])])
    assert one.liked.tolist() == [True, False, True]
    assert two.liked.tolist() == [True, False, False, True]
    assert (one.model, one.status, one.raw) == ("scripted:rule/list", "ok", '{"liked": [1, 3]}')
    assert (
        len(one.prompt_sha) == 64 != one.prompt_sha == asked.prompts(question([1, 2, 3]))[0][1].sha
    )


def test_a_second_run_asks_nothing_and_gives_the_same(tmp_path: Path):
    asked = [question([1, 2, 3]), question([4, 5])]
    rule = Counting(likes("Dune"))
    first = teacher(rule, tmp_path / "a.sqlite").prefer(asked)
    assert len(rule.seen) == 2 and not any(a.cached for a in first)

    def gone() -> LanguageModel:
        raise AssertionError("the model was loaded")

    cache = AnswerCache(tmp_path / "a.sqlite")
    cache.remember_model("transformers:gone", "scripted:rule")
    again = teacher(DeferredModel("transformers:gone", gone, cache), cache)
    second = again.prefer(asked)
    assert [(a.liked.tolist(), a.raw, a.model) for a in second] == [
        (a.liked.tolist(), a.raw, a.model) for a in first
    ]
    assert all(a.cached for a in second)
    assert (again.tally.hits, again.tally.sent, again.tally.prompt_tokens) == (2, 0, 0)
    assert again.spent.requests == 2  # what the answers cost when they were first given


def test_every_answer_is_kept_before_the_next_request(tmp_path: Path):
    path = tmp_path / "a.sqlite"
    kept = []

    def rule(prompt, choices, schema):
        with AnswerCache(path) as other:
            kept.append(len(other))
        return '{"liked": []}'

    teacher(rule, path).prefer([question([n]) for n in (1, 2, 3, 4)])
    assert kept == [0, 1, 2, 3]


def test_what_is_asked_twice_is_sent_once_and_paid_once(tmp_path: Path):
    rule = Counting(likes("Dune"))
    asked = teacher(rule, tmp_path / "a.sqlite")
    one, two = asked.prefer([question([1, 3], user=0), question([1, 3], user=1)])
    assert len(rule.seen) == 1 and asked.spent.requests == 1
    assert one.liked.tolist() == two.liked.tolist() == [False, True]
    words = len(rule.seen[0].split())  # a scripted model's tokens are words
    assert asked.spent == Spent(1, words, len(['{"liked":', "[2]}"]))


class Replies(Completes):
    """A model that gives prepared replies in turn, whatever was asked."""

    name = "prepared"

    def __init__(self, *replies: Reply) -> None:
        self.replies = list(replies)
        self.seen: list[str] = []

    def complete_each(self, prompts, on_reply, *, max_tokens, choices=None, schema=None):
        for n, prompt in enumerate(prompts):
            self.seen.append(prompt.text)
            on_reply(n, self.replies.pop(0))


def reply(text: str, **changes: object) -> Reply:
    parts = dict(choice=None, logprobs=None, prompt_tokens=5, completion_tokens=2, finish="stop")
    return Reply(text, **(parts | changes))  # type: ignore[arg-type]


def test_an_unreadable_reply_is_asked_once_more_in_other_words(tmp_path: Path):
    model = Replies(reply('{"liked": [9]}'), reply('{"liked": [1]}'))
    asked = teacher(model, tmp_path / "a.sqlite")
    (answer,) = asked.prefer([question([1, 2])])
    assert (answer.status, answer.liked.tolist()) == ("retried", [True, False])
    assert model.seen[1].startswith(model.seen[0]) and "could not be read" in model.seen[1]
    assert (asked.tally.failures, asked.spent) == (0, Spent(2, 10, 4))
    replay = teacher(Replies(), tmp_path / "a.sqlite").prefer([question([1, 2])])
    assert replay[0].status == "retried"


def test_after_two_tries_it_is_dropped_and_counted_not_guessed(tmp_path: Path):
    model = Replies(reply("I like the first"), reply("the first!"))
    asked = teacher(model, tmp_path / "a.sqlite")
    (answer,) = asked.prefer([question([1, 2])])
    assert (answer.status, asked.tally.failures) == ("unparseable", 1)
    assert np.isnan(answer.score).all() and not answer.liked.any()


def test_a_backend_that_tried_twice_itself_is_not_asked_a_third_time(tmp_path: Path):
    model = Replies(reply("?", valid=False, reason="not JSON", attempts=2))
    (answer,) = teacher(model, tmp_path / "a.sqlite").prefer([question([1, 2])])
    assert (answer.status, len(model.seen)) == ("unparseable", 1)


def test_a_reply_that_its_backend_calls_invalid_is_not_read(tmp_path: Path):
    model = Replies(*[reply('{"liked": [1]}', valid=False)] * 2)
    (answer,) = teacher(model, tmp_path / "a.sqlite").prefer([question([1, 2])])
    assert answer.status == "unparseable"


def test_an_answer_that_never_came_is_not_kept_and_too_many_are_an_error(tmp_path: Path):
    fine, lost = reply('{"liked": []}'), reply("", valid=False, finish="error")
    path = tmp_path / "a.sqlite"
    asked = [question([1 + n % 5], history=[n % 6, n // 5]) for n in range(25)]
    answers = teacher(Replies(lost, *[fine] * 24), path).prefer(asked)
    assert [a.status for a in answers] == ["unanswered"] + ["ok"] * 24
    model = Replies(reply('{"liked": [1]}'))
    answers = teacher(model, path).prefer(asked)  # 1 of 25 is asked again, nothing else
    assert answers[0].liked.tolist() == [True] and model.replies == []
    with pytest.raises(SimrecError) as error:
        teacher(Replies(lost, lost, fine), path, titles=[*TITLES, "G"]).prefer(
            [question([6], history=[n]) for n in range(3)]
        )
    assert str(error.value) == (
        "2 of 3 requests to prepared were never answered; the others are kept, run again when it "
        "answers"
    )
    with AnswerCache(path) as cache:
        assert len(cache) == 26


def test_forms_with_many_requests_keep_what_can_be_read(tmp_path: Path):
    model = Replies(
        reply("yes", choice="yes"),
        reply("maybe", valid=False, attempts=2),
        reply("no", choice="no"),
    )
    (answer,) = teacher(model, tmp_path / "a.sqlite", form="yesno").prefer([question([1, 2, 3])])
    np.testing.assert_array_equal(answer.score, np.array([1, np.nan, 0], dtype=np.float32))
    assert (answer.status, answer.raw) == ("retried", '["yes", "maybe", "no"]')


def test_a_model_changed_behind_its_name_is_refused_not_mixed_in(tmp_path: Path):
    cache = AnswerCache(tmp_path / "a.sqlite")
    old = DeferredModel("transformers:m", lambda: ScriptedLM("old", likes("Dune")), cache)
    teacher(old, cache).prefer([question([1])])

    def load() -> LanguageModel:
        return ScriptedLM("new", likes("Dune"))

    with pytest.raises(SimrecError) as error:
        teacher(DeferredModel("transformers:m", load, cache), cache).prefer([question([2])])
    assert str(error.value) == (
        "the model at transformers:m is now scripted:new, but answers were kept from scripted:old; "
        "run again to ask the new one, or bring the old one back"
    )
    asked = teacher(DeferredModel("transformers:m", load, cache), cache)
    assert asked.prefer([question([2])])[0].model == "scripted:new/list"


def test_pictures_of_the_shown_candidates_go_with_the_prompt(tmp_path: Path):
    covers = (None, b"one", None, b"three", None, None)
    films = catalogue()
    asked = teacher(likes("Dune"), tmp_path / "a.sqlite", pictures=True)
    asked.catalogue = type(films)(films.name, films.item_ids, films.titles, films.texts, covers)
    ((_, prompt),) = asked.prompts(question([3, 2, 1]))
    assert prompt.images == (b"three", b"one")
    assert "\nThe pictures, in order, are the covers of candidates 1, 3.\n" in prompt.text
    asked.catalogue = films
    assert asked.prompts(question([3, 2, 1]))[0][1].sha != prompt.sha
