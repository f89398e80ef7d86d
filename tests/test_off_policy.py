"""Off-policy estimators against the true value of a world small enough to enumerate."""

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from simrec.off_policy import (
    doubly_robust,
    effective_sample_size,
    importance_sampling,
    per_decision,
    self_normalised,
)

# Two items, sessions of at most three steps. The state is the item shown before (2 = none); a
# click on item a after item s has chance CLICK[s, a]; without a click the user leaves at once.
CLICK = np.array([[0.2, 0.9], [0.8, 0.3], [0.6, 0.5]])
SERVED = np.array([[0.5, 0.5], [0.7, 0.3], [0.4, 0.6]])  # mu(a | s)
JUDGED = np.array([[0.1, 0.9], [0.8, 0.2], [0.5, 0.5]])  # pi(a | s)
GAMMA, T = 0.9, 3


def truth(policy: NDArray[np.float64]) -> float:
    """The value of a policy, by going through every course a session can take."""
    total = 0.0
    for actions in itertools.product((0, 1), repeat=T):
        for clicks in itertools.product((0, 1), repeat=T):
            chance, worth, state, here = 1.0, 0.0, 2, True
            for t, (a, c) in enumerate(zip(actions, clicks, strict=True)):
                if not here:
                    chance *= 0.5 * 0.5  # padding: count each of its four courses a quarter
                    continue
                p = CLICK[state, a]
                chance *= policy[state, a] * (p if c else 1 - p)
                worth += GAMMA**t * c
                state, here = a, bool(c)
            total += chance * worth
    return total


def sessions(n: int, seed: int) -> dict[str, NDArray[np.float64]]:
    """Sessions served by mu."""
    rng = np.random.default_rng(seed)
    state, here = np.full(n, 2), np.ones(n, dtype=bool)
    parts: dict[str, list[NDArray[np.float64]]] = {"ratio": [], "reward": [], "mask": []}
    parts |= {"state": [], "action": []}
    for _ in range(T):
        a = (rng.random(n) < SERVED[state, 1]).astype(int)
        click = (rng.random(n) < CLICK[state, a]) & here
        parts["ratio"].append(JUDGED[state, a] / SERVED[state, a])
        parts["reward"].append(click.astype(float))
        parts["mask"].append(here.astype(float))
        parts["state"].append(state.astype(float))
        parts["action"].append(a.astype(float))
        state, here = a, click
    return {name: np.stack(columns, axis=1) for name, columns in parts.items()}


def model(error: float = 0.0) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Q (T, S, A) and V (T, S) of the judged policy, plus `error` on every Q."""
    q, v = np.zeros((T + 1, 3, 2)), np.zeros((T + 1, 3))
    for t in range(T - 1, -1, -1):
        for s, a in itertools.product(range(3), range(2)):
            q[t, s, a] = CLICK[s, a] * (1 + GAMMA * v[t + 1, a]) + error * (1 + a)
        v[t] = (JUDGED * q[t]).sum(1)
    return q, v


def judged(seed: int, n: int, error: float) -> dict[str, float]:
    found = sessions(n, seed)
    ratio, reward, mask = found["ratio"], found["reward"], found["mask"]
    q, v = model(error)
    state, action = found["state"].astype(int), found["action"].astype(int)
    steps = np.arange(T)
    value, state_value = q[steps, state, action], v[steps, state]
    return {
        "IPS": importance_sampling(ratio, reward, mask, GAMMA),
        "SNIPS": self_normalised(ratio, reward, mask, GAMMA),
        "PDIS": per_decision(ratio, reward, mask, GAMMA),
        "DR": doubly_robust(ratio, reward, mask, value, state_value, GAMMA),
    }


@pytest.mark.parametrize("error", [0.0, 0.4])
def test_estimators_find_the_true_value_and_not_that_of_the_policy_that_served(
    error: float,
) -> None:
    wanted = truth(JUDGED)
    assert abs(wanted - truth(SERVED)) > 0.15
    # 60 sets of 500 sessions: the mean of each estimator within 4 standard errors of the truth
    runs = [judged(seed, 500, error) for seed in range(60)]
    for name in runs[0]:
        values = np.array([run[name] for run in runs])
        error_of_mean = values.std(ddof=1) / np.sqrt(len(values))
        assert values.mean() == pytest.approx(wanted, abs=4 * error_of_mean + 0.01), name
    spread = {name: np.std([run[name] for run in runs]) for name in runs[0]}
    assert spread["PDIS"] < spread["IPS"]
    if error == 0.0:
        assert spread["DR"] < spread["PDIS"]  # a right model takes luck away


def test_on_the_policy_that_served_every_estimate_is_the_mean_return() -> None:
    found = sessions(200, 1)
    ones = np.ones_like(found["ratio"])
    mean = float((found["reward"] * GAMMA ** np.arange(T)).sum(1).mean())
    for estimate in (importance_sampling, self_normalised, per_decision):
        assert estimate(ones, found["reward"], found["mask"], GAMMA) == pytest.approx(mean)
    assert effective_sample_size(ones, found["mask"]) == pytest.approx(200)


def test_estimators_by_hand() -> None:
    # Two sessions: ratios (2, 1/2) with clicks (1, 1); and one step only, ratio 3, no click.
    ratio = np.array([[2.0, 0.5], [3.0, 9.0]])
    reward = np.array([[1.0, 1.0], [0.0, 5.0]])
    mask = np.array([[1.0, 1.0], [1.0, 0.0]])
    # weights 1 and 3, discounted returns 1.5 and 0 at gamma 1/2
    assert importance_sampling(ratio, reward, mask, 0.5) == pytest.approx(0.75)
    assert self_normalised(ratio, reward, mask, 0.5) == pytest.approx(1.5 / 4)
    # 2 * 1 + (2 * 1/2) * 1/2 * 1 = 2.5, and 0
    assert per_decision(ratio, reward, mask, 0.5) == pytest.approx(1.25)
    # without a model DR is per-decision
    zero = np.zeros((2, 2))
    assert doubly_robust(ratio, reward, mask, zero, zero, 0.5) == pytest.approx(1.25)
    assert effective_sample_size(ratio, mask) == pytest.approx(16 / 10)
