"""The page of the item table: a map, neighbours in every modality, and what is missing."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from simrec.app import choose, load
from simrec.app.charts import dress
from simrec.app.item_codes import code_table, code_tree, item_codes
from simrec.app.item_map import Items, click_rates, plane, read_items, retention
from simrec.app.shelf import Shelf, shelf, thumbnail
from simrec.app.show import chart, csv, say
from simrec.app.style import grid, item_card, picture_uri, plain_table
from simrec.errors import SimrecError
from simrec.overview import Overview

_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#8C6BB1")
_SHAPES = ("circle", "square", "triangle-up", "diamond", "cross")
_MOST_VALUES = 24  # of an attribute that can be told apart on a map
_HELP = "Near items have similar vectors. all: the fused item table that policies read."
UNITS = {
    "popularity": "log(1 + events in the log)",
    "clicks": "clicks per showing",
    "retention": "share of users still there after it",
}
_MOST_COVERS = 1500  # covers shown on hover travel with the page


def page(root: Path, read_only: bool) -> None:
    """Show the items of a study."""
    st.title("Items")
    st.caption(
        "What can be recommended, and how alike the items are to the policies that recommend them."
    )
    found = choose.study(root, read_only)
    if found is None:
        return
    try:
        items = load.kept(found, "items", read_items)
    except SimrecError as error:
        say(f"Warning: {error}")
        return
    known = shelf(found)
    if known.missing:
        say(known.missing)
    left, right = st.columns([1, 2], vertical_alignment="bottom")
    with left:
        space = choose.one("Vectors", ["all", *items.parts], "space", help=_HELP)
    colourings = _colourings(found, items, known)
    with right:
        colour = choose.tab("Colour", list(colourings), "colour")
    item = _map(found, items, known, space, colour, colourings[colour])
    _one_item(items, known, item)
    _codes(found, items, known, colour, colourings[colour])
    _missing(items)


def _map(
    found: Overview, items: Items, known: Shelf, space: str, colour: str, value: NDArray[Any]
) -> int:
    vectors = items.fused if space == "all" else items.parts[space]
    here = np.ones(len(vectors), dtype=np.bool_)
    if space != "all":
        here = items.present[:, list(items.parts).index(space)]
    points, share = plane(vectors[here])
    rows = np.flatnonzero(here)
    frame = pd.DataFrame(
        {
            "item": rows,
            "x": points[:, 0],
            "y": points[:, 1],
            "title": [known.title(int(i)) for i in rows],
            "about": [known.words(int(i)) for i in rows],
            colour: value[rows],
        }
    )
    spec = _spec(frame, colour)
    if len(rows) <= _MOST_COVERS and known.catalogue is not None:
        frame["image"] = [_tiny(known, int(i)) for i in rows]
        spec["encoding"]["tooltip"].append({"field": "image"})
    event: Any = st.vega_lite_chart(
        frame,
        spec,
        height=480,
        on_select="rerun",
        selection_mode="picked",
        key=f"map-{found.folder.name}-{space}-{colour}",
        alt="Map of the items: near items have similar vectors",
    )
    st.caption(
        f"The first two principal components, which hold {share:.0%} of the variance. Point at an "
        "item to see it, click it to see its neighbours; drag to move, scroll to zoom."
    )
    csv(frame.drop(columns="image", errors="ignore"), "items")
    picked = event.selection.get("picked", []) if event else []
    if picked and "item" in picked[0]:
        st.session_state["item"] = int(picked[0]["item"])
    options = list(range(len(items.fused)))
    if st.session_state.get("item") not in options:
        st.session_state["item"] = 0
    found_item = st.selectbox(
        "Item", options, format_func=lambda i: f"{known.title(i)} ({i})", key="item"
    )
    return int(found_item or 0)


def _spec(frame: pd.DataFrame, colour: str) -> dict[str, Any]:
    told = {"field": colour, "title": UNITS.get(colour, colour)}
    tips: list[dict[str, str]] = [{"field": "title"}, {"field": "about"}, told]
    encoding: dict[str, Any] = {
        "x": {"field": "x", "type": "quantitative", "axis": None},
        "y": {"field": "y", "type": "quantitative", "axis": None},
        "size": {"value": 75},
        "opacity": {"condition": {"param": "picked", "value": 0.95}, "value": 0.35},
        "tooltip": tips,
    }
    if frame[colour].dtype == object or isinstance(frame[colour].dtype, pd.StringDtype):
        names = sorted(frame[colour].unique())
        n = len(_COLOURS)
        encoding["color"] = {
            "field": colour,
            "type": "nominal",
            "scale": {"domain": names, "range": [_COLOURS[i % n] for i in range(len(names))]},
            "legend": {
                "orient": "bottom",
                "columns": {"expr": "width < 480 ? 3 : 6"},
                "title": None,
            },
        }
        encoding["shape"] = {
            "field": colour,
            "type": "nominal",
            "scale": {
                "domain": names,
                "range": [_SHAPES[i // n % len(_SHAPES)] for i in range(len(names))],
            },
        }
    else:
        encoding["color"] = {
            "field": colour,
            "type": "quantitative",
            "scale": {"scheme": "viridis"},
            "legend": {"orient": "bottom", "gradientLength": 260, "title": UNITS[colour]},
        }
    return {
        "mark": {"type": "point", "filled": True},
        "params": [
            {"name": "picked", "select": {"type": "point", "fields": ["item"]}},
            {"name": "view", "select": "interval", "bind": "scales"},
        ],
        "encoding": encoding,
    }


def _colourings(found: Overview, items: Items, known: Shelf) -> dict[str, NDArray[Any]]:
    """Return what the map can be coloured by: name with its unit -> value of each item (I,)."""
    n = len(items.fused)
    colourings: dict[str, NDArray[Any]] = {}
    if known.catalogue is not None:
        bored = found.first.config.get("world", {}).get("topics")  # what bores comes first
        attributes = known.catalogue.attributes
        for name in sorted(attributes, key=lambda name: name != bored):
            attribute = attributes[name]
            if attribute.membership.any(axis=0).sum() > _MOST_VALUES:
                continue
            first = attribute.membership.argmax(axis=1)
            words = np.array([*attribute.vocabulary, "none"], dtype=object)
            none = ~attribute.membership.any(axis=1)
            colourings[name] = words[np.where(none, len(attribute.vocabulary), first)]
    colourings["popularity"] = items.log_popularity.astype(np.float64)
    try:
        colourings["clicks"] = load.kept(found, "rates", click_rates, n)
        colourings["retention"] = load.kept(found, "retention", retention, n)
    except SimrecError as error:
        say(f"Warning: {error}")
    return colourings


def _tiny(known: Shelf, item: int) -> str:
    image = known.cover(item)
    return picture_uri(thumbnail(image, 96)) if image else ""


def _one_item(items: Items, known: Shelf, item: int) -> None:
    left, right = st.columns([1, 3], gap="medium")
    with left:
        one = item_card(known.title(item), known.cover(item), meta=known.words(item))
        st.html(f'<div class="sr-one">{one}</div>')
        if known.catalogue is not None and known.catalogue.texts[item]:
            st.text(known.catalogue.texts[item])
    with right:
        for space in ("all", *items.parts):
            st.text(f"Nearest by {'all modalities' if space == 'all' else space}")
            near = items.neighbours(item, space, 5)
            if not near:
                st.caption("This item lacks the modality.")
                continue
            st.html(
                grid(
                    [
                        item_card(
                            known.title(i),
                            known.cover(i),
                            meta=f"{known.words(i)}\ncosine {cosine:.2f}",
                        )
                        for i, cosine in near
                    ],
                    "sr-items",
                )
            )


def _codes(found: Overview, items: Items, known: Shelf, colour: str, value: NDArray[Any]) -> None:
    st.subheader("Semantic ids: the items as a tree of codes")
    codes = load.kept(found, "codes", _code)
    table = code_table(codes, value, [known.title(i) for i in range(len(codes))])
    colours = None
    if value.dtype == object:
        names = sorted(set(value))
        colours = {name: _COLOURS[i % len(_COLOURS)] for i, name in enumerate(names)}
    figure = code_tree(table, colours, colour, depth=2)
    chart(dress(figure, height=460), table, "codes", "The items as a tree of codes")
    st.caption(
        "Each item's first code is its coarse group, the second a group within that; a box is as "
        "large as its number of items and has the colour of what most of them are. Click a box to "
        "open it and see its items. The codes are made here, by residual k-means on the fused "
        "vectors; the runs of this study did not use them."
    )


def _code(found: Overview) -> NDArray[np.int64]:
    return item_codes(load.kept(found, "items", read_items).fused)


def _missing(items: Items) -> None:
    st.subheader("Modalities")
    n = len(items.fused)
    rows = [
        {
            "modality": name,
            "numbers an item": items.parts[name].shape[1],
            "items with it": int(items.present[:, i].sum()),
            "missing": n - int(items.present[:, i].sum()),
            "missing (%)": round(100 * (1 - float(items.present[:, i].mean())), 1),
        }
        for i, name in enumerate(items.parts)
    ]
    st.html(plain_table(list(rows[0]) if rows else [], [row.values() for row in rows]))
    csv(pd.DataFrame(rows), "modalities")
