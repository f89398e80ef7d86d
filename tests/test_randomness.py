"""Luck depends on its address alone."""

import numpy as np

from simrec.randomness import Purpose, generator, uniform


def test_a_batch_of_addresses_equals_its_singles() -> None:
    slots = np.arange(5)
    batch = uniform(7, slots, 3, 2, Purpose.CHOICE)
    singles = [float(uniform(7, slot, 3, 2, Purpose.CHOICE)) for slot in slots]
    assert batch.tolist() == singles


def test_every_part_of_the_address_matters() -> None:
    base = [7, 1, 3, 2, int(Purpose.CHOICE)]
    drawn = {float(uniform(*base))}
    for place in range(5):
        changed = list(base)
        changed[place] += 1
        drawn.add(float(uniform(*changed)))
    # Swapping two parts is another address too.
    drawn.add(float(uniform(1, 7, 3, 2, Purpose.CHOICE)))
    assert len(drawn) == 7


def test_numbers_are_uniform_and_neighbours_unrelated() -> None:
    u = uniform(0, np.arange(200)[:, None], 0, np.arange(200)[None, :], Purpose.CHOICE)
    n = u.size  # 40,000
    assert u.min() >= 0.0
    assert u.max() < 1.0
    # Mean 1/2 with standard error sqrt(1/12/n) = 0.00144; four of them allowed.
    assert abs(u.mean() - 0.5) < 4 * 0.00144
    # Deciles: 4,000 expected each with standard deviation sqrt(n * .1 * .9) = 60.
    assert np.abs(np.histogram(u, bins=10, range=(0, 1))[0] - n / 10).max() < 4 * 60
    # Correlation of neighbours: standard error 1 / sqrt(n) = 0.005.
    assert abs(np.corrcoef(u[:, :-1].ravel(), u[:, 1:].ravel())[0, 1]) < 4 * 0.005
    assert abs(np.corrcoef(u[:-1].ravel(), u[1:].ravel())[0, 1]) < 4 * 0.005


def test_named_generators_repeat_and_differ_by_name_and_framing() -> None:
    first = generator(3, "split").random(4).tolist()
    assert generator(3, "split").random(4).tolist() == first
    assert generator(4, "split").random(4).tolist() != first
    assert generator(3, "ab", "c").random(4).tolist() != generator(3, "a", "bc").random(4).tolist()


def test_no_global_state_is_touched() -> None:
    before = np.random.get_state()[1].copy()  # noqa: NPY002 (this is what must not change)
    uniform(0, np.arange(9), 0, 0, Purpose.USER)
    generator(1, "x").random()
    assert (np.random.get_state()[1] == before).all()  # noqa: NPY002
