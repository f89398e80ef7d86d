"""What an agent gets by acting in semantic ids and not in item numbers, in a study's world.

The same PPO of Stable-Baselines3 with the same eyes chooses codes level by level, of which any
tuple means the nearest unseen item, or one number of I. The second has no such help: it may name an
item already shown, which users ignore.
"""

from typing import Any

import gymnasium
import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3 import PPO
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.common.vec_env import DummyVecEnv
from torch import Tensor

from simrec.envs.semantic_actions import SemanticIdAction
from simrec.envs.single import RecommendEnv
from simrec.envs.world import World
from simrec.items.id_kinds import MadeIds, make_ids
from simrec.randomness import generator
from simrec.stages.inputs import Inputs
from simrec.stages.tables import agent_table
from simrec.stages.teaching import Say
from simrec.stages.world import prepare_world
from simrec.statistics import interval, paired_interval

ARMS = ("random", "items", "codes")
ENVS, LATE = 8, 0.2


class _Eyes(BaseFeaturesExtractor):
    """Mean vectors of what was liked and of what was shown, the last item's, and the step."""

    def __init__(self, space: gymnasium.spaces.Dict, vectors: NDArray[np.float32]) -> None:
        super().__init__(space, 3 * vectors.shape[1] + 1)
        grown = vectors * np.float32(np.sqrt(vectors.shape[1]))  # columns of spread about 1
        self.vectors: Tensor
        self.register_buffer("vectors", torch.from_numpy(np.ascontiguousarray(grown)))

    def forward(self, obs: dict[str, Tensor]) -> Tensor:
        items, liked = obs["history"].long(), obs["feedback"]
        seen = (items >= 0).float()
        rows = self.vectors[items.clamp(min=0)]
        last = (seen.cumsum(1) == seen.sum(1, keepdim=True)) & (items >= 0)
        means = [
            (weight[..., None] * rows).sum(1) / weight.sum(1, keepdim=True).clamp(min=1.0)
            for weight in (liked * seen, seen, last.float())
        ]
        return torch.cat([*means, 0.1 * obs["step"]], 1)


def late_clicks(
    arm: str, world: World, vectors: NDArray[np.float32], made: MadeIds, seed: int, env_steps: int
) -> float:
    """Return the mean reward of the sessions that end in the last fifth of a run.

    Args:
        arm: A member of ARMS.
        world: Where it is played; every arm meets the same users.
        vectors: (I, D) rows of the agent's table.
        made: Ids of the items.
        seed: Luck, weights and draws.
        env_steps: Recommendations in all.
    """

    def env(slot: int) -> Any:
        inner: Any = RecommendEnv(world, slot=slot)
        return Monitor(
            inner if arm != "codes" else SemanticIdAction(inner, made.ids, centres=made.centres)
        )

    envs = DummyVecEnv([lambda slot=slot: env(slot) for slot in range(ENVS)])  # type: ignore[misc]
    envs.seed(seed)
    if arm == "random":
        rng = generator(seed, "bench ids")
        obs: Any = envs.reset()
        for _ in range(env_steps // ENVS):
            known = [set(row.tolist()) for row in obs["history"]]
            free = [np.setdiff1d(np.arange(world.n_items), list(row)) for row in known]
            obs, *_ = envs.step(np.array([rng.choice(items) for items in free]))
    else:
        model = PPO(
            "MultiInputPolicy",
            envs,
            n_steps=64,
            batch_size=128,
            n_epochs=4,
            learning_rate=1e-3,
            ent_coef=0.005,
            gamma=0.9,
            seed=seed,
            device="cpu",
            policy_kwargs={
                "net_arch": [64],
                "features_extractor_class": _Eyes,
                "features_extractor_kwargs": {"vectors": vectors},
            },
        )
        model.learn(env_steps)
    late: list[float] = []
    for inner in envs.envs:
        assert isinstance(inner, Monitor)
        ends = np.cumsum(inner.get_episode_lengths()) * ENVS
        late += list(np.array(inner.get_episode_rewards())[ends >= (1 - LATE) * env_steps])
    return float(np.mean(late))


def bench_ids(
    inputs: Inputs, *, seeds: tuple[int, ...], env_steps: int, say: Say = lambda line: None
) -> dict[str, Any]:
    """Return clicks per session late in the run under each arm, paired by seed.

    Args:
        inputs: A study with `items.ids`.
        seeds: Luck, weights and draws; the world is the study's.
        env_steps: Recommendations of each run.
        say: Told what is being done.

    Raises:
        SimrecError: The study names no kind of ids, or its world cannot be made.
    """
    prepared = prepare_world(inputs, say)
    table = agent_table(inputs)
    made = make_ids(table.fused, inputs.config.items.ids, inputs.agent_log)
    found: dict[str, list[float]] = {arm: [] for arm in ARMS}
    for seed in seeds:
        for arm in ARMS:
            clicks = late_clicks(arm, prepared.world, table.fused, made, seed, env_steps)
            found[arm].append(clicks)
            say(f"{arm}, seed {seed}: {clicks:.2f} clicks a session")
    values = {arm: np.array(clicks) for arm, clicks in found.items()}
    rng = generator(0, "bench", "intervals")
    return {
        "world": prepared.world.name,
        "codes": list(made.ids.sizes),
        "items": prepared.world.n_items,
        "env_steps": env_steps,
        "seeds": list(seeds),
        "bounds": {name: bound["reward"] for name, bound in prepared.bounds.items()},
        "clicks": {arm: interval(clicks, rng=rng).as_dict() for arm, clicks in values.items()},
        "codes minus items": paired_interval(values["codes"], values["items"], rng=rng).as_dict(),
        "codes minus random": paired_interval(values["codes"], values["random"], rng=rng).as_dict(),
        "by seed": found,
    }


def report(result: dict[str, Any]) -> str:
    """Return the result as text."""
    codes = "x".join(map(str, result["codes"]))
    seeds = ", ".join(map(str, result["seeds"]))
    lines = [
        f"{result['world']}: {result['items']:,} items as codes {codes}, "
        f"{result['env_steps']:,} recommendations, seeds {seeds}: clicks a session in the last "
        "fifth, mean [95 % interval over seeds]"
    ]
    for arm, of in result["clicks"].items():
        lines.append(f"  {arm:<8}{of['mean']:6.2f} [{of['low']:.2f}, {of['high']:.2f}]")
    for pair in ("codes minus items", "codes minus random"):
        of = result[pair]
        settled = "" if of["low"] > 0 or of["high"] < 0 else ", not resolved"
        lines.append(f"  {pair} {of['mean']:+.2f} [{of['low']:+.2f}, {of['high']:+.2f}]{settled}")
    bounds = ", ".join(f"{name} {clicks:.2f}" for name, clicks in result["bounds"].items())
    return "\n".join([*lines, f"  bounds: {bounds}"])
