"""ItemA2C: advantage actor-critic on the item policy, with a KL anchor and an annealed prior."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from stable_baselines3 import A2C
from stable_baselines3.common.vec_env import VecEnv
from torch import Tensor

from simrec.agents import losses
from simrec.agents.history import Observation
from simrec.agents.kac import ramp
from simrec.agents.policy import ItemPolicy


class ItemA2C(A2C):
    """SB3's A2C with one more term, the paper's family of learner.

    L = -E[A log pi] + vf_coef E[(R - V)^2] - ent_coef E[H(pi)] + anchor_coef KL(pi || anchor).
    The first three terms are A2C's (Mnih et al. 2016; read). The anchor, softmax(r_psi / tau) in
    pretraining, is reconstructed: without it A2C over-optimises the imagined reward (design notes).

    Args:
        env: Vector environment of recommendation sessions.
        policy_kwargs: Arguments of `ItemPolicy`.
        learning_rate: AdamW's rate.
        n_steps: Vector steps between updates.
        gamma: Discount, 0 to 1.
        gae_lambda: Trace decay of the advantage estimator, 0 to 1.
        ent_coef: Weight of the entropy bonus.
        vf_coef: Weight of the value loss.
        max_grad_norm: Gradient norm above which gradients are scaled down.
        prior_share: Share of training over which the prior's exponent falls from 1 to 0.
        anchor: Function from observations to log-probabilities (N, I) to stay near, or None.
        anchor_coef: Weight of the KL to the anchor, 0 or more.
        anchor_share: Share of training over which that weight falls to 0; 0 keeps it.
        device: Accepted because SB3's `load` passes it; the learner works on the CPU.
    """

    policy: ItemPolicy  # type: ignore[assignment]

    def __init__(
        self,
        policy: str | type[ItemPolicy],
        env: VecEnv | None,
        *,
        policy_kwargs: dict[str, Any] | None = None,
        learning_rate: float = 3e-3,
        n_steps: int = 12,
        gamma: float = 0.9,
        gae_lambda: float = 0.95,
        ent_coef: float = 0.01,
        vf_coef: float = 0.5,
        max_grad_norm: float = 1.0,
        prior_share: float = 0.5,
        anchor: Callable[[Observation], Tensor] | None = None,
        anchor_coef: float = 0.5,
        anchor_share: float = 0.0,
        device: torch.device | str = "cpu",
        tensorboard_log: str | None = None,
        verbose: int = 0,
        _init_setup_model: bool = True,
    ) -> None:
        self.prior_share = prior_share
        self.anchor = anchor
        self.anchor_coef = anchor_coef
        self.anchor_share = anchor_share
        super().__init__(
            policy,  # type: ignore[arg-type]
            env,  # type: ignore[arg-type]
            learning_rate=learning_rate,
            n_steps=n_steps,
            gamma=gamma,
            gae_lambda=gae_lambda,
            ent_coef=ent_coef,
            vf_coef=vf_coef,
            max_grad_norm=max_grad_norm,
            use_rms_prop=False,
            normalize_advantage=True,
            policy_kwargs=policy_kwargs,
            tensorboard_log=tensorboard_log,
            verbose=verbose,
            device="cpu",
            _init_setup_model=_init_setup_model,
        )

    def train(self) -> None:
        """Make one gradient step on the rollout just collected."""
        self.policy.set_training_mode(True)
        self._update_learning_rate(self.policy.optimizer)
        buffer = self.rollout_buffer
        next(buffer.get(batch_size=1))  # lays the rollout out flat
        # In its own order: SB3's is drawn from NumPy's global luck and moves the last digits.
        batch = buffer._get_samples(np.arange(buffer.buffer_size * buffer.n_envs))
        actions = batch.actions.long()
        if self.policy.slate_size == 1:
            actions = actions.flatten()
        obs: Observation = batch.observations  # type: ignore[assignment]
        values, log_prob, entropy, item_log_probs = self.policy.evaluate_actions(obs, actions)
        advantage = batch.advantages
        advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
        policy_loss = losses.policy_gradient_loss(log_prob, advantage)
        value_loss = (batch.returns - values).square().mean()
        loss = policy_loss + self.vf_coef * value_loss - self.ent_coef * entropy.mean()
        if self.anchor is not None:
            with torch.no_grad():
                anchor = self.anchor(obs)
            held = self.anchor_coef
            if self.anchor_share > 0.0:
                held *= 1.0 - ramp(1.0 - self._current_progress_remaining, self.anchor_share)
            loss = loss + held * losses.kl_divergence(item_log_probs, anchor)
        self.policy.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.policy.scorer.parameters(), self.max_grad_norm)
        self.policy.optimizer.step()
        self.policy.set_training_mode(False)
        self._n_updates += 1
        # The rollout is used up, so the next one may follow another mixture with the prior.
        self.policy.alpha.fill_(
            1.0 - ramp(1.0 - self._current_progress_remaining, self.prior_share)
        )
        self.logger.record("train/policy_loss", float(policy_loss.detach()))
        self.logger.record("train/value_loss", float(value_loss.detach()))
        self.logger.record("train/entropy", float(entropy.detach().mean()))
        self.logger.record("train/alpha", float(self.policy.alpha) if self.policy.prior else 0.0)

    def _excluded_save_params(self) -> list[str]:
        return [*super()._excluded_save_params(), "anchor"]
