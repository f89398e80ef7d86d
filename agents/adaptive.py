"""`ap`: a new critic with pi_0's encoder, and pi_0 for as much as it still adds to that critic."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from simrec.agents.adaptation import Adaptation
from simrec.agents.history import Observation, barred, hide_seen
from simrec.agents.learners import make_learner
from simrec.agents.policy import ItemPolicy
from simrec.agents.relabelled import relabelled
from simrec.agents.replay import Replay
from simrec.agents.stacking import Stack
from simrec.agents.strategy import Deployment, Online, adapted, strategy

HOLD_OUT = 8  # every eighth slot is served without pi_0 once there is a critic to serve it


class Guided(ItemPolicy):
    """softmax(q / tau + alpha z_0 / tau_0), z_0 and tau_0 being pi_0's; seen items masked.

    That is pi_0^alpha exp(q / tau), without the floor under log pi_0 that `ItemPolicy` has: a sharp
    pi_0 says most where it is surest, and a small alpha must not lose that. Once `hold_out` is set,
    every HOLD_OUT-th slot acts by exp(q / tau) alone and shows the critic what pi_0 never would. A
    slot is a row of the batch.
    """

    hold_out: bool = False

    def logits(self, obs: Observation) -> Tensor:
        """Return (N, I) unnormalised log-probabilities; seen items are -inf."""
        q, _ = self.scorer(obs, self.vectors)
        logits: Tensor = q / self.temperature
        if float(self.alpha) > 0.0:
            assert self.prior is not None
            with torch.no_grad():
                guide = centred(self.prior, obs) * (self.alpha / self.prior.temperature)
            if self.hold_out:
                guide *= torch.from_numpy(guided_slots(len(q))).float().unsqueeze(1)
            logits = logits + guide
        return hide_seen(logits, barred(obs))


def guided_slots(n: int) -> NDArray[np.bool_]:
    """Return (n,) False for every HOLD_OUT-th slot."""
    slots: NDArray[np.bool_] = np.arange(n) % HOLD_OUT != HOLD_OUT - 1
    return slots


class Worth(Adaptation):
    """Set alpha to what pi_0's click logits are worth beside the new critic's.

    pi_0 is softmax(z_0 / tau_0) of its own critic's logits z_0, here centred over the catalogue,
    and the policy is pi_k(a|s) = softmax(q(s, a) / tau_k + alpha_k z_0(s, a) / tau_0). Before the
    critic learns from a rollout both foretell its clicks, and a logistic regression says with which
    weights they do so best (`Stack`); alpha is the weight of z_0, or 0 where that is negative.
    At the first step alpha is 1 and q is 0: the policy is exactly pi_0. Within the first rollout
    alpha is found anew after each step, so that a pi_0 which knows nothing is heard that long only.
    Alpha falls as the critic comes to know what pi_0 knew, may rise again, and is above 1 where
    pi_0 is too modest. After the first rollout one slot in eight is served without pi_0: what a
    critic first sees shapes what it finds later. This project's own rule.

    Args:
        keep: See `Stack`.
    """

    def __init__(self, keep: float = 0.8) -> None:
        self.keep = keep
        self.stack = Stack(keep)
        self.rollouts = 0

    def schedule(self, policy: ItemPolicy, progress: float) -> None:
        """Use the alpha of the evidence so far instead of that of time."""
        policy.alpha.fill_(max(0.0, self.stack.beta))

    def beginning(self, policy: ItemPolicy, so_far: Replay) -> None:
        """Weigh both by the first steps; every call brings the earlier ones again."""
        self.stack = Stack(self.keep)
        self._weigh(policy, so_far)

    def held_out(self, policy: ItemPolicy, newest: Replay) -> None:
        """Weigh both by clicks that the new critic has not learned from."""
        if self.rollouts > 0:  # the first one was weighed step by step
            self._weigh(policy, newest)
        self.rollouts += 1
        assert isinstance(policy, Guided)
        policy.hold_out = True

    def _weigh(self, policy: ItemPolicy, steps: Replay) -> None:
        assert policy.prior is not None
        with torch.no_grad():
            q, level = policy.scorer.at(steps.obs, policy.vectors, steps.items)
            z = centred(policy.prior, steps.obs).gather(1, steps.items)
        counts = steps.fresh.numpy() > 0.0
        columns = (q, z, level.unsqueeze(1).expand_as(q), steps.clicks)
        self.stack.add(*(x.numpy()[counts].astype(np.float64) for x in columns))


def centred(prior: ItemPolicy, obs: Observation) -> Tensor:
    """Return (N, I) what a policy's critic says of every item, less its mean over the catalogue."""
    scores, _ = prior.scorer(obs, prior.vectors)
    found: Tensor = scores - scores.mean(1, keepdim=True)
    return found


def copy_encoder(prior: ItemPolicy, policy: ItemPolicy) -> None:
    """Let a policy read histories as `prior` does.

    A prior whose items were dealt out anew has another table: what its vectors would have added
    goes into the free ones, where there are any, so that it misleads in the encoder as well.
    """
    policy.scorer.pool.load_state_dict(prior.scorer.pool.state_dict())
    pool: Any = policy.scorer.pool
    if pool.free is not None:
        with torch.no_grad():
            pool.free += pool.project(prior.vectors) - pool.project(policy.vectors)


def _deployed(prior: ItemPolicy, online: Online) -> Deployment:
    if online.spec.name == "kac":
        deployment = adapted(online, Worth(), policy=Guided, prior=prior)
    else:
        model = make_learner(online.spec, online.env, luck=online.luck, prior=prior)
        deployment = Deployment(model, learns=True)
    policy: Any = deployment.recommender.policy  # type: ignore[attr-defined]
    copy_encoder(prior, policy)
    return deployment


@strategy(
    "ap", source="A-iALP_ap: Wang et al., WSDM 2025 (abstract read); this rule is the project's"
)
def adaptive(pretrained: ItemPolicy, online: Online) -> Deployment:
    """A new critic with pi_0's encoder, and pi_0 for as much as it still helps to foretell clicks.

    With q = 0 and alpha = 1 the first policy is exactly pi_0. The encoder is copied and learns on;
    what pi_0 says of items is not copied. Under learner a2c, which has no click logits, alpha falls
    with time.
    """
    return _deployed(pretrained, online)


@strategy("ap-random", source="control; this project's design notes, H4")
def adaptive_random(pretrained: ItemPolicy, online: Online) -> Deployment:
    """Like ap, with the random pi_0 of frozen-random: what any early gain must disappear with."""
    return _deployed(relabelled(pretrained, online.luck), online)


@strategy("ap-encoder", source="control; this project's design notes, H4")
def encoder_alone(pretrained: ItemPolicy, online: Online) -> Deployment:
    """Like scratch, but reading histories by pi_0's encoder: what of ap is not pi_0's preferences.

    Pretraining shapes the encoder even where its labels say nothing.
    """
    deployment = adapted(online, Adaptation(), policy=ItemPolicy)
    policy: Any = deployment.recommender.policy  # type: ignore[attr-defined]
    copy_encoder(pretrained, policy)
    return deployment
