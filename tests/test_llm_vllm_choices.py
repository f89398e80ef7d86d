"""What is asked of single tokens to score whole replies, by paper and pencil."""

import math

import pytest

from simrec.llm.backends.next_tokens import beginnings, summed

ROWS = [[1], [1, 0], [2]]  # say "1", "10" and "2"
ENDS = (8, 9)


def log(chances: dict[int, float]) -> dict[int, float]:
    return {token: math.log(chance) for token, chance in chances.items()}


def test_every_beginning_is_asked_once_and_a_whole_reply_for_its_end():
    assert beginnings(ROWS, ENDS) == {
        (): [1, 2],
        (1,): [8, 9, 0],  # "1" may end here or go on to "10"
        (1, 0): [8, 9],
        (2,): [8, 9],
    }
    assert beginnings(ROWS, ()) == {(): [1, 2], (1,): [0]}


def test_a_reply_has_the_product_of_its_tokens_and_of_any_end():
    told = {
        (): log({1: 0.5, 2: 0.25}),
        (1,): log({8: 0.125, 9: 0.125, 0: 0.5}),
        (1, 0): log({8: 0.5, 9: 0.25}),
        (2,): {8: -math.inf, 9: 0.0},
    }
    # 1/2 * 1/4, 1/2 * 1/2 * 3/4, 1/4 * 1
    assert summed(ROWS, ENDS, told) == pytest.approx([math.log(p) for p in (0.125, 0.1875, 0.25)])
    # the end not counted: 1/2, 1/2 * 1/2, 1/4
    assert summed(ROWS, (), told) == pytest.approx([math.log(p) for p in (0.5, 0.25, 0.25)])
    assert sum(map(math.exp, summed(ROWS, ENDS, told))) <= 1
