"""The influence of friends, against numbers worked out on paper."""

import numpy as np
import pytest

from simrec.envs.friends import under_influence
from simrec.envs.users import FactorUsers
from simrec.errors import SimrecError


def people(vectors):
    vectors = np.asarray(vectors, dtype=np.float32)
    n = len(vectors)
    item = np.ones((3, vectors.shape[1]), dtype=np.float32)
    return FactorUsers(0.0, 1.0, np.zeros(n, np.float32), np.zeros(3, np.float32), vectors, item)


def test_friends_draw_tastes_together_in_every_component():
    # 0 and 1 are friends of each other, 1 and 2 too, 3 has none; weight 1/2
    before = people([[4, 0], [0, 4], [0, 0], [9, 9]])
    after = under_influence(before, np.array([[0, 1], [1, 2], [1, 0]]), 0.5).user_vectors
    # 0: (4,0)/2 + (0,4)/2; 1: (0,4)/2 + ((4,0)+(0,0))/2/2; 2: (0,4)/2
    assert after.tolist() == [[2, 2], [1, 2], [0, 2], [9, 9]]
    assert before.user_vectors[0].tolist() == [4, 0]


def test_two_friends_meet_halfway_in_the_long_run():
    # the difference shrinks by 1 - 2 * weight a round: 0.6^3 = 0.216 of 8
    after = under_influence(people([[8.0], [0.0]]), np.array([[0, 1]]), 0.2, rounds=3).user_vectors
    assert after[:, 0] == pytest.approx([4 + 0.864, 4 - 0.864])


def test_a_weight_of_nothing_changes_nothing_and_mistakes_are_sentences():
    users = people([[1.0], [2.0]])
    assert under_influence(users, np.array([[0, 1]]), 0.0).fingerprint == users.fingerprint
    for pairs, weight, sentence in [
        ([[0, 2]], 0.5, "friends name user rows 0 to 2; expected 0 to 1"),
        ([[1, 1]], 0.5, "friends name a user as their own friend; expected pairs of two users"),
        ([[0, 1]], 1.5, "the weight of friends is 1.5; expected 0 to 1"),
    ]:
        with pytest.raises(SimrecError) as caught:
            under_influence(users, np.array(pairs), weight)
        assert str(caught.value) == sentence
