"""What an online strategy is, and the register of all of them."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from stable_baselines3.common.vec_env import VecEnv

from simrec.agents.adaptation import Adaptation
from simrec.agents.baselines import Recommender
from simrec.agents.kac import KAC
from simrec.agents.learners import HeadName, LearnerName, LearnerSpec, make_learner
from simrec.agents.policy import ItemPolicy
from simrec.errors import SimrecError


@dataclass(frozen=True)
class Deployment:
    """A recommender ready to meet users."""

    recommender: Recommender
    learns: bool  # True: call its `learn`; False: it only acts


@dataclass(frozen=True)
class Online:
    """What every strategy is given."""

    spec: LearnerSpec
    env: VecEnv
    luck: int


Strategy = Callable[[ItemPolicy, Online], Deployment]


@dataclass(frozen=True)
class Entry:
    """A strategy and what is said of it."""

    function: Strategy
    sentence: str  # what it does, from its docstring
    source: str  # where it comes from, and whether that was read
    pretrained: bool  # False: it ignores pi_0, so none need be made


STRATEGIES: dict[str, Entry] = {}


def strategy(name: str, *, source: str, pretrained: bool = True) -> Callable[[Strategy], Strategy]:
    """Register a function (pretrained policy, online setting) -> Deployment under `name`.

    Args:
        name: What a study file says.
        source: Where the rule comes from.
        pretrained: Whether the function reads the pretrained policy.
    """

    def register(function: Strategy) -> Strategy:
        sentence = (function.__doc__ or "").partition("\n")[0]
        STRATEGIES[name] = Entry(function, sentence, source, pretrained)
        return function

    return register


# What else than steps into learner kac: the rest acts by two policies or by remembered steps.
ON_A2C = frozenset(
    (
        "scratch",
        "frozen",
        "ft",
        "ap",
        "ap-ann",
        "kl-anneal",
        "ap-residual",
        "frozen-random",
        "ap-random",
    )
)
ON_TWO_LEVELS = frozenset(("scratch", "frozen", "ft", "kl-anneal"))
OWN_LEARNER = frozenset(("linucb", "lints", "slateq", "ppo"))


def check_learner(name: str, learner: LearnerName, head: HeadName = "flat") -> None:
    """Raise SimrecError unless the strategy called `name` can use the learner and its head."""
    base = name.removesuffix("-shuffled")
    if base in OWN_LEARNER or base not in STRATEGIES:  # somebody else's strategy says so itself
        return
    if learner != "kac" and base not in ON_A2C:
        raise SimrecError(
            f"strategy '{base}' steps into learner 'kac', got learner '{learner}'; set "
            f"learner.name: kac or name one of {', '.join(sorted(ON_A2C))}"
        )
    if head == "two-level" and base not in ON_TWO_LEVELS:
        raise SimrecError(
            f"strategy '{base}' acts by two policies, which the two-level policy cannot; set "
            f"learner.policy: flat or name one of {', '.join(sorted(ON_TWO_LEVELS))}"
        )


def adapted(
    online: Online,
    adaptation: Adaptation,
    *,
    policy: type[ItemPolicy] = ItemPolicy,
    prior: ItemPolicy | None = None,
    initial: ItemPolicy | None = None,
    settings: dict[str, Any] | None = None,
) -> Deployment:
    """Return KAC with an adaptation; raise SimrecError where the study's learner is another."""
    if online.spec.name != "kac":
        raise SimrecError(
            f"this strategy steps into learner 'kac', got learner '{online.spec.name}'; set "
            "learner.name: kac or leave the strategy out"
        )
    model = make_learner(
        online.spec,
        online.env,
        luck=online.luck,
        policy_class=policy,
        prior=prior,
        initial=initial,
        settings={**(settings or {}), "adaptation": adaptation},
    )
    assert isinstance(model, KAC)
    return Deployment(model, learns=True)


def at_its_temperature(pretrained: ItemPolicy, online: Online) -> dict[str, float]:
    """Return settings under which KAC keeps the temperature at which pretraining ended."""
    gamma = float(online.spec.settings.get("gamma", 0.0))
    ended = float(pretrained.temperature) / (1.0 - gamma)  # KAC scales by 1 - gamma itself
    return {"temperature": ended, "final_temperature": ended}


def with_settings(online: Online, **settings: Any) -> Online:
    """Return the same setting with other learner arguments."""
    spec = replace(online.spec, settings={**online.spec.settings, **settings})
    return replace(online, spec=spec)
