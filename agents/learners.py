"""The two learners by name, built alike, so that strategies differ in one place only."""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from stable_baselines3.common.vec_env import VecEnv

from simrec.agents.a2c import ItemA2C
from simrec.agents.device import device_of
from simrec.agents.encoders import EncoderName
from simrec.agents.kac import KAC
from simrec.agents.policy import ItemPolicy
from simrec.agents.two_level import TwoLevelPolicy
from simrec.errors import SimrecError, nearest

LearnerName = Literal["kac", "a2c"]
Learner = KAC | ItemA2C
HeadName = Literal["flat", "two-level"]
LEARNERS: dict[LearnerName, type[KAC] | type[ItemA2C]] = {"kac": KAC, "a2c": ItemA2C}


@dataclass(frozen=True)
class LearnerSpec:
    """Which learner, with which settings; the same for every strategy of a study."""

    name: LearnerName
    policy: dict[str, Any]  # item_vectors, table_fingerprint, width, free_vectors, free_decay
    settings: dict[str, Any] = field(default_factory=dict)  # the learner's arguments, or encoder
    head: HeadName = "flat"  # how the policy draws items
    device: str = "cpu"  # as `device_of` wants it


NOT_SETTINGS = {
    "self",
    "policy",
    "env",
    "policy_kwargs",
    "luck",
    "anchor",
    "adaptation",
    "device",
    "verbose",
}
ENCODERS: tuple[EncoderName, ...] = get_args(EncoderName)
MAY_BE_ZERO = {
    "temperature_share",
    "prior_share",
    "gamma",
    "gae_lambda",
    "ent_coef",
    "vf_coef",
    "anchor_coef",
    "anchor_share",
    "polyak",
    "final_learning_rate",
}


def check_settings(name: LearnerName, settings: Mapping[str, Any]) -> None:
    """Raise SimrecError unless every setting is one of the learner's own and in its range."""
    known = set(inspect.signature(LEARNERS[name].__init__).parameters) - NOT_SETTINGS
    known = {"encoder"} | {
        key for key in known if not key.startswith("_") and key != "tensorboard_log"
    }
    for key, value in settings.items():
        if key == "encoder":
            if value not in ENCODERS:
                raise SimrecError(
                    f"setting 'encoder' of learner '{name}' is {value!r}; "
                    f"{nearest(str(value), ENCODERS)}"
                )
            continue
        if key not in known:
            raise SimrecError(f"learner '{name}' has no setting '{key}'; {nearest(key, known)}")
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or value < 0 or (value == 0 and key not in MAY_BE_ZERO):
            bound = "0 or more" if key in MAY_BE_ZERO else "above 0"
            raise SimrecError(
                f"setting '{key}' of learner '{name}' is {value!r}; expected a number {bound}"
            )
        if name == "kac" and key == "gamma" and value >= 1:
            raise SimrecError(
                f"setting 'gamma' of learner 'kac' is {value!r}; expected a number below 1"
            )


def check_head(head: HeadName, learner: LearnerName, settings: Mapping[str, Any]) -> None:
    """Raise SimrecError unless the learner can use that head."""
    if head == "flat":
        return
    if learner != "a2c":
        raise SimrecError(
            f"learner.policy is 'two-level' and learner.name '{learner}', which acts by the scores "
            "of the whole catalogue; set learner.name: a2c, or learner.policy: flat"
        )
    if "encoder" in settings:
        raise SimrecError(
            "learner.policy is 'two-level', which pools histories in its own way, and the settings "
            "name an encoder; remove 'encoder', or set learner.policy: flat"
        )


def _two_level(
    spec: LearnerSpec,
    env: VecEnv,
    luck: int,
    policy_class: type[ItemPolicy],
    prior: ItemPolicy | None,
    initial: ItemPolicy | TwoLevelPolicy | None,
    settings: dict[str, Any] | None,
) -> ItemA2C:
    chosen = {**spec.settings, **(settings or {})}
    check_head(spec.head, spec.name, chosen)
    if prior is not None or policy_class is not ItemPolicy:
        raise SimrecError(
            "the strategy acts by two policies, which the two-level policy cannot; name scratch, "
            "frozen, ft or kl-anneal, or set learner.policy: flat"
        )
    names = ("item_vectors", "table_fingerprint", "width")
    arguments = {name: spec.policy[name] for name in names} | {"luck": luck}
    if initial is not None:
        initial.check_table(spec.policy["table_fingerprint"])
        assert isinstance(initial, TwoLevelPolicy)
        arguments["groups"] = initial.arguments["groups"]
    kind: Any = TwoLevelPolicy
    model = ItemA2C(kind, env, policy_kwargs=arguments, **chosen)
    if initial is not None:
        model.policy.scorer.load_state_dict(initial.scorer.state_dict())
    return model


def _check_shape(initial: ItemPolicy, arguments: Mapping[str, Any]) -> None:
    """Raise SimrecError unless the policy's weights fit into one of these arguments."""
    for name, usual in (("encoder", "pooled"), ("width", 32), ("free_vectors", False)):
        had, wanted = initial.arguments[name], arguments.get(name, usual)
        if had != wanted:
            raise SimrecError(
                f"the pretrained policy has {name} {had!r} and the learner {wanted!r}, so its "
                "weights do not fit; give pretraining and deployment the same, or pretrain again"
            )


def make_learner(
    spec: LearnerSpec,
    env: VecEnv,
    *,
    luck: int,
    policy_class: type[ItemPolicy] = ItemPolicy,
    prior: ItemPolicy | None = None,
    initial: ItemPolicy | None = None,
    settings: dict[str, Any] | None = None,
) -> Learner:
    """Build a learner on `env`.

    Args:
        spec: Learner, policy and settings.
        env: Where it will learn; its item table must be the policy's.
        luck: Seed of weights, sampling and replay.
        policy_class: `ItemPolicy`, or one that acts in another way.
        prior: Frozen policy pi_0 whose weight alpha falls during learning.
        initial: Policy whose scorer's weights are taken over.
        settings: Overrides of the learner's own arguments.

    Raises:
        SimrecError: `prior` or `initial` belongs to another item table, or the two-level policy
            cannot do what is asked.
    """
    if spec.head == "two-level":
        return _two_level(spec, env, luck, policy_class, prior, initial, settings)
    fingerprint = spec.policy["table_fingerprint"]
    arguments = {**spec.policy, "luck": luck}
    for policy in (prior, initial):
        if policy is not None:
            policy.check_table(fingerprint)
    if prior is not None:
        arguments["prior"] = prior.twin()
    chosen = {**spec.settings, **(settings or {})}
    if "encoder" in chosen:
        arguments["encoder"] = chosen.pop("encoder")
    if initial is not None:
        _check_shape(initial, arguments)
    model: Learner
    if spec.name == "kac":
        model = KAC(policy_class, env, policy_kwargs=arguments, luck=luck, **chosen)
    else:
        device = device_of(spec.device, spec.name)
        model = ItemA2C(policy_class, env, policy_kwargs=arguments, device=device, **chosen)
    if prior is not None:
        assert model.policy.prior is not None
        model.policy.prior.load_state_dict(prior.state_dict())
    if initial is not None:
        model.policy.scorer.load_state_dict(initial.scorer.state_dict())
    return model
