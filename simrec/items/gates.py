"""What a report of adapters has to show, and whether it does.

That several modalities beat text alone is no gate: the literature says it may fail.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simrec.items.benchmark import Row
from simrec.statistics import resolved, t_interval


@dataclass(frozen=True)
class Gate:
    """A sentence about means over seeds."""

    what: str
    passed: bool
    figures: str


def gates(rows: Sequence[Row]) -> list[Gate]:
    """Judge HR@10: above popularity, above shuffled rows, "iisan" above "linear", dropout's gain.

    A gate compares means over seeds; where two models are compared the paired difference is shown
    with its 95 % t interval, and "not resolved" where that holds zero.
    """
    by_name = {row.name: row for row in rows}
    shuffled = [row for row in rows if row.name.startswith("shuffled ")]
    taught = [row for row in rows if row not in shuffled and row.name != "popularity"]
    worst = min(taught, key=lambda row: row.hits.mean)
    controls = [by_name["popularity"], max(shuffled, key=lambda row: row.hits.mean)]
    out = [
        Gate(
            f"every adapter above {control.name}",
            worst.hits.mean > control.hits.mean,
            f"least {worst.name} {worst.hits.mean:.4f} against {control.hits.mean:.4f}",
        )
        for control in controls
    ]
    if "iisan" in by_name and "linear" in by_name:
        a, b = (np.array(by_name[name].each) for name in ("iisan", "linear"))
        out.append(Gate("iisan above linear", a.mean() > b.mean(), _difference(a - b)))
    if "iisan undropped" in by_name:
        with_, without = by_name["iisan"].retained, by_name["iisan undropped"].retained
        out.append(
            Gate(
                "modality dropout raises what iisan keeps, over modalities",
                _mean(with_) > _mean(without),
                ", ".join(f"without {m} {without[m]:.0%} -> {with_[m]:.0%}" for m in with_),
            )
        )
    return out


def _mean(shares: Mapping[str, float]) -> float:
    return float(np.mean(list(shares.values())))


def _difference(values: NDArray[np.float64]) -> str:
    found = t_interval(values)
    mean, ends = found.texts(4, signed=True)
    return f"{mean} {ends}{'' if resolved(found) else ', not resolved'}"
