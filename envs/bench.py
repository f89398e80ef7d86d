"""How fast the environments are, beside CartPole and the limits of the machine, in one run.

Everything takes turns, round after round, on one thread; figures are user-steps a CPU second, so
that other work on the machine disturbs them less, and ratios are between the best rounds, which it
disturbs least. Compare ratios, not figures of different days.
"""

import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from simrec.envs.bench_report import goals
from simrec.envs.rules import Rules
from simrec.envs.single import RecommendEnv
from simrec.envs.users import FactorUsers
from simrec.envs.vector import RecommendVectorEnv
from simrec.envs.world import World
from simrec.progress import Bars

WIDTH, TOPICS, USERS, HISTORY = 64, 16, 2000, 10
BATCHES, SLATES, ITEMS = (1, 64, 1024, 16384), (1, 10), (1000, 100_000, 1_000_000)
FAR = ((16384, 10, 100_000), (16384, 10, 1_000_000))  # B, k, I: against the gather limit
OPTIONS: dict[str, dict[str, Any]] = {
    "cascade": {"choice": "cascade"},
    "position": {"choice": "position"},
    "dependent": {"choice": "dependent"},
    "drift": {"drift": 0.1},
    "satiation": {"satiation": 0.5},
    "novelty": {"novelty": 0.5},
    "minutes": {"reward": "minutes"},
    "budget": {"leave": "budget"},
    "boredom": {"leave": "boredom"},
    "signals": {},
}


@dataclass
class Cell:
    """One thing to measure."""

    name: str
    step: Callable[[], object]
    users: int  # user-steps in one call
    taken: list[float]  # CPU seconds of a user-step, one figure a round


def bench_world(n_items: int, rules: Rules | None = None, seed: int = 0) -> World:
    """Return a world of random tastes: 64 numbers an item, 16 topics, histories of 10."""
    rng = np.random.default_rng(seed)

    def normal(*shape: int) -> NDArray[np.float32]:
        return rng.standard_normal(shape, dtype=np.float32) * np.float32(0.3)

    users = FactorUsers(
        -1.0,
        1.0,
        normal(USERS),
        normal(n_items),
        normal(USERS, WIDTH),
        normal(n_items, WIDTH),
    )
    topics = np.eye(TOPICS, dtype=np.float32)[rng.integers(TOPICS, size=n_items)]
    start = rng.integers(n_items, size=(USERS, HISTORY))
    arrivals = np.arange(USERS, dtype=np.int64)
    empty = np.zeros(start.shape, dtype=np.float32)
    return World("bench", users, topics, start, empty, arrivals, rules or Rules())


def _vector_cell(name: str, env: Any, actions: NDArray[np.int64]) -> Cell:
    """Return a cell that steps a vector environment through actions (n, B[, k]) in turn."""
    env.reset(seed=0)
    turn = 0

    def step() -> None:
        nonlocal turn
        env.step(actions[turn])
        turn = (turn + 1) % len(actions)

    return Cell(name, step, env.num_envs, [])


def _single_cell(name: str, env: Any, actions: list[Any]) -> Cell:
    """Return a cell that steps one environment, resets included."""
    env.reset(seed=0)
    turn = 0

    def step() -> None:
        nonlocal turn
        _, _, terminated, truncated, _ = env.step(actions[turn])
        turn = (turn + 1) % len(actions)
        if terminated or truncated:
            env.reset()

    return Cell(name, step, 1, [])


def _ours(world: World, batch: int, k: int, *, signals: bool = False, name: str = "") -> Cell:
    """Return a cell for our vector environment with random actions drawn before."""
    sets = max(24, min(64, 2_000_000 // (batch * k)))  # no session gets a slate of its own again
    shape = (sets, batch) if k == 1 else (sets, batch, k)
    actions = np.random.default_rng(1).integers(world.n_items, size=shape)
    env = RecommendVectorEnv(world, batch, slate_size=k, signals=signals)
    return _vector_cell(name or f"B={batch} k={k} I={world.n_items}", env, actions)


def _round(cell: Cell, seconds: float) -> None:
    """Add one figure: as many calls as fit into the CPU seconds given, at least one."""
    calls = 0
    begun = time.process_time()
    while True:
        cell.step()
        calls += 1
        spent = time.process_time() - begun
        if spent >= seconds:
            break
    cell.taken.append(spent / (calls * cell.users))


def bench_env(
    *,
    batches: tuple[int, ...] = BATCHES,
    slates: tuple[int, ...] = SLATES,
    items: tuple[int, ...] = ITEMS,
    options: bool = True,
    rounds: int = 7,
    seconds: float = 0.2,
    bars: Bars | None = None,
) -> dict[str, Any]:
    """Measure our environments, CartPole and the machine's limits in one interleaved run.

    Args:
        batches: Parallel users B.
        slates: Items shown in a step, k.
        items: Catalogue sizes I.
        options: Also measure what each option of the rules costs, at B = 1024.
        rounds: Times each cell is measured.
        seconds: CPU seconds of each measurement.
        bars: Where to show progress.

    Returns:
        Plain values: `machine`, `cells` (user-steps a CPU second: median, lowest, highest),
        `options` (cost of a step relative to the default), `limits`, `memory_mb` and `goals`.
    """
    from simrec.envs.compiled import pack
    from simrec.envs.limits import Bare, Gather, copy_rate, floor_seconds

    rng = np.random.default_rng(2)
    cells = [
        _vector_cell(
            f"CartPole B={batch}",
            gymnasium.make_vec("CartPole-v1", num_envs=batch),
            rng.integers(2, size=(64, batch)),
        )
        for batch in batches
    ]
    cells.append(
        _single_cell(
            "CartPole single", gymnasium.make("CartPole-v1"), list(rng.integers(2, size=999))
        )
    )
    worlds = {size: bench_world(size) for size in items}
    small = worlds[min(items)]

    def single(**_: Any) -> RecommendEnv:
        return RecommendEnv(small)

    gymnasium.register("simrec-bench/Single-v0", single)
    actions = list(rng.integers(small.n_items, size=999))
    cells.append(_single_cell("single", gymnasium.make("simrec-bench/Single-v0"), actions))
    del gymnasium.registry["simrec-bench/Single-v0"]
    cells += [_ours(worlds[i], b, k) for i in items for k in slates for b in batches]
    batch = 1024 if 1024 in batches else batches[-1]
    if options:
        for k in slates:
            for name, rules in OPTIONS.items():
                world = bench_world(small.n_items, Rules(**rules))
                label = f"{name} k={k}"
                cells.append(_ours(world, batch, k, signals=name == "signals", name=label))
    bounds = [(batch, k, small) for k in slates]
    bounds += [(b, k, worlds[i]) for b, k, i in FAR if b in batches and k in slates and i in items]
    for b, k, world in bounds:
        drawn = np.random.default_rng(1).integers(world.n_items, size=(16, b, k))
        bare = Bare(pack(world).rows, drawn)
        cells.append(Cell(f"bare loop B={b} k={k} I={world.n_items}", bare.step, b, []))
    gathers = {size: Gather(pack(world).rows) for size, world in worlds.items()}
    rows = {size: Cell(f"rows I={size}", it.step, it.size, []) for size, it in gathers.items()}
    cells += rows.values()
    task = None if bars is None else bars.add("compile", len(cells))
    for cell in cells:
        cell.step()
        if bars is not None and task is not None:
            bars.advance(task)
    task = None if bars is None else bars.add("measure", rounds * len(cells))
    limits: dict[str, Any] = {}
    for _ in range(rounds):
        for cell in cells:
            _round(cell, seconds)
            if bars is not None and task is not None:
                bars.advance(task)
    for size in items:
        row = min(rows[size].taken)
        for k in slates:
            for b in batches:
                state = _state_bytes(k)
                floor = floor_seconds(k, row, state, copy_rate(int(state * b)))
                limits[f"B={b} k={k} I={size}"] = 1.0 / floor
    figures = {
        cell.name: {
            "median": 1.0 / float(np.median(cell.taken)),
            "lowest": 1.0 / max(cell.taken),
            "highest": 1.0 / min(cell.taken),
        }
        for cell in cells
    }
    costs = {
        f"{name} k={k}": figures[f"B={batch} k={k} I={small.n_items}"]["highest"]
        / figures[f"{name} k={k}"]["highest"]
        for k in slates
        for name in (OPTIONS if options else ())
    }
    result = {
        "machine": {
            "processor": platform.processor() or platform.machine(),
            "cores": os.cpu_count(),
            "load": list(os.getloadavg()),
            "python": platform.python_version(),
            "numpy": np.__version__,
            "gymnasium": gymnasium.__version__,
        },
        "cells": figures,
        "limits": limits,
        "options": costs,
        "memory_mb": {
            f"item table I={size}": (pack(world).nbytes + world.users.item_vectors.nbytes) / 1e6
            for size, world in worlds.items()
            if isinstance(world.users, FactorUsers)
        }
        | {
            f"sessions B={b} k={k}": RecommendVectorEnv(small, b, slate_size=k).nbytes / 1e6
            for k in slates
            for b in batches
        },
    }
    return result | {"goals": goals(result)}


def _state_bytes(k: int) -> float:
    """Return the bytes of one user's state and observation that a step reads or writes at least."""
    topics = 4 * TOPICS
    lately = 2 * topics + (8 * k if k < Rules().window else 0)  # and the kinds that come and go
    shown = k * (8 + 4) + 2 * k * (8 + 4)  # the slate, the record, two steps of observation
    counted = 2 * 4 * 8 + 8  # step, streak, clicks and reward so far; the luck
    return 4 * WIDTH + lately + shown + counted + 23  # tastes; the outputs and the user's effect
