"""One run: a strategy or control meets the users of one seed."""

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from simrec import metrics, records
from simrec.agents.adapt import get_strategy
from simrec.agents.policy import ItemPolicy
from simrec.agents.saved import save_policy
from simrec.agents.strategy import STRATEGIES, Deployment, Online
from simrec.agents.two_level import TwoLevelPolicy
from simrec.checkpoint import Checkpoint
from simrec.deploy import Recorder, Tables, Underway, UpdateLog, go_on
from simrec.envs.bounds import first_shift
from simrec.envs.sb3 import SB3VecEnv
from simrec.envs.vector import RecommendVectorEnv
from simrec.envs.world import World
from simrec.files import fingerprint
from simrec.items.table import ItemTable
from simrec.snapshots import Snapshots
from simrec.stages.controls import CONTROLS, Setting
from simrec.stages.inputs import Inputs, luck
from simrec.stages.policy import learner_spec, load_policy, load_report
from simrec.stages.tables import agent_table
from simrec.stages.world import load_bounds, load_world, teacher_of, whole_bounds


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
    table = agent_table(inputs)
    world = load_world(inputs)
    labels = needs_pretraining(name)
    report = load_report(inputs, seed, labels == "shuffled") if labels else {}
    folder = inputs.folder / name / f"seed-{seed}"
    checkpoint = Checkpoint(
        folder.with_name(f".{folder.name}.checkpoint"),
        fingerprint(inputs.run_key(name, seed), records.current_versions()),
        {"world": world},
    )
    underway = checkpoint.load()
    if underway is None:
        underway = _begin(inputs, name, seed, world, table)
    underway.recorder.on_steps = advance
    advance(underway.recorder.env_steps)
    tables = go_on(underway, checkpoint)
    deployment = underway.deployment
    acting = getattr(deployment.recommender, "policy", deployment.recommender)
    if isinstance(acting, ItemPolicy | TwoLevelPolicy):
        save_policy(acting, table.ids, inputs.folder / "policies" / f"{name}-seed-{seed}")
    records.write_run(
        folder,
        records.RunRecord(
            study=config.study,
            strategy=name,
            seed=seed,
            world=world.name,
            bounds=load_bounds(inputs),
            budget_env_steps=online.env_steps,
            teacher=teacher_of(inputs, report.get("teacher", {})),
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
            | {"measures": _measures(underway, tables, inputs), "snapshots": _rows(underway)},
        ),
        **{field.name: getattr(tables, field.name) for field in dataclasses.fields(tables)},
    )
    checkpoint.clear()


def _begin(inputs: Inputs, name: str, seed: int, world: World, table: ItemTable) -> Underway:
    """Return the deployment of a strategy or control before its first user."""
    online = inputs.config.online
    venv = SB3VecEnv(RecommendVectorEnv(world, online.n_envs, slate_size=online.slate_size))
    venv.seed(luck(seed, "online"))  # the same users with the same luck under every strategy
    recorder = Recorder(venv, online.env_steps)
    if name in CONTROLS:
        deployment = CONTROLS[name].make(Setting(inputs, seed, venv.vector_env, table))
    else:
        spec = learner_spec(inputs, table, {})
        labels = needs_pretraining(name)
        pretrained = load_policy(inputs, seed, labels == "shuffled") if labels else None
        deployment = _strategy(name, pretrained, Online(spec, recorder, luck(seed, "strategy")))
    snapshots = Snapshots(
        world,
        online.n_envs,
        online.slate_size,
        luck(seed, "snapshots"),
        online.env_steps,
        online.snapshot_sessions,
    )
    return Underway(deployment, recorder, UpdateLog(), snapshots)


def _rows(underway: Underway) -> list[dict[str, float]]:
    return underway.snapshots.rows if underway.snapshots is not None else []


def _measures(underway: Underway, tables: Tables, inputs: Inputs) -> dict[str, float]:
    """Return what can be told only where the world's topics and the log's popularity are known.

    Diversity is measured on the sampled sessions; the share of frozen actions is absent where the
    strategy has none.
    """
    world = underway.recorder.base.vector_env.world
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
    if rows := _rows(underway):
        bounds = load_bounds(inputs)
        found["greedy_end"] = float(
            metrics.normalised(np.array(rows[-1]["clicks"]), bounds["random"], bounds["oracle"])
        )
    if world.retention is not None:
        found["return_rate"] = float(np.mean(underway.recorder.back))
    found |= _since_shift(world, inside, inputs)
    if "frozen_share" in tables.updates:
        found["frozen_share"] = float(tables.updates["frozen_share"].mean())
    return found


def _since_shift(world: World, sessions: pd.DataFrame, inputs: Inputs) -> dict[str, float]:
    """Return what became of a run after the first shift of tastes; nothing where none shifted.

    Each side of the shift is measured by its own bounds. Recovery is looked for in blocks of 5 % of
    the run; where reward never came back the number of steps is absent and `recovered` is 0, and
    where there was nothing to come back to both are absent.
    """
    online = inputs.config.online
    date = first_shift(world, max(online.env_steps // online.n_envs, 1))
    if date is None:
        return {}
    bounds, shift = whole_bounds(inputs), date * online.n_envs
    start, reward = sessions["start_step"].to_numpy(), sessions["reward"].to_numpy()
    since = start >= shift
    side = np.where(since, "reward_since", "reward_before")
    low, high = (
        np.array([bounds[policy][name] for name in side]) for policy in ("random", "oracle")
    )
    y = (reward - low) / (high - low)
    steps = metrics.recovery_steps(start, y, shift, block=max(online.env_steps // 20, 1))
    found = {"regret_since_shift": metrics.regret(reward[since], bounds["oracle"]["reward_since"])}
    if not np.isnan(steps):
        found["recovered"] = float(np.isfinite(steps))
    if np.isfinite(steps):
        found["recovery_steps"] = steps
    return found


def _strategy(name: str, pretrained: ItemPolicy | None, online: Online) -> Deployment:
    function: Any = get_strategy(name.removesuffix("-shuffled"))
    deployment: Deployment = function(pretrained, online)
    return deployment
