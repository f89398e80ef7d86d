"""What sets each variant of ft and ap apart, against numbers worked out on paper."""

import math
from typing import Any

import numpy as np
import pytest
import torch

from simrec.agents.adapt import Online, get_strategy
from simrec.agents.fine_tuning import HeldSharpness, Repair, temperature_for
from simrec.agents.learners import make_learner
from simrec.agents.losses import click_loss, entropy
from simrec.agents.policy import ItemPolicy
from simrec.agents.priors import AnnealedPenalty, evidence_alpha, shifted_loss
from simrec.agents.relabelled import relabelled
from simrec.deploy import Recorder, Tables, deploy
from tests.agent_worlds import (
    checkerboard,
    make_env,
    make_spec,
    opinionated,
    parity_vectors,
    tensors,
)

SPACE = make_env(checkerboard(), 2)
LN2, LN3 = math.log(2), math.log(3)


def policy(luck: int = 1, *, free: bool = False, prior: bool = False) -> ItemPolicy:
    arguments: Any = make_spec("kac", parity_vectors(), free=free).policy
    if prior:
        arguments = {**arguments, "prior": arguments}
    made = ItemPolicy(
        SPACE.observation_space, SPACE.action_space, lambda _: 1e-3, luck=luck, **arguments
    )
    return opinionated(made, luck, 0.3)


def states() -> Any:
    return tensors(make_env(checkerboard(), 32).reset())  # type: ignore[arg-type]


# ---- sharpness ----


def test_the_temperature_found_gives_the_entropy_asked_for() -> None:
    one, obs = policy(), states()
    for nats in (1.0, 2.0, 3.0):
        one.temperature.fill_(temperature_for(one, obs, nats))
        assert float(entropy(one.log_probs(obs)).detach()) == pytest.approx(nats, abs=1e-3)
    # 36 unseen items: ln 36 nats at most, so 5 is out of reach and the end of the range is given
    assert temperature_for(one, obs, 5.0) == pytest.approx(1e3, rel=1e-3)


def test_held_sharpness_goes_back_to_the_temperature_of_ft() -> None:
    one, held = policy(prior=True), HeldSharpness(share=0.1)
    held.held = 0.4
    # own temperature .1; between progress .1 and .2 from .4 to .1 along a geometric line
    for progress, wanted in ((0.0, 0.4), (0.1, 0.4), (0.15, 0.2), (0.2, 0.1), (1.0, 0.1)):
        one.temperature.fill_(0.1)
        held.schedule(one, progress)
        assert float(one.temperature) == pytest.approx(wanted, rel=1e-5)


def serve(name: str, pretrained: ItemPolicy, budget: int, **settings: float) -> Tables:
    recorder = Recorder(make_env(checkerboard(), 32), budget)
    spec = make_spec("kac", parity_vectors(), rollout_steps=4, **settings)
    deployment = get_strategy(name)(pretrained, Online(spec, recorder, luck=5))
    return deploy(deployment, recorder)


def test_fair_ft_is_as_sharp_as_pi_0_whatever_the_critic_says() -> None:
    recorder = Recorder(make_env(checkerboard(), 32), 640)
    pretrained = policy()
    pretrained.temperature.fill_(0.1)
    spec = make_spec("kac", parity_vectors())
    model: Any = get_strategy("ft-fair")(pretrained, Online(spec, recorder, luck=5)).recommender
    with torch.no_grad():
        model.policy.scorer.item.weight.mul_(4.0)  # a critic that has changed its scale
    model.learn(384)  # one update, at progress .6
    model.adaptation.share = 0.9
    model._follow_schedules(0.6)
    obs = model.replay_buffer.newest(12).obs
    with torch.no_grad():
        wanted = float(entropy(pretrained.log_probs(obs)))
        found = float(entropy(model.policy.log_probs(obs)))
        model.policy.temperature.fill_(0.1)
        plain = float(entropy(model.policy.log_probs(obs)))
    assert found == pytest.approx(wanted, abs=0.15)
    assert abs(plain - wanted) > 0.5


def test_entropy_is_restored_at_the_start() -> None:
    pretrained = policy()
    pretrained.temperature.fill_(0.02)
    recorder = Recorder(make_env(checkerboard(), 32), 640)
    spec = make_spec("kac", parity_vectors())
    model: Any = get_strategy("ft-entropy")(pretrained, Online(spec, recorder, luck=5)).recommender
    # On an empty history, as the temperature is chosen before anybody is met: .7 ln 40 nats.
    empty = {
        "history": torch.full((1, 24), -1),
        "feedback": torch.zeros(1, 24),
        "step": torch.zeros(1, 1, dtype=torch.long),
    }
    with torch.no_grad():
        assert float(entropy(model.policy.log_probs(empty))) == pytest.approx(
            0.7 * math.log(40), abs=0.01
        )
    model._follow_schedules(1.0)
    assert float(model.policy.temperature) == pytest.approx(0.02, rel=1e-5)


# ---- penalties and evidence ----


def test_annealed_penalty_by_hand() -> None:
    # tau .1, kappa .3 at the start: tau + kappa = .4, alpha = 3/4. Half-way, kappa = .15: .25, .6.
    one, rule = policy(prior=True), AnnealedPenalty(kappa=0.3, share=0.5)
    for progress, temperature, alpha in ((0.0, 0.4, 0.75), (0.25, 0.25, 0.6), (0.5, 0.1, 0.0)):
        one.temperature.fill_(0.1)
        rule.schedule(one, progress)
        assert float(one.temperature) == pytest.approx(temperature)
        assert float(one.alpha) == pytest.approx(alpha, abs=1e-7)


def test_the_annealed_policy_maximises_its_objective() -> None:
    # J(pi) = E[q] - tau KL(pi || u) - kappa KL(pi || pi_0): no other of 2,000 policies is better.
    generator = torch.Generator().manual_seed(0)
    q = torch.randn(6, generator=generator, dtype=torch.float64)
    prior = torch.randn(6, generator=generator, dtype=torch.float64).log_softmax(-1)
    tau, kappa = 0.2, 0.3
    best = (kappa / (tau + kappa) * prior + q / (tau + kappa)).log_softmax(-1)
    others = torch.randn(2000, 6, generator=generator, dtype=torch.float64) * 2
    near = best + 0.05 * torch.randn(2000, 6, generator=generator, dtype=torch.float64)
    log_pi = torch.cat([best[None], others.log_softmax(-1), near.log_softmax(-1)])
    pi = log_pi.exp()
    value = (pi * (q - tau * log_pi - kappa * (log_pi - prior))).sum(1)
    assert int(value.argmax()) == 0


def test_evidence_by_hand() -> None:
    assert evidence_alpha(0.6, 0.5, 0.6) == 1.0  # the critic knows nothing yet
    assert evidence_alpha(0.6, 0.5, 0.55) == pytest.approx(0.5)  # half of the prior's skill
    assert evidence_alpha(0.6, 0.5, 0.4) == 0.0  # better than the prior
    assert evidence_alpha(0.6, 0.5, 0.7) == 1.0  # worse than nothing
    assert evidence_alpha(0.6, 0.6, 0.7) == 0.0  # a prior that knows nothing is no help


def test_a_shift_of_all_logits_does_not_matter_to_the_evidence() -> None:
    logits = torch.tensor([[0.3, -1.0], [2.0, 0.1]])
    clicks = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    fresh = torch.tensor([[1.0, 1.0], [1.0, 1.0]])
    found = shifted_loss(logits, clicks, fresh)
    assert shifted_loss(logits + 4.0, clicks, fresh) == pytest.approx(found, abs=1e-5)
    assert found <= float(click_loss(logits, clicks, fresh))
    # equal logits: the best shift is the click rate's, 1 of 4, whose loss is its entropy
    clicks = torch.tensor([[1.0, 0.0], [0.0, 0.0]])
    wanted = -(0.25 * math.log(0.25) + 0.75 * math.log(0.75))
    assert shifted_loss(torch.zeros(2, 2), clicks, fresh) == pytest.approx(wanted, abs=1e-5)


def test_evidence_drops_a_prior_that_knows_nothing_at_its_first_judgement() -> None:
    model = make_learner(
        make_spec("kac", parity_vectors()), make_env(checkerboard(), 32, seed=9), luck=1
    )
    model.learn(3200)
    good = serve("ap-evidence", model.policy, 1280).updates["alpha"].to_numpy()
    bad = serve("ap-evidence", policy(), 1280).updates["alpha"].to_numpy()
    assert bad[2:].max() == 0.0
    assert good[2:].min() > 0.5  # a critic of a few hundred steps knows less than a good prior
    assert (np.diff(good) <= 0).all()  # never rises again


# ---- repair ----


def test_repair_restores_the_best_weights_after_a_clearly_worse_stretch() -> None:
    one, repair = policy(), Repair(sessions=4, margin=2.0)
    everyone = np.ones(4, dtype=np.bool_)
    best = {name: value.clone() for name, value in one.scorer.state_dict().items()}
    repair.outcome(one, np.array([5.0, 6.0, 5.0, 6.0]), everyone)  # mean 5.5, se^2 .0625
    opinionated(one, 9)
    # mean 5.25, within 2 * sqrt(.0625 + .1719) = .97 of the best: left alone
    repair.outcome(one, np.array([5.0, 6.0, 5.0, 5.0]), everyone)
    assert repair.repairs == 0
    assert not torch.equal(one.scorer.state_dict()["item.weight"], best["item.weight"])
    repair.outcome(one, np.array([1.0, 2.0, 1.0, 2.0]), everyone)
    assert repair.repairs == 1
    for name, value in one.scorer.state_dict().items():
        assert torch.equal(value, best[name]), name


def test_repair_counts_whole_sessions() -> None:
    one, repair = policy(), Repair(sessions=2)
    nobody, first, both = (np.array(x) for x in ([False, False], [True, False], [True, True]))
    repair.outcome(one, np.array([1.0, 1.0]), nobody)
    repair.outcome(one, np.array([1.0, 0.0]), first)  # session of 2 clicks
    repair.outcome(one, np.array([1.0, 1.0]), both)  # sessions of 1 and of 2 clicks
    assert repair.best is not None
    assert repair.best[0] == pytest.approx(5 / 3)


# ---- random pi_0 ----


def test_a_relabelled_policy_has_the_same_chances_for_other_items() -> None:
    one = policy(free=True)
    other = relabelled(one, 5)
    empty = {
        "history": torch.full((1, 24), -1),
        "feedback": torch.zeros(1, 24),
        "step": torch.zeros(1, 1, dtype=torch.long),
    }
    with torch.no_grad():
        a, b = one.log_probs(empty), other.log_probs(empty)
    torch.testing.assert_close(a.sort().values, b.sort().values)
    assert (a - b).abs().max() > 0.1
