"""Acting by codes: exact masks, what invalid tuples mean, and a learner that masks."""

import pickle

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from stable_baselines3.common.env_checker import check_env as sb3_check_env

from simrec.envs.rules import Rules
from simrec.envs.semantic_actions import SemanticIdAction, StepwiseSemanticId
from simrec.envs.single import RecommendEnv
from simrec.errors import SimrecError
from simrec.items.rq_kmeans import residual_kmeans
from simrec.items.semantic_ids import SemanticIds
from tests.env_worlds import constant_world, random_world

# six items: 0 (0,0) 1 (0,2) 2 (0,3) 3 (2,1) 4 (2,3) 5 (3,0); the code 1 begins none
SIX = SemanticIds(np.array([[0, 0], [0, 2], [0, 3], [2, 1], [2, 3], [3, 0]]), (4, 4))


def six(k: int = 1, **rules) -> RecommendEnv:
    """Everybody likes everything; user 0 and nobody else, who has seen item 0."""
    return RecommendEnv(
        constant_world(1.0, n_items=6, n_users=1, rules=Rules(**rules)), slate_size=k
    )


def toy_ids(env) -> SemanticIds:
    codes, _ = residual_kmeans(env.unwrapped.table.fused, levels=2, size=8)
    return SemanticIds.from_codes(codes, 8)


def shown(obs, k: int = 1) -> list[int]:
    return obs["history"][-k:].tolist()


def test_a_tuple_without_an_item_means_the_nearest_unseen_one_code_by_code():
    env = SemanticIdAction(six(), SIX)
    assert env.action_space == gymnasium.spaces.MultiDiscrete([4, 4])
    for asked, item in [
        ((2, 3), 4),  # an unseen item's own tuple
        ((0, 0), 1),  # item 0 is seen; of (0,2) and (0,3), 2 is nearer to 0
        ((1, 0), 1),  # no code 1: 0 and 2 are as near, the lower wins; then 2
        ((3, 3), 5),  # (3,0) is all that begins with 3
    ]:
        env.reset(seed=0)
        assert shown(env.step(np.array(asked))[0]) == [item]


def test_nearness_is_that_of_the_centres_where_they_are_given():
    centres = [np.array([[0.0], [8.0], [9.0], [1.0]])]  # code 1 lies beside code 2
    env = SemanticIdAction(six(), SIX, centres=centres)
    env.reset(seed=0)
    assert shown(env.step(np.array([1, 0]))[0]) == [3]


def test_a_slate_of_tuples_never_repeats_an_item():
    env = SemanticIdAction(six(3), SIX)
    assert env.action_space.nvec.tolist() == [4, 4] * 3
    env.reset(seed=0)
    obs, *_ = env.step(np.array([2, 1, 2, 1, 2, 1]))
    # (2,1) is item 3; then the nearest that begins with 2 is 4; then 2 is used up and 3 is nearest
    assert shown(obs, 3) == [3, 4, 5]


def test_refused_tuples_are_a_sentence_and_seen_items_are_ignored():
    env = SemanticIdAction(six(), SIX, invalid="refuse")
    env.reset(seed=0)
    with pytest.raises(
        SimrecError, match=r"^no item has the semantic id \(1, 0\); expected one of"
    ):
        env.step(np.array([1, 0]))
    assert env.step(np.array([0, 0]))[1] == 0.0  # seen before
    assert env.step(np.array([0, 2]))[1] == 1.0


def test_masks_of_levels_and_after_a_prefix_are_the_ones_worked_by_hand():
    env = SemanticIdAction(six(2), SIX)
    env.reset(seed=0)
    # without item 0 the first codes are 0, 2, 3 and the second ones 2, 3, 1, 3, 0
    one = [True, False, True, True, True, True, True, True]
    assert env.action_masks().tolist() == one * 2
    assert env.mask_after([]).tolist() == [True, False, True, True]
    assert env.mask_after([0]).tolist() == [False, False, True, True]
    assert env.mask_after([3, 0]).tolist() == [True, False, True, False]  # item 5 is in the slate
    assert env.mask_after([0, 2, 0]).tolist() == [False, False, False, True]
    with pytest.raises(SimrecError, match=r"^no item begins with \(1,\)"):
        env.mask_after([1])


@pytest.mark.parametrize("k", [1, 2])
def test_the_exact_masks_reach_every_unseen_item_and_nothing_else(k):
    """All walks over allowed codes for the last place: each ends at an item of its own."""
    codes = np.random.default_rng(0).integers(3, size=(40, 2))
    ids = SemanticIds.from_codes(codes, 3)
    env = StepwiseSemanticId(RecommendEnv(constant_world(1.0, rules=Rules()), slate_size=k), ids)
    obs, _ = env.reset(seed=0)
    free = set(range(40)) - set(obs["history"].tolist())
    if k == 2:
        for code in ids.codes[30]:
            env.step(int(code))
        free -= {30}
    found, waiting = [], [env]
    while waiting:
        now = waiting.pop()
        for code in np.flatnonzero(now.action_masks()):
            then = pickle.loads(pickle.dumps(now))  # pickled with codes half chosen
            obs, *_ = then.step(int(code))
            if (obs["prefix"] < 0).all():
                found.append(shown(obs)[0])
            else:
                waiting.append(then)
    assert len(found) == len(set(found)) and set(found) == free


def test_code_by_code_gives_what_the_item_itself_gives():
    world = random_world()
    ids = SemanticIds.from_codes(np.arange(60)[:, None] % 7, 7)
    direct, coded = RecommendEnv(world), StepwiseSemanticId(RecommendEnv(world), ids)
    direct.reset(seed=3)
    first, _ = coded.reset(seed=3)
    assert first["prefix"].tolist() == [-1, -1]
    for item in (5, 17, 40):
        before, reward, left, cut, _ = coded.step(int(ids.codes[item, 0]))
        assert (reward, left, cut) == (0.0, False, False)
        assert before["prefix"].tolist() == [ids.codes[item, 0], -1]
        obs, *rest = coded.step(int(ids.codes[item, 1]))
        same, *wanted = direct.step(item)
        assert rest == wanted and shown(obs) == [item]
        assert all((obs[name] == same[name]).all() for name in same)


def test_a_forbidden_code_is_moved_to_the_nearest_or_refused():
    env = StepwiseSemanticId(six(), SIX)
    obs, _ = env.reset(seed=0)
    obs, *_ = env.step(1)
    assert obs["prefix"].tolist() == [0, -1]
    obs, *_ = env.step(1)
    assert shown(obs) == [1]
    strict = StepwiseSemanticId(six(), SIX, invalid="refuse")
    strict.reset(seed=0)
    strict.step(3)
    with pytest.raises(SimrecError) as caught:
        strict.step(2)
    assert str(caught.value) == (
        "code 2 after (3,) leads to no item that can be shown; expected a code that `action_masks` "
        "allows"
    )


@pytest.mark.parametrize("wrapper", [SemanticIdAction, StepwiseSemanticId])
@pytest.mark.filterwarnings("ignore:.*is different from the unwrapped version")
def test_both_pass_the_checkers(data_home, wrapper):
    env = gymnasium.make("simrec.envs:simrec/Toy-v0")
    env = wrapper(env, toy_ids(env))
    check_env(env, skip_render_check=True)
    sb3_check_env(env)


def test_mistakes_are_sentences():
    for make, sentence in [
        (lambda: SemanticIdAction(RecommendEnv(random_world()), SIX), r"^SemanticIdAction got sem"),
        (
            lambda: SemanticIdAction(six(), SIX, invalid="refues"),
            r"^invalid is 'refues'; did you m",
        ),
        (lambda: StepwiseSemanticId(gymnasium.make("CartPole-v1"), SIX), r"^StepwiseSemanticId n"),
    ]:
        with pytest.raises(SimrecError, match=sentence):
            make()


@pytest.mark.parametrize("wrapper", [SemanticIdAction, StepwiseSemanticId])
def test_maskable_ppo_trains_on_it_and_shows_unseen_items_only(wrapper):
    contrib = pytest.importorskip("sb3_contrib", reason="MaskablePPO is in sb3-contrib")
    import torch

    torch.set_num_threads(1)
    world = random_world()
    ids = SemanticIds.from_codes(np.arange(60)[:, None] % 8, 8)
    model = contrib.MaskablePPO(
        "MultiInputPolicy",
        wrapper(RecommendEnv(world), ids),
        n_steps=32,
        batch_size=32,
        n_epochs=1,
        seed=0,
        device="cpu",
        policy_kwargs={"net_arch": [8]},
    )
    before = [p.detach().clone() for p in model.policy.parameters()]
    model.learn(64)
    assert any((a != b).any() for a, b in zip(before, model.policy.parameters(), strict=True))
    env = wrapper(RecommendEnv(world), ids, invalid="nearest")
    obs, _ = env.reset(seed=1)
    over = False
    while not over:
        known = set(obs["history"].tolist()) - {-1}
        whole = wrapper is SemanticIdAction or obs["prefix"][0] >= 0
        action, _ = model.predict(obs, action_masks=env.action_masks())
        obs, _, left, cut, _ = env.step(action)
        assert not whole or shown(obs)[0] not in known
        over = left or cut
