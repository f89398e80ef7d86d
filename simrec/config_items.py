"""Parts of a study file about items: what agents see of them, and their semantic ids."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Count = Annotated[int, Field(ge=1)]


class HiddenConfig(BaseModel):
    """What the agent's item table lacks while users judge the true items; see `items.masked`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    pattern: Literal["item", "block", "whole"] | None = None  # None hides nothing
    rate: Annotated[float, Field(ge=0.0, le=1.0)] = 1.0  # "whole" takes no notice of it
    modality: str | None = None  # the only one hidden; None means any
    blocks: str | None = None  # attribute whose first value groups items, for "block"
    policy: str = "zero"  # in simrec.items.missing.POLICIES, or "my.module:function"
    seed: int = 0


class IdsConfig(BaseModel):
    """How items become semantic ids; see `simrec.items.id_kinds`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["rq_kmeans", "rq_vae", "diger_sdud", "diger_frqud"] | None = None
    levels: Count = 3
    size: Count = 256  # codes of a level
    width: Count = 32  # of the learnt kinds' code vectors
    epochs: Count = 50  # of the learnt kinds
    seed: int = 0
