"""The `world` section of a study file; its keys are those of `simrec.envs.spec.WorldSpec`."""

from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from simrec.settings import Count, NotNegative, Positive, Section, Unit


def _a_penalty(value: float | str | None) -> float | str | None:
    if value in (None, "chosen") or (isinstance(value, float) and value > 0):
        return value
    raise ValueError("expected a positive number, or 'chosen' for cross-validation")


class RetentionConfig(Section):
    """When users come back; see `simrec.envs.retention.Retention`."""

    base: float | None = None
    gain: float | None = None
    days: Count | None = None


class ShiftConfig(Section):
    """Tastes that shift on a date, for everybody; see `simrec.envs.planned.PlannedShift`."""

    date: Annotated[int, Field(ge=0)]
    size: float
    topics: Annotated[tuple[str | int, ...], Field(min_length=1)]
    until: Count | None = None


class ChurnConfig(Section):
    """Items that come and go; see `simrec.envs.planned.Churn`."""

    share: Annotated[float, Field(ge=0.0, lt=1.0)] | None = None
    last: Count | None = None
    lifetime: Count | None = None


class CreatorsConfig(Section):
    """Creators who answer to exposure; see `simrec.envs.planned.PlannedCreators`."""

    attribute: str | None = None
    count: Count | None = None
    reserve: Annotated[float, Field(ge=0.0, lt=1.0)] | None = None
    period: Count | None = None
    least: Unit | None = None
    more: NotNegative | None = None
    releases: Annotated[int, Field(ge=0)] | None = None
    clicks: bool | None = None


class WorldConfig(Section):
    """How users are fitted and behave; see `simrec.envs`.

    None takes the default of the part that reads the setting.
    """

    topics: str | None = None  # attribute whose overlap bores; None clusters the item vectors
    rank: Count = 12
    seed: int = 0
    user_scale: NotNegative = 1.0  # 1 is calibrated; other values are a choice and are shown
    item_scale: NotNegative = 1.0
    interaction_scale: NotNegative = 1.0
    intercept_shift: float = 0.0  # logits added for every user and item
    horizon: Count = 20
    patience: Count = 4
    boredom: NotNegative = 0.6
    window: Count = 5
    allow_static: bool = False
    bounds_sessions: Count = 2048
    # Who the users are, beyond that.
    users: Literal["factor", "modality", "llm"] = "factor"
    shrinkage: Annotated[float | str | None, AfterValidator(_a_penalty)] = None
    debias: bool | Literal["bayes"] = False
    friends: Unit = 0.0
    user_model: str = ""  # users llm: "openai:MODEL@URL", ...
    user_options: dict[str, Any] = {}  # users llm: further arguments of the model's backend
    people: Count | None = None  # users llm: how many arrive; each is asked about every item
    allow_circular: bool = False  # let one language model be both teacher and user
    # How they behave, beyond that; see `simrec.envs.rules.Rules`.
    choice: Literal["multinomial", "cascade", "position", "dependent"] | None = None
    attention: Unit | None = None
    browse: Unit | None = None
    reward: Literal["clicks", "minutes", "likes", "depth"] | None = None
    minutes: Positive | None = None
    leave: Literal["streak", "boredom", "budget"] | None = None
    tolerance: Unit | None = None
    budget: Positive | None = None
    refund: Unit | None = None
    drift: Unit | None = None
    satiation: NotNegative | None = None
    recovery: Unit | None = None
    novelty: NotNegative | None = None
    retention: RetentionConfig | None = None
    shifts: tuple[ShiftConfig, ...] = ()
    churn: ChurnConfig | None = None
    creators: CreatorsConfig | None = None
    influence: Unit = 0.0  # pull of friends each time a session begins; `friends` is once, before

    @model_validator(mode="after")
    def _a_model_for_told_users(self) -> Self:
        """Refuse users without the model that plays them, and a model that nobody would ask."""
        if self.users == "llm" and not self.user_model:
            raise ValueError("users llm need user_model, for example 'openai:MODEL@URL'; add it")
        unread = sorted(self.model_fields_set & {"user_model", "user_options", "people"})
        if self.users != "llm" and unread:
            raise ValueError(f"'{unread[0]}' is read where users is llm only; remove it")
        if "api_key" in self.user_options:
            raise ValueError("a key in 'user_options' would be in every record; set OPENAI_API_KEY")
        return self

    @model_serializer(mode="wrap")
    def _without_later_defaults(self, whole: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave later settings out at their defaults, so that no old study gets another key."""
        content: dict[str, Any] = whole(self)
        fields = type(self).model_fields
        return {
            name: value
            for name, value in content.items()
            if name in FIRST or getattr(self, name) != fields[name].default
        }

    def spec_settings(self) -> dict[str, Any]:
        """Return the settings under the names of WorldSpec, those that are None left out."""
        content = self.model_dump(exclude_none=True)
        content["topics_attribute"] = content.pop("topics", None)
        return {name: value for name, value in content.items() if name not in STUDY_ONLY}


FIRST = (  # written down even at their defaults
    *("topics", "rank", "seed", "user_scale", "item_scale", "interaction_scale"),
    *("intercept_shift", "horizon", "patience", "boredom", "window", "allow_static"),
    "bounds_sessions",
)
STUDY_ONLY = ("allow_static", "allow_circular", "bounds_sessions")
