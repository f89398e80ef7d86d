"""Users played by a language model: what is asked, kept, refused and labelled."""

import pickle
import re

import numpy as np
import pytest

from simrec.catalogue import Catalogue
from simrec.envs.llm_user import LLMUser, circularity
from simrec.envs.told_users import told
from simrec.errors import SimrecError
from simrec.llm.cache import AnswerCache
from simrec.llm.kept import KeptModel

CATALOGUE = Catalogue(
    "films",
    tuple(f"f{i}" for i in range(24)),
    tuple(f"Film {i:02d}" for i in range(24)),
    ("A text",) + ("",) * 23,
    (None,) * 24,
)
HISTORY = np.array([[-1, 0, 1], [2, 3, 4]])
LIKED = np.array([[0, 1, 0], [1, 1, 0]], dtype=np.float32)


def users_of(complete, cache=None):
    return LLMUser(
        complete, model="m-1", catalogue=CATALOGUE, history=HISTORY, liked=LIKED, cache=cache
    )


def by_title(prompts):
    """A model that likes item i of the catalogue with i mod 11 out of ten."""
    rows = [int(re.search(r"offered: Film (\d+)", prompt)[1]) for prompt in prompts]
    return [f" {row % 11}." for row in rows]


def test_a_tenth_of_the_answer_is_the_probability_and_each_question_is_asked_once():
    cache: dict[str, str] = {}
    users = users_of(by_title, cache)
    state = users.begin(np.array([0, 1]))
    chance = users.affinity(state, np.array([[5, 10], [5, 0]]))
    assert chance.tolist() == [[0.5, 0.98], [0.5, 0.02]]  # 10 and 0 are kept off the ends
    assert users.asked == 4
    users.affinity(state, np.array([[10, 5], [0, 5]]))
    assert users.asked == 4
    again = users_of(by_title, cache)
    again.affinity(again.begin(np.array([1])), np.array([[5]]))
    assert again.asked == 0


def test_the_question_tells_likes_and_dislikes_apart():
    question = users_of(by_title).question(0, 7)
    assert f"Liked: {CATALOGUE.titles[0]}\n" in question
    assert f"Not liked: {CATALOGUE.titles[1]}\n" in question
    assert "offered: Film 07\n" in question
    assert "offered: Film 00. A text\n" in users_of(by_title).question(1, 0)


def test_replies_that_cannot_be_used_are_refused_and_not_kept():
    cache: dict[str, str] = {}
    users = users_of(lambda prompts: ["perhaps"] * len(prompts), cache)
    with pytest.raises(SimrecError, match=r"^model 'm-1' answered 'perhaps'; expected a whole nu"):
        users.affinity(users.begin(np.array([0])), np.array([[1]]))
    assert cache == {}
    users = users_of(lambda prompts: ["11"] * len(prompts))
    with pytest.raises(SimrecError, match=r"answered '11'"):
        users.affinity(users.begin(np.array([0])), np.array([[1]]))
    users = users_of(lambda prompts: [])
    with pytest.raises(SimrecError, match=r"gave 0 replies to 1 questions; expected one for each"):
        users.affinity(users.begin(np.array([0])), np.array([[1]]))


def test_the_same_model_as_teacher_and_user_is_called_circular():
    assert users_of(by_title).label == "users played by m-1, not fitted to people"
    assert circularity("m-1", "m-2") is None
    assert circularity("", "m-1") is None  # users fitted to people
    served = "openai:lab/M-1@http://127.0.0.1:8000/v1"
    for user, teacher in (("m-1", "m-1"), (served, "m-1"), (served, "vllm:models/m-1/")):
        assert circularity(user, teacher).startswith("circular: m-1 is both teacher and user")


def by_hash(prompt, choices, schema):
    """A model that answers the length of the prompt, modulo eleven."""
    return str(len(prompt.text) % 11)


def asked_of_the_file(path, model="scripted:tests.test_users_llm:by_hash"):
    return KeptModel(model, {}, path, choices=[str(n) for n in range(11)])


def test_a_model_is_asked_once_on_a_machine(tmp_path, monkeypatch):
    path = tmp_path / "answers.sqlite"
    kept = asked_of_the_file(path)
    texts = [f"question {'x' * n}" for n in range(12)]
    answers = kept.complete(texts)
    assert answers == [str(len(text) % 11) for text in texts]
    again = pickle.loads(pickle.dumps(asked_of_the_file(path)))
    monkeypatch.setitem(globals(), "by_hash", None)  # the model is gone; what it said is not
    assert again.complete(texts[::-1]) == answers[::-1]
    with pytest.raises(SimrecError, match=r"is no function; expected scripted:hash or"):
        again.complete(["a new question"])


def test_a_reply_that_is_no_number_is_an_error_and_not_kept(tmp_path, monkeypatch):
    path = tmp_path / "answers.sqlite"
    monkeypatch.setitem(globals(), "by_hash", lambda prompt, choices, schema: "perhaps")
    with pytest.raises(SimrecError, match=r"gave no answer from 0 to 10 \(.*so far are kept"):
        asked_of_the_file(path).complete(["q"])
    with AnswerCache(path) as cache:
        assert len(cache) == 0


def test_told_users_answer_as_the_model_did_and_refuse_users_it_was_not_asked_about():
    users = users_of(by_title)
    said = []
    known = told(users, np.array([1]), said.append)
    assert said == ["users: asking m-1 as user 1 of 1"]
    assert users.asked == len(CATALOGUE)
    assert known.known.tolist() == [False, True]
    items = np.arange(len(CATALOGUE))[None]
    live = users.affinity(users.begin(np.array([1])), items)
    state = known.begin(np.array([1]))
    assert (known.affinity(state, items) == live).all()
    assert (known.affinity_of_all(state) == live).all()
    assert known.label == users.label
    with pytest.raises(SimrecError, match=r"^m-1 was never asked about a user that is wanted here"):
        known.affinity(known.begin(np.array([0])), items)
