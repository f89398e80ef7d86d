"""Numbers about a teacher, from its answers and from people's feedback nothing was fitted on."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from simrec.app import load
from simrec.errors import SimrecError
from simrec.interactions import Part
from simrec.overview import Overview
from simrec.preferences import Preference, PreferenceSet


def answers(found: Overview, seed: int) -> PreferenceSet:
    """Return the newest preferences of a seed; raise SimrecError where there are none."""
    paths = (found.folder / "stages").glob(f"preferences-seed-{seed}-*.parquet")
    newest = sorted(paths, key=lambda path: path.stat().st_mtime)
    if not newest:
        raise SimrecError(
            f"{found.folder / 'stages'} holds no answers for seed {seed}; strategies that are not "
            "pretrained ask no teacher; to have some, run the study again with 'frozen'"
        )
    return PreferenceSet.load(newest[-1])


def by_place(given: Sequence[Preference]) -> pd.DataFrame:
    """Return how often a candidate is liked by its place in the question.

    Columns: place (from 1), shown, liked, share, error (one standard error of the share).
    """
    rows = []
    most = max((len(a.liked) for a in given), default=0)
    for place in range(most):
        here = np.array([a.liked[place] for a in given if len(a.liked) > place])
        share = float(here.mean())
        error = float(np.sqrt(share * (1 - share) / len(here)))
        rows.append((place + 1, len(here), int(here.sum()), share, error))
    return pd.DataFrame(rows, columns=["place", "shown", "liked", "share", "error"])


def calibration(found: Overview, given: PreferenceSet, bins: int = 8) -> pd.DataFrame:
    """Return how often people like what the teacher scores high: a row for each band of score.

    People's likes come from the realism part of the log, on which nothing is fitted.

    Columns: score (mean in the band), pairs, people_like (share), error (one standard error).

    Raises:
        SimrecError: The data are not on this machine.
    """
    known = load.inputs(dict(found.first.config), found.folder)
    log = known.dataset.log.select(known.split.part == Part.REALISM)
    like_at = known.config.data.like_at
    people = pd.DataFrame({"user": log.user, "item": log.item, "liked": log.feedback >= like_at})
    teacher = pd.DataFrame(
        {
            "user": np.repeat([a.question.user for a in given], [len(a.score) for a in given]),
            "item": np.concatenate([a.question.candidates for a in given]),
            "score": np.concatenate([a.score for a in given]),
        }
    )
    both = teacher.merge(people, on=["user", "item"])
    both = both[np.isfinite(both["score"])]
    columns = ["score", "pairs", "people_like", "error"]
    if both.empty:
        return pd.DataFrame(columns=columns)
    few = both["score"].nunique() <= bins
    band = both["score"] if few else pd.qcut(both["score"], bins, duplicates="drop")
    found_rows = []
    for _, part in both.groupby(band, observed=True):
        share = float(part["liked"].mean())
        error = float(np.sqrt(share * (1 - share) / len(part)))
        found_rows.append((float(part["score"].mean()), len(part), share, error))
    return pd.DataFrame(found_rows, columns=columns)
