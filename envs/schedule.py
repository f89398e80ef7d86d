"""What changes on a date, for everybody: tastes that shift, items that appear and expire.

A date is a number of env steps since the seed was set: 0 is the first step of every slot.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simrec.errors import SimrecError

FOREVER = 2**62  # the date on which an item without an end expires


@dataclass(frozen=True)
class Shift:
    """From a date on, items of some topics gain (or lose) logits.

    Raises:
        SimrecError: The date is negative, or there is no topic.
    """

    date: int  # first step under the shift
    size: float  # logits gained by an item wholly of these topics; negative = lost
    topics: tuple[int, ...]  # columns of the world's topics
    until: int = FOREVER  # first step after the shift

    def __post_init__(self) -> None:
        """Check the date and the topics."""
        if self.date < 0 or self.until <= self.date:
            raise SimrecError(
                f"a shift is from {self.date} until {self.until}; expected 0 or later, and a later "
                "end"
            )
        if not self.topics:
            raise SimrecError("a shift names no topics; expected at least one topic column")


@dataclass(frozen=True)
class Lifetimes:
    """When each item can be recommended: from `appears` to the step before `expires`.

    An item outside its time is ignored by users and struck from the masks.
    """

    appears: NDArray[np.int64]  # (I,) first date
    expires: NDArray[np.int64]  # (I,) first date after; FOREVER = never

    def there(self, items: NDArray[np.int64], date: int) -> NDArray[np.bool_]:
        """Return True where an item of any shape of row numbers can be recommended on a date."""
        return np.asarray((self.appears[items] <= date) & (date < self.expires[items]))


@dataclass(frozen=True)
class Schedule:
    """All that changes on a date; empty by default."""

    shifts: tuple[Shift, ...] = ()
    lifetimes: Lifetimes | None = None

    def __bool__(self) -> bool:
        """Return True if anything is scheduled."""
        return bool(self.shifts) or self.lifetimes is not None

    def later(self, date: int) -> "Schedule":
        """Return the same schedule for somebody who begins to count on a date of this one."""
        shifts = tuple(
            replace(
                shift,
                date=max(shift.date - date, 0),
                until=shift.until - date if shift.until < FOREVER else FOREVER,
            )
            for shift in self.shifts
            if shift.until > date
        )
        lives = self.lifetimes
        if lives is not None:
            ends = np.where(lives.expires < FOREVER, lives.expires - date, FOREVER)
            lives = Lifetimes(lives.appears - date, ends)
        return Schedule(shifts, lives)

    def check(self, n_items: int, n_topics: int) -> None:
        """Raise SimrecError where the schedule does not fit a world of this size."""
        for shift in self.shifts:
            for topic in shift.topics:
                if not 0 <= topic < n_topics:
                    raise SimrecError(
                        f"a shift names topic {topic}; expected a column from 0 to {n_topics - 1}"
                    )
        if self.lifetimes is not None:
            for name in ("appears", "expires"):
                shape = getattr(self.lifetimes, name).shape
                if shape != (n_items,):
                    raise SimrecError(
                        f"lifetimes.{name} has shape {shape}; expected ({n_items},), one an item"
                    )

    def tilt(self, date: int, n_topics: int) -> NDArray[np.float32]:
        """Return the logits (G,) that an item of each topic gains on a date."""
        total = np.zeros(n_topics, dtype=np.float32)
        for shift in self.shifts:
            if shift.date <= date < shift.until:
                total[list(shift.topics)] += shift.size
        return total

    def described(self) -> dict[str, Any]:
        """Return the schedule as plain values, for fingerprints."""
        lives = self.lifetimes
        return {
            "shifts": [[s.date, s.size, *s.topics, s.until] for s in self.shifts],
            "appears": [] if lives is None else lives.appears.tolist(),
            "expires": [] if lives is None else lives.expires.tolist(),
        }
