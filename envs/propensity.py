"""How likely an event was to be seen, and the weights that undo it."""

import numpy as np
from numpy.typing import NDArray

LARGEST = 5.0  # times the mean weight; larger weights are cut off, for the sake of variance


def popularity_propensity(
    users: NDArray[np.int64],
    items: NDArray[np.int64],
    *,
    n_users: int,
    n_items: int,
    power: float = 1.0,
) -> NDArray[np.float64]:
    """Estimate the chance that each event was seen from how active its user and item are.

    P(u, i) = n_u * s_i with s_i proportional to n_i ** power and sum 1: what an item drawn
    with such popularity would meet (the popularity model of Yang et al., RecSys 2018;
    reconstructed). It knows nothing of the rating, so it corrects for what is popular and not for
    what is liked.

    Args:
        users: (n,) user rows of the events.
        items: (n,) item rows of the events.
        n_users: The number of users U.
        n_items: The number of items I.
        power: How strongly exposure follows popularity.

    Returns:
        (n,) chances above 0 and up to 1.
    """
    activity = np.bincount(users, minlength=n_users)
    share = np.bincount(items, minlength=n_items).astype(np.float64) ** power
    share /= share.sum()
    return np.asarray(np.minimum(activity[users] * share[items], 1.0))


def bayes_propensity(
    chosen: NDArray[np.float64], random: NDArray[np.float64], *, n_pairs: int
) -> NDArray[np.float64]:
    """Estimate the chance that each chosen event was seen from what it was rated.

    P(O | r) = P(r | O) P(O) / P(r), where P(r) is the share of rating r among ratings that were not
    chosen by the users (naive Bayes, Schnabel et al., ICML 2016; reconstructed). Every rating
    counts once more than it was seen among the random ones, so no share is 0. It knows nothing of
    user and item, so it corrects for what is liked and not for what is popular.

    Args:
        chosen: (n,) ratings that users chose to give.
        random: (m,) ratings of pairs drawn at random; nothing may be judged on these.
        n_pairs: All pairs that could have been chosen, U * I.

    Returns:
        (n,) chances above 0 and up to 1.
    """
    levels, place = np.unique(np.concatenate([chosen, random]), return_inverse=True)
    seen = np.bincount(place[: len(chosen)], minlength=len(levels))
    share = np.bincount(place[len(chosen) :], minlength=len(levels)) + 1.0
    share /= share.sum()
    return np.asarray(np.minimum((seen / n_pairs / share)[place[: len(chosen)]], 1.0))


def inverse_weights(
    propensity: NDArray[np.float64], *, largest: float = LARGEST
) -> NDArray[np.float64]:
    """Return weights (n,) proportional to 1 / propensity, cut off and with mean 1.

    Inverse propensity scoring (Schnabel et al., ICML 2016; reconstructed) with self-normalised and
    clipped weights.

    Args:
        propensity: (n,) chances above 0.
        largest: Weights above this many times the mean are cut to it.
    """
    weight = 1.0 / propensity
    weight /= weight.mean()
    weight = np.minimum(weight, largest)
    return np.asarray(weight / weight.mean())
