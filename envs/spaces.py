"""The spaces of observations and actions."""

import numpy as np
from gymnasium import spaces

from simrec.envs.world import World


def observation_space(world: World, slate_size: int) -> spaces.Dict:
    """Return the space of one observation; L = H + T * k."""
    length = world.start_items.shape[1] + world.rules.horizon * slate_size
    return spaces.Dict(
        {
            "history": spaces.Box(-1, world.n_items - 1, (length,), np.int64),
            "feedback": spaces.Box(0.0, 1.0, (length,), np.float32),
            "step": spaces.Box(0, world.rules.horizon, (1,), np.int64),
        }
    )


def action_space(world: World, slate_size: int) -> spaces.Discrete | spaces.MultiDiscrete:
    """Return the space of one action: an item row, or k of them."""
    if slate_size == 1:
        return spaces.Discrete(world.n_items)
    return spaces.MultiDiscrete([world.n_items] * slate_size)
