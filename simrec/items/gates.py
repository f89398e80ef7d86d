"""What a report of adapters has to show, and whether it does.

That several modalities beat text alone is no gate: the literature says it may fail.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simrec.items.adapters import GRAPH_ADAPTERS
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

    Adapters and fusions must be above the best of the shuffled controls, which may be a larger
    model than they are. Graph encoders know each item by its neighbours in the log too, so that
    shuffled rows are no control of theirs; they must be above popularity.

    A gate compares means over seeds; where two models are compared the paired difference is shown
    with its 95 % t interval, and "not resolved" where that holds zero.
    """
    by_name = {row.name: row for row in rows}
    shuffled = [row for row in rows if row.name.startswith("shuffled ")]
    graphs = [row for row in rows if row.name in GRAPH_ADAPTERS]
    apart = [by_name["popularity"], *shuffled, *graphs]
    taught = [row for row in rows if row not in apart]
    controls = [by_name["popularity"], max(shuffled, key=lambda row: row.hits.mean)]
    out = [_above(f"every adapter above {control.name}", taught, control) for control in controls]
    if graphs:
        out.append(_above("every graph encoder above popularity", graphs, by_name["popularity"]))
    if "iisan" in by_name and "linear" in by_name:
        a, b = (np.array(by_name[name].each) for name in ("iisan", "linear"))
        out.append(Gate("iisan above linear", a.mean() > b.mean(), _difference(a - b)))
    if "iisan undropped" in by_name:
        with_, without = by_name["iisan"].retained, by_name["iisan undropped"].retained
        out.append(
            Gate(
                "modality dropout raises what iisan keeps, over modalities",
                _mean(with_) > _mean(without),
                ", ".join(
                    f"without {m} {np.mean(without[m]):.0%} -> {np.mean(with_[m]):.0%}"
                    for m in with_
                ),
            )
        )
    return out


def _above(what: str, rows: Sequence[Row], control: Row) -> Gate:
    worst = min(rows, key=lambda row: row.hits.mean)
    figures = f"least {worst.name} {worst.hits.mean:.4f} against {control.hits.mean:.4f}"
    return Gate(what, worst.hits.mean > control.hits.mean, figures)


def _mean(shares: Mapping[str, Sequence[float]]) -> float:
    return float(np.mean([np.mean(each) for each in shares.values()]))


def _difference(values: NDArray[np.float64]) -> str:
    found = t_interval(values)
    mean, ends = found.texts(4, signed=True)
    return f"{mean} {ends}{'' if resolved(found) else ', not resolved'}"
