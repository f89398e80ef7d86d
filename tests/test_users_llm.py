"""Users played by a language model: what is asked, kept, refused and labelled."""

import re

import numpy as np
import pytest

from simrec.catalogue import Catalogue
from simrec.envs.llm_user import LLMUser, circularity
from simrec.envs.users import FactorUsers
from simrec.errors import SimrecError

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
    users = users_of(by_title)
    assert users.label == "users played by m-1, not fitted to people"
    assert circularity(users, "m-2") is None
    assert circularity(users, "m-1").startswith("circular: m-1 is both teacher and user")
    zeros = np.zeros(1, dtype=np.float32)
    plain = FactorUsers(0.0, 1.0, zeros, zeros, zeros[:, None], zeros[:, None])
    assert circularity(plain, "m-1") is None
