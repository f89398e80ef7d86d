"""The learned reward: it finds planted tastes, and finds nothing where there is nothing."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from simrec.agents.reward import RewardModel
from simrec.agents.reward_fit import fit_reward
from simrec.errors import SimrecError
from simrec.llm.elicit import shuffle_labels
from simrec.preferences import Preference, PreferenceSet, Question

VECTORS = np.random.default_rng(0).normal(size=(80, 6)).astype(np.float32)
USERS, PER_USER, K = 160, 3, 10


@cache
def planted() -> PreferenceSet:
    """Users with a linear taste w like what has w . x > 0, in histories and as the teacher says."""
    rng = np.random.default_rng(1)
    answers = []
    for user in range(USERS):
        taste = rng.normal(size=6)
        for _ in range(PER_USER):
            items = rng.permutation(80)[: 12 + K].astype(np.int64)
            score = (VECTORS[items] @ taste).astype(np.float32)
            history, candidates = items[:12], items[12:]
            liked = (score[:12] > 0).astype(np.float32)
            question = Question(user, history, liked, candidates, ("random",) * K)
            answers.append(Preference(question, score[12:] > 0, score[12:], "planted", "", ""))
    return PreferenceSet(tuple(answers))


def histories() -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    some = planted().answers[:20]
    return np.stack([a.question.history for a in some]), np.stack(
        [a.question.feedback for a in some]
    )


def test_planted_tastes_are_found_for_users_never_trained_on() -> None:
    _, report = fit_reward(planted(), VECTORS, luck=0)
    assert report.held_out_auc > 0.8
    assert report.train_auc > 0.8
    assert (report.questions, report.labels) == (USERS * PER_USER, USERS * PER_USER * K)
    rate = np.mean([a.liked.mean() for a in planted()])
    assert report.like_rate == pytest.approx(float(rate))


def test_nothing_is_found_in_shuffled_labels() -> None:
    labels = shuffle_labels(planted(), np.random.default_rng(2))
    _, report = fit_reward(labels, VECTORS, luck=0)
    # 480 held-out labels: the standard error of an AUC of 1/2 is about 0.026
    assert report.held_out_auc == pytest.approx(0.5, abs=0.1)


def test_candidates_without_a_judgement_do_not_matter() -> None:
    rng = np.random.default_rng(3)
    some, others = [], []
    for answer in planted():
        silent = rng.random(K) < 0.3
        score = np.where(silent, np.nan, answer.score).astype(np.float32)
        some.append(replace(answer, score=score))
        others.append(replace(answer, score=score, liked=answer.liked ^ silent))
    settings = {"luck": 0, "epochs": 2, "weight_decays": (0.0, 3.0)}
    a, report_a = fit_reward(PreferenceSet(tuple(some)), VECTORS, **settings)  # type: ignore[arg-type]
    b, report_b = fit_reward(PreferenceSet(tuple(others)), VECTORS, **settings)  # type: ignore[arg-type]
    assert a.predict(*histories()).tobytes() == b.predict(*histories()).tobytes()
    assert report_a == report_b
    assert report_a.labels == sum(int(np.isfinite(p.score).sum()) for p in some)


@pytest.mark.parametrize("free", [False, True])
def test_saving_and_loading_keeps_every_prediction(free: bool, tmp_path: Path) -> None:
    model, _ = fit_reward(
        planted(), VECTORS, luck=0, epochs=1, weight_decays=(1.0,), free_vectors=free, width=8
    )
    model.save(tmp_path / "reward.pt")
    again = RewardModel.load(tmp_path / "reward.pt")
    assert again.predict(*histories()).tobytes() == model.predict(*histories()).tobytes()
    assert [p.name for p in tmp_path.iterdir()] == ["reward.pt"]


def test_the_same_luck_fits_the_same_reward() -> None:
    settings = {"epochs": 1, "weight_decays": (1.0,)}
    a, b, c = (
        fit_reward(planted(), VECTORS, luck=n, **settings)[0].predict(*histories())  # type: ignore[arg-type]
        for n in (0, 0, 1)
    )
    assert a.tobytes() == b.tobytes() != c.tobytes()


def test_the_anchor_is_a_softmax_over_unseen_items() -> None:
    from simrec.agents.reward import history_observation

    model, _ = fit_reward(planted(), VECTORS, luck=0, epochs=1, weight_decays=(1.0,))
    items, liked = histories()
    found = model.log_policy(history_observation(items, liked), 0.5).detach().exp().numpy()
    weight = np.exp(model.predict(items, liked).astype(np.float64) / 0.5)
    np.put_along_axis(weight, items, 0.0, axis=1)
    np.testing.assert_allclose(found, weight / weight.sum(axis=1, keepdims=True), atol=1e-6)


def test_a_teacher_who_says_nothing_is_an_error() -> None:
    silent = [
        replace(a, score=np.full(K, np.nan, dtype=np.float32), status="unanswered")
        for a in planted().answers[:7]
    ]
    with pytest.raises(SimrecError) as error:
        fit_reward(PreferenceSet(tuple(silent)), VECTORS, luck=0)
    assert str(error.value) == (
        "the teacher answered none of 7 questions; check its model and the candidates it can judge"
    )
