"""How fast policies learn: our A2C on the native vector environment beside SB3's on its own.

Each case and its rival take turns, round after round, on one thread in one world; figures are env
steps a CPU second, learning included, so that other work on the machine disturbs them less.
"""

import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from simrec.agents.a2c import ItemA2C
from simrec.agents.policy import ItemPolicy
from simrec.agents.two_level import TwoLevelPolicy
from simrec.envs.bench import bench_world
from simrec.envs.rules import Rules
from simrec.envs.sb3 import SB3VecEnv
from simrec.envs.single import RecommendEnv
from simrec.envs.users import FactorUsers
from simrec.envs.vector import RecommendVectorEnv
from simrec.envs.world import World

N_STEPS = 12  # vector steps between updates, for both
GROUP = 500  # items in a group of the two-level policy


@dataclass(frozen=True)
class Case:
    """A catalogue and a number of parallel users."""

    items: int
    users: int
    rival_items: int  # of SB3's head: a flat one over a million items does not fit into memory
    goal: int | None  # env steps a second on one core of a quiet machine
    two_level: bool = False

    @property
    def name(self) -> str:
        """What the report calls it."""
        head = "two-level head" if self.two_level else "flat head"
        return f"{self.items:,} items, {head}, {self.users} users"


CASES = (
    Case(10, 256, 10, 80_000),
    Case(10, 4096, 10, 150_000),
    Case(1000, 256, 1000, 25_000),
    Case(1_000_000, 256, 1000, 10_000, two_level=True),
)
QUICK = (Case(10, 16, 10, None), Case(2000, 16, 10, None, two_level=True))


@dataclass
class Timed:
    """A learner and how long its env steps took."""

    name: str
    learn: Callable[[int], object]  # env steps
    rollout: int  # env steps between updates
    taken: list[float] = field(default_factory=list)  # CPU seconds of an env step, one a round


def train_world(n_items: int) -> World:
    """Return the world of the environments' bench; 10 items get short sessions, empty histories."""
    if n_items > 100:
        return bench_world(n_items)
    world = bench_world(n_items, Rules(horizon=8))
    n = world.users.n_users
    return replace(
        world,
        start_items=np.full((n, 1), -1, dtype=np.int64),
        start_feedback=np.zeros((n, 1), dtype=np.float32),
    )


def ours(case: Case, world: World, device: str = "cpu") -> Timed:
    """Return our A2C on the native vector environment, its tensors on a device."""
    assert isinstance(world.users, FactorUsers)
    env = SB3VecEnv(RecommendVectorEnv(world, case.users))
    env.seed(0)
    policy: dict[str, Any] = {"item_vectors": world.users.item_vectors, "table_fingerprint": ""}
    kind: Any = ItemPolicy
    if case.two_level:
        policy["groups"] = np.arange(case.items, dtype=np.int64) // GROUP
        kind = TwoLevelPolicy
    model = ItemA2C(kind, env, policy_kwargs=policy, n_steps=N_STEPS, device=device)
    return _timed("ours", model, case)


def rival(case: Case, world: World) -> Timed:
    """Return Stable-Baselines3's A2C with its own policy on its own DummyVecEnv."""
    from stable_baselines3 import A2C
    from stable_baselines3.common.vec_env import DummyVecEnv

    def one(slot: int) -> Callable[[], RecommendEnv]:
        return lambda: RecommendEnv(world, slot=slot)

    env = DummyVecEnv([one(slot) for slot in range(case.users)])
    env.seed(0)
    model = A2C("MultiInputPolicy", env, n_steps=N_STEPS, seed=0, device="cpu")
    return _timed("SB3", model, case)


def _timed(name: str, model: Any, case: Case) -> Timed:
    def learn(env_steps: int) -> None:
        model.learn(env_steps, log_interval=None, reset_num_timesteps=False)

    return Timed(name, learn, N_STEPS * case.users)


def spend(timed: Timed, seconds: float, clock: Callable[[], float] = time.process_time) -> None:
    """Add one figure: as many rollouts as fit into the seconds given, at least one."""
    begun, steps = clock(), 0
    while True:
        timed.learn(timed.rollout)
        steps += timed.rollout
        spent = clock() - begun
        if spent >= seconds:
            break
    timed.taken.append(spent / steps)


def take_turns(
    pair: tuple[Timed, Timed], rounds: int, seconds: float, clock: Callable[[], float]
) -> None:
    """Add a figure a round to each of two, after a rollout that does not count; the order swaps."""
    for timed in pair:
        timed.learn(timed.rollout)
    for turn in range(rounds):
        for timed in pair if turn % 2 == 0 else pair[::-1]:
            spend(timed, seconds, clock)


def bench_train(
    cases: tuple[Case, ...] = CASES,
    *,
    rounds: int = 5,
    seconds: float = 2.0,
    clock: Callable[[], float] = time.process_time,
) -> dict[str, Any]:
    """Measure every case and its rival in turns.

    Args:
        cases: What to measure.
        rounds: Times each is measured, after one rollout that does not count.
        seconds: CPU seconds of each measurement.
        clock: Seconds.

    Returns:
        Plain values: `machine` and `cases` with env steps a CPU second (median, lowest, highest)
        of ours and of SB3's, the median ratio of a round, the goal and whether it was met.
    """
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        found = {case.name: _measure(case, rounds, seconds, clock) for case in cases}
    finally:
        torch.set_num_threads(threads)
    return {
        "machine": {
            "processor": platform.processor() or platform.machine(),
            "cores": os.cpu_count(),
            "load": list(os.getloadavg()),
            "python": platform.python_version(),
            "torch": torch.__version__,
        },
        "cases": found,
    }


def _measure(case: Case, rounds: int, seconds: float, clock: Callable[[], float]) -> dict[str, Any]:
    world = train_world(case.items)
    other = world if case.rival_items == case.items else train_world(case.rival_items)
    pair = (ours(case, world), rival(case, other))
    take_turns(pair, rounds, seconds, clock)
    mine, theirs = (np.array(timed.taken) for timed in pair)
    rate = 1.0 / float(np.median(mine))
    return {
        **{
            timed.name: {
                "median": 1.0 / float(np.median(timed.taken)),
                "lowest": 1.0 / max(timed.taken),
                "highest": 1.0 / min(timed.taken),
            }
            for timed in pair
        },
        "ratio": float(np.median(theirs / mine)),
        "rival_items": case.rival_items,
        "goal": case.goal,
        "met": None if case.goal is None else rate >= case.goal,
    }


def report(result: dict[str, Any]) -> str:
    """Return the result as text: goals beside figures."""
    lines = ["env steps a CPU second, learning included: median [lowest, highest]"]
    for name, case in result["cases"].items():
        mark = {True: "met ", False: "MISS", None: "    "}[case["met"]]
        goal = "" if case["goal"] is None else f"goal {case['goal']:,}"
        mine, theirs = case["ours"], case["SB3"]
        lines += [
            f"{mark} {name}",
            f"       ours {mine['median']:>9,.0f} [{mine['lowest']:,.0f}, {mine['highest']:,.0f}] "
            f"{goal}",
            f"       SB3's A2C on its DummyVecEnv, {case['rival_items']:,} items: "
            f"{theirs['median']:,.0f} [{theirs['lowest']:,.0f}, {theirs['highest']:,.0f}]; "
            f"ours is {case['ratio']:.1f} times as fast",
        ]
    load = result["machine"]["load"][0]
    cores = result["machine"]["cores"]
    lines.append(f"load of the machine at the end: {load:.1f} on {cores} cores")
    return "\n".join(lines)
