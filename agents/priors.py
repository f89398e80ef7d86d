"""Variants of `ap-ann`: how pi_0's weight in the policy follows time or evidence."""

import math

import torch

from simrec.agents.a2c import ItemA2C
from simrec.agents.adaptation import Adaptation
from simrec.agents.kac import ramp
from simrec.agents.learners import make_learner
from simrec.agents.losses import click_loss
from simrec.agents.policy import ItemPolicy
from simrec.agents.relabelled import relabelled
from simrec.agents.replay import Replay
from simrec.agents.strategy import Deployment, Online, adapted, at_its_temperature, strategy


@strategy("ap-ann", source="annealed prior; this project's design notes")
def annealed(pretrained: ItemPolicy, online: Online) -> Deployment:
    """Annealed prior: pi_0^alpha times a newly learnt policy, alpha falling to 0 with time.

    With q = 0 and alpha = 1 the first policy is exactly pi_0, which stays frozen throughout.
    """
    model = make_learner(online.spec, online.env, luck=online.luck, prior=pretrained)
    return Deployment(model, learns=True)


@strategy("ap-residual", source="logit residual; this project's design notes")
def residual(pretrained: ItemPolicy, online: Online) -> Deployment:
    """Like ap-ann, but pi_0's weight stays 1: the new policy learns what to add to it."""
    model = make_learner(
        online.spec,
        online.env,
        luck=online.luck,
        prior=pretrained,
        settings={"prior_share": math.inf},  # alpha never falls
    )
    return Deployment(model, learns=True)


@strategy("kl-anneal", source="KL-regularised fine-tuning; reconstructed")
def kl_anneal(pretrained: ItemPolicy, online: Online) -> Deployment:
    """Like ft, with a penalty on leaving pi_0 that falls to nothing."""
    if online.spec.name == "a2c":
        model = make_learner(
            online.spec,
            online.env,
            luck=online.luck,
            initial=pretrained,
            settings={"anchor": pretrained.log_probs, "anchor_share": 1 / 3},
        )
        assert isinstance(model, ItemA2C)
        return Deployment(model, learns=True)
    return adapted(
        online,
        AnnealedPenalty(),
        prior=pretrained,
        initial=pretrained,
        settings=at_its_temperature(pretrained, online),
    )


class AnnealedPenalty(Adaptation):
    """Follow argmax E_pi[q] - tau KL(pi || uniform) - kappa KL(pi || pi_0), kappa falling to 0.

    Its closed form is pi ~ pi_0^(kappa / (tau + kappa)) exp(q / (tau + kappa)); reconstructed.

    Args:
        kappa: Penalty at the start, in units of q, above 0.
        share: Share of training over which it falls.
    """

    def __init__(self, kappa: float = 0.5, share: float = 1 / 3) -> None:
        self.kappa = kappa
        self.share = share

    def schedule(self, policy: ItemPolicy, progress: float) -> None:
        """Set temperature and alpha."""
        kappa = self.kappa * (1.0 - ramp(progress, self.share))
        total = float(policy.temperature) + kappa
        policy.alpha.fill_(kappa / total)
        policy.temperature.fill_(total)


@strategy("ap-evidence", source="this project; first proposed in its design notes")
def by_evidence(pretrained: ItemPolicy, online: Online) -> Deployment:
    """Like ap-ann, but alpha falls as the new critic comes to foretell clicks as well as pi_0's."""
    return adapted(online, Evidence(), prior=pretrained)


class Evidence(Adaptation):
    """Set alpha to the part of the prior's skill that the critic still lacks.

    Skill is the share of log-loss saved against one click rate for everything, on each rollout
    before it is learned from; alpha = 1 - skill(critic) / skill(prior) in [0, 1], and 0 where the
    prior has none. Both logits are first shifted to the rollout's click rate, so that a teacher
    is judged by what it ranks, not by how often it says yes. Alpha never rises again: once users
    like nearly all they are shown, there is little left to tell the two apart by.

    Args:
        memory: Weight of the past in the running means of the losses, 0 to below 1.
        patience: Rollouts before the first judgement.
    """

    def __init__(self, memory: float = 0.8, patience: int = 3) -> None:
        self.memory = memory
        self.left = patience
        self.losses = [0.0, 0.0, 0.0]  # running: one rate, prior, critic
        self.alpha = 1.0

    def schedule(self, policy: ItemPolicy, progress: float) -> None:
        """Use the alpha of the evidence so far."""
        policy.alpha.fill_(self.alpha)

    def held_out(self, policy: ItemPolicy, newest: Replay) -> None:
        """Compare critic and prior on steps neither has learned from."""
        assert policy.prior is not None
        with torch.no_grad():
            q, _ = policy.scorer.at(newest.obs, policy.vectors, newest.items)
            of_prior, _ = policy.prior.scorer.at(newest.obs, policy.vectors, newest.items)
            logits = (torch.zeros_like(q), of_prior, q)
            found = [shifted_loss(x, newest.clicks, newest.fresh) for x in logits]
        keep = self.memory
        self.losses = [keep * a + (1 - keep) * b for a, b in zip(self.losses, found, strict=True)]
        self.left -= 1
        if self.left <= 0:
            self.alpha = min(self.alpha, evidence_alpha(*self.losses))

    def report(self, policy: ItemPolicy) -> dict[str, float]:
        """Return alpha as the evidence has it."""
        return {"alpha": self.alpha}


def evidence_alpha(nothing: float, prior: float, critic: float) -> float:
    """Return 1 - skill(critic) / skill(prior) in [0, 1]; 0 where the prior has no skill.

    Args:
        nothing: Log-loss of one click rate for everything.
        prior: Log-loss of the prior's critic.
        critic: Log-loss of the new critic.
    """
    if prior >= nothing:
        return 0.0
    return min(1.0, max(0.0, 1.0 - (nothing - critic) / (nothing - prior)))


def shifted_loss(logits: torch.Tensor, clicks: torch.Tensor, fresh: torch.Tensor) -> float:
    """Return the click loss after the logits' mean was moved to where it fits best.

    Args:
        logits: (N, k).
        clicks: (N, k) 0 or 1.
        fresh: (N, k) 1 counts.
    """
    shift = torch.zeros(())
    for _ in range(30):  # Newton steps on a convex function of one number
        p = (logits + shift).sigmoid()
        slope = ((p - clicks) * fresh).sum()
        curve = (p * (1 - p) * fresh).sum().clamp(min=1e-6)
        shift = (shift - (slope / curve).clamp(-2.0, 2.0)).clamp(-30.0, 30.0)
    return float(click_loss(logits + shift, clicks, fresh))


@strategy("frozen-random", source="control; this project's design notes, H4")
def frozen_random(pretrained: ItemPolicy, online: Online) -> Deployment:
    """Act by a pi_0 whose items were dealt out at random: as sharp as pi_0, and knows nothing."""
    policy = relabelled(pretrained, online.luck)
    policy.reseed(online.luck)
    return Deployment(policy, learns=False)
