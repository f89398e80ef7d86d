"""Discounts above 0: targets by hand, and a world in which looking ahead pays."""

import numpy as np
import pytest
import torch
from gymnasium import spaces

from simrec.agents.learners import check_settings, make_learner
from simrec.agents.losses import scaled_return
from simrec.agents.replay import HistoryReplay
from simrec.agents.strategy import Deployment
from simrec.deploy import Recorder, deploy
from simrec.envs.users import FactorUsers
from simrec.envs.world import Rules, World
from simrec.errors import SimrecError
from tests.agent_worlds import checkerboard, make_env, make_spec, parity_vectors

# ---- the target ----


def test_scaled_return_by_hand() -> None:
    clicks = torch.tensor([[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]])
    value = torch.tensor([0.5, 0.8])
    bootstrap = torch.tensor([0.125, 0.0])  # gamma^3 and a session that ended
    # gamma 1/2: (1 - 1/2)(1 + 1/4) + 1/8 * 1/2 = .6875; (1 - 1/2) * 1/2 = .25
    assert scaled_return(clicks, bootstrap, value, 0.5).tolist() == pytest.approx([0.6875, 0.25])
    # discount 0: the click itself
    nothing = torch.zeros(2)
    assert scaled_return(clicks, nothing, value, 0.0).tolist() == [1.0, 0.0]
    # always clicked and always worth 1: the target is 1 whatever the discount
    ones = torch.ones(1, 3)
    assert float(scaled_return(ones, torch.tensor([0.9**3]), torch.ones(1), 0.9)) == pytest.approx(
        1.0
    )


def remembered() -> HistoryReplay:
    """Two slots, five steps; slot 0 ends a session at step 2, slot 1 never."""
    space = spaces.Dict(
        {
            "history": spaces.Box(-1, 9, (3,), np.int64),
            "feedback": spaces.Box(0, 1, (3,), np.float32),
            "step": spaces.Box(0, 9, (1,), np.int64),
        }
    )
    memory = HistoryReplay(12, space, spaces.Discrete(10), n_envs=2)
    clicks = [[1, 0], [0, 1], [1, 1], [0, 0], [1, 1]]
    for t, (a, b) in enumerate(clicks):
        after = {
            "history": np.array([[-1, -1, t], [-1, -1, t]]),
            "feedback": np.array([[0, 0, a], [0, 0, b]], dtype=np.float32),
            "step": np.array([[t % 3 + 1], [t + 1]]),
        }
        memory.add(after, after, np.zeros(2), np.zeros(2), np.array([t == 2, False]), [{}, {}])
    return memory


def test_steps_ahead_stop_at_the_session_end_and_at_the_newest_step() -> None:
    memory = remembered()
    batch = memory._at(np.array([0, 1, 2, 0, 3]), np.array([0, 0, 0, 1, 1]))
    ahead = memory.ahead(batch, 3, 0.5)
    assert ahead.clicks.tolist() == [
        [1, 0, 1],  # slot 0 from step 0: up to the end of its session
        [0, 1, 0],
        [1, 0, 0],  # its last step: nothing of the next session
        [0, 1, 1],  # slot 1 from step 0
        [0, 1, 0],  # slot 1 from step 3: step 4 is the newest
    ]
    assert ahead.bootstrap.tolist() == [0.0, 0.0, 0.0, 0.125, 0.25]
    assert ahead.obs["history"][:, -1].tolist() == [2, 2, 2, 2, 4]
    one = memory.ahead(batch, 1, 0.5)
    assert one.bootstrap.tolist() == [0.5, 0.5, 0.0, 0.5, 0.5]


# ---- a world where greed is provably worse ----


def tempting() -> World:
    """Sessions of two steps; five items of each of three kinds.

    Items of kind X belong to both topics and are clicked a little more often than the rest
    (logit 2.2 against 2), those of kind A and B to one topic each. What shares a topic with the
    item before bores: boredom 12 takes 12 / sqrt 2 = 8.5 logits from A or B after X, 12 from A
    after A, and nothing from B after A.

    Greed shows X first, .900, and then the best of what is left has s(2 - 8.5) = .0015: .90 in
    all. Showing A and then B has 2 s(2) = 1.762.
    """
    kinds = np.arange(15) % 3
    topics = np.array([[1, 0], [0, 1], [0.5**0.5] * 2], dtype=np.float32)[kinds]
    users = FactorUsers(
        intercept=2.0,
        scale=0.0,
        user_effect=np.zeros(8, dtype=np.float32),
        item_effect=np.where(kinds == 2, 0.2, 0.0).astype(np.float32),
        user_vectors=np.zeros((8, 1), dtype=np.float32),
        item_vectors=np.zeros((15, 1), dtype=np.float32),
    )
    return World(
        "tempting",
        users,
        topics=topics,
        start_items=np.full((8, 2), -1, dtype=np.int64),
        start_feedback=np.zeros((8, 2), dtype=np.float32),
        arrivals=np.arange(8, dtype=np.int64),
        rules=Rules(horizon=2, patience=10_000, boredom=12.0, window=1),
    )


def late_clicks(**settings: float) -> float:
    vectors = np.eye(3, dtype=np.float32)[np.arange(15) % 3]
    recorder = Recorder(make_env(tempting(), 32), 16_000)
    spec = make_spec("kac", vectors, free=False, **settings)
    model = make_learner(spec, recorder, luck=1)
    episodes = deploy(Deployment(model, learns=True), recorder).episodes
    return float(episodes.loc[episodes["start_step"] >= 12_800, "reward"].mean())


def test_the_world_is_as_its_docstring_says() -> None:
    # Every pair of items, by the environment's own click probabilities.
    env = make_env(tempting(), 15).vector_env
    env.reset(seed=1)
    first = env.click_probability()[0]
    env.step(np.arange(15))
    pairs = first[:, None] + env.click_probability()  # [shown first, shown second]
    pairs[np.arange(15), np.arange(15)] = 0.0
    greedy = int(first.argmax())
    assert greedy % 3 == 2
    assert pairs[greedy].max() == pytest.approx(0.9017, abs=1e-3)
    assert pairs.max() == pytest.approx(1.7616, abs=1e-3)


@pytest.mark.parametrize("n_steps", [1, 2])
def test_looking_ahead_pays_where_greed_is_worse(n_steps: int) -> None:
    myopic = late_clicks()
    planning = late_clicks(gamma=0.9, n_steps=n_steps)
    assert myopic < 1.3
    assert planning > 1.5


# ---- settings ----


def test_a_discount_needs_single_items() -> None:
    env = make_env(checkerboard(), 4, slate_size=2)
    with pytest.raises(SimrecError) as error:
        make_learner(make_spec("kac", parity_vectors(), gamma=0.5), env, luck=0)
    assert str(error.value) == (
        "setting 'gamma' of learner 'kac' is 0.5 with slates of 2; expected 0, or slate_size 1"
    )


def test_a_discount_of_one_is_refused() -> None:
    with pytest.raises(SimrecError) as error:
        check_settings("kac", {"gamma": 1.0})
    assert str(error.value) == "setting 'gamma' of learner 'kac' is 1.0; expected a number below 1"


def test_temperatures_shrink_with_the_returns() -> None:
    env = make_env(checkerboard(), 4)
    model = make_learner(make_spec("kac", parity_vectors(), gamma=0.75), env, luck=0)
    assert float(model.policy.temperature) == pytest.approx(0.05)  # .2 * (1 - 3/4)
