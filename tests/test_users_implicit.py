"""Fitting users to logs of what people did: negatives, a planted taste, cold items, real logs."""

import dataclasses

import numpy as np
import pytest
from scipy.special import expit

from simrec.envs.implicit import corrected_offers, exposure_of, fit_clicks
from simrec.envs.logistic import factorise_clicks
from simrec.envs.users import affinity_of_all
from simrec.errors import SimrecError
from simrec.interactions import InteractionLog


def planted(seed=0, n_users=250, n_items=130, events=30):
    """What people took of items met in proportion to fame; the last 20 items are never met."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(n_items, 5)).astype(np.float32)
    tastes = rng.normal(0, 1.2, (n_users, 3))
    logits = 1.2 * features[:, 0] + tastes @ features[:, 1:4].T
    fame = np.exp(rng.normal(0, 0.8, n_items))
    fame[-20:] = 0.0
    # people take items in proportion to fame and to the odds of liking them
    keys = np.log(np.maximum(fame, 1e-300)) + logits + rng.gumbel(size=logits.shape)
    item = np.argsort(-keys, axis=1)[:, :events].ravel()
    user = np.repeat(np.arange(n_users), events)
    log = InteractionLog(
        user.astype(np.int32),
        item.astype(np.int32),
        np.ones(len(user), dtype=np.float32),
        None,
        "implicit",
        tuple(map(str, range(n_users))),
        n_items,
    )
    rows = rng.permutation(len(log))
    return log, features, tastes @ features[:, 1:4].T, rows[800:], rows[:800]


def test_two_answers_of_one_user_and_item_give_the_shrunk_log_odds():
    # 30 clicks of 40: mean logit log(3); nothing is left for the biases, which stay 0
    clicked = np.arange(40) < 30
    zeros = np.zeros(40, dtype=np.int64)
    factors = factorise_clicks(
        zeros,
        zeros,
        clicked,
        np.ones((1, 2)),
        n_users=1,
        rank=0,
        shrinkage=1.0,
        bias_shrinkage=1.0,
        iterations=20,
        rng=np.random.default_rng(0),
    )
    assert factors.mean == pytest.approx(np.log(3))
    assert factors.user_bias[0] + factors.item_bias[0] == pytest.approx(0.0, abs=1e-6)


def test_user_biases_solve_the_penalised_likelihood():
    # at the optimum the gradient sum(y - p) - penalty * bias is 0 for every user
    rng = np.random.default_rng(1)
    users, clicked = np.repeat(np.arange(5), 40), rng.random(200) < np.repeat(rng.random(5), 40)
    factors = factorise_clicks(
        users,
        np.zeros(200, dtype=np.int64),
        clicked,
        np.ones((1, 2)),
        n_users=5,
        rank=0,
        shrinkage=1.0,
        bias_shrinkage=2.0,
        iterations=300,
        rng=rng,
    )
    p = expit(factors.mean + factors.user_bias[users] + factors.item_bias[0])
    slope = np.bincount(users, clicked - p) - 2.0 * factors.user_bias
    assert slope == pytest.approx(np.zeros(5), abs=1e-4)


def test_negatives_follow_the_exposure_and_never_a_known_event():
    log, *_ = planted()
    rows = np.arange(0, len(log), 3)
    exposure = np.zeros(log.n_items)
    exposure[:2] = 3.0, 1.0
    rng = np.random.default_rng(0)
    met = corrected_offers(log, rows, np.arange(len(log)), exposure, rng=rng, negatives=4)
    assert met.clicked[: len(rows)].all() and not met.clicked[len(rows) :].any()
    known = set(zip(log.user.tolist(), log.item.tolist(), strict=True))
    negatives = list(zip(met.user[len(rows) :], met.item[len(rows) :], strict=True))
    assert set(negatives).isdisjoint(known)
    free = corrected_offers(log, rows, rows[:0], exposure, rng=rng, negatives=4)
    share = (free.item[len(rows) :] == 0).mean()
    assert share == pytest.approx(0.75, abs=0.02)  # 3 of 4 by exposure
    assert exposure_of(log, rows[:0], 0.5).tolist() == [1.0] * log.n_items


def test_a_planted_taste_is_recovered_also_for_items_nobody_took():
    log, features, personal, fit_rows, judge_rows = planted()
    fitted = fit_clicks(log, fit_rows, judge_rows, features, like_at=1.0, seed=0, rank=4)
    users, report = fitted.users, fitted.report
    logits = np.log(1 / (1 / affinity_of_all(users, users.begin(np.arange(250))) - 1))

    def centred(x):
        return x - x.mean(axis=0) - x.mean(axis=1, keepdims=True) + x.mean()

    for items in (slice(0, -20), slice(-20, None)):
        found, truth = centred(logits[:, items]), centred(personal[:, items])
        assert np.corrcoef(found.ravel(), truth.ravel())[0, 1] > 0.75
    assert report.model.auc > report.bias.auc + 0.05
    assert report.model.auc > report.popularity_auc + 0.05
    assert report.model.calibration_error < 0.05
    assert 0.2 < report.like_share < 0.3  # 1 in 5, less the negatives that were known events


def test_more_exposure_leaves_less_popularity_to_taste():
    log, features, _, fit_rows, judge_rows = planted()
    count = np.bincount(log.item[fit_rows], minlength=log.n_items)
    tied = []
    for power in (0.0, 0.5, 1.0):
        users = fit_clicks(
            log,
            fit_rows,
            judge_rows,
            features,
            like_at=1.0,
            seed=0,
            rank=0,
            popularity_power=power,
        ).users
        taken = count > 0
        tied.append(np.polyfit(np.log(count[taken]), users.item_effect[taken], 1)[0])
    assert tied[0] > tied[1] + 0.1 > tied[2] + 0.2
    with pytest.raises(SimrecError, match=r"^popularity_power is 2.0; expected 0 to 1$"):
        fit_clicks(log, fit_rows, judge_rows, features, like_at=1.0, seed=0, popularity_power=2.0)


def test_a_like_at_that_no_event_reaches_is_named():
    log, features, _, fit_rows, judge_rows = planted(n_users=30)
    with pytest.raises(SimrecError) as caught:
        fit_clicks(log, fit_rows, judge_rows, features, like_at=4.0, seed=0)
    assert str(caught.value) == (
        "like_at is 4 and no event reaches it: the log is 'implicit' with feedback up to 1; "
        "expected a smaller value; in a study set data.like_at to 1"
    )


def test_the_same_seed_gives_the_same_users_and_counts_are_read_as_did():
    log, features, _, fit_rows, judge_rows = planted(n_users=60)

    def prints(log, seed):
        return fit_clicks(
            log, fit_rows, judge_rows, features, like_at=1.0, seed=seed, rank=2, iterations=2
        ).users.fingerprint

    counted = dataclasses.replace(log, unit="count", feedback=log.feedback * 7)
    assert prints(log, 0) == prints(log, 0) == prints(counted, 0) != prints(log, 1)
