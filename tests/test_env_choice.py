"""Choices and the signals of one response, against numbers worked out on paper."""

import math

import numpy as np
import pytest

from simrec.envs.choice import CHOICES
from simrec.envs.rules import Rules
from simrec.envs.signals import LIKE_FROM, SKIP_BELOW, read_signals, watch_ratio
from simrec.envs.vector import RecommendVectorEnv
from tests.env_worlds import constant_world, random_world

KINDS = list(CHOICES)
HALF = np.zeros((1, 3))  # utilities 0: q = 1/2 everywhere
NOBODY = np.zeros((1, 3), dtype=bool)


# --- choice


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("multinomial", [1 / 4, 1 / 4, 1 / 4]),
        # cascade: 1/2, then 0.8 * 1/2 * 1/2, then that times 0.8 * 1/2
        ("cascade", [0.5, 0.2, 0.08]),
        # position: 0.8^j / 2
        ("position", [0.5, 0.4, 0.32]),
        # dependent: goes on with (0.5 * 0.5 + 0.5 * 0.8) = 0.65
        ("dependent", [0.5, 0.325, 0.21125]),
    ],
)
def test_click_probabilities_of_three_equal_items(kind, expected):
    model = CHOICES[kind](Rules(attention=0.8, browse=0.5))
    assert model.probabilities(HALF, NOBODY)[0] == pytest.approx(expected)


@pytest.mark.parametrize("kind", KINDS)
def test_clicks_come_as_often_as_stated_and_never_on_ignored_items(kind):
    n = 40_000
    model = CHOICES[kind](Rules())
    z = np.tile([[0.3, -0.5, 1.0, 0.2]], (n, 1))
    ignored = np.tile([[False, True, False, False]], (n, 1))
    luck = np.random.default_rng(0).random((n, 4))
    clicked, within = model.answer(z, ignored, luck)
    p = model.probabilities(z[:1], ignored[:1])[0]
    assert p[1] == 0.0 and not clicked[:, 1].any()
    # 4 standard errors are below 4 * sqrt(0.25 / 40000) = 0.01
    assert clicked.mean(axis=0) == pytest.approx(p, abs=0.01)
    for j in (0, 2, 3):
        # given a click, how narrow it was is uniform: mean 1/2, sd 1/sqrt(12)
        narrow = within[clicked[:, j], j]
        assert narrow.mean() == pytest.approx(0.5, abs=4 / math.sqrt(12 * len(narrow)))


@pytest.mark.parametrize("kind", KINDS)
def test_only_the_position_and_dependent_models_click_twice(kind):
    model = CHOICES[kind](Rules(attention=1.0, browse=1.0))
    z = np.full((200, 3), 3.0)
    luck = np.random.default_rng(1).random((200, 3))
    most = model.answer(z, np.zeros((200, 3), dtype=bool), luck)[0].sum(axis=1).max()
    assert most == (1 if kind in ("multinomial", "cascade") else 3)


def test_with_one_place_all_models_play_the_same_sessions():
    played = []
    for kind in KINDS:
        env = RecommendVectorEnv(random_world(rules=Rules(choice=kind)), 20)
        env.reset(seed=3)
        rng = np.random.default_rng(0)
        rewards = [env.step(rng.integers(60, size=20))[1].copy() for _ in range(60)]
        played.append(np.array(rewards).tobytes())
    assert len(set(played)) == 1


# --- signals and rewards


def test_one_response_gives_click_watch_like_and_skip():
    # z = 0 and luck v: y = -logit(v); v = 0.1: e^y = 9, watch = (9 - 1) / (9 + 1) = 0.8, a like;
    # v = 0.45: e^y = 0.55 / 0.45, watch = 0.1 / 1 = 0.1, a skip; v = 0.3: 0.4, neither
    within = np.array([[0.2, 0.9, 0.6]])  # v = within * sigmoid(0)
    assert watch_ratio(np.zeros((1, 3)), within)[0] == pytest.approx([0.8, 0.1, 0.4])
    signals = read_signals(np.zeros((1, 3)), np.array([[True, True, False]]), within)
    assert signals.watch[0] == pytest.approx([0.8, 0.1, 0.0])
    assert signals.like.tolist() == [[1, 0, 0]]
    assert signals.skip.tolist() == [[0, 1, 0]]


@pytest.mark.parametrize("z", [-1.0, 0.0, 1.5])
def test_the_watch_ratio_has_its_stated_distribution(z):
    # P(watch >= w and click) = sigmoid(z - 2 artanh(w))
    world = constant_world(1 / (1 + math.exp(-z)), rules=Rules(boredom=0.0))
    n = 20_000
    env = RecommendVectorEnv(world, n, signals=True)
    env.reset(seed=2)
    *_, info = env.step(np.full(n, 20))
    for w in (SKIP_BELOW, LIKE_FROM):
        expected = 1 / (1 + math.exp(2 * math.atanh(w) - z))
        assert (info["watch"] >= w).mean() == pytest.approx(expected, abs=0.015)
    assert (info["like"] == (info["watch"] >= LIKE_FROM)).all()


@pytest.mark.parametrize("reward", ["clicks", "minutes", "likes", "depth"])
def test_the_reward_is_the_stated_function_of_the_feedback(reward):
    rules = Rules(reward=reward, minutes=3.0, choice="position", patience=2)
    env = RecommendVectorEnv(random_world(rules=rules), 50, slate_size=3, signals=True)
    env.reset(seed=0)
    rng = np.random.default_rng(0)
    total = np.zeros(50)
    for _ in range(8):
        _, earned, left, cut, info = env.step(rng.integers(60, size=(50, 3)))
        wanted = {
            "clicks": (info["watch"] > 0).sum(axis=1),
            "minutes": 3.0 * info["watch"].sum(axis=1),
            "likes": info["like"].sum(axis=1),
            "depth": 1.0 - left,
        }[reward]
        assert earned == pytest.approx(wanted, abs=1e-4)
        total += earned
        done = left | cut
        if done.any():
            assert info["final_info"]["reward"][done] == pytest.approx(total[done], abs=1e-3)
        total[done] = 0.0
    assert total.std() > 0
