"""`ap`: a new critic with pi_0's encoder, and a prior that keeps its place while it earns it."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from simrec.agents.adaptation import Adaptation
from simrec.agents.history import Observation, seen_mask
from simrec.agents.learners import make_learner
from simrec.agents.policy import PRIOR_FLOOR, ItemPolicy
from simrec.agents.relabelled import relabelled
from simrec.agents.session_bandit import Returns
from simrec.agents.strategy import Deployment, Online, adapted, strategy

HOLD_OUT = 4  # every fourth slot is served without pi_0


class Guided(ItemPolicy):
    """pi_0^alpha exp(q / tau) in three slots of four, exp(q / tau) alone in the fourth.

    The fourth is the hold-out by which pi_0 is judged, and shows the critic what pi_0 never would.
    A slot is a row of the batch.
    """

    def logits(self, obs: Observation) -> Tensor:
        """Return (N, I) unnormalised log-probabilities; seen items are -inf."""
        q, _ = self.scorer(obs, self.vectors)
        logits: Tensor = q / self.temperature
        if float(self.alpha) > 0.0:
            assert self.prior is not None
            guided = torch.from_numpy(guided_slots(len(q))).float().unsqueeze(1)
            with torch.no_grad():
                prior = self.prior.log_probs(obs).clamp(min=PRIOR_FLOOR)
            logits = logits + self.alpha * guided * prior
        return logits.masked_fill(seen_mask(obs["history"], self.n_items), -torch.inf)


def guided_slots(n: int) -> NDArray[np.bool_]:
    """Return (n,) False for every HOLD_OUT-th slot, which pi_0 does not guide."""
    slots: NDArray[np.bool_] = np.arange(n) % HOLD_OUT != HOLD_OUT - 1
    return slots


def alpha_by_clicks(clicks: float, n_items: int, clicks_per_item: float) -> float:
    """Return max(0, 1 - clicks / (clicks_per_item I)): what is left of the prior's weight.

    A new critic has one score for each item to learn, so what it needs grows with the catalogue,
    and a step without a click tells it little where clicks are rare. This project's own rule.

    Args:
        clicks: Clicks heard since pi_0 was last worth its place, 0 or more.
        n_items: Number of items I, 1 or more.
        clicks_per_item: Clicks an item, on average, at which the prior is silent; above 0.
    """
    return max(0.0, 1.0 - clicks / (clicks_per_item * n_items))


def clearly_better(a: Returns, b: Returns, margin: float) -> bool:
    """Return whether a's mean lies more than `margin` standard errors of the difference above b's.

    Args:
        a: Recent sessions of one arm, at least one.
        b: Of the other.
        margin: Standard errors.
    """
    gap = a.total / a.n - b.total / b.n
    error = sum(max(x.squares / x.n - (x.total / x.n) ** 2, 0.0) / x.n for x in (a, b))
    return bool(gap > margin * error**0.5)


class HoldOut(Adaptation):
    """Keep alpha while guided sessions clearly beat the hold-out; then let clicks silence pi_0.

    Until both have finished `patience` sessions nothing is known and alpha stays. It is never above
    the learner's own alpha, which falls with time, so pi_0's say ends however good it was.

    Args:
        clicks_per_item: See `alpha_by_clicks`.
        patience: Finished sessions of each arm before the first judgement, 1 or more.
        margin: Standard errors by which guided sessions must be better.
        keep: Weight of a session after each later one of its arm.
    """

    def __init__(
        self,
        clicks_per_item: float = 0.2,
        patience: int = 8,
        margin: float = 2.0,
        keep: float = 0.98,
    ) -> None:
        self.clicks_per_item = clicks_per_item
        self.patience = patience
        self.margin = margin
        self.arms = (Returns(keep), Returns(keep))  # hold-out, guided
        self.finished = [0, 0]
        self.clicks = 0.0  # since pi_0 was last worth its place
        self.session: NDArray[np.float64] | None = None  # (B,) clicks of the sessions under way
        self.alpha = 1.0

    def outcome(self, policy: ItemPolicy, reward: NDArray[Any], done: NDArray[np.bool_]) -> None:
        """Count clicks and finished sessions; judge pi_0 by them."""
        self.session = reward + (0.0 if self.session is None else self.session)
        guided = guided_slots(len(reward))
        for slot in np.flatnonzero(done):
            arm = int(guided[slot])
            self.arms[arm].add(float(self.session[slot]))
            self.finished[arm] += 1
        self.session[done] = 0.0
        held, taught = self.arms
        if min(self.finished) < self.patience or clearly_better(taught, held, self.margin):
            self.clicks = 0.0
        else:
            self.clicks += float(reward.sum())
        left = alpha_by_clicks(self.clicks, policy.n_items, self.clicks_per_item)
        self.alpha = min(self.alpha, left)

    def schedule(self, policy: ItemPolicy, progress: float) -> None:
        """Set alpha to what the clicks have left of it."""
        policy.alpha.clamp_(max=self.alpha)


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
        deployment = adapted(online, HoldOut(), policy=Guided, prior=prior)
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
    """A new critic with pi_0's encoder; pi_0's weight stays while it earns more than a hold-out.

    With q = 0 and alpha = 1 the first policy is exactly pi_0 in the three guided slots of four.
    The encoder is copied and learns on; what pi_0 says of items is not copied. Under learner a2c,
    which hears no single steps, there is no hold-out and alpha falls with time.
    """
    return _deployed(pretrained, online)


@strategy("ap-random", source="control; this project's design notes, H4")
def adaptive_random(pretrained: ItemPolicy, online: Online) -> Deployment:
    """Like ap, with the random pi_0 of frozen-random: what any early gain must disappear with."""
    return _deployed(relabelled(pretrained, online.luck), online)
