"""One run: a strategy or control meets the users of one seed."""

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from simrec import metrics, records
from simrec.agents.adapt import get_strategy
from simrec.agents.policy import ItemPolicy
from simrec.agents.saved import save_policy
from simrec.agents.strategy import STRATEGIES, Deployment, Online
from simrec.agents.two_level import TwoLevelPolicy
from simrec.deploy import Recorder, Tables, deploy
from simrec.envs.sb3 import SB3VecEnv
from simrec.envs.vector import RecommendVectorEnv
from simrec.envs.world import World
from simrec.stages.controls import CONTROLS, Setting
from simrec.stages.inputs import Inputs, luck
from simrec.stages.policy import learner_spec, load_policy, load_report
from simrec.stages.teaching import item_table
from simrec.stages.world import load_bounds, load_world


def needs_pretraining(name: str) -> str:
    """Return which labels a run's pretraining reads: "true", "shuffled" or "" for none."""
    if name.endswith("-shuffled"):
        return "shuffled"
    reads = CONTROLS[name].pretrained if name in CONTROLS else STRATEGIES[name].pretrained
    return "true" if reads else ""


def run_strategy(inputs: Inputs, name: str, seed: int, advance: Callable[[int], None]) -> None:
    """Deploy a strategy or control to the users of a seed and write its run folder."""
    began = time.monotonic()
    config = inputs.config
    online = config.online
    table = item_table(inputs)
    world = load_world(inputs)
    venv = SB3VecEnv(RecommendVectorEnv(world, online.n_envs, slate_size=online.slate_size))
    venv.seed(luck(seed, "online"))  # the same users with the same luck under every strategy
    recorder = Recorder(venv, online.env_steps, advance)
    labels = needs_pretraining(name)
    report = load_report(inputs, seed, labels == "shuffled") if labels else {}
    if name in CONTROLS:
        deployment = CONTROLS[name].make(Setting(inputs, seed, venv.vector_env, table))
    else:
        spec = learner_spec(inputs, table, {})
        pretrained = load_policy(inputs, seed, labels == "shuffled") if labels else None
        deployment = _strategy(name, pretrained, Online(spec, recorder, luck(seed, "strategy")))
    tables = deploy(deployment, recorder)
    acting = getattr(deployment.recommender, "policy", deployment.recommender)
    if isinstance(acting, ItemPolicy | TwoLevelPolicy):
        save_policy(acting, table.ids, inputs.folder / "policies" / f"{name}-seed-{seed}")
    records.write_run(
        inputs.folder / name / f"seed-{seed}",
        records.RunRecord(
            study=config.study,
            strategy=name,
            seed=seed,
            world=world.name,
            bounds=load_bounds(inputs),
            budget_env_steps=online.env_steps,
            teacher=report.get("teacher", {}),
            variant={"learner": config.learner.name, "learns": deployment.learns},
            config=config.model_dump(mode="json"),
            config_hash=inputs.run_key(name, seed),
            fingerprints={
                "data": inputs.dataset.fingerprint,
                "items": table.fingerprint,
                "world": world.fingerprint,
            },
            git_commit=records.git_commit(Path(__file__).parent),
            versions=records.current_versions(),
            seconds=time.monotonic() - began,
            llm=report.get("llm", {}),
            notes={k: report[k] for k in ("reward", "people") if k in report}
            | {"measures": _measures(tables, inputs, world)},
        ),
        **{field.name: getattr(tables, field.name) for field in dataclasses.fields(tables)},
    )


def _measures(tables: Tables, inputs: Inputs, world: World) -> dict[str, float]:
    """Return what can be told only where the world's topics and the log's popularity are known.

    Diversity is measured on the sampled sessions; the share of frozen actions is absent where the
    strategy has none.
    """
    episodes, steps = tables.episodes, tables.steps
    inside = episodes[episodes["start_step"] < inputs.config.online.env_steps]
    shown = np.zeros(world.n_items)
    np.add.at(shown, tables.exposure["item"].to_numpy(), tables.exposure["shown"].to_numpy())
    length, left = inside["length"].to_numpy(), inside["left"].to_numpy()
    reward = inside["reward"].to_numpy()
    session = steps.groupby(["slot", "episode"]).ngroup().to_numpy()
    found = {
        "regret": metrics.regret(reward, load_bounds(inputs)["oracle"]),
        "lost_before_step_5": metrics.lost_before(length, left),
        "worst_decile_clicks": metrics.worst_users(inside["user"].to_numpy(), reward),
        "exposure_gini": metrics.gini(shown),
        "novelty_bits": metrics.novelty(shown, inputs.popularity),
        "session_diversity": metrics.session_diversity(
            session, world.topics[steps["item"].to_numpy()]
        ),
    }
    if "frozen_share" in tables.updates:
        found["frozen_share"] = float(tables.updates["frozen_share"].mean())
    return found


def _strategy(name: str, pretrained: ItemPolicy | None, online: Online) -> Deployment:
    function: Any = get_strategy(name.removesuffix("-shuffled"))
    deployment: Deployment = function(pretrained, online)
    return deployment
