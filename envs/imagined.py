"""The imagined world: users who like what a learned reward says they would like."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from simrec.envs.users import UserState
from simrec.envs.world import Rules, World

Reward = Callable[[NDArray[np.int64], NDArray[np.float32]], NDArray[np.float32]]


class ImaginedUsers:
    """Users whose taste is a reward function's reading of their start history.

    The reward is asked once, when a session begins; taste then stays fixed, so that a policy
    cannot talk the reward into liking more and more of the same.

    Args:
        reward: Maps items (n, L) and liked (n, L) to logits of P(like) (n, I).
        start_items: (U, L) what each user saw before, -1 = empty.
        start_feedback: (U, L) 1 liked, 0 not.
        n_items: The number of items I.
    """

    def __init__(
        self,
        reward: Reward,
        start_items: NDArray[np.int64],
        start_feedback: NDArray[np.float32],
        n_items: int,
    ) -> None:
        self.reward = reward
        self.start_items = start_items  # (U, L) int64, -1 = empty
        self.start_feedback = start_feedback  # (U, L) float32
        self._n_items = n_items

    @property
    def n_users(self) -> int:
        """The number of users U."""
        return len(self.start_items)

    @property
    def n_items(self) -> int:
        """The number of items I."""
        return self._n_items

    def begin(self, users: NDArray[np.int64]) -> UserState:
        """Return the state of user rows (B,): the logits (B, I) of their tastes."""
        logits = self.reward(self.start_items[users], self.start_feedback[users])
        return {"logits": np.array(logits, dtype=np.float32)}

    def affinity(self, state: UserState, items: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return P(like) for items (B, k) as (B, k)."""
        logits = np.take_along_axis(state["logits"], items, axis=1)
        return np.asarray(expit(logits.astype(np.float64)))

    def affinity_of_all(self, state: UserState) -> NDArray[np.float64]:
        """Return P(like) for the whole catalogue as (B, I)."""
        return np.asarray(expit(state["logits"].astype(np.float64)))

    def consume(
        self, state: UserState, items: NDArray[np.int64], feedback: NDArray[np.float32]
    ) -> None:
        """Change nothing: imagined tastes do not drift."""


def imagined_world(
    reward: Reward,
    start_items: NDArray[np.int64],
    start_feedback: NDArray[np.float32],
    topics: NDArray[np.float32],
    rules: Rules,
) -> World:
    """Return a world whose users answer as the reward says; every row given may arrive.

    Args:
        reward: Maps items (n, L) and liked (n, L) to logits of P(like) (n, I).
        start_items: (U, L) start histories, -1 = empty, padded on the left.
        start_feedback: (U, L) 1 liked, 0 not or empty.
        topics: (I, G) rows of length 1.
        rules: How a session runs.
    """
    users = ImaginedUsers(reward, start_items, start_feedback, len(topics))
    arrivals = np.arange(len(start_items), dtype=np.int64)
    return World("imagined", users, topics, start_items, start_feedback, arrivals, rules)
