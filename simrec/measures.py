"""A run's numbers, from its tables: the windows' normalised reward, users lost, items shown."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from simrec.metrics import WINDOWS, normalised, window_of

MEASURES = (*WINDOWS, "area", "lost_early", "distinct_early", "distinct_late")


def scored_sessions(
    episodes: pd.DataFrame, budget: int, bounds: Mapping[str, float]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the start step (n,) and the normalised reward (n,) of the sessions in the budget.

    A session that starts after the budget, while others are being finished, does not count.

    Args:
        episodes: Columns as `simrec.records.TABLES` says.
        budget: Env steps of the run.
        bounds: Reward per session by name; NaN is returned where random or oracle is absent.
    """
    start = episodes["start_step"].to_numpy(dtype=np.int64)
    inside = start < budget
    reward = episodes["reward"].to_numpy(dtype=np.float64)[inside]
    low, high = bounds.get("random", np.nan), bounds.get("oracle", np.nan)
    return start[inside], normalised(reward, low, high)


def run_measures(
    episodes: pd.DataFrame, exposure: pd.DataFrame, budget: int, bounds: Mapping[str, float]
) -> dict[str, float]:
    """Return the run's number for each of MEASURES, and "rise"; NaN where nothing was seen.

    lost_early is the rate at which users leave: those who left, of the sessions that start in the
    early window, for every 1,000 recommendations made in these sessions. distinct_early and
    distinct_late count the items shown at least once in the window.

    Args:
        episodes: As in `scored_sessions`.
        exposure: How often each item was shown in each window.
        budget: Env steps of the run.
        bounds: As in `scored_sessions`.
    """
    start, y = scored_sessions(episodes, budget, bounds)
    window = window_of(start, budget)
    values: dict[str, float] = {name: _mean(y[window == name]) for name in WINDOWS}
    values["area"] = _mean(y)
    early = episodes[window_of(episodes["start_step"].to_numpy(), budget) == "early"]
    made = float(early["length"].sum())
    values["lost_early"] = 1000.0 * float(early["left"].sum()) / made if made else np.nan
    shown = exposure[exposure["shown"] > 0]
    for name in ("early", "late"):
        values[f"distinct_{name}"] = float(shown.loc[shown["window"] == name, "item"].nunique())
    late = window == "late"
    values["rise"] = np.nan
    if np.unique(start[late]).size > 1 and np.isfinite(y[late]).all():
        values["rise"] = float(np.polyfit(start[late] / (0.2 * budget), y[late], 1)[0])
    return values


def _mean(values: NDArray[np.float64]) -> float:
    return float(values.mean()) if len(values) else float("nan")
