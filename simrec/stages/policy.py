"""From preferences to a learned reward and a pretrained policy."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.callbacks import BaseCallback

from simrec.agents.device import device_of
from simrec.agents.ialp import pretrain
from simrec.agents.learners import Learner, LearnerSpec
from simrec.agents.policy import ItemPolicy
from simrec.agents.reward import Reward
from simrec.agents.reward_fit import RewardReport, fit_reward
from simrec.agents.two_level import TwoLevelPolicy
from simrec.envs.imagined import imagined_world
from simrec.envs.sb3 import SB3VecEnv
from simrec.envs.vector import RecommendVectorEnv
from simrec.envs.world import Rules, World
from simrec.files import atomic_file, check_archive, write_json
from simrec.interactions import Part
from simrec.items.table import ItemTable
from simrec.llm.quality import label_auc, user_auc
from simrec.metrics import auc
from simrec.preferences import PreferenceSet
from simrec.stages.inputs import Inputs, luck, read_stage
from simrec.stages.rounds import all_rounds, rounds_record, taught
from simrec.stages.tables import agent_table
from simrec.stages.teaching import Say, shuffled, teacher_measures, teacher_notes
from simrec.stages.world import load_world


@dataclass(frozen=True)
class PolicyFiles:
    """Where a seed's pretraining leaves its results."""

    policy: Path
    reward: Path
    report: Path  # written last: its presence says that the others are whole

    @property
    def ready(self) -> bool:
        """Whether the pretraining is done."""
        return self.report.is_file()


def policy_files(inputs: Inputs, seed: int, is_shuffled: bool) -> PolicyFiles:
    """Return the files of a seed's pretraining with the teacher's, or with shuffled, labels."""
    name = f"{'shuffled' if is_shuffled else 'pretrained'}-seed-{seed}"
    key = inputs.policy_key(seed, is_shuffled)
    return PolicyFiles(
        inputs.stage_file(name, key, ".zip"),
        inputs.stage_file(name, key, ".pt"),
        inputs.stage_file(name, key, ".json"),
    )


def learner_spec(inputs: Inputs, table: ItemTable, settings: dict[str, Any]) -> LearnerSpec:
    """Return the learner of the study with `settings` on top of the study's own."""
    learner = inputs.config.learner
    policy = {
        "item_vectors": table.fused,
        "table_fingerprint": table.fingerprint,
        "width": learner.width,
        "free_vectors": learner.free_vectors,
        "free_decay": learner.free_decay,
    }
    whole = {**learner.settings, **settings}
    return LearnerSpec(learner.name, policy, whole, learner.policy, learner.device)


def _device(inputs: Inputs) -> torch.device:
    learner = inputs.config.learner
    return device_of(learner.device, learner.name, learner.policy)


class Progress(BaseCallback):
    """Tells a function how many env steps were made."""

    def __init__(self, advance: Callable[[int], None]) -> None:
        super().__init__()
        self.advance = advance

    def _on_step(self) -> bool:
        self.advance(self.training_env.num_envs)
        return True


def pretrain_policy(
    inputs: Inputs, seed: int, is_shuffled: bool, advance: Callable[[int], None], say: Say
) -> None:
    """Elicit preferences, fit r_psi, pretrain pi_0 in the imagined world and write all three.

    With several rounds the policy of each chooses candidates of the next, and what is written comes
    from the answers of all. The control with shuffled labels gets the same questions.
    """
    files = policy_files(inputs, seed, is_shuffled)
    steps = inputs.config.pretrain.env_steps
    table = agent_table(inputs)
    done = 0

    def train(answers: PreferenceSet) -> ItemPolicy:
        nonlocal done
        done += 1
        before = (lambda n: None) if is_shuffled else advance
        return _distil(inputs, seed, table, answers, before)[0].policy

    rounds = all_rounds(inputs, seed, table, train, say)
    if not is_shuffled:
        advance(steps * (len(rounds) - 1 - done))  # rounds that were asked in an earlier run
    answers = taught(inputs, seed, rounds)
    labels = shuffled(answers, seed) if is_shuffled else answers
    model, reward, report = _distil(inputs, seed, table, labels, advance)
    reward.save(files.reward)
    with atomic_file(files.policy) as temporary:
        model.policy.save(str(temporary))
    write_json(
        files.report,
        {
            "reward": report.as_dict(),
            "teacher": teacher_notes(inputs, answers),
            "llm": {
                "questions": len(answers),
                "answered": report.questions,
                **(teacher_measures(inputs, seed) or {}),
                **rounds_record(inputs, seed, rounds),
            },
            "people": human_agreement(inputs, reward, answers),
        },
    )


def _distil(
    inputs: Inputs,
    seed: int,
    table: ItemTable,
    labels: PreferenceSet,
    advance: Callable[[int], None],
) -> tuple[Learner, Reward, RewardReport]:
    """Fit r_psi to a teacher's answers and pretrain a policy in the world it imagines."""
    config = inputs.config
    reward, report = fit_reward(
        labels,
        table.fused,
        luck=luck(seed, "reward"),
        width=config.learner.width,
        free_vectors=config.learner.free_vectors,
        device=_device(inputs),
        **config.reward.model_dump(),
    )
    world = imagine(inputs, reward, load_world(inputs))
    env = SB3VecEnv(
        RecommendVectorEnv(world, config.pretrain.n_envs, slate_size=config.online.slate_size)
    )
    env.seed(luck(seed, "imagined"))
    model = pretrain(
        learner_spec(inputs, table, config.pretrain.settings),
        reward,
        env,
        env_steps=config.pretrain.env_steps,
        luck=luck(seed, "pretrain"),
        anchor_temperature=config.pretrain.anchor_temperature,
        callback=Progress(advance),
    )
    return model, reward, report


def imagine(inputs: Inputs, reward: Reward, real: World) -> World:
    """Return the imagined world: teacher users whose taste is r_psi, under assumed rules.

    Of the real world only what anybody can see is used: the topics of items, the horizon and the
    rule of leaving. Its users and its boredom are not.
    """
    rules = inputs.config.world
    items, liked = inputs.starts
    users = np.flatnonzero(~inputs.split.online)
    return imagined_world(
        reward.cautious,
        items[users],
        liked[users],
        real.topics,
        Rules(
            horizon=rules.horizon,
            patience=rules.patience,
            boredom=inputs.config.pretrain.boredom,
            window=rules.window,
        ),
    )


def human_agreement(inputs: Inputs, reward: Reward, answers: PreferenceSet) -> dict[str, Any]:
    """Return how well teacher and r_psi agree with people, for reporting only.

    Labels of people come from the realism part of online users, which nothing was fitted on.
    """
    log, split = inputs.dataset.log, inputs.split
    like_at = inputs.config.data.like_at
    judge = log.select(split.part == Part.REALISM)
    teacher = asdict(label_auc(answers, judge, like_at=like_at))
    rows = np.flatnonzero((split.part == Part.REALISM) & split.online[log.user])
    items, liked = inputs.starts
    users, place = np.unique(log.user[rows], return_inverse=True)
    if not len(users):
        return {"teacher": teacher}
    scores = reward.predict(items[users], liked[users])[place, log.item[rows]]
    truth = log.feedback[rows] >= like_at
    return {
        "teacher": teacher,
        "reward_auc": auc(truth, scores),
        "reward_user_auc": user_auc(log.user[rows].astype(np.int64), truth, scores)[0],
        "reward_auc_pairs": len(rows),
    }


def load_policy(inputs: Inputs, seed: int, is_shuffled: bool) -> ItemPolicy:
    """Return pi_0 of a seed."""
    path = policy_files(inputs, seed, is_shuffled).policy
    check_archive(path)
    kind: Any = TwoLevelPolicy if inputs.config.learner.policy == "two-level" else ItemPolicy
    policy: ItemPolicy = kind.load(str(path), device=_device(inputs))
    policy.set_training_mode(False)
    return policy


def load_report(inputs: Inputs, seed: int, is_shuffled: bool) -> dict[str, Any]:
    """Return what pretraining reported."""
    return read_stage(policy_files(inputs, seed, is_shuffled).report)
