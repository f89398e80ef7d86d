"""One run: a strategy or control meets the users of one seed."""

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from simrec import records
from simrec.agents.adapt import get_strategy
from simrec.agents.device import device_of
from simrec.agents.policy import ItemPolicy
from simrec.agents.propensity import chances_of
from simrec.agents.saved import save_policy
from simrec.agents.strategy import STRATEGIES, Deployment, Online
from simrec.agents.two_level import TwoLevelPolicy
from simrec.checkpoint import Checkpoint, code_fingerprint
from simrec.deploy import Recorder, Underway, UpdateLog, go_on
from simrec.envs.sb3 import SB3VecEnv
from simrec.envs.vector import RecommendVectorEnv
from simrec.envs.world import World
from simrec.files import fingerprint
from simrec.items.table import ItemTable
from simrec.snapshots import Snapshots
from simrec.stages.controls import CONTROLS, Setting
from simrec.stages.inputs import Inputs, luck
from simrec.stages.noted import FrozenShare, measures
from simrec.stages.policy import learner_spec, load_policy, load_report
from simrec.stages.tables import agent_table
from simrec.stages.world import load_bounds, load_world, teacher_of


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
        fingerprint(
            inputs.run_key(name, seed),
            records.current_versions(),
            code_fingerprint(Path(__file__).parents[1]),
            *_card_of(inputs, name),
        ),
        {"world": world},
    )
    underway = checkpoint.load()
    if underway is None:
        underway = _begin(inputs, name, seed, world, table)
    underway.recorder.on_steps = advance
    if online.propensities:
        underway.recorder.chances = chances_of(underway.deployment.recommender)
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
            variant={"learner": config.learner.name, "learns": deployment.learns, **_card(acting)},
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
            | {
                "measures": measures(underway, tables, inputs, load_bounds(inputs)),
                "snapshots": underway.snapshots.rows if underway.snapshots is not None else [],
            },
        ),
        **{field.name: getattr(tables, field.name) for field in dataclasses.fields(tables)},
    )
    checkpoint.clear()


def _card_of(inputs: Inputs, name: str) -> list[str]:
    """Return the card a run is on, if any: what was begun on one is not gone on with elsewhere."""
    learner = inputs.config.learner
    device = device_of(learner.device, "ppo" if name == "ppo" else learner.name, learner.policy)
    return [] if device.type == "cpu" else [str(device)]


def _card(acting: Any) -> dict[str, str]:
    """Return the card a policy was on; nothing for the CPU, which needs no word."""
    device = getattr(acting, "device", None)
    return {} if device is None or device.type == "cpu" else {"device": str(device)}


def _begin(inputs: Inputs, name: str, seed: int, world: World, table: ItemTable) -> Underway:
    """Return the deployment of a strategy or control before its first user."""
    online = inputs.config.online
    venv = SB3VecEnv(RecommendVectorEnv(world, online.n_envs, slate_size=online.slate_size))
    venv.seed(luck(seed, "online"))  # the same users with the same luck under every strategy
    recorder = Recorder(venv, online.env_steps)
    probe = None
    if name in CONTROLS:
        deployment = CONTROLS[name].make(Setting(inputs, seed, venv.vector_env, table))
    else:
        spec = learner_spec(inputs, table, {})
        labels = needs_pretraining(name)
        pretrained = load_policy(inputs, seed, labels == "shuffled") if labels else None
        if pretrained is not None:  # made in the imagined world, where every item is on offer
            pretrained.observation_space = venv.observation_space
        deployment = _strategy(name, pretrained, Online(spec, recorder, luck(seed, "strategy")))
        probe = FrozenShare(pretrained) if pretrained is not None else None
    snapshots = Snapshots(
        world,
        online.n_envs,
        online.slate_size,
        luck(seed, "snapshots"),
        online.env_steps,
        online.snapshot_sessions,
    )
    return Underway(deployment, recorder, UpdateLog(probe), snapshots)


def _strategy(name: str, pretrained: ItemPolicy | None, online: Online) -> Deployment:
    function: Any = get_strategy(name.removesuffix("-shuffled"))
    deployment: Deployment = function(pretrained, online)
    return deployment
