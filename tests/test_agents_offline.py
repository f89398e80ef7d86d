"""Recommenders taught from a log: losses by hand, the log as steps, and a bar for each."""

import math

import numpy as np
import pytest
import torch

from simrec.agents.adapt import Online, get_strategy
from simrec.agents.bandits import Ridge, principal
from simrec.agents.baselines import Greedy, RandomRecommender
from simrec.agents.logged import LoggedSteps, logged_steps
from simrec.agents.offline import OFFLINE, OfflineName, fit_offline
from simrec.agents.offline_losses import (
    conservative_penalty,
    expectile_loss,
    next_item_loss,
    sa2c_weights,
    td_loss,
)
from simrec.agents.policy import ItemPolicy
from simrec.agents.strategy import Deployment
from simrec.deploy import Recorder, deploy
from simrec.errors import SimrecError
from simrec.interactions import InteractionLog
from tests.agent_worlds import checkerboard, make_env, make_spec, parity_vectors

LN2, LN3 = math.log(2), math.log(3)

# ---- losses ----


def test_next_item_loss_by_hand() -> None:
    scores = torch.tensor([[0.0, 0.0], [LN3, 0.0], [5.0, 9.0]])
    item = torch.tensor([0, 0, 1])
    # -log 1/2 and -log 3/4; the third row does not count
    found = next_item_loss(scores, item, torch.tensor([1.0, 1.0, 0.0]))
    assert float(found) == pytest.approx((LN2 + math.log(4 / 3)) / 2)
    weighted = next_item_loss(scores, item, torch.tensor([3.0, 1.0, 0.0]))
    assert float(weighted) == pytest.approx((3 * LN2 + math.log(4 / 3)) / 4)
    assert float(next_item_loss(scores, item, torch.zeros(3))) == 0.0


def test_td_loss_by_hand_and_without_gradient_to_the_target() -> None:
    value = torch.tensor([1.0, 0.5], requires_grad=True)
    following = torch.tensor([2.0, 0.0], requires_grad=True)
    # targets 1 + 1/2 * 2 = 2 and 0: ((1 - 2)^2 + .5^2) / 2
    loss = td_loss(value, torch.tensor([1.0, 0.0]), 0.5, following)
    assert loss.item() == pytest.approx(0.625)
    loss.backward()
    assert following.grad is None


def test_sa2c_weights_by_hand() -> None:
    item = torch.tensor([3.0, 0.0, 40.0])
    negatives = torch.tensor([[0.0, 0.0], [3.0, 3.0], [0.0, 0.0]])
    # 3 - 1 = 2; 0 - 2 is clipped to 0; 40 - 40/3 is clipped to 10
    assert sa2c_weights(item, negatives).tolist() == [2.0, 0.0, 10.0]


def test_conservative_penalty_by_hand() -> None:
    q = torch.tensor([[0.0, 0.0], [LN3, 0.0]])
    # ln 2 - 0, and ln 4 - ln 3
    found = conservative_penalty(q, torch.tensor([1, 0]))
    assert float(found) == pytest.approx((LN2 + math.log(4 / 3)) / 2)
    assert float(conservative_penalty(q[1:], torch.tensor([1]))) == pytest.approx(2 * LN2)


def test_expectile_loss_by_hand() -> None:
    gap = torch.tensor([2.0, -1.0])
    assert float(expectile_loss(gap, 0.5)) == pytest.approx((0.5 * 4 + 0.5 * 1) / 2)
    assert float(expectile_loss(gap, 0.8)) == pytest.approx((0.8 * 4 + 0.2 * 1) / 2)
    assert float(expectile_loss(torch.zeros(3), 0.8)) == 0.0


# ---- the log ----


def log_of(rows: list[tuple[int, int, float, int]], n_items: int = 9) -> InteractionLog:
    user, item, feedback, time = (np.array(x) for x in zip(*rows, strict=True))
    return InteractionLog(
        user.astype(np.int32),
        item.astype(np.int32),
        feedback.astype(np.float32),
        time.astype(np.int64),
        "stars",
        tuple(map(str, range(3))),
        n_items,
    )


def test_a_log_as_steps_by_hand() -> None:
    steps = logged_steps(
        log_of([(1, 5, 4, 7), (0, 2, 5, 2), (1, 6, 1, 3), (0, 3, 1, 1), (0, 4, 5, 9)]),
        like_at=4.0,
        length=2,
    )
    assert steps.item.tolist() == [3, 2, 4, 6, 5]  # user 0 by time, then user 1
    assert steps.reward.tolist() == [0, 1, 1, 0, 1]
    assert steps.history.tolist() == [[-1, -1], [-1, 3], [3, 2], [-1, -1], [-1, 6]]
    assert steps.liked.tolist() == [[0, 0], [0, 0], [0, 1], [0, 0], [0, 0]]
    assert steps.last.tolist() == [False, False, True, False, True]
    assert steps.next_rows(np.arange(5)).tolist() == [1, 2, 2, 4, 4]


def test_an_empty_log_is_refused_in_a_sentence() -> None:
    empty = log_of([(0, 1, 5.0, 1)]).select(np.zeros(1, dtype=np.bool_))
    with pytest.raises(SimrecError) as error:
        fit_offline("cql", logged_steps(empty, like_at=4, length=5), parity_vectors(9), luck=0)
    assert str(error.value) == (
        "control 'cql' has no events to learn from; give the agent a larger part of the log "
        "(split.agent_share) or leave the control out"
    )


# ---- bars on the checkerboard: chance has 5 of 10 clicks, an oracle 9.98 ----


def checkerboard_log() -> LoggedSteps:
    """Users of both kinds met 20 items, three in four of their own kind."""
    rng = np.random.default_rng(3)
    rows = []
    for user in range(64):
        own = rng.permutation(np.arange(user % 2, 40, 2))[:15]
        other = rng.permutation(np.arange(1 - user % 2, 40, 2))[:5]
        met = rng.permutation(np.concatenate([own, other]))
        rows += [(user, i, 5.0 if i % 2 == user % 2 else 1.0, t) for t, i in enumerate(met)]
    log = log_of(rows, 40)
    return logged_steps(log, like_at=4.0, length=14)


def mean_clicks(recommender: object, budget: int = 1600) -> float:
    recorder = Recorder(make_env(checkerboard(), 32), budget)
    tables = deploy(Deployment(recommender, learns=False), recorder)  # type: ignore[arg-type]
    return float(tables.episodes["reward"].mean())


def test_chance_on_the_checkerboard() -> None:
    assert mean_clicks(RandomRecommender(40, np.random.default_rng(0))) == pytest.approx(5, abs=0.3)


@pytest.mark.parametrize("name", OFFLINE)
def test_each_lesson_beats_chance_on_the_checkerboard(name: OfflineName) -> None:
    model = fit_offline(name, checkerboard_log(), parity_vectors(), luck=1)
    greedy = Greedy(lambda obs: model.predict(obs["history"], obs["feedback"]), 40)
    assert mean_clicks(greedy) > 6.5


def test_the_same_luck_teaches_the_same() -> None:
    steps = checkerboard_log()
    a, b, c = (
        fit_offline("snqn", steps, parity_vectors(), luck=luck).predict(
            steps.history[:4], steps.liked[:4]
        )
        for luck in (1, 1, 2)
    )
    assert a.tobytes() == b.tobytes() != c.tobytes()


# ---- linear bandits ----


def test_ridge_by_hand() -> None:
    ridge = Ridge(2, lam=1.0)
    ridge.add(np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]), np.array([1.0, 1.0, 1.0]))
    theta, cover = ridge.posterior()
    # A = diag(1 + 2, 1 + 1), b = (2, 1)
    assert theta.tolist() == pytest.approx([2 / 3, 1 / 2])
    assert cover.tolist() == [pytest.approx([1 / 3, 0]), pytest.approx([0, 1 / 2])]


def test_principal_axes_keep_distances_up_to_scale() -> None:
    vectors = np.random.default_rng(0).normal(size=(30, 4)).astype(np.float32)
    rows = principal(vectors, 4)
    before = np.linalg.norm(vectors[:, None] - vectors[None], axis=2)
    after = np.linalg.norm(rows[:, None] - rows[None], axis=2)
    ratio = after[np.triu_indices(30, 1)] / before[np.triu_indices(30, 1)]
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-5)
    assert (rows**2).sum(1).mean() == pytest.approx(1.0)


@pytest.mark.parametrize("slate_size", [1, 2])
@pytest.mark.parametrize("name", ["linucb", "lints"])
def test_linear_bandits_come_near_the_oracle_on_a_checkerboard(name: str, slate_size: int) -> None:
    recorder = Recorder(make_env(checkerboard(), 32, slate_size=slate_size), 6400)
    spec = make_spec("kac", parity_vectors())
    unused: ItemPolicy = None  # type: ignore[assignment]
    deployment = get_strategy(name)(unused, Online(spec, recorder, luck=5))
    episodes = deploy(deployment, recorder).episodes
    assert episodes.loc[episodes["start_step"] >= 5120, "reward"].mean() >= 0.8 * 9.975
