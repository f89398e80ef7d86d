"""The influence of friends: tastes drawn towards the mean taste of one's friends.

Once, before anybody plays (`under_influence`, a world's `friends`), or as a process while they do
(`Friends`, a world's `influence`), in which the population of one environment moves itself.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from simrec.envs.users import FactorUsers
from simrec.errors import SimrecError


def under_influence(
    users: FactorUsers, friends: NDArray[np.int64], weight: float, *, rounds: int = 1
) -> FactorUsers:
    """Return a population whose taste vectors lie between their own and their friends'.

    Each round is a step of DeGroot's model (JASA 1974; reconstructed):
    u' = (1 - weight) u + weight * mean of the friends' u, in every component. Those without
    friends stay as they are; effects (how much somebody likes anything) do not change.

    Args:
        users: The population.
        friends: (n, 2) pairs of user rows; friendship goes both ways, repeats count once.
        weight: Pull of the friends in a round, 0 to 1.
        rounds: How often everybody adapts.

    Raises:
        SimrecError: A row that is not a user, somebody befriending themself, or a weight out of
            range.
    """
    _check_weight(weight)
    graph, count = friend_graph(friends, users.n_users)
    pull = np.where(count > 0, weight, 0.0)[:, None]
    vectors = users.user_vectors.astype(np.float64)
    for _ in range(rounds):
        mean = (graph @ vectors) / np.maximum(count, 1)[:, None]
        vectors = (1.0 - pull) * vectors + pull * mean
    return replace(users, user_vectors=vectors.astype(np.float32))


def friend_graph(friends: NDArray[np.int64], n_users: int) -> tuple[csr_array, NDArray[np.int64]]:
    """Return the symmetric 0-1 matrix (U, U) of friendships and everybody's number of friends (U,).

    Args:
        friends: (n, 2) pairs of user rows; repeats count once.
        n_users: U.

    Raises:
        SimrecError: A row that is not a user, or somebody befriending themself.
    """
    pairs = np.asarray(friends, dtype=np.int64).reshape(-1, 2)
    if pairs.size and (pairs.min() < 0 or pairs.max() >= n_users):
        raise SimrecError(
            f"friends name user rows {pairs.min()} to {pairs.max()}; expected 0 to {n_users - 1}"
        )
    if (pairs[:, 0] == pairs[:, 1]).any():
        raise SimrecError("friends name a user as their own friend; expected pairs of two users")
    both = np.unique(np.concatenate([pairs, pairs[:, ::-1]]), axis=0)
    graph = csr_array((np.ones(len(both)), (both[:, 0], both[:, 1])), shape=(n_users, n_users))
    return graph, np.bincount(both[:, 0], minlength=n_users)


def _check_weight(weight: float) -> None:
    if not 0.0 <= weight <= 1.0:
        raise SimrecError(f"the weight of friends is {weight}; expected 0 to 1")


@dataclass(frozen=True)
class Friends:
    """Friends who influence each other while the world is played, session by session.

    When a session begins, the user who arrives has moved towards their friends, in every component:
    u' = (1 - weight) u + weight * mean of the friends' u, as in `under_influence` but one user at a
    time. When a session ends, the taste it ended with (drifted by what was clicked) is kept as the
    user's, so what one user is shown reaches others.

    Raises:
        SimrecError: A weight out of range.
    """

    pairs: NDArray[np.int64]  # (n, 2) user rows; friendship goes both ways, repeats count once
    weight: float = 0.1  # pull of the friends each time a session begins

    def __post_init__(self) -> None:
        """Check the weight."""
        _check_weight(self.weight)

    def described(self) -> dict[str, Any]:
        """Return the settings as plain values, for fingerprints."""
        return {"pairs": self.pairs.tolist(), "weight": self.weight}


class Circle:
    """The tastes of everybody while a world is played.

    Args:
        friends: Who knows whom.
        tastes: (U, D) written in place: what a session that begins now begins with.
    """

    def __init__(self, friends: Friends, tastes: NDArray[np.float32]) -> None:
        self.tastes = tastes
        self._first = tastes.copy()
        graph, count = friend_graph(friends.pairs, len(tastes))
        self._graph, self._count, self._weight = graph, count, friends.weight

    def start(self) -> None:
        """Give everybody their own taste back."""
        self.tastes[:] = self._first

    def begin(self, users: NDArray[np.int64]) -> None:
        """Let users (n,) who arrive, each once, move towards their friends as these are now."""
        users = np.unique(users[self._count[users] > 0])
        mean = (self._graph[users] @ self.tastes.astype(np.float64)) / self._count[users][:, None]
        own = self.tastes[users].astype(np.float64)
        self.tastes[users] = (1.0 - self._weight) * own + self._weight * mean

    def end(self, users: NDArray[np.int64], tastes: NDArray[np.float32]) -> None:
        """Keep the tastes (n, D) with which sessions of users (n,) ended; the last row counts."""
        self.tastes[users] = tastes
