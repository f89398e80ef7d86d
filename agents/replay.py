"""A replay memory that keeps each step once: the state before is the state after, one step back."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from numba import njit
from numpy.typing import NDArray
from stable_baselines3.common.buffers import BaseBuffer

from simrec.agents.history import Observation
from simrec.agents.policy import slate_size_of


@dataclass(frozen=True)
class Replay:
    """A batch of remembered steps."""

    obs: Observation  # before the step
    items: torch.Tensor  # (N, k) int64 shown
    clicks: torch.Tensor  # (N, k) float32, 1 clicked
    fresh: torch.Tensor  # (N, k) float32, 1 = not in the history before, so a click was possible
    when: NDArray[np.int64]  # (N,) row of the memory
    slot: NDArray[np.int64]  # (N,) environment


@dataclass(frozen=True)
class Ahead:
    """What followed each step of a batch, up to n steps."""

    clicks: torch.Tensor  # (N, n) float32 of the step itself and those after it, 0 past the end
    obs: Observation  # after the last of these steps
    bootstrap: torch.Tensor  # (N,) float32 discount of the value there, 0 where the session ended


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _before(
    items: NDArray[np.int32],
    feedback: NDArray[np.float32],
    when: NDArray[np.int64],
    slot: NDArray[np.int64],
    k: int,
) -> tuple[NDArray[Any], ...]:
    """Return history and feedback (N, L) before steps; items, clicks and freshness (N, k) there."""
    n, length = len(when), items.shape[2]
    history = np.full((n, length), -1, dtype=np.int64)
    liked = np.zeros((n, length), dtype=np.float32)
    shown = np.empty((n, k), dtype=np.int64)
    clicks = np.empty((n, k), dtype=np.float32)
    fresh = np.ones((n, k), dtype=np.float32)
    for i in range(n):
        after, answers = items[when[i], slot[i]], feedback[when[i], slot[i]]
        for j in range(length - k):
            history[i, j + k], liked[i, j + k] = after[j], answers[j]
        for j in range(k):
            shown[i, j], clicks[i, j] = after[length - k + j], answers[length - k + j]
            for place in range(k, length):
                if history[i, place] == shown[i, j]:
                    fresh[i, j] = 0.0
    return history, liked, shown, clicks, fresh


class HistoryReplay(BaseBuffer):
    """A ring of the newest steps; histories are right-aligned, so k places back is one step back.

    SB3's DictReplayBuffer keeps both observations in full and draws from NumPy's global luck;
    this one needs 0.3 of the memory and draws from its own generator.
    """

    def __init__(
        self,
        buffer_size: int,
        observation_space: spaces.Dict,
        action_space: spaces.Space[Any],
        device: torch.device | str = "auto",
        n_envs: int = 1,
        optimize_memory_usage: bool = False,
        luck: int = 0,
    ) -> None:
        super().__init__(buffer_size, observation_space, action_space, device, n_envs=n_envs)
        assert not optimize_memory_usage, "every step is kept once already"
        length = int(np.prod(observation_space["history"].shape or ()))
        self.k = slate_size_of(action_space)
        self.rows = max(buffer_size // n_envs, 1)
        shape = (self.rows, n_envs)
        self.items = np.full((*shape, length), -1, dtype=np.int32)
        self.feedback = np.zeros((*shape, length), dtype=np.float32)
        self.step = np.zeros(shape, dtype=np.int32)
        self.done = np.zeros(shape, dtype=np.bool_)
        # what was not on offer before and after a step, one date for every slot; usually nothing
        absent = observation_space.spaces.get("absent")
        kept = None if absent is None else (self.rows, *(absent.shape or ()))
        self.absent = None if kept is None else np.full((2, *kept), -1, dtype=np.int32)
        self.rng = np.random.default_rng(luck)

    def add(
        self,
        obs: dict[str, NDArray[Any]],
        next_obs: dict[str, NDArray[Any]],
        action: NDArray[Any],
        reward: NDArray[Any],
        done: NDArray[Any],
        infos: list[dict[str, Any]],
    ) -> None:
        """Remember one vector step; where a session ended, `infos` may hold the true last one."""
        at = self.pos
        self.items[at] = next_obs["history"]
        self.feedback[at] = next_obs["feedback"]
        self.step[at] = next_obs["step"][:, 0]
        self.done[at] = done
        if self.absent is not None:
            self.absent[:, at] = obs["absent"][0], next_obs["absent"][0]
        for row in np.flatnonzero(done) if infos else ():
            last = infos[row].get("terminal_observation")
            if last is not None:  # `next_obs` is of the next session already
                self.items[at, row] = last["history"]
                self.feedback[at, row] = last["feedback"]
                self.step[at, row] = last["step"][0]
        self.pos += 1
        if self.pos == self.rows:
            self.full, self.pos = True, 0

    def sample(self, batch_size: int, env: Any = None) -> Replay:
        """Draw `batch_size` steps uniformly, with replacement."""
        upper = self.rows if self.full else self.pos
        return self._at(
            self.rng.integers(0, upper, batch_size), self.rng.integers(0, self.n_envs, batch_size)
        )

    def newest(self, vector_steps: int) -> Replay:
        """Return the last `vector_steps` steps of every environment."""
        back = np.arange(min(vector_steps, self.rows if self.full else self.pos)) + 1
        when = np.repeat((self.pos - back) % self.rows, self.n_envs)
        return self._at(when, np.tile(np.arange(self.n_envs), len(back)))

    def _at(self, when: NDArray[np.int64], slot: NDArray[np.int64]) -> Replay:
        before, liked, shown, clicks, fresh = _before(self.items, self.feedback, when, slot, self.k)
        step = self.step[when, slot].astype(np.int64) - 1
        return Replay(
            {
                "history": torch.from_numpy(before),
                "feedback": torch.from_numpy(liked),
                "step": torch.from_numpy(step).unsqueeze(1),
                **self._absent(0, when),
            },
            torch.from_numpy(shown),
            torch.from_numpy(clicks),
            torch.from_numpy(fresh),
            when,
            slot,
        )

    def ahead(self, batch: Replay, n: int, gamma: float) -> Ahead:
        """Return up to n steps from each step of a batch of single items on.

        They stop where the session ends, and at the newest step, whose end value is then asked.
        """
        last = np.array((self.pos - 1) % self.rows)
        when, slot = batch.when.copy(), batch.slot
        clicks = np.zeros((len(when), n), dtype=np.float32)
        clicks[:, 0] = batch.clicks[:, 0].numpy()
        used = np.ones(len(when), dtype=np.int64)
        for j in range(1, n):
            going = ~self.done[when, slot] & (when != last)
            when = np.where(going, (when + 1) % self.rows, when)
            clicks[going, j] = self.feedback[when[going], slot[going], -1]
            used += going
        obs = {
            "history": torch.as_tensor(self.items[when, slot]).long(),
            "feedback": torch.as_tensor(self.feedback[when, slot]),
            "step": torch.as_tensor(self.step[when, slot]).unsqueeze(1),
            **self._absent(1, when),
        }
        weight = np.where(self.done[when, slot], 0.0, gamma**used).astype(np.float32)
        return Ahead(torch.as_tensor(clicks), obs, torch.as_tensor(weight))

    def _absent(self, side: int, when: NDArray[np.int64]) -> Observation:
        """Return what was not on offer before (0) or after (1) steps, where items come and go."""
        if self.absent is None:
            return {}
        return {"absent": torch.from_numpy(self.absent[side, when].astype(np.int64))}

    def _get_samples(self, batch_inds: NDArray[Any], env: Any = None) -> Any:
        raise AssertionError("rows are addressed by time and slot: use sample or newest")
