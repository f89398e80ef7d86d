"""Two policies in one: the closed form of the gate, shares, sessions and their bandit."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from simrec.agents.adapt import Online, get_strategy
from simrec.agents.expansion import Gated, Mixture, frozen_share, gated_log_probs
from simrec.agents.kac import KAC
from simrec.agents.losses import advantage_weighted_loss
from simrec.agents.policy import ItemPolicy
from simrec.agents.session_bandit import BySession, Returns, Verdicts
from simrec.deploy import Recorder, deploy
from tests.agent_worlds import (
    checkerboard,
    make_env,
    make_spec,
    opinionated,
    parity_vectors,
    tensors,
)

LN2, LN3 = float(np.log(2)), float(np.log(3))


def expanded(policy_class: type[Mixture], n_envs: int = 32) -> tuple[Any, Any]:
    """Return a policy with random weights and another as its pi_0, and first observations."""
    env = make_env(checkerboard(), n_envs)
    arguments: Any = make_spec("kac", parity_vectors()).policy
    space = (env.observation_space, env.action_space, lambda _: 1e-3)
    policy = policy_class(*space, **arguments, prior=arguments, luck=3)
    opinionated(policy, 1)
    assert policy.prior is not None
    opinionated(policy.prior, 2)
    policy.alpha.fill_(0.0)
    return policy, env.reset()


# ---- the gate ----


def test_gated_mixture_by_hand() -> None:
    # pi_0 = (1/2, 1/2), pi = (1, 0), q = (ln 3, 0), T = 1; s(0) = 1/2, s(ln 3) = 3/4.
    # a = 0: pi_0(0) E_pi[g(0, b)] + pi(0) E_pi0[g(0, b)] = 1/2 * 1/2 + 1/2 * 1/2 + 1/2 * 3/4 = 7/8
    # a = 1: pi_0(1) E_pi[g(1, b)] = 1/2 * 1/4 = 1/8
    old = torch.tensor([[-LN2, -LN2]])
    new = torch.tensor([[0.0, -torch.inf]])
    mu = gated_log_probs(old, new, torch.tensor([[LN3, 0.0]]), 1.0).exp()
    assert mu.tolist() == [pytest.approx([7 / 8, 1 / 8])]


def test_gated_mixture_without_a_difference_is_the_mean() -> None:
    old = torch.log_softmax(torch.randn(3, 5, generator=torch.Generator().manual_seed(0)), -1)
    new = torch.log_softmax(torch.randn(3, 5, generator=torch.Generator().manual_seed(1)), -1)
    mu = gated_log_probs(old, new, torch.zeros(3, 5), 1.0).exp()
    torch.testing.assert_close(mu, (old.exp() + new.exp()) / 2)


def test_the_closed_form_of_the_gate_matches_what_is_drawn() -> None:
    # 32 states drawn 1,500 times each: 48,000 draws. Counts are summed over states, so the
    # standard error of an item's share is below sqrt(.25 / 48,000) = .0023; 5 of them: .0115.
    policy, obs = expanded(Gated)
    policy.gate_temperature = 0.5
    with torch.no_grad():
        state = tensors(obs)
        q, _ = policy.scorer(state, policy.vectors)
        mu = gated_log_probs(
            policy.prior.log_probs(state), policy.new_logits(state, q).log_softmax(-1), q, 0.5
        ).exp()
    assert torch.allclose(mu.sum(1), torch.ones(32), atol=1e-5)
    drawn = np.stack([policy.predict(obs)[0] for _ in range(1500)])
    share = np.bincount(drawn.ravel(), minlength=40) / drawn.size
    np.testing.assert_allclose(share, mu.mean(0).numpy(), atol=0.0115)
    # and the gate matters: without it the mixture would be another one
    plain = (policy.prior.log_probs(state).exp() + policy.log_probs(state).exp()) / 2
    assert float((mu - plain).abs().max().detach()) > 0.05


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_the_share_of_frozen_actions_is_what_was_asked_for(share: float) -> None:
    policy, obs = expanded(Mixture)
    policy.new_share = share
    for _ in range(200):
        policy.predict(obs)
    # 6,400 draws: standard error .0054 at a quarter
    assert frozen_share(policy)["frozen_share"] == pytest.approx(1 - share, abs=0.02)
    assert policy.shown == 0


def test_expanded_policies_show_unseen_items_only() -> None:
    for policy_class in (Mixture, Gated, BySession):
        policy, obs = expanded(policy_class)
        for _ in range(20):
            found, _ = policy.predict(obs)
            assert not (obs["history"] == found[:, None]).any()


# ---- sessions ----


def test_a_session_keeps_its_arm_and_a_new_one_draws_again() -> None:
    policy, obs = expanded(BySession)
    policy.predict(obs)
    first = policy.arm.copy()
    assert 0 < first.sum() < 32
    obs = {**obs, "step": np.ones_like(obs["step"])}
    for _ in range(5):
        policy.predict(obs)
    assert (policy.arm == first).all()
    obs["step"][:16] = 0
    policy.predict(obs)
    assert (policy.arm[16:] == first[16:]).all()
    assert (policy.arm[:16] != first[:16]).any()


def test_the_bandit_prefers_the_arm_that_earned_more() -> None:
    policy, obs = expanded(BySession)
    hear = Verdicts()
    for _ in range(200):  # the new policy earns 3 clicks a session, pi_0 one
        policy.predict(obs)
        hear.outcome(policy, np.where(policy.arm, 3.0, 1.0), np.ones(32, dtype=np.bool_))
    policy.predict(obs)
    assert policy.arm.mean() > 0.9


def test_returns_by_hand() -> None:
    # clicks 2 then 4, each worth half of the next: n = 1.5, total = 5, mean 10/3
    returns = Returns(keep=0.5)
    returns.add(2.0)
    returns.add(4.0)
    assert (returns.n, returns.total, returns.squares) == (1.5, 5.0, 18.0)
    returns = Returns(keep=1.0)
    for clicks in (2.0, 4.0):
        returns.add(clicks)
    # mean 3, variance 1, two sessions: draws are normal with sd sqrt(1/2)
    draws = returns.draw(np.random.default_rng(0), 20_000)
    assert draws.mean() == pytest.approx(3.0, abs=0.02)
    assert draws.std() == pytest.approx(0.5**0.5, abs=0.02)


# ---- advantage-weighted regression ----


def test_advantage_weighted_loss_by_hand() -> None:
    log_prob = torch.tensor([-1.0, -2.0, -1.0])
    advantage = torch.tensor([0.0, LN2, 10.0])
    # weights 1, 2 and, capped, 4: (1 * 1 + 2 * 2 + 4 * 1) / 3
    assert float(advantage_weighted_loss(log_prob, advantage, 1.0, 4.0)) == pytest.approx(3.0)
    # at temperature 1/2 the second weight is 4: (1 + 8 + 4) / 3
    assert float(advantage_weighted_loss(log_prob, advantage, 0.5, 4.0)) == pytest.approx(13 / 3)
    # nobody better than another: plain imitation
    assert float(advantage_weighted_loss(log_prob, torch.zeros(3), 1.0, 4.0)) == pytest.approx(
        4 / 3
    )


# ---- while learning ----


@pytest.mark.parametrize(
    ("name", "first", "last"),
    [("ap-pex", None, None), ("ap-mix-anneal", 1.0, 0.0), ("ft-warm-critic", 1.0, 0.0)],
)
def test_the_share_of_frozen_actions_is_in_the_updates_table(
    name: str, first: float | None, last: float | None
) -> None:
    recorder = Recorder(make_env(checkerboard(), 32), 3200)
    spec = make_spec("kac", parity_vectors(), rollout_steps=4)
    pretrained = opinionated(
        ItemPolicy(
            recorder.observation_space, recorder.action_space, lambda _: 1e-3, **spec.policy
        ),
        1,
        spread=0.2,
    )
    updates = deploy(
        get_strategy(name)(pretrained, Online(spec, recorder, luck=5)), recorder
    ).updates
    share = updates["frozen_share"].to_numpy()
    assert ((share >= 0) & (share <= 1)).all()
    if first is not None:
        assert share[0] == pytest.approx(first, abs=0.1)
        assert share[-1] == last
    else:
        assert 0.2 < share[0] < 0.8  # nothing is known yet: a fair coin


@pytest.mark.parametrize("name", ["ap-pex", "ap-awr", "ap-bandit", "ap-evidence", "rollback"])
def test_a_learner_with_a_strategy_can_be_saved_and_loaded(name: str, tmp_path: Path) -> None:
    env = make_env(checkerboard(), 32)
    spec = make_spec("kac", parity_vectors(), rollout_steps=4)
    pretrained = opinionated(
        ItemPolicy(env.observation_space, env.action_space, lambda _: 1e-3, **spec.policy), 1
    )
    model: Any = get_strategy(name)(pretrained, Online(spec, env, luck=5)).recommender
    model.learn(640)
    model.save(tmp_path / "model.zip")
    again = KAC.load(tmp_path / "model.zip", env=make_env(checkerboard(), 32))
    assert type(again.policy) is type(model.policy)
    assert type(again.adaptation) is type(model.adaptation)
    for key, value in model.policy.state_dict().items():
        assert torch.equal(value, again.policy.state_dict()[key]), key
    again.learn(256)
