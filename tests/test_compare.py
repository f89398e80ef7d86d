"""Comparisons of made run folders whose right answers are known."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from simrec.cli.compare import compare_command
from simrec.cli.compare_tables import show
from simrec.compare import compare, measures
from simrec.curves import learning_curve
from simrec.errors import SimrecError
from simrec.findings import cautions
from simrec.records import read_run
from tests.run_folders import BOUNDS, RECORD, write_made_run, write_study

MEASURES = {
    "early", "middle", "late", "area",
    "lost_early", "distinct_early", "distinct_late", "distinct_items",
}  # fmt: skip


def test_measures_of_one_run_by_hand(tmp_path: Path) -> None:
    # budget 1,000, a session every 10 steps with start / 100 clicks; random 2, oracle 12.
    run = read_run(write_made_run(tmp_path / "seed-0", RECORD, lambda s: s / 100, left=True))
    found = measures(run)
    # early: starts 0, 10, 20, 30, 40: mean 0.2 clicks: (0.2 - 2) / 10
    assert found["early"] == pytest.approx(-0.18)
    # middle: starts 50 .. 790: mean 4.2 clicks
    assert found["middle"] == pytest.approx(0.22)
    # late: starts 800 .. 990: mean 8.95 clicks
    assert found["late"] == pytest.approx(0.695)
    # area: starts 0 .. 990: mean 4.95 clicks
    assert found["area"] == pytest.approx(0.295)
    # five users left in 5 sessions of 10 recommendations: 5 / 50 * 1,000
    assert found["lost_early"] == pytest.approx(100.0)
    # early items 0 and 1 (item 2 was never shown); late items 0 and 5
    assert (found["distinct_early"], found["distinct_late"]) == (2.0, 2.0)
    # y rises by 0.001 a step, over the 200 steps of the late window by 0.2
    assert found["rise"] == pytest.approx(0.2)


def test_sessions_begun_after_the_budget_do_not_count(tmp_path: Path) -> None:
    longer = replace(RECORD, budget_env_steps=1500)
    folder = write_made_run(tmp_path / "seed-0", longer, lambda s: np.where(s < 1000, 3.0, 12.0))
    content = json.loads((folder / "run.json").read_text())
    content["budget_env_steps"] = 1000  # the study went on only to finish running sessions
    (folder / "run.json").write_text(json.dumps(content))
    assert measures(read_run(folder))["area"] == pytest.approx(0.1)


def test_the_json_has_exactly_these_keys(tmp_path: Path) -> None:
    content = compare(write_study(tmp_path)).as_dict()
    assert content.keys() == {"study", "world", "seeds", "bounds", "strategies"}
    assert content["study"] == "tiny"
    assert content["world"] == "toy"
    assert content["seeds"] == [0, 1, 2, 3, 4]
    assert content["bounds"] == BOUNDS
    own = MEASURES | {"seeds", "still_rising"}
    assert {name: found.keys() for name, found in content["strategies"].items()} == {
        "scratch": own | {"vs_ft"},
        "ft": own | {"vs_scratch"},
        "ap": own | {"vs_scratch", "vs_ft"},
    }
    ap = content["strategies"]["ap"]
    assert ap["vs_scratch"].keys() == MEASURES
    assert all(ap[measure].keys() == {"mean", "low", "high"} for measure in MEASURES)
    assert ap["still_rising"].keys() == {"rising", "mean", "low", "high"}
    json.dumps(content, allow_nan=False)


def test_a_known_gain_is_found_exactly_and_an_unsteady_one_is_not_resolved(tmp_path: Path) -> None:
    found = compare(write_study(tmp_path, gain=1.5)).as_dict()["strategies"]
    # 1.5 clicks of the 10 between random and oracle, in every window and for every seed
    for window in ("early", "middle", "late", "area"):
        gain = found["ft"]["vs_scratch"][window]
        assert [gain["mean"], gain["low"], gain["high"]] == pytest.approx([0.15] * 3)
    # scratch: 4.0 .. 4.4 clicks, mean 4.2: y = 0.22
    assert found["scratch"]["area"]["mean"] == pytest.approx(0.22)
    # ap - ft: -0.05 for seeds 0, 2, 4 and +0.05 for 1 and 3: mean -0.01, zero inside
    unsteady = found["ap"]["vs_ft"]["area"]
    assert unsteady["mean"] == pytest.approx(-0.01)
    assert unsteady["low"] < 0 < unsteady["high"]
    mirror = found["scratch"]["vs_ft"]["area"]
    assert mirror["mean"] == pytest.approx(-0.15)


def test_the_same_folders_give_the_same_bytes(tmp_path: Path) -> None:
    study = write_study(tmp_path)
    first = json.dumps(compare(study).as_dict())
    assert json.dumps(compare(sorted(study.iterdir(), reverse=True)).as_dict()) == first


def test_pairs_use_the_seeds_both_have_and_say_what_is_missing(tmp_path: Path) -> None:
    study = write_study(tmp_path, gain=2.0)
    scratch = [study / "scratch" / f"seed-{n}" for n in (0, 3)]
    found = compare([*scratch, study / "ft"])
    assert found.strategies["scratch"].seeds == (0, 3)
    assert found.strategies["ft"].pairs["scratch"]["area"] == pytest.approx([0.2, 0.2])
    assert "scratch has only the seeds 0, 3." in cautions(found)
    alone = compare(study / "ap").as_dict()["strategies"]["ap"]
    assert "vs_scratch" not in alone
    assert "vs_ft" not in alone


def test_a_curve_that_still_rises_is_flagged_and_a_flat_one_is_not(tmp_path: Path) -> None:
    for seed in range(4):
        for name, slope in (("rises", 1.0), ("flat", 0.0)):
            record = replace(RECORD, strategy=name, seed=seed)
            write_made_run(
                tmp_path / "tiny" / name / f"seed-{seed}",
                record,
                # an alternating term that no straight line can follow, of another size each seed
                lambda s, k=slope, n=seed: 3 + k * s / 200 + 0.1 * (1 + n) * (-1.0) ** (s // 10),
            )
    found = compare(tmp_path / "tiny")
    assert found.strategies["rises"].still_rising
    # 1 click in 200 steps is 0.1 of the 10 clicks between the bounds
    assert found.strategies["rises"].rise.mean == pytest.approx(0.1, abs=0.01)
    assert abs(found.strategies["flat"].rise.mean) < 0.01
    assert any(line.startswith("Still rising") and "rises" in line for line in cautions(found))


def test_a_single_seed_gives_null_ends_and_says_so(tmp_path: Path) -> None:
    found = compare(write_study(tmp_path, seeds=1))
    area = found.as_dict()["strategies"]["ft"]["area"]
    assert area["mean"] == pytest.approx(0.3)  # 5 clicks
    assert (area["low"], area["high"]) == (None, None)
    assert "One seed: nothing can be said about spread; run more seeds." in cautions(found)


def test_folders_that_do_not_belong_together_are_refused_in_a_sentence(tmp_path: Path) -> None:
    study = write_study(tmp_path, seeds=1)

    def refused(**changes: object) -> tuple[Path, str]:
        record = replace(RECORD, **{"strategy": "other", **changes})
        folder = write_made_run(tmp_path / "more" / "seed-0", record, lambda s: s * 0)
        with pytest.raises(SimrecError) as error:
            compare([study, folder])
        return folder, str(error.value)

    first = study / "ap" / "seed-0"
    # The order of folders is that of their paths: "more" comes before "tiny".
    folder, sentence = refused(study="else")
    assert sentence == (
        f"cannot compare {folder} (study else) with {first} (study tiny); "
        "give the runs of one study"
    )
    assert "(world coat) with" in refused(world="coat")[1]
    assert "(budget_env_steps 500) with" in refused(budget_env_steps=500)[1]
    folder, sentence = refused(bounds={**BOUNDS, "oracle": 12.5})
    assert sentence == (
        f"{first} has other bounds than {folder}, so its world was configured differently; "
        "give the runs of one study"
    )
    assert refused(config={"study": {"name": "tiny"}, "learner": {"rate": 0.1}})[1].endswith(
        f"(learner.rate 0.1) with {first} (learner.rate absent); "
        "run the study again, or give runs of one configuration"
    )
    folder, sentence = refused(strategy="ft")
    assert sentence == (
        f"ft seed 0 is there twice, in {folder} and {study / 'ft' / 'seed-0'}; give one"
    )


def test_more_seeds_or_strategies_do_not_make_another_study(tmp_path: Path) -> None:
    study = write_study(tmp_path, seeds=1)
    config = {**RECORD.config, "seeds": [0, 1], "online": {"strategies": ["ft", "new"]}}
    record = replace(RECORD, strategy="new", seed=1, config=config)
    write_made_run(study / "new" / "seed-1", record, lambda s: s * 0)
    assert compare(study).seeds == (0, 1)


def test_broken_and_missing_runs_are_named(tmp_path: Path) -> None:
    study = write_study(tmp_path, seeds=2)
    (study / "ft" / "seed-1" / "run.json").unlink()
    with pytest.raises(SimrecError, match=r"ft/seed-1 has no run\.json; expected a run folder"):
        compare(study)
    (study / "ap" / "seed-0" / "episodes.parquet").write_bytes(b"PAR1")
    with pytest.raises(SimrecError) as error:
        compare(study)
    assert str(error.value) == (
        f"2 of 6 runs cannot be read ({study / 'ap' / 'seed-0'}, {study / 'ft' / 'seed-1'}); "
        "delete these folders and run the study again"
    )
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(SimrecError) as error:
        compare(empty)
    assert str(error.value) == f"there are no runs under {empty}; make some with 'simrec run'"


def test_a_learning_curve_averages_sessions_then_seeds(tmp_path: Path) -> None:
    study = write_study(tmp_path)
    runs = compare(study).runs_of("scratch")
    curve = learning_curve(runs, 10)
    assert curve.env_step.tolist() == [50.0 + 100 * n for n in range(10)]
    assert curve.mean == pytest.approx([0.22] * 10)  # as above: 4.2 clicks
    assert (curve.low < curve.mean).all()
    assert (curve.high > curve.mean).all()
    early = learning_curve(runs, 5, until=0.05)
    assert early.env_step.tolist() == [5.0, 15.0, 25.0, 35.0, 45.0]
    # Logarithmic bins over 1,000 steps: 0 to 10, then each edge 10 times the last, to 1,000
    log = learning_curve(runs, 3, log=True)
    assert log.env_step == pytest.approx([5.0, (10 + 100) / 2, (100 + 1000) / 2])


def test_points_where_no_session_starts_are_left_out(tmp_path: Path) -> None:
    run = read_run(write_made_run(tmp_path / "seed-0", RECORD, lambda s: s * 0 + 7, every=500))
    curve = learning_curve([run], 10)
    assert curve.env_step.tolist() == [50.0, 550.0]  # sessions start at 0 and 500 only
    assert curve.mean == pytest.approx([0.5, 0.5])
    assert np.isnan(curve.low).all()


def test_the_terminal_shows_every_strategy_and_what_is_not_resolved(tmp_path: Path) -> None:
    console = Console(width=130, record=True, file=(tmp_path / "out").open("w"))
    show(compare(write_study(tmp_path, gain=1.5)), console)
    text = console.export_text()
    rows = [line.split()[0] for line in text.splitlines() if line[2:3].strip()]
    assert rows.index("ft") < rows.index("scratch")  # ordered by area: 0.37, 0.36, 0.22
    assert "ap - scratch" in text
    assert "scratch - ft" not in text  # the mirror of ft - scratch is not shown twice
    assert "+0.150" in text
    assert "not resolved" in text
    assert "random 2.00, popular 4.00, static 6.00, myopic 11.00, oracle 12.00" in text
    assert "Warning: a stand-in, not a language model." in text


def test_json_goes_to_a_file_or_alone_to_standard_output(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = write_study(tmp_path, seeds=2)
    compare_command([study], Path("-"))
    printed = json.loads(capsys.readouterr().out)
    compare_command([study], tmp_path / "out.json")
    assert "strategy" in capsys.readouterr().out
    assert json.loads((tmp_path / "out.json").read_text()) == printed
