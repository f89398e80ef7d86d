"""What a specification plans, in words that fit a file: shifts, churn and creators."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simrec.catalogue import Catalogue
from simrec.envs.creators import Creators
from simrec.envs.schedule import FOREVER, Lifetimes, Schedule, Shift
from simrec.errors import SimrecError, nearest
from simrec.randomness import generator


@dataclass(frozen=True)
class PlannedShift:
    """A Shift whose topics may be called by their names."""

    date: int  # first step under the shift
    size: float  # logits gained by an item wholly of these topics; negative = lost
    topics: tuple[str | int, ...]  # values of the topics attribute, or columns of the topics
    until: int = FOREVER  # first step after the shift

    def shift(self, names: Sequence[str]) -> Shift:
        """Return the shift with columns in place of names.

        Args:
            names: (G,) of the topics; empty where topics are clusters, which have none.

        Raises:
            SimrecError: A topic is not among the names.
        """
        return Shift(
            self.date, self.size, tuple(_column(t, names) for t in self.topics), self.until
        )


def _column(topic: str | int, names: Sequence[str]) -> int:
    if isinstance(topic, int):
        return topic
    if topic not in names:
        hint = nearest(topic, names) if names else "clusters have numbers only, counted from 0"
        raise SimrecError(f"a shift names the topic '{topic}', which the world has not; {hint}")
    return list(names).index(topic)


@dataclass(frozen=True)
class Churn:
    """A share of the items comes late and goes again; the others are always there.

    Raises:
        SimrecError: A number is out of its range.
    """

    share: float = 0.2  # of the items, drawn at random; below 1
    last: int = 1000  # those appear on dates spread evenly from 0 to the step before this
    lifetime: int = FOREVER  # steps from appearing to expiring

    def __post_init__(self) -> None:
        """Check the ranges."""
        if not 0.0 <= self.share < 1.0:
            raise SimrecError(f"churn.share is {self.share}; expected 0 or more and below 1")
        for name in ("last", "lifetime"):
            if getattr(self, name) < 1:
                raise SimrecError(f"churn.{name} is {getattr(self, name)}; expected 1 or more")

    def lifetimes(self, n_items: int, seed: int) -> Lifetimes:
        """Return when each of n_items can be recommended; the same for the same seed."""
        n = round(self.share * n_items)
        changing = generator(seed, "churn").permutation(n_items)[: min(n, n_items - 1)]
        appears: NDArray[np.int64] = np.zeros(n_items, dtype=np.int64)
        expires: NDArray[np.int64] = np.full(n_items, FOREVER, dtype=np.int64)
        appears[changing] = np.arange(len(changing)) * self.last // max(len(changing), 1)
        expires[changing] = np.minimum(appears[changing] + self.lifetime, FOREVER)
        return Lifetimes(appears, expires)


@dataclass(frozen=True)
class PlannedCreators:
    """Creators whose items are found by an attribute, or dealt out; see `simrec.envs.creators`.

    Raises:
        SimrecError: A number is out of its range, or both an attribute and a count are given.
    """

    attribute: str | None = None  # whose first value names the creator; None deals items out
    count: int | None = None  # creators where items are dealt out; None = one for ten items
    reserve: float = 0.25  # share of each creator's items that wait, drawn at random; below 1
    period: int = Creators.period  # see Creators for these
    least: float = Creators.least
    more: float = Creators.more
    releases: int = Creators.releases
    clicks: bool = Creators.clicks

    def __post_init__(self) -> None:
        """Check the ranges that Creators does not."""
        if not 0.0 <= self.reserve < 1.0:
            raise SimrecError(f"creators.reserve is {self.reserve}; expected 0 or more and below 1")
        if self.count is not None and self.count < 1:
            raise SimrecError(f"creators.count is {self.count}; expected 1 or more")
        if self.count is not None and self.attribute is not None:
            raise SimrecError(
                f"creators are given by the attribute '{self.attribute}' and by a count of "
                f"{self.count}; expected one of the two"
            )

    def creators(self, catalogue: Catalogue, seed: int) -> Creators:
        """Return the creators of a catalogue; the same for the same seed.

        An item without a value of the attribute has a creator of its own.

        Raises:
            SimrecError: There is no such attribute, or a setting of Creators is out of its range.
        """
        rng, n = generator(seed, "creators"), len(catalogue)
        if self.attribute is None:
            count = self.count or max(n // 10, 1)
            owner = rng.permutation(n) % count
        else:
            member = catalogue.attribute(self.attribute).membership > 0
            owner = np.where(member.any(axis=1), member.argmax(axis=1), -1)
            nobody = np.flatnonzero(owner < 0)
            owner[nobody] = member.shape[1] + np.arange(len(nobody))
            owner = np.unique(owner, return_inverse=True)[1]
        # within each creator, the places by a random order: the first are on offer
        order = np.lexsort((rng.random(n), owner))
        size = np.bincount(owner)
        place = np.empty(n, dtype=np.int64)
        place[order] = np.arange(n) - np.repeat(np.cumsum(size) - size, size)
        listed = place < size[owner] - np.floor(self.reserve * size[owner])
        return Creators(
            owner.astype(np.int64),
            listed,
            self.period,
            self.least,
            self.more,
            self.releases,
            self.clicks,
        )


def make_schedule(
    shifts: Sequence[PlannedShift],
    churn: Churn | None,
    *,
    topics: Sequence[str],
    n_items: int,
    seed: int,
) -> Schedule:
    """Return the schedule of a world.

    Args:
        shifts: What shifts.
        churn: Which items come and go; None: none.
        topics: (G,) names of the world's topics; empty where they are clusters.
        n_items: The number of items I.
        seed: Draws the items that come and go.
    """
    return Schedule(
        tuple(shift.shift(topics) for shift in shifts),
        None if churn is None else churn.lifetimes(n_items, seed),
    )
