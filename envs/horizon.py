"""Does planning pay? The greedy oracle against one that plans, under several rules."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from simrec.envs.bounds import myopic_policy, planned_policy
from simrec.envs.playing import play
from simrec.envs.world import Rules, World
from simrec.randomness import generator
from simrec.statistics import Interval, paired_interval, resolved

WORTH = 0.02  # share of the reward that planning must add to be called worth it


@dataclass(frozen=True)
class Planning:
    """What the greedy and the planning oracle earn a session under one pair of rules."""

    horizon: int
    boredom: float
    myopic: float
    planned: float
    gain: Interval  # planned - myopic, paired by session
    unit: str = Rules.reward  # what is counted

    @property
    def share(self) -> float:
        """The gain in units of what the myopic one earns."""
        return self.gain.mean / self.myopic if self.myopic > 0 else 0.0

    def sentence(self) -> str:
        """Say whether planning pays under these rules."""
        mean, ends = self.gain.texts(2, signed=True)
        if resolved(self.gain) and self.share >= WORTH:
            verdict = "planning pays"
        elif resolved(self.gain) and self.gain.mean > 0:
            verdict = "planning pays a little"
        elif resolved(self.gain):
            verdict = "our planner loses (its search is approximate)"
        else:
            verdict = "planning makes no difference that can be seen"
        return (
            f"horizon {self.horizon}, boredom {self.boredom:g}: {verdict}, greedy "
            f"{self.myopic:.2f} and planned {self.planned:.2f} {self.unit}, {mean} {ends} "
            f"({self.share:+.1%})"
        )


def planning_gains(
    world: World,
    *,
    seed: int,
    sessions: int = 256,
    settings: Iterable[tuple[int, float]] | None = None,
) -> list[Planning]:
    """Play the myopic and the planning oracle on the same users with the same luck.

    Both know every user and play first sessions. The myopic one shows what is most likely clicked
    now; the planning one follows a beam search, as `oracle_note` says.

    Args:
        world: The world; its truth is read.
        seed: Luck of the sessions and of the bootstrap.
        sessions: Played by each oracle under each setting.
        settings: Pairs of horizon and boredom; None takes a quarter, once and twice the world's
            horizon, and no boredom and three times the world's.

    Returns:
        One comparison for each setting, in order.
    """
    horizon, boredom = world.rules.horizon, world.rules.boredom
    if settings is None:
        more = max(3 * boredom, 1.5)
        settings = (
            (max(horizon // 4, 2), boredom),
            (horizon, boredom),
            (2 * horizon, boredom),
            (horizon, 0.0),
            (horizon, more),
        )
    found = []
    for length, bored in settings:
        varied = replace(world, rules=replace(world.rules, horizon=length, boredom=bored))
        myopic, _ = play(varied, myopic_policy, seed, sessions)
        planned, _ = play(varied, planned_policy, seed, sessions)
        rng = generator(seed, "planning", length)
        gain = paired_interval(planned, myopic, rng=rng, resamples=2000)
        found.append(
            Planning(
                length, bored, float(myopic.mean()), float(planned.mean()), gain, world.rules.reward
            )
        )
    return found


def planning_verdict(gains: Iterable[Planning], world: World) -> str:
    """Say in one sentence whether planning pays in a world as it is, and where it would."""
    rules = (world.rules.horizon, world.rules.boredom)
    own = [gain for gain in gains if (gain.horizon, gain.boredom) == rules]
    other = [
        f"horizon {gain.horizon} with boredom {gain.boredom:g} ({gain.share:+.1%})"
        for gain in gains
        if gain not in own and resolved(gain.gain) and gain.share >= WORTH
    ]
    pays = any(resolved(gain.gain) and gain.share >= WORTH for gain in own)
    first = (
        "Planning pays under the world's own rules"
        if pays
        else f"Planning adds less than {WORTH:.0%} under the world's own rules: the best item now "
        "is nearly the best policy, so a discount of 0 loses little"
    )
    return f"{first}; elsewhere it pays at {', '.join(other) or 'none of the rules tried'}."
