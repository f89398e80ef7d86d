"""The stacking fit against paper and pencil and against scipy; a belief that rises and fades."""

from math import log

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import minimize

from simrec.agents.stacking import Stack, logistic_posterior

Array = NDArray[np.float64]


def test_the_posterior_by_hand() -> None:
    # Three clicks of four, one constant feature. At b = log 2 the chance is 2/3 and the slope of
    # the data 4 * 2/3 - 3 = -1/3, which a prior at 0 with precision (1/3) / log 2 balances.
    precision = np.array([[1.0 / 3.0 / log(2.0)]])
    b, curved = logistic_posterior(
        np.ones((4, 1)), np.array([1.0, 1.0, 0.0, 1.0]), np.zeros(1), precision
    )
    assert b[0] == pytest.approx(log(2.0))
    assert curved[0, 0] == pytest.approx(4.0 * 2.0 / 9.0 + precision[0, 0])


@pytest.mark.parametrize("size", [1.0, 30.0])  # with 30, Newton's whole steps would run away
def test_the_posterior_is_the_minimum_scipy_finds(size: float) -> None:
    rng = np.random.default_rng(0)
    x = size * rng.normal(size=(200, 3))
    clicks = (rng.random(200) < 0.3).astype(float)
    mean, precision = np.array([1.0, -2.0, 0.5]), np.diag([2.0, 0.5, 1.0])

    def loss(b: Array) -> float:
        p = x @ b
        held = precision.diagonal() @ (b - mean) ** 2
        return float((np.logaddexp(0, p) - clicks * p).sum() + held / 2)

    sure = {"xatol": 1e-9, "fatol": 1e-12, "maxiter": 20_000}
    wanted = minimize(loss, np.zeros(3), method="Nelder-Mead", options=sure)
    found, _ = logistic_posterior(x, clicks, mean, precision)
    np.testing.assert_allclose(found, wanted.x, atol=1e-5)


def batch(rng: np.random.Generator, n: int, of_q: float, of_z: float) -> tuple[Array, ...]:
    """Steps of which a unit of q and of z are worth so many logits of a click."""
    q, z = rng.normal(size=(2, n))
    clicks = (rng.random(n) < 1.0 / (1.0 + np.exp(-of_q * q - of_z * z))).astype(float)
    return q, z, np.zeros(n), clicks


def test_beta_rises_above_one_falls_below_zero_and_rises_again() -> None:
    rng = np.random.default_rng(1)
    stack = Stack()
    assert stack.beta == 1.0
    found = []
    for of_q, of_z in ((0.0, 2.0), (1.0, 0.0), (0.5, -1.0), (1.0, 1.0)):
        for _ in range(30):
            stack.add(*batch(rng, 1000, of_q, of_z))
        found.append(stack.mean[:2])
    np.testing.assert_allclose(found, [(0, 2), (1, 0), (0.5, -1), (1, 1)], atol=0.15)


def test_a_critic_that_knows_all_that_pi_0_knew_leaves_it_nothing() -> None:
    rng = np.random.default_rng(2)
    stack, found = Stack(), []
    for noise in (10.0, 1.0, 0.1):  # the new critic's q: the truth, ever more clearly
        for _ in range(20):
            truth = rng.normal(size=2000)
            clicks = (rng.random(2000) < 1.0 / (1.0 + np.exp(-truth))).astype(float)
            q, z = truth + noise * rng.normal(size=2000), truth + rng.normal(size=2000)
            stack.add(q, z, np.zeros(2000), clicks)
        found.append(stack.beta)
    assert found[0] > found[1] + 0.05 > found[2] + 0.1
    assert found[2] == pytest.approx(0.0, abs=0.06)


def test_an_old_belief_fades_towards_the_first() -> None:
    stack = Stack(keep=0.5)
    none = np.zeros(0)
    stack.mean, stack.precision = np.array([1.0, 4.0, 1.0, 0.0]), np.diag([1.0, 3.0, 4.0, 0.01])
    stack.add(none, none, none, none)
    # beta: precision 3 at 4 and 1 at 1, half of each: (1.5 * 4 + 0.5 * 1) / 2
    np.testing.assert_allclose(stack.mean, [1.0, 3.25, 1.0, 0.0])
    np.testing.assert_allclose(stack.precision.diagonal(), [1.0, 2.0, 4.0, 0.01])
