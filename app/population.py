"""The users of a study: how real they are, what can be gained, and who gains it."""

import json
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from simrec.app import load
from simrec.errors import SimrecError
from simrec.metrics import named_now, normalised
from simrec.overview import Overview

SEEDS = 3  # seeds whose sessions are read for segments; more would only be slower


def world_report(found: Overview) -> dict[str, Any]:
    """Return fit and bounds of the world the study's runs were made in.

    Raises:
        SimrecError: The stages do not hold them any more.
    """
    wanted = found.first.fingerprints.get("world", "")
    stages = found.folder / "stages"
    for path in sorted(stages.glob("world-*/world.json")):
        try:
            if json.loads(path.read_text(encoding="utf-8")).get("fingerprint") == wanted:
                text = (stages / f"{path.parent.name}.json").read_text(encoding="utf-8")
                content: dict[str, Any] = json.loads(text)
                return content | {"bounds": named_now(content["bounds"])}
        except (OSError, ValueError):
            continue
    raise SimrecError(f"{stages} does not hold the world of these runs; run the study again")


def segments(found: Overview, by: str) -> NDArray[np.int64]:
    """Return the third (U,) each user falls into: 0 low, 1 middle, 2 high.

    Args:
        found: The study.
        by: "activity" (events in the log) or "generosity" (share of likes among them).

    Raises:
        SimrecError: The data are not on this machine.
    """
    known = load.inputs(dict(found.first.config), found.folder)
    log = known.dataset.log
    events = np.bincount(log.user, minlength=log.n_users)
    value = events.astype(np.float64)
    if by == "generosity":
        likes = np.bincount(
            log.user[log.feedback >= known.config.data.like_at], minlength=len(events)
        )
        value = likes / np.maximum(events, 1)
    rank = np.argsort(np.argsort(value, kind="stable"), kind="stable")
    return np.asarray(3 * rank // len(rank), dtype=np.int64)


def by_segment(found: Overview, by: str, strategies: tuple[str, ...]) -> pd.DataFrame:
    """Return what each strategy does for each third of the users, over the first seeds.

    Columns: strategy, segment (0, 1, 2), sessions, reward (normalised), error (one standard error
    over sessions), lost (users who left, per 1,000 recommendations).
    """
    third = segments(found, by)
    bounds = found.first.bounds
    rows = []
    for name in strategies:
        runs = [found.folder_of(name, seed) for seed in found.seeds[:SEEDS]]
        tables = [load.run_table(run, "episodes") for run in runs if run is not None]
        if not tables:
            continue
        sessions = pd.concat(tables)
        segment = third[sessions["user"].to_numpy()]
        y = normalised(sessions["reward"].to_numpy(), bounds["random"], bounds["oracle"])
        for part in range(3):
            mine = segment == part
            n = int(mine.sum())
            if n < 2:
                continue
            steps = float(sessions["length"].to_numpy()[mine].sum())
            lost = 1000.0 * float(sessions["left"].to_numpy()[mine].sum()) / steps
            error = float(y[mine].std(ddof=1) / np.sqrt(n))
            rows.append((name, part, n, float(y[mine].mean()), error, lost))
    return pd.DataFrame(
        rows, columns=["strategy", "segment", "sessions", "reward", "error", "lost"]
    )
