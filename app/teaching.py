"""Numbers about a teacher, from its answers and from people's feedback nothing was fitted on."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from simrec.app import door, load
from simrec.catalogue import Catalogue
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


def exchanges(found: Overview, seed: int, number: int) -> pd.DataFrame:
    """Return what was asked and replied word by word for one question, a row a request.

    Columns as the teacher's transcript has them, among them prompt, reply, valid, parsed, cached,
    prompt_tokens and completion_tokens; no row where no transcript was kept.

    Args:
        found: The study.
        seed: Whose preferences.
        number: Row of the question in the preferences, from 0.

    Raises:
        SimrecError: The transcript cannot be read.
    """
    paths = (found.folder / "stages").glob(f"questions-seed-{seed}-*.parquet")
    newest = sorted(paths, key=lambda path: path.stat().st_mtime)
    if not newest:
        return pd.DataFrame()
    try:
        return pd.read_parquet(newest[-1], filters=[("question_id", "==", number)])
    except (OSError, ValueError) as error:
        raise SimrecError(
            f"{newest[-1]} cannot be read; delete it and run the study again"
        ) from error


def from_cache(found: Overview, seed: int) -> tuple[int, int] | None:
    """Return how many of a seed's requests the cache answered, and of how many; None unknown."""
    paths = (found.folder / "stages").glob(f"questions-seed-{seed}-*.parquet")
    newest = sorted(paths, key=lambda path: path.stat().st_mtime)
    try:
        hit = pd.read_parquet(newest[-1], columns=["cached"])["cached"]
    except (OSError, ValueError, KeyError, IndexError):
        return None
    return int(hit.sum()), len(hit)


def costs(llm: Mapping[str, Any], cached: tuple[int, int] | None) -> list[tuple[str, str]]:
    """Return what asking took, as (what, number) to be read; what was not measured is left out.

    Args:
        llm: A record's `llm`.
        cached: From `from_cache`.
    """
    rows = [("questions answered", f"{llm.get('answered', 0):,} of {llm.get('questions', 0):,}")]
    spent, again = llm.get("spent"), llm.get("swap_spent") or {}
    if spent:
        for key, words in _SPENT.items():
            rows.append((words, f"{spent[key] + again.get(key, 0):,}"))
        rows.append(("replies not readable after a second try", f"{llm.get('unreadable', 0):,}"))
    if cached is not None:
        rows.append(("replies from the cache when last asked", f"{cached[0]:,} of {cached[1]:,}"))
    swap = llm.get("swap")
    if swap:
        rows.append(
            (
                "answers that stay when the candidates are reversed",
                f"{swap['agreement']:.0%} of {swap['pairs']:,} (kappa {swap['kappa']:.2f}; "
                "0 is chance, 1 perfect)",
            )
        )
    return rows


_SPENT = {
    "requests": "requests",
    "prompt_tokens": "tokens sent",
    "completion_tokens": "tokens received",
}


def rewritten(found: Overview, catalogue: Catalogue, answer: Preference) -> tuple[str, bool]:
    """Return the prompt of a question as the study's settings write it, and whether it was asked.

    It was asked exactly so where its fingerprint is that of the answer.

    Raises:
        SimrecError: The catalogue has no longer an attribute that was told.
    """
    prompts = door.prompts()
    settings = found.first.config.get("teacher", {})
    template = prompts.SHIPPED[settings.get("form", "list")]
    chosen = {name: settings[name] for name in ("attributes", "description") if name in settings}
    told = prompts.told(catalogue, **chosen)
    prompt = prompts.render(answer.question, told, template, domain=settings.get("domain", ""))
    return prompt.text, bool(answer.prompt_sha) and prompt.sha == answer.prompt_sha


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
