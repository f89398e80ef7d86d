"""TPME: time, parameters and memory of training methods in one number, beside the raw ones."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from simrec.errors import SimrecError

ALPHA = (0.45, 0.10, 0.45)  # IISAN's weights of time, parameters and memory


@dataclass(frozen=True)
class Cost:
    """What training with one method took."""

    seconds: float  # of an epoch
    parameters: int  # trainable ones
    bytes: int  # greatest memory: of the device, or growth of the process on a CPU


def tpme(costs: Mapping[str, Cost], alpha: Sequence[float] = ALPHA) -> dict[str, float]:
    """Return the efficiency score of each method; lower is better.

    Every cost is scaled to (x - min) / (max - min) over the methods and the three are averaged
    with weights alpha (Fu et al., IISAN, SIGIR 2024, arXiv 2404.02059; formula read). The score is
    relative: another method changes everyone's, and with two methods it is only a sum of weights,
    so print the raw costs beside it. A cost that is the same for all counts 0 (ours).

    Args:
        costs: Method -> what it took.
        alpha: Weights of time, parameters and memory, not negative, sum 1.

    Returns:
        Method -> score in [0, 1].

    Raises:
        SimrecError: No method, a cost that is not finite, or weights that do not sum to 1.
    """
    weights = np.asarray(alpha, dtype=np.float64)
    if weights.shape != (3,) or (weights < 0).any() or abs(weights.sum() - 1.0) > 1e-9:
        raise SimrecError(f"alpha is {tuple(alpha)}; expected three weights >= 0 with sum 1")
    table = np.array([[c.seconds, c.parameters, c.bytes] for c in costs.values()], np.float64)
    if not len(table) or not np.isfinite(table).all():
        raise SimrecError("the costs are none or not finite; expected one finite Cost a method")
    low, high = table.min(axis=0), table.max(axis=0)
    spread = np.where(high > low, high - low, 1.0)
    scores = ((table - low) / spread) @ weights
    return {name: float(score) for name, score in zip(costs, scores, strict=True)}
