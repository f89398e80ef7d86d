"""Run folders: whole or absent, read back as written, and sentences for what is broken."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from simrec.errors import SimrecError
from simrec.records import (
    TABLES,
    current_versions,
    find_runs,
    git_commit,
    plain,
    read_record,
    read_run,
    write_run,
)
from tests.run_folders import RECORD, write_made_run


def _made(folder: Path) -> Path:
    return write_made_run(folder, RECORD, lambda start: start / 100)


def test_a_run_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    run = read_run(_made(tmp_path / "seed-0"))
    assert run.record == RECORD
    assert len(run.episodes) == 100  # 1,000 env steps, a session every 10
    assert run.episodes["reward"].tolist() == [np.float32(s / 100) for s in range(0, 1000, 10)]
    for name, columns in TABLES.items():
        frame = getattr(run, name)
        for column, kind in columns.items():
            assert kind == "str" or frame[column].dtype == kind, (name, column)
    assert run.updates["entropy"].tolist() == [2.0, 1.0]  # a free column survives


def test_a_failing_write_leaves_no_folder_at_all(tmp_path: Path) -> None:
    good = read_run(_made(tmp_path / "good" / "seed-0"))
    folder = tmp_path / "bad" / "seed-0"
    with pytest.raises(SimrecError) as error:
        write_run(
            folder,
            RECORD,
            episodes=good.episodes,
            updates=good.updates,
            exposure=good.exposure,
            steps=good.steps.drop(columns=["clicked"]),  # the last table, after three were written
        )
    assert str(error.value) == (
        f"table 'steps' of {folder} lacks the column clicked; "
        "expected slot, episode, t, item, clicked"
    )
    assert list((tmp_path / "bad").iterdir()) == []


def test_a_failing_rewrite_keeps_the_older_run(tmp_path: Path) -> None:
    folder = _made(tmp_path / "seed-0")
    good = read_run(folder)
    with pytest.raises(SimrecError):
        write_run(
            folder,
            replace(RECORD, seconds=9.0),
            episodes=good.episodes,
            updates=good.updates.drop(columns=["env_step"]),
            exposure=good.exposure,
            steps=good.steps,
        )
    assert read_run(folder).record.seconds == 0.0
    assert [p.name for p in tmp_path.iterdir()] == ["seed-0"]


def test_broken_folders_are_named_in_one_sentence(tmp_path: Path) -> None:
    again = "delete the folder and run the study again"

    def sentence(folder: Path) -> str:
        with pytest.raises(SimrecError) as error:
            read_run(folder)
        assert "\n" not in str(error.value)
        return str(error.value)

    a = _made(tmp_path / "a")
    (a / "run.json").unlink()
    assert sentence(a) == f"{a} has no run.json; expected a run folder; {again}"
    assert sentence(tmp_path / "none").endswith(
        "; name a folder such as runs/STUDY/STRATEGY/seed-0"
    )
    inside = _made(tmp_path / "study" / "ft" / "seed-0")
    assert sentence(tmp_path / "study").endswith(
        f"expected a run folder; name one such as {inside}"
    )

    b = _made(tmp_path / "b")
    (b / "run.json").write_text('{"schema": 1, ')
    assert sentence(b).startswith(f"{b / 'run.json'} is not readable JSON (")
    assert sentence(b).endswith(again)

    c = _made(tmp_path / "c")
    (c / "run.json").write_text(json.dumps({"schema": 7}))
    assert sentence(c) == f"{c / 'run.json'} has schema 7; this simrec reads schema 1; {again}"

    d = _made(tmp_path / "d")
    whole = (d / "episodes.parquet").read_bytes()
    (d / "episodes.parquet").write_bytes(whole[: len(whole) // 2])
    assert sentence(d).startswith(f"{d / 'episodes.parquet'} is broken (")

    e = _made(tmp_path / "e")
    (e / "exposure.parquet").unlink()
    assert sentence(e) == f"{e} has no exposure.parquet; {again}"

    f = _made(tmp_path / "f")
    (f / "run.json").write_text(json.dumps({"schema": 1, "study": "x", "strategy": "ft"}))
    assert sentence(f) == (f"{f / 'run.json'} lacks bounds, budget_env_steps, seed, world; {again}")

    g = _made(tmp_path / "g")
    pd.DataFrame({"slot": [0]}).to_parquet(g / "steps.parquet")
    assert sentence(g).startswith(
        f"table 'steps' of {g} lacks the column episode, t, item, clicked"
    )


def test_numbers_json_cannot_hold_become_null(tmp_path: Path) -> None:
    record = replace(
        RECORD, bounds={"random": np.float64(1.5), "oracle": float("nan")}, notes={"n": np.int64(3)}
    )
    folder = write_made_run(tmp_path / "seed-0", record, lambda start: start * 0)
    content = json.loads((folder / "run.json").read_text())
    assert content["bounds"] == {"random": 1.5, "oracle": None}
    assert content["notes"] == {"n": 3}
    assert np.isnan(read_record(folder).bounds["oracle"])
    assert plain([np.array([1.0, np.inf]), Path("x")]) == [[1.0, None], "x"]


def test_runs_are_found_from_any_level_in_the_order_of_seeds(tmp_path: Path) -> None:
    strategy = tmp_path / "runs" / "study" / "ft"
    for seed in (10, 2):
        _made(strategy / f"seed-{seed}")
    (strategy / ".seed-3-half").mkdir()  # what a kill leaves of an unfinished write
    expected = [strategy / "seed-2", strategy / "seed-10"]
    for root in (tmp_path / "runs", strategy.parent, strategy):
        assert find_runs(root) == expected
    assert find_runs(expected[0]) == expected[:1]
    assert find_runs([expected[1], expected[0], expected[0]]) == expected
    assert find_runs(strategy / ".seed-3-half") == []
    with pytest.raises(SimrecError) as error:
        find_runs(tmp_path / "nowhere")
    assert str(error.value) == (
        f"there is no folder {tmp_path / 'nowhere'}; expected a study's runs, made by 'simrec run'"
    )


def test_versions_and_commit_are_strings_or_absent(tmp_path: Path) -> None:
    assert current_versions()["numpy"] == np.__version__
    assert git_commit(tmp_path) is None  # no working tree there
