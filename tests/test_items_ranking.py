"""Splits, full ranking and the efficiency score, worked on paper."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simrec.errors import SimrecError
from simrec.interactions import InteractionLog
from simrec.items.ranking import hit_rate, ndcg, ranks
from simrec.items.sequences import (
    asked_of_some,
    last_held_out,
    leave_one_out,
    padded,
    time_split,
    windows,
)
from simrec.items.tpme import Cost, tpme


def _log(user: list[int], item: list[int], time: list[int] | None) -> InteractionLog:
    n = max(user) + 1
    return InteractionLog(
        np.array(user, dtype=np.int32),
        np.array(item, dtype=np.int32),
        np.ones(len(user), dtype=np.float32),
        None if time is None else np.array(time, dtype=np.int64),
        "implicit",
        tuple(f"u{k}" for k in range(n)),
        max(item) + 1,
    )


def test_leave_one_out_by_hand():
    # user 0 in order of time: 4 3 2 1 0; user 1 has two events and only teaches
    log = _log([0] * 5 + [1] * 2, [0, 1, 2, 3, 4, 0, 1], [9, 8, 7, 6, 5, 1, 2])
    task = leave_one_out(log, history=3)
    assert task.train.tolist() == [[-1, 4, 3, 2], [-1, -1, 0, 1]]
    assert (task.valid.history.tolist(), task.valid.target.tolist()) == ([[4, 3, 2]], [1])
    assert (task.test.history.tolist(), task.test.target.tolist()) == ([[3, 2, 1]], [0])
    assert task.counts.tolist() == [1, 1, 1, 1, 1]
    kept = last_held_out(log, history=3)
    assert kept.train.tolist() == [[4, 3, 2, 1], [-1, -1, 0, 1]]
    assert kept.test.target.tolist() == kept.valid.target.tolist() == [0]


def test_long_sequences_are_windows_in_which_each_item_but_the_first_comes_next_once():
    whole, one = np.arange(6), np.array([9])
    assert windows([whole, one], 3).tolist() == [[3, 4, 5], [1, 2, 3], [-1, 0, 1]]
    assert windows([whole], 10).tolist() == [[-1] * 4 + [0, 1, 2, 3, 4, 5]]
    cut = windows([np.arange(50)], 8)
    assert sorted(cut[:, 1:][(cut[:, :-1] >= 0)].tolist()) == list(range(1, 50))


def test_a_sample_of_questions_keeps_each_with_its_history_and_what_is_learnt():
    user = np.repeat(np.arange(40), 5).tolist()
    task = leave_one_out(_log(user, [10 * (n // 5) + n % 5 for n in range(200)], None), history=3)
    some = asked_of_some(task, 7, seed=0)
    assert len(some.test.target) == len(some.valid.target) == 7 and some.train is task.train
    assert (some.test.history[:, -1] == some.test.target - 1).all()
    assert (some.test.target == asked_of_some(task, 7, seed=0).test.target).all()
    assert asked_of_some(task, 99, seed=0).test.target.tolist() == task.test.target.tolist()


def test_time_split_teaches_with_nothing_after_the_cut():
    # ten events at times 0..9 by two users in turn; cuts after times 4 and 7
    log = _log([0, 1] * 5, list(range(10)), list(range(10)))
    task = time_split(log, history=2, valid_from=0.5, test_from=0.8)
    assert task.counts.tolist() == [1] * 5 + [0] * 5
    assert task.train.tolist() == [[0, 2, 4], [-1, 1, 3]]
    assert task.valid.history.tolist() == [[2, 4], [1, 3]] and task.valid.target.tolist() == [6, 5]
    assert task.test.history.tolist() == [[4, 6], [5, 7]] and task.test.target.tolist() == [8, 9]
    with pytest.raises(SimrecError, match="the log has no times"):
        time_split(_log([0, 0], [0, 1], None), history=2)


def test_too_short_a_log_is_one_sentence():
    with pytest.raises(SimrecError, match="leaves 1 sequences to learn from, 0 to choose by"):
        leave_one_out(_log([0, 0], [0, 1], [1, 2]), history=2)
    assert padded([np.array([], dtype=np.int64)], 2).tolist() == [[-1, -1]]


def test_ranks_by_hand_with_ties_against_the_model():
    scores = np.array([[5.0, 3.0, 3.0, 9.0], [1.0, 1.0, 1.0, 1.0]])
    assert ranks(scores, np.array([1, 2])).tolist() == [4, 4]
    # item 3 was seen and is not offered; the second target was seen and is offered all the same
    history = np.array([[3, -1], [2, 0]])
    assert ranks(scores, np.array([1, 2]), history).tolist() == [3, 3]


def test_a_model_that_says_the_same_of_every_item_hits_nothing():
    places = ranks(np.zeros((4, 50)), np.arange(4))
    assert hit_rate(places) == 0.0 and ndcg(places) == 0.0


def test_nan_scores_are_refused_and_not_called_perfect():
    with pytest.raises(SimrecError, match="2 of 3 scores are not finite"):
        ranks(np.array([[np.nan, np.inf, 0.0]]), np.array([0]))


def test_measures_by_hand():
    places = np.array([1, 3, 10, 11])
    assert hit_rate(places) == 0.75
    assert ndcg(places) == pytest.approx((1 + 1 / 2 + 1 / math.log2(11)) / 4)


def test_tpme_by_hand():
    # seconds 10, 20, 30 -> 0, .5, 1; parameters 4, 4, 8 -> 0, 0, 1; bytes 100, 0, 50 -> 1, 0, .5
    costs = {"a": Cost(10, 4, 100), "b": Cost(20, 4, 0), "c": Cost(30, 8, 50)}
    got = tpme(costs)
    assert got == pytest.approx({"a": 0.45, "b": 0.225, "c": 0.45 + 0.10 + 0.225})
    with pytest.raises(SimrecError, match="expected three weights >= 0 with sum 1"):
        tpme(costs, (0.5, 0.5, 0.5))
    with pytest.raises(SimrecError, match="none or not finite"):
        tpme({})


_COSTS = st.lists(
    st.builds(Cost, st.integers(1, 10**4), st.integers(1, 10**6), st.integers(1, 10**6)),
    min_size=2,
    max_size=5,
)


@given(_COSTS, st.integers(2, 50), st.integers(0, 1000))
def test_tpme_is_bounded_and_knows_no_units_and_no_order(costs, times, plus):
    named = {str(k): cost for k, cost in enumerate(costs)}
    scores = tpme(named)
    assert all(-1e-9 <= score <= 1 + 1e-9 for score in scores.values())
    moved = {k: Cost(c.seconds * times + plus, c.parameters, c.bytes) for k, c in named.items()}
    assert tpme(moved) == pytest.approx(scores)
    back = tpme(dict(reversed(named.items())))
    assert back == pytest.approx(scores)


def test_worst_at_everything_is_one_and_best_is_zero():
    costs = {"best": Cost(1, 1, 1), "middle": Cost(2, 3, 2), "worst": Cost(3, 4, 5)}
    scores = tpme(costs)
    assert scores["best"] == 0.0 and scores["worst"] == pytest.approx(1.0)
