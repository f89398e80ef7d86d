"""The item policy: its closed form, its masks, its luck and its files."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from simrec.agents.policy import ItemPolicy
from simrec.errors import SimrecError
from tests.agent_worlds import TABLE, checkerboard, make_env, opinionated, parity_vectors, tensors

ARGUMENTS: dict[str, Any] = {
    "item_vectors": parity_vectors(),
    "table_fingerprint": TABLE,
    "width": 8,
}


def policy(slate_size: int = 1, **changes: Any) -> ItemPolicy:
    env = make_env(checkerboard(), slate_size=slate_size)
    return ItemPolicy(
        env.observation_space, env.action_space, lambda _: 1e-3, **{**ARGUMENTS, **changes}
    )


def with_prior(**changes: Any) -> tuple[ItemPolicy, ItemPolicy]:
    """Return a policy and pi_0, both of strong and different opinions."""
    prior = opinionated(policy(temperature=0.9), 1)
    made = policy(prior=prior.twin(), **changes)
    assert made.prior is not None
    made.prior.load_state_dict(prior.state_dict())
    return made, prior


def observation(steps: int = 3) -> dict[str, NDArray[Any]]:
    env = make_env(checkerboard())
    obs = env.reset()
    for item in (2, 3, 6)[:steps]:  # in nobody's start history
        obs, _, _, _ = env.step(np.full(8, item))
    assert isinstance(obs, dict)
    return obs


def q_of(made: ItemPolicy, obs: dict[str, NDArray[Any]]) -> NDArray[np.float64]:
    with torch.no_grad():
        return np.asarray(made.scorer(tensors(obs), made.vectors)[0].double())


def softmax(logits: NDArray[np.float64], obs: dict[str, NDArray[Any]]) -> NDArray[np.float64]:
    """Softmax over unseen items, written out."""
    free = np.ones(logits.shape, dtype=np.bool_)
    for row, items in enumerate(obs["history"]):
        free[row, items[items >= 0]] = False
    weight = np.where(free, np.exp(logits - logits.max(axis=1, keepdims=True)), 0.0)
    return weight / weight.sum(axis=1, keepdims=True)


def probabilities(made: ItemPolicy, obs: dict[str, NDArray[Any]]) -> NDArray[np.float64]:
    with torch.no_grad():
        return np.asarray(made.log_probs(tensors(obs)).double().exp())


def test_the_policy_is_the_closed_form() -> None:
    # pi proportional to pi_0^alpha exp(q / tau): softmax(alpha log pi_0 + q / tau) over unseen
    made, prior = with_prior(temperature=0.5, alpha=0.4)
    opinionated(made, 2)
    obs = observation()
    pi_0 = softmax(q_of(prior, obs) / 0.9, obs)
    with np.errstate(divide="ignore"):
        logits = 0.4 * np.maximum(np.log(pi_0), -30.0) + q_of(made, obs) / 0.5
    found = probabilities(made, obs)
    np.testing.assert_allclose(found, softmax(logits, obs), atol=1e-5)
    np.testing.assert_allclose(found.sum(axis=1), 1.0, atol=1e-5)
    assert found.max() > 2 / 33  # far from uniform over the 33 unseen items


def test_seen_items_have_probability_zero() -> None:
    made, _ = with_prior()
    obs = observation()
    found = probabilities(opinionated(made, 2), obs)
    for row, items in enumerate(obs["history"]):
        seen = np.unique(items[items >= 0])
        assert len(seen) == 7  # four known before the session and three shown
        assert found[row, seen].max() == 0.0


def test_at_birth_with_alpha_one_the_policy_is_the_prior() -> None:
    made, prior = with_prior(temperature=0.05, alpha=1.0)
    obs = observation()
    np.testing.assert_allclose(probabilities(made, obs), probabilities(prior, obs), atol=1e-6)


def test_with_alpha_zero_the_prior_has_no_say() -> None:
    made, _ = with_prior(temperature=0.5, alpha=0.0)
    opinionated(made, 2)
    obs = observation()
    wanted = softmax(q_of(made, obs) / 0.5, obs)
    np.testing.assert_allclose(probabilities(made, obs), wanted, atol=1e-5)


def test_at_birth_without_a_prior_the_policy_is_uniform_over_unseen_items() -> None:
    obs = observation()
    found = probabilities(policy(), obs)
    np.testing.assert_allclose(found[found > 0], 1 / 33, rtol=1e-5)
    assert (found > 0).sum() == 8 * 33


def test_the_prior_is_never_trained() -> None:
    made, _ = with_prior()
    assert made.prior is not None
    trained = {id(p) for group in made.optimizer.param_groups for p in group["params"]}
    assert not any(id(p) in trained or p.requires_grad for p in made.prior.parameters())
    assert {id(p) for p in made.scorer.parameters()} == trained


@pytest.mark.parametrize("slate_size", [1, 3])
def test_the_same_luck_predicts_the_same_bytes(slate_size: int) -> None:
    obs = {**observation()}
    if slate_size == 3:  # a history of that environment is longer
        pad = np.full((8, 20), -1)
        obs["history"] = np.hstack([pad, obs["history"]])
        obs["feedback"] = np.hstack([pad * 0.0, obs["feedback"]]).astype(np.float32)
    a, b, c = (opinionated(policy(slate_size, luck=n), 3) for n in (4, 4, 5))
    first = [a.predict(obs)[0] for _ in range(3)]
    assert first[0].shape == ((8,) if slate_size == 1 else (8, 3))
    assert [x.tobytes() for x in first] == [b.predict(obs)[0].tobytes() for _ in range(3)]
    assert first[0].tobytes() != first[1].tobytes()  # luck goes on
    assert first[0].tobytes() != c.predict(obs)[0].tobytes()
    for made in (a, c):
        made.reseed(9)
    assert a.predict(obs)[0].tobytes() == c.predict(obs)[0].tobytes()


def test_deterministic_prediction_is_the_likeliest_item() -> None:
    made, obs = opinionated(policy(), 3), observation()
    found, _ = made.predict(obs, deterministic=True)
    assert found.tolist() == probabilities(made, obs).argmax(axis=1).tolist()


def test_one_observation_is_predicted_as_in_a_batch() -> None:
    made, obs = opinionated(policy(), 3), observation()
    many, _ = made.predict(obs, deterministic=True)
    one, _ = made.predict({key: value[2] for key, value in obs.items()}, deterministic=True)
    assert int(one) == many[2]


def test_saving_and_loading_keeps_the_probabilities_and_the_prior(tmp_path: Path) -> None:
    made, _ = with_prior(temperature=0.5, alpha=0.4, free_vectors=True)
    opinionated(made, 2)
    made.temperature.fill_(0.3)  # as a schedule leaves it
    made.alpha.fill_(0.7)
    made.save(str(tmp_path / "policy.zip"))
    again = ItemPolicy.load(str(tmp_path / "policy.zip"), device="cpu")
    assert isinstance(again, ItemPolicy)
    obs = observation()
    assert probabilities(again, obs).tobytes() == probabilities(made, obs).tobytes()
    assert again.prior is not None
    assert float(again.temperature) == pytest.approx(0.3)
    assert again.table_fingerprint == TABLE


def test_evaluating_an_action_gives_the_probability_it_was_drawn_with() -> None:
    made, obs = opinionated(policy(), 3), tensors(observation())
    with torch.no_grad():
        actions, values, log_prob = made(obs)
        level, again, entropy = made.evaluate_actions(obs, actions)
        log_probs = made.log_probs(obs)
    torch.testing.assert_close(log_prob, again)
    torch.testing.assert_close(log_prob, log_probs.gather(1, actions[:, None]).squeeze(1))
    torch.testing.assert_close(values.squeeze(1), level)
    p = log_probs.exp()
    wanted = -(p * p.clamp(min=1e-30).log()).sum(-1)
    torch.testing.assert_close(entropy, wanted, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(made.predict_values(obs).squeeze(1), level)


def test_a_policy_refuses_another_item_table() -> None:
    made = policy()
    made.check_table(TABLE)
    with pytest.raises(SimrecError) as error:
        made.check_table("fedcba9876543210")
    assert str(error.value) == (
        "the policy was trained on item table 0123456789abcdef, the environment has table "
        "fedcba9876543210; load the policy of this catalogue or pretrain again"
    )
