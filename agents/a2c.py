"""ItemA2C: advantage actor-critic on the item policy, with a KL anchor and an annealed prior."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3 import A2C
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.utils import obs_as_tensor
from stable_baselines3.common.vec_env import VecEnv
from torch import Tensor

from simrec.agents import losses
from simrec.agents.history import Observation
from simrec.agents.kac import ramp
from simrec.agents.policy import ItemPolicy

SCORES_AT_ONCE = 2**19  # that a part of a gradient step holds: 2 MB, which stay in the cache
LEAST_ROWS = 64  # of a part


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
        device: Where tensors live, but of a policy that is compiled; the users are on the CPU.
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
            device="cpu"
            if getattr(policy, "is_compiled", False)
            else device,  # SB3 loads on "auto"
            _init_setup_model=_init_setup_model,
        )

    def collect_rollouts(
        self,
        env: VecEnv,
        callback: BaseCallback,
        rollout_buffer: RolloutBuffer,
        n_rollout_steps: int,
    ) -> bool:
        """Fill the buffer as SB3 does, but look only at sessions that ended, all of them at once.

        SB3 asks the critic for each cut-off session by itself and goes through every user's info
        after every step: with thousands of users that is most of its time.
        """
        assert self._last_obs is not None, "learn() begins with a reset"
        self.policy.set_training_mode(False)
        rollout_buffer.reset()
        callback.on_rollout_start()
        unread = torch.zeros(env.num_envs)  # A2C learns once from a step, so never asks how likely
        for _ in range(n_rollout_steps):
            with torch.no_grad():
                tensors: Any = obs_as_tensor(self._last_obs, self.device)  # type: ignore[arg-type]
                actions, values = self.policy.act(tensors)
            chosen = actions.cpu().numpy()
            new_obs, rewards, dones, infos = env.step(chosen)
            self.num_timesteps += env.num_envs
            callback.update_locals(locals())
            if not callback.on_step():
                return False
            ended = np.flatnonzero(dones)
            self._update_info_buffer([infos[row] for row in ended])
            rewards = self._beyond_the_horizon(rewards, infos, ended)
            rollout_buffer.add(
                self._last_obs,  # type: ignore[arg-type]
                chosen,
                rewards,
                self._last_episode_starts,  # type: ignore[arg-type]
                values,
                unread,
            )
            self._last_obs = new_obs  # type: ignore[assignment]
            self._last_episode_starts = dones
        with torch.no_grad():
            values = self.policy.predict_values(obs_as_tensor(new_obs, self.device))  # type: ignore[arg-type]
        rollout_buffer.compute_returns_and_advantage(last_values=values, dones=dones)
        callback.update_locals(locals())
        callback.on_rollout_end()
        return True

    def _beyond_the_horizon(
        self, rewards: NDArray[Any], infos: list[dict[str, Any]], ended: NDArray[np.intp]
    ) -> NDArray[Any]:
        """Return rewards (B,) plus gamma V(s') where the horizon cut a session off (truncated)."""
        cut = [row for row in ended if infos[row].get("TimeLimit.truncated", False)]
        if not cut:
            return rewards
        last = [infos[row]["terminal_observation"] for row in cut]
        tensors: Any = obs_as_tensor(
            {key: np.stack([one[key] for one in last]) for key in last[0]}, self.device
        )
        with torch.no_grad():
            values = self.policy.predict_values(tensors).flatten().cpu().numpy()
        rewards = rewards.copy()
        rewards[cut] += self.gamma * values
        return rewards

    def train(self) -> None:
        """Make one gradient step on the rollout just collected."""
        self.policy.set_training_mode(True)
        self._update_learning_rate(self.policy.optimizer)
        buffer = self.rollout_buffer
        next(buffer.get(batch_size=1))  # lays the rollout out flat
        # In its own order: SB3's is drawn from NumPy's global luck and moves the last digits.
        size = buffer.buffer_size * buffer.n_envs
        mean, spread = buffer.advantages.mean(), buffer.advantages.std(ddof=1) + 1e-8
        held = self.anchor_coef
        if self.anchor_share > 0.0:
            held *= 1.0 - ramp(1.0 - self._current_progress_remaining, self.anchor_share)
        rows = max(LEAST_ROWS, SCORES_AT_ONCE // self.policy.n_scores)
        told = {"policy_loss": 0.0, "value_loss": 0.0, "entropy": 0.0}
        self.policy.optimizer.zero_grad()
        for first in range(0, size, rows):  # one gradient step, summed up in parts
            batch = buffer._get_samples(np.arange(first, min(first + rows, size)))
            share = len(batch.returns) / size
            actions = batch.actions.long()
            if self.policy.slate_size == 1:
                actions = actions.flatten()
            obs: Observation = batch.observations  # type: ignore[assignment]
            values, log_prob, entropy = self.policy.evaluate_actions(obs, actions)
            advantage = (batch.advantages - float(mean)) / float(spread)
            policy_loss = losses.policy_gradient_loss(log_prob, advantage)
            value_loss = (batch.returns - values).square().mean()
            loss = policy_loss + self.vf_coef * value_loss - self.ent_coef * entropy.mean()
            if self.anchor is not None:
                with torch.no_grad():
                    anchor = self.anchor(obs)
                loss = loss + held * losses.kl_divergence(self.policy.log_probs(obs), anchor)
            (share * loss).backward()
            told["policy_loss"] += share * float(policy_loss.detach())
            told["value_loss"] += share * float(value_loss.detach())
            told["entropy"] += share * float(entropy.detach().mean())
        self.policy.optimizer.clip(self.max_grad_norm)
        self.policy.optimizer.step()
        self.policy.set_training_mode(False)
        self._n_updates += 1
        # The rollout is used up, so the next one may follow another mixture with the prior.
        self.policy.alpha.fill_(
            1.0 - ramp(1.0 - self._current_progress_remaining, self.prior_share)
        )
        for name, value in told.items():
            self.logger.record(f"train/{name}", value)
        self.logger.record("train/alpha", float(self.policy.alpha) if self.policy.prior else 0.0)

    def _excluded_save_params(self) -> list[str]:
        return [*super()._excluded_save_params(), "anchor"]
