"""The rules of a session: what a user does with a slate, what changes, when it ends."""

from dataclasses import asdict, dataclass, fields
from typing import Any

from simrec.envs.choice import CHOICES
from simrec.envs.leave import LEAVES
from simrec.envs.signals import REWARDS
from simrec.errors import SimrecError, nearest

_FIRST = ("horizon", "patience", "boredom", "window")  # written down even at their defaults
_COUNTS = ("horizon", "patience", "window")
_SHARES = ("attention", "browse", "tolerance", "refund", "drift", "recovery")
_STRENGTHS = ("boredom", "satiation", "novelty")
_AMOUNTS = ("minutes", "budget")


@dataclass(frozen=True)
class Rules:
    """How a session runs, whoever the users are.

    Raises:
        SimrecError: A number is out of its range, or a name is not known.
    """

    horizon: int = 20  # T, steps after which a session is cut off (truncated)
    patience: int = 4  # bad steps in a row after which the user leaves (terminated)
    boredom: float = 0.6  # logits lost by an item whose topics equal those shown lately
    window: int = 5  # items shown lately that count for boredom
    choice: str = "multinomial"  # what a user does with a slate: a name in choice.CHOICES
    attention: float = 0.8  # chance of looking at the next place (not used by "multinomial")
    browse: float = 0.5  # the same just after a click, for "dependent"
    reward: str = "clicks"  # what the agent is told: a name in signals.REWARDS
    minutes: float = 1.0  # length of an item, for "minutes"
    leave: str = "streak"  # what drives users away: a name in leave.LEAVES
    tolerance: float = 0.8  # mean overlap at which a step is bad, for "boredom"
    budget: float = 8.0  # effort a user spends in a session, one unit a step, for "budget"
    refund: float = 0.8  # part of a step's unit that a fully watched item gives back
    drift: float = 0.0  # share of the way that tastes go towards what was clicked
    satiation: float = 0.0  # logits lost for one item of the same topics clicked just before
    recovery: float = 0.8  # share of satiation that is left after a step
    novelty: float = 0.0  # logits gained by an item unlike all that was shown in the session

    def __post_init__(self) -> None:
        """Check the ranges."""
        for name in _COUNTS:
            value = getattr(self, name)
            if value < 1:
                raise SimrecError(f"rules.{name} is {value}; expected 1 or more")
        for name in _SHARES:
            value = getattr(self, name)
            if not 0.0 <= value <= 1.0:
                raise SimrecError(f"rules.{name} is {value}; expected 0 to 1")
        for name in _STRENGTHS:
            value = getattr(self, name)
            if not 0.0 <= value < float("inf"):
                raise SimrecError(f"rules.{name} is {value}; expected 0 or a positive number")
        for name in _AMOUNTS:
            value = getattr(self, name)
            if not 0.0 < value < float("inf"):
                raise SimrecError(f"rules.{name} is {value}; expected a positive number")
        for name, known in (("choice", CHOICES), ("reward", REWARDS), ("leave", LEAVES)):
            value = getattr(self, name)
            if value not in known:
                raise SimrecError(f"rules.{name} has no '{value}'; {nearest(value, known)}")

    def described(self) -> dict[str, Any]:
        """Return the settings by name; the later ones only where they differ from the default.

        So a world made before a setting existed keeps its fingerprint.
        """
        return {
            name: value
            for name, value in asdict(self).items()
            if name in _FIRST or value != _DEFAULTS[name]
        }


_DEFAULTS = {field.name: field.default for field in fields(Rules)}
