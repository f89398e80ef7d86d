"""The affect channel: label frequencies in closed form, sessions untouched; users who recall."""

import numpy as np
import pytest

from simrec.catalogue import Catalogue
from simrec.envs.affect import FEELINGS, AffectSignal, feeling_of
from simrec.envs.llm_user import LLMUser
from simrec.envs.memories import RecallingUser, recall
from simrec.envs.single import RecommendEnv
from simrec.envs.world import Rules
from simrec.errors import SimrecError
from tests.env_worlds import constant_world

NOISY = [[0.7, 0.2, 0.1, 0.0], [0.1, 0.8, 0.0, 0.1], [0.05, 0.15, 0.6, 0.2]]


def played(probability: float, sessions: int, confusion=NOISY, horizon: int = 50, **options):
    """Labels (sessions, horizon) and rewards of a recogniser at work."""
    rules = Rules(horizon=horizon, patience=horizon + 1, boredom=0.0)
    env = RecommendEnv(constant_world(probability, n_items=60, rules=rules))
    wrapped = AffectSignal(env, confusion=confusion, **options)
    labels, rewards = [], []
    for seed in range(sessions):
        observation, _ = wrapped.reset(seed=seed)
        assert observation["affect"] == -1 and wrapped.observation_space.contains(observation)
        for step in range(horizon):
            observation, reward, *_ = wrapped.step(step)
            labels.append(int(observation["affect"]))
            rewards.append(reward)
    return np.array(labels).reshape(sessions, -1), np.array(rewards)


def test_feelings_by_hand():
    assert [FEELINGS[feeling_of(*x)] for x in ((1, 0), (0, 1), (0, 2), (2, 0))] == [
        *("pleased", "neutral", "annoyed", "pleased")
    ]


def test_labels_come_as_often_as_the_matrix_says():
    # a click with chance 1/2: pleased 1/2; after the first step annoyed 1/4 (two misses in a row)
    # and neutral 1/4
    labels, _ = played(0.5, 40)
    found = np.bincount(labels[:, 1:].ravel(), minlength=4) / labels[:, 1:].size
    expected = np.array([0.25, 0.25, 0.5]) @ np.array(NOISY)
    assert np.abs(found - expected).max() < 0.05  # four standard errors, neighbours correlated
    # users who always click are always pleased: the row of the matrix itself
    found = np.bincount(played(1.0, 20)[0].ravel(), minlength=4) / 1000
    assert np.abs(found - NOISY[2]).max() < 0.065


def test_a_perfect_recogniser_tells_the_feeling_and_a_blind_one_nothing():
    labels, rewards = played(0.5, 10, np.eye(3))
    assert ((labels == 2).ravel() == (rewards > 0)).all()
    blind, _ = played(0.5, 3, np.eye(3), dropout=1.0)
    assert (blind == -1).all()
    half, _ = played(1.0, 20, np.eye(3), dropout=0.5)
    assert abs((half == -1).mean() - 0.5) < 0.06


def test_the_session_under_it_is_the_one_without_and_seeds_repeat():
    first, rewards = played(0.5, 4)
    again, _ = played(0.5, 4)
    other, same = played(0.5, 4, seed=1)
    assert (first == again).all() and (first != other).any()
    assert rewards.tolist() == same.tolist()
    rules = Rules(horizon=50, patience=51, boredom=0.0)
    env = RecommendEnv(constant_world(0.5, n_items=60, rules=rules))
    bare = []
    for seed in range(4):
        env.reset(seed=seed)
        bare += [env.step(step)[1] for step in range(50)]
    assert rewards.tolist() == bare


def test_bad_matrices_are_one_sentence():
    env = RecommendEnv(constant_world(0.5, rules=Rules()))
    with pytest.raises(SimrecError, match=r"expected 3 rows \(annoyed, neutral, pleased\) that"):
        AffectSignal(env, confusion=[[1.0], [0.5], [1.0]])
    with pytest.raises(SimrecError, match="got 2 labels and dropout 0"):
        AffectSignal(env, confusion=np.eye(3), labels=("a", "b"))


VECTORS = np.array([[1, 0], [1, 0.1], [0, 1], [-1, 0], [0, -1]], dtype=np.float32)


def test_memories_are_the_nearest_ones_in_order_and_may_be_none():
    past = np.array([-1, 3, 2, 1])
    assert recall(VECTORS, past, 0, k=2, floor=-1.0).tolist() == [2, 3]  # items 2 and 1
    assert recall(VECTORS, past, 0, k=5, floor=0.5).tolist() == [3]
    assert recall(VECTORS, past, 4, k=5, floor=0.5).tolist() == []
    rng = np.random.default_rng(0)
    many = rng.normal(size=(40, 6)).astype(np.float32)
    unit = many / np.linalg.norm(many, axis=1, keepdims=True)
    exact = np.sort(np.argsort(-(unit[1:] @ unit[0]))[:7])
    assert recall(many, np.arange(1, 40), 0, k=7, floor=-1).tolist() == exact.tolist()


def test_a_recalling_user_is_told_what_is_logged():
    names = tuple(f"Film {i}" for i in range(5))
    catalogue = Catalogue("films", names, names, ("",) * 5, (None,) * 5)
    history, liked = np.array([[1, 2, 3]]), np.array([[1, 0, 1]], dtype=np.float32)

    def answer(prompts):
        return ["5"] * len(prompts)

    given = {"model": "m", "catalogue": catalogue, "history": history, "liked": liked}
    users = RecallingUser(answer, vectors=VECTORS, k=2, floor=0.5, **given)
    question = users.question(0, 0)
    assert "Liked: Film 1\nNot liked: nothing known\n" in question and users.log[0, 0] == (1,)
    assert "Liked: nothing known\n" in users.question(0, 4) and users.log[0, 4] == ()
    plain = LLMUser(answer, **given)
    assert "Liked: Film 1; Film 3\nNot liked: Film 2\n" in plain.question(0, 0)
    assert users.fingerprint != plain.fingerprint
    assert users.affinity(users.begin(np.array([0])), np.array([[0]])).tolist() == [[0.5]]
    with pytest.raises(SimrecError, match="got 5 vectors, k 0 and floor"):
        RecallingUser(answer, vectors=VECTORS, k=0, **given)
