"""Users who weigh modalities: a planted truth, the simplex, and the same formula twice."""

import dataclasses

import numpy as np
import pytest
from scipy.special import expit

from simrec.envs.modality_users import fit_modality_users, whitened
from simrec.envs.users import FactorUsers
from simrec.envs.vector import RecommendVectorEnv
from simrec.envs.world import Rules, World
from simrec.errors import SimrecError
from simrec.interactions import InteractionLog


def planted(n_users=200, n_items=300, events=150, lean=(1.0, 1.0)):
    rng = np.random.default_rng(0)
    parts = {name: rng.normal(size=(n_items, 3)).astype(np.float32) for name in ("text", "image")}
    weights = rng.dirichlet(lean, n_users)  # (U, M)
    tastes = rng.normal(size=(2, n_users, 3))
    tastes *= 4.0 / np.linalg.norm(tastes, axis=2, keepdims=True)
    logits = rng.normal(0, 0.5, n_items) + sum(
        weights[:, [m]] * (tastes[m] @ part.T) for m, part in enumerate(parts.values())
    )
    user = np.repeat(np.arange(n_users), events)
    item = np.concatenate([rng.choice(n_items, events, replace=False) for _ in range(n_users)])
    liked = rng.random(len(user)) < expit(logits[user, item])
    log = InteractionLog(
        user.astype(np.int32),
        item.astype(np.int32),
        np.where(liked, 5.0, 1.0).astype(np.float32),
        None,
        "stars",
        tuple(map(str, range(n_users))),
        n_items,
    )
    rows = rng.permutation(len(log))
    return log, parts, weights, logits, rows[2000:], rows[:2000]


@pytest.fixture(scope="module")
def found():
    log, parts, weights, logits, fit_rows, judge_rows = planted()
    fitted = fit_modality_users(log, fit_rows, judge_rows, parts, like_at=4.0, seed=0)
    return fitted.users, fitted.report, weights, logits


def test_planted_weights_and_tastes_are_recovered(found):
    users, report, weights, logits = found
    assert users.modalities == ("text", "image")
    assert np.corrcoef(users.weights[:, 0], weights[:, 0])[0, 1] > 0.9
    own = np.log(1 / (1 / users.affinity_of_all(users.begin(np.arange(200))) - 1))
    assert np.corrcoef(own.ravel(), logits.ravel())[0, 1] > 0.9
    assert report.model.auc > max(0.8, report.bias.auc, report.item_mean.auc)


def test_hiding_a_modality_loses_the_share_of_the_taste_that_was_planted_in_it():
    log, parts, _, logits, fit_rows, judge_rows = planted(lean=(6.0, 3.0))
    users = fit_modality_users(log, fit_rows, judge_rows, parts, like_at=4.0, seed=0).users
    # the truth is linear in the parts, so that least squares takes it apart without an error
    personal = logits - logits.mean(axis=0)
    joint = np.hstack(list(parts.values())).astype(float)
    slopes = np.linalg.lstsq(joint, personal.T, rcond=None)[0]
    truth = [joint[:, :3] @ slopes[:3], joint[:, 3:] @ slopes[3:]]
    shares = np.array([part.var() for part in truth])
    shares /= shares.sum()
    assert shares[0] > 0.65  # text was planted to matter more
    own = [
        e @ (w[:, None] * p).T
        for e, w, p in zip(users.embeddings, users.weights.T, users.tastes, strict=True)
    ]
    own = [part - part.mean(axis=1, keepdims=True) for part in own]

    def explained(part):
        return np.corrcoef(part.ravel(), personal.T.ravel())[0, 1] ** 2

    full = explained(own[0] + own[1])
    assert full > 0.8
    for seen, share in zip(own, shares, strict=True):  # what is left when the other is hidden
        assert explained(seen) / full == pytest.approx(share, abs=0.08)


def test_weights_lie_on_the_simplex_and_the_formula_is_the_affinity(found):
    users, *_ = found
    assert users.weights.min() >= 0
    assert users.weights.sum(axis=1) == pytest.approx(np.ones(200), abs=1e-5)
    length = [np.linalg.norm(part, axis=1) for part in users.tastes]
    assert length[0] == pytest.approx(length[1], rel=1e-3)
    logit = users.intercept + users.user_effect[7] + users.item_effect[3]
    for m in range(2):
        logit += users.weights[7, m] * users.tastes[m][7] @ users.embeddings[m][3]
    chance = users.affinity(users.begin(np.array([7])), np.array([[3]]))[0, 0]
    assert chance == pytest.approx(expit(logit), abs=1e-5)


def test_whitened_parts_have_variance_one_and_drop_what_is_constant():
    part = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32) * [1, 5, 0, 2]
    white = whitened(part.astype(np.float32), 6)
    assert white.shape == (50, 3)
    assert white.T @ white / 50 == pytest.approx(np.eye(3), abs=1e-6)


def test_one_modality_leaves_nothing_to_weigh():
    log, parts, _, _, fit_rows, judge_rows = planted(n_users=20, events=30)
    with pytest.raises(SimrecError, match=r"^the item table has 1 modality; expected 2 or more"):
        fit_modality_users(log, fit_rows, judge_rows, {"text": parts["text"]}, like_at=4.0, seed=0)


def test_a_world_of_modality_users_plays_as_their_factors(found):
    users, *_ = found
    parts = {f.name: getattr(users, f.name) for f in dataclasses.fields(FactorUsers)}
    start = np.full((200, 2), -1)
    topics = np.ones((300, 1), dtype=np.float32)
    courses = []
    for population in (users, FactorUsers(**parts)):
        world = World(
            "weighing",
            population,
            topics,
            start,
            np.zeros((200, 2), dtype=np.float32),
            np.arange(200),
            Rules(horizon=6),
        )
        env = RecommendVectorEnv(world, 40)
        env.reset(seed=0)
        courses.append([env.step(np.full(40, item))[1].tolist() for item in range(12)])
    assert courses[0] == courses[1]
    assert 0 < np.sum(courses[0]) < 480
