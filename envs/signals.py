"""What a click was worth: watch ratio, like and skip, all from one latent response; and rewards.

A user's response to an item is y = z + noise, where z is the utility and the noise is logistic, so
that a click is y > 0 and P(click) = sigmoid(z). Everything else is read off the same y.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LIKE_FROM = 0.75  # watch ratio from which a clicked item is liked
SKIP_BELOW = 0.25  # watch ratio below which a clicked item was skipped after all


@dataclass(frozen=True)
class Signals:
    """The feedback of one step; all zero where nothing was clicked."""

    click: NDArray[np.float32]  # (B, k) 1 clicked, 0 not
    watch: NDArray[np.float32]  # (B, k) share of the item watched, 0 to 1
    like: NDArray[np.float32]  # (B, k) 1 watched from LIKE_FROM on
    skip: NDArray[np.float32]  # (B, k) 1 clicked, but watched less than SKIP_BELOW


def watch_ratio(utility: NDArray[np.float64], within: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the share of a clicked item that is watched, tanh(y / 2) of the response y > 0.

    Given a click, v = within * sigmoid(z) is uniform below sigmoid(z) and y = z - logit(v). Then
    P(watch >= w and click) = sigmoid(z - 2 artanh(w)).

    Args:
        utility: z of any shape.
        within: How narrow the click was, of the same shape, uniform in [0, 1).
    """
    z = np.clip(utility, -30.0, 30.0)
    p = 1.0 / (1.0 + np.exp(-z))
    v = np.clip(within * p, 1e-300, 1.0)
    # tanh(y / 2) = (e^y - 1) / (e^y + 1) with e^y = e^z (1 - v) / v
    gain = np.exp(z) * (1.0 - v)
    return np.asarray(np.clip((gain - v) / (gain + v), 0.0, 1.0))


def read_signals(
    utility: NDArray[np.float64], clicked: NDArray[np.bool_], within: NDArray[np.float64]
) -> Signals:
    """Return the signals of slates, all arguments (B, k)."""
    watch = np.where(clicked, watch_ratio(utility, within), 0.0)
    return Signals(
        clicked.astype(np.float32),
        watch.astype(np.float32),
        (watch >= LIKE_FROM).astype(np.float32),
        (clicked & (watch < SKIP_BELOW)).astype(np.float32),
    )


def more_signals(watch: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
    """Return watch, like and skip by name, each of the shape of the watch ratios; 0 = no click."""
    return {
        "watch": watch,
        "like": (watch >= LIKE_FROM).astype(np.float32),
        "skip": ((watch > 0) & (watch < SKIP_BELOW)).astype(np.float32),
    }


Reward = Callable[[Signals, NDArray[np.bool_], float], NDArray[np.float64]]


def _sum(values: NDArray[np.float32]) -> NDArray[np.float64]:
    return np.asarray(values.sum(axis=1, dtype=np.float64))


#: Rewards by the name that Rules.reward gives: of the signals (B, k), who left (B,) and an item's
#: length in minutes. clicks: 0 to k. minutes: 0 to k * length. likes: 0 to k. depth: 1 if the user
#: stays, else 0, so that a session's return is the number of steps after which the user stayed.
REWARDS: dict[str, Reward] = {
    "clicks": lambda signals, left, minutes: _sum(signals.click),
    "minutes": lambda signals, left, minutes: minutes * _sum(signals.watch),
    "likes": lambda signals, left, minutes: _sum(signals.like),
    "depth": lambda signals, left, minutes: (~left).astype(np.float64),
}
