"""Strategies and controls are listed, and a study of the newer ones leaves what it promises."""

import sys
from pathlib import Path

import pytest

import simrec
from simrec.agents.adapt import all_strategies
from simrec.cli import main
from simrec.config import StudyConfig
from simrec.progress import bars
from simrec.records import read_run
from simrec.stages.controls import CONTROLS
from simrec.stages.run import needs_pretraining
from simrec.study import run_study

ONLINE = ("ap-pex", "linucb")
FIXED = ("teacher", "cql")


def test_every_strategy_and_control_is_listed_with_a_sentence_and_a_source(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["simrec", "strategies"])
    with pytest.raises(SystemExit) as end:
        main()
    assert not end.value.code
    shown = capsys.readouterr().out
    for name, entry in (all_strategies() | CONTROLS).items():
        assert f" {name} " in shown
        assert entry.sentence.endswith(".") and entry.source, name
    assert len(all_strategies()) == 27
    assert len(CONTROLS) == 14


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("scratch", ""),
        ("linucb", ""),
        ("oracle", ""),
        ("teacher", ""),
        ("ap-pex", "true"),
        ("frozen-random", "true"),
        ("greedy-reward", "true"),
        ("ap-shuffled", "shuffled"),
        ("ft-shuffled", "shuffled"),
    ],
)
def test_only_what_reads_a_pretrained_policy_waits_for_one(name: str, labels: str) -> None:
    assert needs_pretraining(name) == labels


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("runs")
    config = StudyConfig.model_validate(
        {
            "study": "newer",
            "seeds": [210],
            "data": {"name": "toy"},
            "world": {"topics": "topic", "bounds_sessions": 64},
            "teacher": {"encoder": "hashed", "questions_per_user": 2},
            "reward": {"epochs": 2, "weight_decays": [0.0]},
            "pretrain": {"env_steps": 1600},
            "online": {"env_steps": 3200, "strategies": ONLINE, "controls": FIXED},
        }
    )
    with bars() as shown:
        run_study(config, root, bars=shown, say=lambda _: None, workers=1)
    return root / "newer"


def test_runs_record_what_users_were_shown_and_lost(study: Path) -> None:
    for name in (*ONLINE, *FIXED):
        run = read_run(study / name / "seed-210")
        found = run.record.notes["measures"]
        episodes = run.episodes[run.episodes["start_step"] < 3200]
        lost = float((run.record.bounds["oracle"] - episodes["reward"]).sum())
        assert found["regret"] == pytest.approx(lost, rel=1e-6)
        early = episodes["left"] & (episodes["length"] < 5)
        assert found["lost_before_step_5"] == pytest.approx(float(early.mean()))
        assert 0 < found["exposure_gini"] < 1
        assert 0 < found["session_diversity"] < 1
        assert found["novelty_bits"] > 0
        assert found["worst_decile_clicks"] <= episodes["reward"].mean()
        assert ("frozen_share" in found) == (name == "ap-pex")


def test_a_study_leaves_policies_that_recommend(study: Path) -> None:
    policy = simrec.load_policy(study / "policies" / "ap-pex-seed-210")
    best = policy.recommend([policy.item_ids[5]], k=10, exclude=policy.item_ids[:5])
    assert len(set(best)) == 10
    assert not set(best) & set(policy.item_ids[:6])
    assert not (study / "policies" / "cql-seed-210").exists()  # no policy of this project
