"""The rule of `ap` against numbers worked out on paper, and sums of rows against torch's own."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from simrec.agents.adapt import Online, get_strategy
from simrec.agents.adaptive import HoldOut, alpha_by_clicks, clearly_better, copy_encoder
from simrec.agents.policy import ItemPolicy
from simrec.agents.relabelled import relabelled
from simrec.agents.session_bandit import Returns
from tests.agent_worlds import (
    checkerboard,
    make_env,
    make_spec,
    opinionated,
    parity_vectors,
    tensors,
)


def made(env: Any, *, free: bool) -> tuple[ItemPolicy, Any]:
    spec = make_spec("kac", parity_vectors(), free=free)
    policy = ItemPolicy(env.observation_space, env.action_space, lambda _: 1e-3, **spec.policy)
    return opinionated(policy, 3, 0.3), spec


@pytest.mark.parametrize(
    ("clicks", "n_items", "wanted"),
    [(0, 40, 1.0), (5, 40, 0.75), (20, 40, 0.0), (21, 40, 0.0), (5, 400, 0.975)],
)
def test_the_prior_gives_way_to_clicks(clicks: float, n_items: int, wanted: float) -> None:
    assert alpha_by_clicks(clicks, n_items, 0.5) == pytest.approx(wanted)


def arm(*sessions: float) -> Returns:
    returns = Returns(keep=1.0)
    for clicks in sessions:
        returns.add(clicks)
    return returns


def test_clearly_better_by_hand() -> None:
    # Means 6 and 3, variances 1 and 1 over 4 sessions each: the error is sqrt(1/4 + 1/4) = .707,
    # and the gap of 3 is 4.24 of it.
    taught, held = arm(5, 7, 5, 7), arm(2, 4, 2, 4)
    assert clearly_better(taught, held, 4.2)
    assert not clearly_better(taught, held, 4.3)
    assert not clearly_better(held, taught, 0.0)


def test_alpha_falls_by_clicks_unless_the_guided_slots_earn_more() -> None:
    env = make_env(checkerboard(), 8)
    policy, _ = made(env, free=False)  # 40 items: alpha is 0 from 20 clicks on
    over, going = np.ones(8, dtype=np.bool_), np.zeros(8, dtype=np.bool_)
    alike = np.array([1.0, 0, 1, 0, 1, 0, 1, 1])
    better = np.array([5.0, 6, 5, 0, 6, 5, 6, 1])  # slots 3 and 7 are the hold-out

    def after(*steps: tuple[NDArray[Any], NDArray[np.bool_]]) -> float:
        rule = HoldOut(0.5, patience=2)
        for reward, done in steps:
            rule.outcome(policy, reward, done)
            rule.schedule(policy, 0.9)
        return rule.alpha

    assert after((alike, going), (alike, going)) == 1.0  # nobody has finished: nothing is known
    assert after((alike, over)) == pytest.approx(0.75)  # five clicks of twenty
    assert after((better, over)) == 1.0
    assert after((better, over), (better, going)) == 1.0
    # both arms alike from now on: once they are, clicks count, and alpha never rises again
    assert after((alike, over), (better, over)) == pytest.approx(0.75)
    assert float(policy.alpha) <= 0.75


def test_alpha_is_never_above_the_learners_own() -> None:
    policy, _ = made(make_env(checkerboard(), 8), free=False)
    policy.alpha.fill_(0.3)
    HoldOut().schedule(policy, 0.07)
    assert float(policy.alpha) == pytest.approx(0.3)


@pytest.mark.parametrize("name", ["ap", "ap-ann"])
def test_the_first_policy_is_pi_0(name: str) -> None:
    env = make_env(checkerboard(), 8)
    pretrained, spec = made(env, free=True)
    model: Any = get_strategy(name)(pretrained, Online(spec, env, luck=5)).recommender
    obs = tensors(env.reset())  # type: ignore[arg-type]
    with torch.no_grad():
        found, wanted = model.policy.log_probs(obs), pretrained.log_probs(obs)
    guided = torch.arange(8) % 4 != 3 if name == "ap" else torch.ones(8, dtype=torch.bool)
    torch.testing.assert_close(found[guided], wanted[guided])
    held = found[~guided].exp()
    unseen = held > 0  # without pi_0 and with q = 0, every unseen item is as likely
    torch.testing.assert_close(held, unseen / unseen.sum(1, keepdim=True).float())


def test_the_encoder_is_pi_0s_and_its_opinions_are_not_copied() -> None:
    env = make_env(checkerboard(), 8)
    pretrained, spec = made(env, free=True)
    model: Any = get_strategy("ap")(pretrained, Online(spec, env, luck=5)).recommender
    obs = tensors(env.reset())  # type: ignore[arg-type]
    with torch.no_grad():
        torch.testing.assert_close(
            model.policy.scorer.pool(obs, model.policy.vectors),
            pretrained.scorer.pool(obs, pretrained.vectors),
        )
        q, _ = model.policy.scorer(obs, model.policy.vectors)
    assert not q.any()


def test_an_encoder_of_dealt_out_items_misleads_on_the_real_table() -> None:
    env = make_env(checkerboard(), 8)
    pretrained, _ = made(env, free=True)
    dealt = relabelled(pretrained, 7)
    policy, _ = made(env, free=True)
    copy_encoder(dealt, policy)
    obs = tensors(env.reset())  # type: ignore[arg-type]
    obs["history"][:, -3:] = torch.arange(24).view(8, 3)
    with torch.no_grad():
        found = policy.scorer.pool(obs, policy.vectors)
        torch.testing.assert_close(found, dealt.scorer.pool(obs, dealt.vectors))
        honest = pretrained.scorer.pool(obs, pretrained.vectors)
    assert not torch.allclose(found, honest)
