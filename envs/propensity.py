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
