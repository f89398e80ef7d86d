"""What training costs on this machine: seconds, weights, memory; each method in its own child."""

import multiprocessing
import resource
import sys
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor

import numpy as np
from numpy.typing import NDArray

from simrec.items.fit import FitSettings, States, fit_items
from simrec.items.sequences import Task
from simrec.items.tpme import Cost


def _peak() -> int:
    """Return the greatest memory this process ever held, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (
        1 if sys.platform == "darwin" else 1024
    )


def _train(states: States, present: NDArray[np.bool_], task: Task, settings: FitSettings) -> Cost:
    before = _peak()
    fitted = fit_items(states, present, task, settings)
    return Cost(fitted.seconds, fitted.parameters, _peak() - before)


def measured_costs(
    states: States, present: NDArray[np.bool_], task: Task, methods: Mapping[str, FitSettings]
) -> dict[str, Cost]:
    """Train each method in a fresh process and return what it took.

    Memory is the growth of the child's greatest resident size over what it held with the data
    loaded, so one method's peak cannot hide another's.

    Args:
        states: As for `fit_items`.
        present: As for `fit_items`.
        task: As for `fit_items`.
        methods: Name -> settings; few epochs are enough.
    """
    context = multiprocessing.get_context("spawn")
    costs = {}
    for name, settings in methods.items():
        with ProcessPoolExecutor(1, mp_context=context) as pool:
            costs[name] = pool.submit(_train, states, present, task, settings).result()
    return costs
