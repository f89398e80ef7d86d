"""Is the teacher any good: numbers on paper, the known figures of a real table, and the words."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from simrec.cli import main
from simrec.cli.teacher_report import _personal, judge
from simrec.config import load_config
from simrec.interactions import InteractionLog
from simrec.llm.agreement import (
    Agreement,
    agreement,
    between_teachers,
    calibration,
    freedom,
    pearson,
    spearman,
    without_means,
)
from simrec.llm.audit import kappa, position_bias, swap_agreement, swapped
from simrec.llm.quality import Pairs, meet
from simrec.llm.recorded import RecordedTeacher
from simrec.llm.report_text import meaning, measures_lines, part_and_whole
from simrec.preferences import Preference
from simrec.stages.inputs import Inputs
from tests.asking import question

USER = np.array([0, 0, 1, 1])
ITEM = np.array([0, 1, 0, 1])


def pairs(score: list[float], feedback: list[float]) -> Pairs:
    s = np.array(score, dtype=np.float32)
    n = len(s)
    return Pairs(USER[:n], ITEM[:n], s, s >= 4, np.array(feedback, dtype=np.float32))


def test_what_user_and_item_means_leave_on_paper():
    # users differ by 2, items by 1, and one number of interaction: +-1/4 in a two by two table
    values = np.array([1.0, 2.0, 3.0, 5.0])
    np.testing.assert_allclose(
        without_means(values, USER, ITEM), [0.25, -0.25, -0.25, 0.25], atol=1e-12
    )
    assert len(without_means(np.zeros(0), USER[:0], ITEM[:0])) == 0


def test_a_model_that_likes_next_to_nothing_is_told_of_with_what_to_do():
    asked = {"teacher": "m/yesno", "template": "yesno-2", "statuses": {"ok": 9}}
    asked |= {"unreadable": 0, "asks": 900, "position_bias": None, "swap": None, "judged": 900}

    def line(form, liked):
        spent = {"requests": 900, "prompt_tokens": 9, "completion_tokens": 9}
        told = {**asked, "form": form, "liked": liked, "spent": spent, "swap_spent": None}
        return measures_lines(told, "llm", (None, None))[1]

    assert line("yesno", 450) == "liked 450 of 900 candidates"
    few = "liked 3 of 900 candidates: next to nothing is liked, so little can be learnt; "
    share = "set teacher.liked_by to share, which likes the best of each question"
    assert line("yesno", 3) == few + share
    assert line("list", 3) == few + "ask in form pairwise or ranking"
    many = "liked 899 of 900 candidates: next to nothing is disliked, so little can be learnt; "
    assert line("rating", 899) == many + share


def test_correlations_on_paper():
    a, b = np.array([1.0, 2.0, 3.0]), np.array([1.0, 3.0, 2.0])
    assert pearson(a, b) == pytest.approx(0.5)
    assert spearman(a, 10**b) == pytest.approx(0.5)
    assert np.isnan(pearson(a, np.ones(3))) and np.isnan(pearson(a[:1], b[:1]))


def test_agreement_in_all_and_on_the_personal_part():
    # means agree perfectly, the interaction is opposite
    found = agreement("t", pairs([1, 2, 3, 4.5], [1, 2.5, 3, 4]), like_at=3)
    assert found.auc == 1.0 and np.isnan(found.user_auc)  # nobody has both kinds
    # teacher 1 2 3 4.5: deviations -1.625 -0.625 0.375 1.875; people: -1.625 -0.125 0.375 1.375
    assert found.pearson == pytest.approx(5.4375 / np.sqrt(6.6875 * 4.6875))
    assert found.personal_pearson == pytest.approx(-1.0)
    assert found.error == pytest.approx(1.96)
    assert found.personal_error == pytest.approx(1.96)  # 4 pairs - 2 users - 2 items + 1
    assert (found.left, found.enough) == (1, False)


def test_what_is_left_once_means_are_off_on_paper():
    assert freedom(USER[:0], ITEM[:0]) == 0
    # a chain u0-i0-u1-i1 of 3 pairs, 4 nodes and one part: every value is explained
    assert freedom(np.array([0, 1, 1]), np.array([0, 0, 1])) == 0
    # beside it a full 2 x 3 block: 6 - 5 + 1 = 2
    user = np.array([0, 1, 1, *[7] * 3, *[8] * 3])
    assert freedom(user, np.array([0, 0, 1, 4, 5, 6, 4, 5, 6])) == 2
    score = np.array([1, 3, 2], dtype=np.float32)
    chain = Pairs(np.array([0, 1, 1]), np.array([0, 0, 1]), score, score > 2, score[::-1] + 1)
    few = agreement("t", chain, like_at=3)
    assert np.isnan(few.personal_error)
    said = meaning(few, few)
    assert said[0].endswith(
        "not enough pairs to say what is personal of it: 0 of 3 are left once each user's and each "
        "item's mean is removed, 100 are needed."
    )
    assert said[1].startswith("Whether a policy distilled from this teacher can start personal is")


def test_a_personal_part_is_told_from_a_hundred_numbers_left_on():
    def block(users: int) -> Agreement:  # users x 11 items: (users - 1) * 10 are left
        user, item = np.divmod(np.arange(users * 11), 11)
        score = np.cos(np.arange(users * 11, dtype=np.float32))
        return agreement("t", Pairs(user, item, score, score > 0, score + 3), like_at=3)

    few, many = block(10), block(11)
    assert (few.left, many.left) == (90, 100)
    assert few.personal_pearson == pytest.approx(1.0)  # and says nothing
    assert "not enough pairs to say what is personal of it: 90 of 110" in meaning(few, few)[0]
    assert "1.00 is left (95 % interval about +-0.20)" in meaning(many, many)[0]
    assert "the personal part cannot be compared: not enough pairs" in part_and_whole(few, many)
    assert (_personal(few, 1.0), _personal(many, 1.0)) == ("too few", "1.000")
    assert _personal(few, float("nan")) == "-"


def test_two_teachers_on_paper():
    one, two = pairs([5, 4, 1, 2], [5, 5, 1, 1]), pairs([4, 2, 1, 5], [5, 5, 1, 1])
    (both,) = between_teachers([("a", one), ("b", two)], like_at=4)
    assert (both.names, both.pairs, both.same) == (("a", "b"), 4, 0.5)
    assert both.kappa == pytest.approx(0.0)  # by chance, halves agree half the time
    assert both.pearson == pytest.approx(3 / 10)


def test_kappa_is_agreement_beyond_chance():
    a = np.array([True, True, False, False])
    assert kappa(a, a) == 1.0
    assert kappa(a, ~a) == -1.0
    # 3 of 4 the same; chance 1/2 * 1/4 + 1/2 * 3/4 = 1/2
    assert kappa(a, np.array([True, False, False, False])) == pytest.approx(0.5)
    assert np.isnan(kappa(a[:0], a[:0])) and np.isnan(kappa(a[:2], a[:2]))


def test_position_bias_is_the_slope_from_first_place_to_last():
    # likes fall from 1 to 0 over three places in one question, are 1 0 1 in the other
    bias = position_bias([np.array([1.0, 0.5, 0.0]), np.array([1.0, 0.0, 1.0])])
    assert bias is not None
    assert (bias.questions, bias.by_place) == (2, (1.0, 0.25, 0.5))
    assert bias.slope == pytest.approx(-0.5)  # the mean of -1 and 0
    assert bias.slope_error == pytest.approx(0.5)  # sd 1/sqrt(2), over sqrt(2)
    assert position_bias([np.zeros(0)] * 3) is None
    assert position_bias([np.full(3, np.nan)]) is None


def test_swapped_answers_are_compared_item_by_item():
    asked = question([1, 2, 3])

    def said(q, liked, score=None):
        score = np.array(liked if score is None else score, dtype=np.float32)
        return Preference(q, np.array(liked, dtype=bool), score, "m", "", "")

    back = swapped(asked)
    assert back.candidates.tolist() == [3, 2, 1]
    same = swap_agreement([said(asked, [1, 0, 0])], [said(back, [0, 0, 1])])
    assert (same.agreement, same.kappa, same.pairs) == (1.0, 1.0, 3)
    first = swap_agreement([said(asked, [1, 0, 0])], [said(back, [1, 0, 0])])
    assert first.agreement == pytest.approx(1 / 3)
    part = swap_agreement([said(asked, [1, 0, 0], [1, 0, np.nan])], [said(back, [0, 0, 1])])
    assert part.pairs == 2


def test_calibration_groups_by_value_or_by_equal_shares():
    rows = calibration(pairs([4, 4, 2, 5], [5, 3, 1, 4]), like_at=4)
    assert [(r.score, r.pairs, r.feedback, r.liked) for r in rows] == [
        (2.0, 1, 1.0, 0.0),
        (4.0, 2, 4.0, 0.5),
        (5.0, 1, 4.0, 1.0),
    ]
    n = 1000
    many = Pairs(*[np.arange(n)] * 2, np.linspace(0, 1, n, dtype=np.float32), *[np.ones(n)] * 2)
    assert [r.pairs for r in calibration(many, like_at=1)] == [100] * 10


def test_pairs_meet_only_where_both_spoke():
    people = InteractionLog(
        np.array([1, 0], dtype=np.int32), np.array([2, 1], dtype=np.int32),
        np.array([5, 2], dtype=np.float32), None, "stars", ("a", "b"), 3,
    )  # fmt: skip
    score = np.array([1, np.nan, 3], dtype=np.float32)
    met = meet(np.array([1, 0, 0]), np.array([2, 1, 0]), score, score > 2, people)
    assert (met.user.tolist(), met.score.tolist(), met.feedback.tolist()) == ([1], [1.0], [5.0])


def test_the_words_follow_the_numbers():
    def lines(personal: float, own: float) -> str:
        base = agreement("t", pairs([1, 2, 3, 4.5], [1, 2.5, 3, 4]), like_at=3)
        parts = {
            **base.__dict__,
            "pearson": 0.24,
            "personal_error": 0.01,
            "left": 98_000,
            "personal_pearson": personal,
        }
        teacher, popular = type(base)(**(parts | {"user_auc": own})), base
        return " ".join(meaning(teacher, type(base)(**(popular.__dict__ | {"user_auc": 0.58}))))

    assert "0.08 is left" in lines(0.08, 0.6) and "explains 0.6%" in lines(0.08, 0.6)
    assert "hardly with what is right for one person" in lines(0.08, 0.6)
    assert "can start personal" in lines(0.5, 0.6) and "explains 25%" in lines(0.5, 0.6)
    assert "No personal part can be shown" in lines(0.005, 0.6)
    assert "0.580 (+0.020)." in lines(0.08, 0.6)
    assert "0.580: the teacher adds nothing to that." in lines(0.08, 0.57)


def test_the_judging_part_is_compared_with_the_whole_in_words():
    base = agreement("t", pairs([1, 2, 3, 4.5], [1, 2.5, 3, 4]), like_at=3)

    def told(pearson: float, personal: float, error: float) -> Agreement:
        numbers = {"pearson": pearson, "personal_pearson": personal}
        return replace(base, **numbers, error=error, personal_error=error, left=1000)

    text = part_and_whole(told(0.18, 0.04, 0.04), told(0.24, 0.08, 0.03))
    # the gaps are -0.06 and -0.04; chance makes sqrt(0.04^2 + 0.03^2) = 0.05
    assert (
        "on the judging part the correlation is 0.180, in the whole table 0.240: a difference of "
        "-0.060, more than chance explains (+-0.050)" in text
    )
    assert "a difference of -0.040, no more than chance explains (+-0.050)" in text
    none = part_and_whole(told(float("nan"), 0.0, 0.1), base)
    assert none == "Judging part and whole table cannot be compared: too few pairs."


def run(monkeypatch, capsys, *words: str) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "argv", ["simrec", "teacher", "report", *words])
    code = 0
    try:
        main()
    except SystemExit as end:
        code = int(end.code or 0)
    out, err = capsys.readouterr()
    return code, out, err


def test_the_known_figures_of_the_real_table(
    shared_data: Path, tmp_path: Path, monkeypatch, capsys
):
    words = [str(Path(__file__).parents[1] / "configs" / "ml100k.yaml")]
    words += ["--set", f"data.path={shared_data / 'ml100k_mm'}", "--runs", str(tmp_path)]
    code, out, _ = run(monkeypatch, capsys, *words, "--json", str(tmp_path / "r.json"))
    assert code == 0
    sections = json.loads((tmp_path / "r.json").read_text())["sections"]
    _, whole, three = sections
    gpt, popular = whole["rows"]
    assert gpt["pairs"] == 98_069
    assert gpt["pearson"] == pytest.approx(0.238, abs=0.001)
    assert 0.06 < gpt["personal_pearson"] < 0.12
    assert popular["pearson"] == pytest.approx(0.233, abs=0.001)
    found = {row["name"]: row for row in three["rows"]}
    for name, raw in (("gpt-4o-mini", 0.206), ("Gemma-3-12B", 0.260), ("Gemma-3-4B", 0.234)):
        assert found[f"recorded:{name}"]["pearson"] == pytest.approx(raw, abs=0.001)
        assert 0.06 < found[f"recorded:{name}"]["personal_pearson"] < 0.125
    assert {b["pairs"] for b in three["between"]} == {4292}
    words_out = " ".join(out.split())
    assert (
        "Teacher and people correlate with 0.24; once each user's and each item's mean is"
        in words_out
    )
    assert "removed, 0.08 is left" in words_out
    assert "hardly with what is right for one person" in words_out
    assert " ".join(RecordedTeacher.warning.split()) in words_out
    assert "position bias, order swap, parse failures: not applicable" in out
    assert "popularity (no teacher)" in out
    assert (
        "in the whole table 0.238: a difference of -0.055, more than chance explains" in words_out
    )
    assert "recorded:Gemma-3-12B and people correlate with 0.26; once" in words_out


def test_a_model_not_asked_yet_is_one_sentence(tmp_path: Path, data_home: Path):
    path = tmp_path / "s.yaml"
    path.write_text(
        "study: small\ndata: {name: toy}\nteacher: {kind: llm, model: 'scripted:hash'}\n"
    )
    from simrec.errors import SimrecError

    with pytest.raises(SimrecError) as error:
        judge(Inputs(load_config(path), tmp_path), None)
    assert str(error.value) == (
        "the teacher of study 'small' was not asked for seed 0 yet; run 'simrec prefer' with the "
        "same study and settings first"
    )
