"""What a user does with a slate: models that turn utilities and luck into clicks.

With one place every model clicks with probability sigmoid(utility), on the same luck.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

EDGE = 1e-12  # affinities are kept this far from 0 and 1, so that every logit is finite


def logit(affinity: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return log(p / (1 - p)) of any shape, finite also for p = 0 and p = 1 (about +-27.6)."""
    p = np.clip(affinity, EDGE, 1.0 - EDGE)
    return np.asarray(np.log(p) - np.log1p(-p))


def click_probabilities(
    utility: NDArray[np.float64], ignored: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Return the multinomial logit's probability of a click on each place of the slate.

    Args:
        utility: Utilities z (B, k); not clicking has utility 0.
        ignored: (B, k) True where the user pays no attention (weight 0).

    Returns:
        (B, k); a row's sum is the probability of any click. With k = 1 it is sigmoid(z).
    """
    weight = np.where(ignored, 0.0, np.exp(utility))
    return np.asarray(weight / (1.0 + weight.sum(axis=1, keepdims=True)))


def clicked_place(
    probabilities: NDArray[np.float64], luck: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Return which place each user clicks, by inverse cumulative probability in slate order.

    Args:
        probabilities: (B, k) from `click_probabilities`.
        luck: (B,) uniform in [0, 1).

    Returns:
        (B,) a place 0..k-1, or k for no click. A place of probability 0 is never returned.
    """
    return np.asarray((luck[:, None] >= np.cumsum(probabilities, axis=1)).sum(axis=1))


class Choice(Protocol):
    """A choice model; utilities, ignored, luck and results are (B, k)."""

    @property
    def each_place(self) -> bool:
        """True if every place needs luck of its own; else only luck[:, 0] is read."""
        ...

    def probabilities(
        self, utility: NDArray[np.float64], ignored: NDArray[np.bool_]
    ) -> NDArray[np.float64]:
        """Return the probability of a click on each place."""
        ...

    def answer(
        self,
        utility: NDArray[np.float64],
        ignored: NDArray[np.bool_],
        luck: NDArray[np.float64],
    ) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
        """Return where users click, and how narrowly: uniform in [0, 1) given a click there."""
        ...


def _appeal(utility: NDArray[np.float64], ignored: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return q (B, k): the probability of a click on a place that is looked at, 0 if ignored."""
    return np.where(ignored, 0.0, expit(utility))


class _OneClick:
    """The answer of models in which at most one place is clicked."""

    each_place = False

    def probabilities(
        self, utility: NDArray[np.float64], ignored: NDArray[np.bool_]
    ) -> NDArray[np.float64]:
        """See Choice."""
        raise NotImplementedError

    def answer(
        self,
        utility: NDArray[np.float64],
        ignored: NDArray[np.bool_],
        luck: NDArray[np.float64],
    ) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
        """See Choice."""
        p = self.probabilities(utility, ignored)
        place = clicked_place(p, luck[:, 0])
        below = np.cumsum(p, axis=1) - p
        within = (luck[:, :1] - below) / np.maximum(p, 1e-300)
        return place[:, None] == np.arange(p.shape[1]), np.clip(within, 0.0, 1.0)


@dataclass(frozen=True)
class Multinomial(_OneClick):
    """At most one click, by a multinomial logit in which doing nothing has utility 0.

    McFadden's conditional choice model (1974; reconstructed): weight exp(z) for each option.
    """

    def probabilities(
        self, utility: NDArray[np.float64], ignored: NDArray[np.bool_]
    ) -> NDArray[np.float64]:
        """Return exp(z_j) / (1 + sum exp(z))."""
        return click_probabilities(utility, ignored)


@dataclass(frozen=True)
class Cascade(_OneClick):
    """From the top down to the first click (Craswell et al., WSDM 2008; reconstructed).

    After an item without a click the user looks at the next with probability `attention`, which
    is 1 in the original.
    """

    attention: float

    def probabilities(
        self, utility: NDArray[np.float64], ignored: NDArray[np.bool_]
    ) -> NDArray[np.float64]:
        """Return attention^j * prod_{i<j}(1 - q_i) * q_j with q = sigmoid(z)."""
        q = _appeal(utility, ignored)
        going = np.cumprod(self.attention * (1.0 - q), axis=1)
        return np.asarray(q * np.concatenate([np.ones_like(q[:, :1]), going[:, :-1]], axis=1))


@dataclass(frozen=True)
class PositionBased:
    """Every place looked at on its own, less the lower (Richardson et al. 2007; reconstructed)."""

    attention: float
    each_place = True

    def probabilities(
        self, utility: NDArray[np.float64], ignored: NDArray[np.bool_]
    ) -> NDArray[np.float64]:
        """Return attention^j * sigmoid(z_j)."""
        q = _appeal(utility, ignored)
        return np.asarray(q * self.attention ** np.arange(q.shape[1]))

    def answer(
        self,
        utility: NDArray[np.float64],
        ignored: NDArray[np.bool_],
        luck: NDArray[np.float64],
    ) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
        """See Choice."""
        p = self.probabilities(utility, ignored)
        return luck < p, np.minimum(luck / np.maximum(p, 1e-300), 1.0)


@dataclass(frozen=True)
class DependentClick:
    """From the top down, several clicks (Guo, Liu and Wang, WSDM 2009; reconstructed).

    The user looks at the next place with probability `browse` after a click, and `attention`
    (1 in the original) after none. Luck decides both the click and whether to go on, so a user who
    enjoyed an item more is the one who goes on.
    """

    attention: float
    browse: float
    each_place = True

    def probabilities(
        self, utility: NDArray[np.float64], ignored: NDArray[np.bool_]
    ) -> NDArray[np.float64]:
        """Return e_j * q_j; e_0 = 1, e_{j+1} = e_j (q_j browse + (1 - q_j) attention)."""
        q = _appeal(utility, ignored)
        going = np.cumprod(q * self.browse + (1.0 - q) * self.attention, axis=1)
        return np.asarray(q * np.concatenate([np.ones_like(q[:, :1]), going[:, :-1]], axis=1))

    def answer(
        self,
        utility: NDArray[np.float64],
        ignored: NDArray[np.bool_],
        luck: NDArray[np.float64],
    ) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
        """See Choice."""
        q = _appeal(utility, ignored)
        liked = luck < q
        within = np.minimum(luck / np.maximum(q, 1e-300), 1.0)
        passed = (luck - q) / np.maximum(1.0 - q, 1e-300)
        goes_on = np.where(liked, within < self.browse, passed < self.attention)
        looks = np.ones_like(goes_on)
        looks[:, 1:] = np.cumprod(goes_on[:, :-1], axis=1).astype(np.bool_)
        return looks & liked, within


#: Choice models by the name that Rules.choice gives; a new one needs one more line.
CHOICES: dict[str, Callable[[Any], Choice]] = {
    "multinomial": lambda rules: Multinomial(),
    "cascade": lambda rules: Cascade(rules.attention),
    "position": lambda rules: PositionBased(rules.attention),
    "dependent": lambda rules: DependentClick(rules.attention, rules.browse),
}
