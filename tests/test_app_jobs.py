"""Studies started from the dashboard: a process of their own, with progress, cancel and delete."""

from pathlib import Path

import pytest

pytest.importorskip("streamlit", reason="the dashboard's extra is not installed")

from simrec.app import jobs
from simrec.app.progress import shipped
from simrec.errors import SimrecError
from tests.run_folders import write_study
from tests.toy_study import STUDY


def test_a_study_runs_on_its_own_and_leaves_its_runs(tmp_path: Path) -> None:
    text = STUDY.replace("[230, 231]", "[232]").replace("[scratch, frozen]", "[scratch]")
    job = jobs.start(tmp_path, text, workers=1)
    with pytest.raises(SimrecError, match="the study 'tiny' is already running"):
        jobs.start(tmp_path, text, workers=1)
    with pytest.raises(SimrecError, match="nothing was deleted"):
        jobs.delete_study(tmp_path, "tiny")
    assert jobs._started[str(job.folder)].wait(timeout=600) == 0
    assert not job.running
    far = jobs.progress(tmp_path, job, now=job.began + 60)
    assert (far.done, far.planned) == (2, 2)
    assert jobs.finished_runs(tmp_path / "tiny") == 2
    assert [known.folder for known in jobs.jobs(tmp_path)] == [job.folder]
    jobs.delete_study(tmp_path, "tiny")
    assert not (tmp_path / "tiny").exists()


def test_a_cancelled_study_stops(tmp_path: Path) -> None:
    job = jobs.start(tmp_path, shipped()["demo"], workers=1)
    assert job.running
    jobs.cancel(job)
    assert not job.running


def _job(folder: Path, log: str) -> jobs.Job:
    folder.mkdir(exist_ok=True)
    (folder / "log.txt").write_text(log)
    return jobs.Job(folder, jobs.check(STUDY), pid=0, began=100.0)


def test_progress_is_read_from_the_log(tmp_path: Path) -> None:
    log = "pretrain (true labels) seed 230 done in 6 s\nscratch seed 230 ...\n"
    far = jobs.progress(tmp_path, _job(tmp_path / "job", log), now=110.0)
    assert (far.done, far.planned, far.seconds_left) == (0, 6, None)
    log += "scratch seed 230 done in 2 s\nfrozen seed 230 done in 2 s\n"
    far = jobs.progress(tmp_path, _job(tmp_path / "job", log), now=120.0)
    assert (far.done, far.seconds_left) == (2, 40.0)  # 20 s for 2 runs, 4 runs are left
    far = jobs.progress(
        tmp_path, _job(tmp_path / "job", "4 of 6 runs are already done and are skipped.\n" + log),
        now=120.0,
    )  # fmt: skip
    assert (far.done, far.last) == (6, "frozen seed 230 done in 2 s")


@pytest.mark.parametrize("name", ["..", "tiny/ft", "other", "", "."])
def test_only_a_study_of_this_folder_can_be_deleted(tmp_path: Path, name: str) -> None:
    study = write_study(tmp_path / "runs", seeds=1)
    with pytest.raises(SimrecError, match="nothing was deleted"):
        jobs.delete_study(tmp_path / "runs", name)
    assert jobs.finished_runs(study) == 3
