"""Two critics that act by their mean and learn apart, with and without pi_0."""

from typing import Any

import numpy as np
import pytest
import torch

from simrec.agents.adapt import get_strategy
from simrec.agents.adaptive import Worth, centred, guided_slots
from simrec.agents.averaged import Pair, cooler
from simrec.agents.gradient import click_gradient
from simrec.agents.policy import ItemPolicy
from simrec.agents.replay import Replay
from simrec.agents.strategy import Online
from simrec.errors import SimrecError
from tests.agent_worlds import (
    checkerboard,
    make_env,
    make_spec,
    opinionated,
    parity_vectors,
    tensors,
)


def made(encoder: str = "pooled") -> tuple[Any, Any]:
    """A learner whose two critics have opinions of their own, and what it sees first."""
    env = make_env(checkerboard(), 16)
    spec = make_spec("kac", parity_vectors(), free=True)
    spec.settings["encoder"] = encoder
    model: Any = get_strategy("scratch-pair")(None, Online(spec, env, luck=5)).recommender  # type: ignore[arg-type]
    opinionated(model.policy, 3, spread=0.3)
    return model, tensors(env.reset())  # type: ignore[arg-type]


def test_scores_and_level_are_means() -> None:
    model, obs = made()
    items = torch.arange(16).unsqueeze(1)
    with torch.no_grad():
        found = model.policy.scorer(obs, model.policy.vectors)
        at = model.policy.scorer.at(obs, model.policy.vectors, items)
        one, other = (c(obs, model.policy.vectors) for c in model.policy.critics())
    assert not torch.allclose(one[0], other[0])
    for mean, a, b in zip(found, one, other, strict=True):
        torch.testing.assert_close(mean, (a + b) / 2)
    torch.testing.assert_close(at[0], found[0].gather(1, items))
    torch.testing.assert_close(at[1], found[1])


@pytest.mark.parametrize("encoder", ["pooled", "gru"])
def test_each_critic_learns_as_if_it_were_alone(encoder: str) -> None:
    model, obs = made(encoder)
    rng, n = np.random.default_rng(2), 16
    items = torch.as_tensor(rng.integers(0, 40, (n, 1)))
    clicks = torch.as_tensor(rng.integers(0, 2, (n, 1))).float()
    batch = Replay(obs, items, clicks, torch.ones(n, 1), np.zeros(n, dtype=np.int64), np.arange(n))
    loss, alone = model._gradient(batch), []
    for critic in model.policy.critics():
        found = {name: p.grad.clone() for name, p in critic.named_parameters()}
        critic.zero_grad()
        if encoder == "pooled":
            own = click_gradient(critic, obs, model.policy.vectors, items, clicks, batch.fresh)
        else:
            q, level = critic.at(obs, model.policy.vectors, items)
            of_all = torch.nn.functional.binary_cross_entropy_with_logits(
                q + level.unsqueeze(1), clicks
            )
            of_all.backward()
            own = float(of_all.detach())
        alone.append(own)
        for name, p in critic.named_parameters():
            torch.testing.assert_close(found[name], p.grad)
    assert loss == pytest.approx(sum(alone) / 2)
    assert alone[0] != pytest.approx(alone[1])


def test_both_critics_are_in_the_optimizer_and_begin_apart() -> None:
    env = make_env(checkerboard(), 8)
    spec = make_spec("kac", parity_vectors(), free=True)
    policy: Pair = Pair(env.observation_space, env.action_space, lambda _: 1e-3, **spec.policy)
    trained = {id(p) for group in policy.optimizer.param_groups for p in group["params"]}
    assert trained == {id(p) for p in policy.scorer.parameters()}
    one, other = policy.critics()
    assert not torch.equal(one.skip.weight, other.skip.weight)
    with torch.no_grad():  # and neither has an opinion
        q, _ = policy.scorer(tensors(env.reset()), policy.vectors)  # type: ignore[arg-type]
    assert not q.any()


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        ({}, 0.1),  # KAC's own 0.2, halved
        ({"temperature": 0.4}, 0.2),
        ({"temperature": 0.12, "final_temperature": 0.1}, 0.1),  # not below the last
    ],
)
def test_a_pair_begins_half_as_hot(settings: dict[str, float], wanted: float) -> None:
    env = make_env(checkerboard(), 8)
    spec = make_spec("kac", parity_vectors())
    spec.settings.clear()
    spec.settings.update(settings)
    assert cooler(Online(spec, env, luck=1)) == {"temperature": pytest.approx(wanted)}


def test_a_pair_refuses_a2c_in_a_sentence() -> None:
    env = make_env(checkerboard(), 8)
    with pytest.raises(SimrecError, match="steps into learner 'kac', got learner 'a2c'"):
        get_strategy("scratch-pair")(None, Online(make_spec("a2c", parity_vectors()), env, 1))  # type: ignore[arg-type]


def guided_pair(slots: int) -> tuple[Any, ItemPolicy, Any]:
    """A learner that ap-pair begins with, pi_0, and what both see first."""
    env = make_env(checkerboard(), slots)
    spec = make_spec("kac", parity_vectors(), free=True)
    pretrained = ItemPolicy(env.observation_space, env.action_space, lambda _: 1e-3, **spec.policy)
    opinionated(pretrained, 3, 0.3)
    model: Any = get_strategy("ap-pair")(pretrained, Online(spec, env, luck=5)).recommender
    return model, pretrained, tensors(env.reset())  # type: ignore[arg-type]


def test_neither_critic_has_anything_of_pi_0() -> None:
    model, pretrained, obs = guided_pair(8)
    for critic in model.policy.critics():
        with torch.no_grad():
            assert not critic(obs, model.policy.vectors)[0].any()
        for name, weight in critic.pool.state_dict().items():
            if weight.any():
                assert not torch.equal(weight, pretrained.scorer.pool.state_dict()[name]), name


def test_after_the_first_rollout_every_eighth_slot_acts_by_the_mean_alone() -> None:
    model, pretrained, obs = guided_pair(16)
    opinionated(model.policy, 4, 0.3)
    policy, nothing, rows = model.policy, torch.zeros(16, 1), np.arange(16)
    policy.alpha.fill_(0.7)
    batch = Replay(obs, nothing.long() + 1, nothing, nothing + 1.0, rows * 0, rows)
    Worth().held_out(policy, batch)
    guided = torch.from_numpy(guided_slots(16))
    assert (~guided).nonzero().ravel().tolist() == [7, 15]
    with torch.no_grad():
        found = policy.log_probs(obs)
        one, other = (critic(obs, policy.vectors)[0] for critic in policy.critics())
        z = centred(pretrained, obs)
    own = ((one + other) / 2 / policy.temperature).masked_fill(found.isneginf(), -torch.inf)
    wanted = torch.where(guided.unsqueeze(1), own + 0.7 * z / pretrained.temperature, own)
    torch.testing.assert_close(found, wanted.log_softmax(1))
