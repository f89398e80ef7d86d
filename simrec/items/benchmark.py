"""Adapters side by side: popularity, shuffled rows, frozen + linear, each adapter; over seeds.

Every model reads the same states, takes the same steps and is judged by the same questions. Each
training's result is a file, so a report that was killed trains only what is missing.
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simrec.files import fingerprint, write_json
from simrec.items.fit import fit_items, places_of
from simrec.items.fit_settings import FitSettings
from simrec.items.next_item import States
from simrec.items.ranking import hit_rate, ndcg, ranks
from simrec.items.retention import retention
from simrec.items.sequences import Task
from simrec.randomness import generator
from simrec.statistics import Interval, t_interval

COLD = 1  # training events up to which an item counts as cold


@dataclass(frozen=True)
class Model:
    """What is trained in a row of the report."""

    name: str
    adapter: str  # a key of simrec.items.adapters.ADAPTERS
    shuffled: bool = False  # rows dealt to other items
    dropout: bool = True  # False never hides a modality in training


@dataclass(frozen=True)
class Row:
    """One method over all seeds, on the test questions."""

    name: str
    each: tuple[float, ...]  # HR@10 of each seed
    gain: Interval  # NDCG@10
    cold_hits: float  # HR@10 of targets with at most COLD training events; NaN where none
    retained: dict[str, float]  # modality -> mean share of HR@10 left without it; {} not measured
    seconds: float  # of the processor, a training; 0 where nothing is trained
    parameters: int

    @property
    def hits(self) -> Interval:
        """HR@10 over the seeds."""
        return t_interval(self.each)


def models_of(adapters: Sequence[str], *, several: bool) -> list[Model]:
    """Return controls and adapters.

    A shuffled control is an adapter on rows dealt to other items: what is left is what a model
    learns without knowing any item. There is one of the first adapter and one of "iisan", and where
    there are several modalities an "iisan" that was never denied one.
    """
    controls = dict.fromkeys((adapters[0], *(["iisan"] if "iisan" in adapters else [])))
    models = [Model(f"shuffled {name}", name, shuffled=True) for name in controls]
    models += [Model(name, name) for name in adapters]
    if several and "iisan" in adapters:
        models.append(Model("iisan undropped", "iisan", dropout=False))
    return models


def popularity_row(task: Task) -> Row:
    """Return how well "what most people had" does; it knows no seed."""
    scores = task.counts.astype(np.float32)
    parts = range(0, len(task.test_target), 512)
    places = np.concatenate(
        [
            ranks(np.repeat(scores[None], len(t), axis=0), t, h)
            for t, h in (
                (task.test_target[i : i + 512], task.test_history[i : i + 512]) for i in parts
            )
        ]
    )
    gain = t_interval([ndcg(places)])
    return Row("popularity", (hit_rate(places),), gain, hit_rate(places[_cold(task)]), {}, 0.0, 0)


def _cold(task: Task) -> NDArray[np.bool_]:
    return np.asarray(task.counts[task.test_target] <= COLD)


def cold_questions(task: Task) -> int:
    """Return how many test questions ask for an item with at most COLD training events."""
    return int(_cold(task).sum())


def _trained(
    states: States, present: NDArray[np.bool_], task: Task, model: Model, settings: FitSettings
) -> dict[str, Any]:
    if model.shuffled:
        order = generator(settings.seed, "shuffled items").permutation(len(present))
        states, present = {m: v[order] for m, v in states.items()}, present[order]
    began = time.process_time()
    fitted = fit_items(states, present, task, settings)
    spent = time.process_time() - began
    places = places_of(fitted, states, present, task.test_history, task.test_target)
    kept = {}
    if not model.shuffled and len(states) > 1:
        kept = retention(fitted, states, present, task)
    return {
        "model": model.name,
        "seed": settings.seed,
        "hits": hit_rate(places),
        "ndcg": ndcg(places),
        "cold_hits": hit_rate(places[_cold(task)]),
        "retained": kept,
        "curve": list(fitted.curve),
        "epoch": fitted.best,
        "seconds": spent,
        "parameters": fitted.parameters,
    }


def compare_adapters(
    states: States,
    present: NDArray[np.bool_],
    task: Task,
    models: Sequence[Model],
    *,
    settings: FitSettings | None = None,
    seeds: Sequence[int] = (0, 1, 2),
    folder: Path | None = None,
    done: Callable[[Mapping[str, Any], bool], None] = lambda result, fresh: None,
) -> list[Row]:
    """Train every model over seeds and judge it, all models of a seed before the next seed.

    Retention is measured where there are two modalities or more.

    Args:
        states: Modality -> standardised states (I, K, D).
        present: (I, M).
        task: What is learnt and asked.
        models: As `models_of` returns them.
        settings: Of every fit; adapter, seed and for some models the dropout are replaced.
        seeds: One fit each.
        folder: Where each training's result is kept and looked for; None keeps nothing.
        done: Told each result and whether it was trained now.

    Returns:
        Popularity and the models, in order.
    """
    base = settings or FitSettings()
    arrays = [task.train, task.valid_history, task.valid_target, task.test_history]
    data = fingerprint(*states, *states.values(), present, *arrays, task.test_target)
    found: dict[str, list[dict[str, Any]]] = {model.name: [] for model in models}
    for seed in seeds:
        for model in models:
            s = replace(base, adapter=model.adapter, seed=seed)
            s = s if model.dropout else replace(s, modality_dropout=0.0)
            key = fingerprint(data, asdict(s), model.name)
            path = (
                None
                if folder is None
                else folder / f"{model.name.replace(' ', '-')}-{seed}-{key}.json"
            )
            fresh = path is None or not path.is_file()
            if path is None or fresh:
                result = _trained(states, present, task, model, s)
                if path is not None:
                    write_json(path, result)
            else:
                result = json.loads(path.read_text(encoding="utf-8"))
            found[model.name].append(result)
            done(result, fresh)
    return [popularity_row(task), *(_row(name, results) for name, results in found.items())]


def _row(name: str, results: Sequence[Mapping[str, Any]]) -> Row:
    def mean(key: str) -> float:
        return float(np.mean([result[key] for result in results]))

    first = results[0]["retained"]
    return Row(
        name,
        tuple(result["hits"] for result in results),
        t_interval([result["ndcg"] for result in results]),
        mean("cold_hits"),
        {m: float(np.mean([result["retained"][m] for result in results])) for m in first},
        mean("seconds"),
        int(results[0]["parameters"]),
    )
