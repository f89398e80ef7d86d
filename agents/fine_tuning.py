"""Variants of `ft`: how the first learning from real feedback is kept from undoing pi_0."""

import copy
import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from simrec.agents.adaptation import Adaptation
from simrec.agents.expansion import Mixture, ShareOfNew
from simrec.agents.history import Observation
from simrec.agents.kac import ramp
from simrec.agents.losses import entropy
from simrec.agents.policy import ItemPolicy
from simrec.agents.replay import Replay
from simrec.agents.strategy import Deployment, Online, adapted, at_its_temperature, strategy

WARM_UP = 0.05  # share of training, the early window of every result


def temperature_for(policy: ItemPolicy, obs: Observation, nats: float) -> float:
    """Return the temperature at which the policy without prior has a mean entropy of `nats`.

    Args:
        policy: Its scores are used, its temperature is not.
        obs: States over which the entropy is averaged.
        nats: Wanted mean entropy; out of reach, the nearest end of [0.001, 1000] is returned.
    """
    with torch.no_grad():
        q, _ = policy.scorer(obs, policy.vectors)
        seen = policy.logits(obs).isneginf()
        low, high = np.log(1e-3), np.log(1e3)
        for _ in range(30):  # entropy grows with temperature, so halving finds it
            middle = (low + high) / 2
            logits = (q / float(np.exp(middle))).masked_fill(seen, -torch.inf)
            if float(entropy(logits.log_softmax(-1))) < nats:
                low = middle
            else:
                high = middle
    return float(np.exp((low + high) / 2))


@strategy("ft-fair", source="this project's design notes: ft without the critic's rescaling")
def fair(pretrained: ItemPolicy, online: Online) -> Deployment:
    """Like ft, but while the critic warms up the policy is kept as sharp as pi_0."""
    return adapted(
        online,
        HeldSharpness(),
        prior=pretrained,
        initial=pretrained,
        settings={**at_its_temperature(pretrained, online), "prior_share": 0.0},
    )


class HeldSharpness(Adaptation):
    """Set the temperature so that the policy's entropy is pi_0's, then let go.

    pi_0 is the learner's prior, whose weight alpha is 0 throughout: it serves as the measure.

    Args:
        share: Share of training over which sharpness is kept; over as much again the temperature
            goes back to that of ft.
    """

    def __init__(self, share: float = WARM_UP) -> None:
        self.share = share
        self.held: float | None = None

    def schedule(self, policy: ItemPolicy, progress: float) -> None:
        """Put the temperature where pi_0's entropy was last found."""
        if self.held is not None:
            own = float(policy.temperature)
            back = ramp(max(0.0, progress - self.share), self.share)
            policy.temperature.fill_(self.held ** (1.0 - back) * own**back)

    def learned(self, policy: ItemPolicy, batch: Replay) -> None:
        """Find the temperature that gives the new scores the entropy of pi_0."""
        assert policy.prior is not None
        some = {key: value[:256] for key, value in batch.obs.items()}
        with torch.no_grad():
            wanted = float(entropy(policy.prior.log_probs(some)))
        self.held = temperature_for(policy, some, wanted)


@strategy("ft-warm-critic", source="critic warm-up; this project's design notes, A8")
def warm_critic(pretrained: ItemPolicy, online: Online) -> Deployment:
    """Like ft, but pi_0 acts while the critic learns from the first twentieth of the run."""
    return adapted(
        online,
        ShareOfNew(WARM_UP, WARM_UP),
        policy=Mixture,
        prior=pretrained,
        initial=pretrained,
        settings={**at_its_temperature(pretrained, online), "prior_share": 0.0},
    )


@strategy("ft-entropy", source="entropy restored before fine-tuning; this project's design notes")
def restored(pretrained: ItemPolicy, online: Online) -> Deployment:
    """Like ft, but flattened at the start to 70 % of the greatest entropy, so that it tries more.

    The temperature falls to that of ft over the learner's `temperature_share`.
    """
    nothing: Observation = {
        "history": torch.full((1, 1), -1, dtype=torch.long),
        "feedback": torch.zeros(1, 1),
        "step": torch.zeros(1, 1, dtype=torch.long),
    }
    usual = at_its_temperature(pretrained, online)
    flat = temperature_for(pretrained, nothing, 0.7 * math.log(pretrained.n_items))
    scale = usual["temperature"] / float(pretrained.temperature)
    usual["temperature"] = max(scale * flat, usual["final_temperature"])
    return adapted(online, Adaptation(), initial=pretrained, settings=usual)


@strategy("rollback", source="policy repair; this project's design notes")
def rollback(pretrained: ItemPolicy, online: Online) -> Deployment:
    """Like ft, but goes back to the best weights so far when clicks per session clearly fall."""
    return adapted(
        online, Repair(), initial=pretrained, settings=at_its_temperature(pretrained, online)
    )


class Repair(Adaptation):
    """Keep the weights of the best stretch of sessions; restore them after a clearly worse one.

    A stretch is worse when its mean lies more than `margin` standard errors of the difference
    below the best stretch's. What was remembered is kept, so the critic learns on from there.

    Args:
        sessions: Sessions in a stretch.
        margin: Standard errors, 0 or more.
    """

    def __init__(self, sessions: int = 512, margin: float = 2.0) -> None:
        self.sessions = sessions
        self.margin = margin
        self.clicks: NDArray[np.float64] | None = None  # (B,) of the session under way
        self.stretch: list[float] = []
        self.best: tuple[float, float] | None = None  # mean and squared standard error
        self.weights: dict[str, torch.Tensor] = {}
        self.repairs = 0

    def outcome(self, policy: ItemPolicy, reward: NDArray[Any], done: NDArray[np.bool_]) -> None:
        """Count sessions; judge a stretch when it is full."""
        if not self.weights:
            self.weights = copy.deepcopy(dict(policy.scorer.state_dict()))
        self.clicks = reward + (0.0 if self.clicks is None else self.clicks)
        self.stretch += self.clicks[done].tolist()
        self.clicks[done] = 0.0
        if len(self.stretch) < self.sessions:
            return
        mean, error = float(np.mean(self.stretch)), float(np.var(self.stretch)) / len(self.stretch)
        self.stretch = []
        if self.best is None or mean >= self.best[0]:
            self.best, self.weights = (mean, error), copy.deepcopy(dict(policy.scorer.state_dict()))
        elif self.best[0] - mean > self.margin * math.sqrt(error + self.best[1]):
            policy.scorer.load_state_dict(self.weights)
            self.repairs += 1

    def report(self, policy: ItemPolicy) -> dict[str, float]:
        """Return how often weights were restored so far."""
        return {"rollbacks": float(self.repairs)}
