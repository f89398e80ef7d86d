"""What changes a world while it is played: what creators offer, and what friends like."""

from dataclasses import replace

import numpy as np

from simrec.envs.creators import Supply
from simrec.envs.friends import Circle
from simrec.envs.schedule import FOREVER, Lifetimes
from simrec.envs.users import has_plain_factors
from simrec.envs.world import World


class Processes:
    """Creators and friends of one batch of sessions, and the world as they have made it.

    A population effect: one batch of sessions is the whole market. Shared by its slots, and by
    nobody else, are the items on offer (creators) and everybody's taste as a session begins
    (friends); choices, moods, luck and leaving stay each session's own. Two environments never
    share either, and `reset(seed=...)` puts both back to date 0. So a session's course depends on
    (world, seed, all slots, all slates) and not on its own slot alone. What still holds:

    - the same seed, slots and slates give the same bytes, whatever was played before;
    - a batch of one slot is the single environment with that slot, to the byte;
    - creators only see sums over the batch, so the order of its slots does not matter, and until
      the first review every slot of a batch goes as it would alone;
    - a user without friends has, in a first session, the course they would have without any.

    Args:
        world: The world as it is at date 0; it is not changed.
    """

    def __init__(self, world: World) -> None:
        self.supply: Supply | None = None
        self.circle: Circle | None = None
        if world.creators is not None:
            lives = world.schedule.lifetimes
            own = Lifetimes(
                np.array(lives.appears if lives else np.zeros(world.n_items), dtype=np.int64),
                np.array(
                    lives.expires if lives else np.full(world.n_items, FOREVER), dtype=np.int64
                ),
            )
            self.supply = Supply(world.creators, own)
            world = replace(world, schedule=replace(world.schedule, lifetimes=own))
        if world.friends is not None and has_plain_factors(world.users):
            tastes = np.array(world.users.user_vectors, dtype=np.float32)
            self.circle = Circle(world.friends, tastes)
            world = replace(world, users=replace(world.users, user_vectors=tastes))
        #: The world being played; its lifetimes and taste vectors are written in place.
        self.world = world

    def start(self) -> None:
        """Put everything back to date 0."""
        if self.supply is not None:
            self.supply.start()
        if self.circle is not None:
            self.circle.start()
