"""Recommenders that do not learn."""

import numpy as np
import pytest
from numpy.typing import NDArray

from simrec.agents.baselines import Greedy, RandomRecommender, unseen


def seen(*rows: list[int]) -> dict[str, NDArray[np.int64]]:
    """Return observations with these histories; -1 is padding."""
    return {"history": np.array(rows, dtype=np.int64)}


def test_unseen_by_hand() -> None:
    assert unseen(seen([-1, 2], [0, 1]), 3).tolist() == [[True, True, False], [False, False, True]]


def test_greedy_skips_what_was_seen_and_gives_ties_to_the_lower_row() -> None:
    scores = np.array([[1.0, 5.0, 3.0, 3.0, 0.0]])
    greedy = Greedy(lambda obs: np.repeat(scores, len(obs["history"]), axis=0), 5)
    actions, _ = greedy.predict(seen([-1, -1], [-1, 1], [2, 1]))
    assert actions.tolist() == [1, 2, 3]  # best; 1 seen: 2 before 3; 1 and 2 seen: 3


def test_greedy_slates_are_ordered_best_first() -> None:
    scores = np.array([[1.0, 5.0, 3.0, 3.0, 0.0]])
    greedy = Greedy(lambda obs: np.repeat(scores, len(obs["history"]), axis=0), 5, slate_size=3)
    actions, _ = greedy.predict(seen([-1, -1], [-1, 1]))
    assert actions.tolist() == [[1, 2, 3], [2, 3, 0]]


def test_random_is_uniform_over_unseen_items() -> None:
    found, _ = RandomRecommender(5, np.random.default_rng(0)).predict(seen(*[[-1, 3]] * 8000))
    counts = np.bincount(found, minlength=5)
    assert counts[3] == 0
    # 2,000 of each of four items; 99.9 % quantile of chi-square with 3 degrees of freedom: 16.3
    assert ((counts[[0, 1, 2, 4]] - 2000) ** 2 / 2000).sum() < 16.3


@pytest.mark.parametrize("slate_size", [1, 3])
def test_random_is_seeded_and_its_slates_hold_no_item_twice(slate_size: int) -> None:
    obs = seen(*[[-1, 3]] * 50)
    a, b, c = (
        RandomRecommender(6, np.random.default_rng(n), slate_size).predict(obs)[0]
        for n in (0, 0, 1)
    )
    assert a.tobytes() == b.tobytes() != c.tobytes()
    rows = a.reshape(50, -1)
    assert all(len(set(row)) == slate_size and 3 not in row for row in rows.tolist())
