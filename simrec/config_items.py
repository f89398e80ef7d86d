"""Parts of a study file about items: how vectors are learnt, what agents see, semantic ids."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from simrec.settings import Count, NotNegative, Positive, Section, Unit


class AdapterConfig(Section):
    """How item vectors are learnt from the agent's part of the log; see `simrec.items.fit`."""

    name: str | None = None  # in simrec.items.adapters; None learns nothing
    settings: dict[str, Any] = {}  # further arguments of its class
    stores: dict[str, Path] = {}  # modality -> feature store whose layers it reads instead
    history: Count = 10
    width: Count = 64
    epochs: Count = 20
    patience: Count = 4
    batch: Count = 64
    learning_rate: Positive = 1e-3
    weight_decay: NotNegative = 0.01
    modality_dropout: Annotated[float, Field(ge=0.0, le=1.0)] = 0.3
    tower_weight: NotNegative = 0.0
    align: Literal["none", "infonce", "gram"] = "none"
    align_weight: NotNegative = 0.05
    seed: int = 0


class HiddenConfig(Section):
    """What the agent's item table lacks while users judge the true items; see `items.masked`."""

    pattern: Literal["item", "block", "whole"] | None = None  # None hides nothing
    rate: Unit = 1.0  # "whole" takes no notice of it
    modality: str | None = None  # the only one hidden; None means any
    blocks: str | None = None  # attribute whose first value groups items, for "block"
    policy: str = "zero"  # in simrec.items.missing.POLICIES, or "my.module:function"
    seed: int = 0


class IdsConfig(Section):
    """How items become semantic ids; see `simrec.items.id_kinds`."""

    kind: Literal["rq_kmeans", "rq_vae", "diger_sdud", "diger_frqud"] | None = None
    levels: Count = 3
    size: Count = 256  # codes of a level
    width: Count = 32  # of the learnt kinds' code vectors
    epochs: Count = 50  # of the learnt kinds
    seed: int = 0
