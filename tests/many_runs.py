"""Writes many run folders, to see how the dashboard opens: python -m tests.many_runs DIR NUMBER."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from simrec.records import write_run
from tests.run_folders import RECORD

STRATEGIES = {
    "scratch": (0.1, 0.7), "frozen": (0.4, 0.4), "ft": (0.45, 0.68), "ap": (0.4, 0.72),
    "frozen-shuffled": (0.02, 0.02), "random": (0.0, 0.0), "popular": (0.15, 0.15),
    "static": (0.3, 0.3), "greedy-reward": (0.45, 0.45), "oracle": (1.0, 1.0),
}  # fmt: skip
BUDGET = 60_000


def write_many(root: Path, number: int, study: str = "many") -> Path:
    """Write one study of `number` runs of 4,000 sessions: ten strategies, as many seeds each."""
    for count in range(number):
        strategy = list(STRATEGIES)[count % len(STRATEGIES)]
        _write(root / study, strategy, count // len(STRATEGIES), replace(RECORD, study=study))
    return root / study


def _write(folder: Path, strategy: str, seed: int, record: object) -> None:
    rng = np.random.default_rng([seed, *strategy.encode()])
    start = np.arange(0, BUDGET, 15)
    low, high = STRATEGIES[strategy]
    y = low + (high - low) * np.minimum(1.0, start / 20_000) + rng.normal(0, 0.02)
    n = len(start)
    episodes = pd.DataFrame(
        {
            "start_step": start,
            "end_step": start + 900,
            "slot": np.arange(n) % 64,
            "episode": np.arange(n) // 64,
            "user": rng.integers(0, 300, n),
            "reward": np.maximum(0, np.round(2 + 10 * y + rng.normal(0, 3, n))),
            "length": rng.integers(5, 21, n),
            "left": rng.random(n) < 0.5,
        }
    )
    shown = rng.integers(0, 50, (3, 240))
    exposure = pd.DataFrame(
        {
            "window": np.repeat(["early", "middle", "late"], 240),
            "item": np.tile(np.arange(240), 3),
            "shown": shown.ravel(),
            "clicked": (shown // 3).ravel(),
        }
    )
    when = np.arange(768, BUDGET, 768)
    updates = pd.DataFrame({"env_step": when, "entropy": 2 - when / BUDGET, "alpha": 0.0})
    kept = episodes[episodes["slot"] < 2]
    steps = pd.DataFrame(
        [(s, e, t, (e + t) % 240, t % 2) for s, e in zip(kept["slot"], kept["episode"], strict=True)
         for t in range(6)],
        columns=["slot", "episode", "t", "item", "clicked"],
    )  # fmt: skip
    write_run(
        folder / strategy / f"seed-{seed}",
        replace(record, strategy=strategy, seed=seed, budget_env_steps=BUDGET),  # type: ignore[type-var]
        episodes=episodes,
        updates=updates,
        exposure=exposure,
        steps=steps,
    )


if __name__ == "__main__":
    print(write_many(Path(sys.argv[1]), int(sys.argv[2])))
