"""`simrec prefer`: what it says before it asks, what it keeps, and that a kill costs nothing."""

import json
import re
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from simrec.cli import main
from simrec.config import load_config
from simrec.llm.cache import AnswerCache, answers_path
from simrec.preferences import PreferenceSet
from simrec.stages.inputs import Inputs
from simrec.stages.tables import item_table
from simrec.stages.teaching import preferences, preferences_path, teacher_measures
from tests import asking

ROOT = Path(__file__).resolve().parents[1]
STUDY = """
study: small
seeds: [0, 1]
data: {name: toy, toy_seed: 22}
split: {online_share: 0.8}
items: {modalities: [text]}
teacher:
  kind: llm
  model: scripted:tests.asking:polite
  domain: micro-videos
  questions_per_user: 1
  candidates: 4
  swap_sample: 20
"""
STATES = 120  # teacher users, of 600


@pytest.fixture
def study(tmp_path: Path, data_home: Path) -> Path:
    """A study file; answers go to an empty data home."""
    asking.CALLS.clear()
    asking.STOPPED.clear()
    path = tmp_path / "study.yaml"
    path.write_text(STUDY)
    return path


def simrec(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str
) -> tuple[int, str, str]:
    """Run the command here; return exit code, standard output and standard error."""
    monkeypatch.setattr(sys, "argv", ["simrec", *words])
    code = 0
    try:
        main()
    except SystemExit as end:
        code = int(end.code or 0)
    out, err = capsys.readouterr()
    return code, out, err


def stages(tmp_path: Path) -> dict[str, bytes]:
    """Return the preferences of a study, and what was measured of them, as bytes."""
    folder = tmp_path / "runs" / "small" / "stages"
    return {path.name: path.read_bytes() for path in sorted(folder.glob("preferences*"))}


def test_a_dry_run_shows_prompts_tokens_and_money_and_asks_nothing(
    study: Path, tmp_path: Path, monkeypatch, capsys
):
    asking.STOPPED.append("not now")
    runs = ["--runs", str(tmp_path / "runs")]
    prices = ["--price-in", "1", "--price-out", "2"]
    code, out, _ = simrec(monkeypatch, capsys, "prefer", "--dry-run", str(study), *runs, *prices)
    assert code == 0 and stages(tmp_path) == {}
    assert '\nThe items come from the catalogue "toy". They are micro-videos.\n' in out
    assert out.count("\nCandidates:\n") == 1  # one prompt a question, the first is shown
    found = re.search(
        r"seed 1: 120 questions, 120 requests, 0 of them already answered; to send: ([\d,]+) "
        r"prompt tokens \(estimated, 4 bytes a token\), to receive: at most "
        r"3,840 tokens; at most (\d\.\d{4}) at 1 in and 2 out a million",
        out,
    )
    assert found
    # 120 * (16 + 4 * 4) = 3,840 tokens at most come back
    price = (int(found[1].replace(",", "")) + 2 * 3840) / 1e6
    assert float(found[2]) == pytest.approx(price, abs=5e-5)
    assert "and 20 questions a seed again in reversed order" in out
    assert out.endswith("Nothing was asked.\n")
    with AnswerCache(answers_path()) as cache:
        assert len(cache) == 0


def test_what_it_keeps_is_what_a_study_reads_and_nothing_is_asked_again(
    study: Path, tmp_path: Path, monkeypatch, capsys
):
    runs = ["--runs", str(tmp_path / "runs")]
    code, out, err = simrec(monkeypatch, capsys, "prefer", str(study), "--seed", "0", *runs)
    assert code == 0
    assert len(asking.CALLS) == STATES + 20
    assert "order swap: " in out and "position bias: " in out and "140 requests" in out
    assert "asked 120 of 120, " in err and "0 from the cache, 0 not readable" in err
    asking.STOPPED.append("all was said")
    inputs = Inputs(load_config(study), tmp_path / "runs")
    answers = preferences(inputs, 0, item_table(inputs), lambda line: None)
    assert len(answers) == STATES
    measures = teacher_measures(inputs, 0)
    assert measures is not None and measures["spent"]["requests"] == STATES
    assert measures["spent"]["prompt_tokens"] == sum(len(t.split()) for t in asking.CALLS[:STATES])
    code, out, _ = simrec(monkeypatch, capsys, "prefer", str(study), "--seed", "0", *runs)
    assert (code, out) == (0, f"seed 0: already asked, {preferences_path(inputs, 0)}\n")
    # the stage is lost, the answers are not: same bytes, nobody asked
    before = stages(tmp_path)
    for name in before:
        (tmp_path / "runs" / "small" / "stages" / name).unlink()
    code, out, err = simrec(monkeypatch, capsys, "prefer", str(study), "--seed", "0", *runs)
    assert code == 0 and stages(tmp_path) == before
    assert "120 requests, 120 of them already answered; to send: 0 prompt tokens" in out
    assert "120 from the cache" in err


def test_answers_move_to_a_machine_without_the_model(
    study: Path, tmp_path: Path, monkeypatch, capsys
):
    words = ["prefer", str(study), "--seed", "0", "--runs"]
    simrec(monkeypatch, capsys, *words, str(tmp_path / "runs"))
    moved = tmp_path / "moved.sqlite"
    assert simrec(monkeypatch, capsys, "prefer", "export", str(moved))[1] == (
        f"140 answers written to {moved}\n"
    )
    asking.STOPPED.append("no model here")
    monkeypatch.setenv("SIMREC_HOME", str(tmp_path / "there"))
    assert simrec(monkeypatch, capsys, "prefer", "import", str(moved))[1] == (
        f"140 answers added to {answers_path()}, 140 are kept now\n"
    )
    assert simrec(monkeypatch, capsys, *words, str(tmp_path / "other" / "runs"))[0] == 0
    assert stages(tmp_path / "other") == stages(tmp_path)


def test_a_damaged_answer_is_reported_and_asked_again(
    study: Path, tmp_path: Path, monkeypatch, capsys
):
    words = ["prefer", str(study), "--seed", "0", "--runs"]
    simrec(monkeypatch, capsys, *words, str(tmp_path / "runs"))
    with sqlite3.connect(answers_path()) as db:
        some = "SELECT key FROM answers_1 ORDER BY key LIMIT 3"
        db.execute(f"UPDATE answers_1 SET reply = 'rust' || reply WHERE key IN ({some})")
    asking.CALLS.clear()
    _, _, err = simrec(monkeypatch, capsys, *words, str(tmp_path / "other" / "runs"))
    assert len(asking.CALLS) == 3
    assert f"3 kept answers in {answers_path()} were damaged and were asked again\n" in err
    assert stages(tmp_path / "other") == stages(tmp_path)


@pytest.mark.parametrize("form", ["rating", "yesno", "pairwise"])
def test_every_form_ends_as_one_preference_a_question(
    form: str, study: Path, tmp_path: Path, monkeypatch, capsys
):
    words = ["prefer", str(study), "--seed", "0", "--runs", str(tmp_path / "runs")]
    assert simrec(monkeypatch, capsys, *words, "--set", f"teacher.form={form}")[0] == 0
    (path,) = (tmp_path / "runs" / "small" / "stages").glob("preferences*.parquet")
    answers = PreferenceSet.load(path)
    assert len(answers) == STATES
    assert all(np.isfinite(a.score).all() and len(a.liked) == 4 for a in answers)


def test_a_stand_in_has_no_prompts_and_no_price(study: Path, tmp_path: Path, monkeypatch, capsys):
    study.write_text(
        "study: small\nseeds: [0]\ndata: {name: toy, toy_seed: 22}\nteacher: {encoder: hashed}\n"
    )
    code, out, err = simrec(
        monkeypatch, capsys, "prefer", str(study), "--runs", str(tmp_path / "runs")
    )
    assert code == 0 and "not a language model" in err
    assert (
        "questions to the similarity teacher, which has no prompts, no tokens and no price" in out
    )
    assert "position bias, order swap, parse failures: not applicable, no prompt was sent" in out


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--seed", "7"], "study 'small' has no seed 7; it has 0, 1"),
        (["--set", "teacher.template=gone.txt"], r".*'teacher.template' is 'gone.txt'; .*cannot be "
         r"read .*; name a text file"),
        (["--set", "teacher.template='{candidates} {histry}'"], r"the prompt template has an "
         r"unknown place \{histry\}; did you mean 'history'\?, and double a brace .*"),
        (["--set", "teacher.kind=similarity"], r".*'domain' is read where kind is llm only; remove "
         "it"),
        (["--set", "teacher.options={api_key: x}"], r".*'options' would be in every record; set "
         "OPENAI_API_KEY"),
        (["--set", "teacher.sources={next: 1, polcy: 1}"], "there is no source of candidates "
         r"'polcy'; did you mean 'policy'\?"),
        (["--set", "teacher.model=openai:gpt"], r".*expected openai:MODEL@URL.*"),
        (["--set", "teacher.model=transformers:absent/dir"], r".*absent/dir.*"),
    ],
)  # fmt: skip
def test_mistakes_are_one_sentence(
    words: list[str], sentence: str, study: Path, tmp_path: Path, monkeypatch, capsys
):
    base = ["prefer", str(study), "--runs", str(tmp_path / "runs")]
    code, _, err = simrec(monkeypatch, capsys, *base, *words)
    assert code == 2 and stages(tmp_path) == {}
    last = err.splitlines()[-1]
    assert re.fullmatch(f"simrec: {sentence}", last), last


def test_a_folder_that_cannot_be_written_is_one_sentence(
    study: Path, tmp_path: Path, monkeypatch, capsys
):
    inputs = Inputs(load_config(study), tmp_path / "runs")
    item_table(inputs)
    preferences_path(inputs, 0).with_name("teacher.lock").mkdir()
    code, _, err = simrec(
        monkeypatch, capsys, "prefer", str(study), "--runs", str(tmp_path / "runs")
    )
    assert code == 2
    assert re.fullmatch(
        r"simrec: cannot write preferences to .*stages \(.*\); make room or name another folder "
        r"with --runs, then run again: no answer is asked for twice",
        err.splitlines()[-1],
    )


def elsewhere(way: str, tmp_path: Path, name: str, *numbers: int) -> list[int]:
    """Run killed_asking in a process of its own; return how much each child asked."""
    study = tmp_path / "slow.yaml"
    study.write_text(
        STUDY.replace("tests.asking:polite", "killed_asking:slow").replace("[0, 1]", "[0]")
    )
    places = [str(study), str(tmp_path / name / "runs"), str(tmp_path / name / "home")]
    words = [sys.executable, str(ROOT / "tests" / "killed_asking.py"), way, *places]
    end = subprocess.run(
        [*words, *map(str, numbers)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    counts: list[int] = json.loads(end.stdout)
    return counts


def test_twenty_kills_at_random_moments_change_no_byte_and_cost_only_what_was_in_flight(
    tmp_path: Path,
):
    assert elsewhere("together", tmp_path, "calm", 1) == [STATES + 20]
    asked = elsewhere("killed", tmp_path, "hard", 20, STATES + 20, 4)
    assert len(asked) == 21
    assert STATES + 20 <= sum(asked) <= STATES + 40  # at most one lost with every kill
    assert sum(count > 0 for count in asked) >= 12  # most were killed while they asked
    calm, hard = stages(tmp_path / "calm"), stages(tmp_path / "hard")
    assert len(calm) == 2 and calm == hard


def test_two_processes_of_a_study_pay_once(tmp_path: Path):
    asked = elsewhere("together", tmp_path, "pair", 2)
    assert sorted(asked) == [0, STATES + 20]
