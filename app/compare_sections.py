"""The Compare page's charts that say why: differences, users lost, entropy, diversity."""

from collections.abc import Callable

import streamlit as st

from simrec.app import choose, load
from simrec.app.charts import curves_chart, phase_chart, points_of
from simrec.app.compare_tables import noted
from simrec.app.forest import diversity_chart, forest_chart, levels_chart
from simrec.app.quantities import told
from simrec.app.show import chart, csv, say
from simrec.compare import BASES, Comparison
from simrec.curves import Curve
from simrec.findings import side_columns
from simrec.overview import Overview

Section = Callable[[Overview, Comparison, list[str], tuple[int, ...]], None]

_MEASURES = {
    "early reward": ("early", "difference in normalised reward"),
    "late reward": ("late", "difference in normalised reward"),
    "reward over the whole run": ("area", "difference in normalised reward"),
    "users lost early": ("lost_early", "difference in users who left, per 1,000 recommendations"),
}


def _differences(
    found: Overview, comparison: Comparison, picked: list[str], seeds: tuple[int, ...]
) -> None:
    bases = [
        base for base in BASES if any(base in s.against for s in comparison.strategies.values())
    ]
    if not bases:
        say("Nothing to subtract: neither scratch nor ft was run beside another strategy.")
        return
    left, right = st.columns([1, 2], vertical_alignment="bottom")
    with left:
        base = choose.one("Compared with", bases, "base")
    with right:
        measure, unit = _MEASURES[choose.tab("Of", list(_MEASURES), "of")]
    figure, data = forest_chart(comparison, base, measure, unit)
    chart(figure, data, f"differences-{base}-{measure}", f"Differences to {base}, with intervals")
    st.caption(
        "Each tick is a seed, the spot their mean, the bar its 95 % interval. A hollow spot is not "
        "resolved: the interval includes zero. No correction is made for the number of comparisons."
    )


def _lost(
    found: Overview, comparison: Comparison, picked: list[str], seeds: tuple[int, ...]
) -> None:
    unit = "users who left, per 1,000 recommendations in the first 5 %"
    lost = {name: comparison.strategies[name].values["lost_early"] for name in picked}
    figure, data = levels_chart(lost, "lost_early", unit, 1)
    chart(figure, data, "lost-early", "Users lost early by strategy")
    curves = {name: load.curve(found, name, "left", "early", seeds) for name in picked}
    chart(
        curves_chart(curves, told("left", found.unit)),
        points_of(curves, "left"),
        "lost-over-time",
        "Users lost over the early window",
    )


def _frozen(
    found: Overview, comparison: Comparison, picked: list[str], seeds: tuple[int, ...]
) -> None:
    for quantity in ("frozen_share", "alpha"):
        curves = _logged(found, picked, quantity, seeds)
        if curves:
            words = told(quantity, found.unit)
            figure, points = curves_chart(curves, words), points_of(curves, quantity)
            chart(figure, points, f"logged-{quantity}", words.title)
    if not _logged(found, picked, "frozen_share", seeds):
        st.caption(
            "How many single actions the frozen policy chose is not logged by these runs; alpha is "
            "the weight of its log-probabilities in the policy. The strategy frozen has alpha 1 "
            "throughout and logs nothing."
        )


def _entropy(
    found: Overview, comparison: Comparison, picked: list[str], seeds: tuple[int, ...]
) -> None:
    across = _logged(found, picked, "entropy", seeds)
    if not across:
        say("None of the strategies shown logs its entropy: only those that learn do.")
        return
    up = {name: load.curve(found, name, "reward", "whole", seeds) for name in across}
    figure, data = phase_chart(across, up, told("entropy", found.unit))
    chart(figure, data, "entropy-reward", "Entropy of the policy against reward")
    st.caption(
        "A strategy's way through the run: the hollow spot is the start, the full one the end. "
        "Means over seeds."
    )


def _diversity(
    found: Overview, comparison: Comparison, picked: list[str], seeds: tuple[int, ...]
) -> None:
    kinds = {
        "items shown at least once": ("distinct", "distinct items"),
        "effective items": ("effective", "exp(entropy) of the shares of items shown, in items"),
    }
    kind, unit = kinds[choose.tab("Count", list(kinds), "count")]
    digests = {name: found.digests_of(name, seeds) for name in picked}
    figure, data = diversity_chart(digests, kind, unit)
    chart(figure, data, f"diversity-{kind}", "Items shown by strategy and window")
    st.caption(
        "Windows hold different numbers of recommendations (5 %, 75 % and 20 % of the env steps), "
        "so compare strategies within a window. Effective items: k items shown equally often "
        "count k."
    )


def _noted(
    found: Overview, comparison: Comparison, picked: list[str], seeds: tuple[int, ...]
) -> None:
    measures = side_columns(comparison, every=True)
    if not measures:
        say("These runs note no further measures; runs made by today's simrec do.")
        return
    html, frame = noted(load.noted(found.folder, seeds), measures, picked)
    st.html(html)
    csv(frame, "measures")
    st.caption(
        "Means over seeds; intervals are in the CSV, and in the chart above when the measure is "
        "picked as its metric. Empty: the strategy has no such number. Diversity is measured on "
        "the sessions recorded item by item."
    )


def _logged(
    found: Overview, picked: list[str], quantity: str, seeds: tuple[int, ...]
) -> dict[str, Curve]:
    curves = {name: load.curve(found, name, quantity, "whole", seeds) for name in picked}
    return {name: curve for name, curve in curves.items() if len(curve.env_step)}


SECTIONS: dict[str, Section] = {
    "Differences": _differences,
    "Users lost": _lost,
    "Frozen policy's part": _frozen,
    "Entropy and reward": _entropy,
    "Diversity": _diversity,
    "More measures": _noted,
}
