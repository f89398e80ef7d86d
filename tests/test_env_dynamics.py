"""The laws of the dynamics: ends, repeats, luck, batches."""

import pickle

import numpy as np
import pytest

from simrec.envs.single import RecommendEnv
from simrec.envs.vector import RecommendVectorEnv
from simrec.envs.world import Rules, World
from simrec.errors import SimrecError
from tests.env_worlds import ConstantUsers, constant_world, random_world


def play(env, actions, *, seed=None):
    """Play rows of actions and return everything seen, as plain arrays."""
    seen = []

    def keep(**record):
        seen.extend(np.array(part) for part in record.values())

    if seed is not None:
        keep(**env.reset(seed=seed)[0])
    for action in actions:
        obs, reward, terminated, truncated, info = env.step(action)
        keep(**obs, r=reward, e=terminated, u=truncated, n=info["user"])
    return seen


def same(first, second) -> bool:
    return all(
        a.dtype == b.dtype and a.tobytes() == b.tobytes()
        for a, b in zip(first, second, strict=True)
    )


def draws(world, steps, batch, k=1, seed=5):
    shape = (steps, batch) if k == 1 else (steps, batch, k)
    return np.random.default_rng(seed).integers(world.n_items, size=shape)


def test_a_user_who_likes_nothing_leaves_exactly_when_patience_is_used_up():
    world = constant_world(0.0, rules=Rules(horizon=20, patience=4))
    env = RecommendVectorEnv(world, 3)
    env.reset(seed=0)
    for step in range(1, 5):
        obs, reward, terminated, truncated, info = env.step([10 + step] * 3)
        assert reward.tolist() == [0.0] * 3
        assert terminated.tolist() == [step == 4] * 3
        assert not truncated.any()
    assert obs["step"].tolist() == [[0]] * 3  # already begun again
    assert info["session"].tolist() == [1] * 3
    assert [final["step"].tolist() for final in info["final_obs"]] == [[4]] * 3
    assert info["final_info"]["length"].tolist() == [4] * 3
    assert info["_final_info"].all() and info["_final_obs"].all()
    assert info["final_obs"][0]["history"][-4:].tolist() == [11, 12, 13, 14]


def test_a_user_who_likes_everything_stays_to_the_horizon():
    env = RecommendEnv(constant_world(1.0, rules=Rules(horizon=7)))
    env.reset(seed=0)
    steps = [env.step(10 + t) for t in range(7)]
    assert [s[1] for s in steps] == [1.0] * 7
    assert [s[2] for s in steps] == [False] * 7
    assert [s[3] for s in steps] == [False] * 6 + [True]


def test_leaving_at_the_horizon_counts_as_leaving_only():
    env = RecommendEnv(constant_world(0.0, rules=Rules(horizon=4, patience=4)))
    env.reset(seed=0)
    ends = [env.step(10 + t)[2:4] for t in range(4)]
    assert ends == [(False, False)] * 3 + [(True, False)]


def test_the_click_probability_after_a_similar_item_is_the_one_worked_by_hand():
    # affinity 0.5 has logit 0; item 1 overlaps item 0 by 0.5: z = -0.6 * 0.5, sigmoid = 0.425557
    topics = np.array([[1, 0], [0.5, np.sqrt(0.75)], [0, 1]], dtype=np.float32)
    start = np.zeros((1, 0), dtype=np.int64)
    users = ConstantUsers(0.5, 1, 3)
    world = World("hand", users, topics, start, start.astype(np.float32), np.array([0]))
    env = RecommendVectorEnv(world, 1)
    env.reset(seed=0)
    assert env.click_probability() == pytest.approx(np.array([[0.5, 0.5, 0.5]]))
    env.step([0])
    # the item shown is seen; item 2 shares no topic with it
    assert env.click_probability() == pytest.approx(np.array([[0.0, 0.425557, 0.5]]), abs=1e-6)


def test_clicks_happen_as_often_as_the_stated_probability():
    world = constant_world(0.3, rules=Rules(boredom=0.0))
    env = RecommendVectorEnv(world, 20_000)
    env.reset(seed=1)
    _, reward, *_ = env.step(np.full(20_000, 20))
    # 4 standard errors: 4 * sqrt(0.3 * 0.7 / 20000) = 0.013
    assert reward.mean() == pytest.approx(0.3, abs=0.013)


def test_an_item_seen_before_is_ignored_but_enters_the_history():
    env = RecommendEnv(constant_world(1.0, rules=Rules()))
    _, info = env.reset(seed=0)
    known = info["user"]  # user u starts with item u
    assert env.step(known)[1] == 0.0
    assert env.step(20)[1] == 1.0
    obs, reward, *_ = env.step(20)
    assert reward == 0.0
    assert obs["history"][-3:].tolist() == [known, 20, 20]
    assert obs["feedback"][-3:].tolist() == [0.0, 1.0, 0.0]
    assert np.flatnonzero(~env.action_masks()).tolist() == [known, 20]


def test_a_repeat_within_a_slate_is_ignored():
    env = RecommendVectorEnv(constant_world(1.0, rules=Rules()), 400, slate_size=3)
    env.reset(seed=0)
    obs, reward, *_ = env.step(np.tile([20, 20, 25], (400, 1)))
    assert reward.tolist() == [1.0] * 400
    clicks = obs["feedback"][:, -3:].sum(axis=0)
    assert clicks[1] == 0.0
    # two equal weights, 400 users: 4 standard errors are 4 * sqrt(400 / 4) = 40
    assert clicks[0] == pytest.approx(200, abs=40) and clicks[2] == 400 - clicks[0]


@pytest.mark.parametrize("k", [1, 3])
def test_the_same_seed_gives_the_same_bytes(k):
    world = random_world()
    actions = draws(world, 200, 5, k)
    runs = [play(RecommendVectorEnv(world, 5, slate_size=k), actions, seed=9) for _ in range(2)]
    assert same(*runs)
    other = play(RecommendVectorEnv(world, 5, slate_size=k), actions, seed=10)
    assert not same(runs[0], other)


@pytest.mark.parametrize("k", [1, 3])
def test_a_batch_equals_as_many_single_environments(k):
    world = random_world()
    batch, actions = 4, draws(world, 90, 4, k)
    vector = RecommendVectorEnv(world, batch, slate_size=k)
    vector_obs, vector_info = vector.reset(seed=3)
    singles = [RecommendEnv(world, slate_size=k, slot=b) for b in range(batch)]
    obs = [env.reset(seed=3)[0] for env in singles]
    ended = 0
    for row in actions:
        vector_obs, reward, terminated, truncated, vector_info = vector.step(row)
        for b, env in enumerate(singles):
            last, r, left, cut, info = env.step(row[b])
            assert (r, left, cut) == (reward[b], terminated[b], truncated[b])
            if left or cut:
                ended += 1
                for name, part in last.items():
                    assert part.tobytes() == vector_info["final_obs"][b][name].tobytes()
                assert info["session"] == vector_info["final_info"]["session"][b]
                last, info = env.reset()
            obs[b] = last
            assert info == {n: vector_info[n][b] for n in ("user", "session")}
            for name, part in last.items():
                assert part.tobytes() == vector_obs[name][b].tobytes()
    assert ended >= batch


def test_a_slot_does_not_depend_on_the_size_of_the_batch():
    world = random_world()
    actions = draws(world, 60, 6)
    wide = RecommendVectorEnv(world, 6)
    narrow = RecommendVectorEnv(world, 2, first_slot=3)
    wide_seen, narrow_seen = play(wide, actions, seed=0), play(narrow, actions[:, 3:5], seed=0)
    assert same([part[3:5] for part in wide_seen], narrow_seen)


@pytest.mark.parametrize("single", [True, False])
def test_a_pickled_environment_goes_on_identically(single):
    world = random_world(rules=Rules(patience=50, horizon=100))
    env = RecommendEnv(world) if single else RecommendVectorEnv(world, 3)
    actions = draws(world, 80, 3)[:, 0] if single else draws(world, 80, 3)
    play(env, actions[:40], seed=2)
    copy = pickle.loads(pickle.dumps(env))
    assert same(play(env, actions[40:]), play(copy, actions[40:]))


def test_the_same_users_arrive_whatever_is_recommended():
    world = random_world()
    arrived = []
    for seed in (1, 2):
        env = RecommendVectorEnv(world, 8)
        _, info = env.reset(seed=0)
        users = {}
        for row in draws(world, 150, 8, seed=seed):
            for slot in range(8):
                users[slot, int(info["session"][slot])] = int(info["user"][slot])
            *_, info = env.step(row)
        arrived.append(users)
    shared = arrived[0].keys() & arrived[1].keys()
    assert len(shared) > 40
    assert all(arrived[0][key] == arrived[1][key] for key in shared)
    assert set(arrived[0].values()) <= set(world.arrivals.tolist())


def test_luck_belongs_to_the_step_and_not_to_the_item():
    world = constant_world(0.5, rules=Rules(boredom=0.0, patience=20))
    clicks = []
    for first in (10, 30):
        env = RecommendEnv(world)
        env.reset(seed=4)
        clicks.append([env.step(first + t)[1] for t in range(10)])
    assert clicks[0] == clicks[1]
    assert 0 < sum(clicks[0]) < 10


def test_observations_stay_in_the_space_and_are_not_live():
    world = random_world()
    env = RecommendVectorEnv(world, 4, slate_size=2)
    obs, _ = env.reset(seed=0)
    for row in draws(world, 60, 4, 2):
        before = {name: part.copy() for name, part in obs.items()}
        following = env.step(row)[0]
        assert all((obs[name] == before[name]).all() for name in obs)
        assert env.observation_space.contains(following)
        obs = following


def test_reset_without_a_seed_goes_on_with_the_next_episode():
    world = random_world()
    env, other = RecommendEnv(world), RecommendEnv(world)
    env.reset(seed=0)
    other.reset(seed=0)
    first = [env.reset()[1] for _ in range(5)]
    assert first == [other.reset()[1] for _ in range(5)]
    assert [info["session"] for info in first] == [1, 2, 3, 4, 5]
    assert env.reset(seed=0)[1]["session"] == 0


def test_rendering_names_the_items_and_the_clicks():
    world = constant_world(1.0, rules=Rules())
    titles = [f"film {i}" for i in range(40)]
    env = RecommendEnv(world, render_mode="ansi", titles=titles)
    _, info = env.reset(seed=0)
    assert env.render() == f"user {info['user']}, step 0: nothing shown yet"
    env.step(20)
    assert env.render() == f"user {info['user']}, step 1: 20 film 20 (clicked)"
    assert RecommendEnv(world).render() is None


@pytest.mark.parametrize(
    ("actions", "sentence"),
    [
        ([40, 0], "action 40 is not an item; expected a row from 0 to 39"),
        ([0, -1], "action -1 is not an item; expected a row from 0 to 39"),
        ([0.5, 1.0], "actions have type float64; expected integers (item rows)"),
        ([1, 2, 3], "actions have shape (3,); expected (2,)"),
    ],
)
def test_wrong_actions_are_refused_in_a_sentence(actions, sentence):
    env = RecommendVectorEnv(constant_world(0.5, rules=Rules()), 2)
    env.reset(seed=0)
    with pytest.raises(SimrecError) as caught:
        env.step(actions)
    assert str(caught.value) == sentence


@pytest.mark.parametrize("action", [[3], np.array([3]), [3, 4]])
def test_one_user_is_shown_one_item_by_its_number(action):
    env = RecommendEnv(constant_world(0.5, rules=Rules()))
    env.reset(seed=0)
    assert not env.action_space.contains(action)
    with pytest.raises(SimrecError, match=r"^the action has shape \(\d,\); expected one integer, "):
        env.step(action)
    for number in (3, np.int32(4), np.array(5)):
        env.step(number)


def test_misuse_is_refused_in_a_sentence():
    world = constant_world(0.0, rules=Rules(patience=1))
    env = RecommendEnv(world)
    over = r"^step was called on a session that is over; call reset\(\) first"
    with pytest.raises(SimrecError, match=over):
        env.step(0)
    env.reset(seed=0)
    env.step(20)
    with pytest.raises(SimrecError, match=over):
        env.step(21)
    with pytest.raises(SimrecError, match=r"^reset got options \['user'\]; expected none"):
        env.reset(options={"user": 3})
    with pytest.raises(SimrecError, match=r"^step was called before reset"):
        RecommendVectorEnv(world, 2).step([0, 0])
    with pytest.raises(SimrecError, match=r"^slate_size is 41; expected 1 to 40"):
        RecommendEnv(world, slate_size=41)
    with pytest.raises(SimrecError, match=r"^render_mode is 'human'"):
        RecommendEnv(world, render_mode="human")
    with pytest.raises(SimrecError, match=r"^rules\.patience is 0; expected 1 or more$"):
        Rules(patience=0)
