"""What pictures need of a run, small enough that a thousand runs open at once.

A digest is written beside the tables of a run and holds sums over bins of env steps. A run without
one (made before there were digests) is digested when it is read; nothing is written then.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from simrec.measures import run_measures
from simrec.metrics import WINDOWS

FILE = "digest.json"
VERSION = 1
SUMS = ("sessions", "reward", "steps", "left")  # rows of a digest's bins
_POINTS = {"whole": 48, "early": 16, "log": 40}
_EARLY = 0.05  # share of the budget in the early window, as in simrec.metrics
_UPDATE_BINS = 48


@dataclass(frozen=True)
class Digest:
    """Sums over the sessions and updates of one run."""

    measures: dict[str, float]  # as `run_measures` returns them
    bins: dict[str, NDArray[np.float64]]  # grid -> (4, P), rows as in SUMS
    updates: dict[str, NDArray[np.float64]]  # quantity -> (48,) mean in the bin, NaN if none
    distinct: dict[str, int]  # window -> items shown at least once
    effective: dict[str, float]  # window -> exp(entropy) of the shares of items shown


def grid_edges(grid: str, budget: int) -> NDArray[np.float64]:
    """Return the P + 1 edges of a grid in env steps.

    Args:
        grid: "whole", "early" (the first 5 %) or "log" (the first hundredth is one bin).
        budget: Env steps of the run.
    """
    points = _POINTS[grid]
    if grid == "log":
        return np.append(0.0, np.geomspace(budget / 100, budget, points))
    return np.linspace(0.0, budget * (_EARLY if grid == "early" else 1.0), points + 1)


def update_edges(budget: int) -> NDArray[np.float64]:
    """Return the 49 edges, in env steps, of the bins of logged updates."""
    return np.linspace(0.0, budget, _UPDATE_BINS + 1)


def digest_tables(
    episodes: pd.DataFrame,
    updates: pd.DataFrame,
    exposure: pd.DataFrame,
    *,
    budget: int,
    bounds: Mapping[str, float],
) -> Digest:
    """Sum the tables of a run.

    Args:
        episodes: As `simrec.records.TABLES` says; sessions after the budget do not count.
        updates: env_step and any float columns.
        exposure: How often each item was shown in each window.
        budget: Env steps of the run.
        bounds: Reward per session of random and oracle, by name.
    """
    start = episodes["start_step"].to_numpy(dtype=np.int64)
    inside = start < budget
    start = start[inside]
    rows = [np.ones(len(start))]
    rows += [episodes[c].to_numpy(np.float64)[inside] for c in ("reward", "length", "left")]
    bins = {}
    for grid, points in _POINTS.items():
        which = np.searchsorted(grid_edges(grid, budget), start, side="right") - 1
        kept = which < points
        bins[grid] = np.stack(
            [np.bincount(which[kept], row[kept], minlength=points)[:points] for row in rows],
            dtype=np.float64,
        )
    shown = exposure[exposure["shown"] > 0]
    by_window = {w: shown.loc[shown["window"] == w, "shown"].to_numpy(np.float64) for w in WINDOWS}
    return Digest(
        measures=run_measures(episodes, exposure, budget, bounds),
        bins=bins,
        updates=_binned(updates, budget),
        distinct={w: len(counts) for w, counts in by_window.items()},
        effective={w: _effective(counts) for w, counts in by_window.items()},
    )


def _binned(updates: pd.DataFrame, budget: int) -> dict[str, NDArray[np.float64]]:
    when = updates["env_step"].to_numpy(np.float64)
    place = np.searchsorted(update_edges(budget), when, side="left") - 1
    place = np.clip(place, 0, _UPDATE_BINS - 1)
    found = {}
    for name in updates.columns:
        if name == "env_step":
            continue
        values = updates[name].to_numpy(np.float64)
        real = np.isfinite(values)
        count = np.bincount(place[real], minlength=_UPDATE_BINS)
        total = np.bincount(place[real], values[real], minlength=_UPDATE_BINS)
        found[str(name)] = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return found


def _effective(counts: NDArray[np.float64]) -> float:
    """Return exp(Shannon entropy): k items shown equally often give k; NaN where none was."""
    if not len(counts):
        return float("nan")
    share = counts / counts.sum()
    return float(np.exp(-(share * np.log(share)).sum()))


def digest_text(digest: Digest) -> str:
    """Return the digest as JSON; a number that cannot be told is null."""
    content: dict[str, Any] = {
        "version": VERSION,
        "measures": _known(digest.measures),
        "bins": {grid: sums.tolist() for grid, sums in digest.bins.items()},
        "updates": {name: _rounded(values) for name, values in digest.updates.items()},
        "distinct": digest.distinct,
        "effective": _known(digest.effective),
    }
    return json.dumps(content) + "\n"


def _rounded(values: NDArray[np.float64]) -> list[float | None]:
    return [float(f"{v:.6g}") if np.isfinite(v) else None for v in values]


def _known(values: Mapping[str, float]) -> dict[str, float | None]:
    return {name: value if np.isfinite(value) else None for name, value in values.items()}


def _numbers(values: Mapping[str, float | None]) -> dict[str, float]:
    return {name: np.nan if value is None else float(value) for name, value in values.items()}


def digest_from(content: Mapping[str, Any]) -> Digest | None:
    """Return the digest that `digest_text` wrote, or None where it is of another version.

    Raises:
        KeyError, TypeError, ValueError: It is no digest.
    """
    if content["version"] != VERSION:
        return None
    return Digest(
        measures=_numbers(content["measures"]),
        bins={grid: np.array(sums, dtype=np.float64) for grid, sums in content["bins"].items()},
        updates={k: np.array(v, dtype=np.float64) for k, v in content["updates"].items()},
        distinct={w: int(n) for w, n in content["distinct"].items()},
        effective=_numbers(content["effective"]),
    )


def read_digest(folder: Path) -> Digest | None:
    """Return the digest of a run folder, or None where there is none of today's version."""
    try:
        return digest_from(json.loads((folder / FILE).read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
