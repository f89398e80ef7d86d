"""SlateQ: its loss and slate value by hand, its best slate against all slates, a bar in a world."""

from itertools import combinations
from math import log

import numpy as np
import pytest
import torch

from simrec.agents.adapt import Online, get_strategy
from simrec.agents.baselines import RandomRecommender
from simrec.agents.policy import ItemPolicy
from simrec.agents.slateq import best_slate, choice_loss, slate_value, slateq_loss
from simrec.agents.strategy import Deployment
from simrec.deploy import Recorder, deploy
from tests.agent_worlds import checkerboard, make_env, make_spec, parity_vectors


def test_the_value_of_a_slate_by_hand() -> None:
    # v = (1, 2), v_0 = 1: chosen with chances 1/4 and 1/2
    found = slate_value(torch.tensor([1.0, 2.0]), torch.tensor([4.0, 6.0]))
    assert float(found) == pytest.approx(4 / 4 + 6 / 2)


def test_the_choice_loss_by_hand() -> None:
    # v = (1, 2) beside nothing's 1: chances 1/4, 1/2 and 1/4; an item met before cannot be chosen
    logits = torch.tensor([[0.0, log(2)]] * 4)
    clicks = torch.tensor([[0.0, 1.0], [1.0, 0.0], [0.0, 0.0], [1.0, 0.0]])
    fresh = torch.tensor([[1.0, 1.0], [1.0, 1.0], [1.0, 1.0], [1.0, 0.0]])
    wanted = [log(2), log(4), log(4), log(2)]
    for row in range(4):
        one = slice(row, row + 1)
        found = choice_loss(logits[one], clicks[one], fresh[one])
        assert float(found) == pytest.approx(wanted[row])


def test_the_loss_by_hand_learns_of_chosen_items_and_holds_the_target() -> None:
    worth = torch.tensor([[1.0, 9.0], [0.5, 9.0], [2.0, 1.0]], requires_grad=True)
    chosen = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    following = torch.tensor([2.0, 0.0, 1.0], requires_grad=True)
    # targets 1 + 2/2 = 2, 1 + 0 and 1 + 1/2: squares 1, 1/4 and 1/4
    loss = slateq_loss(worth, torch.ones(3, 2), 0.5, following, chosen)
    assert loss.item() == pytest.approx((1 + 0.25 + 0.25) / 3)
    loss.backward()
    assert following.grad is None
    assert worth.grad is not None
    assert worth.grad.tolist() == [
        [pytest.approx(-2 / 3), 0.0],
        [pytest.approx(-1 / 3), 0.0],
        [0.0, pytest.approx(-1 / 3)],
    ]
    nothing = slateq_loss(worth, torch.ones(3, 2), 0.5, following, torch.zeros(3, 2))
    assert nothing.item() == 0.0


@pytest.mark.parametrize("k", [1, 2, 3])
def test_the_best_slate_is_the_best_of_all_slates(k: int) -> None:
    rng = np.random.default_rng(k)
    weight = torch.as_tensor(rng.exponential(1.0, (200, 8)) ** 2)
    worth = torch.as_tensor(rng.normal(0.3, 1.0, (200, 8)))  # some rows have no good item
    worth[:, 0] = -torch.inf  # met before
    slates = torch.tensor(list(combinations(range(1, 8), k)))
    every = slate_value(weight[:, slates], worth[:, slates])  # (200, slates)
    found = best_slate(weight, worth, k)
    assert (found > 0).all()
    assert all(len(set(row)) == k for row in found.tolist())
    mine = slate_value(weight.gather(1, found), worth.gather(1, found))
    torch.testing.assert_close(mine, every.max(1).values)


def test_greedy_by_worth_is_not_the_best_slate() -> None:
    # One dear item that is hardly chosen, two good ones that are: by hand 2.5, and 2.2 with it.
    weight, worth = torch.tensor([[0.1, 2.0, 2.0]]), torch.tensor([[4.0, 3.2, 3.0]])
    assert set(best_slate(weight, worth, 2)[0].tolist()) == {1, 2}


@pytest.mark.parametrize("slate_size", [1, 2])
def test_slateq_beats_chance_on_the_checkerboard(slate_size: int) -> None:
    unused: ItemPolicy = None  # type: ignore[assignment]
    chance = Recorder(make_env(checkerboard(), 32, slate_size=slate_size), 1600)
    dice = RandomRecommender(40, np.random.default_rng(0), slate_size)
    low = deploy(Deployment(dice, learns=False), chance).episodes["reward"].mean()

    recorder = Recorder(make_env(checkerboard(), 32, slate_size=slate_size), 9600)
    spec = make_spec("kac", parity_vectors())
    deployment = get_strategy("slateq")(unused, Online(spec, recorder, luck=5))
    episodes = deploy(deployment, recorder).episodes
    late = episodes.loc[episodes["start_step"] >= 7680, "reward"].mean()
    assert late > low + 0.5 * (9.975 - low)  # half of what an oracle gains over chance
