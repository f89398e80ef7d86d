"""What one core can do at most: fetching rows at random, and copying; to judge the step against."""

# numba reads the types off the arguments
# mypy: disable-error-code="no-untyped-def,no-untyped-call"

import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from simrec.envs.blocks import dot, fetch
from simrec.envs.kernel_layout import AHEAD, part

LUCK = 0.8e-9  # seconds for a user's random numbers, as measured for the prototype


@part
def _gather(rows, row_bytes, places, query):
    """Return the sum of inner products of rows (n,) with one query, fetched ahead."""
    total = np.float32(0.0)
    base, other = rows.ctypes.data, query.ctypes.data
    for x in range(len(places)):
        if x + AHEAD < len(places):
            for line in range(0, row_bytes, 64):
                fetch(base + places[x + AHEAD] * row_bytes + line)
        total += dot(base + places[x] * row_bytes, other, len(query) // 16)
    return total


def seconds(call: Callable[[], object], *, rounds: int) -> float:
    """Return the CPU seconds of the median of some calls, after one that does not count."""
    call()
    taken = []
    for _ in range(rounds):
        begun = time.process_time()
        call()
        taken.append(time.process_time() - begun)
    return float(np.median(taken))


def gather_seconds(rows: NDArray[np.float32], *, rounds: int = 5) -> float:
    """Return the CPU seconds that one random row of a table (I, W) costs, W a multiple of 16."""
    places = np.random.default_rng(0).integers(len(rows), size=200_000)
    query = np.ones(rows.shape[1], dtype=np.float32)
    return seconds(lambda: _gather(rows, rows.strides[0], places, query), rounds=rounds) / len(
        places
    )


def copy_rate(size: int, *, rounds: int = 5) -> float:
    """Return the bytes a second, read and written, of copying between arrays of `size` bytes."""
    source = np.ones(max(size // 8, 1024))
    target = np.zeros_like(source)
    repeats = max(1, 50_000_000 // source.nbytes)

    def run() -> None:
        for _ in range(repeats):
            np.copyto(target, source)

    return 2 * source.nbytes * repeats / seconds(run, rounds=rounds)


def floor_seconds(slate_size: int, row_seconds: float, state_bytes: float, rate: float) -> float:
    """Return the least CPU seconds of one user-step: rows, state and luck, nothing overlapping.

    Args:
        slate_size: Items shown, k.
        row_seconds: From `gather_seconds`.
        state_bytes: Bytes of one user's state and observation read or written in a step.
        rate: From `copy_rate`.
    """
    return slate_size * row_seconds + state_bytes / rate + LUCK
