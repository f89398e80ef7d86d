"""Fitting a population: formulas by hand, planted truths, real ratings."""

import dataclasses

import numpy as np
import pytest
from scipy.special import expit

from simrec.datasets.tidy import read_tidy
from simrec.datasets.toy import make_toy
from simrec.envs.als import factorise
from simrec.envs.fit import fit_population
from simrec.envs.fitting import FOLDS, GRID, chosen_shrinkage
from simrec.envs.realism import area_under_curve, calibration_error, logistic_weights
from simrec.envs.users import affinity_of_all
from simrec.errors import SimrecError
from simrec.interactions import InteractionLog, Part, split_log
from simrec.items.build import build_item_table


def test_the_area_under_the_curve_counts_pairs():
    # pairs (liked, not): .35>.1, .35<.4, .8>.1, .8>.4 give 3 of 4; a tie counts half
    liked = np.array([False, False, True, True])
    assert area_under_curve(np.array([0.1, 0.4, 0.35, 0.8]), liked) == 0.75
    assert area_under_curve(np.array([1.0, 1.0]), np.array([True, False])) == 0.5
    assert np.isnan(area_under_curve(np.array([1.0]), np.array([True])))


def test_the_calibration_error_averages_the_gap_of_each_bin():
    # bin 9: predicted .95, liked 1 of 2, gap .45, half the events; bin 1: .15 against 0: .225+.075
    p = np.array([0.95, 0.95, 0.15, 0.15])
    assert calibration_error(p, np.array([True, False, False, False])) == pytest.approx(0.3)
    assert calibration_error(np.array([1.0]), np.array([True])) == 0.0


def test_logistic_weights_recover_the_log_odds():
    # 3 likes of 4 without the mark: ln 3; 1 of 4 with it: ln(1/3), so the mark weighs -2 ln 3
    mark = np.repeat([0.0, 1.0], 4)
    liked = np.array([1, 1, 1, 0, 1, 0, 0, 0], dtype=bool)
    weights = logistic_weights(np.stack((np.ones(8), mark), axis=1), liked, ridge=0.0)
    assert weights == pytest.approx([np.log(3), -2 * np.log(3)], abs=1e-8)


def test_a_bias_is_the_shrunk_mean_residual():
    # ratings 5 5 / 1 1, mean 3: user bias (2 + 2) / (2 + penalty 2) = 1; the items are alike
    factors = factorise(
        np.array([0, 0, 1, 1]),
        np.array([0, 1, 0, 1]),
        np.array([5.0, 5.0, 1.0, 1.0]),
        np.ones((2, 3)),
        n_users=2,
        rank=0,
        shrinkage=1.0,
        bias_shrinkage=2.0,
        iterations=3,
        rng=np.random.default_rng(0),
    )
    assert factors.mean == 3.0
    assert factors.user_bias == pytest.approx([1.0, -1.0])
    assert factors.item_bias == pytest.approx([0.0, 0.0])


def planted(seed=0, n_users=300, n_items=120):
    """A log of stars from known tastes that follow known features; the last 20 items are cold."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(n_items, 6)).astype(np.float32)
    item_bias = 0.4 * features[:, 0]
    vectors = features[:, 1:4]
    user_bias, tastes = rng.normal(0, 0.4, n_users), rng.normal(0, 0.5, (n_users, 3))
    truth = 3.2 + user_bias[:, None] + item_bias + tastes @ vectors.T
    user = np.repeat(np.arange(n_users), 45)
    item = np.concatenate([rng.choice(n_items - 20, 45, replace=False) for _ in range(n_users)])
    noisy = truth[user, item] + rng.normal(0, 0.5, len(user))
    log = InteractionLog(
        user.astype(np.int32),
        item.astype(np.int32),
        np.clip(np.round(noisy), 1, 5).astype(np.float32),
        None,
        "stars",
        tuple(map(str, range(n_users))),
        n_items,
    )
    rows = rng.permutation(len(log))
    return log, features, truth, rows[1000:], rows[:1000]


def test_a_planted_taste_is_recovered_also_for_items_without_ratings():
    log, features, truth, fit_rows, judge_rows = planted()
    fitted = fit_population(
        log, fit_rows, judge_rows, features, like_at=4.0, seed=0, rank=4, shrinkage=3.0
    )
    users, report = fitted.users, fitted.report
    assert (users.n_users, users.n_items) == truth.shape
    logits = np.log(1 / (1 / affinity_of_all(users, users.begin(np.arange(300))) - 1))
    assert np.corrcoef(logits[:, :100].ravel(), truth[:, :100].ravel())[0, 1] > 0.95
    assert np.corrcoef(logits[:, 100:].ravel(), truth[:, 100:].ravel())[0, 1] > 0.85

    def personal(x):
        return x - x.mean(axis=0) - x.mean(axis=1, keepdims=True) + x.mean()

    assert (
        np.corrcoef(personal(logits[:, :100]).ravel(), personal(truth[:, :100]).ravel())[0, 1] > 0.9
    )
    assert report.model.rmse < report.bias.rmse < report.item_mean.rmse
    assert report.model.calibration_error < 0.06
    assert report.judged == 1000


def test_affinity_is_the_formula():
    log, features, _, fit_rows, judge_rows = planted(n_users=60)
    users = fit_population(log, fit_rows, judge_rows, features, like_at=4.0, seed=0, rank=2).users
    logit = (
        users.intercept
        + users.user_effect[7]
        + users.item_effect[3]
        + users.scale * users.user_vectors[7] @ users.item_vectors[3]
    )
    state = users.begin(np.array([7]))
    assert users.affinity(state, np.array([[3]]))[0, 0] == pytest.approx(expit(logit), abs=1e-6)


def test_the_same_seed_gives_the_same_population_and_scales_change_only_the_scale():
    log, features, _, fit_rows, judge_rows = planted(n_users=60)

    def fitted(**options):
        found = fit_population(
            log, fit_rows, judge_rows, features, like_at=4.0, seed=3, rank=2, **options
        )
        return found.users, found.report

    (first, report), (second, _) = fitted(), fitted()
    assert first.fingerprint == second.fingerprint
    wide, same_report = fitted(
        user_scale=0.5, item_scale=2.0, interaction_scale=3.0, intercept_shift=-1.0
    )
    assert same_report == report  # judged when calibrated
    assert wide.user_effect == pytest.approx(0.5 * first.user_effect, abs=1e-6)
    assert wide.item_effect == pytest.approx(2.0 * first.item_effect, abs=1e-6)
    assert wide.scale == pytest.approx(3.0 * first.scale)
    assert wide.intercept == pytest.approx(first.intercept - 1.0)
    # centred effects: over the truth part their mean is 0, so scaling them moves no average
    assert first.item_effect[log.item[fit_rows]].mean() == pytest.approx(0.0, abs=1e-5)


def test_toy_users_are_closer_to_the_held_out_ratings_than_any_baseline():
    data = make_toy(seed=0)
    split = split_log(data.log, seed=0)
    table = build_item_table(data.catalogue, np.bincount(data.log.item))
    truth, judge = (np.flatnonzero(split.part == p) for p in (Part.TRUTH, Part.REALISM))
    report = fit_population(data.log, truth, judge, table.fused, like_at=4.0, seed=0).report
    assert report.model.rmse < report.bias.rmse - 0.1
    assert report.model.auc > max(report.bias.auc, report.item_mean.auc) + 0.1
    assert report.model.calibration_error < 0.06


def test_movielens_users_are_closer_to_the_held_out_ratings_than_any_baseline(shared_data):
    data = read_tidy(shared_data / "ml100k_mm", name="movielens")
    split = split_log(data.log, seed=0)
    seen = data.log.item[split.part == Part.AGENT]
    table = build_item_table(
        data.catalogue,
        np.bincount(seen, minlength=data.log.n_items),
        modalities=["text", "attributes"],
    )
    truth, judge = (np.flatnonzero(split.part == p) for p in (Part.TRUTH, Part.REALISM))
    report = fit_population(data.log, truth, judge, table.fused, like_at=4.0, seed=0).report
    assert report.model.rmse < report.bias.rmse < report.item_mean.rmse
    assert report.model.auc > report.bias.auc > report.item_mean.auc > report.popularity_auc
    assert report.model.rmse < 0.92
    assert report.model.calibration_error < 0.03


def test_logs_that_cannot_be_fitted_are_refused_in_a_sentence():
    log, features, _, fit_rows, judge_rows = planted(n_users=60)

    def sentence(log=log, features=features, rows=fit_rows, like_at=4.0):
        with pytest.raises(SimrecError) as caught:
            fit_population(log, rows, judge_rows, features, like_at=like_at, seed=0)
        return str(caught.value)

    assert sentence(dataclasses.replace(log, unit="implicit")) == (
        "the log's feedback is in 'implicit', which has no dislikes; fitting ratings needs a unit "
        "such as 'stars', so fit this log with simrec.envs.implicit.fit_clicks"
    )
    assert sentence(features=features[:9]).startswith("the item table has 9 rows; expected 120")
    assert sentence(rows=fit_rows[:5]).startswith("the truth part has 5 events")
    alike = dataclasses.replace(log, feedback=np.full_like(log.feedback, 5.0))
    assert sentence(alike) == (
        "all feedback is 5, so nothing tells likes from dislikes; expected several values, or a "
        "log of what people did: write 1 in every row and set data.like_at to 1"
    )
    assert sentence(like_at=9.0).startswith("like_at is 9.0 and 0% of the truth part reach it;")


def test_a_penalty_is_chosen_by_the_folds_of_the_training_part_alone():
    asked = []

    def loss(fit_rows, fold, penalty):
        assert sorted([*fit_rows, *fold]) == list(range(40))
        asked.append(penalty)
        return abs(np.log(penalty / 5.0))  # least at 6 of the grid, log 6/5 < log 5/4

    rows, rng = np.arange(40), np.random.default_rng(0)
    assert chosen_shrinkage(rows, loss, start=16.0, rng=rng) == 6.0
    assert sorted(set(asked)) == [4.0, 6.0, 8.0, 12.0, 16.0, 24.0]
    assert all(asked.count(penalty) == FOLDS for penalty in set(asked))
    assert chosen_shrinkage(rows, lambda a, b, c: c, start=3.0, rng=rng) == GRID[0]


def test_what_is_judged_on_has_no_say_in_the_penalty():
    log, features, _, fit_rows, judge_rows = planted(n_users=40)
    other = log.feedback.copy()
    other[judge_rows] = 6.0 - other[judge_rows]
    chosen = [
        fit_population(
            each,
            fit_rows,
            judge_rows,
            features,
            like_at=4.0,
            seed=0,
            rank=2,
            iterations=3,
            shrinkage="chosen",
        )
        for each in (log, dataclasses.replace(log, feedback=other))
    ]
    assert chosen[0].report.shrinkage == chosen[1].report.shrinkage
    assert chosen[0].users.fingerprint == chosen[1].users.fingerprint
    assert chosen[0].report.model != chosen[1].report.model
