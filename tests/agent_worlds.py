"""Small worlds whose right answers are known, and learners on them; shared by tests of agents."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from simrec.agents.learners import LearnerName, LearnerSpec
from simrec.agents.policy import ItemPolicy
from simrec.envs.sb3 import SB3VecEnv
from simrec.envs.users import FactorUsers
from simrec.envs.vector import RecommendVectorEnv
from simrec.envs.world import Rules, World

TABLE = "0123456789abcdef"  # fingerprint of the item table of every policy here
NEVER = 10_000  # patience that no session uses up


def flat_world(logit: float, *, n_items: int = 30, rules: Rules) -> World:
    """Everybody likes every item with the same logit; start histories are empty."""
    users = FactorUsers(
        intercept=logit,
        scale=0.0,
        user_effect=np.zeros(8, dtype=np.float32),
        item_effect=np.zeros(n_items, dtype=np.float32),
        user_vectors=np.zeros((8, 1), dtype=np.float32),
        item_vectors=np.zeros((n_items, 1), dtype=np.float32),
    )
    return World(
        "flat",
        users,
        topics=np.ones((n_items, 1), dtype=np.float32),
        start_items=np.full((8, 2), -1, dtype=np.int64),
        start_feedback=np.zeros((8, 2), dtype=np.float32),
        arrivals=np.arange(8, dtype=np.int64),
        rules=rules,
    )


def checkerboard(
    *, n_users: int = 64, n_items: int = 40, horizon: int = 10, patience: int = NEVER
) -> World:
    """Even users like even items, odd users odd items (logit +6, else -6); nobody gets bored.

    The start history of every user holds two items of each kind, marked as liked or not.
    """
    parity = np.eye(2, dtype=np.float32)
    users = FactorUsers(
        intercept=-6.0,
        scale=12.0,
        user_effect=np.zeros(n_users, dtype=np.float32),
        item_effect=np.zeros(n_items, dtype=np.float32),
        user_vectors=parity[np.arange(n_users) % 2],
        item_vectors=parity[np.arange(n_items) % 2],
    )
    rng = np.random.default_rng(0)
    start = np.stack([rng.permutation(n_items // 4)[:2] for _ in range(n_users)])
    items = np.stack([4 * start, 4 * start + 1], axis=2).reshape(n_users, 4)  # even, odd, ...
    return World(
        "checkerboard",
        users,
        topics=parity[np.arange(n_items) % 2],
        start_items=items.astype(np.int64),
        start_feedback=(items % 2 == np.arange(n_users)[:, None] % 2).astype(np.float32),
        arrivals=np.arange(n_users, dtype=np.int64),
        rules=Rules(horizon=horizon, patience=patience, boredom=0.0, window=1),
    )


def favourites(*, n_items: int = 40, horizon: int = 5) -> World:
    """Everybody likes the first five items (logit +4) and no other (logit -4)."""
    world = flat_world(
        -4.0, n_items=n_items, rules=Rules(horizon=horizon, patience=NEVER, boredom=0.0, window=1)
    )
    users = world.users
    assert isinstance(users, FactorUsers)
    users.item_effect[:5] = 8.0
    return world


def parity_vectors(n_items: int = 40) -> NDArray[np.float32]:
    """Return (I, 3) item vectors that tell even from odd items."""
    rng = np.random.default_rng(1)
    vectors = np.eye(2)[np.arange(n_items) % 2]
    return np.hstack([vectors, 0.1 * rng.normal(size=(n_items, 1))]).astype(np.float32)


def make_env(world: World, n_envs: int = 8, *, slate_size: int = 1, seed: int = 5) -> SB3VecEnv:
    """Return a seeded environment for Stable-Baselines3."""
    env = SB3VecEnv(RecommendVectorEnv(world, n_envs, slate_size=slate_size))
    env.seed(seed)
    return env


def make_spec(
    name: LearnerName, vectors: NDArray[np.float32], *, free: bool = False, **settings: Any
) -> LearnerSpec:
    """Return a small learner."""
    policy = {
        "item_vectors": vectors,
        "table_fingerprint": TABLE,
        "width": 8,
        "free_vectors": free,
        "free_decay": 0.0,
    }
    return LearnerSpec(name, policy, settings)


def opinionated(policy: ItemPolicy, luck: int, spread: float = 0.5) -> ItemPolicy:
    """Give every weight a random value, so that the policy is far from uniform."""
    generator = torch.Generator().manual_seed(luck)
    with torch.no_grad():
        for weight in policy.scorer.parameters():
            weight.copy_(spread * torch.randn(weight.shape, generator=generator))
    return policy


def tensors(obs: dict[str, NDArray[Any]]) -> dict[str, torch.Tensor]:
    """Return an observation as tensors."""
    return {key: torch.as_tensor(value) for key, value in obs.items()}
