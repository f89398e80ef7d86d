"""All that fixes a world, in words that fit a file, the command line and `gymnasium.make`."""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from numbers import Integral, Real
from typing import Any, get_args, get_origin

from simrec.envs.planned import Churn, PlannedCreators, PlannedShift
from simrec.envs.retention import Retention
from simrec.envs.rules import Rules
from simrec.errors import SimrecError, nearest

KINDS = ("factor", "modality", "llm")  # of users
BAYES = "bayes"  # chances estimated from ratings, see `simrec.envs.load.source_of`
CHOSEN = "chosen"  # a shrinkage found by cross-validation inside the training part


@dataclass(frozen=True)
class WorldSpec:
    """All that fixes a world: its data, its population and its rules.

    Raises:
        SimrecError: A kind of users or a shrinkage that there is not, or a rule out of its range.
    """

    dataset: str  # "toy", a name in the library, or "module:function" returning a Dataset
    seed: int = 0  # of the generated data, the split, the item table and the fit
    topics_attribute: str | None = None  # attribute whose values bore; None = clusters of items
    like_at: float = 4.0  # feedback of at least this much is a like
    history: int = 10  # H, items known of a user before the first recommendation
    min_item_events: int = 1  # items with fewer events are left out
    min_user_events: int = 2  # users with fewer events are left out
    text: str = "hashed"  # text encoder of the item table
    users: str = "factor"  # who they are, a name in KINDS
    rank: int = 12  # length of the taste vectors of factor users
    shrinkage: float | str | None = None  # ridge penalty of tastes; None = the fit's own; CHOSEN
    user_scale: float = 1.0  # 1 = calibrated, as for the next two
    item_scale: float = 1.0
    interaction_scale: float = 1.0
    intercept_shift: float = 0.0  # 0 = calibrated
    debias: bool | str = False  # weight ratings by the inverse chance that they were given; BAYES
    friends: float = 0.0  # pull of friends on taste vectors, once and before anybody plays, 0 to 1
    user_model: str = ""  # language model that plays the users, for users "llm"
    user_options: tuple[tuple[str, Any], ...] = ()  # further arguments of its backend
    people: int = 20  # users who arrive, for users "llm": each is asked about every item
    horizon: int = Rules.horizon  # see Rules for these
    patience: int = Rules.patience
    boredom: float = Rules.boredom
    window: int = Rules.window
    choice: str = Rules.choice
    attention: float = Rules.attention
    browse: float = Rules.browse
    reward: str = Rules.reward
    minutes: float = Rules.minutes
    leave: str = Rules.leave
    tolerance: float = Rules.tolerance
    budget: float = Rules.budget
    refund: float = Rules.refund
    drift: float = Rules.drift
    satiation: float = Rules.satiation
    recovery: float = Rules.recovery
    novelty: float = Rules.novelty
    retention: Retention | None = None  # when users come back; None = a new user each time
    shifts: tuple[PlannedShift, ...] = ()  # tastes that shift on a date, for everybody
    churn: Churn | None = None  # items that come and go
    creators: PlannedCreators | None = None  # who answer to exposure
    influence: float = 0.0  # pull of friends each time a session begins, 0 to 1

    def __post_init__(self) -> None:
        """Check what no other part would."""
        if self.users not in KINDS:
            raise SimrecError(f"there are no users '{self.users}'; {nearest(self.users, KINDS)}")
        if isinstance(self.shrinkage, str) and self.shrinkage != CHOSEN:
            raise SimrecError(
                f"shrinkage is '{self.shrinkage}'; expected a positive number or '{CHOSEN}'"
            )
        if not isinstance(self.shrinkage, str) and (self.shrinkage or 1.0) <= 0:
            raise SimrecError(f"shrinkage is {self.shrinkage}; expected a positive number")
        if self.debias not in (False, True, BAYES):
            raise SimrecError(f"debias is '{self.debias}'; expected true, false or '{BAYES}'")
        for name in ("friends", "influence"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise SimrecError(f"{name} is {getattr(self, name)}; expected a pull of 0 to 1")
        if self.people < 1:
            raise SimrecError(f"people is {self.people}; expected 1 or more")
        if (self.users == "llm") != bool(self.user_model):
            raise SimrecError(
                f"users are '{self.users}' and user_model is '{self.user_model}'; expected a "
                "language model such as 'openai:MODEL@URL' where users are 'llm', and none "
                "elsewhere"
            )
        if self.users == "llm":
            tastes = ("friends", "influence", "drift")  # there are no vectors that could move
            self._check_unread(("rank", "shrinkage", *SCALES, *tastes, "debias"))
        else:
            self._check_unread(("user_options", "people"))
        if self.users == "modality":
            self._check_unread(("rank",))
        _ = self.rules

    def _check_unread(self, names: tuple[str, ...]) -> None:
        """Raise SimrecError where a setting that these users do not read was changed."""
        for field in fields(self):
            if field.name in names and getattr(self, field.name) != field.default:
                raise SimrecError(
                    f"{field.name} is {getattr(self, field.name)}, which users '{self.users}' do "
                    "not read; remove it"
                )

    @property
    def rules(self) -> Rules:
        """How a session runs."""
        return Rules(**{field.name: getattr(self, field.name) for field in fields(Rules)})


SCALES = ("user_scale", "item_scale", "interaction_scale", "intercept_shift")
_PARTS: dict[str, Any] = {"retention": Retention, "churn": Churn, "creators": PlannedCreators}
BEHAVIOUR = (*(field.name for field in fields(Rules)), "shifts", "influence", *_PARTS)


def make_spec(given: Mapping[str, Any]) -> WorldSpec:
    """Return the specification with these fields; parts may be given as mappings of their fields.

    Example: `make_spec({"dataset": "toy", "drift": 0.1, "retention": {"gain": 0.5}})`.

    Raises:
        SimrecError: There is no such field, or a value is out of range.
    """
    known = {field.name: field for field in fields(WorldSpec)}
    for name in given:
        if name not in known:
            raise SimrecError(f"a world has no setting '{name}'; {nearest(name, known)}")
    values = dict(given)
    for name, kind in _PARTS.items():
        if values.get(name) is not None and not isinstance(values[name], kind):
            values[name] = _part(name, kind, values[name])
    if "shifts" in values:
        if not isinstance(values["shifts"], list | tuple):
            raise SimrecError(f"shifts are {values['shifts']!r}; expected a list of shifts")
        values["shifts"] = tuple(_shift(shift) for shift in values["shifts"])
    if "user_options" in values:
        values["user_options"] = tuple(sorted(dict(values["user_options"] or ()).items()))
    for name, value in values.items():
        _check_type(name, value, known[name].type)
    return WorldSpec(**values)


def _shift(given: PlannedShift | Mapping[str, Any]) -> PlannedShift:
    if isinstance(given, PlannedShift):
        return given
    part: PlannedShift = _part("shifts", PlannedShift, given)
    topics = (part.topics,) if isinstance(part.topics, str | int) else tuple(part.topics)
    return PlannedShift(part.date, part.size, topics, part.until)


def _part(place: str, kind: Any, given: Mapping[str, Any]) -> Any:
    """Return a part of a specification from a mapping, naming a wrong or missing field."""
    known = {field.name: field for field in fields(kind)}
    if not isinstance(given, Mapping):
        raise SimrecError(f"{place} got {given!r}; expected {', '.join(known)} with their values")
    for name, value in given.items():
        if name not in known:
            raise SimrecError(f"{place} have no '{name}'; {nearest(name, known)}")
        _check_type(f"{place}.{name}", value, known[name].type)
    for name, field in known.items():
        if field.default is MISSING and name not in given:
            raise SimrecError(f"{place} lack '{name}'; expected {', '.join(known)}")
    return kind(**given)


_WORDS = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}


def _check_type(place: str, value: Any, kind: Any) -> None:
    """Raise SimrecError unless a value is of the kind that its field says."""
    kinds = [one for one in get_args(kind) or (kind,) if one in _WORDS]
    if not kinds or (value is None and type(None) in get_args(kind)):
        return
    number = isinstance(value, Real) and not isinstance(value, bool)
    fits = {
        int: number and isinstance(value, Integral),
        float: number,
        str: isinstance(value, str),
        bool: isinstance(value, bool),
    }
    if get_origin(kind) is not tuple and not any(fits[one] for one in kinds):
        words = " or ".join(_WORDS[one] for one in kinds)
        raise SimrecError(f"{place} is {value!r}; expected {words}")
