"""Whether a user comes back after a session, and after how many days.

A user with r clicks in a session comes back the next day with probability
p = sigmoid(base + gain * r), and so on each day after (a geometric number of days); one who has not
come within `days` days is lost, and a new user takes the slot.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from simrec.errors import SimrecError


@dataclass(frozen=True)
class Retention:
    """When users come back.

    Raises:
        SimrecError: The number of days is not positive.
    """

    base: float = -2.0  # logit of coming back on a day after a session without a click
    gain: float = 0.3  # logits for each click of the session
    days: int = 30  # days after which a user who has not come is lost

    def __post_init__(self) -> None:
        """Check the number of days."""
        if self.days < 1:
            raise SimrecError(f"retention.days is {self.days}; expected 1 or more")

    def daily(self, clicks: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the probability (n,) of coming back on a day, by the clicks (n,) of a session."""
        return np.asarray(expit(self.base + self.gain * clicks))

    def days_away(
        self, clicks: NDArray[np.float64], luck: NDArray[np.float64]
    ) -> NDArray[np.int64]:
        """Return the days (n,) until users come back, 1 to `days`, or 0 for the lost.

        P(d days) = p (1 - p)^(d - 1), by inverse cumulative probability.

        Args:
            clicks: (n,) clicks of the sessions that ended.
            luck: (n,) uniform in [0, 1).
        """
        p = np.clip(self.daily(clicks), 1e-12, 1.0 - 1e-12)
        away = 1 + np.floor(np.log1p(-luck) / np.log1p(-p)).astype(np.int64)
        return np.where(away <= self.days, away, 0)

    def share_kept(self, clicks: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the probability (n,) of coming back at all: 1 - (1 - p)^days."""
        return np.asarray(1.0 - (1.0 - self.daily(clicks)) ** self.days)
