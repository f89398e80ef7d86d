"""Rivals of the learner on nothing but real users: a distilled actor, an ensemble, PPO."""

import math
from typing import Any

import numpy as np
import pytest
import torch

from simrec.agents.adapt import Online, get_strategy
from simrec.agents.distilled import Distil, Distilled
from simrec.agents.ensemble import MEMBERS, Ensemble
from simrec.agents.losses import distillation_loss, kl_divergence
from simrec.agents.replay import Replay
from simrec.deploy import Recorder, Tables, deploy
from tests.agent_worlds import (
    TABLE,
    checkerboard,
    favourites,
    make_env,
    make_spec,
    opinionated,
    parity_vectors,
    tensors,
)

LN2, LN3 = math.log(2), math.log(3)


def test_distillation_loss_by_hand() -> None:
    q = torch.tensor([[0.0, LN3, 9.0]])
    even = torch.tensor([[0.5, 0.5, 0.0]]).log()
    # 1/2 (-ln 2 - 0) + 1/2 (-ln 2 - ln 3); the masked item does not count
    assert float(distillation_loss(even, q, 1.0)) == pytest.approx(-LN2 - LN3 / 2)
    # at the softmax (1/4, 3/4) it has its least value, -ln(1 + 3)
    best = torch.tensor([[0.25, 0.75, 0.0]]).log()
    assert float(distillation_loss(best, q, 1.0)) == pytest.approx(-2 * LN2)
    # temperature 2: 2 (-ln 2) - ln 3 / 2
    assert float(distillation_loss(even, q, 2.0)) == pytest.approx(-2 * LN2 - LN3 / 2)


def made(kind: Any, luck: int = 1) -> Any:
    env = make_env(checkerboard())
    return kind(
        env.observation_space,
        env.action_space,
        lambda _: 1e-3,
        item_vectors=parity_vectors(),
        table_fingerprint=TABLE,
        width=8,
        free_vectors=True,
        luck=luck,
    )


def test_the_actor_comes_to_act_as_the_critic_would() -> None:
    policy = made(Distilled)
    opinionated(policy, 2, spread=0.3)
    policy.temperature.fill_(0.5)
    obs = tensors(make_env(checkerboard(), 64).reset())  # type: ignore[arg-type]
    rows = np.arange(64)
    nothing = torch.zeros(64, 1)
    batch = Replay(obs, nothing.long(), nothing, nothing, rows, rows)
    with torch.no_grad():
        q, _ = policy.scorer(obs, policy.vectors)
        masked = policy.logits(obs).isneginf()
        critic = (q / 0.5).masked_fill(masked, -torch.inf).log_softmax(-1)
        before = float(kl_divergence(policy.log_probs(obs), critic))
    teach = Distil()
    for _ in range(60):
        teach.learned(policy, batch)
    with torch.no_grad():
        after = float(kl_divergence(policy.log_probs(obs), critic))
    assert before > 0.1
    assert after < 0.1 * before


@pytest.mark.parametrize("rows", [1, 3, 9])
def test_each_row_is_scored_by_its_own_member(rows: int) -> None:
    policy = made(Ensemble)
    opinionated(policy, 3, spread=0.3)
    obs = tensors(make_env(checkerboard(), rows).reset())  # type: ignore[arg-type]
    items = torch.arange(rows).unsqueeze(1)
    with torch.no_grad():
        q, level = policy.scorer(obs, policy.vectors)
        at, level_at = policy.scorer.at(obs, policy.vectors, items)
        for row in range(rows):
            one = {key: value[row : row + 1] for key, value in obs.items()}
            expected, height = policy.scorer.scorers[row % MEMBERS](one, policy.vectors)
            torch.testing.assert_close(q[row : row + 1], expected)
            torch.testing.assert_close(level[row : row + 1], height)
            torch.testing.assert_close(at[row, 0], expected[0, row])
    torch.testing.assert_close(level_at, level)


def test_members_begin_with_different_guesses() -> None:
    policy = made(Ensemble)
    biases = [scorer.free_bias for scorer in policy.scorer.scorers]
    assert not torch.equal(biases[0], biases[1])
    trained = {id(p) for group in policy.optimizer.param_groups for p in group["params"]}
    assert trained == {id(p) for p in policy.scorer.parameters()}


def served(name: str, budget: int = 3200) -> Tables:
    recorder = Recorder(make_env(favourites(), 32), budget)
    spec = make_spec("kac", parity_vectors(), free=True)
    return deploy(get_strategy(name)(None, Online(spec, recorder, luck=5)), recorder)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["scratch-distilled", "scratch-ensemble", "scratch-pair", "ppo"])
def test_a_rival_learns_and_does_so_again(name: str) -> None:
    before = np.random.get_state()[1].copy()  # type: ignore[index, union-attr] # noqa: NPY002
    first = served(name)
    np.testing.assert_array_equal(before, np.random.get_state()[1])  # type: ignore[arg-type, index] # noqa: NPY002
    assert first.episodes.equals(served(name).episodes)
    reward = first.episodes["reward"].to_numpy()
    assert reward[-100:].mean() > reward[:100].mean() + 0.5
