"""Recorded sessions of two strategies, paired by slot and episode: same user, same luck."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from simrec.app import load
from simrec.metrics import window_of
from simrec.overview import Overview


@dataclass(frozen=True)
class Course:
    """One recorded session under one strategy."""

    strategy: str
    user: int
    slates: NDArray[np.int64]  # (T, k)
    clicked: NDArray[np.int64]  # (T, k)
    left: bool  # the user left; False = the horizon was reached

    def ending(self, patience: int | None) -> str:
        """Return why the session ended, as a sentence."""
        steps = len(self.slates)
        if not self.left:
            return f"Stayed to the end: {steps} recommendations, the most a session has."
        if patience is None:
            return f"Left after {steps} recommendations."
        return f"Left after {steps} recommendations: the last {patience} in a row brought no click."


def left(names: Sequence[str]) -> list[str]:
    """Return the strategies in the order the left side offers them, the usual one first."""
    return [n for n in dict.fromkeys(("ft", "ap", *sorted(names))) if n in names]


def right(names: Sequence[str], a: str) -> list[str]:
    """Return the strategies that can be set beside `a`, the usual one first."""
    return [n for n in dict.fromkeys(("scratch", *sorted(names))) if n in names and n != a]


def pairs(found: Overview, seed: int, a: str, b: str) -> pd.DataFrame:
    """Return the sessions recorded item by item under both strategies, most different first.

    Columns: slot, episode, user, window (where the first strategy's session starts), reward_a,
    reward_b, difference (a - b), in what the world's reward counts.
    """
    one, two = (_sessions(found.folder_of(name, seed)) for name in (a, b))
    joined = one.merge(two, on=["slot", "episode", "user"], suffixes=("_a", "_b"))
    joined["difference"] = joined["reward_a"] - joined["reward_b"]
    joined["window"] = window_of(joined["start_step_a"], found.first.budget_env_steps)
    order = joined["difference"].abs().sort_values(ascending=False, kind="stable").index
    columns = ["slot", "episode", "user", "window", "reward_a", "reward_b", "difference"]
    return joined.loc[order, columns].reset_index(drop=True)


def _sessions(run: Path | None) -> pd.DataFrame:
    assert run is not None, "only strategies with a run of this seed are offered"
    steps, episodes = load.run_table(run, "steps"), load.run_table(run, "episodes")
    kept = steps[["slot", "episode"]].drop_duplicates()
    columns = ["slot", "episode", "user", "start_step", "reward"]
    return kept.merge(episodes[columns], on=["slot", "episode"])


def course(found: Overview, seed: int, strategy: str, slot: int, episode: int) -> Course:
    """Return one recorded session."""
    run = found.folder_of(strategy, seed)
    assert run is not None
    steps, episodes = load.run_table(run, "steps"), load.run_table(run, "episodes")
    mine = steps[(steps["slot"] == slot) & (steps["episode"] == episode)]
    row = episodes[(episodes["slot"] == slot) & (episodes["episode"] == episode)].iloc[0]
    length = int(mine["t"].max()) + 1
    return Course(
        strategy,
        int(row["user"]),
        mine["item"].to_numpy(np.int64).reshape(length, -1),
        mine["clicked"].to_numpy(np.int64).reshape(length, -1),
        bool(row["left"]),
    )
