"""Counter-based luck: a number depends only on its address, never on what was drawn before.

The same user meets the same luck under every strategy (common random numbers), and results do not
depend on batch size, threads or the order of work. The mixer is splitmix64's finaliser (Steele,
Lea and Flood, OOPSLA 2014; read), applied once for each part of the address.
"""

from enum import IntEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX2 = np.uint64(0x94D049BB133111EB)


class Purpose(IntEnum):
    """What a draw is for; each purpose has a stream of its own."""

    USER = 1  # which user arrives
    CHOICE = 2  # what the user does with a slate
    POLICY = 3  # what a sampling baseline shows
    RETURN = 4  # when the user comes back after a session


def _mix(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    x = (x ^ (x >> np.uint64(30))) * _MIX1
    x = (x ^ (x >> np.uint64(27))) * _MIX2
    return x ^ (x >> np.uint64(31))


def uniform(
    seed: ArrayLike, slot: ArrayLike, episode: ArrayLike, t: ArrayLike, purpose: int
) -> NDArray[np.float64]:
    """Return uniform numbers in [0, 1) at the given addresses, broadcast together.

    Args:
        seed: The run's luck, any integers.
        slot: Parallel user slot.
        episode: Episode counter of the slot.
        t: Step within the episode (add further dimensions for several draws a step).
        purpose: A member of Purpose.

    Returns:
        float64 with 53 random bits, of the broadcast shape.
    """
    with np.errstate(over="ignore"):
        x = np.zeros((), dtype=np.uint64)
        for part in (seed, slot, episode, t, purpose):
            word = np.asarray(part).astype(np.int64).astype(np.uint64)
            x = _mix((x + _GOLDEN) ^ _mix(word + _GOLDEN))
    return (x >> np.uint64(11)).astype(np.float64) * 2.0**-53


def generator(seed: int, *purpose: str | int) -> np.random.Generator:
    """Return a NumPy generator for one named use of a seed; other uses get independent streams."""
    words = [seed & 0xFFFFFFFF, seed >> 32 & 0xFFFFFFFF]
    for part in purpose:
        words.extend(str(part).encode())
        words.append(0x10000)  # frames the parts, so that ("ab", "c") differs from ("a", "bc")
    return np.random.default_rng(np.random.SeedSequence(words))
