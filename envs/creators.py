"""Creators who answer to exposure: the starved leave with their items, the well shown put in more.

Reviewed every `period` env steps. Of the S exposures of the period (recommendations, or clicks)
that went to items of the n creators still there, a creator whose items had e has the share e / S;
the fair share is 1 / n. Below `least` times the fair share the creator leaves and all their items
expire; from `more` times it on, the next `releases` items of their reserve appear. A period without
any exposure changes nothing. That providers stay only while their users' engagement is above a
threshold is the model of Mladenov et al. (ICML 2020; reconstructed); the reserve is ours.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simrec.envs.schedule import FOREVER, Lifetimes
from simrec.errors import SimrecError


@dataclass(frozen=True)
class Creators:
    """Who makes the items, and how they answer.

    Raises:
        SimrecError: A setting is out of its range, or the arrays do not agree.
    """

    owner: NDArray[np.int64]  # (I,) creator of each item, 0..C-1
    listed: NDArray[np.bool_]  # (I,) on offer from the start; the others are reserves, in row order
    period: int = 100  # env steps between reviews
    least: float = 0.25  # shares of the fair exposure below which a creator leaves
    more: float = 1.0  # shares of it from which a creator puts items in
    releases: int = 1  # items put in at a review
    clicks: bool = False  # True counts clicks, False recommendations

    def __post_init__(self) -> None:
        """Check the settings."""
        if self.owner.shape != self.listed.shape or self.owner.ndim != 1:
            raise SimrecError(
                f"creators have owner of shape {self.owner.shape} and listed of shape "
                f"{self.listed.shape}; expected both (I,), one an item"
            )
        if self.period < 1 or self.releases < 0:
            raise SimrecError(
                f"creators have period {self.period} and releases {self.releases}; expected a "
                "period of 1 or more and releases of 0 or more"
            )
        if not 0.0 <= self.least <= 1.0 or self.more < self.least:
            raise SimrecError(
                f"creators have least {self.least} and more {self.more}; expected least from 0 to "
                "1 (somebody always has the fair share) and more not below it"
            )
        if self.owner.min() < 0:
            raise SimrecError(f"creators.owner has {self.owner.min()}; expected 0 or more")
        if not self.listed.any():
            raise SimrecError("creators.listed has no item on offer; expected at least one")

    def described(self) -> dict[str, Any]:
        """Return the settings as plain values, for fingerprints."""
        return {
            name: value.tolist() if isinstance(value, np.ndarray) else value
            for name, value in vars(self).items()
        }


class Supply:
    """What creators offer while a world is played.

    Args:
        creators: Who they are.
        lifetimes: Written in place: when each item can be recommended.
    """

    def __init__(self, creators: Creators, lifetimes: Lifetimes) -> None:
        self.creators = creators
        self.lifetimes = lifetimes
        self._owners = int(creators.owner.max()) + 1
        self._first = lifetimes.appears.copy(), lifetimes.expires.copy()
        self.start()

    def start(self) -> None:
        """Put everything back to how it is at date 0."""
        creators, lives = self.creators, self.lifetimes
        lives.appears[:] = np.where(creators.listed, self._first[0], FOREVER)
        lives.expires[:] = self._first[1]
        self.exposure = np.zeros(self._owners, dtype=np.int64)  # (C,) since the last review
        self.there = np.zeros(self._owners, dtype=np.bool_)  # (C,) has not left
        self.there[creators.owner[creators.listed]] = True

    def shown(self, slates: NDArray[np.int64], clicked: NDArray[np.bool_], date: int) -> None:
        """Count the exposure of a step, and hold the review if it is due.

        Args:
            slates: (B, k) items shown.
            clicked: (B, k) True where clicked.
            date: Steps since the seed was set, this one included.
        """
        counted = clicked if self.creators.clicks else self.lifetimes.there(slates, date - 1)
        owner = self.creators.owner[slates[counted]]
        self.exposure += np.bincount(owner, minlength=self._owners)
        if date % self.creators.period == 0:
            self._review(date)

    def _review(self, date: int) -> None:
        creators, lives = self.creators, self.lifetimes
        total = int(self.exposure[self.there].sum())
        if total:
            fair_shares = self.exposure * (int(self.there.sum()) / total)  # e / S over 1 / n
            leaves = self.there & (fair_shares < creators.least)
            gone = leaves[creators.owner]
            lives.expires[gone] = np.minimum(lives.expires[gone], date)
            self.there &= ~leaves
            for owner in np.flatnonzero(self.there & (fair_shares >= creators.more)):
                reserve = np.flatnonzero((creators.owner == owner) & (lives.appears == FOREVER))
                put_in = reserve[: creators.releases]
                lives.appears[put_in] = np.maximum(self._first[0][put_in], date)
        self.exposure[:] = 0
