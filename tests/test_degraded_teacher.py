"""Degraded teachers: what is spoilt is exactly what was asked for, and nobody is asked again."""

from pathlib import Path

import numpy as np
import pytest
import yaml
from numpy.typing import NDArray
from pydantic import ValidationError

from simrec.config import StudyConfig
from simrec.llm.degrade import Doses, degrade
from simrec.metrics import auc
from simrec.preferences import Preference, PreferenceSet, Question
from simrec.stages.inputs import Inputs
from tests.toy_study import STUDY

ITEMS = 50
POPULARITY = np.arange(ITEMS)[::-1].copy()  # item 0 is the most popular


def answers(n: int = 100, K: int = 10, unanswered: int = 7) -> PreferenceSet:
    """A teacher who likes 30 % of what it judges: scores above 2 are likes."""
    rng = np.random.default_rng(3)
    score = rng.permutation(np.linspace(1.0, 3.0, n * K).astype(np.float32))
    liked = score > np.sort(score)[int(0.7 * n * K) - 1]
    score[:unanswered], liked[:unanswered] = np.nan, False
    return PreferenceSet(
        tuple(
            Preference(
                Question(
                    u,
                    np.zeros(0, np.int64),
                    np.zeros(0, np.float32),
                    rng.permutation(ITEMS)[:K],
                    ("random",) * K,
                ),
                liked[u * K : (u + 1) * K],
                score[u * K : (u + 1) * K],
                "tea",
                "",
                "said",
            )
            for u in range(n)
        )
    )


def flat(found: PreferenceSet) -> tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.int64]]:
    return (
        np.concatenate([a.score for a in found]),
        np.concatenate([a.liked for a in found]),
        np.concatenate([a.question.candidates for a in found]),
    )


def spoilt(doses: Doses, given: PreferenceSet | None = None) -> PreferenceSet:
    return degrade(given or answers(), doses, POPULARITY, np.random.default_rng(8))


@pytest.mark.parametrize("noise", [0.1, 0.3, 0.5])
def test_flipped_labels_have_an_auc_of_one_minus_the_noise(noise: float) -> None:
    given = answers(unanswered=0)  # 300 likes of 1,000
    _, before, _ = flat(given)
    score, after, _ = flat(spoilt(Doses(noise=noise), given))
    assert before.sum() == 300
    assert (before & ~after).sum() == round(300 * noise)
    assert (~before & after).sum() == round(700 * noise)
    assert after.mean() == pytest.approx(0.3 * (1 - noise) + 0.7 * noise)
    assert auc(before, after) == pytest.approx(1 - noise)
    # A flipped pair's score is one that had its new label, so likes still score above the rest.
    assert auc(after, score) == 1.0
    assert auc(before, score) == pytest.approx(1 - noise, abs=0.03)


def test_a_small_dose_is_part_of_a_larger_one() -> None:
    _, before, _ = flat(answers())
    turned = [flat(spoilt(Doses(noise=n)))[1] != before for n in (0.1, 0.2, 0.5)]
    assert (turned[0] & ~turned[1]).sum() == (turned[1] & ~turned[2]).sum() == 0
    assert turned[0].sum() == round(0.1 * before.sum()) + round(0.1 * (993 - before.sum()))


def test_all_by_popularity_is_the_popularity_list() -> None:
    before = flat(answers())
    score, liked, item = flat(spoilt(Doses(popularity=1.0)))
    judged = np.isfinite(score)
    popular = POPULARITY[item[judged]]
    assert popular[liked[judged]].min() >= popular[~liked[judged]].max()  # likes to the popular
    for value in np.unique(popular)[1:]:
        assert score[judged][popular < value].max() <= score[judged][popular >= value].min()
    np.testing.assert_array_equal(np.sort(score[judged]), np.sort(before[0][judged]))
    assert liked.sum() == before[1].sum()


@pytest.mark.parametrize("doses", [Doses(shuffled=0.4), Doses(popularity=0.4)])
def test_dealing_changes_the_share_asked_for_and_keeps_all_answers(doses: Doses) -> None:
    before, after = flat(answers()), flat(spoilt(doses))
    moved = before[0][np.isfinite(before[0])] != after[0][np.isfinite(after[0])]
    assert 0.3 < moved.mean() <= round(0.4 * 993) / 993
    np.testing.assert_array_equal(np.sort(before[0]), np.sort(after[0]))
    assert before[1].sum() == after[1].sum()


def test_what_was_not_answered_stays_so_and_the_name_tells() -> None:
    found = spoilt(Doses(shuffled=0.25, popularity=0.5, noise=0.3))
    score, liked, _ = flat(found)
    assert np.isnan(score[:7]).all() and np.isfinite(score[7:]).all() and not liked[:7].any()
    assert {a.model for a in found} == {"tea+25% shuffled+50% by popularity+30% flipped"}
    assert not Doses() and Doses(noise=0.1)


def test_the_same_luck_spoils_the_same_answers() -> None:
    one, two = (flat(spoilt(Doses(noise=0.2, shuffled=0.1))) for _ in range(2))
    for a, b in zip(one, two, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_dose_asks_nothing_anew_and_teaches_another_policy(tmp_path: Path) -> None:
    content = yaml.safe_load(STUDY)
    plain, dosed = (
        Inputs(
            StudyConfig.model_validate({**content, "teacher": {**content["teacher"], **more}}),
            tmp_path,
        )
        for more in ({}, {"label_noise": 0.3})
    )
    assert plain.preferences_key(230) == dosed.preferences_key(230)
    assert plain.policy_key(230, False) != dosed.policy_key(230, False)
    assert plain.run_key("ap", 230) != dosed.run_key("ap", 230)
    assert "label_noise" not in plain.config.model_dump()["teacher"]  # old studies keep their keys
    with pytest.raises(ValidationError, match=r"less than or equal to 0\.5"):
        StudyConfig.model_validate({"study": "x", "teacher": {"label_noise": 0.6}})
