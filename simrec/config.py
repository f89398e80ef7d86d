"""Studies as files: one YAML with only what differs from the defaults, every key checked."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    field_validator,
    model_serializer,
    model_validator,
)

from simrec.config_file import read_study, sentence
from simrec.config_items import AdapterConfig, HiddenConfig, IdsConfig
from simrec.config_world import WorldConfig
from simrec.errors import SimrecError
from simrec.settings import (
    Count,
    Device,
    Names,
    NotNegative,
    Positive,
    Section,
    Share,
    Unit,
    distinct,
)


class DataConfig(Section):
    """Which log and catalogue."""

    name: str | None = None  # an imported set, or "toy"
    path: Path | None = None  # a folder in the tidy format; relative to the working directory
    toy_seed: int = 0  # of the generated toy world, used where name is "toy"
    like_at: float = 4.0  # feedback of at least this much is a like, in the log's unit
    min_item_events: Count = 1
    min_user_events: Count = 2


class SplitConfig(Section):
    """Who may see which event; see `simrec.interactions.split_log`."""

    seed: int = 0
    agent_share: Share = 0.3
    realism_share: Share = 0.1
    online_share: Share = 0.5
    history: Count = 10  # events of a user known before a session


class ItemsConfig(Section):
    """How items become vectors; see `simrec.items.build.build_item_table`."""

    text: str = "hashed"  # "hashed", "minilm" or "transformers:DIR"
    text_dim: Count = 48
    image_dim: Count = 16
    feature_dim: Count = 16
    modalities: tuple[str, ...] | None = None  # None takes all there are
    seed: int = 0
    adapter: AdapterConfig = AdapterConfig()
    hidden: HiddenConfig = HiddenConfig()
    ids: IdsConfig = IdsConfig()

    @model_serializer(mode="wrap")
    def _without_unused_parts(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out the parts that are off, so that no old study gets another key."""
        whole: dict[str, Any] = handler(self)
        chosen = (self.adapter.name, self.hidden.pattern, self.ids.kind)
        off = {k for k, c in zip(("adapter", "hidden", "ids"), chosen, strict=True) if c is None}
        return {key: value for key, value in whole.items() if key not in off}


class TeacherConfig(Section):
    """Who says what users would like."""

    kind: Literal["similarity", "recorded", "llm"] = "similarity"
    encoder: str = "best"  # "best" = MiniLM where installed, else hashed and a line saying so
    like_share: Share = 0.3  # similarity, pairwise, ranking: share of candidates that are liked
    table: str = "llm_ratings.parquet"  # recorded: file in the data set's folder
    model: str = "gpt-4o-mini"  # recorded: who gave the ratings; llm: "openai:MODEL@URL", ...
    like_at: float = 4.0  # recorded, rating: the teacher's rating from which on it likes
    questions_per_user: Count = 8
    candidates: Annotated[int, Field(ge=2)] = 10
    rounds: Count = 1  # above 1, new questions follow each pretraining; see simrec.stages.rounds
    # Shares of its answers that are spoilt before they teach anybody; see `simrec.llm.degrade`.
    label_noise: Annotated[float, Field(ge=0.0, le=0.5)] = 0.0
    popularity_labels: Unit = 0.0
    shuffled_labels: Unit = 0.0
    # candidates of every round after the first, with shares
    refresh_sources: dict[str, Positive] = {
        "policy": 0.5,
        "neighbours": 0.2,
        "popular": 0.1,
        "random": 0.2,
    }
    # The rest is for kind llm; see `simrec.llm`.
    form: Literal["list", "rating", "pairwise", "yesno", "ranking"] = "list"
    template: str | None = None  # a file, read when the study is; or the words of the prompt
    domain: str = ""  # what the items are, for example "films"
    pictures: bool = False  # show the covers of candidates to the model
    # rating, yesno: liked from like_at (one half) on, or the best like_share of each question
    liked_by: Literal["value", "share"] = "value"
    # What prompts tell of an item: attributes in this order (None: all), characters of its text.
    attributes: Annotated[tuple[str, ...], AfterValidator(distinct)] | None = None
    description: Annotated[int, Field(ge=0)] = 400
    sources: dict[str, Positive] = {"popular": 0.5, "random": 0.5}  # of candidates, with shares
    options: dict[str, Any] = {}  # further arguments of the model's backend
    swap_sample: Annotated[int, Field(ge=0)] = 50  # questions asked again in reversed order

    @field_validator("template")
    @classmethod
    def _words(cls, value: str | None) -> str | None:
        """Put a template file's words in its place, so that records hold what was asked."""
        if value is None or "{candidates}" in value:
            return value
        try:
            return Path(value).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(f"the template cannot be read ({error}); name a text file") from error

    @model_validator(mode="after")
    def _nothing_unread(self) -> Self:
        """Refuse a setting that nobody would read."""
        unread = sorted(self.model_fields_set & LLM_ONLY) if self.kind != "llm" else []
        if unread:
            raise ValueError(f"'{unread[0]}' is read where kind is llm only; remove it")
        if self.rounds > 1 and self.kind == "recorded":
            raise ValueError(
                f"'rounds' is {self.rounds}, but a recorded teacher is asked all it recorded in "
                "the first round and knows no other answer; set rounds to 1 or take another kind"
            )
        if self.rounds == 1 and "refresh_sources" in self.model_fields_set:
            raise ValueError("'refresh_sources' is read where rounds is above 1; remove it")
        if "api_key" in self.options:
            raise ValueError("a key in 'options' would be in every record; set OPENAI_API_KEY")
        return self

    @model_serializer(mode="wrap")
    def _what_counts(self, whole: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out what the kind of teacher does not read, so that it is in no key or record."""
        content: dict[str, Any] = whole(self)
        unread = set() if self.kind == "llm" else set(LLM_ONLY)
        if self.rounds == 1:
            unread |= REFRESHING
        unread |= {name for name in DEGRADING if not content.get(name)}
        # What is as ever is left out too, so that no old study gets another key.
        unread |= {k for k in LATER if content.get(k) == type(self).model_fields[k].default}
        return {key: value for key, value in content.items() if key not in unread}


REFRESHING = frozenset(("rounds", "refresh_sources"))
DEGRADING = ("label_noise", "popularity_labels", "shuffled_labels")
LATER = ("liked_by", "attributes", "description")  # keys that older studies do not have
LLM_ONLY = frozenset(
    ("form", "template", "domain", "pictures", "sources", "options", "swap_sample", *LATER)
)


class RewardConfig(Section):
    """How r_psi is fitted to the teacher's answers; see `simrec.agents.reward_fit.fit_reward`."""

    epochs: Count = 12
    weight_decays: Annotated[tuple[NotNegative, ...], Field(min_length=1)] = (
        0.0,
        3.0,
        10.0,
        30.0,
    )  # one is chosen
    pair_weight: NotNegative = 0.5
    learning_rate: Positive = 3e-3
    members: Count = 1  # above 1, r_psi is the mean of an ensemble
    pessimism: NotNegative = 0.0  # standard deviations between members that pretraining takes off
    item_correction: Annotated[float, Field(ge=0.0, le=1.0)] = 0.0  # share of item bias taken out
    position_correction: bool = False  # take the bias for places in a prompt out

    @model_validator(mode="after")
    def _doubts_need_members(self) -> Self:
        """Refuse pessimism where nothing can disagree."""
        if self.pessimism and self.members == 1:
            raise ValueError(
                f"'pessimism' is {self.pessimism:g}, but one member has nobody to disagree with; "
                "set members to 2 or more"
            )
        return self

    @model_serializer(mode="wrap")
    def _as_before(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out what is not used, so that no old study gets another key."""
        content: dict[str, Any] = handler(self)
        for name in ("members", "pessimism", "item_correction", "position_correction"):
            if content.get(name) == type(self).model_fields[name].default:
                content.pop(name)
        return content


class LearnerConfig(Section):
    """The learner that pretraining and every strategy use."""

    name: Literal["kac", "a2c"] = "kac"
    policy: Literal["flat", "two-level"] = "flat"  # two-level: for large catalogues, with a2c
    device: Device = "auto"  # auto takes a card for what is not compiled for the CPU
    width: Count = 32
    free_vectors: bool = True  # False: no parameter grows with the catalogue
    free_decay: NotNegative = 1.0
    settings: dict[str, Any] = {}  # further arguments of KAC or ItemA2C

    @model_serializer(mode="wrap")
    def _as_before(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out the flat policy and device auto, so that no old study gets another key."""
        usual = (("policy", "flat"), ("device", "auto"))
        return {k: v for k, v in handler(self).items() if (k, v) not in usual}


class PretrainConfig(Section):
    """The imagined world; its boredom is an assumption, never read off the real one."""

    env_steps: Count = 60_000
    n_envs: Count = 64
    boredom: NotNegative = 0.5
    anchor_temperature: Positive = 0.15  # a2c only
    settings: dict[str, Any] = {}  # learner arguments in pretraining only


class OnlineConfig(Section):
    """Deployment: real users, every strategy with the same ones."""

    env_steps: Count = 180_000
    n_envs: Count = 64
    slate_size: Count = 1
    snapshot_sessions: Annotated[int, Field(ge=0)] = 256  # greedy ones, at log-spaced steps
    strategies: Names = ("scratch", "frozen", "ft", "ap", "frozen-shuffled")
    controls: Names = ("random", "popular", "static", "greedy-reward", "oracle")
    propensities: bool = False  # keep every session with the chance of what was shown

    @model_serializer(mode="wrap")
    def _as_before(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave propensities out where none are kept, so that no old study gets another key."""
        return {k: v for k, v in handler(self).items() if (k, v) != ("propensities", False)}

    @model_validator(mode="after")
    def _somebody_plays(self) -> Self:
        """Refuse a study of nobody."""
        if not (self.strategies or self.controls):
            raise ValueError("no strategy and no control is left; list one or more")
        return self


class StudyConfig(Section):
    """One study."""

    study: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    seeds: Annotated[tuple[int, ...], Field(min_length=1), AfterValidator(distinct)] = (*range(5),)
    data: DataConfig = DataConfig()
    split: SplitConfig = SplitConfig()
    items: ItemsConfig = ItemsConfig()
    world: WorldConfig = WorldConfig()
    teacher: TeacherConfig = TeacherConfig()
    reward: RewardConfig = RewardConfig()
    learner: LearnerConfig = LearnerConfig()
    pretrain: PretrainConfig = PretrainConfig()
    online: OnlineConfig = OnlineConfig()

    @model_validator(mode="after")
    def _places_are_shown(self) -> Self:
        """Refuse a correction for places where prompts have none."""
        shown = self.teacher.kind == "llm" and self.teacher.form in ("list", "ranking")
        if self.reward.position_correction and not shown:
            raise ValueError(
                "'reward.position_correction' needs candidates that are judged together in a "
                "prompt; remove it, or set teacher.kind to llm and teacher.form to list or ranking"
            )
        return self


def load_config(path: Path, overrides: list[str] | None = None) -> StudyConfig:
    """Read a study file.

    Args:
        path: YAML file.
        overrides: "a.b=c" each; c is read as YAML.

    Raises:
        SimrecError: The file, a key or a value is wrong; the sentence names the file, the key and
            the nearest valid name.
    """
    content = read_study(path, overrides or [])
    try:
        return StudyConfig.model_validate(content)
    except ValidationError as error:
        raise SimrecError(sentence(path, error, StudyConfig)) from error
