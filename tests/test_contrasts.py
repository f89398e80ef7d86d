"""Contrasts declared beforehand and strategies over worlds, on made runs with known answers."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from simrec.cli.compare import compare_command
from simrec.compare import compare, compare_studies
from simrec.contrasts import Contrast, outcomes, overall
from simrec.target import targets
from tests.run_folders import BOUNDS, RECORD, write_made_run, write_study

FT = (Contrast("H1", "early", "ft", "scratch"), Contrast("H3", "area", "ap", "ft"))


def test_the_contrasts_of_one_study_by_hand(tmp_path: Path) -> None:
    gain, unsteady = outcomes([compare(write_study(tmp_path))], FT)
    # ft - scratch is +1 click of 10 for each of 5 seeds: 2 of 32 sign flips are as extreme
    assert gain.difference.mean == pytest.approx(0.1)
    assert gain.p == pytest.approx(2 / 32)
    assert gain.improves == 1.0
    # ap - ft is -0.05 for seeds 0, 2, 4 and +0.05 for 1 and 3; |sum| >= 0.05 always: p = 1
    assert unsteady.p == 1.0
    # Holm over two: the smaller p is doubled
    assert gain.p_holm == pytest.approx(4 / 32)
    assert (gain.verdict, unsteady.verdict) == ("not resolved", "not resolved")


def test_a_gain_over_many_seeds_is_above_and_its_mirror_below(tmp_path: Path) -> None:
    found = compare(write_study(tmp_path, seeds=8))
    mirror = Contrast("H1", "early", "scratch", "ft")
    above, below = outcomes([found], (FT[0], mirror))
    assert above.p_holm == pytest.approx(2 * 2 / 256)
    assert (above.verdict, below.verdict) == ("above", "below")


def test_every_contrast_of_every_world_is_adjusted_for(tmp_path: Path) -> None:
    for world in ("one", "two", "three"):
        write_study(tmp_path, seeds=6, base=replace(RECORD, study=world, world=world))
    judged = outcomes(compare_studies(tmp_path), FT[:1])
    assert [outcome.world for outcome in judged] == ["one", "three", "two"]
    assert [outcome.p_holm for outcome in judged] == pytest.approx([3 * 2 / 64] * 3)
    assert outcomes(compare_studies(tmp_path), (Contrast("H1", "early", "ft", "absent"),)) == []


def test_the_interquartile_mean_weighs_worlds_alike(tmp_path: Path) -> None:
    def made(world: str, clicks: list[float]) -> None:
        for seed, value in enumerate(clicks):
            record = replace(RECORD, study=world, world=world, strategy="ft", seed=seed)
            folder = tmp_path / world / "ft" / f"seed-{seed}"
            write_made_run(folder, record, lambda s, v=value: np.full(len(s), v))

    made("one", [2.0, 12.0])  # y: 0, 1
    made("two", [4.0, 6.0, 8.0, 10.0])  # y: .2, .4, .6, .8
    [row] = overall(compare_studies(tmp_path))
    # world one counts each seed twice: 0 0 .2 .4 .6 .8 1 1, the middle half is .2 .4 .6 .8
    assert row.values["area"].mean == pytest.approx(0.5)
    assert 0.0 <= row.values["area"].low < 0.5 < row.values["area"].high <= 1.0


def test_several_studies_are_written_by_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for world in ("one", "two"):
        write_study(tmp_path, seeds=2, base=replace(RECORD, study=world, world=world))
    compare_command([tmp_path], Path("-"))
    content = json.loads(capsys.readouterr().out)
    assert content.keys() == {"studies", "overall", "contrasts", "target", "dose_response"}
    assert content["dose_response"] == []  # two studies are no series of teachers
    assert content["studies"].keys() == {"one", "two"}
    assert content["overall"].keys() == {"scratch", "ft", "ap"}
    assert len(content["contrasts"]) == 10  # five declared, two worlds
    compare_command([tmp_path], None)
    printed = capsys.readouterr().out
    assert "Contrasts declared beforehand" in printed
    assert "Over 2 worlds: interquartile mean" in printed


def test_what_runs_noted_is_shown_beside_the_columns(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for seed, regret in enumerate((100.0, 300.0)):
        notes = {"measures": {"regret": regret}}
        record = replace(RECORD, seed=seed, notes=notes, bounds=BOUNDS)
        write_made_run(tmp_path / "ft" / f"seed-{seed}", record, lambda s: s * 0)
    side = compare(tmp_path).as_dict()["strategies"]["ft"]["side"]
    assert side["regret"]["mean"] == 200.0
    compare_command([tmp_path], None)
    printed = capsys.readouterr().out
    assert "regret (clicks)" in printed and "frozen share" not in printed
    assert "computing time" not in printed
    compare_command([tmp_path], None, measures=True)
    printed = capsys.readouterr().out
    assert "computing time" in printed and "regret: what the oracle would have had" in printed


def test_the_tables_are_written_as_markdown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for world in ("one", "two"):
        write_study(tmp_path / "runs", seeds=2, base=replace(RECORD, study=world, world=world))
    compare_command([tmp_path / "runs"], None, tmp_path / "out.md")
    lines = (tmp_path / "out.md").read_text().splitlines()
    assert "## one, 2 seeds" in lines
    # scratch has 4 and 4.1 clicks: y = 0.2 and 0.21
    row = next(line for line in lines if line.startswith("| `scratch`")).split(" | ")
    assert row[1].startswith("0.205 [")
    difference = next(line for line in lines if line.startswith("| `ft` - `scratch`"))
    assert difference.split(" | ")[1] == "+0.100 [0.100, 0.100]"
    assert "## Over 2 worlds: interquartile mean" in lines
    widths = {line.count("|") for line in lines if line.startswith("| `")}
    assert widths == {8, 6}


def test_the_target_by_hand(tmp_path: Path) -> None:
    def made(strategy: str, clicks: float) -> None:
        for seed in range(4):
            record = replace(RECORD, study="one", world="one", strategy=strategy, seed=seed)
            value = clicks + (
                0.5 if seed % 2 else -0.5
            )  # the same spread in all: differences have none
            folder = tmp_path / "one" / strategy / f"seed-{seed}"
            write_made_run(folder, record, lambda s, v=value: np.full(len(s), v))

    for strategy, clicks in (("scratch", 6.0), ("ft", 5.0), ("frozen", 4.0), ("ap", 6.1)):
        made(strategy, clicks)
    [found] = targets([compare(tmp_path)])
    # y = (R - 2) / 10: ap - frozen early is .21, ap - scratch late and over the whole run .01
    assert found.early.found.mean == pytest.approx(0.21)
    assert (found.late.rival, found.late.found.mean) == ("scratch", pytest.approx(0.01))
    assert [gap.found.mean for gap in found.area] == pytest.approx([0.01, 0.11, 0.21])
    assert found.met
    made("ap", 5.9)  # .01 below scratch: within the margin late, too little over the whole run
    [found] = targets([compare(tmp_path)])
    assert (found.early.met, found.late.met, found.area_met, found.met) == (
        True,
        True,
        False,
        False,
    )
    made("ap", 5.7)
    [found] = targets([compare(tmp_path)])
    assert (found.late.met, found.met) == (False, False)


def test_no_target_without_all_four_strategies(tmp_path: Path) -> None:
    write_made_run(tmp_path / "tiny" / "ap" / "seed-0", RECORD, lambda s: s * 0 + 3)
    assert targets([compare(tmp_path)]) == []
