"""Who the simulated users are: the protocol of a user model and a population of latent factors."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol, TypeGuard

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from simrec.files import fingerprint

UserState = dict[str, NDArray[Any]]  # every array has leading dimension B, one row a slot


class UserModel(Protocol):
    """Anything that can say how likely a user is to like an item.

    A model holds the population; what changes during a session lives in the state, so that a slot
    can be begun again alone and an environment can be pickled in the middle of a session.
    """

    @property
    def n_users(self) -> int:
        """The number of users U."""
        ...

    @property
    def n_items(self) -> int:
        """The number of items I."""
        ...

    def begin(self, users: NDArray[np.int64]) -> UserState:
        """Return the fresh, writable state of user rows (B,)."""
        ...

    def affinity(self, state: UserState, items: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return P(like) in [0, 1] for items (B, k), before boredom and noise, as (B, k)."""
        ...

    def consume(
        self, state: UserState, items: NDArray[np.int64], feedback: NDArray[np.float32]
    ) -> None:
        """Tell the model what the users were shown (B, k) and clicked (B, k); may change state."""
        ...


@dataclass(frozen=True)
class FactorUsers:
    """A population with fixed tastes: effects of user and item and the product of two vectors.

    logit P(like) = intercept + user_effect[u] + item_effect[i] + scale * <user_vectors[u],
    item_vectors[i]>, the biased matrix factorisation of Koren, Bell and Volinsky (IEEE Computer
    2009; read) put through a logistic link. Only the factors are stored, never a U x I matrix.
    """

    intercept: float
    scale: float
    user_effect: NDArray[np.float32]  # (U,)
    item_effect: NDArray[np.float32]  # (I,)
    user_vectors: NDArray[np.float32]  # (U, D)
    item_vectors: NDArray[np.float32]  # (I, D)

    @property
    def n_users(self) -> int:
        """The number of users U."""
        return len(self.user_effect)

    @property
    def n_items(self) -> int:
        """The number of items I."""
        return len(self.item_effect)

    @cached_property
    def fingerprint(self) -> str:
        """Sixteen hex digits over every number of the model."""
        return fingerprint(
            [self.intercept, self.scale],
            self.user_effect,
            self.item_effect,
            self.user_vectors,
            self.item_vectors,
        )

    def begin(self, users: NDArray[np.int64]) -> UserState:
        """Return the state of user rows (B,): their effects and vectors, which never change."""
        return {"effect": self.user_effect[users], "vector": self.user_vectors[users]}

    def affinity(self, state: UserState, items: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return P(like) for items (B, k) as (B, k)."""
        product = np.einsum("bd,bkd->bk", state["vector"], self.item_vectors[items])
        logit = self.scale * product.astype(np.float64) + self.intercept
        logit += state["effect"][:, None]
        logit += self.item_effect[items]
        return np.asarray(expit(logit))

    def affinity_of_all(self, state: UserState) -> NDArray[np.float64]:
        """Return P(like) for the whole catalogue as (B, I), by one matrix product."""
        logit = self.scale * (state["vector"] @ self.item_vectors.T).astype(np.float64)
        logit += self.intercept + state["effect"][:, None]
        logit += self.item_effect
        return np.asarray(expit(logit))

    def consume(
        self, state: UserState, items: NDArray[np.int64], feedback: NDArray[np.float32]
    ) -> None:
        """Change nothing: these tastes do not drift."""


def has_plain_factors(model: UserModel) -> TypeGuard[FactorUsers]:
    """Return True for FactorUsers with no method overridden: sessions may compile them."""
    return isinstance(model, FactorUsers) and all(
        getattr(type(model), name) is getattr(FactorUsers, name)
        for name in ("begin", "affinity", "consume")
    )


def affinity_of_all(model: UserModel, state: UserState) -> NDArray[np.float64]:
    """Return P(like) for the whole catalogue as (B, I); for bounds and oracles only.

    Uses the model's own `affinity_of_all` where it has one, else asks for 256 items at a time.
    """
    own = getattr(model, "affinity_of_all", None)
    if own is not None:
        return np.asarray(own(state), dtype=np.float64)
    batch = len(next(iter(state.values())))
    parts = []
    for first in range(0, model.n_items, 256):
        columns = np.arange(first, min(first + 256, model.n_items), dtype=np.int64)
        parts.append(model.affinity(state, np.broadcast_to(columns, (batch, len(columns)))))
    return np.concatenate(parts, axis=1)
