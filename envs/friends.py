"""The influence of friends: tastes drawn towards the mean taste of one's friends."""

from dataclasses import replace

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
    if not 0.0 <= weight <= 1.0:
        raise SimrecError(f"the weight of friends is {weight}; expected 0 to 1")
    pairs = np.asarray(friends, dtype=np.int64).reshape(-1, 2)
    if pairs.size and (pairs.min() < 0 or pairs.max() >= users.n_users):
        raise SimrecError(
            f"friends name user rows {pairs.min()} to {pairs.max()}; expected 0 to "
            f"{users.n_users - 1}"
        )
    if (pairs[:, 0] == pairs[:, 1]).any():
        raise SimrecError("friends name a user as their own friend; expected pairs of two users")
    both = np.unique(np.concatenate([pairs, pairs[:, ::-1]]), axis=0)
    size = (users.n_users, users.n_users)
    graph = csr_array((np.ones(len(both)), (both[:, 0], both[:, 1])), shape=size)
    count = np.bincount(both[:, 0], minlength=users.n_users)
    pull = np.where(count > 0, weight, 0.0)[:, None]
    vectors = users.user_vectors.astype(np.float64)
    for _ in range(rounds):
        mean = (graph @ vectors) / np.maximum(count, 1)[:, None]
        vectors = (1.0 - pull) * vectors + pull * mean
    return replace(users, user_vectors=vectors.astype(np.float32))
