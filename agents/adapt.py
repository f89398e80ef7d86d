"""Online strategies: what is done with the pretrained policy once real users arrive.

All run on the same learner with the same settings; each function differs in one place. The three
without an adaptive rule are here; naming this module registers every strategy.
"""

from simrec.agents import (  # noqa: F401 (each registers its strategies)
    adaptive,
    adaptive_pair,
    averaged,
    awr,
    bandits,
    distilled,
    ensemble,
    expansion,
    fine_tuning,
    ppo,
    priors,
    session_bandit,
    slateq,
)
from simrec.agents.learners import make_learner
from simrec.agents.policy import ItemPolicy
from simrec.agents.strategy import (
    STRATEGIES,
    Deployment,
    Entry,
    Online,
    Strategy,
    at_its_temperature,
    strategy,
)
from simrec.errors import SimrecError, nearest

IALP = "Wang et al., WSDM 2025 (abstract read)"


def all_strategies() -> dict[str, Entry]:
    """Return every strategy by name."""
    return dict(STRATEGIES)


def get_strategy(name: str) -> Strategy:
    """Return the strategy called `name`; raise SimrecError with the nearest name if unknown."""
    if name not in STRATEGIES:
        raise SimrecError(f"there is no strategy '{name}'; {nearest(name, STRATEGIES)}")
    return STRATEGIES[name].function


def check_strategy(name: str) -> None:
    """Raise SimrecError unless `name` is a strategy, or one of shuffled labels as NAME-shuffled."""
    base = name.removesuffix("-shuffled")
    get_strategy(base)
    if name != base and not STRATEGIES[base].pretrained:
        raise SimrecError(
            f"strategy '{base}' has no teacher whose labels could be shuffled; "
            f"name '{base}', or a strategy that is pretrained such as 'frozen-shuffled'"
        )


@strategy("scratch", source="control", pretrained=False)
def scratch(pretrained: ItemPolicy, online: Online) -> Deployment:
    """Learn online from nothing: no teacher, q = 0."""
    return Deployment(make_learner(online.spec, online.env, luck=online.luck), learns=True)


@strategy("frozen", source=f"iALP without its online stage: {IALP}")
def frozen(pretrained: ItemPolicy, online: Online) -> Deployment:
    """Act by the pretrained policy and never learn."""
    pretrained.reseed(online.luck)
    return Deployment(pretrained, learns=False)


@strategy("ft", source=f"A-iALP_ft: {IALP}; reconstructed")
def fine_tune(pretrained: ItemPolicy, online: Online) -> Deployment:
    """Start at the pretrained weights and keep learning, now from real feedback.

    kac keeps the temperature at which pretraining ended, so that pi at the first step is pi_0.
    """
    model = make_learner(
        online.spec,
        online.env,
        luck=online.luck,
        initial=pretrained,
        settings=at_its_temperature(pretrained, online) if online.spec.name == "kac" else None,
    )
    return Deployment(model, learns=True)
