"""Slates: exact probabilities and the frequencies of draws."""

import math
from itertools import permutations

import pytest
import torch

from simrec.agents.slate import sample_slates, slate_log_prob

# Weights 1, 2, 3 and a masked item: P(first = j) = w_j / 6, and after item i, w_j / (6 - w_i).
WEIGHT = (1.0, 2.0, 3.0, 0.0)
LOGITS = torch.tensor([WEIGHT]).log()
N = 20_000


def luck(seed: int = 3) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def exact(slate: tuple[int, ...]) -> float:
    """The Plackett-Luce probability by its definition."""
    left, p = sum(WEIGHT), 1.0
    for item in slate:
        p *= WEIGHT[item] / left
        left -= WEIGHT[item]
    return p


def test_one_probability_by_hand() -> None:
    # (2, 0): 3/6 * 1/3 = 1/6
    found = slate_log_prob(LOGITS, torch.tensor([[2, 0]]))
    assert float(found) == pytest.approx(math.log(1 / 6))


@pytest.mark.parametrize("k", [1, 2, 3])
def test_log_probability_agrees_with_enumeration_and_sums_to_one(k: int) -> None:
    slates = list(permutations(range(4), k))
    rows = torch.tensor(slates)
    found = slate_log_prob(LOGITS.double().expand(len(rows), -1), rows).exp()
    possible = [s for s in slates if 3 not in s]
    for slate, p in zip(slates, found.tolist(), strict=True):
        if 3 in slate and slate.index(3) < 3:  # while others are left, a masked item is impossible
            assert p == 0.0
        if slate in possible:
            assert p == pytest.approx(exact(slate))
    assert float(found.sum()) == pytest.approx(1.0)


def test_sums_to_one_over_all_slates_of_unmasked_items() -> None:
    logits = torch.tensor([[0.3, -1.0, 2.0, 0.5]], dtype=torch.float64)
    for k in (2, 3):
        rows = torch.tensor(list(permutations(range(4), k)))
        total = slate_log_prob(logits.expand(len(rows), -1), rows).exp().sum()
        assert float(total) == pytest.approx(1.0)


@pytest.mark.parametrize("k", [1, 2])
def test_frequencies_of_draws_are_the_exact_probabilities(k: int) -> None:
    drawn = sample_slates(LOGITS.expand(N, -1), k, generator=luck())
    slates = list(permutations(range(3), k))
    counts = [int((drawn == torch.tensor(s)).all(1).sum()) for s in slates]
    assert sum(counts) == N  # the masked item never, an item twice never
    chi_square = sum(
        (c - N * exact(s)) ** 2 / (N * exact(s)) for c, s in zip(counts, slates, strict=True)
    )
    # 99.9 % quantiles of chi-square with 2 and 5 degrees of freedom: 13.8 and 20.5
    assert chi_square < {1: 13.8, 2: 20.5}[k]


def test_deterministic_slates_are_the_best_items_in_order() -> None:
    logits = torch.tensor([[0.0, 3.0, 1.0, 2.0], [5.0, -1.0, 4.0, -torch.inf]])
    for k, wanted in ((1, [[1], [0]]), (3, [[1, 3, 2], [0, 2, 1]])):
        found = sample_slates(logits, k, generator=luck(), deterministic=True)
        assert found.tolist() == wanted


@pytest.mark.parametrize("k", [1, 3])
def test_the_same_luck_draws_the_same_slates(k: int) -> None:
    logits = torch.zeros(50, 9)
    a, b = (sample_slates(logits, k, generator=luck(8)) for _ in range(2))
    assert a.tolist() == b.tolist()
    assert a.tolist() != sample_slates(logits, k, generator=luck(9)).tolist()


@pytest.mark.parametrize("k", [1, 3])
def test_drawing_leaves_the_global_luck_alone(k: int) -> None:
    before = torch.get_rng_state()
    sample_slates(torch.zeros(5, 9), k, generator=luck())
    assert torch.equal(before, torch.get_rng_state())


def test_no_slate_has_an_item_twice_even_when_all_free_items_are_shown() -> None:
    logits = torch.zeros(200, 6)
    logits[:, 3:] = -torch.inf
    drawn = sample_slates(logits, 3, generator=luck())
    assert drawn.sort(dim=1).values.tolist() == [[0, 1, 2]] * 200
