"""How much of a model is left when a modality is gone; never report the fused score without it."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from simrec.items.fit import FittedItems, places_of
from simrec.items.missing import Completion, Hidden, complete, hide
from simrec.items.next_item import States
from simrec.items.ranking import hit_rate
from simrec.items.sequences import Task


def _hits(fitted: FittedItems, given: Hidden, task: Task, k: int) -> float:
    places = places_of(fitted, given.states, given.present, task.test)
    return hit_rate(places, k)


def kept_without(
    places: Callable[[States, NDArray[np.bool_]], NDArray[np.int64]],
    states: States,
    present: NDArray[np.bool_],
    *,
    k: int = 10,
    policy: str | Completion = "learned_token",
) -> dict[str, float]:
    """Return HR@k without each modality as a share of HR@k with all.

    Args:
        places: Says where states and presence put each question's target, 1 being the best.
        states: Modality -> (I, K, D).
        present: (I, M).
        k: Places that count.
        policy: How absent modalities are completed; see `simrec.items.missing.complete`.

    Returns:
        Modality -> share, above 1 where the model is better without; NaN if it never hits.
    """
    full = hit_rate(places(states, present), k)
    kept = {}
    for name in states:
        gone = hide(states, present, pattern="whole", rate=1.0, seed=0, modality=name)
        left = complete(gone, policy)
        found = hit_rate(places(left.states, left.present), k)
        kept[name] = found / full if full else float("nan")
    return kept


def retention(
    fitted: FittedItems,
    states: States,
    present: NDArray[np.bool_],
    task: Task,
    *,
    k: int = 10,
    policy: str | Completion = "learned_token",
) -> dict[str, float]:
    """Return `kept_without` of a trained adapter with its sequence model on the test questions."""

    def places(given: States, there: NDArray[np.bool_]) -> NDArray[np.int64]:
        return places_of(fitted, given, there, task.test)

    return kept_without(places, states, present, k=k, policy=policy)


def retention_curve(
    fitted: FittedItems,
    states: States,
    present: NDArray[np.bool_],
    task: Task,
    modality: str,
    *,
    rates: Sequence[float] = (0.2, 0.5, 0.8, 1.0),
    policy: str | Completion = "learned_token",
    seed: int = 0,
    k: int = 10,
) -> dict[float, float]:
    """Return rate -> HR@k when the modality is missing for that share of items.

    The rates are MMPCBench's (read). The other arguments are those of `retention`; `seed` draws
    which items lose it, the same ones and more at a higher rate.
    """
    curve = {}
    for rate in rates:
        gone = hide(states, present, pattern="item", rate=rate, seed=seed, modality=modality)
        curve[rate] = _hits(fitted, complete(gone, policy), task, k)
    return curve
