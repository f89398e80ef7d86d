"""What training costs on this machine: seconds, weights, memory; each method in its own child."""

import multiprocessing
import resource
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from simrec.items.fit import fit_items
from simrec.items.fit_settings import FitSettings
from simrec.items.next_item import States
from simrec.items.sequences import Task
from simrec.items.tpme import Cost

Trained = tuple[float, int]  # seconds of an epoch, trainable weights


def _peak() -> int:
    """Return the greatest memory this process ever held, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (
        1 if sys.platform == "darwin" else 1024
    )


def _measured(train: Callable[[], Trained]) -> Cost:
    weight = torch.zeros(8, 8, requires_grad=True)  # what a first step ever loads is no method's
    (weight @ weight).sum().backward()
    torch.optim.AdamW([weight], fused=True).step()
    before = _peak()
    seconds, parameters = train()
    return Cost(seconds, parameters, _peak() - before)


def costs_of(methods: Mapping[str, Callable[[], Trained]]) -> dict[str, Cost]:
    """Run each method in a fresh process and return what it took.

    Memory is the growth of the child's greatest resident size over what it held with its arguments
    loaded and a step of eight numbers taken, so one method's peak cannot hide another's. Children
    are forked from a server that has imported torch and done nothing with it.

    Args:
        methods: Name -> a picklable function that trains.
    """
    context = multiprocessing.get_context("forkserver")
    # an optimiser's first step imports torch._dynamo, which takes longer than a small training
    context.set_forkserver_preload(["simrec.items.efficiency", "simrec.items.fit", "torch._dynamo"])
    costs = {}
    for name, train in methods.items():
        with ProcessPoolExecutor(1, mp_context=context) as pool:
            costs[name] = pool.submit(_measured, train).result()
    return costs


def _fit(
    states: States, present: NDArray[np.bool_], task: Task, settings: FitSettings
) -> tuple[float, int]:
    fitted = fit_items(states, present, task, settings)
    return fitted.seconds, fitted.parameters


def measured_costs(
    states: States, present: NDArray[np.bool_], task: Task, methods: Mapping[str, FitSettings]
) -> dict[str, Cost]:
    """Train adapters as `costs_of` does.

    Args:
        states: As for `fit_items`.
        present: As for `fit_items`.
        task: As for `fit_items`.
        methods: Name -> settings; few epochs are enough.
    """
    return costs_of({n: partial(_fit, states, present, task, s) for n, s in methods.items()})


def cost_rows(costs: Mapping[str, Cost], scores: Mapping[str, float]) -> dict[str, dict[str, Any]]:
    """Return method -> TPME with the raw numbers beside it, for JSON."""
    return {
        name: {
            "tpme": scores[name],
            "seconds": cost.seconds,
            "parameters": cost.parameters,
            "bytes": cost.bytes,
        }
        for name, cost in costs.items()
    }
