"""SlateQ: the value of a slate from the values of its items and a model of what users choose."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv
from torch import Tensor

from simrec.agents.baselines import Observations, unseen
from simrec.agents.history import Observation
from simrec.agents.policy import ItemPolicy, slate_size_of
from simrec.agents.replay import Ahead, HistoryReplay, Replay
from simrec.agents.scorer import ItemScorer
from simrec.agents.strategy import Deployment, Online, strategy


def slate_value(weight: Tensor, worth: Tensor, nothing: float = 1.0) -> Tensor:
    """Return Q(s, A) = sum_i P(i | s, A) Q(s, i) with P = v_i / (v_0 + sum_j v_j).

    The decomposition of SlateQ under a conditional logit (Ie et al. 2019; reconstructed).

    Args:
        weight: (..., k) v, how attractive the slate's items are, 0 or more.
        worth: (..., k) Q(s, i), the long-term value of i once it is chosen.
        nothing: v_0 of choosing nothing, above 0.
    """
    return (weight * worth).sum(-1) / (nothing + weight.sum(-1))


def best_slate(
    weight: Tensor, worth: Tensor, k: int, *, nothing: float = 1.0, rounds: int = 20
) -> Tensor:
    """Return the slate (N, k) of greatest `slate_value`, exactly, best contribution first.

    The paper solves a linear programme; here it is solved as a ratio (Dinkelbach 1967;
    reconstructed): under a guess z of the best value, the k items of greatest v_i (Q_i - z)
    maximise sum v Q - z (v_0 + sum v); the value of that slate is the next guess. The guesses rise
    to the optimum within a few rounds.

    Args:
        weight: (N, I) v, 0 or more.
        worth: (N, I) Q, -inf where an item may not be shown.
        k: Slate size; each row needs k items that may be shown.
        nothing: v_0, above 0.
        rounds: Most rounds.
    """
    allowed = worth > -torch.inf
    worth = worth.masked_fill(~allowed, 0.0)
    guess = torch.zeros(len(weight), 1, dtype=weight.dtype)
    slate = torch.zeros(len(weight), k, dtype=torch.long)
    for turn in range(rounds):
        gain = (weight * (worth - guess)).masked_fill(~allowed, -torch.inf)
        slate = gain.topk(k, dim=1).indices
        value = slate_value(weight.gather(1, slate), worth.gather(1, slate), nothing).unsqueeze(1)
        if turn and bool((value <= guess).all()):
            break
        guess = value
    return slate


def choice_loss(logits: Tensor, clicks: Tensor, fresh: Tensor) -> Tensor:
    """Return the mean -log P of what was chosen of each slate, or of choosing nothing.

    Conditional logit (McFadden 1974; reconstructed), in which choosing nothing has logit 0.

    Args:
        logits: (N, k) log v.
        clicks: (N, k) 1 chosen; where several were, each counts.
        fresh: (N, k) 1 = could be chosen.
    """
    open_ = logits.masked_fill(fresh == 0, -1e4)
    log_probs = torch.cat([torch.zeros(len(logits), 1), open_], dim=1).log_softmax(1)
    none = 1.0 - clicks.amax(1, keepdim=True)
    return -(torch.cat([none, clicks], dim=1) * log_probs).sum(1).mean()


def slateq_loss(
    worth: Tensor, reward: Tensor, gamma: float, following: Tensor, chosen: Tensor
) -> Tensor:
    """Return the mean of (Q(s, i) - r - gamma Q(s', A'))^2 over the items chosen.

    SlateQ's update (Ie et al. 2019; reconstructed).

    Args:
        worth: (N, k) Q of the slate's items.
        reward: (N, k) what each earned.
        gamma: Discount, 0 to 1.
        following: (N,) slate value of the state after, 0 where the session ended; held constant.
        chosen: (N, k) 1 where the user chose the item: nothing is learnt of the others.
    """
    target = (reward + gamma * following.unsqueeze(1)).detach()
    return ((worth - target).square() * chosen).sum() / chosen.sum().clamp(min=1.0)


class SlateQ:
    """Learns v (what users choose) and Q (what comes of it) from a replay, and shows best slates.

    v = exp of the logits of a conditional logit over the slate. Q is learnt where items were
    chosen, by Q-learning (A' is the best slate of s') with a slow copy; slates are explored by
    giving each step's slate to chance with a probability that falls. What follows when nothing is
    chosen is left out (the paper can count it as one more item of the slate).

    Args:
        env: Users.
        policy: item_vectors (I, D), width, free_vectors: as of `ItemPolicy`.
        luck: Seed of weights, draws and exploration.
        gamma: Discount, 0 to below 1.
        explore: Share of random slates at the start; falls linearly to 0.02 over half the run.
    """

    rollout: int = 12  # vector steps between updates
    gradient_steps: int = 4
    batch_size: int = 768
    polyak: float = 0.98

    num_timesteps = 0  # of earlier calls of `learn`: it always starts anew

    def __init__(
        self,
        env: VecEnv,
        policy: dict[str, Any],
        *,
        luck: int,
        gamma: float = 0.5,
        explore: float = 0.3,
    ) -> None:
        self.env = env
        self.gamma = gamma
        self.explore = explore
        self.slate_size = slate_size_of(env.action_space)
        self.vectors = torch.as_tensor(np.array(policy["item_vectors"]))
        self.rng = np.random.default_rng(luck)
        self.luck = luck
        generator = torch.Generator().manual_seed(luck)

        def scorer() -> ItemScorer:
            return ItemScorer(
                self.vectors.shape[1],
                len(self.vectors),
                width=policy["width"],
                free_vectors=policy["free_vectors"],
                slate_size=self.slate_size,
                generator=generator,
            )

        self.choice, self.worth, self.slow = scorer(), scorer(), scorer()
        self.slow.load_state_dict(self.worth.state_dict())
        self.optimizer = torch.optim.AdamW(
            [*self.choice.parameters(), *self.worth.parameters()], lr=5e-3, weight_decay=0.01
        )
        self.progress = 0.0
        self._last_obs: Any = None

    def slates(self, obs: Observation, may: Tensor, worth: ItemScorer) -> tuple[Tensor, Tensor]:
        """Return the best slates (N, k) and their values (N,).

        Args:
            obs: Batched observation.
            may: (N, I) True where an item may be shown.
            worth: Which Q: the newest or the slow one.
        """
        with torch.no_grad():
            logits, level = self.choice(obs, self.vectors)
            weight = (logits + level.unsqueeze(1)).clamp(-15.0, 15.0).exp()
            q, base = worth(obs, self.vectors)
            q = q + base.unsqueeze(1)
            slate = best_slate(weight, q.masked_fill(~may, -torch.inf), self.slate_size)
            return slate, slate_value(weight.gather(1, slate), q.gather(1, slate))

    def predict(
        self,
        observation: Observations,
        state: Any = None,
        episode_start: Any = None,
        deterministic: bool = False,
    ) -> tuple[NDArray[np.int64], Any]:
        """Return the best slates of unseen items, or random ones where chance says so."""
        may = unseen(observation, len(self.vectors))
        tensors = {key: torch.as_tensor(value) for key, value in observation.items()}
        shown = self.slates(tensors, torch.as_tensor(may), self.worth)[0].numpy()
        if not deterministic:
            rate = max(0.02, self.explore * (1.0 - 2.0 * self.progress))
            for row in np.flatnonzero(self.rng.random(len(may)) < rate):
                shown[row] = self.rng.choice(
                    np.flatnonzero(may[row]), self.slate_size, replace=False
                )
        return (shown[:, 0] if self.slate_size == 1 else shown), state

    def learn(self, env_steps: int, **unused: Any) -> None:
        """Serve users for `env_steps` steps, learning from the replay as it fills.

        What else SB3's learners take is accepted and not used: there is nothing to log.
        """
        n_envs = self.env.num_envs
        replay = HistoryReplay(
            400_000,
            self.env.observation_space,  # type: ignore[arg-type]
            self.env.action_space,
            device="cpu",
            n_envs=n_envs,
            luck=self.luck,
        )
        obs: Any = self.env.reset()
        for made in range(0, env_steps, n_envs):
            self.progress = made / env_steps
            actions, _ = self.predict(obs)
            after, reward, done, infos = self.env.step(actions)
            last = {key: value.copy() for key, value in after.items()}  # type: ignore[union-attr]
            for row in np.flatnonzero(done):
                for key, value in infos[row]["terminal_observation"].items():
                    last[key][row] = value
            replay.add(obs, last, actions, reward, done, infos)
            obs = after
            if (made // n_envs + 1) % self.rollout == 0:
                for step in range(self.gradient_steps):
                    newest = step == 0
                    batch = (
                        replay.newest(self.rollout) if newest else replay.sample(self.batch_size)
                    )
                    self._fit(batch, replay.ahead(batch, 1, self.gamma))
        self._last_obs = obs

    def _fit(self, batch: Replay, ahead: Ahead) -> None:
        """Make one gradient step of both models."""
        logits, level = self.choice.at(batch.obs, self.vectors, batch.items)
        choice = choice_loss(logits + level.unsqueeze(1), batch.clicks, batch.fresh)
        after = {key: value.numpy() for key, value in ahead.obs.items()}
        may = torch.as_tensor(unseen(after, len(self.vectors)))
        value = self.slates(ahead.obs, may, self.slow)[1]
        following = value * (ahead.bootstrap > 0).float()
        q, base = self.worth.at(batch.obs, self.vectors, batch.items)
        chosen = batch.clicks * batch.fresh
        loss = choice + slateq_loss(
            q + base.unsqueeze(1), batch.clicks, self.gamma, following, chosen
        )
        self.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.optimizer.param_groups[0]["params"], 5.0)
        self.optimizer.step()
        with torch.no_grad():
            for slow, fast in zip(self.slow.parameters(), self.worth.parameters(), strict=True):
                slow.lerp_(fast, 1.0 - self.polyak)


@strategy("slateq", source="SlateQ: Ie et al., IJCAI 2019; reconstructed", pretrained=False)
def slateq(pretrained: ItemPolicy, online: Online) -> Deployment:
    """Q-learning over items with a model of the user's choice; shows the slate worth most."""
    return Deployment(SlateQ(online.env, online.spec.policy, luck=online.luck), learns=True)
