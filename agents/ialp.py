"""iALP, reconstructed: a policy pretrained in a world imagined from a teacher's preferences.

Source: "Large Language Model driven Policy Exploration for Recommender Systems" (Wang,
Karatzoglou, Arapakis and Jose, WSDM 2025). Read: its abstract (prompt an LLM with user states,
extract preferences, learn a reward from them, update a policy with an actor-critic). Everything
below that sentence is reconstructed and recorded with each run.
"""

from collections.abc import Callable
from typing import Any

from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecEnv
from torch import Tensor

from simrec.agents.history import Observation
from simrec.agents.learners import Learner, LearnerSpec, make_learner
from simrec.agents.reward import Reward


def pretrain(
    spec: LearnerSpec,
    reward: Reward,
    env: VecEnv,
    *,
    env_steps: int,
    luck: int,
    anchor_temperature: float = 0.15,
    callback: BaseCallback | None = None,
) -> Learner:
    """Train pi_0 in the imagined world.

    Both learners start afresh: r_psi's own weights may have been decayed to a point from which a
    critic hardly learns online. `a2c` is held near softmax(r_psi / anchor_temperature), because
    without that it over-optimises the imagined reward; the myopic critic of `kac` cannot, its
    target is r_psi itself.

    Args:
        spec: Learner and policy; the online stage uses the same.
        reward: r_psi, already fitted; it also drives `env`'s users.
        env: Imagined world.
        env_steps: Steps over all users.
        luck: Seed of weights, sampling and replay.
        anchor_temperature: Temperature of the anchor of `a2c`, above 0.
        callback: SB3 callback, for progress.

    Returns:
        The learner; its policy is pi_0 and its critic is kept for fine-tuning.
    """
    settings: dict[str, Any] = {}
    if spec.name == "a2c":
        settings["anchor"] = _anchor(reward, anchor_temperature)
    model = make_learner(spec, env, luck=luck, settings=settings)
    model.learn(env_steps, callback=callback, log_interval=None)  # type: ignore[arg-type]
    return model


def _anchor(reward: Reward, temperature: float) -> Callable[[Observation], Tensor]:
    """Return the anchor as a function; SB3 leaves it out of saved models."""
    return lambda obs: reward.log_policy(obs, temperature)
