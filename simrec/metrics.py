"""The measures every room shares: windows of a run, normalised reward, AUC and calibration."""

from collections.abc import Mapping
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Window = Literal["early", "middle", "late"]

WINDOWS: tuple[Window, ...] = ("early", "middle", "late")


def window_of(start_step: ArrayLike, budget: int) -> NDArray[np.str_]:
    """Return the window of a run in which each session starts.

    "early" is the first 5 % of the env steps, "late" the last 20 %, "middle" what lies between:
    with a budget of 1,000 the step 49 is early, 50 and 799 are middle, 800 is late.

    Args:
        start_step: Env steps the run had made when the session began, any shape.
        budget: Env steps of the whole run.

    Returns:
        Names of windows, in the shape of `start_step`.
    """
    return np.array(WINDOWS)[window_number(start_step, budget)]


def window_number(start_step: ArrayLike, budget: int) -> NDArray[np.int64]:
    """Return the place in WINDOWS of what `window_of` names."""
    start = np.asarray(start_step, dtype=np.int64)
    # Whole numbers, so that a boundary never depends on how 0.05 is rounded.
    return np.where(20 * start < budget, 0, np.where(5 * start >= 4 * budget, 2, 1))


def normalised(reward: ArrayLike, random: float, oracle: float) -> NDArray[np.float64]:
    """Return (reward - random) / (oracle - random): 0 is showing anything, 1 is knowing everyone.

    Args:
        reward: Reward per session, any shape.
        random: Reward per session of random recommendations in the same world.
        oracle: Reward per session of recommendations that know each user's affinities.

    Returns:
        float64 in the shape of `reward`; NaN where the two bounds are equal.
    """
    gap = oracle - random
    value = np.asarray(reward, dtype=np.float64) - random
    return value / gap if gap else np.full_like(value, np.nan)


def auc(labels: ArrayLike, scores: ArrayLike) -> float:
    """Return the chance that a positive scores above a negative, ties counting half.

    This is the Mann-Whitney statistic divided by its greatest value (Hanley and McNeil, Radiology
    1982; reconstructed from the definition).

    Args:
        labels: (n,) true or false.
        scores: (n,) any scale, higher means more likely true.

    Returns:
        A number in [0, 1]; NaN if one of the two classes is absent.
    """
    positive = np.asarray(labels).astype(bool).ravel()
    _, level, size = np.unique(
        np.asarray(scores, dtype=np.float64).ravel(), return_inverse=True, return_counts=True
    )
    rank = (np.cumsum(size) - (size - 1) / 2)[level]  # (n,) from 1, tied scores share the mean rank
    n_positive = int(positive.sum())
    n_negative = len(positive) - n_positive
    if not n_positive or not n_negative:
        return float("nan")
    wins = float(rank[positive].sum()) - n_positive * (n_positive + 1) / 2
    return wins / (n_positive * n_negative)


def expected_calibration_error(probability: ArrayLike, outcome: ArrayLike, bins: int = 10) -> float:
    """Return the mean gap between predicted and observed rates, weighted by how often it occurs.

    Bins have equal width over [0, 1] (after Guo et al., ICML 2017; reconstructed).

    Args:
        probability: (n,) predictions in [0, 1].
        outcome: (n,) what happened, 0 or 1.
        bins: How many bins.

    Returns:
        A number in [0, 1]; NaN where n is 0.
    """
    p = np.asarray(probability, dtype=np.float64).ravel()
    y = np.asarray(outcome, dtype=np.float64).ravel()
    if not len(p):
        return float("nan")
    which = np.minimum((p * bins).astype(np.int64), bins - 1)
    surplus = np.bincount(which, weights=p - y, minlength=bins)  # (bins,) n_b (mean p - mean y)
    return float(np.abs(surplus).sum() / len(p))


def gini(counts: ArrayLike) -> float:
    """Return the Gini coefficient of how often items were shown.

    0: all equally often; (n - 1) / n: one item alone. Gini (1912); reconstructed.

    Args:
        counts: (n,) 0 or more, items never shown included.
    """
    x = np.sort(np.asarray(counts, dtype=np.float64).ravel())
    n, total = len(x), float(x.sum())
    if not n or not total:
        return float("nan")
    return float((2 * np.arange(1, n + 1) - n - 1) @ x / (n * total))


def novelty(shown: ArrayLike, popularity: ArrayLike) -> float:
    """Return the mean of -log2 p(item) over what was shown, p = (1 + events) / sum of it, in bits.

    Self-information (Zhou et al., PNAS 2010; reconstructed); the 1 keeps new items finite.

    Args:
        shown: (I,) how often each item was shown.
        popularity: (I,) events of each item in the log that agents see.
    """
    weight = np.asarray(shown, dtype=np.float64)
    p = 1.0 + np.asarray(popularity, dtype=np.float64)
    if not weight.sum():
        return float("nan")
    return float(weight @ -np.log2(p / p.sum()) / weight.sum())


def newcomers(new: ArrayLike, shown: ArrayLike, clicked: ArrayLike) -> dict[str, float]:
    """Return how far items that entered mid-run were found, and clicked when they were shown.

    Args:
        new: (N,) whether a row is about an item that was not there at the first step.
        shown: (N,) how often the row's item was shown.
        clicked: (N,) how often it was clicked.

    Returns:
        "new_items_share" of everything shown, 0 to 1, and the clicks each time one was shown of new
        and of old items; a rate of what was never shown is absent.
    """
    is_new, times = np.asarray(new, dtype=bool), np.asarray(shown, dtype=np.float64)
    clicks = np.asarray(clicked, dtype=np.float64)
    found = {"new_items_share": float(times[is_new].sum() / max(times.sum(), 1.0))}
    for name, rows in (("new_items_click_rate", is_new), ("old_items_click_rate", ~is_new)):
        if times[rows].any():
            found[name] = float(clicks[rows].sum() / times[rows].sum())
    return found


def lost_before(length: ArrayLike, left: ArrayLike, step: int = 5) -> float:
    """Return the share of sessions whose user left before the given step.

    Args:
        length: (n,) steps of each session.
        left: (n,) True: the user left, False: the horizon was reached.
        step: A session of `step` - 1 steps or fewer counts.
    """
    gone = np.asarray(left, dtype=np.bool_) & (np.asarray(length) < step)
    return float(gone.mean()) if gone.size else float("nan")


def worst_users(user: ArrayLike, reward: ArrayLike, share: float = 0.1) -> float:
    """Return the mean reward per session of the worst-served users.

    Args:
        user: (n,) who was served in each session.
        reward: (n,) of each session.
        share: Share of users that counts, rounded up; in (0, 1].
    """
    _, place, sessions = np.unique(np.asarray(user), return_inverse=True, return_counts=True)
    if not len(sessions):
        return float("nan")
    mean = np.bincount(place, weights=np.asarray(reward, dtype=np.float64)) / sessions
    return float(np.sort(mean)[: int(np.ceil(share * len(mean)))].mean())


def session_diversity(session: ArrayLike, vectors: ArrayLike) -> float:
    """Return 1 - cosine over all pairs of items of a session, averaged within and over sessions.

    Intra-list distance (Smyth and McClave 2001; reconstructed) of what a session showed.

    Args:
        session: (n,) which session each shown item belongs to.
        vectors: (n, D) of the shown items, of length 1 or 0.

    Returns:
        A number in [0, 2], [0, 1] for non-negative vectors; NaN without a session of two items.
    """
    _, place, size = np.unique(np.asarray(session), return_inverse=True, return_counts=True)
    x = np.asarray(vectors, dtype=np.float64)
    total = np.zeros((len(size), x.shape[1]))
    np.add.at(total, place, x)
    own = np.bincount(place, weights=(x**2).sum(axis=1), minlength=len(size))
    many = size > 1
    if not many.any():
        return float("nan")
    pairs = (size * (size - 1))[many]
    cosine = ((total**2).sum(axis=1)[many] - own[many]) / pairs  # sum of all x_i . x_j, i != j
    return float(1.0 - cosine.mean())


def regret(reward: ArrayLike, oracle: float) -> float:
    """Return what was lost to the oracle over all sessions: sum of (oracle - reward).

    Args:
        reward: (n,) of each session.
        oracle: Reward per session of the oracle in the same world.
    """
    return float((oracle - np.asarray(reward, dtype=np.float64)).sum())


def recovery_steps(
    start: ArrayLike,
    y: ArrayLike,
    shift: int,
    *,
    block: int,
    level: float = 0.95,
    least: float = 0.1,
) -> float:
    """Return env steps from a shift of tastes until reward is back where it was.

    Sessions are taken in blocks of `block` env steps by when they begin. Reward is back at the end
    of the first block after the shift whose mean is at least `level` of the last block before it.

    Args:
        start: (n,) env steps the run had made when each session began.
        y: (n,) normalised reward of each session, by the bounds of its side of the shift.
        shift: Env steps the run had made when tastes shifted.
        block: Env steps of a block.
        level: Share of the reward of before that counts as back.
        least: Normalised reward below which there was nothing to come back to.

    Returns:
        A multiple of `block`; infinity where reward never came back; NaN where it was below `least`
        before, or no session began then.
    """
    begun, value = np.asarray(start, dtype=np.int64), np.asarray(y, dtype=np.float64)
    before = value[(begun >= shift - block) & (begun < shift)]
    if not len(before) or not before.mean() >= least:
        return float("nan")
    number = (begun - shift) // block
    for block_number in np.unique(number[number >= 0]):
        if value[number == block_number].mean() >= level * before.mean():
            return float((block_number + 1) * block)
    return float("inf")


def named_now(bounds: Mapping[str, Mapping[str, float]]) -> dict[str, dict[str, float]]:
    """Return stored bounds by the names of today; older files say clicks where it is reward."""
    names = {"clicks": "reward", "clicks_se": "reward_se"}
    return {
        policy: {names.get(name, name): value for name, value in bound.items()}
        for policy, bound in bounds.items()
    }
