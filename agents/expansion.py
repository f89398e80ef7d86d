"""Policies that act by pi_0 or by a new policy, chosen for each step or each session."""

from typing import Any

import torch
from torch import Tensor

from simrec.agents.adaptation import Adaptation
from simrec.agents.history import barred, seen_mask
from simrec.agents.kac import ramp
from simrec.agents.policy import ItemPolicy
from simrec.agents.replay import Replay
from simrec.agents.strategy import Deployment, Online, adapted, strategy


class Mixture(ItemPolicy):
    """Show what the new policy drew with probability `new_share`, else what pi_0 drew.

    The prior is pi_0 and enters no logits: its alpha is 0. `logits` and `log_probs` are the new
    policy's.
    """

    new_share: float = 0.0
    shown: int = 0  # actions since the last report
    shown_frozen: int = 0  # of these, pi_0's

    def choose(self, obs: Any, q: Tensor, old: Tensor, new: Tensor) -> Tensor:
        """Return (N,) probabilities of showing the new slate.

        Args:
            obs: Batched observation.
            q: (N, I) critic.
            old: (N, k) what pi_0 drew.
            new: (N, k) what the new policy drew.
        """
        return torch.full((len(q),), self.new_share)

    def new_logits(self, obs: Any, q: Tensor) -> Tensor:
        """Return (N, I) logits of the new policy."""
        logits = q / self.temperature
        return logits.masked_fill(seen_mask(barred(obs), self.n_items), -torch.inf)

    def _predict(self, observation: Any, deterministic: bool = False) -> Tensor:
        assert self.prior is not None
        q, _ = self.scorer(observation, self.vectors)
        old = self._act(self.prior.logits(observation), deterministic).view(len(q), -1)
        new = self._act(self.new_logits(observation, q), deterministic).view(len(q), -1)
        luck = torch.rand(len(q), generator=self.generator)
        if deterministic:
            luck = torch.full_like(luck, 0.5)
        use_new = luck < self.choose(observation, q, old, new)
        self.shown += len(q)
        self.shown_frozen += int((~use_new).sum())
        slates = torch.where(use_new.unsqueeze(1), new, old)
        return slates.squeeze(1) if self.slate_size == 1 else slates


class Gated(Mixture):
    """Show the new item with probability s((Q_new - Q_old) / gate_temperature): PEX's choice."""

    gate_temperature: float = 1.0

    def choose(self, obs: Any, q: Tensor, old: Tensor, new: Tensor) -> Tensor:
        """Return the gate's probabilities (N,)."""
        gap = (q.gather(1, new) - q.gather(1, old)).mean(1)
        return (gap / self.gate_temperature).sigmoid()


def gated_log_probs(log_old: Tensor, log_new: Tensor, q: Tensor, temperature: float) -> Tensor:
    """Return log mu (N, I), the exact distribution of a gated choice between two draws.

    mu(a) = pi_0(a) E_{b~pi}[s((q_a - q_b) / T)] + pi(a) E_{b~pi_0}[s((q_a - q_b) / T)]
    (reconstructed from PEX's choice; Zhang, Xu and Yu, ICLR 2023, abstract and code's defaults
    read). Needs N I^2 steps, so it is for small catalogues.

    Args:
        log_old: (N, I) log pi_0, -inf where masked.
        log_new: (N, I) log pi, -inf where masked.
        q: (N, I) critic.
        temperature: Of the gate, above 0.
    """
    gate = ((q.unsqueeze(2) - q.unsqueeze(1)) / temperature).sigmoid()  # (N, a, b)
    old, new = log_old.exp(), log_new.exp()
    wins_over_new = torch.einsum("nab,nb->na", gate, new)
    wins_over_old = torch.einsum("nab,nb->na", gate, old)
    return (old * wins_over_new + new * wins_over_old).log()


class ShareOfNew(Adaptation):
    """Raise the new policy's share in a `Mixture` from 0 to 1.

    Args:
        begin: Progress up to which only pi_0 acts.
        end: Progress from which on only the new policy acts.
    """

    def __init__(self, begin: float, end: float) -> None:
        self.begin = begin
        self.end = end

    def schedule(self, policy: ItemPolicy, progress: float) -> None:
        """Set the share."""
        assert isinstance(policy, Mixture)
        if progress < self.begin:
            policy.new_share = 0.0
        else:
            policy.new_share = ramp(progress - self.begin, self.end - self.begin)

    def report(self, policy: ItemPolicy) -> dict[str, float]:
        """Return the share of actions that were pi_0's since the last report."""
        return frozen_share(policy)


class GateScale(Adaptation):
    """Keep |Q_new - Q_old| / gate_temperature at a median of 1 over recent states."""

    def learned(self, policy: ItemPolicy, batch: Replay) -> None:
        """Measure the median gap and set the temperature."""
        assert isinstance(policy, Gated) and policy.prior is not None
        some = {key: value[:256] for key, value in batch.obs.items()}
        with torch.no_grad():
            q, _ = policy.scorer(some, policy.vectors)
            old = policy._act(policy.prior.logits(some), False).view(len(q), -1)
            new = policy._act(policy.new_logits(some, q), False).view(len(q), -1)
            gap = (q.gather(1, new) - q.gather(1, old)).mean(1).abs()
        policy.gate_temperature = max(float(gap[gap > 0].median()) if gap.any() else 1.0, 1e-3)

    def report(self, policy: ItemPolicy) -> dict[str, float]:
        """Return the share of actions that were pi_0's, and the gate's temperature."""
        assert isinstance(policy, Gated)
        return {**frozen_share(policy), "gate_temperature": policy.gate_temperature}


def frozen_share(policy: ItemPolicy) -> dict[str, float]:
    """Return pi_0's share of the actions since the last call, and begin counting anew."""
    assert isinstance(policy, Mixture)
    share = policy.shown_frozen / max(policy.shown, 1)
    policy.shown = policy.shown_frozen = 0
    return {"frozen_share": share}


@strategy("ap-mix-anneal", source="annealed mixture; this project's design notes, A6")
def mix_anneal(pretrained: ItemPolicy, online: Online) -> Deployment:
    """Like ap-ann, but each action is pi_0's or the new policy's; pi_0's share falls away."""
    return adapted(
        online,
        ShareOfNew(0.0, 1 / 3),
        policy=Mixture,
        prior=pretrained,
        settings={"prior_share": 0.0},
    )


@strategy(
    "ap-pex", source="Policy Expansion: Zhang, Xu and Yu, ICLR 2023 (abstract, code defaults)"
)
def policy_expansion(pretrained: ItemPolicy, online: Online) -> Deployment:
    """Both policies draw an item, and the critic's values decide by a soft gate which is shown."""
    return adapted(
        online, GateScale(), policy=Gated, prior=pretrained, settings={"prior_share": 0.0}
    )
