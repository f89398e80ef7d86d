"""KAC: a KL-regularised actor-critic for item catalogues, with replay."""

import copy
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.vec_env import VecEnv

from simrec.agents import losses
from simrec.agents.adaptation import Adaptation
from simrec.agents.gradient import click_gradient
from simrec.agents.history import HistoryPooling
from simrec.agents.policy import ItemPolicy
from simrec.agents.replay import HistoryReplay, Replay
from simrec.agents.scorer import ItemScorer
from simrec.errors import SimrecError


def ramp(progress: float, share: float) -> float:
    """Return how much of a schedule is over: progress / share, at most 1; 1 where share is 0."""
    return 1.0 if share <= 0.0 else min(1.0, progress / share)


class KAC(OffPolicyAlgorithm):
    """Critic: click logits fitted on replay. Actor: the critic's softmax against a prior, exact.

    pi_k(a|s) is proportional to pi_0(a|s)^alpha_k exp(q(s,a) / tau_k), which maximises
    E_pi[q] - tau_k KL(pi || pi_0^alpha_k) over all policies; tau falls geometrically and alpha
    linearly to 0. Source: this project's design notes, reconstructed; no paper has it.

    At discount 0 the critic is myopic: its target is the click itself. Above 0 it is fitted to
    y = (1 - gamma) sum_j gamma^j r_{t+j} + gamma^n E_{b~pi} s(qbar(s_{t+n}, b)), s the logistic
    function and qbar a slow copy: a return scaled to [0, 1], so that the loss stays the click's
    cross-entropy. The session's end, the horizon included, has no value after it. Temperatures
    are scaled by 1 - gamma as the returns are. Steps in between are not corrected for the policy
    having changed (as in n-step DQN; Hessel et al. 2018).

    Args:
        env: Vector environment of recommendation sessions.
        policy_kwargs: Arguments of `ItemPolicy`.
        learning_rate: AdamW's rate at the start; falls linearly to `final_learning_rate`.
        final_learning_rate: Rate at the end of training.
        rollout_steps: Vector steps between updates.
        batch_size: Remembered steps a gradient step reads.
        gradient_steps: Gradient steps an update; the first reads the newest rollout, the rest
            draw from the whole memory.
        buffer_size: Steps remembered.
        temperature: Exploration temperature at the start, above 0.
        final_temperature: Temperature from `temperature_share` of training on.
        temperature_share: Share of training over which the temperature falls.
        prior_share: Share of training over which alpha falls from 1 to 0.
        max_grad_norm: Gradient norm above which gradients are scaled down.
        gamma: Discount, 0 to below 1; above 0 for single items only.
        n_steps: Steps whose clicks a target adds up before it asks the critic, where gamma > 0.
        polyak: Share of the slow copy kept at each gradient step, 0 to 1, where gamma > 0.
        adaptation: What a strategy changes while this learner learns, or None.
        luck: Seed of replay draws.
        device: Accepted because SB3's `load` passes it; the learner works on the CPU.
    """

    policy_aliases: ClassVar[dict[str, type[BasePolicy]]] = {"ItemPolicy": ItemPolicy}
    policy: ItemPolicy
    replay_buffer: HistoryReplay  # type: ignore[assignment]

    def __init__(
        self,
        policy: str | type[ItemPolicy],
        env: VecEnv | None,
        *,
        policy_kwargs: dict[str, Any] | None = None,
        learning_rate: float = 5e-3,
        final_learning_rate: float = 1e-3,
        rollout_steps: int = 12,
        batch_size: int = 768,
        gradient_steps: int = 4,
        buffer_size: int = 400_000,
        temperature: float = 0.2,
        final_temperature: float = 0.08,
        temperature_share: float = 0.2,
        prior_share: float = 0.1,
        max_grad_norm: float = 5.0,
        gamma: float = 0.0,
        n_steps: int = 1,
        polyak: float = 0.98,
        adaptation: Adaptation | None = None,
        luck: int = 0,
        device: torch.device | str = "cpu",
        tensorboard_log: str | None = None,
        verbose: int = 0,
        _init_setup_model: bool = True,
    ) -> None:
        self.final_learning_rate = final_learning_rate
        self.initial_temperature = temperature
        self.final_temperature = final_temperature
        self.temperature_share = temperature_share
        self.prior_share = prior_share
        self.max_grad_norm = max_grad_norm
        self.look_ahead = n_steps
        self.polyak = polyak
        self.adaptation = adaptation
        self.slow: ItemScorer | None = None  # the slow copy of the critic, where gamma > 0
        self.luck = luck
        super().__init__(
            policy,
            env,  # type: ignore[arg-type]
            learning_rate=lambda left: (
                # The last rollout may go past the budget, where SB3's `left` is below 0.
                final_learning_rate + (learning_rate - final_learning_rate) * max(left, 0.0)
            ),
            buffer_size=buffer_size,
            learning_starts=0,
            batch_size=batch_size,
            gamma=gamma,
            train_freq=(rollout_steps, "step"),
            gradient_steps=gradient_steps,
            replay_buffer_class=HistoryReplay,  # type: ignore[arg-type]
            replay_buffer_kwargs={"luck": luck},
            policy_kwargs=policy_kwargs,
            tensorboard_log=tensorboard_log,
            verbose=verbose,
            device="cpu",
            support_multi_env=True,
            sde_support=False,
        )
        if _init_setup_model:
            self._setup_model()

    def _setup_model(self) -> None:
        super()._setup_model()
        if self.gamma > 0.0 and self.policy.slate_size > 1:
            raise SimrecError(
                f"setting 'gamma' of learner 'kac' is {self.gamma} with slates of "
                f"{self.policy.slate_size}; expected 0, or slate_size 1"
            )
        self._follow_schedules(progress=0.0)

    def _follow_schedules(self, progress: float) -> None:
        cooled = ramp(progress, self.temperature_share)
        ratio = self.final_temperature / self.initial_temperature
        scale = 1.0 - self.gamma  # exactly 1 for the myopic critic
        self.policy.temperature.fill_(scale * self.initial_temperature * ratio**cooled)
        self.policy.alpha.fill_(1.0 - ramp(progress, self.prior_share))
        if self.adaptation is not None:
            self.adaptation.schedule(self.policy, progress)

    def _on_step(self) -> None:
        self._follow_schedules(1.0 - self._current_progress_remaining)

    def _store_transition(  # type: ignore[override]
        self,
        replay_buffer: HistoryReplay,
        buffer_action: NDArray[Any],
        new_obs: dict[str, NDArray[Any]],
        reward: NDArray[Any],
        dones: NDArray[np.bool_],
        infos: list[dict[str, Any]],
    ) -> None:
        assert isinstance(self._last_obs, dict)
        replay_buffer.add(self._last_obs, new_obs, buffer_action, reward, dones, infos)
        self._last_obs = new_obs
        if self.adaptation is not None:
            self.adaptation.outcome(self.policy, reward, dones)
            if self._n_updates == 0:
                self.adaptation.beginning(self.policy, replay_buffer.newest(replay_buffer.pos))

    def _update_info_buffer(
        self, infos: list[dict[str, Any]], dones: NDArray[np.bool_] | None = None
    ) -> None:
        """Look only at sessions that ended: the other users have no news."""
        assert dones is not None
        ended = np.flatnonzero(dones)
        super()._update_info_buffer([infos[row] for row in ended], dones[ended])

    def _targets(self, batch: Replay) -> torch.Tensor:
        """Return what the critic should say of the shown items (N, k): a number in [0, 1]."""
        if self.gamma == 0.0:
            return batch.clicks
        if self.slow is None:
            self.slow = copy.deepcopy(self.policy.scorer).requires_grad_(False)
        ahead = self.replay_buffer.ahead(batch, self.look_ahead, self.gamma)
        with torch.no_grad():
            probs = self.policy.log_probs(ahead.obs).exp()
            q, level = self.slow(ahead.obs, self.policy.vectors)
            value = (probs * (q + level.unsqueeze(1)).sigmoid()).sum(1)
        return losses.scaled_return(ahead.clicks, ahead.bootstrap, value, self.gamma).unsqueeze(1)

    def _follow_slowly(self) -> None:
        if self.slow is None:
            return
        with torch.no_grad():
            for slow, fast in zip(
                self.slow.parameters(), self.policy.scorer.parameters(), strict=True
            ):
                slow.lerp_(fast, 1.0 - self.polyak)

    def _gradient(self, batch: Replay) -> float:
        """Set the gradients of the loss on a batch and return the loss."""
        vectors, critics = self.policy.vectors, self.policy.critics()
        targets = self._targets(batch)
        total = 0.0
        for critic in critics:
            if isinstance(critic, ItemScorer) and isinstance(critic.pool, HistoryPooling):
                total += click_gradient(
                    critic, batch.obs, vectors, batch.items, targets, batch.fresh
                )
                continue
            critic.zero_grad()
            q, level = critic.at(batch.obs, vectors, batch.items)
            loss = losses.click_loss(q + level.unsqueeze(1), targets, batch.fresh)
            loss.backward()
            total += float(loss.detach())
        return total / len(critics)

    def train(self, gradient_steps: int, batch_size: int = 768) -> None:
        """Fit the critic: the newest rollout once, then draws from the whole memory."""
        self.policy.set_training_mode(True)
        self._update_learning_rate(self.policy.optimizer)
        total = 0.0
        newest = self.replay_buffer.newest(self.train_freq.frequency)  # type: ignore[union-attr]
        if self.adaptation is not None:
            self.adaptation.held_out(self.policy, newest)
        for step in range(gradient_steps):
            batch = newest if step == 0 else self.replay_buffer.sample(batch_size)
            total += self._gradient(batch)
            self.policy.optimizer.clip(self.max_grad_norm)
            self.policy.optimizer.step()
            self._follow_slowly()
        self.policy.set_training_mode(False)
        self._n_updates += gradient_steps
        with torch.no_grad():
            some = {key: value[:64] for key, value in batch.obs.items()}
            entropy = losses.entropy(self.policy.log_probs(some))
        self.logger.record("train/critic_loss", total / gradient_steps)
        self.logger.record("train/entropy", float(entropy))
        self.logger.record("train/temperature", float(self.policy.temperature))
        self.logger.record("train/alpha", float(self.policy.alpha) if self.policy.prior else 0.0)
        if self.adaptation is not None:
            self.adaptation.learned(self.policy, batch)
            for name, value in self.adaptation.report(self.policy).items():
                self.logger.record(f"train/{name}", value)

    def _excluded_save_params(self) -> list[str]:
        return [*super()._excluded_save_params(), "replay_buffer", "slow"]

    def _get_torch_save_params(self) -> tuple[list[str], list[str]]:
        return ["policy", "policy.optimizer"], []
