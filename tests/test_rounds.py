"""Rounds of asking: the policy chooses what is asked next, and nothing is asked or made twice."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from simrec.cli.teacher_report import judge
from simrec.config import StudyConfig
from simrec.llm.report_text import rounds_lines
from simrec.preferences import PreferenceSet
from simrec.stages.inputs import Inputs
from simrec.stages.policy import policy_files, pretrain_policy
from simrec.stages.rounds import round_path
from simrec.stages.world import prepare_world
from tests import asking

SEED = 240
STUDY: dict[str, Any] = {
    "study": "rounds",
    "seeds": [SEED],
    "data": {"name": "toy", "toy_seed": 24},
    "split": {"online_share": 0.8},
    "items": {"modalities": ["text"]},
    "world": {"topics": "topic", "bounds_sessions": 64},
    "teacher": {"encoder": "hashed", "questions_per_user": 1, "candidates": 8, "rounds": 3},
    "reward": {"epochs": 1, "weight_decays": [3.0]},
    "pretrain": {"env_steps": 768},
}


def inputs(root: Path, **teacher: object) -> Inputs:
    """Return the study with other keys of its teacher."""
    content = {**STUDY, "teacher": {**STUDY["teacher"], **teacher}}
    return Inputs(StudyConfig.model_validate(content), root)


def work(study: Inputs, *, shuffled: bool = False) -> int:
    """Do the pretraining of the seed; return how many steps were reported."""
    steps: list[int] = []
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        prepare_world(study, lambda line: None)
        pretrain_policy(study, SEED, shuffled, steps.append, lambda line: None)
    finally:
        torch.set_num_threads(threads)
    return sum(steps)


def answers(study: Inputs) -> list[PreferenceSet]:
    return [PreferenceSet.load(round_path(study, SEED, number)) for number in (1, 2, 3)]


def report(study: Inputs, *, shuffled: bool = False) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(policy_files(study, SEED, shuffled).report.read_text())
    return content


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Inputs, int]:
    study = inputs(tmp_path_factory.mktemp("runs"))
    return study, work(study)


def test_later_rounds_ask_about_the_policys_items_and_never_twice(done: tuple[Inputs, int]) -> None:
    study, steps = done
    assert steps == 3 * 768
    rounds = answers(study)
    asked: set[tuple[int, int]] = set()
    for number, some in enumerate(rounds, start=1):
        for answer in some:
            question = answer.question
            pairs = {(question.user, item) for item in question.candidates.tolist()}
            assert len(pairs) == 8 and not pairs & asked
            asked |= pairs
            counts = {name: question.sources.count(name) for name in set(question.sources)}
            if number == 1:
                assert counts == {"popular": 4, "random": 4}
            else:  # half from the policy; without a liked item there are no neighbours
                assert counts["policy"] == 4 and counts["random"] >= 3
                assert counts.get("neighbours", 0) <= 1
    told = report(study)
    assert told["llm"]["questions"] == sum(map(len, rounds))
    assert [r["questions"] for r in told["llm"]["rounds"]] == [len(r) for r in rounds]
    assert {"policy", "random"} <= set(told["llm"]["rounds"][2]["like_rate"])


def test_a_stopped_round_goes_on_with_what_is_there(done: tuple[Inputs, int]) -> None:
    study, _ = done
    folder = study.folder / "stages"
    last, end = round_path(study, SEED, 3), policy_files(study, SEED, False)
    before = last.read_bytes(), end.report.read_bytes()
    last.unlink()
    end.report.unlink()
    kept = {path: path.stat().st_mtime_ns for path in folder.glob("asking-*")}
    assert len(kept) == 2  # the policies that chose the second and the third round
    assert work(study) == 3 * 768  # the bar is filled, though two of the three were there
    assert (last.read_bytes(), end.report.read_bytes()) == before
    assert {path: path.stat().st_mtime_ns for path in folder.glob("asking-*")} == kept


def test_the_shuffled_control_gets_the_same_questions_and_trains_once(
    done: tuple[Inputs, int],
) -> None:
    study, _ = done
    before = sorted((study.folder / "stages").glob("preferences-*"))
    assert work(study, shuffled=True) == 768
    assert sorted((study.folder / "stages").glob("preferences-*")) == before
    assert report(study, shuffled=True)["llm"]["questions"] == report(study)["llm"]["questions"]


def test_one_round_is_what_it_was_before_there_were_rounds(tmp_path: Path) -> None:
    one, three = inputs(tmp_path, rounds=1), inputs(tmp_path)
    assert "rounds" not in one.config.model_dump()["teacher"]
    assert one.preferences_key(SEED) == three.preferences_key(SEED)
    assert one.round_key(SEED, 2) == three.round_key(SEED, 2)
    assert one.policy_key(SEED, False) != three.policy_key(SEED, False)
    other = inputs(tmp_path, refresh_sources={"policy": 1.0})
    assert other.round_key(SEED, 2) != three.round_key(SEED, 2)


def test_a_language_model_is_asked_in_every_round_and_never_twice(
    tmp_path: Path, data_home: Path
) -> None:
    asking.CALLS.clear()
    asking.STOPPED.clear()
    model = {"kind": "llm", "model": "scripted:tests.asking:polite", "swap_sample": 3, "rounds": 2}
    study = inputs(tmp_path / "a", **model)
    work(study)
    users = report(study)["llm"]["rounds"][0]["questions"]
    assert len(asking.CALLS) == 2 * (users + 3)
    assert report(study)["llm"]["spent"]["requests"] == 2 * users
    assert set(answers_of_round_two(study)) == {"neighbours", "policy", "random"}
    check_report(study, users)
    asking.STOPPED.append("all was said")
    again = inputs(tmp_path / "b", **model)  # the stages are lost, the answers are not
    work(again)
    assert round_path(again, SEED, 2).read_bytes() == round_path(study, SEED, 2).read_bytes()


def check_report(study: Inputs, users: int) -> None:
    """The teacher is judged by the answers of every round, and by each alone."""
    judged = judge(study, SEED)
    all_of_it, first, second, _ = judged.sections[0].rows
    assert judged.sections[0].title.startswith(f"answers of seed {SEED} in all 2 rounds against")
    assert (first.name, second.name) == ("round 1 alone", "round 2 alone")
    assert all_of_it.pairs == first.pairs + second.pairs and judged.rounds == (2, 2)
    lines = rounds_lines(judged.measures, "llm", (None, None))
    for number in (1, 2):
        assert any(line.startswith(f"round {number}: cost: {users + 3} requests") for line in lines)
    assert lines[-1].startswith(f"all 2 rounds: cost: {2 * (users + 3)} requests, ")
    whole = round_path(study, SEED, 2).rename(study.folder / "away")
    judged = judge(study, SEED)  # as after `simrec prefer`
    assert judged.rounds == (1, 2) and set(judged.measures) == {1}
    assert judged.sections[0].rows[0].pairs == first.pairs
    whole.rename(round_path(study, SEED, 2))


def answers_of_round_two(study: Inputs) -> set[str]:
    found = PreferenceSet.load(round_path(study, SEED, 2))
    assert all(np.isfinite(answer.score).all() for answer in found)
    return {name for answer in found for name in answer.question.sources}
