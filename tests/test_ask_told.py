"""What prompts tell of an item is the study's author's choice."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from simrec.app import teaching
from simrec.catalogue import Attribute, Catalogue
from simrec.config import LATER, LLM_ONLY, StudyConfig, TeacherConfig, load_config
from simrec.items.describe import DESCRIPTION_LIMIT, clipped
from simrec.llm.build import llm_teacher
from simrec.llm.cache import AnswerCache, answers_path
from simrec.llm.prompts import item_line, told
from simrec.overview import Overview
from simrec.preferences import Preference, Question
from simrec.stages.inputs import Inputs
from tests import asking
from tests.run_folders import RECORD
from tests.test_ask_prefer import STUDY, simrec, stages

PLOT = "In  space\nno one "  # on one line "In space no one", 15 letters and spaces


def _films() -> Catalogue:
    genre = np.array([[True, True], [False, True], [False, False]])
    year = np.array([[True, False], [False, True], [False, False]])
    attributes = {
        "genre": Attribute(("horror", "love"), genre),
        "year": Attribute(("1979", "2009"), year),
    }
    titles, texts = ("Alien", "Up", "Ran"), (PLOT * 40, "A house flies.", "")
    return Catalogue("films", ("1", "2", "3"), titles, texts, (None,) * 3, attributes)


def _question() -> Question:
    history, feedback = np.array([0, 2]), np.array([1, 0], dtype=np.float32)
    return Question(0, history, feedback, np.array([2, 1, 0]), ("random",) * 3)


def _config(**settings: object) -> TeacherConfig:
    teacher = {"kind": "llm", "model": "scripted:hash", **settings}
    return StudyConfig.model_validate({"study": "a", "teacher": teacher}).teacher


def _sha(path: Path, **settings: object) -> str:
    with AnswerCache(path) as cache:
        ((_, prompt),) = llm_teacher(_config(**settings), _films(), cache).prompts(_question())
    return prompt.sha


@pytest.mark.parametrize(
    ("attributes", "description", "line"),
    [
        (("year", "genre"), 0, '"Alien"; "year": "1979"; "genre": "horror, love"'),
        (("year",), 9, '"Alien"; "year": "1979"; "description": "In space"'),
        # 11 characters are "In space no": the word ends there, so it is whole
        ((), 11, '"Alien"; "description": "In space no"'),
        ((), 10, '"Alien"; "description": "In space"'),
        ((), 0, '"Alien"'),
        (None, 2, '"Alien"; "genre": "horror, love"; "year": "1979"; "description": "In"'),
    ],
)
def test_an_item_is_told_as_chosen(
    attributes: tuple[str, ...] | None, description: int, line: str
) -> None:
    assert item_line(told(_films(), attributes, description), 0) == line


def test_what_an_item_has_not_is_not_told() -> None:
    assert item_line(told(_films(), ["year", "genre"], 600), 2) == '"Ran"'
    # 40 times 15 characters with a space between: 639; more than ever was told before
    assert len(told(_films(), None, 700).texts[0]) == 639


def test_without_a_choice_the_prompt_has_the_bytes_it_always_had(tmp_path: Path) -> None:
    # the hash is that of the prompt before there was a choice: kept replies answer it still
    always = "bcc343226a5e13faf35bf5125a337dbea541c219682186ee2e2d756162dca2f3"
    path = tmp_path / "a.sqlite"
    assert _sha(path) == always
    assert _sha(path, attributes=["genre", "year"], description=400) == always
    # 25 times 15 characters with a space between are 399, so 400 and 399 end at the same word
    assert _sha(path, description=399) == always
    others = ({"attributes": ["year", "genre"]}, {"attributes": []}, {"description": 398})
    assert len({always, *(_sha(path, **settings) for settings in others)}) == 4


def test_a_choice_is_in_the_record_and_none_leaves_the_study_s_key(tmp_path: Path) -> None:
    usual = _config(attributes=None, description=DESCRIPTION_LIMIT)
    assert usual == _config() and not set(LATER) & set(usual.model_dump())
    chosen = _config(attributes=[], description=0)
    assert {
        name: chosen.model_dump(mode="json")[name] for name in ("attributes", "description")
    } == {
        "attributes": [],
        "description": 0,
    }
    path = tmp_path / "study.yaml"
    path.write_text(STUDY)
    settings = ([], ["description=400"], ["attributes=[]"], ["description=0"])
    keys = [
        Inputs(load_config(path, [f"teacher.{s}" for s in some]), tmp_path).preferences_key(0)
        for some in settings
    ]
    assert keys[0] == keys[1] and len(set(keys)) == 3


@pytest.mark.parametrize(
    ("limit", "text"), [(0, ""), (1, "w"), (4, "word"), (8, "word"), (9, "word word")]
)
def test_a_description_ends_with_a_whole_word(limit: int, text: str) -> None:
    assert clipped("word  word\nword", limit) == text


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("attributes=[topic, qualty]", r"teacher\.attributes: catalogue 'toy' has no attribute "
         r"'qualty'; expected one of .*topic.*"),
        ("attributes=[topc]", r"teacher\.attributes: catalogue 'toy' has no attribute 'topc'; did "
         r"you mean 'topic'\?"),
        ("attributes=[topic, topic]", r".*'teacher\.attributes' is \['topic', 'topic'\]; each "
         "can be listed once only, remove the others"),
        ("description=-1", r".*'teacher\.description' is -1; input should be greater than or equal "
         "to 0"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("way", [["--dry-run"], []])
def test_a_wrong_choice_is_one_sentence_before_anything_is_asked(
    words: str, sentence: str, way: list[str], tmp_path: Path, data_home: Path, monkeypatch, capsys
) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(STUDY)
    asking.CALLS.clear()
    base = ["prefer", str(path), "--runs", str(tmp_path / "runs"), "--set", f"teacher.{words}"]
    code, out, err = simrec(monkeypatch, capsys, *base, *way)
    assert (code, out, asking.CALLS, stages(tmp_path)) == (2, "", [], {})
    last = err.splitlines()[-1]
    assert re.fullmatch(f"simrec: {sentence}", last), last


def test_the_choice_reaches_the_model_and_is_for_language_models_only(
    tmp_path: Path, data_home: Path, monkeypatch, capsys
) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(STUDY)
    asking.CALLS.clear()
    asking.STOPPED.clear()
    base = ["prefer", str(path), "--seed", "0", "--runs", str(tmp_path / "runs")]
    chosen = ["--set", "teacher.attributes=[topic]", "--set", "teacher.description=0"]
    assert simrec(monkeypatch, capsys, *base, *chosen)[0] == 0
    with AnswerCache(answers_path()) as cache:
        assert len(cache) == len(asking.CALLS) > 0
    lines = re.findall(r"^\d+\. (?:\(.*?\) )?(.*)$", "\n".join(asking.CALLS), re.MULTILINE)
    assert all(re.fullmatch(r'"[^"]*"; "topic": "[^"]*"', line) for line in lines)
    for name in LATER:
        assert name in LLM_ONLY
        with pytest.raises(ValueError, match=f"'{name}' is read where kind is llm only; remove it"):
            _config(kind="recorded", **{name: TeacherConfig.model_fields[name].default})


def test_the_dashboard_writes_the_prompt_that_was_asked(tmp_path: Path) -> None:
    for chosen in ({}, {"attributes": ["year"], "description": 8}):
        config = {"teacher": _config(**chosen).model_dump(mode="json")}
        study = Overview(tmp_path, {tmp_path: replace(RECORD, config=config)}, {}, ())
        sha = _sha(tmp_path / "a.sqlite", **chosen)
        liked, score = np.zeros(3, dtype=bool), np.zeros(3, dtype=np.float32)
        answer = Preference(_question(), liked, score, "scripted:hash/list", sha, "", "ok")
        text, exact = teaching.rewritten(study, _films(), answer)
        assert exact and ('"year": "1979"; "description": "In space"' in text) == bool(chosen)
