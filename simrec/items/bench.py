"""`simrec bench items`: what item vectors cost here, as TPME with the raw numbers beside it."""

import time
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from typing import Any

import numpy as np

from simrec.items.cost import cost_rows, costs_of, measured_costs
from simrec.items.efficiency import ROUTES, StepSize, step_cost, train_route
from simrec.items.fit_settings import FitSettings
from simrec.items.next_item import States
from simrec.items.sequences import Questions, Task
from simrec.items.tpme import ALPHA, tpme
from simrec.randomness import generator

ADAPTERS = ("linear", "mlp_concat", "iisan", "crossan")
CLAIM = (
    "IISAN's authors report 47 GB -> 3 GB of GPU memory and 443 s -> 22 s an epoch against full "
    "fine-tuning (arXiv 2404.02059, abstract); nothing here measures that"
)


def random_task(
    n_items: int, users: int, kept: int, width: int, *, seed: int = 0
) -> tuple[States, np.ndarray[Any, np.dtype[np.bool_]], Task]:
    """Return states of two modalities and sequences at random: costs depend on sizes alone."""
    rng = generator(seed, "bench items")
    states = {
        m: rng.standard_normal((n_items, kept, width), dtype=np.float32) for m in ("text", "image")
    }
    items = rng.integers(n_items, size=(users, 11))
    counts = np.bincount(items.ravel(), minlength=n_items)
    some = min(users, 64)
    past = items[:some, :-1]
    asked = Questions(np.arange(some), past, past, items[:some, -1])
    pairs = np.stack([np.repeat(np.arange(users), items.shape[1]), items.ravel()], axis=1)
    task = Task(items, counts, pairs, asked, asked)
    return states, np.ones((n_items, 2), dtype=np.bool_), task


def _step(route: str, size: StepSize) -> dict[str, Any]:
    """Return a step's cost in seconds of the processor: other work on the machine is not in it."""
    return asdict(step_cost(route, size, clock=time.process_time))


def bench_items(*, quick: bool = False, say: Callable[[str], None] = lambda line: None) -> Any:
    """Measure adapters and routes.

    Args:
        quick: Small sizes.
        say: Told what is being done.

    Returns:
        "adapters" and "routes": method -> TPME, seconds of an epoch, trainable weights, bytes of
        memory growth in a child process. "depth": step costs by route and the encoder's depth.
        "kept": of the cached route by layers kept, with bytes stored for an item. "alpha": TPME's
        weights. "papers": a figure of others that is not ours.
    """
    n_items, users, width = (300, 150, 64) if quick else (4_000, 1_000, 256)
    size = StepSize() if quick else StepSize(items=512, tokens=32, width=256, depth=6, kept=3)
    depths, kept = ((2, 4, 8), (1, 2, 4)) if quick else ((3, 6, 12), (1, 2, 4, 7))
    states, present, task = random_task(n_items, users, 3 if quick else 7, width)
    say(f"training {', '.join(ADAPTERS)}, each in a process of its own")
    methods = {name: FitSettings(adapter=name, epochs=1 if quick else 2) for name in ADAPTERS}
    adapters = measured_costs(states, present, task, methods)
    say("training with the encoder cached, frozen and tuned, each in a process of its own")
    steps = 5 if quick else 10
    routes = costs_of({r: partial(train_route, r, size, steps) for r in ROUTES})
    say("one step by depth and by layers kept")
    by_depth = [
        {"route": r, "depth": d, **_step(r, replace(size, depth=d, kept=min(depths)))}
        for r in ROUTES
        for d in depths
    ]
    most = replace(size, depth=max(depths))
    by_kept = [
        {
            "kept": k,
            "stored_bytes_an_item": 2 * k * size.width,
            **_step("cached", replace(most, kept=k)),
        }
        for k in kept
    ]
    return {
        "adapters": cost_rows(adapters, tpme(adapters)),
        "routes": cost_rows(routes, tpme(routes)),
        "depth": by_depth,
        "kept": by_kept,
        "alpha": list(ALPHA),
        "papers": CLAIM,
    }
