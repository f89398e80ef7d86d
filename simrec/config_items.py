"""Parts of a study file about items: what agents see of them, and their semantic ids."""

from typing import Literal

from simrec.settings import Count, Section, Unit


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
