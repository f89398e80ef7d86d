"""What the two-level policy loses, or wins, against the flat one in a generated world."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from simrec.agents.baselines import RandomRecommender
from simrec.agents.learners import HeadName, LearnerSpec, make_learner
from simrec.agents.strategy import Deployment
from simrec.deploy import Recorder, deploy
from simrec.envs.rules import Rules
from simrec.envs.sb3 import SB3VecEnv
from simrec.envs.users import FactorUsers
from simrec.envs.vector import RecommendVectorEnv
from simrec.envs.world import World
from simrec.randomness import generator
from simrec.statistics import interval, paired_interval

RANK, KINDS, USERS, HISTORY = 8, 50, 1000, 10
HEADS: tuple[HeadName, ...] = ("flat", "two-level")


def kinds_world(n_items: int, seed: int) -> tuple[World, NDArray[np.float32]]:
    """Return a world of items of 50 kinds, and the item vectors (I, 16) an agent may see.

    Tastes are dot products of 8 hidden numbers. The agent's vectors are these, turned, put among
    8 numbers that mean nothing, and blurred by noise half as strong: what a good encoder knows.

    Args:
        n_items: Items I.
        seed: All follows from it.
    """
    rng = generator(seed, "bench", "kinds")
    kind = rng.integers(KINDS, size=n_items)
    hidden = rng.normal(size=(KINDS, RANK))[kind] + 0.5 * rng.normal(size=(n_items, RANK))
    users = FactorUsers(
        -2.0,
        1.0,
        np.zeros(USERS, dtype=np.float32),
        rng.normal(0.0, 0.5, n_items).astype(np.float32),
        (0.8 * rng.normal(size=(USERS, RANK))).astype(np.float32),
        hidden.astype(np.float32),
    )
    start = rng.integers(n_items, size=(USERS, HISTORY))
    taste = np.einsum("ur,uhr->uh", users.user_vectors, hidden[start]) + users.intercept
    liked = rng.random(start.shape) < 1.0 / (1.0 + np.exp(-taste))
    turn = np.linalg.qr(rng.normal(size=(2 * RANK, 2 * RANK)))[0]
    wide = np.hstack([hidden, rng.normal(size=hidden.shape)]) @ turn
    seen = wide + 0.5 * rng.normal(size=wide.shape)
    world = World(
        "kinds",
        users,
        np.eye(KINDS, dtype=np.float32)[kind],
        start,
        liked.astype(np.float32),
        np.arange(USERS, dtype=np.int64),
        Rules(boredom=0.0),
    )
    return world, (seen / 4.0).astype(np.float32)


def late_clicks(
    head: HeadName | None, world: World, vectors: NDArray[np.float32], seed: int, env_steps: int
) -> float:
    """Return clicks per session in the last fifth of a run; head None shows random items."""
    env = SB3VecEnv(RecommendVectorEnv(world, 64))
    env.seed(seed)  # the same users with the same luck under every head
    recorder = Recorder(env, env_steps)
    if head is None:
        rng = generator(seed, "bench", "random")
        deployment = Deployment(RandomRecommender(world.n_items, rng), learns=False)
    else:
        policy = {
            "item_vectors": vectors,
            "table_fingerprint": "",
            "width": 32,
            "free_vectors": False,
            "free_decay": 0.0,
        }
        spec = LearnerSpec("a2c", policy, {}, head)
        deployment = Deployment(make_learner(spec, recorder, luck=seed), learns=True)
    episodes = deploy(deployment, recorder).episodes
    return float(episodes.loc[episodes["start_step"] >= 0.8 * env_steps, "reward"].mean())


def bench_heads(
    *, n_items: int = 10_000, seeds: tuple[int, ...] = (0, 1, 2, 3, 4), env_steps: int = 60_000
) -> dict[str, Any]:
    """Return clicks per session late in the run under both heads, paired by seed.

    Args:
        n_items: Items I.
        seeds: World, users, weights and draws follow from each; no setting was tuned on them.
        env_steps: Length of each run.
    """
    found: dict[str, list[float]] = {name: [] for name in ("random", *HEADS)}
    for seed in seeds:
        world, vectors = kinds_world(n_items, seed)
        found["random"].append(late_clicks(None, world, vectors, seed, env_steps // 5))
        for head in HEADS:
            found[head].append(late_clicks(head, world, vectors, seed, env_steps))
    values = {name: np.array(clicks) for name, clicks in found.items()}
    rng = generator(0, "bench", "intervals")
    return {
        "items": n_items,
        "env_steps": env_steps,
        "seeds": list(seeds),
        "clicks": {name: interval(clicks, rng=rng).as_dict() for name, clicks in values.items()},
        "two-level minus flat": paired_interval(
            values["two-level"], values["flat"], rng=rng
        ).as_dict(),
        "by seed": found,
    }


def report(result: dict[str, Any]) -> str:
    """Return the result as text."""
    difference = result["two-level minus flat"]
    settled = "" if difference["low"] > 0 or difference["high"] < 0 else ", not resolved"
    return "\n".join(
        [
            f"{result['items']:,} items, {result['env_steps']:,} env steps, seeds "
            f"{', '.join(map(str, result['seeds']))}: clicks a session in the last fifth, "
            "mean [95 % interval over seeds]",
            *(
                f"  {name:<10} {of['mean']:6.2f} [{of['low']:.2f}, {of['high']:.2f}]"
                for name, of in result["clicks"].items()
            ),
            f"  two-level minus flat {difference['mean']:+.2f} "
            f"[{difference['low']:+.2f}, {difference['high']:+.2f}]{settled}",
        ]
    )
