"""Tuning: seeds kept apart, equal budgets, a kill that changes nothing, a file that can be run."""

import json
import sqlite3
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from simrec.cli import app
from simrec.config import StudyConfig, load_config
from simrec.errors import SimrecError
from simrec.progress import bars
from simrec.tune import SPACES, Best, check_seeds, tune, usual_settings
from tests.toy_study import STUDY


def config() -> StudyConfig:
    import yaml

    return StudyConfig.model_validate(
        {
            **yaml.safe_load(STUDY),
            "pretrain": {"env_steps": 800},
            "online": {
                "env_steps": 800,
                "strategies": ["scratch", "linucb"],
                "controls": ["random"],
                "n_envs": 16,
            },
        }
    )


def tuned(root: Path, trials: int) -> tuple[list[Best], list[str]]:
    said: list[str] = []
    threads = torch.get_num_threads()
    try:
        with bars() as shown:
            found = tune(
                config(), root, root / "out", seeds=[100], trials=trials, bars=shown,
                say=said.append, workers=1,
            )  # fmt: skip
    finally:
        torch.set_num_threads(threads)
    return found, said


@pytest.mark.parametrize(
    ("seeds", "wrong"), [([0, 100], "0"), ([100, 230], "230"), ([99], "99"), ([], "none")]
)
def test_seeds_of_results_are_refused(seeds: list[int], wrong: str) -> None:
    with pytest.raises(SimrecError) as error:
        check_seeds(seeds, (230, 231))
    assert str(error.value) == (
        f"tuning got seed {wrong}, which results are told of; expected seeds from 100 on that are "
        "not the study's, such as --seeds 100,101,102"
    )


def test_the_usual_settings_are_the_learners_own_inside_the_spans() -> None:
    assert usual_settings(config())["final_temperature"] == 0.08
    other = StudyConfig(study="x", learner={"settings": {"temperature": 0.3, "prior_share": 0}})  # type: ignore[arg-type]
    assert usual_settings(other)["temperature"] == 0.3
    assert usual_settings(other)["prior_share"] == SPACES["kac"]["prior_share"].low


def test_a_tuning_goes_on_where_it_was_stopped_and_leaves_a_study(tmp_path: Path) -> None:
    first, said = tuned(tmp_path, 1)
    assert [best.arm for best in first] == ["scratch"]  # linucb reads none of the settings
    assert first[0].value == first[0].usual
    # A try that was under way when the process was killed stays behind unfinished.
    with sqlite3.connect(tmp_path / "tune" / "tiny.sqlite") as database:
        database.execute(
            "INSERT INTO trials (number, study_id, state) "
            "SELECT 1, study_id, 'RUNNING' FROM studies"
        )
    second, more = tuned(tmp_path, 2)
    assert len(said) == 1 and len(more) == 1  # the first try was not made again
    again, nothing = tuned(tmp_path, 2)
    assert again == second and nothing == []
    whole, _ = tuned(tmp_path / "undisturbed", 2)
    assert (whole[0].value, whole[0].settings) == (second[0].value, second[0].settings)

    found = load_config(second[0].file)
    assert found.study == "tiny-scratch"
    assert found.seeds == (230, 231)
    assert found.online.strategies == ("scratch",) and found.online.controls == ("random",)
    assert found.learner.settings == second[0].settings
    assert json.dumps(found.world.model_dump()) == json.dumps(config().world.model_dump())


def test_the_command_refuses_a_measure_it_does_not_know(tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(STUDY, encoding="utf-8")
    done = CliRunner().invoke(app, ["tune", str(path), "--measure", "aria"])
    assert str(done.exception) == "--measure got 'aria'; did you mean 'area'?"
    done = CliRunner().invoke(app, ["tune", str(path), "--seeds", "0..4"])
    assert str(done.exception) == "--seeds got '0..4'; expected numbers such as 100,101,102"
