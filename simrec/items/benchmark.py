"""Adapters side by side: popularity, shuffled rows, frozen + linear, each adapter; over seeds.

Every model reads the same states, takes the same steps and is judged by the same questions. Each
training's result is a file, so a report that was killed trains only what is missing.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simrec.errors import SimrecError, nearest
from simrec.files import fingerprint, write_json
from simrec.items.adapters import ADAPTERS, GRAPH_ADAPTERS
from simrec.items.fit_settings import FitSettings
from simrec.items.judged import cold_targets, judged, settings_of, shuffled_rows
from simrec.items.next_item import States
from simrec.items.ranking import hit_rate, ndcg, ranks
from simrec.items.sequences import Task
from simrec.statistics import Interval, t_interval


@dataclass(frozen=True)
class Model:
    """What is trained in a row of the report."""

    name: str
    adapter: str  # a key of simrec.items.adapters.ADAPTERS or GRAPH_ADAPTERS
    shuffled: bool = False  # rows dealt to other items
    dropout: bool = True  # False never hides a modality in training


@dataclass(frozen=True)
class Row:
    """One method over all seeds, on the test questions."""

    name: str
    each: tuple[float, ...]  # HR@10 of each seed
    gain: Interval  # NDCG@10
    cold: Interval  # HR@10 of targets with at most COLD training events; NaN where none
    retained: dict[str, tuple[float, ...]]  # modality -> each seed's share of HR@10 without it
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
    there are several modalities an "iisan" that was never denied one. Graph encoders come last.

    Raises:
        SimrecError: There is no such adapter, or none that learns from sequences.
    """
    known = [*ADAPTERS, *GRAPH_ADAPTERS]
    for name in adapters:
        if name not in known:
            raise SimrecError(f"there is no item adapter '{name}'; {nearest(name, known)}")
    graphs = [name for name in adapters if name in GRAPH_ADAPTERS]
    adapters = [name for name in adapters if name in ADAPTERS]
    if not adapters:
        raise SimrecError(
            f"the adapters are {graphs}; expected at least one that learns from sequences, for the "
            f"shuffled control; add one such as linear"
        )
    controls = dict.fromkeys((adapters[0], *(["iisan"] if "iisan" in adapters else [])))
    models = [Model(f"shuffled {name}", name, shuffled=True) for name in controls]
    models += [Model(name, name) for name in adapters]
    if several and "iisan" in adapters:
        models.append(Model("iisan undropped", "iisan", dropout=False))
    return models + [Model(name, name) for name in graphs]


def popularity_row(task: Task) -> Row:
    """Return how well "what most people had" does; it knows no seed."""
    scores = task.counts.astype(np.float32)
    asked = task.test
    parts = [slice(i, i + 512) for i in range(0, len(asked.target), 512)]
    places = np.concatenate(
        [
            ranks(np.tile(scores, (len(asked.target[p]), 1)), asked.target[p], asked.seen[p])
            for p in parts
        ]
    )
    cold = t_interval([hit_rate(places[cold_targets(task)])])
    return Row("popularity", (hit_rate(places),), t_interval([ndcg(places)]), cold, {}, 0.0, 0)


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
    asked = [a for q in (task.valid, task.test) for a in (q.history, q.seen, q.target)]
    data = fingerprint(*states, *states.values(), present, task.train, task.pairs, *asked)
    found: dict[str, list[dict[str, Any]]] = {model.name: [] for model in models}
    for seed in seeds:
        for model in models:
            s = replace(base, adapter=model.adapter, seed=seed)
            s = s if model.dropout else replace(s, modality_dropout=0.0)
            key = fingerprint(data, asdict(settings_of(s)), model.name)
            path = (
                None
                if folder is None
                else folder / f"{model.name.replace(' ', '-')}-{seed}-{key}.json"
            )
            fresh = path is None or not path.is_file()
            if path is None or fresh:
                given = shuffled_rows(states, present, s.seed) if model.shuffled else None
                result = {"model": model.name, "seed": s.seed}
                result |= judged(*(given or (states, present)), task, s, retained=given is None)
                if path is not None:
                    write_json(path, result)
            else:
                result = json.loads(path.read_text(encoding="utf-8"))
            found[model.name].append(result)
            done(result, fresh)
    return [popularity_row(task), *(_row(name, results) for name, results in found.items())]


def _row(name: str, results: Sequence[Mapping[str, Any]]) -> Row:
    def each(key: str) -> tuple[float, ...]:
        return tuple(float(result[key]) for result in results)

    first = results[0]["retained"]
    return Row(
        name,
        each("hits"),
        t_interval(each("ndcg")),
        t_interval(each("cold_hits")),
        {m: tuple(result["retained"][m] for result in results) for m in first},
        float(np.mean(each("seconds"))),
        int(results[0]["parameters"]),
    )
