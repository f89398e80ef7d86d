"""A study: every missing stage and run is done, in parallel, and nothing is done twice."""

import multiprocessing
import multiprocessing.connection
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from queue import Empty
from typing import Any

from simrec.config import StudyConfig
from simrec.errors import SimrecError
from simrec.progress import Bars
from simrec.records import read_record, read_run
from simrec.stages.inputs import Inputs
from simrec.stages.teaching import Say

Advance = Callable[[int], None]


@dataclass(frozen=True)
class Job:
    """One piece of work for a worker process."""

    kind: str  # "pretrain" or "run"
    name: str  # strategy, or for pretraining "true" or "shuffled" labels
    seed: int
    total: int  # env steps, for the bar
    after: str = ""  # label of the job whose result this one reads; "" where it is there already

    @property
    def label(self) -> str:
        """What the progress bar says."""
        what = f"pretrain ({self.name} labels)" if self.kind == "pretrain" else self.name
        return f"{what} seed {self.seed}"


def run_folder(inputs: Inputs, strategy: str, seed: int) -> Path:
    """Return runs/STUDY/STRATEGY/seed-N."""
    return inputs.folder / strategy / f"seed-{seed}"


def is_done(inputs: Inputs, strategy: str, seed: int) -> bool:
    """Whether a whole run with today's key stands in its folder."""
    folder = run_folder(inputs, strategy, seed)
    if not (folder / "run.json").is_file():
        return False
    try:
        return read_run(folder).record.config_hash == inputs.run_key(strategy, seed)
    except SimrecError:
        return False  # a broken run is made again


def to_be_replaced(inputs: Inputs) -> int:
    """Return how many whole runs of this study, made with other settings, a new one replaces."""
    config, found = inputs.config, 0
    for name in (*config.online.strategies, *config.online.controls):
        for seed in config.seeds:
            try:
                old = read_record(run_folder(inputs, name, seed)).config_hash
            except SimrecError:
                continue  # nothing, or nothing that can be read
            found += old != inputs.run_key(name, seed)
    return found


def plan(inputs: Inputs) -> tuple[list[Job], list[Job], int]:
    """Return missing pretrainings, missing runs and the number of runs already done."""
    from simrec.stages.policy import policy_files
    from simrec.stages.run import needs_pretraining

    config = inputs.config
    runs, pretrainings, done = [], [], 0
    for seed in config.seeds:
        wanted = [
            name
            for name in (*config.online.strategies, *config.online.controls)
            if not is_done(inputs, name, seed)
        ]
        done += len(config.online.strategies) + len(config.online.controls) - len(wanted)
        missing = {"": ""}
        for labels in ("true", "shuffled"):
            times = config.teacher.rounds if labels == "true" else 1  # the control asks nothing
            job = Job("pretrain", labels, seed, times * config.pretrain.env_steps)
            needed = any(needs_pretraining(name) == labels for name in wanted)
            if needed and not policy_files(inputs, seed, labels == "shuffled").ready:
                pretrainings.append(job)
                missing[labels] = job.label
        for name in wanted:
            after = missing.get(needs_pretraining(name), "")
            runs.append(Job("run", name, seed, config.online.env_steps, after))
    return pretrainings, runs, done


def run_study(config: StudyConfig, root: Path, *, bars: Bars, say: Say, workers: int) -> list[Path]:
    """Do whatever of a study is missing and return the folders of its runs.

    Args:
        config: The study.
        root: Folder of all studies' runs.
        bars: Where progress is shown.
        say: Called with each sentence the user should read.
        workers: Processes; 1 works in this one.

    Raises:
        SimrecError: A setting, the data or the world cannot be used.
    """
    from simrec.agents.adapt import check_strategy
    from simrec.agents.device import device_of
    from simrec.agents.learners import check_head, check_settings
    from simrec.agents.strategy import check_learner
    from simrec.stages.controls import get_control
    from simrec.stages.world import describe, prepare_world

    for name in config.online.strategies:
        check_strategy(name)
        check_learner(name, config.learner.name, config.learner.policy)
    for name in config.online.controls:
        get_control(name)
    device_of(config.learner.device, config.learner.name, config.learner.policy)
    for settings in (config.learner.settings, config.pretrain.settings):
        check_settings(config.learner.name, settings)
        check_head(config.learner.policy, config.learner.name, settings)
    inputs = Inputs(config, root)
    prepared = prepare_world(inputs, say)
    for line in describe(inputs, prepared):
        say(line)
    pretrainings, runs, done = plan(inputs)
    if done:
        say(f"{done} of {done + len(runs)} runs are already done and are skipped.")
    if replaced := to_be_replaced(inputs):
        say(
            f"replacing {replaced} run{'s' * (replaced > 1)} in {inputs.folder} made with other "
            "settings, data or an older simrec; to keep both, stop now and give this study another "
            f"name, for example --set study={config.study}-2"
        )
    _work(inputs, [*pretrainings, *runs], bars, say, workers)
    return [
        run_folder(inputs, name, seed)
        for name in (*config.online.strategies, *config.online.controls)
        for seed in config.seeds
    ]


def _work(inputs: Inputs, jobs: list[Job], bars: Bars, say: Say, workers: int) -> None:
    """Do the jobs; in worker processes each starts as soon as the one it waits for is done."""
    if not jobs:
        return
    if workers == 1 or len(jobs) == 1:
        for job in jobs:
            task = bars.add(job.label, job.total)
            for line in do_job(inputs, job, partial(bars.advance, task)):
                say(line)
        return
    context = multiprocessing.get_context("spawn")
    queue: Any = context.Queue()
    pool = ProcessPoolExecutor(
        min(workers, len(jobs)), mp_context=context, initializer=_begin, initargs=(queue,)
    )
    content, root = inputs.config.model_dump_json(), str(inputs.root)
    tasks: dict[str, int] = {}
    said: set[str] = set()
    try:
        running: dict[Future[list[str]], Job] = {}
        later = list(jobs)
        done = {""}
        while later or running:
            for job in [job for job in later if job.after in done]:
                running[pool.submit(_worker, content, root, job)] = job
                later.remove(job)
            finished, _ = wait(running, timeout=0.2, return_when=FIRST_COMPLETED)
            _drain(queue, jobs, tasks, bars)
            for future in finished:
                done.add(running.pop(future).label)
                for line in future.result():
                    if line not in said:
                        say(line)
                    said.add(line)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _drain(queue: Any, jobs: list[Job], tasks: dict[str, int], bars: Bars) -> None:
    totals = {job.label: job.total for job in jobs}
    while True:
        try:
            label, n = queue.get_nowait()
        except Empty:
            return
        if label not in tasks:
            tasks[label] = bars.add(label, totals[label])
        bars.advance(tasks[label], n)


_progress: Any = None  # the worker process's end of the progress queue


def _begin(queue: Any) -> None:
    """Prepare a worker process: keep the queue and die with the parent, even if it was killed."""
    global _progress
    _progress = queue
    queue.cancel_join_thread()  # nobody may be left to read the last numbers
    parent = multiprocessing.parent_process()
    assert parent is not None

    def follow() -> None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()


def _worker(content: str, root: str, job: Job) -> list[str]:
    """Do a job in a process of its own, with one thread and batched progress."""
    inputs = Inputs(StudyConfig.model_validate_json(content), Path(root))
    last, pending = time.monotonic(), 0

    def advance(n: int) -> None:
        nonlocal last, pending
        pending += n
        if time.monotonic() - last > 0.3:
            _progress.put((job.label, pending))
            last, pending = time.monotonic(), 0

    lines = do_job(inputs, job, advance)
    _progress.put((job.label, pending))
    return lines


def do_job(inputs: Inputs, job: Job, advance: Advance) -> list[str]:
    """Do one job in this process; return sentences for the user."""
    import torch

    torch.set_num_threads(1)  # the arrays are small: more threads only spin
    lines: list[str] = []
    if job.kind == "pretrain":
        from simrec.stages.policy import pretrain_policy

        pretrain_policy(inputs, job.seed, job.name == "shuffled", advance, lines.append)
    else:
        from simrec.stages.run import run_strategy

        run_strategy(inputs, job.name, job.seed, advance)
    return lines
