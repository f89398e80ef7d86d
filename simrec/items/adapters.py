"""Item encoders that can be chosen by name, and whose idea each is; needs no torch to import."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from simrec.errors import SimrecError, nearest


@dataclass(frozen=True)
class Adapter:
    """A trainable item encoder and where it comes from."""

    place: str  # module:class
    paper: str
    evidence: str  # "read" (formulas or code), "reconstructed" (from an abstract), "ours"
    fixed: Mapping[str, Any] = field(default_factory=dict)


_MMSR = "MMSR (arXiv 2403.17372)"
ADAPTERS: dict[str, Adapter] = {
    "linear": Adapter("fusion:FusionEncoder", "control", "ours", {"fusion": "linear"}),
    "iisan": Adapter(
        "side_adapter:SideAdapter",
        "IISAN (arXiv 2404.02059) and IISAN-Versa (TKDE)",
        "read",
    ),
    "crossan": Adapter("crossan:CrossAdapter", "CROSSAN-style (arXiv 2504.10307)", "reconstructed"),
    **{
        name: Adapter("fusion:FusionEncoder", _MMSR, "read", {"fusion": name})
        for name in ("sum", "concat", "film", "gated")
    },
    **{
        f"mlp_{name}": Adapter("fusion:FusionEncoder", _MMSR, "read", {"fusion": name, "mlp": True})
        for name in ("sum", "concat", "film", "gated")
    },
    "late_gate": Adapter(
        "fusion:FusionEncoder", "NoteLLM-2 (arXiv 2405.16789)", "read", {"fusion": "late_gate"}
    ),
    "moe": Adapter(
        "fusion:FusionEncoder",
        "MOMEF-style (arXiv 2504.10307)",
        "reconstructed",
        {"fusion": "moe"},
    ),
}

# encoders on the user-item graph, trained by pairs and not by sequences; see simrec.items.graph_fit
GRAPH_ADAPTERS: dict[str, Adapter] = {
    "mgcn": Adapter("graph_views:MGCN", "MGCN (arXiv 2308.03588)", "read"),
    "befa": Adapter("graph_views:MGCN", "BeFA (AAAI 2025)", "read", {"purifier": "befa"}),
    "lirdrec": Adapter("graph_views:LIRDRec", "LIRDRec", "read"),
}


def make_adapter(
    name: str,
    dims: Mapping[str, int],
    layers: Mapping[str, int],
    *,
    rng: Any,
    width: int,
    settings: Mapping[str, Any],
) -> Any:
    """Return a new item encoder (a torch module) for modalities of these widths and depths.

    Args:
        name: A key of ADAPTERS.
        dims: Width of each modality's states.
        layers: Number of each modality's states.
        rng: A torch generator that draws the weights.
        width: Of the vectors it returns.
        settings: Further arguments of its class.

    Raises:
        SimrecError: There is no such adapter or setting.
    """
    if name not in ADAPTERS:
        known = [*ADAPTERS, *GRAPH_ADAPTERS]
        raise SimrecError(f"there is no sequence adapter '{name}'; {nearest(name, known)}")
    found = ADAPTERS[name]
    module, _, kind = found.place.partition(":")
    maker = getattr(import_module(f"simrec.items.{module}"), kind)
    try:
        return maker(dims, layers, rng=rng, width=width, **{**found.fixed, **settings})
    except TypeError as error:
        raise SimrecError(
            f"item adapter '{name}' does not take the settings {dict(settings)} ({error}); see "
            f"{kind} in simrec.items.{module}"
        ) from error
