"""What a run notes beside its reward: who was lost, what was shown, how much of pi_0 is left."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import torch
from stable_baselines3.common.base_class import BaseAlgorithm

from simrec import metrics
from simrec.agents import losses
from simrec.agents.expansion import Mixture
from simrec.agents.policy import ItemPolicy
from simrec.agents.two_level import TwoLevelPolicy
from simrec.deploy import Tables, Underway
from simrec.envs.bounds import first_shift
from simrec.envs.world import World
from simrec.stages.inputs import Inputs
from simrec.stages.world import whole_bounds

ACTING = ItemPolicy | TwoLevelPolicy
PROBED = 4  # updates between two looks at how much of pi_0 is left


class FrozenShare:
    """Says how many of a learner's actions could be the frozen policy's own, from time to time.

    Where each action is drawn by one of two policies, the strategy counts them itself. Where pi_0
    is mixed into the logits, or only lent its weights, no action is the one's or the other's: what
    is told is then E_s sum_a min(pi(a|s), pi_0(a|s)) over the users under way, the greatest share
    of actions on which two draws, one of each, can be made to agree (1 - total variation). It is 1
    while pi is pi_0 and 0 once they show nothing in common. This project's own definition.

    Args:
        pretrained: pi_0; a learner with a frozen prior of its own is compared with that.
    """

    def __init__(self, pretrained: ACTING) -> None:
        self.pretrained = pretrained
        self.asked = 0

    def __call__(self, model: BaseAlgorithm) -> dict[str, float]:
        """Return the share every PROBED-th time, else nothing."""
        self.asked += 1
        acting: Any = model.policy
        if self.asked % PROBED != 1 or isinstance(acting, Mixture) or model._last_obs is None:
            return {}
        frozen = getattr(acting, "prior", None) or self.pretrained
        obs = tensors(dict(model._last_obs), acting.device)
        with torch.no_grad():
            return {"frozen_share": overlap(acting.log_probs(obs), frozen.log_probs(obs))}


def overlap(log_a: torch.Tensor, log_b: torch.Tensor) -> float:
    """Return the mean over rows of sum_a min(pi_a, pi_b), 0 to 1.

    Args:
        log_a: (N, I) log-probabilities, -inf where impossible.
        log_b: (N, I).
    """
    return float(torch.minimum(log_a.exp(), log_b.exp()).sum(1).mean())


def measures(
    underway: Underway, tables: Tables, inputs: Inputs, bounds: Mapping[str, float]
) -> dict[str, float]:
    """Return what can be told only where the world's topics and the log's popularity are known.

    Sessions count that start within the budget. Diversity is measured on the sessions kept item by
    item; what a strategy or world does not have (slates, pi_0, days, a shift) is absent.
    """
    world = underway.recorder.base.vector_env.world
    episodes, steps, updates = tables.episodes, tables.steps, tables.updates
    inside = episodes[episodes["start_step"] < inputs.config.online.env_steps]
    shown = np.zeros(world.n_items)
    exposed = tables.exposure
    np.add.at(shown, exposed["item"].to_numpy(), exposed["shown"].to_numpy())
    length, left = inside["length"].to_numpy(), inside["left"].to_numpy()
    reward = inside["reward"].to_numpy()
    topics = world.topics[steps["item"].to_numpy()]
    found = {
        "reward_per_session": float(reward.mean()) if len(reward) else float("nan"),
        "reward_per_step": float(reward.sum() / length.sum()) if length.any() else float("nan"),
        "session_length": float(length.mean()) if len(length) else float("nan"),
        "regret": metrics.regret(reward, bounds["oracle"]),
        "lost_before_step_5": metrics.lost_before(length, left),
        "worst_decile_clicks": metrics.worst_users(inside["user"].to_numpy(), reward),
        "coverage": float((shown > 0).mean()),
        "exposure_gini": metrics.gini(shown),
        "novelty_bits": metrics.novelty(shown, inputs.popularity),
        "session_diversity": metrics.session_diversity(_group(steps, "slot", "episode"), topics),
    }
    if underway.recorder.k > 1:
        slates = _group(steps, "slot", "episode", "t")
        found["list_diversity"] = metrics.session_diversity(slates, topics)
    if world.schedule.lifetimes is not None:
        item, times, clicks = (exposed[name].to_numpy() for name in ("item", "shown", "clicked"))
        new = world.schedule.lifetimes.appears > 0
        found |= metrics.newcomers(new[item], times, clicks)
    if world.retention is not None:
        found["return_rate"] = float(np.mean(underway.recorder.back))
    found |= _since_shift(world, inside, inputs)
    rows = underway.snapshots.rows if underway.snapshots is not None else []
    if rows:
        greedy = np.array(rows[-1]["reward"])
        found["greedy_end"] = float(metrics.normalised(greedy, bounds["random"], bounds["oracle"]))
    if "entropy" in updates:
        found["policy_entropy"] = float(updates["entropy"].mean())
    if "frozen_share" in updates:
        found["frozen_share"] = float(updates["frozen_share"].mean())
    fixed = underway.deployment.recommender
    if isinstance(fixed, ACTING):  # a policy that never learned: of the users met last
        with torch.no_grad():
            log_probs = fixed.log_probs(tensors(underway.recorder.seen, fixed.device))
        found["policy_entropy"] = float(losses.entropy(log_probs))
        found["frozen_share"] = 1.0
    return found


def _since_shift(world: World, sessions: pd.DataFrame, inputs: Inputs) -> dict[str, float]:
    """Return what became of a run after the first shift of tastes; nothing where none shifted.

    Each side of the shift is measured by its own bounds. Recovery is looked for in blocks of 5 % of
    the run; where reward never came back the number of steps is absent and `recovered` is 0, and
    where there was nothing to come back to both are absent.
    """
    online = inputs.config.online
    date = first_shift(world, max(online.env_steps // online.n_envs, 1))
    if date is None:
        return {}
    bounds, shift = whole_bounds(inputs), date * online.n_envs
    start, reward = sessions["start_step"].to_numpy(), sessions["reward"].to_numpy()
    since = start >= shift
    side = np.where(since, "reward_since", "reward_before")
    low, high = (
        np.array([bounds[policy][name] for name in side]) for policy in ("random", "oracle")
    )
    y = (reward - low) / (high - low)
    steps = metrics.recovery_steps(start, y, shift, block=max(online.env_steps // 20, 1))
    found = {"regret_since_shift": metrics.regret(reward[since], bounds["oracle"]["reward_since"])}
    if not np.isnan(steps):
        found["recovered"] = float(np.isfinite(steps))
    if np.isfinite(steps):
        found["recovery_steps"] = steps
    return found


def tensors(obs: Mapping[str, Any], device: torch.device) -> dict[str, torch.Tensor]:
    """Return an observation as tensors on a device."""
    return {key: torch.as_tensor(value, device=device) for key, value in obs.items()}


def _group(steps: pd.DataFrame, *columns: str) -> Any:
    return steps.groupby(list(columns)).ngroup().to_numpy()
