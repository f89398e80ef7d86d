"""What one core can do at most: fetching rows at random, and copying; to judge the step against."""

# numba reads the types off the arguments
# mypy: disable-error-code="no-untyped-def,no-untyped-call"

import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from simrec.envs.blocks import dot, fetch
from simrec.envs.kernel_layout import AHEAD, CHUNK, part
from simrec.envs.kernel_parts import exp, luck_of

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


@part
def _bare(rows, tastes, keys, slates, clock, weights, history, feedback, reward, done):
    """Answer slates (B, k) with nothing but a choice, and write the newest of the observation."""
    batch, k = slates.shape
    base, own, row_bytes, length = rows.ctypes.data, tastes.ctypes.data, rows.strides[0], 2 * k
    for chunk in range(0, batch, CHUNK):
        n = min(CHUNK, batch - chunk)
        for b in range(chunk, chunk + n):
            if b + 1 + AHEAD // k < batch:
                for j in range(k):
                    for line in range(0, row_bytes, 64):
                        fetch(base + slates[b + 1 + AHEAD // k, j] * row_bytes + line)
            for j in range(k):
                row = base + slates[b, j] * row_bytes
                weights[(b - chunk) * k + j] = dot(row, own + b * row_bytes, row_bytes // 64)
        for x in range(n * k):
            weights[x] = exp(weights[x])
        for b in range(chunk, chunk + n):
            total, below, clicks = 1.0, 0.0, 0.0
            for j in range(k):
                total += weights[(b - chunk) * k + j]
            target = luck_of(keys[b], clock, 0) * total
            for j in range(k):
                weight = weights[(b - chunk) * k + j]
                clicked = 1.0 if (below <= target) & (target < below + weight) else 0.0
                below += weight
                clicks += clicked
                history[b, length - k + j] = slates[b, j]
                feedback[b, length - k + j] = clicked
            reward[b] = clicks
            done[b] = target < 0.0


class Bare:
    """A step with all left out that is not needed to answer slates and to show what was clicked.

    No restarts, no record of what was seen, no boredom, no Python: what no environment over the
    same table can undercut by much. It stands beside the goals.

    Args:
        rows: (I, W) the item table, W a multiple of 16, aligned as the step has it.
        slates: (n, B, k) item rows, stepped through in turn.
    """

    def __init__(self, rows: NDArray[np.float32], slates: NDArray[np.int64]) -> None:
        from simrec.envs.state import aligned

        _, batch, k = slates.shape
        self._turn, self._slates, self._rows = 0, slates, rows
        self._tastes = aligned(batch, rows.shape[1])
        self._keys = np.arange(batch, dtype=np.uint64)
        self._out = (
            np.zeros(CHUNK * k),
            np.zeros((batch, 2 * k), dtype=np.int64),
            np.zeros((batch, 2 * k), dtype=np.float32),
            np.zeros(batch),
            np.zeros(batch, dtype=np.bool_),
        )

    def step(self) -> None:
        """Answer the next slates."""
        self._turn = (self._turn + 1) % len(self._slates)
        slates = self._slates[self._turn]
        _bare(self._rows, self._tastes, self._keys, slates, self._turn, *self._out)


class Gather:
    """Fetching random rows and nothing else: what the rows of a slate cost at least.

    A table that does not fit into the caches is not helped by them: a place comes again only after
    a million others.

    Args:
        rows: (I, W) the item table, W a multiple of 16, aligned as the step has it.
    """

    def __init__(self, rows: NDArray[np.float32]) -> None:
        self._rows, self._turn = rows, 0
        self._query = np.ones(rows.shape[1], dtype=np.float32)
        self._places = np.random.default_rng(0).integers(len(rows), size=(16, 65_536))
        self.size = self._places.shape[1]  # rows in a call

    def step(self) -> None:
        """Fetch the next rows."""
        self._turn = (self._turn + 1) % len(self._places)
        _gather(self._rows, self._rows.strides[0], self._places[self._turn], self._query)


def seconds(call: Callable[[], object], *, rounds: int) -> float:
    """Return the CPU seconds of the best of some calls, after one that does not count."""
    call()
    taken = []
    for _ in range(rounds):
        begun = time.process_time()
        call()
        taken.append(time.process_time() - begun)
    return min(taken)


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
        row_seconds: Of one row of the item table, as `Gather` fetches it.
        state_bytes: Bytes of one user's state and observation read or written in a step.
        rate: From `copy_rate`.
    """
    return slate_size * row_seconds + state_bytes / rate + LUCK
