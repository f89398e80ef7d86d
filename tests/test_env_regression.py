"""Published results rest on the default dynamics: their sessions must not change."""

import hashlib

import numpy as np
import pytest

from simrec.envs.single import RecommendEnv
from simrec.envs.vector import RecommendVectorEnv
from simrec.envs.world import Rules
from tests.env_worlds import random_world

# Of the code that the first published study ran on (version 0.1.0).
BEFORE = {
    ("default", 1): "42d54bf2f283965a",
    ("default", 3): "a59ba5e8a94a3ce3",
    ("long", 1): "679916453cadd5f3",
    ("long", 3): "ef3084b9a205f363",
}
RULES = {"default": Rules(), "long": Rules(horizon=50, patience=9, boredom=1.3, window=7)}


def digest(parts) -> str:
    total = hashlib.sha256()
    for part in parts:
        total.update(np.ascontiguousarray(part).tobytes())
    return total.hexdigest()[:16]


def trajectory(rules: str, k: int) -> str:
    world = random_world(4, rules=RULES[rules])
    env = RecommendVectorEnv(world, 7, slate_size=k)
    rng = np.random.default_rng(11)
    obs, info = env.reset(seed=21)
    seen = []
    for _ in range(200):
        seen += [obs["history"].copy(), obs["feedback"].copy(), obs["step"].copy()]
        seen += [info["user"].copy(), info["session"].copy()]
        slates = rng.integers(60, size=(7, k))
        obs, reward, left, cut, info = env.step(slates[:, 0] if k == 1 else slates)
        seen += [reward.copy(), left.copy(), cut.copy()]
    return digest(seen)


@pytest.mark.parametrize(("rules", "k"), list(BEFORE))
def test_the_default_dynamics_have_not_changed(rules, k):
    assert trajectory(rules, k) == BEFORE[rules, k]


def test_the_single_environment_has_not_changed_either():
    env = RecommendEnv(random_world(4), slot=3)
    rng = np.random.default_rng(12)
    obs, info = env.reset(seed=21)
    seen = []
    for _ in range(200):
        obs, reward, left, cut, info = env.step(int(rng.integers(60)))
        seen += [obs["history"], obs["feedback"], obs["step"], [reward], [left, cut]]
        seen += [[info["user"], info["session"]]]
        if left or cut:
            env.reset()
    assert digest(np.asarray(part) for part in seen) == "aa112886a764f510"
