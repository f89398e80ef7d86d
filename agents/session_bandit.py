"""A bandit over two policies: who serves the next session is drawn by what each has earned."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from simrec.agents.adaptation import Adaptation
from simrec.agents.expansion import Mixture, frozen_share
from simrec.agents.policy import ItemPolicy
from simrec.agents.strategy import Deployment, Online, adapted, strategy


class Returns:
    """Discounted mean and spread of an arm's clicks per session, with a normal belief.

    Args:
        keep: Weight of a session after each later one of either arm, 0 to 1: an arm that learns is
            judged by what it does now, and one not tried for long becomes uncertain again.
    """

    def __init__(self, keep: float = 0.998) -> None:
        self.keep = keep
        self.n = self.total = self.squares = 0.0

    def fade(self) -> None:
        """Let one session of the other arm pass."""
        self.n *= self.keep
        self.total *= self.keep
        self.squares *= self.keep

    def add(self, clicks: float) -> None:
        """Count one session of this arm."""
        self.fade()
        self.n += 1.0
        self.total += clicks
        self.squares += clicks * clicks

    def draw(self, rng: np.random.Generator, n: int) -> NDArray[np.float64]:
        """Return n draws of what the mean might be (Thompson 1933; normal form reconstructed)."""
        luck = rng.standard_normal(n)
        if self.n < 2.0:
            return 1e6 * luck  # nothing known: either arm is as likely to be drawn
        mean = self.total / self.n
        spread = max(self.squares / self.n - mean * mean, 1e-2)
        return np.asarray(mean + np.sqrt(spread / self.n) * luck)


class BySession(Mixture):
    """Act by one of the two policies for a whole session, as `arm` says for each slot."""

    arm: NDArray[np.bool_] = np.zeros(0, dtype=np.bool_)  # (B,) True: the new policy
    wins: tuple[Returns, Returns]  # of pi_0 and of the new policy

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.wins = (Returns(), Returns())
        self.dice = np.random.default_rng(kwargs.get("luck", 0))

    def choose(self, obs: Any, q: Tensor, old: Tensor, new: Tensor) -> Tensor:
        """Return 1 where the session is the new policy's; a session that begins draws its arm."""
        begins = (obs["step"].view(-1) == 0).numpy()
        if len(self.arm) != len(begins):
            self.arm, begins = np.zeros(len(begins), dtype=np.bool_), np.ones_like(begins)
        guess = [returns.draw(self.dice, int(begins.sum())) for returns in self.wins]
        self.arm[begins] = guess[1] > guess[0]
        return torch.as_tensor(self.arm).float()


class Verdicts(Adaptation):
    """Tells `BySession` what each session was worth."""

    def __init__(self) -> None:
        self.clicks: NDArray[np.float64] | None = None  # (B,) of the session under way

    def outcome(self, policy: ItemPolicy, reward: NDArray[Any], done: NDArray[np.bool_]) -> None:
        """Add up clicks and count finished sessions for their arm."""
        assert isinstance(policy, BySession)
        self.clicks = reward + (0.0 if self.clicks is None else self.clicks)
        for slot in np.flatnonzero(done):
            arm = int(policy.arm[slot])
            policy.wins[arm].add(float(self.clicks[slot]))
            policy.wins[1 - arm].fade()
        self.clicks[done] = 0.0

    def report(self, policy: ItemPolicy) -> dict[str, float]:
        """Return the share of actions that were pi_0's."""
        return frozen_share(policy)


@strategy("ap-bandit", source="Thompson 1933 on two policies; this project's design notes")
def bandit(pretrained: ItemPolicy, online: Online) -> Deployment:
    """Each session is served by pi_0 or by the new policy, chosen by Thompson sampling."""
    return adapted(
        online, Verdicts(), policy=BySession, prior=pretrained, settings={"prior_share": 0.0}
    )
