"""Creators who answer to exposure and friends who influence each other, by paper and pencil."""

import pickle

import numpy as np
import pytest

from simrec.envs.creators import Creators, Supply
from simrec.envs.friends import Circle, Friends
from simrec.envs.rules import Rules
from simrec.envs.schedule import FOREVER, Lifetimes
from simrec.envs.sessions import Sessions
from simrec.envs.single import RecommendEnv
from simrec.envs.vector import RecommendVectorEnv
from simrec.errors import SimrecError
from tests.env_worlds import constant_world, random_world

# three creators of three items each; the last item of each is a reserve
OWNER = np.repeat([0, 1, 2], 3)
LISTED = np.tile([True, True, False], 3)


def supply(**settings) -> Supply:
    lives = Lifetimes(np.zeros(9, dtype=np.int64), np.full(9, FOREVER))
    return Supply(Creators(OWNER, LISTED, **settings), lives)


def there(offer: Supply, date: int) -> list[int]:
    return np.flatnonzero(offer.lifetimes.there(np.arange(9), date)).tolist()


def show(offer: Supply, items, date: int, clicked=None) -> None:
    slates = np.array(items)[:, None]
    clicks = np.ones_like(slates, dtype=bool) if clicked is None else np.array(clicked)[:, None]
    offer.shown(slates, clicks, date)


def test_starved_creators_leave_and_well_shown_ones_put_items_in():
    offer = supply(period=2, least=0.5, more=1.0)
    assert there(offer, 0) == [0, 1, 3, 4, 6, 7]
    show(offer, [0, 0, 0, 1, 3], 1)
    assert there(offer, 1) == [0, 1, 3, 4, 6, 7]  # no review yet
    show(offer, [0, 0, 3, 3, 6], 2)
    # 10 exposures, fair 10/3: creator 0 has 6 = 1.8 fair shares, 1 has 3 = 0.9, 2 has 1 = 0.3
    assert there(offer, 1) == [0, 1, 3, 4, 6, 7]
    assert there(offer, 2) == [0, 1, 2, 3, 4]
    show(offer, [0, 3, 2, 4], 3)
    show(offer, [0, 3, 0, 4], 4)
    # of two the fair share is a half, and both have 4 of 8: 1 puts its item in, 0 has none left
    assert there(offer, 4) == [0, 1, 2, 3, 4, 5]
    offer.start()
    assert there(offer, 0) == [0, 1, 3, 4, 6, 7]


def test_a_period_without_exposure_changes_nothing_and_items_that_are_gone_do_not_count():
    offer = supply(period=1, least=1.0, clicks=True)
    show(offer, [0, 3], 1, clicked=[False, False])
    assert there(offer, 1) == [0, 1, 3, 4, 6, 7]
    shown = supply(period=1, least=0.5)
    show(shown, [2, 2, 2, 3, 3, 6], 1)  # item 2 is not on offer: 0 counts nothing, 2 has one of 3
    assert there(shown, 1) == [3, 4, 5, 6, 7, 8]  # 1 and 2 have 2 and 1 fair shares


def creative(world, **settings):
    n = world.n_items
    owner = np.arange(n) // 6
    return world.changed(creators=Creators(owner, np.arange(n) % 6 < 4, **settings))


def test_users_ignore_what_is_not_on_offer_and_masks_strike_it():
    world = creative(constant_world(1.0, n_items=42, rules=Rules()), period=5)
    env = RecommendVectorEnv(world, 3)
    env.reset(seed=0)
    assert np.flatnonzero(~env.action_masks()[:, 6:].any(axis=0)).tolist()[:4] == [4, 5, 10, 11]
    assert env.step([10, 11, 12])[1].tolist() == [0.0, 0.0, 1.0]  # 10 and 11 are reserves
    for item in (13, 14, 15, 18):
        env.step([item] * 3)
    # creator 2 had 10 of the 13 exposures that count, 3 had 3, the five others none; each of the
    # two puts one in, and what all have seen (13, 14, 15, 18) is struck from every mask
    offered = np.flatnonzero(env.action_masks().any(axis=0)).tolist()
    assert offered == [12, 16, 19, 20, 21, 22]
    env.reset(seed=0)
    assert env.action_masks().any(axis=0).sum() == 28


@pytest.mark.parametrize("clicks", [True, False])
def test_the_compiled_step_sees_the_same_supply_as_the_plain_one(clicks):
    world = creative(random_world(), period=7, least=0.6, clicks=clicks)
    played = []
    for compiled in (True, False):
        sessions = Sessions(world, np.arange(6), 2, again=True, compiled=compiled)
        sessions.start(3)
        rng, seen = np.random.default_rng(1), []
        for step in range(80):
            out = sessions.advance(rng.integers(60, size=(6, 2)))
            seen += [out.reward.copy(), sessions.now.history.copy(), sessions.unseen().copy()]
            if step == 40:
                sessions = pickle.loads(pickle.dumps(sessions))
        played.append(seen)
    assert all((a == b).all() for a, b in zip(*played, strict=True))
    assert len({int(mask.sum()) for mask in played[0][2::3]}) > 5


def test_feeding_one_creator_drives_the_others_out_and_even_exposure_keeps_them():
    # ten creators of six items, two of them reserves; nobody ever shows the first creator
    world = creative(constant_world(1.0, n_items=60, rules=Rules(horizon=6)), period=27)
    env = RecommendVectorEnv(world, 4)
    for some, left in [(6, range(6, 12)), (54, range(6, 60))]:
        env.reset(seed=0)
        for step in range(81):
            env.step(6 + (4 * step + np.arange(4)) % some)
        lives = env._sessions.played.schedule.lifetimes
        assert np.flatnonzero(lives.there(np.arange(60), 81)).tolist() == list(left)


def test_friends_move_when_their_session_begins_and_only_then():
    tastes = np.array([[8.0], [0.0], [4.0], [1.0]], dtype=np.float32)
    circle = Circle(Friends(np.array([[0, 1], [1, 2]]), 0.25), tastes)
    circle.begin(np.array([0]))  # towards 1: 6 + 0
    assert tastes[:, 0].tolist() == [6.0, 0.0, 4.0, 1.0]
    circle.begin(np.array([1, 1, 3]))  # towards the mean of 6 and 4, once; 3 knows nobody
    assert tastes[:, 0].tolist() == [6.0, 1.25, 4.0, 1.0]
    circle.end(np.array([2]), np.array([[2.0]], dtype=np.float32))
    circle.begin(np.array([1]))  # 0.75 * 1.25 + 0.25 * (6 + 2) / 2
    assert tastes[1, 0] == 1.9375
    circle.start()
    assert tastes[:, 0].tolist() == [8.0, 0.0, 4.0, 1.0]


def test_two_friends_who_take_turns_come_together_by_the_stated_factor():
    tastes = np.array([[1.0], [0.0]], dtype=np.float32)
    circle = Circle(Friends(np.array([[0, 1]]), 0.2), tastes)
    for turn in range(6):
        circle.begin(np.array([turn % 2]))
    assert tastes[0, 0] - tastes[1, 0] == pytest.approx(0.8**6, rel=1e-6)


def befriended(weight: float = 0.3, **rules):
    world = random_world(rules=Rules(**rules))
    return world.changed(
        friends=Friends(np.column_stack([np.arange(49), np.arange(1, 50)]), weight)
    )


def test_what_one_user_is_shown_reaches_a_friend():
    """With drift, two histories of user a end in two tastes of friend b, who saw nothing."""
    world = befriended(drift=0.5, horizon=3)
    ends = []
    for item in (3, 4):
        env = RecommendEnv(world)
        env.reset(seed=0)
        first = env._sessions.state["vector"].copy()
        for step in range(3):
            env.step((item + step * 7) % 60)
        own = int(env.current_users[0])
        circle = env._sessions._processes.circle
        assert (circle.tastes[own] == env._sessions.state["vector"][0]).all()
        assert (circle.tastes[own] != first[0]).any()
        circle.begin(np.array([own + 1]))
        ends.append(circle.tastes[own + 1].copy())
    assert (ends[0] != ends[1]).any()


def test_the_compiled_step_meets_the_same_friends_as_the_plain_one():
    world = befriended(drift=0.2, patience=2)
    played = []
    for compiled in (True, False):
        sessions = Sessions(world, np.arange(5), 1, again=True, compiled=compiled)
        sessions.start(4)
        rng, seen = np.random.default_rng(1), []
        for step in range(60):
            out = sessions.advance(rng.integers(60, size=(5, 1)))
            seen += [out.reward.copy(), sessions.now.history.copy(), sessions.user.copy()]
            if step == 30:
                sessions = pickle.loads(pickle.dumps(sessions))
        played.append([*seen, sessions._processes.circle.tastes])
    assert all(np.allclose(a, b, rtol=1e-5, atol=1e-6) for a, b in zip(*played, strict=True))
    assert (played[0][-1] != world.users.user_vectors).any()
    assert (world.users.user_vectors == random_world().users.user_vectors).all()  # not the world's


def test_friends_without_pull_change_no_byte_and_everything_has_a_fingerprint():
    worlds = [random_world(), befriended(0.0)]
    played = []
    for world in worlds:
        env = RecommendVectorEnv(world, 4)
        env.reset(seed=0)
        rng = np.random.default_rng(0)
        played.append([env.step(rng.integers(60, size=4))[1].copy() for _ in range(50)])
    assert (np.array(played[0]) == np.array(played[1])).all()
    prints = {world.fingerprint for world in [*worlds, befriended(), creative(worlds[0])]}
    assert len(prints) == 4


def test_lastfm_friends_grow_more_alike(shared_data):
    """On the real friend graph: once everybody has come, friends are nearer than before."""
    from simrec.datasets.columns import friend_pairs
    from simrec.datasets.tidy import read_tidy

    dataset = read_tidy(shared_data / "lastfm2k", name="lastfm")
    pairs = friend_pairs(dataset)
    assert len(pairs) == 25434 and pairs.max() < dataset.log.n_users
    tastes = np.random.default_rng(0).normal(size=(dataset.log.n_users, 4)).astype(np.float32)

    def gap() -> float:
        return float(((tastes[pairs[:, 0]] - tastes[pairs[:, 1]]) ** 2).sum(axis=1).mean())

    before, circle = gap(), Circle(Friends(pairs, 0.3), tastes)
    circle.begin(np.arange(dataset.log.n_users))
    assert gap() < 0.75 * before


def test_mistakes_are_sentences():
    world = random_world()
    owner, listed = np.arange(60), np.ones(60, bool)
    for make, sentence in [
        (lambda: Creators(owner, listed[:3]), r"^creators have owner of shape \(60,\) and listed"),
        (lambda: Creators(owner, listed, least=1.5), r"^creators have least 1\.5 and more 1\.0"),
        (lambda: Creators(owner, listed, period=0), r"^creators have period 0 and releases 1"),
        (lambda: Creators(owner - 1, listed), r"^creators\.owner has -1; expected 0 or more$"),
        (lambda: Creators(owner, ~listed), r"^creators\.listed has no item on offer"),
        (lambda: world.changed(creators=Creators(OWNER, LISTED)), r"^world 'random' has creators"),
        (lambda: Friends(np.array([[0, 1]]), 2.0), r"^the weight of friends is 2\.0; expected"),
        (lambda: world.changed(friends=Friends(np.array([[0, 50]]))), r"^friends name user rows"),
        (
            lambda: constant_world(0.5, rules=Rules()).changed(friends=Friends(np.array([[0, 1]]))),
            r"^world 'constant' has friends, but ConstantUsers have no taste vectors",
        ),
    ]:
        with pytest.raises(SimrecError, match=sentence):
            make()
