"""Logged sessions with propensities, and their way to Minari."""

import numpy as np
import pytest

from simrec.envs.export import export_minari, log_sessions
from simrec.envs.vector import RecommendVectorEnv
from simrec.errors import SimrecError
from tests.env_worlds import random_world


def uniform_unseen(rng):
    """Every unseen item equally likely."""

    def policy(obs, masks):
        odds = masks / masks.sum(axis=1, keepdims=True)
        actions = np.array([rng.choice(len(row), p=row) for row in odds])
        return actions, odds[np.arange(len(odds)), actions]

    return policy


def test_logged_sessions_are_whole_and_say_how_likely_each_action_was():
    env = RecommendVectorEnv(random_world(), 4)
    logged = log_sessions(env, uniform_unseen(np.random.default_rng(0)), sessions=10, seed=3)
    assert len(logged) == 10
    for session in logged:
        n = len(session.actions)
        seen = session.observations
        assert len(session.rewards) == len(session.propensities) == n
        assert seen["step"][:, 0].tolist() == list(range(n + 1))
        # the history holds what was shown, and the feedback what was earned
        assert seen["history"][-1][-n:].tolist() == session.actions.tolist()
        assert seen["feedback"][-1][-n:].tolist() == session.rewards.tolist()
        # uniform over the unseen: one over their number
        for t in range(n):
            unseen = 60 - len(set(seen["history"][t].tolist()) - {-1})
            assert session.propensities[t] == pytest.approx(1 / unseen)
        assert session.terminated == (n < 20 or session.rewards[-4:].sum() == 0)


def test_impossible_propensities_are_refused():
    env = RecommendVectorEnv(random_world(), 2)
    with pytest.raises(SimrecError, match=r"^the policy gave propensities from 0\.0 to 0\.0; "):
        log_sessions(env, lambda obs, masks: (np.array([0, 1]), np.zeros(2)), sessions=1, seed=0)


def test_the_export_comes_back_from_minari_unchanged(tmp_path, monkeypatch):
    pytest.importorskip("minari", reason="Minari is an extra")
    import minari

    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    env = RecommendVectorEnv(random_world(), 4)
    logged = log_sessions(env, uniform_unseen(np.random.default_rng(0)), sessions=5, seed=3)
    export_minari(env, logged, "simrec/random/uniform-v0", policy_name="uniform")
    stored = list(minari.load_dataset("simrec/random/uniform-v0").iterate_episodes())
    assert len(stored) == 5
    for session, episode in zip(logged, stored, strict=True):
        assert episode.actions.tolist() == session.actions.tolist()
        assert episode.rewards.tolist() == session.rewards.tolist()
        assert (episode.observations["history"] == session.observations["history"]).all()
        assert episode.infos["propensity"][:-1, 0] == pytest.approx(session.propensities)
        assert bool(episode.terminations[-1]) == session.terminated
        assert bool(episode.truncations[-1]) != session.terminated
