"""Questions, answers, the shuffled control and agreement with people."""

from pathlib import Path

import numpy as np
import pytest

from simrec.errors import SimrecError
from simrec.interactions import InteractionLog
from simrec.llm.elicit import elicit, make_questions, shuffle_labels
from simrec.llm.quality import label_auc
from simrec.preferences import Preference, PreferenceSet, Question

I = 40  # noqa: E741


def _log(
    user: list[int], item: list[int], feedback: list[float], time: list[int]
) -> InteractionLog:
    return InteractionLog(
        np.array(user, dtype=np.int32),
        np.array(item, dtype=np.int32),
        np.array(feedback, dtype=np.float32),
        np.array(time, dtype=np.int64),
        "stars",
        ("a", "b", "c"),
        I,
    )


# user 0 has six events (given out of order), user 1 has two, user 2 none
LOG = _log(
    [0, 0, 1, 0, 0, 0, 0, 1],
    [5, 1, 7, 2, 3, 4, 0, 8],
    [5, 2, 4, 5, 1, 4, 3, 1],
    [60, 20, 1, 30, 40, 50, 10, 2],
)
POPULARITY = np.log1p(np.bincount(LOG.item, minlength=I)).astype(np.float32)


def _ask(**changes: object) -> list[Question]:
    arguments = dict(
        like_at=4,
        log_popularity=POPULARITY,
        per_user=3,
        K=6,
        history=4,
        rng=np.random.default_rng(0),
    )
    return make_questions(LOG, np.array([0, 1, 2]), **(arguments | changes))


def test_states_are_prefixes_in_time_order_and_the_whole_history_is_one_of_them():
    questions = _ask()
    # user 0: items by time 0 1 2 3 4 5; prefixes of 3, 4 or 5 events, two of them drawn.
    # user 1 has too few events for a second state; user 2 has none.
    assert [q.user for q in questions] == [0, 0, 0, 1]
    assert questions[0].history.tolist() == [2, 3, 4, 5]
    assert questions[0].feedback.tolist() == [1, 0, 1, 1]
    assert questions[3].history.tolist() == [7, 8]
    assert questions[3].feedback.tolist() == [1, 0]
    every = {3: [0, 1, 2], 4: [0, 1, 2, 3], 5: [1, 2, 3, 4]}
    drawn = [q.history.tolist() for q in questions[1:3]]
    assert drawn[0] != drawn[1]
    assert all(history in every.values() for history in drawn)


def test_candidates_are_new_to_the_user_and_half_of_them_popular():
    for question in _ask(per_user=1):
        assert len(set(question.candidates.tolist())) == 6
        assert sorted(question.sources) == ["popular"] * 3 + ["random"] * 3
    met = {0, 1, 2, 3, 4, 5}
    assert met.isdisjoint(_ask(per_user=1)[0].candidates.tolist())  # 0 and 1 are no longer shown


def test_popular_candidates_follow_popularity():
    # one item has e^9 events, all others none: it must always be the popular half of K = 2
    popularity = np.zeros(I, dtype=np.float32)
    popularity[33] = 9.0
    for seed in range(20):
        question = _ask(
            K=2, per_user=1, log_popularity=popularity, rng=np.random.default_rng(seed)
        )[0]
        assert question.candidates[question.sources.index("popular")] == 33


def test_what_a_recorded_teacher_can_judge_is_asked_exactly_once():
    judged = np.array([3, *range(20, 35)])  # item 3 is in user 0's history
    questions = _ask(candidates_for=lambda user: judged, per_user=2)
    mine = [q for q in questions if q.user == 0]
    assert [len(q.candidates) for q in mine] == [6, 6, 3]
    assert sorted(np.concatenate([q.candidates for q in mine]).tolist()) == list(range(20, 35))
    assert mine[0].history.tolist() == [2, 3, 4, 5] == mine[2].history.tolist()
    assert {s for q in mine for s in q.sources} == {"recorded"}


def test_the_same_generator_asks_the_same_questions():
    for a, b in zip(_ask(), _ask(), strict=True):
        assert a.candidates.tolist() == b.candidates.tolist()
        assert a.history.tolist() == b.history.tolist()


def test_no_candidates_is_refused():
    with pytest.raises(SimrecError) as error:
        _ask(K=0)
    assert str(error.value) == "K is 0; expected 1 or more"


class ParityTeacher:
    """Likes even items; scores are item numbers; item 13 is left unanswered."""

    name = "parity"

    def __init__(self) -> None:
        self.calls: list[int] = []

    def prefer(self, questions):
        self.calls.append(len(questions))
        return [
            Preference(
                q,
                (q.candidates % 2 == 0),
                np.where(q.candidates == 13, np.nan, q.candidates).astype(np.float32),
                self.name,
                "",
                "said",
            )
            for q in questions
        ]


def test_elicit_keeps_order_and_reports_progress():
    questions = _ask()
    teacher, told = ParityTeacher(), []
    answers = elicit(teacher, questions, progress=lambda *p: told.append(p), batch=3)
    assert [a.question for a in answers] == questions
    assert (teacher.calls, told) == ([3, 1], [(3, 4), (4, 4)])
    assert elicit(teacher, []).answers == ()


class ForgetfulTeacher:
    name = "forgetful"

    def prefer(self, questions):
        return []


def test_a_teacher_that_skips_questions_is_one_sentence():
    with pytest.raises(SimrecError) as error:
        elicit(ForgetfulTeacher(), _ask())
    assert str(error.value) == (
        "teacher 'forgetful' gave 0 answers to 4 questions; expected one for each, in order"
    )


def _many() -> PreferenceSet:
    rng = np.random.default_rng(3)
    none = np.zeros(0, dtype=np.int64)
    questions = [
        Question(u % 3, none, none.astype(np.float32), rng.permutation(I)[:10], ("random",) * 10)
        for u in range(30)
    ]
    return elicit(ParityTeacher(), questions)


def test_shuffling_keeps_every_margin_and_breaks_the_tie_to_items():
    before = _many()
    after = shuffle_labels(before, np.random.default_rng(0))

    def pairs(answers):
        kept = [(a.score[k], a.liked[k]) for a in answers for k in range(10)]
        return sorted(pair for pair in kept if np.isfinite(pair[0]))

    assert pairs(after) == pairs(before)  # each score still comes with its own like
    for old, new in zip(before, after, strict=True):
        assert new.question is old.question
        assert (new.model, new.raw) == ("parity+shuffled", "")
        np.testing.assert_array_equal(np.isnan(new.score), np.isnan(old.score))
    item = np.concatenate([a.question.candidates for a in after])
    score = np.concatenate([a.score for a in after])
    known = np.isfinite(score)
    # scores were the item numbers (correlation 1); 292 independent pairs have spread 1/sqrt(292)
    assert abs(np.corrcoef(item[known], score[known])[0, 1]) < 4 / np.sqrt(known.sum())
    again = shuffle_labels(before, np.random.default_rng(0))
    assert all(a.score.tobytes() == b.score.tobytes() for a, b in zip(after, again, strict=True))
    assert before.answers[0].model == "parity"  # the original is left alone


def test_agreement_with_people_by_hand():
    # user 0 rated candidates 10 (likes), 11 (not), 12 (likes), 13 (likes; teacher silent);
    # user 1 rated 20 (not), 21 (likes). Scores are item numbers.
    # pooled: likes {10, 12, 21}, not {11, 20}: wins 10: 0 of 2, 12: 1 of 2, 21: 2 of 2 -> 3/6.
    # within users: user 0 {10, 12} against {11} -> 1/2; user 1 -> 1; mean 3/4.
    people = _log([0, 0, 0, 0, 1, 1], [12, 11, 10, 13, 21, 20], [4, 2, 5, 5, 4, 1], [1] * 6)
    none = np.zeros(0, dtype=np.int64)
    questions = [
        Question(u, none, none.astype(np.float32), np.array(c), ("random",) * len(c))
        for u, c in ((0, [10, 11, 12, 13, 14]), (1, [20, 21, 22]), (2, [10]))
    ]
    quality = label_auc(elicit(ParityTeacher(), questions), people, like_at=4)
    assert (quality.pairs, quality.users) == (5, 2)
    assert quality.auc == pytest.approx(0.5)
    assert quality.user_auc == pytest.approx(0.75)
    assert quality.teacher_likes == pytest.approx(3 / 5)  # 10, 12, 20
    assert quality.people_like == pytest.approx(3 / 5)  # 10, 12, 21


def test_agreement_without_a_common_pair_is_not_a_number():
    quality = label_auc(_many(), _log([], [], [], []), like_at=4)
    assert (quality.pairs, quality.users) == (0, 0)
    assert np.isnan(quality.auc) and np.isnan(quality.user_auc)


def test_a_saved_set_comes_back_equal(tmp_path: Path):
    before = elicit(ParityTeacher(), _ask(candidates_for=lambda user: np.arange(9, 22)))
    before.save(tmp_path / "p.parquet")
    after = PreferenceSet.load(tmp_path / "p.parquet")
    assert len(after) == len(before) > 0
    for a, b in zip(before, after, strict=True):
        for name in ("history", "feedback", "candidates"):
            x, y = getattr(a.question, name), getattr(b.question, name)
            assert x.dtype == y.dtype
            np.testing.assert_array_equal(x, y)
        assert (a.question.user, a.question.sources) == (b.question.user, b.question.sources)
        np.testing.assert_array_equal(a.score, b.score)  # NaN stays NaN
        np.testing.assert_array_equal(a.liked, b.liked)
        assert a.liked.dtype == b.liked.dtype
        assert (a.model, a.prompt_sha, a.raw, a.status, a.cached) == (
            b.model, b.prompt_sha, b.raw, b.status, b.cached,
        )  # fmt: skip


def test_a_broken_file_is_one_sentence(tmp_path: Path):
    (tmp_path / "p.parquet").write_bytes(b"no table")
    with pytest.raises(SimrecError, match=r"^cannot read preferences from .*delete the file"):
        PreferenceSet.load(tmp_path / "p.parquet")
