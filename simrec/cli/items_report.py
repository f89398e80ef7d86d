"""What `simrec items report` says while it trains, and what it prints."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from simrec.items.adapters import ADAPTERS, GRAPH_ADAPTERS
from simrec.items.benchmark import Row, compare_adapters, models_of
from simrec.items.cost import measured_costs
from simrec.items.fit_settings import FitSettings
from simrec.items.gates import gates
from simrec.items.judged import cold_targets
from simrec.items.next_item import States
from simrec.items.sequences import Task
from simrec.items.tpme import tpme
from simrec.progress import bars
from simrec.statistics import t_interval


def compared(
    states: States,
    present: NDArray[np.bool_],
    task: Task,
    names: Sequence[str],
    settings: FitSettings,
    seeds: Sequence[int],
    folder: Path,
) -> None:
    """Train what is missing in the folder, then print sizes, rows and gates."""
    models = models_of(names, several=len(states) > 1)
    total = len(models) * len(seeds)
    console = Console(stderr=True)
    with bars(console) as shown:
        bar = shown.add("trainings", total)
        began, counts = time.monotonic(), {True: 0, False: 0}

        def done(result: Mapping[str, Any], fresh: bool) -> None:
            counts[fresh] += 1
            shown.advance(bar)
            if fresh and not console.is_terminal:
                each = (time.monotonic() - began) / counts[True]
                left = each * (total - sum(counts.values())) / 60
                console.print(
                    f"{result['model']}, seed {result['seed']}: HR@10 {result['hits']:.4f}, epoch "
                    f"{result['epoch'] + 1} of {len(result['curve'])}, {result['seconds']:.0f} s "
                    f"of processor; {sum(counts.values())} of {total}, {left:.0f} min left",
                    soft_wrap=True,
                )

        rows = compare_adapters(
            states, present, task, models, settings=settings, seeds=seeds, folder=folder, done=done
        )
    _print_sizes(states, task, settings, seeds)
    _print_rows(rows, list(states))
    for gate in gates(rows):
        typer.echo(f"{'passed' if gate.passed else 'MISSED'}: {gate.what} ({gate.figures})")


def _print_sizes(states: States, task: Task, settings: FitSettings, seeds: Sequence[int]) -> None:
    layers = ", ".join(f"{m} {v.shape[1]}x{v.shape[2]}" for m, v in states.items())
    steps = settings.steps or -(-len(task.train) // settings.batch)
    typer.echo(
        f"{len(task.counts):,} items, {len(task.train):,} windows to learn from, "
        f"{len(task.test.target):,} questions ({int(cold_targets(task).sum()):,} cold), "
        f"states {layers}; at most {settings.epochs} x {steps} batches of {settings.batch}, "
        f"learning rate {settings.learning_rate:g}, seeds {seeds[0]} to {seeds[-1]}"
    )


def _print_rows(rows: Sequence[Row], modalities: Sequence[str]) -> None:
    """Print hits, then what is left without each modality, then whose ideas they are."""
    hits = Table("method", "HR@10", "NDCG@10", "cold HR@10", "weights", "s", box=None)
    for row in rows:
        digits = slice(1) if row.name == "popularity" else slice(None)  # it knows no seeds
        cells = [" ".join(found.texts(4)[digits]) for found in (row.hits, row.gain, row.cold)]
        hits.add_row(row.name, *cells, f"{row.parameters:,}", f"{row.seconds:.0f}")
    left = Table("share of HR@10 kept", *(f"without {m}" for m in modalities), box=None)
    for row in rows:
        if row.retained:
            kept = [t_interval(row.retained[m]) for m in modalities]
            left.add_row(row.name, *(" ".join(found.texts(2)) for found in kept))
    console = Console(width=None if Console().is_terminal else 200)
    console.print(hits)
    if left.row_count:
        console.print(left)
    known = {**ADAPTERS, **GRAPH_ADAPTERS}
    papers: dict[str, list[str]] = {}
    for name in (row.name for row in rows if row.name in known):
        papers.setdefault(f"{known[name].paper}; {known[name].evidence}", []).append(name)
    for paper, names in papers.items():
        typer.echo(f"{', '.join(names)}: {paper}")


def print_costs(
    states: States, present: NDArray[np.bool_], task: Task, names: Sequence[str]
) -> None:
    """Train each adapter in a process of its own and print what it took, with TPME."""
    base = FitSettings(epochs=2)
    found = measured_costs(states, present, task, {n: replace(base, adapter=n) for n in names})
    scores = tpme(found)
    for name, cost in found.items():
        typer.echo(
            f"{name}: {cost.seconds:.2f} s an epoch, {cost.parameters:,} weights, "
            f"{cost.bytes / 2**20:.0f} MiB more memory, TPME {scores[name]:.3f}"
        )
    if len(found) < 3:
        typer.echo("TPME of fewer than three methods is only a sum of its weights")
