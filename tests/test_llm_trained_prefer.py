"""A trained model as teacher: items that give orders, and `simrec prefer` killed and gone on."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from simrec.llm.backends import language_model
from simrec.llm.cache import AnswerCache
from simrec.preferences import PreferenceSet
from tests.asking import question, teacher
from tests.test_ask_hostile import MILD, TITLES
from tests.test_ask_prefer import simrec
from tests.trained_llm import FOLDER, MODEL, NAME, needs_trained, served_model, serving

pytestmark = needs_trained

# llama.cpp rounds activations, and otherwise with other neighbours: 0.09 of a chance was seen. With
# one request at a time and no memory of prompts it gives the same bytes, in four times the time.
ROUNDING = 0.2
LISTS = [[1, 3, 2], [3, 0, 1], [2, 1, 3]]  # candidates; 3 gives the orders


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with serving() as address:
        yield address


@pytest.mark.parametrize(
    ("where", "form"), [("here", "yesno"), ("here", "rating"), ("server", "yesno")]
)
def test_orders_in_an_items_text_move_no_other_score(
    where: str, form: str, address: str, tmp_path: Path
):
    model = language_model(MODEL, batch_size=1) if where == "here" else served_model(address)
    asked = question([1, 3, 2])
    (evil,) = teacher(model, tmp_path / "a", form=form, titles=TITLES).prefer([asked])
    (mild,) = teacher(model, tmp_path / "b", form=form, titles=MILD).prefer([asked])
    assert evil.score[[0, 2]].tobytes() == mild.score[[0, 2]].tobytes()
    low, high = (0.0, 1.0) if form == "yesno" else (1.0, 5.0)
    assert ((low <= evil.score) & (evil.score <= high)).all()
    print(f"{where}, {form}: its own score {mild.score[1]:.3f} -> {evil.score[1]:.3f}")


def test_in_a_list_orders_can_move_others_but_only_candidates_are_named(
    address: str, tmp_path: Path
):
    model = served_model(address)
    asked = [question(candidates, history=[0]) for candidates in LISTS]
    evil = teacher(model, tmp_path / "a", titles=TITLES).prefer(asked)
    mild = teacher(model, tmp_path / "b", titles=MILD).prefer(asked)
    moved, others, named = 0, 0, 0
    for candidates, told, calm in zip(LISTS, evil, mild, strict=True):
        for answer in (told, calm):
            assert np.isnan(answer.score).all() or set(answer.score.tolist()) <= {0.0, 1.0}
        other = np.array(candidates) != 3
        moved += int((told.score != calm.score)[other].sum())
        others += int(other.sum())
        named += int(told.score[~other].sum() - calm.score[~other].sum())
    print(f"list: {moved} of {others} answers to other candidates moved; its own {named:+d}")


STUDY = """
study: small
seeds: [0]
data: {{name: toy, toy_seed: 22}}
split: {{online_share: 0.995, history: 2}}
items: {{modalities: [text]}}
teacher:
  kind: llm
  model: '{model}'
  options: {options}
  form: yesno
  questions_per_user: 1
  candidates: 2
  swap_sample: 2
"""


def stages(runs: Path) -> dict[str, bytes]:
    """Return the preferences, and what was measured of them, as bytes."""
    found = sorted((runs / "small" / "stages").glob("preferences*"))
    assert len(found) == 2, found
    return {path.name: path.read_bytes() for path in found}


def scores(runs: Path) -> NDArray[np.float64]:
    """Return the candidates' scores (N, K), in the order of the questions."""
    (path,) = (runs / "small" / "stages").glob("preferences*.parquet")
    return np.array([answer.score for answer in PreferenceSet.load(path)])


def killed(study: Path, runs: Path, home: Path, answers: int) -> int:
    """Kill `simrec prefer` when so many answers are kept; return how many were."""

    def kept() -> int:
        with AnswerCache(home / "answers.sqlite") as cache:
            return len(cache)

    command = [sys.executable, "-c", "from simrec.cli import main; main()", "prefer", str(study)]
    process = subprocess.Popen(
        [*command, "--runs", str(runs)],
        env={**os.environ, "SIMREC_HOME": str(home)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while kept() < answers and process.poll() is None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.05)
    process.kill()
    process.wait()
    return kept()


@pytest.mark.parametrize("where", ["here", "server"])
def test_the_command_asks_once_survives_a_kill_and_then_needs_no_model(
    where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    model = f"openai:{NAME}@"
    folder = tmp_path / "smollm2"
    study = tmp_path / "study.yaml"

    def run(*words: str, home: str, runs: str) -> str:
        monkeypatch.setenv("SIMREC_HOME", str(tmp_path / home))
        code, out, err = simrec(
            monkeypatch, capsys, *words, str(study), "--runs", str(tmp_path / runs)
        )
        assert code == 0, out + err
        return out

    with contextlib.ExitStack() as open_:
        if where == "here":
            folder.symlink_to(FOLDER)
            model, options = f"transformers:{folder}", "{batch_size: 2}"
        else:
            model += open_.enter_context(serving())
            options = "{server: llama.cpp, concurrency: 4}"
        study.write_text(STUDY.format(model=model, options=options))
        planned = run("prefer", "--dry-run", home="calm", runs="calm-runs")
        assert "3 questions, 6 requests, 0 of them already answered" in planned
        said = run("prefer", home="calm", runs="calm-runs")
        assert "3 ok; 0 of 6 replies not readable" in said
        assert 2 <= killed(study, tmp_path / "hard-runs", tmp_path / "hard", 2) <= 6
        run("prefer", home="hard", runs="hard-runs")
    if where == "here":
        folder.unlink()
    calm, hard = stages(tmp_path / "calm-runs"), stages(tmp_path / "hard-runs")
    assert where == "server" or hard == calm
    apart = np.abs(scores(tmp_path / "hard-runs") - scores(tmp_path / "calm-runs"))
    assert apart.shape == (3, 2) and apart.max() < ROUNDING
    again = run("prefer", home="calm", runs="calm-runs")  # the model is gone
    assert again.startswith("seed 0: already asked, ")
    said = run("prefer", home="calm", runs="other-runs")
    assert "6 requests, 6 of them already answered; to send: 0 prompt tokens" in said
    assert stages(tmp_path / "other-runs") == calm
    report = run("teacher", "report", home="calm", runs="calm-runs")
    assert "cost: 6 requests" in report
    print(f"{where}: after a kill, scores at most {apart.max():.3f} apart")
