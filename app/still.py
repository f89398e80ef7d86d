"""A picture of the learning curves that stands before the browser can draw them itself.

The drawing library is a second of work for a browser that has never opened the dashboard. Until
then this picture shows the same points in the same place, and the style sheet takes it away.
"""

import base64
from collections.abc import Mapping
from html import escape

import numpy as np
from numpy.typing import NDArray

from simrec.app.style import dot
from simrec.curves import Curve
from simrec.digest_curves import Metric
from simrec.palette import colour_of, is_dashed

_SIDE = 1000  # units of the drawing's width and height; it is stretched to the page


def still(
    curves: Mapping[str, Curve], alt: str, metric: Metric, levels: Mapping[str, float], *, log: bool
) -> str:
    """Return curves with bands, axes and names as HTML.

    Args:
        curves: Strategy -> curve, best first, at least one.
        alt: What it shows, for those who cannot see it.
        metric: What is drawn, in the words of the world.
        levels: Static list -> height of a dotted line.
        log: Whether env steps are on a logarithmic axis.
    """
    x = np.concatenate([curve.env_step for curve in curves.values()])
    ends = [[c.mean, c.low, c.high] for c in curves.values()]
    y = np.concatenate([*(part for curve in ends for part in curve), list(levels.values())])
    low, high = float(np.nanmin(y)), float(np.nanmax(y))
    edge = 0.04 * (high - low) or 0.5
    low, high = low - edge, high + edge
    scale = np.log10 if log else np.asarray
    left, right = float(scale(x.min())), float(scale(x.max()))

    def across(step: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray((scale(step) - left) / max(right - left, 1e-9))

    def down(value: NDArray[np.float64]) -> NDArray[np.float64]:
        return (high - value) / (high - low)

    shapes = []
    for name, level in levels.items():
        at = _SIDE * float(down(np.asarray(level)))
        shapes.append(
            f'<path d="M0 {at:.0f}H{_SIDE}" stroke="{colour_of(name)}" stroke-width="1.3" '
            'stroke-dasharray="2 3"/>'
        )
    for name, curve in reversed(list(curves.items())):  # the best is drawn last, on top
        colour, way = colour_of(name), across(curve.env_step)
        if np.isfinite(curve.low).all():
            band = _path(np.append(way, way[::-1]), down(np.append(curve.high, curve.low[::-1])))
            shapes.append(f'<path d="{band}Z" fill="{colour}" fill-opacity=".18"/>')
        dashes = ' stroke-dasharray="9 6"' if is_dashed(name) else ""
        line = _path(way, down(curve.mean))
        shapes.append(f'<path d="{line}" stroke="{colour}" stroke-width="2.5"{dashes}/>')
    drawing = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_SIDE} {_SIDE}" fill="none" '
        'preserveAspectRatio="none"><style>path{vector-effect:non-scaling-stroke}</style>'
        f"{''.join(shapes)}</svg>"
    )
    source = base64.b64encode(drawing.encode()).decode()
    side = "".join(
        f'<em class="y" style="top:{100 * float(down(np.asarray(at))):.1f}%"><b>{at:g}</b></em>'
        for at in ticks(low, high)
    )
    steps = _decades(x.min(), x.max()) if log else ticks(float(x.min()), float(x.max()))
    foot = "".join(
        f'<em class="x" style="left:{100 * float(across(np.asarray(at))):.1f}%">{_short(at)}</em>'
        for at in steps
    )
    names = "".join(f"<span>{dot(name)} {escape(name)}</span>" for name in curves)
    names += "".join(f"<span>{dot(name)} {escape(name)} list, dotted</span>" for name in levels)
    return (
        f'<div class="sr-still" role="img" aria-label="{escape(alt)}">'
        f'<div class="n">{escape(metric.title)} ({escape(metric.unit)})</div>'
        f'<div class="p">{side}<img src="data:image/svg+xml;base64,{source}" alt="">{foot}</div>'
        f'<div class="n x">env steps (recommendations made)</div><div class="k">{names}</div></div>'
    )


def ticks(low: float, high: float) -> list[float]:
    """Return four to nine round numbers between two ends."""
    rough = (high - low) / 6
    power = 10.0 ** np.floor(np.log10(rough)) if rough > 0 else 1.0
    step = next(power * m for m in (1, 2, 2.5, 5, 10) if power * m >= rough * 0.999)
    first, last = int(np.ceil(low / step - 1e-9)), int(np.floor(high / step + 1e-9))
    return [round(float(k * step), 10) for k in range(first, last + 1)]


def _decades(low: float, high: float) -> list[float]:
    found = [m * 10.0**p for p in range(-1, 10) for m in (1, 2, 5)]
    return [at for at in found if low <= at <= high]


def _short(step: float) -> str:
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if step >= size:
            return f"{step / size:g}{letter}"
    return f"{step:g}"


def _path(x: NDArray[np.float64], y: NDArray[np.float64]) -> str:
    points = zip(np.round(_SIDE * x).astype(int), np.round(_SIDE * y).astype(int), strict=True)
    return "M" + "L".join(f"{a} {b}" for a, b in points)
