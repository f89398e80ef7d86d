"""What choosing between two strategies could gain, by hand."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from simrec.records import Run, read_run
from simrec.switching import switching_gain
from tests.run_folders import RECORD, write_made_run


def _runs(root: Path, strategy: str, levels: Mapping[int, tuple[float, float]]) -> list[Run]:
    """Return runs with one number of clicks in the first half and another in the second."""
    found = []
    for seed, (before, after) in levels.items():
        record = replace(RECORD, strategy=strategy, seed=seed)
        folder = root / strategy / f"seed-{seed}"
        clicks = np.where(np.arange(0, 1000, 10) < 500, before, after)
        write_made_run(folder, record, lambda _, clicks=clicks: clicks)  # type: ignore[misc]
        found.append(read_run(folder))
    return found


def test_what_lies_between_two_curves_before_they_cross(tmp_path: Path) -> None:
    # y = (R - 2) / 10: 0 then .5 against .2 always; ahead by .2 for half of the run
    scratch = _runs(tmp_path, "scratch", {0: (2.0, 7.0), 1: (2.0, 7.0)})
    frozen = _runs(tmp_path, "frozen", {0: (4.0, 4.0), 1: (4.0, 4.0)})
    found = switching_gain(scratch, frozen)
    assert found.mean == pytest.approx(0.1, abs=0.04)  # the block in which they cross is mixed
    assert (found.low, found.high) == (found.mean, found.mean)
    assert switching_gain(frozen, scratch).mean == pytest.approx(0.15, abs=0.04)


def test_a_policy_always_behind_is_worth_nothing_and_one_always_ahead_its_lead(
    tmp_path: Path,
) -> None:
    scratch = _runs(tmp_path, "scratch", {0: (6.0, 6.0), 1: (7.0, 7.0), 2: (6.5, 6.5)})
    frozen = _runs(tmp_path, "frozen", {0: (4.0, 4.0), 1: (4.0, 4.0), 2: (4.0, 4.0)})
    assert switching_gain(scratch, frozen).mean == 0.0
    assert switching_gain(frozen, scratch).mean == pytest.approx(0.25)


def test_a_seed_is_told_by_the_others_when_to_switch(tmp_path: Path) -> None:
    scratch = _runs(tmp_path, "scratch", {0: (2.0, 2.0), 1: (5.0, 5.0)})
    frozen = _runs(tmp_path, "frozen", {0: (4.0, 4.0), 1: (4.0, 4.0)})
    # seed 0 leads by .2 and is told by seed 1 (-.1) to stay; seed 1 is told to switch and loses .1
    assert switching_gain(scratch, frozen).mean == pytest.approx(-0.05)


def test_one_seed_cannot_say(tmp_path: Path) -> None:
    scratch = _runs(tmp_path, "scratch", {0: (2.0, 2.0)})
    assert np.isnan(switching_gain(scratch, scratch).mean)
