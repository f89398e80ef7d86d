"""The two learners by name, built alike, so that strategies differ in one place only."""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from stable_baselines3.common.vec_env import VecEnv

from simrec.agents.a2c import ItemA2C
from simrec.agents.encoders import EncoderName
from simrec.agents.kac import KAC
from simrec.agents.policy import ItemPolicy
from simrec.errors import SimrecError, nearest

LearnerName = Literal["kac", "a2c"]
Learner = KAC | ItemA2C
LEARNERS: dict[LearnerName, type[KAC] | type[ItemA2C]] = {"kac": KAC, "a2c": ItemA2C}


@dataclass(frozen=True)
class LearnerSpec:
    """Which learner, with which settings; the same for every strategy of a study."""

    name: LearnerName
    policy: dict[str, Any]  # item_vectors, table_fingerprint, width, free_vectors, free_decay
    settings: dict[str, Any] = field(default_factory=dict)  # the learner's arguments, or encoder


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
        SimrecError: `prior` or `initial` belongs to another item table.
    """
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
    model: Learner
    if spec.name == "kac":
        model = KAC(policy_class, env, policy_kwargs=arguments, luck=luck, **chosen)
    else:
        model = ItemA2C(policy_class, env, policy_kwargs=arguments, **chosen)
    if prior is not None:
        assert model.policy.prior is not None
        model.policy.prior.load_state_dict(prior.state_dict())
    if initial is not None:
        model.policy.scorer.load_state_dict(initial.scorer.state_dict())
    return model
