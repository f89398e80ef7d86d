"""Digests of runs, curves drawn from them, overviews of studies, and who leads."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from simrec.compare import compare
from simrec.curves import learning_curve
from simrec.digest import FILE, digest_tables, read_digest
from simrec.digest_curves import bands, metric_curve
from simrec.digest_study import FILE as STUDY_FILE
from simrec.digest_study import Kept, read_kept, study_key, write_kept
from simrec.errors import SimrecError
from simrec.leaders import difference, leader, t_p
from simrec.measures import MEASURES
from simrec.overview import find_studies, overview
from simrec.records import read_run
from simrec.statistics import interval
from tests.run_folders import BOUNDS, RECORD, write_made_run, write_study


def test_a_digest_sums_by_hand() -> None:
    episodes = pd.DataFrame(
        {
            "start_step": [0, 10, 40, 990, 1000],  # the last starts after the budget
            "reward": [1.0, 3.0, 5.0, 7.0, 100.0],
            "length": [2, 4, 6, 8, 100],
            "left": [True, False, True, False, True],
        }
    )
    exposure = pd.DataFrame({"window": ["early"] * 3, "item": [0, 1, 2], "shown": [4, 4, 0]})
    updates = pd.DataFrame({"env_step": [10, 20, 1000], "entropy": [1.0, 3.0, 5.0]})
    found = digest_tables(episodes, updates, exposure, budget=1000, bounds=BOUNDS)
    whole = found.bins["whole"]  # 48 bins of 20.83 env steps
    assert whole[:, 0].tolist() == [2.0, 4.0, 6.0, 1.0]  # the sessions at 0 and 10
    assert whole[:, 1].tolist() == [1.0, 5.0, 6.0, 1.0]  # the session at 40
    assert whole[:, 47].tolist() == [1.0, 7.0, 8.0, 0.0]
    assert whole[0].sum() == 4.0
    assert found.bins["early"][0].sum() == 3.0  # 16 bins up to 50
    assert found.bins["log"][0, 0] == 1.0  # up to 10, the end not included
    assert (found.updates["entropy"][0], found.updates["entropy"][47]) == (2.0, 5.0)
    assert found.distinct == {"early": 2, "middle": 0, "late": 0}
    assert found.effective["early"] == pytest.approx(2.0)  # two items, equally often


def test_a_run_carries_its_digest_and_reads_back_equal(tmp_path: Path) -> None:
    run = read_run(write_made_run(tmp_path / "tiny" / "ft" / "seed-0", RECORD, lambda s: s / 100))
    kept = read_digest(run.folder)
    made = digest_tables(
        run.episodes, run.updates, run.exposure, budget=1000, bounds=run.record.bounds
    )
    assert kept is not None
    assert kept.measures == made.measures
    for grid, sums in made.bins.items():
        np.testing.assert_array_equal(kept.bins[grid], sums)
    np.testing.assert_array_equal(kept.updates["entropy"], made.updates["entropy"])


def test_an_older_digest_is_not_read_and_the_run_is_digested_anew(tmp_path: Path) -> None:
    study = write_study(tmp_path, seeds=1)
    path = study / "ft" / "seed-0" / FILE
    path.write_text(json.dumps({"version": 0}))
    assert read_digest(path.parent) is None
    (study / "ap" / "seed-0" / FILE).unlink()
    assert overview(study).compare([0]).as_dict() == compare(study).as_dict()


def test_an_overview_compares_as_the_tables_do(tmp_path: Path) -> None:
    study = write_study(tmp_path)
    assert overview(study).compare(range(5)).as_dict() == compare(study).as_dict()
    assert find_studies(tmp_path) == [study.resolve()]
    assert find_studies(tmp_path / "none") == []


@pytest.mark.parametrize("name", ["run.json", "steps.parquet"])
def test_an_overview_names_a_broken_run_and_shows_the_rest(tmp_path: Path, name: str) -> None:
    study = write_study(tmp_path, seeds=2)
    (study / "ft" / "seed-1" / name).write_text("")
    found = overview(study)
    assert len(found.records) == 5
    assert len(found.broken) == 1
    assert str(study / "ft" / "seed-1") in found.broken[0]
    assert found.folder_of("ft", 1) is None


def _keep(study: Path) -> Kept:
    key, found = study_key(study), overview(study)
    comparison = found.compare(found.seeds)
    leaders = {measure: leader(comparison, measure) for measure in MEASURES}
    write_kept(found, comparison, leaders, key)
    kept = read_kept(study, study_key(study))
    assert kept is not None
    assert str(kept.leaders) == str(leaders)  # a p that is NaN equals nothing
    return kept


def test_a_study_s_file_gives_what_its_runs_give(tmp_path: Path) -> None:
    study = write_study(tmp_path)
    kept, found = _keep(study), overview(study)
    assert kept.overview.records == found.records
    assert kept.overview.seeds == found.seeds
    for run, digest in found.digests.items():
        np.testing.assert_array_equal(kept.overview.digests[run].bins["log"], digest.bins["log"])
    again = kept.overview.compare(found.seeds, kept.standings)
    assert again.as_dict() == compare(study).as_dict()
    assert found.order(found.seeds) == list(again.strategies)
    for name, standing in compare(study).strategies.items():
        for base, pairs in standing.pairs.items():
            np.testing.assert_array_equal(again.strategies[name].pairs[base]["late"], pairs["late"])


@pytest.mark.parametrize("change", ["a new run", "a run cut short", "a run gone", "no file"])
def test_a_study_s_file_is_not_believed_once_runs_change(tmp_path: Path, change: str) -> None:
    study = write_study(tmp_path, seeds=2)
    _keep(study)
    if change == "a new run":
        write_made_run(study / "ft" / "seed-7", replace(RECORD, seed=7), lambda s: s * 0)
    elif change == "a run cut short":
        (study / "ft" / "seed-1" / "steps.parquet").write_text("")
    elif change == "a run gone":
        shutil.rmtree(study / "ft" / "seed-1")
    else:
        (study / STUDY_FILE).write_text('{"key": 3')
    assert read_kept(study, study_key(study)) is None


def test_an_overview_of_nothing_readable_says_why(tmp_path: Path) -> None:
    (tmp_path / "tiny" / "ft" / "seed-0").mkdir(parents=True)
    with pytest.raises(SimrecError, match=r"has no run\.json"):
        overview(tmp_path / "tiny")


def test_a_curve_from_digests_is_the_curve_from_the_tables(tmp_path: Path) -> None:
    study = write_study(tmp_path)
    found = overview(study)
    runs = [run for run in compare(study).runs if run.record.strategy == "ap"]
    curve = metric_curve(
        found.digests_of("ap", range(5)),
        "reward",
        "whole",
        budget=1000,
        bounds=BOUNDS,
        rng=np.random.default_rng(0),
    )
    other = learning_curve(runs, 48)
    np.testing.assert_allclose(curve.env_step, other.env_step)
    np.testing.assert_allclose(curve.mean, other.mean)


def test_users_lost_and_session_length_by_hand(tmp_path: Path) -> None:
    folder = tmp_path / "tiny" / "ft" / "seed-0"
    write_made_run(folder, RECORD, lambda s: s * 0 + 3, left=True)
    found = overview(tmp_path / "tiny")

    def value(metric: str) -> float:
        rng = np.random.default_rng(0)
        digests = found.digests_of("ft", [0])
        curve = metric_curve(digests, metric, "early", budget=1000, bounds=BOUNDS, rng=rng)
        return float(curve.mean[0])

    assert value("length") == 10.0
    assert value("left") == 100.0  # every session of 10 recommendations ends in leaving
    assert value("earned") == 3.0
    assert value("reward") == pytest.approx(0.1)


def test_bands_agree_with_the_interval_of_each_column() -> None:
    y = np.random.default_rng(5).gamma(2.0, size=(40, 6))
    y[:, 1] = 3.0  # no spread
    y[2, 2] = np.nan  # a gap
    mean, low, high = bands(y, np.random.default_rng(0), resamples=10_000)
    for column in range(6):
        one = interval(y[:, column], rng=np.random.default_rng(1))
        np.testing.assert_allclose(
            [mean[column], low[column], high[column]], [one.mean, one.low, one.high], atol=0.05
        )
    single = bands(np.array([[1.0, 2.0]]), np.random.default_rng(0))
    assert single[0].tolist() == [1.0, 2.0]
    assert np.isnan(single[1]).all()


def test_the_leader_is_named_with_those_it_is_not_resolved_from(tmp_path: Path) -> None:
    found = leader(compare(write_study(tmp_path, gain=1.5)), "early")
    assert found is not None
    # ft and ap have 1.5 clicks more than scratch, ap with a swing that hides its difference to ft
    assert {found.strategy, *found.tied} == {"ft", "ap"}
    assert found.runner_up == "scratch"
    assert found.lead is not None
    assert found.lead.low > 0


def test_the_leader_s_p_counts_every_contrast(tmp_path: Path) -> None:
    # differences 1, 2, 3: mean 2, standard error 1/sqrt(3), t = 3.4641 on 2 degrees: p = 0.0742
    assert t_p([1.0, 2.0, 3.0]) == pytest.approx(0.0742, abs=1e-4)
    assert t_p([-1.0, -2.0, -3.0]) == pytest.approx(0.0742, abs=1e-4)
    assert (t_p([2.0, 2.0]), t_p([0.0, 0.0])) == (0.0, 1.0)
    assert np.isnan(t_p([1.0]))
    found = leader(compare(write_study(tmp_path, gain=1.5)), "early")
    assert found is not None
    assert found.contrasts == 2
    assert found.p == pytest.approx(0.0, abs=1e-3)


def test_a_strategy_that_knows_the_users_cannot_lead(tmp_path: Path) -> None:
    study = write_study(tmp_path)
    for seed in range(5):
        record = replace(RECORD, strategy="oracle", seed=seed)
        write_made_run(study / "oracle" / f"seed-{seed}", record, lambda s: s * 0 + 12)
    found = leader(compare(study), "late")
    assert found is not None
    assert found.strategy in ("ft", "ap")


def test_a_difference_is_the_mirror_of_its_opposite(tmp_path: Path) -> None:
    comparison = compare(write_study(tmp_path))
    one = difference(comparison, "ap", "ft", "early")
    other = difference(comparison, "ft", "ap", "early")
    assert (one.mean, one.low, one.high) == (-other.mean, -other.high, -other.low)
