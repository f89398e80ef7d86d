"""What a saved policy would have earned, judged from the sessions another one served.

The log is a run of a study with `online.propensities: true`, which keeps every session with the
chance of what was shown. What the user had seen before each step is put together again from it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from simrec.agents.adaptive import Guided
from simrec.agents.expansion import Mixture
from simrec.agents.saved import Policy, load_policy
from simrec.agents.slate import slate_log_prob
from simrec.config import StudyConfig
from simrec.envs.world import World
from simrec.errors import SimrecError
from simrec.off_policy import (
    Floats,
    doubly_robust,
    effective_sample_size,
    importance_sampling,
    per_decision,
    self_normalised,
)
from simrec.randomness import generator
from simrec.records import Run, read_run
from simrec.stages.inputs import Inputs
from simrec.stages.tables import agent_table
from simrec.stages.world import load_world
from simrec.statistics import Interval

PRIOR_STEPS = 20.0  # steps at the overall rate that every item's click rate is given beforehand
AT_ONCE = 512  # states whose whole distribution is worked out together
RESAMPLES = 400


@dataclass(frozen=True)
class Logged:
    """N sessions of up to T steps with slates of k; what lies after a session's end is 0."""

    user: NDArray[np.int64]  # (N,)
    items: NDArray[np.int64]  # (N, T, k)
    clicks: NDArray[np.float32]  # (N, T, k)
    chance: Floats  # (N, T) of the slate, 1 after the end
    mask: Floats  # (N, T) 1 where the step was made

    @property
    def reward(self) -> Floats:
        """Clicks of each step (N, T)."""
        return np.asarray(self.clicks.sum(axis=2, dtype=np.float64))


@dataclass(frozen=True)
class Judgement:
    """Clicks per session a policy would have had, by each estimator."""

    sessions: int
    effective: float  # sessions that really count, by the spread of the weights
    logged: float  # clicks per session of the policy that served
    values: dict[str, Interval]  # estimator -> value, percentile bootstrap over sessions

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "sessions": self.sessions,
            "effective_sessions": self.effective,
            "logged_clicks_per_session": self.logged,
            "clicks_per_session": {name: v.as_dict() for name, v in self.values.items()},
        }


def logged_sessions(run: Run, k: int) -> Logged:
    """Return the sessions of a run with propensities.

    Raises:
        SimrecError: The run kept none.
    """
    steps = run.steps
    if "propensity" not in steps:
        raise SimrecError(
            f"{run.folder} kept no propensities; set online.propensities: true in its study and "
            "run it again"
        )
    steps = steps.sort_values(["slot", "episode", "t"], kind="stable")
    session = steps.groupby(["slot", "episode"]).ngroup().to_numpy()
    t = steps["t"].to_numpy()
    place = np.arange(len(steps)) % k  # rows of a slate follow one another
    shape = (int(session[-1]) + 1, int(t.max()) + 1)
    items = np.full((*shape, k), -1, dtype=np.int64)
    clicks = np.zeros((*shape, k), dtype=np.float32)
    chance, mask = np.ones(shape), np.zeros(shape)
    items[session, t, place] = steps["item"]
    clicks[session, t, place] = steps["clicked"]
    chance[session, t], mask[session, t] = steps["propensity"], 1.0
    key = ["slot", "episode"]
    who = run.episodes.set_index(key)["user"]
    first = steps.drop_duplicates(key)[key]
    users = who.loc[list(first.itertuples(index=False, name=None))].to_numpy(dtype=np.int64)
    return Logged(users, items, clicks, chance, mask)


def seen_before(
    log: Logged, t: int, rows: NDArray[np.int64], world: World, length: int
) -> dict[str, torch.Tensor]:
    """Return what the agent saw before step t of some sessions, right-aligned in `length`."""
    parts = []
    for start, shown, empty in (
        (world.start_items, log.items, -1),
        (world.start_feedback, log.clicks, 0),
    ):
        known = start[log.user[rows]]
        whole = np.hstack([known, shown[rows, :t].reshape(len(rows), t * shown.shape[2])])
        full = np.full((len(rows), length), empty, dtype=whole.dtype)
        full[:, length - whole.shape[1] :] = whole[:, max(whole.shape[1] - length, 0) :]
        parts.append(torch.as_tensor(full))
    step = torch.full((len(rows), 1), t, dtype=torch.long)
    return {"history": parts[0].long(), "feedback": parts[1].float(), "step": step}


def judge(log: Logged, policy: Policy, world: World) -> Judgement:
    """Judge a policy by a log; IPS, SNIPS, per-decision IPS and, for single items, doubly robust.

    The doubly robust model is as simple as can be and fitted to the log: an item's click rate
    (shrunk by PRIOR_STEPS) plus the mean clicks still to come at that step. A model that is wrong
    costs precision, not truth, since the ratios are right.

    Args:
        log: The sessions.
        policy: The policy judged; it never learns.
        world: Where the log was made; who was met with which history.
    """
    k = log.items.shape[2]
    length = policy.observation_space["history"].shape[0]  # type: ignore[index]
    rates = _click_rates(log, world.n_items)
    ratio, expected, own = (
        np.ones_like(log.chance),
        np.zeros_like(log.chance),
        rates[log.items[..., 0]],
    )
    for t in range(log.mask.shape[1]):
        made = np.flatnonzero(log.mask[:, t] > 0)
        for rows in np.split(made, range(AT_ONCE, len(made), AT_ONCE)):
            with torch.no_grad():
                log_probs = policy.log_probs(seen_before(log, t, rows, world, length)).double()
            slates = torch.as_tensor(log.items[rows, t])
            chance = slate_log_prob(log_probs, slates).exp().numpy()
            ratio[rows, t] = chance / log.chance[rows, t]
            expected[rows, t] = log_probs.exp().numpy() @ rates
    reward, mask = log.reward, log.mask
    to_come = np.append((reward[:, ::-1].cumsum(axis=1)[:, ::-1]).mean(axis=0), 0.0)[1:]
    alive = np.maximum(mask.mean(axis=0), 1e-12)
    later = to_come / alive  # (T,) mean clicks after a step, of the sessions that made it
    estimators: dict[str, Callable[[NDArray[np.int64]], float]] = {
        "ips": lambda i: importance_sampling(ratio[i], reward[i], mask[i]),
        "snips": lambda i: self_normalised(ratio[i], reward[i], mask[i]),
        "pdis": lambda i: per_decision(ratio[i], reward[i], mask[i]),
    }
    if k == 1:
        estimators["dr"] = lambda i: doubly_robust(
            ratio[i], reward[i], mask[i], (own + later)[i], (expected + later)[i]
        )
    n = len(mask)
    rng = generator(0, "evaluate")
    draws = [rng.integers(n, size=n) for _ in range(RESAMPLES)]
    values = {}
    for name, estimate in estimators.items():
        low, high = np.nanquantile([estimate(i) for i in draws], [0.025, 0.975])
        values[name] = Interval(estimate(np.arange(n)), float(low), float(high))
    return Judgement(
        n, effective_sample_size(ratio, mask), float(reward.sum(axis=1).mean()), values
    )


def _click_rates(log: Logged, n_items: int) -> Floats:
    """Return each item's click rate in the log (I,), shrunk to the overall one."""
    made = np.repeat(log.mask[:, :, None] > 0, log.items.shape[2], axis=2)
    shown = np.bincount(log.items[made], minlength=n_items)
    clicked = np.bincount(log.items[made], weights=log.clicks[made], minlength=n_items)
    overall = clicked.sum() / max(shown.sum(), 1)
    return np.asarray((clicked + PRIOR_STEPS * overall) / (shown + PRIOR_STEPS))


def evaluate(run_folder: Path, policy_folder: Path) -> Judgement:
    """Judge a saved policy by a run folder of a study that kept propensities.

    Raises:
        SimrecError: The run kept none, its world or the policy cannot be used, or the policy acts
            by two policies.
    """
    run = read_run(run_folder)
    config = StudyConfig.model_validate(dict(run.record.config))
    log = logged_sessions(run, config.online.slate_size)
    inputs = Inputs(config, run_folder.resolve().parents[2])
    world = load_world(inputs)
    if world.retention is not None:
        raise SimrecError(
            f"users of {run_folder} come back with the history of their last session, which a run "
            "does not keep; judge a policy by a run without world.retention"
        )
    policy = load_policy(policy_folder, agent_table(inputs)).policy
    if isinstance(policy, Mixture) or (isinstance(policy, Guided) and float(policy.alpha) > 0.0):
        raise SimrecError(
            f"the policy in {policy_folder} still acts by two policies, by slot or by luck; judge "
            "one of scratch, frozen or ft, or an 'ap' whose prior has fallen silent"
        )
    return judge(log, policy, world)
