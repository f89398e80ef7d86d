"""Forms of asking: what is sent, what a reply means, and what is not a reply."""

import json
import math

import numpy as np
import pytest

from simrec.errors import SimrecError
from simrec.llm.form import Ask
from simrec.llm.forms import make_form
from simrec.llm.protocol import Reply


def form(name: str):
    return make_form(name, like_at=4.0, like_share=0.3)


def said(text: str, choice: str | None = None, **chance: float) -> Reply:
    logs = {k: math.log(v) for k, v in chance.items()} or None
    return Reply(text, choice, logs, 1, 1, "stop")


def test_of_a_model_that_says_no_to_all_the_best_of_a_question_can_count_as_liked():
    """P(yes) .42 .35 .45 and one not read: none from one half on, the best 30 % is the .45."""
    replies = [said("no", "no", yes=p, no=1 - p) for p in (0.42, 0.35, 0.45)]
    for by, liked in (("value", [False] * 4), ("share", [False, False, True, False])):
        way = make_form("yesno", like_at=4.0, like_share=0.3, liked_by=by)
        judged = way.judge(4, [*replies, None])
        assert judged.score == pytest.approx([0.42, 0.35, 0.45, math.nan], nan_ok=True)
        assert judged.liked.tolist() == liked
    rating = make_form("rating", like_at=4.0, like_share=0.5, liked_by="share")
    given = [said(n, n, **{n: 1.0}) for n in ("1", "3")]
    assert rating.judge(2, given).liked.tolist() == [False, True]


def test_a_list_names_what_is_liked():
    (ask,) = form("list").asks(4)
    assert ask.shown == (0, 1, 2, 3)
    assert json.loads(ask.schema or "")["properties"]["liked"]["items"]["maximum"] == 4
    judged = form("list").judge(4, [said('{"liked": [2, 4, 2]}')])
    assert judged.score.tolist() == [0, 1, 0, 1]
    assert judged.liked.tolist() == [False, True, False, True]
    assert form("list").judge(2, [said('{"liked": []}')]).score.tolist() == [0, 0]


@pytest.mark.parametrize(
    "text",
    [
        "2, 4",
        '{"liked": [5]}',
        '{"liked": [0]}',
        '{"liked": ["2"]}',
        '{"liked": [true]}',
        '{"liked": [2.0]}',
        '{"liked": 2}',
        '{"likes": [2]}',
        "[2]",
        "null",
        "",
        "[" * 100_000,
    ],
)
def test_a_list_that_names_anything_else_is_not_readable(text: str):
    (ask,) = form("list").asks(4)
    assert not form("list").readable(ask, said(text))


def test_a_ranking_orders_all_candidates_and_likes_the_first_share():
    ranking = form("ranking")
    (ask,) = ranking.asks(5)
    assert ranking.readable(ask, said('{"ranking": [3, 1, 5, 2, 4]}'))
    judged = ranking.judge(5, [said('{"ranking": [3, 1, 5, 2, 4]}')])
    assert judged.score.tolist() == [0.75, 0.25, 1.0, 0.0, 0.5]
    # the 0.7 quantile of 0, 1/4, 1/2, 3/4, 1 is 0.7
    assert judged.liked.tolist() == [True, False, True, False, False]
    for text in ('{"ranking": [3, 1, 5, 2]}', '{"ranking": [3, 1, 5, 2, 2]}', '{"ranking": []}'):
        assert not ranking.readable(ask, said(text))


def test_a_rating_is_the_expected_value_of_its_choices():
    rating = form("rating")
    asks = rating.asks(2)
    assert asks[1] == Ask((1,), 4, ("1", "2", "3", "4", "5"))
    judged = rating.judge(2, [said("4", "4", **{"3": 0.1, "4": 0.2, "5": 0.2}), said("5", "5")])
    # (3 * 0.1 + 4 * 0.2 + 5 * 0.2) / 0.5 = 4.2; without log-probabilities the rating itself
    np.testing.assert_allclose(judged.score, [4.2, 5.0], rtol=1e-6)
    assert judged.liked.tolist() == [True, True]
    assert not rating.readable(asks[0], said("6", "6"))
    assert not rating.readable(asks[0], said("4", None))


def test_yes_or_no_is_the_chance_of_yes_and_one_reply_touches_one_candidate():
    yesno = form("yesno")
    judged = yesno.judge(
        3, [said("yes", "yes", yes=0.3, no=0.1), None, said("no", "no", yes=0.2, no=0.6)]
    )
    np.testing.assert_allclose(judged.score, [0.75, np.nan, 0.25], rtol=1e-6)
    assert judged.liked.tolist() == [True, False, False]
    assert len(yesno.places(3, [None] * 3)) == 0


def test_pairs_show_every_candidate_as_often_first_as_second():
    pairs = [ask.shown for ask in form("pairwise").asks(5)]
    assert len(pairs) == 10
    for place in range(5):
        assert [a for a, _ in pairs].count(place) == [b for _, b in pairs].count(place) == 2
    assert len({frozenset(pair) for pair in pairs}) == 10  # with 5 candidates, every pair once
    assert [ask.shown for ask in form("pairwise").asks(2)] == [(0, 1), (1, 0)]


def test_a_model_that_always_says_the_first_prefers_nobody_and_shows_its_bias():
    pairwise = form("pairwise")
    replies = [said("1", "1")] * 8
    judged = pairwise.judge(4, replies)
    assert judged.score.tolist() == [0.5] * 4 and not judged.liked.any()
    assert pairwise.places(4, replies).tolist() == [1.0, 0.0]


def test_pairs_score_the_mean_chance_to_win():
    # ring of three: (0,1) (1,2) (2,0) and (0,2) (1,0) (2,1); candidate 0 always wins, 1 beats 2
    pairwise = form("pairwise")
    replies = [said(c, c) for c in ("1", "1", "2", "1", "2", "2")]
    judged = pairwise.judge(3, replies)
    assert judged.score.tolist() == [1.0, 0.5, 0.0]
    assert judged.liked.tolist() == [True, False, False]


def test_an_unknown_form_is_one_sentence():
    with pytest.raises(SimrecError) as error:
        form("rank")
    assert str(error.value) == "there is no form 'rank' to ask in; did you mean 'ranking'?"
