"""Adapters side by side: popularity, shuffled rows, frozen + linear, each adapter; over seeds."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from simrec.items.fit import FitSettings, States, fit_items, places_of
from simrec.items.ranking import hit_rate, ndcg, ranks
from simrec.items.retention import retention
from simrec.items.sequences import Task
from simrec.randomness import generator
from simrec.statistics import Interval, t_interval

COLD = 1  # training events up to which an item counts as cold


@dataclass(frozen=True)
class Row:
    """One method over all seeds, on the test questions."""

    name: str
    hits: Interval  # HR@10
    gain: Interval  # NDCG@10
    cold_hits: float  # HR@10 of targets with at most COLD training events; NaN where none
    retained: dict[str, float]  # modality -> mean share of HR@10 left without it; {} not measured


def _row(name: str, places: Sequence[NDArray[np.int64]], cold: NDArray[np.bool_]) -> Row:
    return Row(
        name,
        t_interval([hit_rate(p) for p in places]),
        t_interval([ndcg(p) for p in places]),
        float(np.mean([hit_rate(p[cold]) for p in places])),
        {},
    )


def popularity_row(task: Task) -> Row:
    """Return how well "what most people had" does; it knows no seed."""
    scores = task.counts.astype(np.float32)
    places = [
        ranks(np.repeat(scores[None], len(t), axis=0), t, h)
        for t, h in zip(
            np.array_split(task.test_target, max(len(task.test_target) // 512, 1)),
            np.array_split(task.test_history, max(len(task.test_target) // 512, 1)),
            strict=True,
        )
    ]
    return _row("popularity", [np.concatenate(places)], _cold(task))


def _cold(task: Task) -> NDArray[np.bool_]:
    return np.asarray(task.counts[task.test_target] <= COLD)


def compare_adapters(
    states: States,
    present: NDArray[np.bool_],
    task: Task,
    adapters: Sequence[str],
    *,
    settings: FitSettings | None = None,
    seeds: Sequence[int] = (0, 1, 2),
    say: Callable[[str], None] = lambda line: None,
) -> list[Row]:
    """Train every adapter over seeds and judge it; controls first.

    The control "shuffled" is the first adapter on rows dealt to other items: what is left is what
    the sequence model learns without knowing any item. Retention is measured where there are two
    modalities or more.

    Args:
        states: Modality -> standardised states (I, K, D).
        present: (I, M).
        task: What is learnt and asked.
        adapters: Keys of `simrec.items.adapters.ADAPTERS`.
        settings: Of every fit; adapter and seed are replaced.
        seeds: One fit each.
        say: Told what is being done.
    """
    base = settings or FitSettings()
    rows = [popularity_row(task)]
    for name in ("shuffled", *adapters):
        found: list[NDArray[np.int64]] = []
        kept: dict[str, list[float]] = {m: [] for m in states}
        for seed in seeds:
            say(f"{name}, seed {seed}")
            given, there = states, present
            if name == "shuffled":
                order = generator(seed, "shuffled items").permutation(len(present))
                given, there = {m: v[order] for m, v in states.items()}, present[order]
            adapter = adapters[0] if name == "shuffled" else name
            fitted = fit_items(given, there, task, replace(base, adapter=adapter, seed=seed))
            found.append(places_of(fitted, given, there, task.test_history, task.test_target))
            if name != "shuffled" and len(states) > 1:
                for modality, share in retention(fitted, given, there, task).items():
                    kept[modality].append(share)
        means = {m: float(np.mean(shares)) for m, shares in kept.items() if shares}
        rows.append(replace(_row(name, found, _cold(task)), retained=means))
    return rows
