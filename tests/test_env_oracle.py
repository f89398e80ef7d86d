"""Plans where more than boredom changes tastes, against paper and against every list there is."""

import dataclasses
from itertools import permutations

import numpy as np
import pytest
from scipy.special import expit

from simrec.envs import oracle
from simrec.envs.bounds import NO_MOODS, myopic_policy, oracle_note, planned_policy
from simrec.envs.creators import Creators
from simrec.envs.moods import Begun, Moods, moods_of
from simrec.envs.plan import Repeats, beam_plans
from simrec.envs.playing import Policy, play
from simrec.envs.retention import Retention
from simrec.envs.rules import Rules
from simrec.envs.schedule import Schedule, Shift
from simrec.envs.sessions import Sessions
from simrec.envs.truth import click_probability
from simrec.envs.world import World
from tests.env_worlds import constant_world, random_world


def still(**changes) -> Moods:
    """Two items without taste vectors, and no mood but those named."""
    nothing = {
        "satiation": 0.0,
        "recovery": 0.5,
        "novelty": 0.0,
        "drift": 0.0,
        "tilt": np.zeros((2, 2), np.float32),
        "tastes": np.zeros((1, 0), np.float32),
        "items": np.zeros((3, 0), np.float32),
        "scale": 1.0,
    }
    return Moods(**(nothing | changes))


def test_a_plan_waits_for_a_shift():
    # A: logit 0.2 now and 3.2 tomorrow, B: 0. A first: 0.550 + 0.5; B first: 0.5 + 0.961
    logits = np.array([[0.2, 0.0]])
    topics = np.eye(2, dtype=np.float32)
    plain = {"length": 2, "boredom": 0.0, "window": 1}
    assert beam_plans(logits, topics, **plain).tolist() == [[0, 1]]
    later = still(tilt=np.array([[0, 0], [3, 0]], np.float32), items=np.zeros((2, 0), np.float32))
    assert beam_plans(logits, topics, **plain, moods=later).tolist() == [[1, 0]]


def test_a_plan_spaces_out_what_sates():
    # items 0 and 1 of one topic (logit 2), item 2 of another (logit 0); satiation 4, recovery 0.5.
    # 0 then 1: 0.881 + sigmoid(2 - 4 * 0.881) = 0.881 + 0.179; 0 then 2: 0.881 + 0.5
    logits, topics = np.array([[2.0, 1.9, 0.0]]), np.array([[1, 0], [1, 0], [0, 1]], np.float32)
    plain = {"length": 2, "boredom": 0.0, "window": 1}
    assert sorted(beam_plans(logits, topics, **plain)[0].tolist()) == [0, 1]
    planned = beam_plans(logits, topics, **plain, moods=still(satiation=4.0))
    assert planned.tolist() in ([[0, 2]], [[2, 0]])


def moody(seed: int = 0) -> World:
    """Six items, and every mood there is."""
    rules = Rules(4, 4, 0.5, 2, drift=0.4, satiation=1.2, recovery=0.7, novelty=0.6)
    world = random_world(seed, n_users=6, n_items=6, rules=rules)
    return world.changed(Schedule((Shift(3, 1.0, (0, 2)), Shift(5, -1.0, (1, 3)))))


def expected_clicks(world: World, user: int, date: int, items: tuple[int, ...]) -> float:
    """The clicks of one list, place by place as the rules say, a chance p counting as p clicks."""
    rules, users = world.rules, world.users
    taste = users.user_vectors[user].astype(float)
    reach = np.linalg.norm(taste)
    sated, shown, total = np.zeros(6), [], 0.0
    for t, item in enumerate(items):
        theme, vector = world.topics[item].astype(float), users.item_vectors[item].astype(float)
        z = users.intercept + users.user_effect[user] + users.item_effect[item]
        z += users.scale * taste @ vector + world.schedule.tilt(date + t, 6) @ theme
        if shown:
            z -= rules.boredom * np.mean(shown[-rules.window :], axis=0) @ theme
        z -= rules.satiation * sated @ theme
        z += rules.novelty * (1.0 - (np.mean(shown, axis=0) @ theme if shown else 0.0))
        p = float(expit(z))
        sated = rules.recovery * sated + p * theme
        aim = reach * vector / np.linalg.norm(vector)
        taste = taste + p * rules.drift * (aim - taste)
        shown.append(theme)
        total += p
    return total


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_wide_beam_finds_the_best_list_of_all(seed):
    world, users = moody(seed), np.arange(6)
    affinity = world.users.affinity_of_all(world.users.begin(users))
    plans = beam_plans(
        np.log(affinity / (1.0 - affinity)),
        world.topics,
        length=4,
        boredom=0.5,
        window=2,
        moods=moods_of(world, users, 2, 1),
        beams=10_000,
    )
    for user in users:
        worth = {
            items: expected_clicks(world, user, 2, items) for items in permutations(range(6), 4)
        }
        assert worth[tuple(plans[user].tolist())] == pytest.approx(max(worth.values()), abs=1e-5)


def played(world: World, policy: Policy) -> np.ndarray:
    return play(world, policy, 3, 128)[0]


@pytest.mark.parametrize(
    "moods", [{"satiation": 4.0, "recovery": 0.9}, {"drift": 0.3}, {"satiation": 1.5, "novelty": 1}]
)
def test_a_plan_of_one_step_is_the_greedy_choice(moods, monkeypatch):
    world = random_world(rules=Rules(**moods))
    monkeypatch.setattr(oracle, "AHEAD", 1)
    assert (played(world, planned_policy) == played(world, myopic_policy)).all()


def test_planning_anew_pays_where_clicks_sate():
    world = random_world(rules=Rules(satiation=4.0, recovery=0.9))
    gain = played(world, planned_policy) - played(world, myopic_policy)
    assert gain.mean() > 3 * gain.std() / np.sqrt(len(gain)) > 0


def test_a_plan_made_on_the_way_knows_what_was_shown_and_clicked():
    """Half-way into a list, the rest of the best list is planned, from what the rules remember."""
    world = moody().changed(Schedule())
    sessions = Sessions(world, np.arange(40), 1, again=False)
    sessions.start(0)
    rng = np.random.default_rng(0)
    for _ in range(2):  # of the four steps of a session
        unseen = sessions.unseen()
        sessions.advance(np.argmax(rng.random(unseen.shape) * unseen, axis=1)[:, None])
    found, truth = oracle.next_slates(sessions)[:, 0], click_probability(sessions)
    compared = 0
    for row in range(40):
        left = np.flatnonzero(sessions.unseen()[row])
        if not len(left) or sessions.memory.counts[1, row] == 3:
            continue
        # worth of two more items in every order, by the rules' own next state of this session
        worth = {
            pair: ahead(world, sessions, row, pair, truth[row]) for pair in permutations(left, 2)
        }
        if worth:
            assert found[row] == max(worth, key=worth.__getitem__)[0]
            compared += 1
    assert compared > 10


def ahead(world: World, s: Sessions, row: int, pair: tuple, now: np.ndarray) -> float:
    """Expected clicks of two more items; patience 4 and a streak below 3 let the user stay."""
    rules, users, memory = world.rules, world.users, s.memory
    a, b = pair
    p, theme = float(now[a]), world.topics[a].astype(float)
    taste = s.state["vector"][row].astype(float)
    vector = users.item_vectors[a].astype(float)
    aim = float(memory.reach[row]) * vector / np.linalg.norm(vector)
    taste = taste + p * rules.drift * (aim - taste)
    sated = rules.recovery * memory.sated[row, :6] + p * theme
    lately = [world.topics[i] for i in (s.recent()[row, -1], a)]
    shown = memory.seen[row, :6] + theme
    z = users.intercept + users.user_effect[s.user[row]] + users.item_effect[b]
    z += users.scale * taste @ users.item_vectors[b].astype(float)
    z -= rules.boredom * np.mean(lately, axis=0) @ world.topics[b]
    z -= rules.satiation * sated @ world.topics[b]
    z += rules.novelty * (1.0 - shown @ world.topics[b] / 3)
    return p + float(expit(z))


def test_who_is_likely_gone_does_not_click():
    # patience 2 and a streak of 1: a miss now ends it. Items: sure 0.5 now, 0.5 later; or first a
    # long shot. With chances 0.5 and 0.2: 0.5 + 0.5 * 0.2 = 0.6 against 0.2 + 0.2 * 0.5 = 0.3
    logits, topics = np.log(np.array([[1.0, 0.25]])), np.eye(2, dtype=np.float32)
    zeros = np.zeros((1, 2))
    begun = Begun(
        lately=np.zeros((1, 0, 2), np.float32),
        there=np.zeros((1, 0), bool),
        sated=zeros,
        seen=zeros,
        shown=np.zeros(1, np.int64),
        reach=zeros[:, 0],
        streak=np.array([1]),
        patience=2,
    )
    plain = {"length": 2, "boredom": 0.0, "window": 1, "begun": begun}
    assert beam_plans(logits, topics, **plain).tolist() == [[0, 1]]
    # a shift that makes the sure one surer tomorrow (0.95): waiting earns 0.2 + 0.95 = 1.15 where
    # nobody leaves, but 0.2 + 0.2 * 0.95 = 0.39 here, so the sure one comes first all the same
    later = still(tilt=np.array([[0, 0], [3, 0]], np.float32), items=np.zeros((2, 0), np.float32))
    assert beam_plans(logits, topics, **plain, moods=later).tolist() == [[0, 1]]
    patient = dataclasses.replace(begun, patience=None)
    assert beam_plans(logits, topics, **plain | {"begun": patient}, moods=later).tolist() == [
        [1, 0]
    ]


def test_a_plan_keeps_users_whom_more_of_the_same_drives_away():
    # Items 0 and 1 of one topic (click 0.9 each), item 2 of another (0.5); patience 1. Of three
    # places 0, 1 earn 0.9 + 0.9 and the user is gone; 0, 2, 1 earn 0.9 + 0.5 + 0.9.
    logits = np.log(np.array([[9.0, 9.0, 1.0]]))
    topics = np.array([[1, 0], [1, 0], [0, 1]], np.float32)
    plain = {"boredom": 0.0, "window": 1}
    rule = Repeats(tolerance=0.5, patience=1, streak=np.array([0]), whole=True)
    three = beam_plans(logits, topics, **plain, length=3, repeats=rule)
    assert three.tolist() in ([[0, 2, 1]], [[1, 2, 0]])
    # Of two places that fill the session the second may be more of the same, for nothing follows;
    # where the session goes on it may not.
    two = beam_plans(logits, topics, **plain, length=2, repeats=rule)
    assert sorted(two[0].tolist()) == [0, 1]
    going_on = dataclasses.replace(rule, whole=False)
    assert 2 in beam_plans(logits, topics, **plain, length=2, repeats=going_on)[0]
    # With patience 2 one repetition is free, unless one has gone before.
    patient = dataclasses.replace(going_on, patience=2)
    assert sorted(beam_plans(logits, topics, **plain, length=2, repeats=patient)[0]) == [0, 1]


@pytest.mark.parametrize("moods", [{}, {"satiation": 1.0}])
def test_nobody_leaves_an_oracle_that_knows_what_bores(moods):
    rules = Rules(leave="boredom", tolerance=0.45, patience=2, horizon=8, boredom=0.0, **moods)
    world = random_world(rules=rules)
    _, length = play(world, planned_policy, 3, 64)
    assert (length == rules.horizon).all()
    assert played(world, planned_policy).mean() > played(world, myopic_policy).mean()


def test_worlds_without_moods_are_planned_as_before():
    assert moods_of(random_world(), np.arange(3), 0, 1) is None
    assert moods_of(constant_world(0.5, rules=Rules()), np.arange(3), 0, 1) is None


def test_the_note_says_what_the_oracle_follows_and_what_it_leaves_out():
    world = random_world()
    assert oracle_note(world) == NO_MOODS
    assert oracle_note(moody()) == (
        "The oracle is approximate: the better of greedy by the true probability and a beam search "
        "that, made anew before every step and 12 steps ahead, follows the expected course of "
        "drift, satiation, novelty, shifts, counts who will have left, and ignores what comes "
        "after those steps."
    )
    assert oracle_note(random_world(rules=Rules(leave="boredom"))).endswith(
        "and a beam search that counts who will have left and ignores lists outside its beam."
    )
    waiting = world.changed(Schedule((Shift(3, 1.0, (0,)),)))
    assert "that, once at the start, follows the expected course of shifts and" in oracle_note(
        waiting
    )
    creators = Creators(np.arange(60), np.ones(60, bool))
    other = world.changed(
        retention=Retention(), creators=creators, choice="cascade", reward="likes"
    )
    assert oracle_note(other, 3).endswith(
        "that ignores leaving, and that the places of a slate compete ('cascade'), and that the "
        "reward is 'likes' (it counts clicks), and items that appear or expire in the session, and "
        "what comes after the session."
    )
    assert "how ConstantUsers change" in oracle_note(constant_world(0.5, rules=Rules()))
