"""Online strategies start where they should, and differ where they should only."""

import copy
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from simrec.agents.adapt import STRATEGIES, Deployment, Online, get_strategy
from simrec.agents.expansion import Mixture
from simrec.agents.learners import LearnerName
from simrec.agents.policy import ItemPolicy
from simrec.deploy import Recorder, deploy
from simrec.errors import SimrecError
from tests.agent_worlds import (
    checkerboard,
    make_env,
    make_spec,
    opinionated,
    parity_vectors,
    tensors,
)

BUDGET = 640
LEARNERS: tuple[LearnerName, ...] = ("kac", "a2c")


def start(
    name: str, learner: LearnerName = "kac"
) -> tuple[Deployment, ItemPolicy, Recorder, NDArray[np.float64]]:
    """Return a deployment, the pretrained policy, the users and pi_0 at their first step."""
    recorder = Recorder(make_env(checkerboard(), 32), BUDGET)
    spec = make_spec(learner, parity_vectors())
    pretrained = opinionated(
        ItemPolicy(
            recorder.observation_space, recorder.action_space, lambda _: 1e-3, **spec.policy
        ),
        1,
        spread=0.2 if learner == "kac" else 0.6,
    )
    if learner == "kac":
        pretrained.temperature.fill_(0.08)  # where pretraining leaves it
    pi_0 = probabilities(pretrained)
    deployment = get_strategy(name)(pretrained, Online(spec, recorder, luck=5))
    return deployment, pretrained, recorder, pi_0


def first_observation() -> Any:
    return tensors(make_env(checkerboard(), 32).reset())  # type: ignore[arg-type]


def probabilities(policy: Any) -> NDArray[np.float64]:
    with torch.no_grad():
        return policy.log_probs(first_observation()).double().exp().numpy()  # type: ignore[no-any-return]


WARM = ["ft", "ap", "ap-ann", "ap-residual", "kl-anneal", "ft-fair", "ft-warm-critic", "rollback"]
WARM += ["ap-evidence", "ap-mix-anneal", "ap-pair"]
BOTH_LEARNERS = {"ft", "ap", "ap-ann", "ap-residual", "kl-anneal"}


def test_every_strategy_says_what_it_does_and_where_it_is_from() -> None:
    for name, entry in STRATEGIES.items():
        assert entry.sentence.endswith("."), name
        assert entry.source, name
    assert {name for name, entry in STRATEGIES.items() if not entry.pretrained} == {
        "scratch",
        "linucb",
        "lints",
        "slateq",
        "ppo",
        "scratch-distilled",
        "scratch-ensemble",
        "scratch-pair",
    }


@pytest.mark.parametrize("name", sorted(set(STRATEGIES) - BOTH_LEARNERS))
def test_a_strategy_that_steps_into_kac_refuses_a2c_in_a_sentence(name: str) -> None:
    own = {"linucb", "lints", "slateq", "ppo"}
    if name in {"scratch", "frozen", "frozen-random", "ap-random"} | own:
        start(name, "a2c")
        return
    with pytest.raises(SimrecError) as error:
        start(name, "a2c")
    assert str(error.value) == (
        "this strategy steps into learner 'kac', got learner 'a2c'; set learner.name: kac or "
        "leave the strategy out"
    )


def first_policy(policy: Any) -> NDArray[np.float64]:
    """The distribution a policy acts by at the first step."""
    if isinstance(policy, Mixture):
        assert policy.new_share == 0.0
        return probabilities(policy.prior)
    return probabilities(policy)


@pytest.mark.parametrize(
    ("name", "learner"),
    [(name, "kac") for name in WARM] + [(name, "a2c") for name in sorted(BOTH_LEARNERS)],
)
def test_the_first_policy_of_a_warm_start_is_pi_0(name: str, learner: LearnerName) -> None:
    deployment, _, _, pi_0 = start(name, learner)
    model: Any = deployment.recommender
    assert deployment.learns
    np.testing.assert_allclose(first_policy(model.policy), pi_0, atol=1e-6)
    assert pi_0.max() > 2 / 36  # far from uniform over the 36 unseen items


@pytest.mark.parametrize("learner", LEARNERS)
def test_scratch_starts_uniform_over_unseen_items(learner: LearnerName) -> None:
    deployment, _, _, _ = start("scratch", learner)
    model: Any = deployment.recommender
    found = probabilities(model.policy)
    seen = first_observation()["history"]
    for row in range(32):
        free = np.ones(40, dtype=np.bool_)
        free[seen[row][seen[row] >= 0]] = False
        assert free.sum() == 36
        np.testing.assert_allclose(found[row], free / 36, atol=1e-7)


def test_frozen_never_changes() -> None:
    deployment, pretrained, recorder, _ = start("frozen")
    before = copy.deepcopy(pretrained.state_dict())
    assert not deployment.learns
    assert deployment.recommender is pretrained
    tables = deploy(deployment, recorder)
    assert len(tables.updates) == 0
    for key, value in pretrained.state_dict().items():
        assert torch.equal(value, before[key]), key


@pytest.mark.parametrize("name", [*WARM, "ap-pex", "ap-awr", "ap-bandit", "ft-entropy"])
def test_a_warm_start_learns_and_leaves_the_pretrained_policy_alone(name: str) -> None:
    deployment, pretrained, recorder, _ = start(name)
    before = copy.deepcopy(pretrained.state_dict())
    model: Any = deployment.recommender
    first = [critic.item.weight.detach().clone() for critic in model.policy.critics()]
    deploy(deployment, recorder)
    for key, value in pretrained.state_dict().items():
        assert torch.equal(value, before[key]), key
    for critic, weight in zip(model.policy.critics(), first, strict=True):
        assert not torch.equal(critic.item.weight, weight)
    if model.policy.prior is not None:
        for key, value in model.policy.prior.state_dict().items():
            assert torch.equal(value, before[key]), key


def test_ft_keeps_the_temperature_at_which_pretraining_ended() -> None:
    deployment, _, recorder, _ = start("ft")
    deploy(deployment, recorder)
    model: Any = deployment.recommender
    assert float(model.policy.temperature) == pytest.approx(0.08)


def test_what_ran_before_does_not_move_a_frozen_deployment() -> None:
    tables = []
    for draws in (0, 3):
        deployment, pretrained, recorder, _ = start("frozen")
        del deployment
        for _ in range(draws):
            pretrained.predict(make_env(checkerboard(), 32).reset())  # type: ignore[arg-type]
        spec = make_spec("kac", parity_vectors())
        again = get_strategy("frozen")(pretrained, Online(spec, recorder, luck=5))
        tables.append(deploy(again, recorder))
    assert tables[0].steps.equals(tables[1].steps)
    assert tables[0].episodes.equals(tables[1].episodes)


@pytest.mark.parametrize("name", ["ft", "ap"])
def test_a_policy_of_another_catalogue_is_refused(name: str) -> None:
    _, pretrained, recorder, _ = start("frozen")
    spec = make_spec("kac", parity_vectors())
    spec.policy["table_fingerprint"] = "fedcba9876543210"
    with pytest.raises(SimrecError, match="trained on item table 0123456789abcdef"):
        get_strategy(name)(pretrained, Online(spec, recorder, luck=5))


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ("forzen", "there is no strategy 'forzen'; did you mean 'frozen'?"),
        ("zzz", "there is no strategy 'zzz'; expected one of " + ", ".join(sorted(STRATEGIES))),
    ],
)
def test_an_unknown_strategy_is_named_with_the_nearest(wrong: str, sentence: str) -> None:
    with pytest.raises(SimrecError) as error:
        get_strategy(wrong)
    assert str(error.value) == sentence
