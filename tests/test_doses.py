"""Teacher quality against early gain, on made runs with known answers."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from simrec.cli.compare import compare_command
from simrec.compare import compare_studies
from simrec.doses import dose_responses
from tests.run_folders import RECORD, write_made_run


def made(root: Path, study: str, auc: float, gain: float, *, scratch: bool = True) -> None:
    """A study whose ft has `gain` clicks of 10 more than scratch early; ap gains 1 in any case."""
    for seed in range(3):
        arms = {"ft": 4.0 + gain, "ap": 5.0} | ({"scratch": 4.0} if scratch else {})
        for name, clicks in arms.items():
            record = replace(
                RECORD, study=study, strategy=name, seed=seed, teacher={"name": f"tea {study}"},
                notes={"people": {"reward_auc": auc + seed / 100}},
            )  # fmt: skip
            folder = root / study / name / f"seed-{seed}"
            write_made_run(folder, record, lambda s, v=clicks: np.full(len(s), v))


def test_a_gain_that_rises_with_the_teacher(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made(tmp_path, "a", 0.8, 3.0)
    made(tmp_path, "b", 0.6, 1.0)
    made(tmp_path, "c", 0.7, 2.0, scratch=False)  # scratch is taken from another study
    [found] = dose_responses(compare_studies(tmp_path))
    assert [dose.study for dose in found.doses] == ["a", "c", "b"]
    assert found.doses[1].gains["ft"].mean == pytest.approx(0.2)
    assert found.doses[1].quality.mean == pytest.approx(0.71)
    rho = found.correlation["ft"]
    assert (rho.mean, rho.low, rho.high) == pytest.approx((1.0, 1.0, 1.0))
    assert found.verdict("ft") == "rises"
    assert np.isnan(found.correlation["ap"].mean)  # all gains alike: no order, no verdict
    assert found.verdict("ap") == "not resolved"
    compare_command([tmp_path], Path("-"))
    told = json.loads(capsys.readouterr().out)["dose_response"][0]
    assert told["spearman"]["ft"]["verdict"] == "rises" and told["spearman"]["ap"]["mean"] is None
    compare_command([tmp_path], None, tmp_path / "all.md")
    assert "| tea a | 0.810 [" in (tmp_path / "all.md").read_text(encoding="utf-8")
    assert "early gain over scratch" in capsys.readouterr().out


def test_two_teachers_or_two_worlds_make_no_dose_response(tmp_path: Path) -> None:
    made(tmp_path, "a", 0.8, 3.0)
    made(tmp_path, "b", 0.6, 1.0)
    assert dose_responses(compare_studies(tmp_path)) == []
