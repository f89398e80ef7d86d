"""Features of histories and the item scorer."""

import numpy as np
import pytest
import torch

from simrec.agents.history import HistoryPooling, seen_mask
from simrec.agents.scorer import ItemScorer
from tests.agent_worlds import checkerboard, make_env, parity_vectors, tensors

VECTORS = torch.tensor([[1.0, 0.0], [0.0, 1.0], [2.0, 2.0]])


def pooling(vectors: torch.Tensor, slate_size: int = 1, free: bool = False) -> HistoryPooling:
    n, d = vectors.shape
    pool = HistoryPooling(n, d, d, free_vectors=free, slate_size=slate_size)
    with torch.no_grad():
        pool.project.weight.copy_(torch.eye(d))  # items stand for themselves
    return pool


def state(items: list[int], feedback: list[float], step: int) -> dict[str, torch.Tensor]:
    return {
        "history": torch.tensor([items]),
        "feedback": torch.tensor([feedback]),
        "step": torch.tensor([[step]]),
    }


HISTORY = ([-1, 0, 1, 2], [0.0, 1.0, 0.0, 1.0])


def test_seen_mask_by_hand() -> None:
    items = torch.tensor([[-1, -1, 2], [0, 2, 0], [-1, -1, -1]])
    assert seen_mask(items, 4).tolist() == [
        [False, False, True, False],
        [True, False, True, False],
        [False, False, False, False],
    ]


@pytest.mark.parametrize(
    ("slate_size", "step", "recent", "rate"),
    [
        (1, 0, [0.0, 0.0], 0.0),  # nothing shown in this session
        (1, 1, [2.0, 2.0], 1.0),  # item 2, clicked
        (2, 1, [1.0, 1.5], 0.5),  # items 1 and 2, the mean of (0, 1) and (2, 2); one clicked
    ],
)
def test_features_by_hand(slate_size: int, step: int, recent: list[float], rate: float) -> None:
    # liked: items 0 and 2, mean (1.5, 1); not liked: item 1; of 4 places 2 liked, 1 not liked
    found = pooling(VECTORS, slate_size)(state(*HISTORY, step), VECTORS)
    wanted = [1.5, 1.0, 0.0, 1.0, *recent, 2 / 4, 1 / 4, rate, step / 4]
    assert found.tolist() == [pytest.approx(wanted)]


def test_recent_looks_back_five_items_and_the_rate_four() -> None:
    vectors = torch.arange(6.0).unsqueeze(1)
    obs = state([0, 1, 2, 3, 4, 5], [1, 1, 1, 0, 0, 1], 6)
    # liked 0, 1, 2, 5: mean 2; not 3, 4: mean 3.5; last five 1..5: mean 3; last four 1, 0, 0, 1
    found = pooling(vectors)(obs, vectors)
    assert found.tolist() == [pytest.approx([2.0, 3.5, 3.0, 4 / 6, 2 / 6, 0.5, 6 / 6])]


def test_free_vectors_are_added_to_what_is_pooled() -> None:
    pool = pooling(VECTORS, free=True)
    assert pool.free is not None
    with torch.no_grad():
        pool.free[2] = torch.tensor([10.0, -10.0])
    found = pool(state(*HISTORY, 0), VECTORS)
    # the mean of item 0, (1, 0), and item 2, (2 + 10, 2 - 10)
    assert found[0, :2].tolist() == pytest.approx([6.5, -4.0])


def test_an_empty_history_has_only_zero_features() -> None:
    found = pooling(VECTORS)(state([-1, -1, -1, -1], [0, 0, 0, 0], 0), VECTORS)
    assert found.tolist() == [[0.0] * 10]


def scorer(vectors: torch.Tensor, *, free: bool, awake: bool = True) -> ItemScorer:
    made = ItemScorer(
        vectors.shape[1],
        len(vectors),
        width=8,
        free_vectors=free,
        slate_size=1,
        generator=torch.Generator().manual_seed(1),
    )
    if awake:
        with torch.no_grad():
            for number, weight in enumerate(made.parameters()):
                generator = torch.Generator().manual_seed(number)
                weight.copy_(torch.randn(weight.shape, generator=generator))
    return made


def observation() -> dict[str, torch.Tensor]:
    env = make_env(checkerboard())
    env.reset()
    for item in (2, 3, 6):  # in nobody's start history
        obs, _, _, _ = env.step(np.full(8, item))
    assert isinstance(obs, dict)
    return tensors(obs)


TABLE = torch.as_tensor(parity_vectors())


@pytest.mark.parametrize("free", [False, True])
def test_q_is_exactly_zero_at_birth(free: bool) -> None:
    q, _ = scorer(TABLE, free=free, awake=False)(observation(), TABLE)
    assert q.shape == (8, 40)
    assert q.count_nonzero() == 0


@pytest.mark.parametrize("free", [False, True])
def test_scores_of_some_items_are_those_of_all_items(free: bool) -> None:
    net, obs = scorer(TABLE, free=free), observation()
    items = torch.as_tensor(np.random.default_rng(0).integers(0, 40, (8, 5)))
    q, level = net(obs, TABLE)
    some, same_level = net.at(obs, TABLE, items)
    torch.testing.assert_close(some, q.gather(1, items), rtol=1e-5, atol=1e-4)
    assert torch.equal(level, same_level)
    assert q.std().item() > 0.1  # these are numbers, not zeros


def test_without_free_vectors_the_size_does_not_depend_on_the_catalogue() -> None:
    def size(n_items: int, free: bool) -> int:
        net = scorer(torch.zeros(n_items, 3), free=free, awake=False)
        return sum(p.numel() for p in net.parameters())

    assert size(10, False) == size(1000, False)
    # with them, every item has two vectors of the width, 8, and a bias
    assert size(1000, True) - size(1000, False) == 1000 * (8 + 8 + 1)


def test_renumbering_the_items_renumbers_the_scores() -> None:
    net, obs = scorer(TABLE, free=False), observation()
    order = torch.as_tensor(np.random.default_rng(2).permutation(40))
    place = torch.argsort(order)  # old row -> new row
    renamed = torch.where(obs["history"] >= 0, place[obs["history"].clamp(min=0)], -1)
    q, level = net(obs, TABLE)
    again, same_level = net({**obs, "history": renamed}, TABLE[order])
    torch.testing.assert_close(again, q[:, order], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(same_level, level, rtol=1e-4, atol=1e-4)


def test_a_cold_item_is_scored_at_once_by_its_vector() -> None:
    net, obs = scorer(TABLE, free=False), observation()
    q, _ = net(obs, TABLE)
    longer, _ = net(obs, torch.cat([TABLE, TABLE[7:8]]))  # a new item that looks like item 7
    torch.testing.assert_close(longer[:, :40], q, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(longer[:, 40], q[:, 7], rtol=1e-4, atol=1e-4)
