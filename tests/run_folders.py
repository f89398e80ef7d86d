"""Real run folders with numbers made up so that the answers are known; shared by several tests."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from simrec.records import RunRecord, write_run

BOUNDS = {"random": 2.0, "popular": 4.0, "static": 6.0, "myopic": 11.0, "oracle": 12.0}

RECORD = RunRecord(
    study="tiny",
    strategy="ft",
    seed=0,
    world="toy",
    bounds=BOUNDS,
    budget_env_steps=1000,
    teacher={"name": "similarity:hashed", "warning": "a stand-in, not a language model"},
    config={"study": {"name": "tiny"}},
)


def write_made_run(
    folder: Path,
    record: RunRecord,
    reward_at: Callable[[np.ndarray], np.ndarray],
    *,
    every: int = 10,
    left: bool = False,
) -> Path:
    """Write a run whose session starting at step s has the reward `reward_at(s)`.

    Sessions start at 0, every, 2 * every, ... and last `every` steps; item t % 7 is shown at t.
    """
    start = np.arange(0, record.budget_env_steps, every)
    episodes = pd.DataFrame(
        {
            "start_step": start,
            "end_step": start + every,
            "slot": 0,
            "episode": np.arange(len(start)),
            "user": np.arange(len(start)) % 5,
            "reward": np.broadcast_to(reward_at(start), start.shape).astype(np.float32),
            "length": every,
            "left": left,
        }
    )
    exposure = pd.DataFrame(
        {
            "window": ["early"] * 3 + ["middle"] * 2 + ["late"] * 2,
            "item": [0, 1, 2, 0, 1, 0, 5],
            "shown": [5, 4, 0, 9, 9, 7, 1],
            "clicked": [1, 1, 0, 2, 2, 3, 0],
        }
    )
    updates = pd.DataFrame({"env_step": [500, 1000], "entropy": [2.0, 1.0]})
    steps = pd.DataFrame({"slot": [0], "episode": [0], "t": [0], "item": [3], "clicked": [1]})
    write_run(folder, record, episodes=episodes, updates=updates, exposure=exposure, steps=steps)
    return folder


def write_study(root: Path, gain: float = 1.0, seeds: int = 5, base: RunRecord = RECORD) -> Path:
    """Write scratch, ft and ap over some seeds; ft has `gain` clicks more than scratch, always.

    Scratch of seed n has 4 + n / 10 clicks in every session; ap has ft's clicks plus a seed-bound
    amount that changes sign, so that its difference to ft is not resolved.
    """
    for seed in range(seeds):
        level = 4.0 + seed / 10
        swing = 0.5 if seed % 2 else -0.5
        for strategy, clicks in (
            ("scratch", level),
            ("ft", level + gain),
            ("ap", level + gain + swing),
        ):
            record = replace(base, strategy=strategy, seed=seed)
            folder = root / base.study / strategy / f"seed-{seed}"
            write_made_run(folder, record, lambda start, clicks=clicks: np.full(len(start), clicks))
    return root / base.study
