"""One training of the report and what it is worth: hits, cold hits, what is left without a part."""

import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simrec.items.adapters import GRAPH_ADAPTERS
from simrec.items.fit import fit_items, places_of
from simrec.items.fit_settings import FitSettings
from simrec.items.graph_fit import GraphSettings, fit_graph, on_other_contents
from simrec.items.next_item import States
from simrec.items.ranking import hit_rate, ndcg
from simrec.items.retention import kept_without
from simrec.items.sequences import Task
from simrec.randomness import generator

COLD = 1  # training events up to which an item counts as cold
_Contents = tuple[States, NDArray[np.bool_]]


def cold_targets(task: Task) -> NDArray[np.bool_]:
    """Return which test questions (R,) ask for an item with at most COLD training events."""
    return np.asarray(task.counts[task.test.target] <= COLD)


def shuffled_rows(states: States, present: NDArray[np.bool_], seed: int) -> _Contents:
    """Return states and presence dealt to other items, all modalities of an item together."""
    order = generator(seed, "shuffled items").permutation(len(present))
    return {m: v[order] for m, v in states.items()}, present[order]


def settings_of(settings: FitSettings) -> FitSettings | GraphSettings:
    """Return what the report trains with: a graph encoder takes as many batches, of pairs."""
    s = settings
    if s.adapter not in GRAPH_ADAPTERS:
        return s
    # a step walks the whole graph however few pairs it is for, so they are many
    return GraphSettings(
        s.adapter, s.settings, s.width, s.epochs, s.steps, s.patience, batch=4096, seed=s.seed
    )


def judged(
    states: States,
    present: NDArray[np.bool_],
    task: Task,
    settings: FitSettings,
    *,
    retained: bool,
) -> dict[str, Any]:
    """Train once and judge by the task's test questions.

    Args:
        states: Modality -> (I, K, D); graph encoders read the last layer alone.
        present: (I, M).
        task: What is learnt and asked.
        settings: Whose adapter may be a graph encoder's name.
        retained: Also ask with each modality hidden, where there are several.

    Returns:
        What JSON can hold: "hits", "ndcg", "cold_hits", "retained" (modality -> share of the
        hits), "curve", "epoch", "seconds" (of the processor, training alone), "parameters".
    """
    began = time.process_time()
    asked = task.test
    s = settings_of(settings)
    if isinstance(s, GraphSettings):
        graph = fit_graph({m: v[:, -1] for m, v in states.items()}, present, task, s)
        curve, best = graph.curve, graph.best
        size = sum(p.numel() for p in graph.model.parameters())

        def places(given: States, there: NDArray[np.bool_]) -> NDArray[np.int64]:
            last = {m: v[:, -1] for m, v in given.items()}
            return on_other_contents(graph, last, there, task, s).places(asked)

        found = graph.places(asked)
    else:
        fitted = fit_items(states, present, task, s)
        curve, best, size = fitted.curve, fitted.best, fitted.parameters

        def places(given: States, there: NDArray[np.bool_]) -> NDArray[np.int64]:
            return places_of(fitted, given, there, asked)

        found = places(states, present)
    spent = time.process_time() - began
    kept = kept_without(places, states, present) if retained and len(states) > 1 else {}
    return {
        "hits": hit_rate(found),
        "ndcg": ndcg(found),
        "cold_hits": hit_rate(found[cold_targets(task)]),
        "retained": kept,
        "curve": list(curve),
        "epoch": best,
        "seconds": spent,
        "parameters": size,
    }
