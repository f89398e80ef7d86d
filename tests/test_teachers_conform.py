"""Every kind of teacher keeps the same protocol: local, served, scripted, similar, recorded."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from simrec.items.text import text_encoder
from simrec.llm.backends import language_model
from simrec.llm.recorded import RecordedTeacher
from simrec.llm.similarity import SimilarityTeacher
from simrec.preferences import Teacher
from simrec.testing import check_teacher
from tests.asking import catalogue, question, teacher
from tests.llm_server import serve
from tests.tiny_lm import save_tiny

UNKNOWN = replace(question([4, 5], [0]), feedback=np.zeros(1, dtype=np.float32))  # liked nothing
QUESTIONS = [
    question([1, 2, 3], [0, 4], user=0),
    question([5, 0, 2], [1], user=1),
    question([3], [2, 5, 0], user=0),
    UNKNOWN,
]
KINDS = ("transformers", "openai", "scripted", "similarity", "recorded")


def make(kind: str, form: str, folder: Path, until: ExitStack) -> Teacher:
    """Return a teacher of this kind."""
    if kind == "recorded":
        told = {"user": [0, 0, 0, 1], "item": [1, 2, 3, 5], "llm_rating": [5.0, 2.0, 4.0, 1.0]}
        return RecordedTeacher(pd.DataFrame(told), model="someone")
    if kind == "similarity":
        return SimilarityTeacher(catalogue(), text_encoder("hashed"))
    spec = "scripted:hash"
    if kind == "transformers":
        spec = f"transformers:{save_tiny(folder / 'tiny', context=2048)}"
    elif kind == "openai":
        spec = f"openai:tiny@{until.enter_context(serve()).url}"
    return teacher(language_model(spec), folder / "answers.sqlite", form=form)


@pytest.fixture
def until() -> Iterator[ExitStack]:
    """What is open until a test ends."""
    with ExitStack() as stack:
        yield stack


@pytest.mark.parametrize("form", ["list", "yesno"])
@pytest.mark.parametrize("kind", KINDS)
def test_it_keeps_the_protocol(kind: str, form: str, tmp_path: Path, until: ExitStack):
    check_teacher(make(kind, form, tmp_path, until), QUESTIONS)


class Broken:
    """A teacher that is right but for one change to its answers."""

    def __init__(self, change: Callable) -> None:
        self.right = SimilarityTeacher(catalogue(), text_encoder("hashed"))
        self.name = self.right.name
        self.change = change

    def prefer(self, questions):
        return self.change(self.right.prefer(questions))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda a: a[:-1], "3 answers to 4 questions"),
        (lambda a: a[::-1], "answer 0 is to another question"),
        (lambda a: [replace(x, model="me") for x in a], "answer 0 is by 'me'"),
        (lambda a: [replace(x, liked=x.liked[:0]) for x in a], "answer 0 misses a candidate"),
        (lambda a: [replace(x, liked=~np.isfinite(x.score)) for x in a], "answer 3 likes what"),
        (
            lambda a: [replace(x, status="ok") for x in a],
            "answer 3 is 'ok' with 0 candidates judged",
        ),
    ],
)
def test_the_check_catches(change: Callable, said: str):
    with pytest.raises(AssertionError) as error:
        check_teacher(Broken(change), QUESTIONS)
    assert said in str(error.value)
