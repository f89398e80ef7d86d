"""Small worlds, made by hand, that several test modules play."""

import numpy as np
from numpy.typing import NDArray

from simrec.envs.users import FactorUsers, UserState
from simrec.envs.world import Rules, World


class ConstantUsers:
    """Users who like every item equally, except that user u likes nothing where told so."""

    def __init__(self, probability: float, n_users: int, n_items: int) -> None:
        self.probability = probability
        self.n_users = n_users
        self.n_items = n_items

    def begin(self, users: NDArray[np.int64]) -> UserState:
        return {"user": users.copy()}

    def affinity(self, state: UserState, items: NDArray[np.int64]) -> NDArray[np.float64]:
        return np.full(items.shape, self.probability)

    def consume(
        self, state: UserState, items: NDArray[np.int64], feedback: NDArray[np.float32]
    ) -> None:
        pass


def constant_world(
    probability: float, *, n_items: int = 40, n_users: int = 6, history: int = 2, rules: Rules
) -> World:
    """Everybody likes everything with one probability; one topic; user u has seen item u."""
    items = np.full((n_users, history), -1, dtype=np.int64)
    items[:, -1] = np.arange(n_users)
    return World(
        "constant",
        ConstantUsers(probability, n_users, n_items),
        np.ones((n_items, 1), dtype=np.float32),
        items,
        (items >= 0).astype(np.float32),
        np.arange(n_users),
        rules,
    )


def random_world(
    seed: int = 0, *, n_users: int = 50, n_items: int = 60, rules: Rules | None = None
) -> World:
    """Random tastes over six topics, start histories of up to five items."""
    rng = np.random.default_rng(seed)
    users = FactorUsers(
        -0.5,
        1.5,
        rng.normal(0, 0.5, n_users).astype(np.float32),
        rng.normal(0, 0.5, n_items).astype(np.float32),
        rng.normal(0, 0.8, (n_users, 4)).astype(np.float32),
        rng.normal(0, 0.8, (n_items, 4)).astype(np.float32),
    )
    start = np.full((n_users, 5), -1, dtype=np.int64)
    for user in range(n_users):
        seen = rng.choice(n_items, rng.integers(0, 6), replace=False)
        start[user, 5 - len(seen) :] = seen
    return World(
        "random",
        users,
        np.eye(6, dtype=np.float32)[rng.integers(6, size=n_items)],
        start,
        (rng.random(start.shape) < 0.5).astype(np.float32) * (start >= 0),
        np.arange(0, n_users, 2),
        Rules() if rules is None else rules,
    )


def taste_world(tastes, vectors, topics=None, **rules) -> World:
    """One user with given tastes over items with given vectors; nobody has a history."""
    vectors = np.asarray(vectors, dtype=np.float32)
    n_items = len(vectors)
    users = FactorUsers(
        0.0,
        1.0,
        np.zeros(1, np.float32),
        np.zeros(n_items, np.float32),
        np.asarray([tastes], dtype=np.float32),
        vectors,
    )
    topics = np.ones((n_items, 1)) if topics is None else topics
    start = np.zeros((1, 0), dtype=np.int64)
    rules = {"boredom": 0.0, "patience": 50, "horizon": 50} | rules
    return World(
        "tastes",
        users,
        np.asarray(topics, dtype=np.float32),
        start,
        start.astype(np.float32),
        np.array([0]),
        Rules(**rules),
    )
