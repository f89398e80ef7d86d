"""Where candidates come from."""

import numpy as np
import pytest

from simrec.errors import SimrecError
from simrec.llm.candidates import Candidates, State

N = 12
POPULARITY = np.zeros(N, dtype=np.float32)
VECTORS = np.eye(N, dtype=np.float32)
VECTORS[5] = 3.0 * VECTORS[0]  # twice as long changes no cosine
VECTORS[6] = VECTORS[0] + 0.1 * VECTORS[6]
STATE = State(np.array([0, 1]), np.array([1.0, 0.0], dtype=np.float32), np.array([9, 8]))


def draw(shares: dict[str, float], K: int = 4, state: State = STATE, **more: object):
    drawn = Candidates(shares, log_popularity=POPULARITY, vectors=VECTORS, **more)
    items, sources = drawn.draw(state, K, np.random.default_rng(0))
    assert len(set(items.tolist())) == len(items) == len(sources)
    assert not set(items.tolist()) & set(state.items.tolist())
    return {name: sorted(items[np.array(sources) == name].tolist()) for name in set(sources)}


def test_neighbours_are_nearest_to_what_was_liked():
    found = draw({"neighbours": 0.5, "random": 0.5})
    assert found["neighbours"] == [5, 6] and len(found["random"]) == 2


def test_the_next_item_is_named_and_the_rest_is_filled_at_random():
    found = draw({"next": 0.5, "popular": 0.5})
    assert found["next"] == [9]
    assert {k: len(v) for k, v in found.items()} == {"next": 1, "popular": 2, "random": 1}


def test_a_policy_is_asked_for_the_history_and_what_it_repeats_is_dropped():
    asked = []

    def policy(history, feedback, count, rng):
        asked.append((history.tolist(), feedback.tolist(), count))
        return np.array([1, 7, 7, 3])  # 1 was met, 7 comes twice

    assert draw({"policy": 1.0}, K=4, policy=policy)["policy"] == [3, 7]
    assert asked == [([0, 1], [1.0, 0.0], 4)]


def test_nothing_liked_yet_means_no_neighbours():
    lost = State(STATE.items, np.zeros(2, dtype=np.float32), STATE.later)
    assert set(draw({"neighbours": 1.0}, state=lost)) == {"random"}


def test_shares_are_counted_out_and_a_small_catalogue_gives_what_it_has():
    found = draw({"random": 0.2, "popular": 0.8}, K=10)
    assert {k: len(v) for k, v in found.items()} == {"popular": 8, "random": 2}
    assert len(draw({"random": 1.0}, K=50)["random"]) == N - 2


@pytest.mark.parametrize(
    ("shares", "sentence"),
    [
        ({"popul": 1.0}, "there is no source of candidates 'popul'; did you mean 'popular'?"),
        ({"random": 0.0}, "the share of candidates from 'random' is 0.0; expected more than 0, "
         "or leave it out"),
        ({}, "there is no source of candidates; name one of popular, neighbours, next, policy, "
         "random"),
        ({"policy": 1.0}, "candidates from 'policy' need a policy; there is none before "
         "pretraining, name another source"),
    ],
)  # fmt: skip
def test_wrong_sources_are_one_sentence(shares: dict[str, float], sentence: str):
    with pytest.raises(SimrecError) as error:
        Candidates(shares, log_popularity=POPULARITY, vectors=VECTORS)
    assert str(error.value) == sentence
