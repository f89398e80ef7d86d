"""How an adapter is trained; needs no torch to import."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class FitSettings:
    """How an adapter is trained."""

    adapter: str = "iisan"  # a key of simrec.items.adapters.ADAPTERS
    settings: Mapping[str, Any] = field(default_factory=dict)  # further arguments of its class
    width: int = 64
    epochs: int = 20
    steps: int | None = None  # batches in an epoch; None is one pass over the sequences
    patience: int = 4  # epochs without a better NDCG@10 before it stops
    batch: int = 64  # sequences
    learning_rate: float = 1e-3
    weight_decay: float = 0.01
    modality_dropout: float = 0.3  # chance that a sequence loses one modality throughout
    tower_weight: float = 0.0  # of the loss of each modality's own vector; NoteLLM-2 idea
    align: str = "none"  # "none", "infonce" or "gram"
    align_weight: float = 0.05
    seed: int = 0
