"""Recommenders that do not learn: rules every learner should be measured against."""

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Observations = dict[str, NDArray[Any]]  # history (B, L) int64 -1 pad left; feedback (B, L); step


class Recommender(Protocol):
    """Anything with SB3's `predict`; trained SB3 models fit as they are."""

    def predict(
        self,
        observation: Any,
        state: Any = None,
        episode_start: Any = None,
        deterministic: bool = False,
    ) -> tuple[NDArray[Any], Any]:
        """Return actions (B,) for single items or (B, k) for slates, and the state."""
        ...


def unseen(observation: Observations, n_items: int) -> NDArray[np.bool_]:
    """Return (B, I) True where an item may be shown: not in the visible history, and on offer."""
    items = observation["history"]
    if "absent" in observation:  # the world's items come and go
        items = np.concatenate([items, observation["absent"]], axis=1)
    mask = np.ones((len(items), n_items + 1), dtype=np.bool_)
    np.put_along_axis(mask, items + 1, False, axis=1)  # column 0 collects the padding
    return mask[:, 1:]


class Greedy:
    """Show the unseen items with the highest scores.

    Popularity, a best static list, the learned reward without RL and an oracle are all this rule
    with another score.
    """

    def __init__(
        self,
        score: Callable[[Observations], NDArray[np.floating[Any]]],
        n_items: int,
        slate_size: int = 1,
    ) -> None:
        self.score = score
        self.n_items = n_items
        self.slate_size = slate_size

    def predict(
        self,
        observation: Observations,
        state: Any = None,
        episode_start: Any = None,
        deterministic: bool = False,
    ) -> tuple[NDArray[np.int64], Any]:
        """Return the k best unseen items, best first; ties go to the lower row."""
        scores = np.where(unseen(observation, self.n_items), self.score(observation), -np.inf)
        if self.slate_size == 1:
            return scores.argmax(axis=1), state  # of equals the first
        return np.argsort(-scores, axis=1, kind="stable")[:, : self.slate_size], state


class RandomRecommender:
    """Show unseen items uniformly at random."""

    def __init__(self, n_items: int, rng: np.random.Generator, slate_size: int = 1) -> None:
        self._greedy = Greedy(
            lambda obs: rng.random((len(obs["history"]), n_items)), n_items, slate_size
        )

    def predict(
        self,
        observation: Observations,
        state: Any = None,
        episode_start: Any = None,
        deterministic: bool = False,
    ) -> tuple[NDArray[np.int64], Any]:
        """Return k unseen items in random order."""
        return self._greedy.predict(observation, state)
