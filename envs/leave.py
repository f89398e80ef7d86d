"""When a user gives up: after bad steps in a row, or when the effort is spent."""

import numpy as np
from numpy.typing import NDArray

#: What Rules.leave may name. streak: a step without a click is bad. boredom: a step whose items
#: overlap, on average, by `tolerance` or more with those shown lately is bad. Both leave after
#: `patience` bad steps in a row. budget: a step costs 1 less `refund` times the best watch ratio,
#: and the user leaves when `budget` is spent (as in RecSim's time budget, read in its paper).
LEAVES = ("streak", "boredom", "budget")


def next_streak(streak: NDArray[np.int64], good: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the bad steps in a row (B,), after one more step.

    Args:
        streak: (B,) before the step.
        good: (B,) True where the step was good: the user clicked something, or was not bored.
    """
    return np.where(good, 0, streak + 1)


def has_left(streak: NDArray[np.int64], patience: int) -> NDArray[np.bool_]:
    """Return (B,) True where the streak has used up the patience, counted in steps."""
    return np.asarray(streak >= patience)


def spent(
    effort: NDArray[np.float64], watch: NDArray[np.float32], refund: float
) -> NDArray[np.float64]:
    """Return the effort (B,) spent in a session after one more step.

    Args:
        effort: (B,) before the step.
        watch: (B, k) watch ratios of the step.
        refund: Part of the step's unit that a fully watched item gives back, 0 to 1.
    """
    return np.asarray(effort + 1.0 - refund * watch.max(axis=1).astype(np.float64))
