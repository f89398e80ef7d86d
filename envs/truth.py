"""What only the simulator knows: how likely each item is to be clicked. For bounds and oracles."""

import numpy as np
from numpy.typing import NDArray

from simrec.envs.boredom import recent_topics
from simrec.envs.choice import logit
from simrec.envs.satiation import unlike_before
from simrec.envs.sessions import Sessions
from simrec.envs.users import affinity_of_all


def click_probability(sessions: Sessions) -> NDArray[np.float64]:
    """Return (B, I): P(click) if the item were shown alone now; 0 where it cannot be shown."""
    world, rules, memory = sessions.world, sessions.world.rules, sessions.memory
    n_topics = world.topics.shape[1]
    utility = logit(affinity_of_all(world.users, sessions.state))
    utility -= rules.boredom * (recent_topics(world.topics, sessions.recent()) @ world.topics.T)
    tilt = world.schedule.tilt(sessions.date, n_topics)
    if tilt.any():
        utility += world.topics @ tilt
    if rules.satiation:
        utility -= rules.satiation * (memory.sated[:, :n_topics] @ world.topics.T)
    if rules.novelty:
        everything = np.broadcast_to(world.topics, (len(utility), *world.topics.shape))
        shown = sessions.step * sessions.slate_size
        utility += rules.novelty * unlike_before(memory.seen[:, :n_topics], shown, everything)
    return np.where(sessions.unseen(), 1.0 / (1.0 + np.exp(-utility)), 0.0)
