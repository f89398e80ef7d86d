"""Ensembles of learned rewards: their mean, their doubt, and a teacher's bias taken out."""

import math
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from simrec.agents.label_bias import label_bias, rate_offsets
from simrec.agents.reward import Reward, RewardEnsemble
from simrec.agents.reward_fit import RewardReport, fit_reward
from simrec.preferences import Preference, PreferenceSet, Question
from tests.test_agents_reward import PER_USER, USERS, VECTORS, K, histories, planted

QUICK = {"luck": 0, "epochs": 4, "weight_decays": (1.0,), "width": 8}


@cache
def three() -> tuple[RewardEnsemble, RewardReport]:
    model, report = fit_reward(planted(), VECTORS, members=3, pessimism=2.0, **QUICK)  # type: ignore[arg-type]
    assert isinstance(model, RewardEnsemble)
    return model, report


def test_the_reward_is_the_mean_and_caution_takes_off_what_members_differ_by() -> None:
    model, _ = three()
    each = np.stack([member.predict(*histories()) for member in model.models()])
    np.testing.assert_allclose(model.predict(*histories()), each.mean(0), atol=1e-6)
    sd = each.std(0, ddof=1)
    np.testing.assert_allclose(model.spread(*histories()), sd, atol=1e-5)
    np.testing.assert_allclose(model.cautious(*histories()), each.mean(0) - 2.0 * sd, atol=1e-5)
    assert sd.min() > 0.0


def test_every_member_is_measured_on_the_same_held_out_users() -> None:
    _, report = three()
    assert report.ensemble is not None
    aucs = report.ensemble.member_aucs
    assert len(set(aucs)) == 3 and min(aucs) > 0.6
    assert report.held_out_auc > np.mean(aucs)  # the mean of noisy rankings is less noisy
    assert report.as_dict()["ensemble"]["member_aucs"] == aucs
    assert (report.questions, report.labels) == (USERS * PER_USER, USERS * PER_USER * K)


def test_members_agree_less_about_items_nobody_was_asked_about() -> None:
    rows = [a for a in planted() if not set(a.question.candidates.tolist()) & set(range(8))]
    vectors = VECTORS.copy()
    vectors[:8] *= 3.0  # far from all the others, and never judged
    model, _ = fit_reward(PreferenceSet(tuple(rows)), vectors, members=3, **QUICK)  # type: ignore[arg-type]
    assert isinstance(model, RewardEnsemble)
    spread = model.spread(*histories()).mean(0)
    assert spread[:8].mean() > 1.5 * spread[8:].mean()


def test_one_member_is_byte_for_byte_what_it_was_and_has_no_doubt() -> None:
    some = PreferenceSet(planted().answers[:90])
    a, report = fit_reward(some, VECTORS, **QUICK)  # type: ignore[arg-type]
    assert "ensemble" not in report.as_dict()
    assert a.cautious(*histories()).tobytes() == a.predict(*histories()).tobytes()


def test_saving_and_loading_keeps_members_and_pessimism(tmp_path: Path) -> None:
    model, _ = three()
    model.save(tmp_path / "reward.pt")
    again = Reward.load(tmp_path / "reward.pt")
    assert again.cautious(*histories()).tobytes() == model.cautious(*histories()).tobytes()


# ---- a teacher's bias ----


def test_offsets_by_hand() -> None:
    # 40 labels, 20 liked, so p = 1/2. Ten of group 0, all liked: (10 + 10/2) / (10 + 10) = 3/4,
    # and log(3) - log(1). Thirty of group 1, ten liked: (10 + 10/2) / (30 + 10) = 3/8, and
    # log(3/5) - log(1). Group 2 has no label.
    group = np.repeat([0, 1], [10, 30])
    liked = np.repeat([1.0, 1.0, 0.0], [10, 10, 20]).astype(np.float32)
    want = [math.log(3.0), math.log(3.0 / 5.0), 0.0]
    np.testing.assert_allclose(rate_offsets(group, liked, 3), want, rtol=1e-6)
    assert not rate_offsets(group, np.ones(40, dtype=np.float32), 3).any()


def test_places_and_shares_of_items_by_hand() -> None:
    candidates = np.tile(np.array([[0, 1], [1, 0]]), (10, 1))  # (20, 2) each item 10 times a place
    liked = np.tile(np.array([[1.0, 0.0], [1.0, 0.0]], dtype=np.float32), (10, 1))  # always first
    judged = np.ones_like(liked)
    found = label_bias(candidates, liked, judged, 3, item_share=0.5, places=True)
    # each place has 20 labels: (20 + 10/2) / (20 + 10) = 5/6 and 1/6; each item half of them
    np.testing.assert_allclose(found.place, [math.log(5.0), -math.log(5.0)], rtol=1e-6)
    np.testing.assert_allclose(found.item, [0.0, 0.0, 0.0], atol=1e-7)
    liked = (candidates == 0).astype(np.float32)
    found = label_bias(candidates, liked, judged, 3, item_share=0.5, places=False)
    np.testing.assert_allclose(found.item, [math.log(5.0) / 2, -math.log(5.0) / 2, 0.0], rtol=1e-6)
    assert not found.place.any()
    judged[:, 1] = 0.0  # what was not answered is not read
    found = label_bias(candidates, liked, judged, 3, item_share=1.0, places=False)
    # 20 labels, 10 liked; item 0: (10 + 5) / (10 + 10) = 3/4
    np.testing.assert_allclose(found.item, [math.log(3.0), -math.log(3.0), 0.0], rtol=1e-6)


@cache
def careless() -> PreferenceSet:
    """A teacher who likes what is among the first two of ten, mostly; items 0 to 3 come first."""
    rng = np.random.default_rng(5)
    answers = []
    for user in range(240):
        rest = rng.permutation(np.arange(4, 80))[: K - 1 + 6]
        candidates = np.concatenate([rng.permutation(4)[:1], rest[: K - 1]]).astype(np.int64)
        history = rest[K - 1 :].astype(np.int64)
        liked = rng.random(K) < np.where(np.arange(K) < 2, 0.8, 0.2)
        asked = Question(user, history, np.ones(6, dtype=np.float32), candidates, ("random",) * K)
        score = liked.astype(np.float32)
        answers.append(Preference(asked, liked, score, "careless", "", ""))
    return PreferenceSet(tuple(answers))


def advantage(**settings: object) -> float:
    """How much the reward prefers the items that always came first to the others, in logits."""
    options = {**QUICK, "free_vectors": True, "epochs": 12, **settings}
    model, _ = fit_reward(careless(), VECTORS, **options)  # type: ignore[arg-type]
    scores = model.predict(*histories()).mean(0)
    return float(scores[:4].mean() - scores[4:].mean())


def test_a_reward_does_not_learn_places_once_they_are_taken_out() -> None:
    fooled, told = advantage(), advantage(position_correction=True)
    assert fooled > 1.0
    assert abs(told) < 0.4 * fooled


@pytest.mark.parametrize("share", [0.5, 1.0])
def test_the_share_of_item_bias_asked_for_is_taken_out(share: float) -> None:
    """A teacher for whom items 40 to 79 are good for everybody and nothing is personal."""
    rng = np.random.default_rng(6)
    answers = []
    for answer in planted():
        chance = np.where(answer.question.candidates >= 40, 0.8, 0.2)
        liked = rng.random(K) < chance
        answers.append(replace(answer, liked=liked, score=liked.astype(np.float32)))
    biased = PreferenceSet(tuple(answers))
    options = {**QUICK, "free_vectors": True, "epochs": 20}

    def gap(**settings: object) -> float:
        model, _ = fit_reward(biased, VECTORS, **{**options, **settings})  # type: ignore[arg-type]
        scores = model.predict(*histories()).mean(0)
        return float(scores[40:].mean() - scores[:40].mean())

    # about 60 labels an item: (48 + 5) / 70 and (12 + 5) / 70 are 2.27 apart in logits
    assert gap() > 1.8
    assert gap(item_correction=share) == pytest.approx(gap() - 2.27 * share, abs=0.4)
