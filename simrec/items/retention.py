"""How much of a model is left when a modality is gone; never report the fused score without it."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from simrec.items.fit import FittedItems, places_of
from simrec.items.missing import Completion, Hidden, complete, hide
from simrec.items.next_item import States
from simrec.items.ranking import hit_rate
from simrec.items.sequences import Task


def _hits(fitted: FittedItems, given: Hidden, task: Task, k: int) -> float:
    places = places_of(fitted, given.states, given.present, task.test_history, task.test_target)
    return hit_rate(places, k)


def retention(
    fitted: FittedItems,
    states: States,
    present: NDArray[np.bool_],
    task: Task,
    *,
    k: int = 10,
    policy: str | Completion = "learned_token",
) -> dict[str, float]:
    """Return HR@k on the test questions without each modality as a share of HR@k with all.

    Args:
        fitted: A trained adapter with its sequence model.
        states: Modality -> (I, K, D).
        present: (I, M).
        task: Whose test questions are asked.
        k: Places that count.
        policy: How absent modalities are completed; see `simrec.items.missing.complete`.

    Returns:
        Modality -> share, above 1 where the model is better without; NaN if it never hits.
    """
    full = _hits(fitted, Hidden(dict(states), present), task, k)
    kept = {}
    for name in states:
        gone = hide(states, present, pattern="whole", rate=1.0, seed=0, modality=name)
        left = _hits(fitted, complete(gone, policy), task, k)
        kept[name] = left / full if full else float("nan")
    return kept


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
