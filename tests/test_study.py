"""The whole job on small toy studies: what it finds, and that nothing is done twice or lost."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
import yaml

from simrec.compare import compare
from simrec.config import StudyConfig
from simrec.errors import SimrecError
from simrec.progress import bars
from simrec.records import find_runs, read_run
from simrec.study import run_study

SEEDS = [200, 201, 202, 203]
STRATEGIES = ["scratch", "frozen", "ft", "ap", "frozen-shuffled"]
STUDY: dict[str, Any] = {
    "study": "small",
    "seeds": SEEDS,
    "data": {"name": "toy", "toy_seed": 7},
    "world": {"topics": "topic", "bounds_sessions": 256},
    "teacher": {"encoder": "hashed", "questions_per_user": 6},
    "reward": {"epochs": 10, "weight_decays": [0.0]},
    "pretrain": {"env_steps": 6000, "n_envs": 16},
    "online": {"env_steps": 8000, "strategies": STRATEGIES, "controls": []},
}
TINY: dict[str, Any] = {
    "study": "tiny",
    "seeds": [210, 211],
    "data": {"name": "toy", "toy_seed": 21},
    "world": {"topics": "topic", "bounds_sessions": 64},
    "teacher": {"encoder": "hashed", "questions_per_user": 1},
    "reward": {"epochs": 1, "weight_decays": [3.0]},
    "pretrain": {"env_steps": 800},
    "online": {
        "env_steps": 2000,
        "strategies": ["scratch", "frozen", "ft"],
        "controls": ["random", "oracle"],
    },
}


def work(content: dict[str, Any], root: Path) -> tuple[Path, list[str]]:
    """Run a study in this process; return its folder and what was said."""
    said: list[str] = []
    threads = torch.get_num_threads()
    try:
        with bars() as shown:
            config = StudyConfig.model_validate(content)
            runs = run_study(config, root, bars=shown, say=said.append, workers=1)
    finally:
        torch.set_num_threads(threads)
    folder = root / content["study"]
    names = [*config.online.strategies, *config.online.controls]
    assert runs == [folder / name / f"seed-{seed}" for name in names for seed in config.seeds]
    return folder, said


def written(folder: Path) -> dict[str, int]:
    """Return when every file was last written, in ns."""
    return {
        str(p.relative_to(folder)): p.stat().st_mtime_ns for p in folder.rglob("*") if p.is_file()
    }


def assert_same_run(a: Path, b: Path) -> None:
    """Compare everything two runs hold, but for how long they took."""
    one, two = read_run(a), read_run(b)
    for name in ("episodes", "updates", "exposure", "steps"):
        pd.testing.assert_frame_equal(getattr(one, name), getattr(two, name), check_exact=True)
    assert one.record.bounds == two.record.bounds
    assert one.record.config_hash == two.record.config_hash
    assert one.record.notes == two.record.notes


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, _ = work(STUDY, tmp_path_factory.mktemp("runs"))
    return folder


def test_a_taught_policy_is_better_early_and_a_shuffled_one_is_not(small: Path) -> None:
    found = compare(small).strategies
    assert set(found) == set(STRATEGIES)
    for name in ("frozen", "ft", "ap"):
        assert found[name].seeds == tuple(SEEDS)
        gain = found[name].against["scratch"]["early"]
        assert gain.low > 0.0, name
        assert gain.mean > 0.1, name  # a tenth of the way from chance to the oracle
    assert not found["frozen-shuffled"].against["scratch"]["early"].low > 0.0
    # what shuffling takes away is the teacher, not the machinery
    assert found["frozen"].values["early"].low > found["frozen-shuffled"].values["early"].high


def test_the_learned_reward_follows_the_teacher_and_not_shuffled_labels(small: Path) -> None:
    for seed in SEEDS:
        taught = read_run(small / "ft" / f"seed-{seed}").record.notes["reward"]
        assert taught["held_out_auc"] > 0.7
        control = read_run(small / "frozen-shuffled" / f"seed-{seed}").record.notes["reward"]
        assert control["held_out_auc"] == pytest.approx(0.5, abs=0.1)


def test_every_strategy_meets_the_same_users_and_only_online_ones(small: Path) -> None:
    for seed in SEEDS:
        episodes = [read_run(small / name / f"seed-{seed}").episodes for name in STRATEGIES]
        for other in episodes[1:]:
            both = episodes[0].merge(other, on=["slot", "episode"])
            assert len(both) > 100
            assert (both["user_x"] == both["user_y"]).all()


def test_a_second_run_skips_everything_and_says_so(small: Path) -> None:
    before = written(small)
    _, said = work(STUDY, small.parent)
    assert written(small) == before
    assert "20 of 20 runs are already done and are skipped." in said


def test_a_run_that_was_deleted_is_made_again_alone_and_the_same(
    small: Path, tmp_path: Path
) -> None:
    gone = small / "ap" / "seed-202"
    shutil.copytree(gone, tmp_path / "seed-202")
    before = written(small)
    shutil.rmtree(gone)
    _, said = work(STUDY, small.parent)
    assert "19 of 20 runs are already done and are skipped." in said
    changed = {name for name, when in written(small).items() if before.get(name) != when}
    again = ("ap/seed-202/", "policies/ap-seed-202/")
    assert changed == {name for name in before if name.startswith(again)}
    assert_same_run(gone, tmp_path / "seed-202")


def test_a_broken_run_is_made_again(small: Path, tmp_path: Path) -> None:
    hurt = small / "frozen" / "seed-200"
    shutil.copytree(hurt, tmp_path / "seed-200")
    (hurt / "episodes.parquet").write_bytes(b"PAR1")
    _, said = work(STUDY, small.parent)
    assert "19 of 20 runs are already done and are skipped." in said
    assert_same_run(hurt, tmp_path / "seed-200")


@pytest.mark.parametrize(
    ("online", "sentence"),
    [
        (
            {"strategies": ["forzen-shuffled"]},
            "there is no strategy 'forzen'; did you mean 'frozen'?",
        ),
        ({"controls": ["orakel"]}, "there is no control 'orakel'; did you mean 'oracle'?"),
    ],
)
def test_unknown_names_are_found_before_any_work(
    online: dict[str, Any], sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(SimrecError) as error:
        work({**TINY, "online": online}, tmp_path)
    assert str(error.value) == sentence
    assert list(tmp_path.iterdir()) == []


# ---- killed and run again ----

COMMAND = [sys.executable, "-c", "from simrec.cli import main; main()", "run"]


def expected_runs() -> list[str]:
    names = TINY["online"]["strategies"] + TINY["online"]["controls"]
    return sorted(f"{name}/seed-{seed}" for name in names for seed in TINY["seeds"])


def timeless(study: Path) -> dict[str, Any]:
    """A comparison without what the clock decides."""
    content = compare(study).as_dict()
    for told in content["strategies"].values():
        assert told["side"].pop("seconds")["mean"] > 0
    return content


def test_a_killed_study_run_again_equals_one_never_interrupted(tmp_path: Path) -> None:
    study = tmp_path / "tiny.yaml"
    study.write_text(yaml.safe_dump(TINY), encoding="utf-8")
    root = tmp_path / "killed"
    process = subprocess.Popen(
        [*COMMAND, str(study), "--runs", str(root), "--workers", "2"],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + 600
        while not list(root.glob("tiny/*/seed-*/run.json")):
            assert process.poll() is None, "the study ended without a run"
            assert time.monotonic() < deadline, "no run was finished in time"
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.01)  # a pause that ends at once if the process does
        process.kill()
        # The workers hold the same pipe: it ends when they have followed their parent.
        process.communicate(timeout=300)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    done = find_runs(root)
    assert 0 < len(done) < len(expected_runs())
    for folder in done:
        read_run(folder)  # whatever is there is whole

    killed, said = work(TINY, root)
    assert f"{len(done)} of {len(expected_runs())} runs are already done and are skipped." in said
    whole, _ = work(TINY, tmp_path / "whole")
    runs = [str(f.relative_to(killed)) for f in find_runs(killed)]
    assert sorted(runs) == [str(f.relative_to(whole)) for f in sorted(find_runs(whole))]
    assert sorted(runs) == expected_runs()
    for name in runs:
        assert_same_run(killed / name, whole / name)

    def visible(folder: Path) -> set[str]:
        files = (f.relative_to(folder) for f in folder.rglob("*") if f.is_file())
        return {str(f) for f in files if not any(part.startswith(".") for part in f.parts)}

    # what a kill leaves half-written has a name that begins with a dot and is never read
    assert visible(killed) == visible(whole)
    assert timeless(killed) == timeless(whole)
