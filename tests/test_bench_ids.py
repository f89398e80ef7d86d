"""The bench of semantic ids as actions: every arm plays the study's world, paired by seed."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from simrec.cli import app

STUDY = """
study: codes
data: {name: toy}
world: {bounds_sessions: 64}
items: {ids: {kind: rq_kmeans, levels: 2, size: 8}}
"""


def test_arms_are_paired_by_seed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "study.yaml").write_text(STUDY, encoding="utf-8")
    asked = ["bench", "ids", "study.yaml", "--seeds", "2", "--env-steps", "1024", "--json", "-"]
    done = CliRunner().invoke(app, asked)
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert set(found["clicks"]) == {"random", "items", "codes"} and len(found["codes"]) == 3
    a, b = found["by seed"]["codes"], found["by seed"]["items"]
    mean = sum(x - y for x, y in zip(a, b, strict=True)) / 2
    assert found["codes minus items"]["mean"] == pytest.approx(mean)
    difference = found["codes minus items"]
    assert difference["low"] <= difference["mean"] <= difference["high"]
