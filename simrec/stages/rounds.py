"""Rounds of asking: each pretrained policy chooses what the teacher is asked about next.

That is the "interaction-augmented" part of iALP as this project reconstructs it: a reward fitted to
one set of candidates is wrong exactly where a policy that trusts it goes, so the teacher is asked
there, the reward is fitted to all answers and the policy is pretrained anew.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from simrec.agents.policy import ItemPolicy
from simrec.files import atomic_file, check_archive
from simrec.items.table import ItemTable
from simrec.llm.candidates import PolicySample
from simrec.llm.degrade import Doses, degrade
from simrec.llm.tally import Spent
from simrec.preferences import PreferenceSet
from simrec.randomness import generator
from simrec.stages.inputs import Inputs
from simrec.stages.locks import one_at_a_time
from simrec.stages.teaching import (
    Say,
    measures_of,
    preferences,
    preferences_path,
    refresh_questions,
    refreshed,
)

Train = Callable[[PreferenceSet], ItemPolicy]


def round_path(inputs: Inputs, seed: int, number: int) -> Path:
    """Return where the answers of a round are, or will be; rounds count from 1."""
    if number == 1:
        return preferences_path(inputs, seed)
    name = f"preferences-seed-{seed}-round-{number}"
    return inputs.stage_file(name, inputs.round_key(seed, number), ".parquet")


def all_rounds(
    inputs: Inputs, seed: int, table: ItemTable, train: Train, say: Say
) -> list[PreferenceSet]:
    """Return the answers of every round, asking what was not asked yet.

    Args:
        inputs: The study.
        seed: One of its seeds.
        table: Its item table.
        train: Distils answers into a policy; called for rounds that were not asked yet only.
        say: Told each sentence the user should read.
    """
    rounds = [preferences(inputs, seed, table, say)]
    for number in range(2, inputs.config.teacher.rounds + 1):
        path = round_path(inputs, seed, number)
        with one_at_a_time(path.with_name(f"rounds-seed-{seed}.lock")):
            if path.is_file():
                rounds.append(PreferenceSet.load(path))
                continue
            before = union(rounds)
            policy = _policy(inputs, seed, number, partial(train, taught(inputs, seed, rounds)))
            asked = refresh_questions(inputs, seed, number, table, sampler(inputs, policy), before)
            rounds.append(refreshed(inputs, seed, asked, rounds[0], path, say))
    return rounds


def asked_rounds(inputs: Inputs, seed: int) -> dict[int, PreferenceSet]:
    """Return the answers of every round that was asked already, by its number."""
    paths = {n: round_path(inputs, seed, n) for n in range(1, inputs.config.teacher.rounds + 1)}
    return {n: PreferenceSet.load(path) for n, path in paths.items() if path.is_file()}


def _policy(inputs: Inputs, seed: int, number: int, train: Callable[[], ItemPolicy]) -> ItemPolicy:
    """Return the policy that chooses a round's candidates, trained once and kept."""
    key = inputs.round_key(seed, number)
    path = inputs.stage_file(f"asking-seed-{seed}-round-{number}", key, ".zip")
    if not path.is_file():
        with atomic_file(path) as temporary:
            train().save(str(temporary))
    check_archive(path)
    policy = ItemPolicy.load(str(path), device="cpu")
    assert isinstance(policy, ItemPolicy)
    policy.set_training_mode(False)
    return policy


def union(rounds: Sequence[PreferenceSet]) -> PreferenceSet:
    """Return the answers of all rounds, in order."""
    return PreferenceSet(tuple(answer for answers in rounds for answer in answers))


def doses_of(inputs: Inputs) -> Doses:
    """Return how much of the study's teacher is spoilt."""
    teacher = inputs.config.teacher
    return Doses(teacher.shuffled_labels, teacher.popularity_labels, teacher.label_noise)


def taught(inputs: Inputs, seed: int, rounds: Sequence[PreferenceSet]) -> PreferenceSet:
    """Return the answers of all rounds as they teach: spoilt where the study says so.

    What was asked and answered stays in its files, so studies that differ in doses ask once.
    """
    doses = doses_of(inputs)
    if not doses:
        return rounds[0] if len(rounds) == 1 else union(rounds)
    return union(
        [
            degrade(answers, doses, inputs.popularity, generator(seed, "degrade", number))
            for number, answers in enumerate(rounds, start=1)
        ]
    )


def sampler(inputs: Inputs, policy: ItemPolicy) -> PolicySample:
    """Return a function that draws from a policy where a session with that history would begin.

    All items come back in an order drawn without replacement: keys are log pi plus Gumbel noise.
    """
    space: Any = policy.observation_space
    length = space["history"].shape[0]
    known = inputs.config.split.history

    def draw(
        items: NDArray[np.int64], liked: NDArray[np.float32], count: int, rng: np.random.Generator
    ) -> NDArray[np.int64]:
        seen, said = items[-known:], liked[-known:]
        history = np.full((1, length), -1, dtype=np.int64)
        feedback = np.zeros((1, length), dtype=np.float32)
        history[0, length - len(seen) :] = seen
        feedback[0, length - len(seen) :] = said
        obs = {
            "history": torch.as_tensor(history),
            "feedback": torch.as_tensor(feedback),
            "step": torch.zeros(1, 1, dtype=torch.long),
        }
        with torch.no_grad():
            log_probs = policy.log_probs(obs)[0].double().numpy()
        keys = log_probs + rng.gumbel(size=len(log_probs))
        return np.argsort(-keys, kind="stable")

    return draw


def rounds_record(inputs: Inputs, seed: int, rounds: Sequence[PreferenceSet]) -> dict[str, Any]:
    """Return what a run record says of the rounds; nothing where there is one.

    What the answers cost is the sum over rounds; whatever else was measured is the first round's.
    """
    if len(rounds) == 1:
        return {}
    spent = Spent()
    content: dict[str, Any] = {"rounds": []}
    for number, answers in enumerate(rounds, start=1):
        measures = measures_of(round_path(inputs, seed, number))
        content["rounds"].append({"questions": len(answers), "like_rate": like_rates(answers)})
        if measures:
            spent.add(Spent(**measures["spent"]))
            content["spent"] = asdict(spent)
    return content


def like_rates(answers: PreferenceSet) -> dict[str, float]:
    """Return the share of judged candidates the teacher liked, by where they came from."""
    source = [name for answer in answers for name in answer.question.sources]
    none = np.zeros(0, dtype=np.float32)
    score = np.concatenate([*(answer.score for answer in answers), none])
    liked = np.concatenate([*(answer.liked for answer in answers), none.astype(np.bool_)])
    judged = np.isfinite(score)
    named = np.array(source, dtype=np.str_)
    return {
        name: float(liked[judged & (named == name)].mean())
        for name in sorted(set(named[judged].tolist()))
    }
