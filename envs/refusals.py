"""What sessions refuse, each in a sentence."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simrec.envs.users import has_plain_factors
from simrec.envs.world import World
from simrec.errors import SimrecError

_INT64 = np.dtype(np.int64)  # compared by identity: looking closely takes longer


def check_sessions(world: World, batch: int, slate_size: int) -> None:
    """Raise SimrecError unless a batch of sessions can be played in a world."""
    if not 1 <= slate_size <= world.n_items:
        raise SimrecError(
            f"slate_size is {slate_size}; expected 1 to {world.n_items}, the number of items"
        )
    if not batch:
        raise SimrecError("the number of environments is 0; expected 1 or more")
    if world.rules.drift and not has_plain_factors(world.users):
        raise SimrecError(
            f"rules.drift is {world.rules.drift}, but {type(world.users).__name__} have no "
            "taste vectors; expected FactorUsers, or let the model's own `consume` drift"
        )


def as_slates(actions: ArrayLike, batch: int, slate_size: int) -> NDArray[np.int64]:
    """Return actions, (B,) for k = 1 or (B, k), as slates (B, k).

    Raises:
        SimrecError: Wrong shape, or not whole numbers.
    """
    given = np.asarray(actions)
    if given.shape != (batch, slate_size) and (slate_size > 1 or given.shape != (batch,)):
        wanted = (batch,) if slate_size == 1 else (batch, slate_size)
        raise SimrecError(f"actions have shape {given.shape}; expected {wanted}")
    if given.dtype.kind not in "iu":
        raise SimrecError(f"actions have type {given.dtype}; expected integers (item rows)")
    if given.dtype is not _INT64 or not given.flags.c_contiguous:
        given = np.ascontiguousarray(given, dtype=np.int64)
    return given if given.ndim > 1 else given[:, None]


def check_slates(slates: NDArray[np.int64], step: NDArray[np.int64], world: World) -> None:
    """Raise SimrecError if an item of (B, k) is unknown, or a session (B,) past its horizon."""
    low, high = slates.min(), slates.max()
    if low < 0 or high >= world.n_items:
        raise SimrecError(
            f"action {high if high >= world.n_items else low} is not an item; expected a row from "
            f"0 to {world.n_items - 1}"
        )
    if (step >= world.rules.horizon).any():
        raise SimrecError("a session is past its horizon; begin it again before the next step")
