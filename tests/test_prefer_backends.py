"""`simrec prefer` with real backends, end to end: a tiny model here, and servers that change."""

import json
import sqlite3
from pathlib import Path

import pandas as pd
import pytest

from simrec.config import load_config
from simrec.llm.cache import AnswerCache, answers_path
from simrec.preferences import PreferenceSet
from simrec.stages.inputs import Inputs
from simrec.stages.teaching import preferences_path, transcript_path
from tests.llm_server import serve
from tests.test_ask_prefer import simrec
from tests.tiny_lm import save_tiny

STUDY = """
study: small
seeds: [0]
data: {name: toy, toy_seed: 22}
split: {online_share: 0.98, history: 3}
items: {modalities: [text]}
teacher:
  kind: llm
  model: MODEL
  questions_per_user: 1
  candidates: 3
  swap_sample: 2
"""
USERS = 12  # teacher users, of 600


def study(folder: Path, model: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "study.yaml"
    path.write_text(STUDY.replace("MODEL", model))
    return path


def ask(monkeypatch, capsys, path: Path, *words: str) -> tuple[int, str, str]:
    runs = ["--runs", str(path.parent / "runs")]
    return simrec(monkeypatch, capsys, "prefer", str(path), *runs, *words)


def where(path: Path, *overrides: str) -> Path:
    """Return the preferences of a study."""
    return preferences_path(Inputs(load_config(path, list(overrides)), path.parent / "runs"), 0)


def said(path: Path) -> pd.DataFrame:
    return pd.read_parquet(transcript_path(path))


def test_a_model_in_this_process(tmp_path: Path, data_home: Path, monkeypatch, capsys):
    folder = save_tiny(tmp_path / "tiny", context=4096)
    path = study(tmp_path, f"transformers:{folder}")
    form = ["--set", "teacher.form=yesno"]
    code, out, err = ask(monkeypatch, capsys, path, *form, "--dry-run")
    assert code == 0, err
    assert "Would this person like the candidate? Reply with one word: yes or no." in out
    assert "36 requests, 0 of them already answered" in out
    assert "prompt tokens (counted by the model's tokenizer)" in out
    assert ask(monkeypatch, capsys, path, *form)[0] == 0
    answers = PreferenceSet.load(where(path, "teacher.form=yesno"))
    assert len(answers) == USERS and {a.status for a in answers} == {"ok"}
    assert len({float(s) for a in answers for s in a.score}) > USERS  # the model does tell apart
    rows = said(where(path, "teacher.form=yesno"))
    assert list(rows["question_id"]) == [n // 3 for n in range(3 * USERS)]
    assert rows["valid"].all() and not rows["cached"].any()
    assert set(rows["parsed"].map(json.loads)) <= {"yes", "no"}
    assert (rows["prompt_tokens"] > 50).all()


def test_a_study_that_moves_to_another_server_asks_nothing_again(
    tmp_path: Path, data_home: Path, monkeypatch, capsys
):
    with serve() as server:
        here = study(tmp_path / "here", f"openai:tiny@{server.url}")
        assert ask(monkeypatch, capsys, here)[0] == 0
        assert len(server.bodies) >= USERS
    rows = said(where(here))
    assert list(rows["user"]) == [a.question.user for a in PreferenceSet.load(where(here))]
    assert rows["prompt"].str.contains("Which of the candidates").all()
    assert [json.loads(text) for text in rows["parsed"]] == [json.loads(t) for t in rows["reply"]]
    with serve() as other:
        there = study(tmp_path / "there", f"openai:tiny@{other.url}")
        options = "teacher.options={concurrency: 3}"  # how it is asked changes nothing either
        assert ask(monkeypatch, capsys, there, "--set", options)[0] == 0
        assert other.bodies == []
        assert where(there, options).name == where(here).name
        assert where(there, options).read_bytes() == where(here).read_bytes()
        assert said(where(there, options))["cached"].all()
        renamed = study(tmp_path / "renamed", f"openai:small@{other.url}")
        assert ask(monkeypatch, capsys, renamed)[0] == 0
        assert len(other.bodies) >= USERS and where(renamed).name != where(here).name


def test_answers_kept_when_the_server_was_part_of_the_name_are_found(
    tmp_path: Path, data_home: Path, monkeypatch, capsys
):
    """Answers paid for with version 0.1.0 lie under keys made of "openai:MODEL@URL"."""
    from simrec.llm.backends.openai_lm import OpenAILM

    with serve() as server:
        path = study(tmp_path / "before", f"openai:tiny@{server.url}")
        with monkeypatch.context() as patched:
            patched.setattr(OpenAILM, "name", OpenAILM.former_name)
            assert ask(monkeypatch, capsys, path)[0] == 0
        with sqlite3.connect(answers_path()) as db:
            db.execute("DELETE FROM models_1")  # it was known by another spec then
        with AnswerCache(answers_path()) as cache:
            kept = len(cache)
        asked = len(server.bodies)
        again = study(tmp_path / "after", f"openai:tiny@{server.url}")
        for _ in range(2):  # whether the new name is known yet or not, nothing is to be paid
            prices = ["--price-in", "1", "--price-out", "2"]
            code, out, _ = ask(monkeypatch, capsys, again, "--dry-run", *prices)
            assert code == 0
            assert f"{USERS} requests, {USERS} of them already answered; to send: 0 prompt" in out
            assert "at most 0.0000 at 1 in and 2 out a million" in out
        assert ask(monkeypatch, capsys, again)[0] == 0
        assert len(server.bodies) == asked
    with AnswerCache(answers_path()) as cache:
        assert len(cache) == 2 * kept  # and from now on under the new keys
    a, b = PreferenceSet.load(where(path)), PreferenceSet.load(where(again))
    assert [x.liked.tolist() for x in a] == [x.liked.tolist() for x in b]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["teacher={kind: recorded, rounds: 2}"], "'teacher' is {'kind': 'recorded', 'rounds': 2}; "
         "'rounds' is 2, but a recorded teacher is asked all it recorded in the first "
         "round and knows no other answer; set rounds to 1 or take another kind"),
        (["teacher={refresh_sources: {policy: 1}}"], "'teacher' is {'refresh_sources': {'policy': "
         "1}}; 'refresh_sources' is read where rounds is above 1; remove it"),
        (["reward={pessimism: 1}"], "'reward' is {'pessimism': 1}; 'pessimism' is 1, "
         "but one member has nobody to disagree with; set members to 2 or more"),
        (["reward={position_correction: true}", "teacher.form=yesno"],
         "'reward.position_correction' needs candidates that are judged together in a prompt; "
         "remove it, or set teacher.kind to llm and teacher.form to list or ranking"),
    ],
)  # fmt: skip
def test_settings_nobody_would_read_are_one_sentence(
    words: list[str], sentence: str, tmp_path: Path, monkeypatch, capsys
):
    path = study(tmp_path, "scripted:hash")
    sets = [part for word in words for part in ("--set", word)]
    code, _, err = ask(monkeypatch, capsys, path, *sets)
    assert (code, err) == (2, f"simrec: {path}: {sentence}\n")
