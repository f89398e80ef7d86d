"""The report's pictures, drawn with Matplotlib's object interface: nothing global is touched."""

import io
from collections.abc import Mapping
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from simrec.compare import Comparison
from simrec.curves import learning_curve
from simrec.files import atomic_file
from simrec.findings import pair_rows
from simrec.metrics import normalised
from simrec.palette import colour_of, is_dashed
from simrec.statistics import resolved

INK = "#123456"  # a stand-in that svg() turns into the page's text colour, light or dark


def dress(axes: Axes, ink: str) -> None:
    """Draw axes in one ink: two sides, faint lines across, small figures."""
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(ink)
        axes.spines[side].set_alpha(0.4)
    axes.tick_params(colors=ink, labelsize=9, length=3)
    axes.grid(axis="y", color=ink, alpha=0.12, linewidth=0.8)
    axes.set_axisbelow(True)


def steps(value: float, _position: int | None = None) -> str:
    """Return a number of env steps as an axis shows it, such as 40k."""
    return f"{value / 1000:g}k" if value >= 1000 else f"{value:g}"


def curves_figure(comparison: Comparison, *, ink: str = INK) -> Figure:
    """Draw the learning curves with their bands: the whole run, and beside it the early window."""
    figure = Figure(figsize=(10.4, 4.2), layout="constrained")
    whole, early = figure.subplots(1, 2, width_ratios=(1.75, 1), sharey=True)
    budget = comparison.runs[0].record.budget_env_steps
    panels = ((whole, 1.0, 40, "The whole run"), (early, 0.05, 12, "The early window: first 5 %"))
    # The best is drawn last, on top; the oracle is 1 by definition and would only flatten the rest.
    names = [name for name in reversed(comparison.strategies) if name != "oracle"]
    for axes, until, points, title in panels:
        dress(axes, ink)
        for name in names:
            curve = learning_curve(comparison.runs_of(name), points, until=until)
            colour = colour_of(name)
            axes.fill_between(
                curve.env_step, curve.low, curve.high, color=colour, alpha=0.18, linewidth=0
            )
            style = (0, (4, 2)) if is_dashed(name) else "solid"
            axes.plot(
                curve.env_step, curve.mean, color=colour, linestyle=style, linewidth=2.0, label=name
            )
        axes.set_xlim(0, budget * until)
        axes.xaxis.set_major_formatter(FuncFormatter(steps))
        axes.set_title(title, loc="left", fontsize=11, color=ink)
        axes.set_xlabel("env steps (recommendations made)", color=ink, fontsize=9)
    low, high = whole.get_ylim()
    for name in ("popular", "static"):
        if name not in comparison.bounds or name in names:
            continue
        bounds = comparison.bounds
        level = float(normalised(bounds[name], bounds["random"], bounds["oracle"]))
        if np.isfinite(level) and level < high + 0.35 * (high - low):
            for axes in (whole, early):
                axes.axhline(level, color=ink, alpha=0.45, linewidth=1, linestyle=(0, (2, 3)))
            early.annotate(
                f" {name} list",
                (1.0, level),
                xycoords=("axes fraction", "data"),
                va="center",
                fontsize=8,
                color=ink,
                alpha=0.8,
            )
    whole.set_ylabel("normalised reward (0 random, 1 oracle)", color=ink, fontsize=9)
    lines, labels = whole.get_legend_handles_labels()
    name_lines(figure, dict(zip(labels[::-1], lines[::-1], strict=True)), ink, fontsize=10)
    return figure


def differences_figure(comparison: Comparison, *, ink: str = INK) -> Figure:
    """Draw the paired differences: mean, interval and every seed; hollow where not resolved."""
    rows = pair_rows(comparison)
    figure = Figure(figsize=(10.4, 1.1 + 0.42 * len(rows)), layout="constrained")
    panels = figure.subplots(1, 3, sharey=True)
    for axes, measure in zip(panels, ("early", "late", "area"), strict=True):
        dress(axes, ink)
        axes.grid(visible=False, axis="y")
        axes.grid(axis="x", color=ink, alpha=0.12, linewidth=0.8)
        axes.axvline(0, color=ink, alpha=0.6, linewidth=1)
        for place, (standing, base) in enumerate(rows):
            found, colour = standing.against[base][measure], colour_of(standing.strategy)
            seeds = standing.pairs[base][measure]
            axes.plot(seeds, np.full(len(seeds), place + 0.22), "|", color=colour, alpha=0.6, ms=6)
            axes.plot([found.low, found.high], [place, place], color=colour, linewidth=2.2)
            fill = colour if resolved(found) else "none"
            axes.plot(found.mean, place, "o", mfc=fill, mec=colour, mew=1.8, ms=7)
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.set_title(measure, loc="left", fontsize=11, color=ink)
        axes.set_xlabel("difference in normalised reward", color=ink, fontsize=9)
    labels = [literal(f"{standing.strategy} - {base}") for standing, base in rows]
    panels[0].set_yticks(range(len(rows)), labels)
    panels[0].set_ylim(len(rows) - 0.5, -0.5)
    return figure


def name_lines(figure: Figure, lines: Mapping[str, Artist], ink: str, *, fontsize: float) -> None:
    """Put one legend above all panels: name -> line, in this order."""
    legend = figure.legend(
        list(lines.values()),
        [literal(name) for name in lines],
        loc="outside upper center",
        ncols=min(len(lines), 8),
        frameon=False,
        fontsize=fontsize,
    )
    for text in legend.get_texts():
        text.set_color(ink)


def literal(text: str) -> str:
    """Return a name as Matplotlib should show it."""
    return text.replace("$", r"\$")  # a dollar sign in a name is no formula


def svg(figure: Figure) -> str:
    """Return the figure as an SVG element whose ink follows the page's text colour."""
    FigureCanvasSVG(figure)
    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": "simrec"}):  # same figure, same bytes
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :].replace(INK, "currentColor")


def write_png(figure: Figure, output: Path) -> Path:
    """Write the figure as a PNG on white and return its path."""
    FigureCanvasAgg(figure)
    with atomic_file(output) as temporary:
        figure.savefig(temporary, format="png", dpi=170, facecolor="white")
    return output


def write_pdf(figure: Figure, output: Path) -> Path:
    """Write the figure as a PDF whose text can be searched, and return its path."""
    FigureCanvasPdf(figure)
    with atomic_file(output) as temporary, matplotlib.rc_context({"pdf.fonttype": 42}):
        figure.savefig(
            temporary, format="pdf", metadata={"CreationDate": None, "Creator": "simrec"}
        )
    return output
