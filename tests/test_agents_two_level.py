"""The two-level policy against enumeration; ordered encoders against what must not matter."""

from typing import Any

import numpy as np
import pytest
import torch

from simrec.agents.a2c import ItemA2C
from simrec.agents.encoders import EncoderName, make_encoder
from simrec.agents.groups import group_items
from simrec.agents.history import initialise
from simrec.agents.learners import check_settings, make_learner
from simrec.agents.strategy import Deployment
from simrec.agents.two_level import TwoLevelPolicy
from simrec.deploy import Recorder, deploy
from simrec.errors import SimrecError
from tests.agent_worlds import TABLE, checkerboard, make_env, make_spec, parity_vectors, tensors

GROUPS = np.arange(40) % 3  # groups of 14, 13 and 13 items


def policy(luck: int = 1) -> TwoLevelPolicy:
    env = make_env(checkerboard(), 2)
    made = TwoLevelPolicy(
        env.observation_space,
        env.action_space,
        lambda _: 1e-3,
        item_vectors=parity_vectors(),
        table_fingerprint=TABLE,
        groups=GROUPS,
        luck=luck,
    )
    generator = torch.Generator().manual_seed(luck)
    with torch.no_grad():
        for weight in made.scorer.parameters():
            weight.copy_(0.5 * torch.randn(weight.shape, generator=generator))
    return made


def every_log_prob(made: TwoLevelPolicy, obs: Any) -> torch.Tensor:
    """log pi of all 40 items (N, 40), one call an item."""
    n = len(obs["history"])
    with torch.no_grad():
        return torch.stack(
            [made.evaluate_actions(obs, torch.full((n,), item))[1] for item in range(40)], dim=1
        )


def test_the_chances_of_all_items_add_up_to_one_and_items_met_have_none() -> None:
    made, obs = policy(), tensors(make_env(checkerboard(), 16).reset())  # type: ignore[arg-type]
    chances = every_log_prob(made, obs).exp()
    torch.testing.assert_close(chances.sum(1), torch.ones(16))
    met = obs["history"]
    for row in range(16):
        items = met[row][met[row] >= 0]
        assert len(items) == 4
        assert (chances[row, items] == 0).all()


def test_all_log_probabilities_at_once_are_those_of_one_at_a_time() -> None:
    made, obs = policy(), tensors(make_env(checkerboard(), 16).reset())  # type: ignore[arg-type]
    obs["history"][0, -13:] = torch.arange(1, 40, 3)  # group 1 is used up
    with torch.no_grad():
        torch.testing.assert_close(made.log_probs(obs).exp(), every_log_prob(made, obs).exp())


def test_what_is_drawn_follows_the_log_probabilities() -> None:
    # 16 states drawn 1,500 times: the standard error of an item's share over all of them is
    # below sqrt(.25 / 24,000) = .0032, five of them .016
    made, obs = policy(), make_env(checkerboard(), 16).reset()
    expected = every_log_prob(made, tensors(obs)).exp().mean(0).numpy()  # type: ignore[arg-type]
    drawn = np.stack([made.predict(obs)[0] for _ in range(1500)])
    np.testing.assert_allclose(
        np.bincount(drawn.ravel(), minlength=40) / drawn.size, expected, atol=0.016
    )


def test_forward_gives_the_log_probability_of_what_it_drew() -> None:
    made, obs = policy(), tensors(make_env(checkerboard(), 16).reset())  # type: ignore[arg-type]
    with torch.no_grad():
        actions, values, log_prob = made(obs)
        again = made.evaluate_actions(obs, actions)
    torch.testing.assert_close(log_prob, again[1])
    torch.testing.assert_close(values.squeeze(1), again[0])


def test_a_group_whose_items_were_all_met_is_not_drawn() -> None:
    made = policy()
    history = torch.full((1, 14), -1)
    history[0, -13:] = torch.arange(1, 40, 3)  # all 13 items of group 1
    obs = {
        "history": torch.cat([history, history[:, -1:]], dim=1),  # the last of them met twice
        "feedback": torch.zeros(1, 15),
        "step": torch.zeros(1, 1),
    }
    chances = every_log_prob(made, obs).exp()
    assert float(chances.sum()) == pytest.approx(1.0)
    assert (chances[0, 1::3] == 0).all()
    # twelve of thirteen, one of them twice, leave the thirteenth
    obs["history"][0, -2] = obs["history"][0, -3]
    obs["history"][0, -1] = obs["history"][0, -3]
    assert (every_log_prob(made, obs).exp()[0, 1::3] > 0).sum() == 1


def test_groups_are_near_each_other() -> None:
    rng = np.random.default_rng(0)
    centres = 10 * rng.normal(size=(4, 5))
    truth = rng.integers(4, size=200)
    vectors = (centres[truth] + 0.1 * rng.normal(size=(200, 5))).astype(np.float32)
    found = group_items(vectors, 8, luck=0)
    for group in np.unique(found):
        assert len(set(truth[found == group])) == 1  # no group holds items of two clusters
    assert (group_items(vectors, 8, luck=0) == found).all()


def test_a2c_learns_with_two_levels() -> None:
    # Group 0 holds what even users like, group 1 what odd users like: chance has 5 clicks of 10.
    recorder = Recorder(make_env(checkerboard(), 32), 25_600)
    arguments: Any = {
        "item_vectors": parity_vectors(),
        "table_fingerprint": TABLE,
        "groups": np.arange(40) % 2,
        "luck": 3,
    }
    model = ItemA2C(TwoLevelPolicy, recorder, policy_kwargs=arguments)  # type: ignore[arg-type]
    episodes = deploy(Deployment(model, learns=True), recorder).episodes
    assert episodes.loc[episodes["start_step"] >= 20_480, "reward"].mean() > 7.0


def test_slates_are_refused() -> None:
    env = make_env(checkerboard(), 2, slate_size=2)
    with pytest.raises(SimrecError, match="expected one item of the catalogue a step"):
        TwoLevelPolicy(
            env.observation_space,
            env.action_space,
            lambda _: 1e-3,
            item_vectors=parity_vectors(),
            table_fingerprint=TABLE,
            groups=GROUPS,
        )


# ---- encoders ----

ORDERED: tuple[EncoderName, ...] = ("gru", "sasrec")


def encoded(name: EncoderName, items: list[int], liked: list[float], length: int) -> torch.Tensor:
    encoder = make_encoder(name, 40, 3, 8, free_vectors=True, slate_size=1)
    initialise(encoder, torch.Generator().manual_seed(0))
    history, feedback = torch.full((1, length), -1), torch.zeros(1, length)
    if items:
        history[0, -len(items) :] = torch.tensor(items)
        feedback[0, -len(items) :] = torch.tensor(liked)
    obs = {"history": history, "feedback": feedback, "step": torch.zeros(1, 1)}
    with torch.no_grad():
        return encoder(obs, torch.as_tensor(parity_vectors()))  # type: ignore[no-any-return]


@pytest.mark.parametrize("name", ORDERED)
def test_padding_does_not_matter_but_order_and_answers_do(name: EncoderName) -> None:
    base = encoded(name, [3, 8, 5], [1.0, 0.0, 1.0], 6)
    torch.testing.assert_close(base, encoded(name, [3, 8, 5], [1.0, 0.0, 1.0], 12))
    for items, liked in (
        ([8, 3, 5], [0.0, 1.0, 1.0]),  # another order
        ([3, 8, 5], [1.0, 1.0, 1.0]),  # another answer
        ([3, 8], [1.0, 0.0]),
    ):
        assert (encoded(name, items, liked, 6) - base).abs().max() > 1e-4
    assert torch.isfinite(encoded(name, [], [], 6)).all()


@pytest.mark.parametrize("name", ORDERED)
def test_kac_learns_with_an_ordered_encoder(name: EncoderName) -> None:
    check_settings("kac", {"encoder": name})
    recorder = Recorder(make_env(checkerboard(), 32), 9600)
    spec = make_spec("kac", parity_vectors(), encoder=name)  # type: ignore[arg-type]
    model = make_learner(spec, recorder, luck=0)
    episodes = deploy(Deployment(model, learns=True), recorder).episodes
    assert episodes.loc[episodes["start_step"] >= 7680, "reward"].mean() > 7.5


def test_an_unknown_encoder_is_refused() -> None:
    with pytest.raises(SimrecError) as error:
        check_settings("kac", {"encoder": "gur"})
    assert str(error.value) == ("setting 'encoder' of learner 'kac' is 'gur'; did you mean 'gru'?")
