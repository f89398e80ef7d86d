"""Several worlds in one picture: the learning curves of each, strategies in the same colours."""

from collections.abc import Sequence

from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator

from simrec.compare import Comparison
from simrec.curves import learning_curve
from simrec.figures import INK, dress, literal, name_lines, steps
from simrec.palette import colour_of, is_dashed

COLUMNS = 3  # panels side by side
LEFT_OUT = ("oracle", "random")  # 1 and 0 by definition


def worlds_figure(
    comparisons: Sequence[Comparison], *, strategies: Sequence[str] = (), ink: str = INK
) -> Figure:
    """Draw a panel of learning curves for each study, env steps on a log axis.

    Args:
        comparisons: One for each study, in the order of the panels.
        strategies: Which to draw; empty for all but LEFT_OUT.
        ink: Colour of text and axes.
    """
    columns = min(COLUMNS, len(comparisons))
    rows = -(-len(comparisons) // columns)
    figure = Figure(figsize=(3.6 * columns, 0.6 + 2.9 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in panels[len(comparisons) :]:
        axes.set_axis_off()
    drawn: dict[str, Line2D] = {}
    for axes, comparison in zip(panels, comparisons, strict=False):
        dress(axes, ink)
        budget = comparison.runs[0].record.budget_env_steps
        names = [
            name
            for name in reversed(comparison.strategies)
            if name not in LEFT_OUT and (not strategies or name in strategies)
        ]
        for name in names:
            curve = learning_curve(comparison.runs_of(name), 40)
            colour = colour_of(name)
            axes.fill_between(
                curve.env_step, curve.low, curve.high, color=colour, alpha=0.18, linewidth=0
            )
            style = (0, (4, 2)) if is_dashed(name) else "solid"
            [line] = axes.plot(
                curve.env_step, curve.mean, color=colour, linestyle=style, linewidth=1.8
            )
            drawn.setdefault(name, line)
        axes.set_xscale("log")
        axes.set_xlim(budget / 80, budget)
        axes.xaxis.set_major_formatter(FuncFormatter(steps))
        axes.xaxis.set_minor_formatter(FuncFormatter(lambda *_: ""))
        axes.yaxis.set_major_locator(MaxNLocator(5))
        count = len(comparison.seeds)
        title = f"{literal(comparison.study)}, {count} seed{'s' if count > 1 else ''}"
        axes.set_title(title, loc="left", fontsize=10, color=ink)
    for axes in panels[::columns]:
        axes.set_ylabel("normalised reward", color=ink, fontsize=9)
    figure.supxlabel("env steps (recommendations made), log scale", color=ink, fontsize=9)
    name_lines(figure, {name: drawn[name] for name in reversed(drawn)}, ink, fontsize=9)
    return figure
