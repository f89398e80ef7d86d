"""Creators and friends as a world's own settings: kept with it, and what a batch shares and not."""

from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pandas as pd
import pytest

from simrec.datasets.toy import make_toy
from simrec.envs.creators import Creators
from simrec.envs.friends import Friends
from simrec.envs.planned import PlannedCreators
from simrec.envs.registry import register
from simrec.envs.retention import Retention
from simrec.envs.rules import Rules
from simrec.envs.sessions import Sessions
from simrec.envs.single import RecommendEnv
from simrec.envs.spec import make_spec
from simrec.envs.vector import RecommendVectorEnv
from simrec.envs.world import World
from simrec.errors import SimrecError
from tests.env_worlds import random_world


def crowded(period: int = 7, weight: float = 0.3, **rules: Any) -> World:
    """Ten creators of six items, a ring of friends, and users who come back."""
    world = random_world(rules=Rules(**({"drift": 0.2, "patience": 2} | rules)))
    ring = np.column_stack([np.arange(0, 48, 2), np.arange(2, 50, 2)])
    creators = Creators(np.arange(60) // 6, np.arange(60) % 6 < 4, period=period, least=0.6)
    return world.changed(creators=creators, friends=Friends(ring, weight), retention=Retention())


def played(world: World, slots: list[int], actions: np.ndarray) -> list[np.ndarray]:
    """Rewards (n, B), users (n, B) and the items on offer (n, I) of some slots."""
    sessions = Sessions(world, np.array(slots), 1, again=True)
    sessions.start(3)
    seen: list[list[np.ndarray]] = [[], [], []]
    for step in range(len(actions)):
        out = sessions.advance(actions[step, : len(slots), None].copy())
        lives = sessions.played.schedule.lifetimes
        offer = np.ones(60) if lives is None else lives.there(np.arange(60), step + 1)
        for part, now in zip(seen, (out.reward, sessions.user, offer), strict=True):
            part.append(now.copy())
    return [np.array(part) for part in seen]


ACTIONS = np.random.default_rng(0).integers(60, size=(60, 6))


def test_a_saved_world_keeps_its_creators_and_friends(tmp_path: Path) -> None:
    world = crowded()
    world.save(tmp_path / "world")
    again = World.load(tmp_path / "world")
    assert again.fingerprint == world.fingerprint
    assert again.creators is not None and again.friends is not None
    for a, b in zip(*(played(w, [0, 1, 2], ACTIONS) for w in (world, again)), strict=True):
        assert a.tobytes() == b.tobytes()


def test_a_batch_of_one_is_the_single_environment_through_many_sessions() -> None:
    world = crowded()
    many, one = RecommendVectorEnv(world, 1, first_slot=4), RecommendEnv(world, slot=4)
    observations, infos = many.reset(seed=2)
    observation, info = one.reset(seed=2)
    sessions, came_back = 0, 0
    for step in range(150):
        for name, part in observation.items():
            assert (np.asarray(observations[name][0]) == part).all(), (step, name)
        assert (infos["user"][0], infos["session"][0], infos["days"][0]) == (
            info["user"],
            info["session"],
            info["days"],
        )
        action = int(ACTIONS[step % 60, step % 6])
        observations, rewards, *_, infos = many.step([action])
        observation, reward, left, cut, info = one.step(action)
        assert rewards[0] == reward
        if left or cut:
            observation, info = one.reset()
            sessions += 1
            came_back += info["days"] > 0
    assert sessions > 20 and 0 < came_back <= sessions


def test_users_come_back_in_a_single_environment_as_its_slot_of_a_batch_has_it() -> None:
    """Without creators and friends nothing is shared, so any batch agrees with the single env."""
    world = random_world(rules=Rules(patience=2)).changed(retention=Retention(base=-3.0, days=4))
    rewards, users, _ = played(world, [0, 1, 2], ACTIONS)
    one = RecommendEnv(world, slot=1)
    one.reset(seed=3)
    for step in range(60):
        _, reward, left, cut, info = one.step(int(ACTIONS[step, 1]))
        if left or cut:
            _, info = one.reset()
        assert (reward, info["user"]) == (rewards[step, 1], users[step, 1])


def test_until_the_first_review_a_batch_with_creators_goes_slot_by_slot() -> None:
    world = crowded(period=20, weight=0.0, drift=0.0)
    together = played(world, [0, 1, 2, 3, 4, 5], ACTIONS)
    for slot in range(6):
        alone = played(world, [slot], ACTIONS[:, slot:])
        assert (together[0][:20, slot] == alone[0][:20, 0]).all()
        assert (together[1][:20, slot] == alone[1][:20, 0]).all()
    assert (together[2][20:] != alone[2][20:]).any()  # then what is on offer is everybody's doing


def test_creators_do_not_care_for_the_order_of_slots() -> None:
    world = crowded(weight=0.0, drift=0.0)
    order = [3, 0, 5, 1, 4, 2]
    a, b = played(world, list(range(6)), ACTIONS), played(world, order, ACTIONS[:, order])
    assert (a[0][:, order] == b[0]).all() and (a[1][:, order] == b[1]).all()
    assert (a[2] == b[2]).all()


def test_a_user_without_friends_has_the_session_of_a_world_without_friends() -> None:
    world = random_world(rules=Rules(horizon=6, drift=0.3))
    friendly = world.changed(friends=Friends(np.array([[1, 3], [5, 7]]), 0.9))  # none of them comes
    a, b = (played(each, list(range(6)), ACTIONS[:6]) for each in (world, friendly))
    assert (a[0] == b[0]).all()


def test_creators_are_found_by_an_attribute_or_dealt_out() -> None:
    catalogue = make_toy(seed=1, n_items=48, n_users=30).catalogue
    dealt = PlannedCreators(count=6, reserve=0.25, period=9).creators(catalogue, seed=0)
    assert np.bincount(dealt.owner).tolist() == [8] * 6
    assert np.bincount(dealt.owner[dealt.listed]).tolist() == [6] * 6  # a quarter of 8 waits
    assert (dealt.period, dealt.least) == (9, Creators.least)
    again = PlannedCreators(count=6).creators(catalogue, seed=1)
    assert (again.owner != dealt.owner).any()
    named = PlannedCreators(attribute="topic", reserve=0.0).creators(catalogue, seed=0)
    topic = catalogue.attribute("topic").membership
    for items in (np.flatnonzero(named.owner == owner) for owner in range(named.owner.max() + 1)):
        assert (topic[items] == topic[items[0]]).all()
    assert named.listed.all()


def people(folder: Path) -> Path:
    """A log of 12 users in a ring of friends who each rate 16 of 20 items."""
    rng = np.random.default_rng(5)
    folder.mkdir()
    pd.DataFrame(
        {
            "item_id": np.arange(20),
            "title": [f"thing {i}" for i in range(20)],
            "maker": [["a"], ["b"], None, ["a", "c"]] * 5,
        }
    ).to_parquet(folder / "items.parquet")
    pairs = [(u, int(i)) for u in range(12) for i in rng.permutation(20)[:16]]
    pd.DataFrame(
        {
            "user_id": [u for u, _ in pairs],
            "item_id": [i for _, i in pairs],
            "rating": rng.integers(1, 6, len(pairs)).astype(float),
        }
    ).to_parquet(folder / "interactions.parquet")
    pd.DataFrame(
        {"user_id": np.arange(12), "friends": [[(u + 1) % 12, (u - 1) % 12] for u in range(12)]}
    ).to_parquet(folder / "users.parquet")
    return folder


def test_both_keys_work_from_a_log_through_gymnasium(
    tmp_path: Path, data_home: Path, request: pytest.FixtureRequest
) -> None:
    from simrec.datasets.library import import_dataset

    import_dataset("tidy", people(tmp_path / "ring"), "ring")
    register("tests/Ring-v0", dataset="ring", history=2)
    request.addfinalizer(lambda: gymnasium.registry.pop("tests/Ring-v0"))
    settings: dict[str, Any] = {
        "creators": {"attribute": "maker", "period": 5},
        "influence": 0.4,
        "drift": 0.2,
    }
    env: Any = gymnasium.make_vec("tests/Ring-v0", num_envs=4, **settings)
    creators, friends = env.world.creators, env.world.friends
    # makers a (10 items) and b (5); five items without a maker are five creators
    assert sorted(np.bincount(creators.owner).tolist()) == [1, 1, 1, 1, 1, 5, 10]
    assert len(friends.pairs) == 24 and friends.weight == 0.4
    plain: Any = gymnasium.make("tests/Ring-v0").unwrapped
    assert plain.world.users is env.world.users  # fitted once
    env.reset(seed=0)
    for step in range(20):
        env.step([(step + slot) % 20 for slot in range(4)])
    assert (env.played.users.user_vectors != env.world.users.user_vectors).any()


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"creators": {"perid": 3}}, "creators have no 'perid'; did you mean 'period'?"),
        ({"creators": {"reserve": 1.0}}, "creators.reserve is 1.0; expected 0 or more and below 1"),
        ({"creators": {"count": 0}}, "creators.count is 0; expected 1 or more"),
        (
            {"creators": {"count": 3, "attribute": "maker"}},
            "creators are given by the attribute 'maker' and by a count of 3; expected one of the "
            "two",
        ),
        ({"influence": 2.0}, "influence is 2.0; expected a pull of 0 to 1"),
    ],
)
def test_a_mistake_is_one_sentence(settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(SimrecError) as caught:
        make_spec({"dataset": "toy", **settings})
    assert str(caught.value) == sentence
