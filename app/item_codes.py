"""Semantic ids of items for the eye: a tree of codes, from coarse to fine."""

from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray

from simrec.app import door

LEVELS = 2
_MOST_CODES = 8  # of a level: what the eye can tell apart


def item_codes(vectors: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return the codes (I, 2) of items by residual k-means, the coarse one first.

    Args:
        vectors: (I, D) fused vectors of the item table.
    """
    size = min(_MOST_CODES, len(vectors))
    codes, _ = door.codes().residual_kmeans(vectors, levels=LEVELS, size=size)
    return np.asarray(codes, dtype=np.int64)


def code_table(
    codes: NDArray[np.int64], value: NDArray[Any], titles: Sequence[str]
) -> pd.DataFrame:
    """Return a row for each code and each item.

    Columns: id, parent, label, items (below it), value (what most of them have, or their mean),
    share (of the items with that value; NaN for numbers), level (0 to 2).

    Args:
        codes: (I, 2).
        value: (I,) words or numbers the tree is coloured by.
        titles: (I,) of the items.
    """
    rows = []
    words = value.dtype == object

    def add(code: str, parent: str, label: str, mine: NDArray[np.int64], level: int) -> None:
        held = value[mine]
        if words:
            found, count = np.unique(held.astype(str), return_counts=True)
            common = int(count.argmax())
            told: Any = str(found[common])
            share = float(count[common] / len(mine))
        else:
            real = held[np.isfinite(held.astype(np.float64))]
            told, share = float(real.mean()) if len(real) else np.nan, np.nan
        rows.append((code, parent, label, len(mine), told, share, level))

    for first in np.unique(codes[:, 0]):
        mine = np.flatnonzero(codes[:, 0] == first)
        add(f"{first}", "", f"{first}", mine, 0)
        for second in np.unique(codes[mine, 1]):
            leaf = mine[codes[mine, 1] == second]
            add(f"{first}.{second}", f"{first}", f"{first}.{second}", leaf, 1)
            for item in leaf:
                one = np.array([item])
                add(f"item {item}", f"{first}.{second}", titles[int(item)], one, 2)
    columns = ["id", "parent", "label", "items", "value", "share", "level"]
    return pd.DataFrame(rows, columns=columns)


def code_tree(
    table: pd.DataFrame, colours: dict[str, str] | None, measure: str, depth: int
) -> go.Figure:
    """Return the tree as a treemap; a click opens a code.

    Args:
        table: From `code_table`.
        colours: Word -> colour, None where the value is a number.
        measure: What the value is, with its unit.
        depth: How many levels are seen at once, 1 to 3.
    """
    value = table["value"]
    labels = [escape(label) for label in table["label"]]
    marker: dict[str, Any] = {"pad": {"t": 22, "l": 3, "r": 3, "b": 3}, "cornerradius": 4}
    if colours is None:
        marker |= {"colors": value, "colorscale": "Viridis", "showscale": True,
                   "colorbar": {"thickness": 10, "title": None}}  # fmt: skip
        told = [f"{escape(measure)} {v:.3g}" for v in value]
    else:
        labels = [  # a code says what most of its items are
            label if level == LEVELS else f"{label}: {escape(str(v))}"
            for label, v, level in zip(labels, value, table["level"], strict=True)
        ]
        marker["colors"] = [colours.get(v, "#999999") for v in value]
        told = [
            f"{escape(str(v))}, {share:.0%} of them"
            for v, share in zip(value, table["share"], strict=True)
        ]
    figure = go.Figure(
        go.Treemap(
            ids=table["id"],
            parents=table["parent"],
            labels=labels,
            values=table["items"],
            branchvalues="total",
            maxdepth=depth,
            marker=marker,
            customdata=told,
            hovertemplate="<b>%{label}</b><br>%{value} items<br>%{customdata}<extra></extra>",
            texttemplate="%{label}",
            tiling={"pad": 2},
            root={"color": "rgba(0,0,0,0)"},
            sort=False,
        )
    )
    figure.update_layout(uniformtext={"minsize": 10, "mode": "hide"})
    return figure
