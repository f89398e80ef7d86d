"""The rule of `ap` against numbers worked out on paper, and sums of rows against torch's own."""

from typing import Any

import numpy as np
import pytest
import torch

from simrec.agents.adapt import get_strategy
from simrec.agents.adaptive import Worth, centred, copy_encoder, guided_slots
from simrec.agents.learners import make_learner
from simrec.agents.policy import ItemPolicy
from simrec.agents.relabelled import relabelled
from simrec.agents.replay import Replay
from simrec.agents.strategy import Online
from simrec.deploy import Recorder, deploy
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


@pytest.mark.parametrize("name", ["ap", "ap-ann"])
def test_the_first_policy_is_pi_0(name: str) -> None:
    env = make_env(checkerboard(), 8)
    pretrained, spec = made(env, free=True)
    model: Any = get_strategy(name)(pretrained, Online(spec, env, luck=5)).recommender
    obs = tensors(env.reset())  # type: ignore[arg-type]
    with torch.no_grad():
        torch.testing.assert_close(model.policy.log_probs(obs), pretrained.log_probs(obs))


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


def test_the_encoder_alone_begins_as_scratch_does_and_reads_as_pi_0_does() -> None:
    env = make_env(checkerboard(), 8)
    pretrained, spec = made(env, free=True)
    online = Online(spec, env, luck=5)
    model: Any = get_strategy("ap-encoder")(pretrained, online).recommender
    scratch: Any = get_strategy("scratch")(pretrained, online).recommender
    obs = tensors(env.reset())  # type: ignore[arg-type]
    with torch.no_grad():
        torch.testing.assert_close(model.policy.log_probs(obs), scratch.policy.log_probs(obs))
        torch.testing.assert_close(
            model.policy.scorer.pool(obs, model.policy.vectors),
            pretrained.scorer.pool(obs, pretrained.vectors),
        )


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


def shown(obs: Any, items: list[list[int]], clicks: list[list[float]]) -> Replay:
    """The batch of one vector step."""
    n = len(items)
    return Replay(
        obs,
        torch.tensor(items),
        torch.tensor(clicks),
        torch.ones(n, len(items[0])),
        np.zeros(n, dtype=np.int64),
        np.arange(n),
    )


def test_what_pi_0_says_is_centred_over_the_catalogue() -> None:
    env = make_env(checkerboard(), 8)
    pretrained, _ = made(env, free=True)
    obs = tensors(env.reset())  # type: ignore[arg-type]
    found = centred(pretrained, obs).detach()
    with torch.no_grad():
        torch.testing.assert_close(found.mean(1), torch.zeros(8), atol=1e-5, rtol=0.0)
        unseen = pretrained.log_probs(obs).isfinite()
        sharp = (found / pretrained.temperature).masked_fill(~unseen, -torch.inf)
        torch.testing.assert_close(sharp.log_softmax(1), pretrained.log_probs(obs))


@pytest.mark.parametrize(("agrees", "wanted"), [(1.0, 1.0), (-1.0, 0.0)])
def test_alpha_is_the_weight_of_pi_0_in_the_stack_and_never_negative(
    agrees: float, wanted: float
) -> None:
    env = make_env(checkerboard(), 64)
    pretrained, spec = made(env, free=True)
    model: Any = get_strategy("ap")(pretrained, Online(spec, env, luck=5)).recommender
    rule, obs = Worth(), tensors(env.reset())  # type: ignore[arg-type]
    rng = np.random.default_rng(3)
    for _ in range(30):  # users click as pi_0's logits say, or as the opposite of them
        items = torch.as_tensor(rng.integers(0, 40, (64, 1)))
        z = centred(pretrained, obs).gather(1, items)
        clicks = torch.as_tensor(rng.random((64, 1))) < (agrees * z).sigmoid()
        steps = shown(obs, items.tolist(), clicks.float().tolist())
        if rule.rollouts == 0:
            rule.beginning(model.policy, steps)
        rule.held_out(model.policy, steps)
    rule.schedule(model.policy, 0.9)
    assert float(model.policy.alpha) == pytest.approx(wanted, abs=0.4)
    assert float(model.policy.alpha) == pytest.approx(max(0.0, rule.stack.beta))
    assert rule.stack.beta == pytest.approx(agrees, abs=0.4)


def test_every_eighth_slot_is_held_out_after_the_first_rollout() -> None:
    env = make_env(checkerboard(), 16)
    pretrained, spec = made(env, free=True)
    model: Any = get_strategy("ap")(pretrained, Online(spec, env, luck=5)).recommender
    obs = tensors(env.reset())  # type: ignore[arg-type]
    Worth().held_out(model.policy, shown(obs, [[1]] * 16, [[0.0]] * 16))
    with torch.no_grad():
        found, wanted = model.policy.log_probs(obs), pretrained.log_probs(obs)
    guided = torch.from_numpy(guided_slots(16))
    assert (~guided).nonzero().ravel().tolist() == [7, 15]
    torch.testing.assert_close(found[guided], wanted[guided])
    held = found[~guided].exp()
    unseen = held > 0  # without pi_0 and with q = 0, every unseen item is as likely
    torch.testing.assert_close(held, unseen / unseen.sum(1, keepdim=True).float())


def test_a_good_pi_0_keeps_its_place_longer_than_one_dealt_out_at_random() -> None:
    # pi_0 has learned the checkerboard; the same with its items dealt out anew knows nothing.
    teacher: Any = make_learner(
        make_spec("kac", parity_vectors()), make_env(checkerboard(), 32, seed=9), luck=1
    )
    teacher.learn(3200)
    found = {}
    for name in ("ap", "ap-random"):
        recorder = Recorder(make_env(checkerboard(), 32), 1600)
        spec = make_spec("kac", parity_vectors())
        tables = deploy(get_strategy(name)(teacher.policy, Online(spec, recorder, 5)), recorder)
        found[name] = tables.updates["alpha"].to_numpy()
        clicks = tables.episodes["reward"].to_numpy()
        early = clicks[tables.episodes["start_step"].to_numpy() == 0].mean()
        assert early > 8.0 if name == "ap" else early < 7.0  # of 10; blind choice finds 5
    assert found["ap"][:3].min() > 0.3
    assert found["ap-random"][1:].max() < found["ap"][:3].min()
