"""Stable-Baselines3's PPO on the policy of the other learners, as a rival."""

from typing import Any

import numpy as np
from stable_baselines3 import PPO

from simrec.agents.device import device_of
from simrec.agents.policy import ItemPolicy
from simrec.agents.strategy import Deployment, Online, strategy

# As PPO's own where not named; the best of three on tuning seeds of MovieLens (docs/learner.md).
SETTINGS: dict[str, Any] = {
    "learning_rate": 1e-2,
    "n_steps": 10,
    "batch_size": 320,
    "n_epochs": 4,
    "gamma": 0.5,
    "ent_coef": 0.003,
}


class ItemPPO(PPO):
    """PPO that shuffles by a generator of its own; SB3's uses NumPy's global luck.

    SB3's `seed` would also reset the luck of the users, which is the study's.
    """

    rng: np.random.Generator

    def train(self) -> None:
        """Make PPO's epochs over the rollout."""
        before = np.random.get_state()  # noqa: NPY002 (SB3 draws from it)
        np.random.seed(int(self.rng.integers(2**31)))  # noqa: NPY002
        try:
            super().train()
        finally:
            np.random.set_state(before)  # noqa: NPY002


@strategy("ppo", source="PPO: Schulman et al. 2017, Stable-Baselines3's code", pretrained=False)
def ppo(pretrained: ItemPolicy, online: Online) -> Deployment:
    """Stable-Baselines3's PPO with the policy of the other learners, from nothing."""
    kind: Any = ItemPolicy
    arguments = {**online.spec.policy, "luck": online.luck}
    device = device_of(online.spec.device, "ppo")
    model = ItemPPO(kind, online.env, policy_kwargs=arguments, device=device, **SETTINGS)
    model.rng = np.random.default_rng(online.luck)
    return Deployment(model, learns=True)
