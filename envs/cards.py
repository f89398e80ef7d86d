"""One picture of how alike simulated and real users are; needs Matplotlib."""

from pathlib import Path
from textwrap import fill

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from simrec.envs.resemblance import Resemblance
from simrec.files import atomic_file
from simrec.statistics import Interval

FITTED, SHUFFLED, INK = "#0072B2", "#D55E00", "#222222"  # Okabe and Ito's blue and vermilion


def realism_card(report: Resemblance) -> Figure:
    """Draw every distance with its interval, beside shuffled users and the floor of luck."""
    measures = [measure for measure in report.measures if measure.shuffled is not None]
    others = [measure.sentence for measure in report.measures if measure.shuffled is None]
    figure = Figure(figsize=(9.6, 2.0 + 0.46 * (len(measures) + 1)), layout="constrained")
    axes = figure.subplots()
    names = ["overall", *(measure.name for measure in measures)]
    rows: list[tuple[Interval, float | None, Interval | None]] = [
        (report.overall, report.floor, report.shuffled)
    ]
    rows += [(measure.distance, measure.floor, measure.shuffled) for measure in measures]
    for place, (found, floor, shuffled) in enumerate(rows):
        wide = 3.4 if place == 0 else 2.2
        axes.plot([found.low, found.high], [place - 0.12] * 2, color=FITTED, linewidth=wide)
        axes.plot(
            found.mean, place - 0.12, "o", color=FITTED, ms=7, label="fitted users" * (not place)
        )
        if shuffled is not None:
            axes.plot([shuffled.low, shuffled.high], [place + 0.14] * 2, color=SHUFFLED, lw=wide)
            axes.plot(
                shuffled.mean,
                place + 0.14,
                "s",
                color=SHUFFLED,
                ms=6,
                label="shuffled users (wrong on purpose)" * (not place),
            )
        if floor is not None:
            axes.plot(
                floor,
                place - 0.12,
                "|",
                color=INK,
                ms=15,
                mew=1.8,
                label="floor: the fitted users with other luck" * (not place),
            )
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.45, -0.6)
    axes.set_xlim(left=0)
    axes.axhline(0.5, color=INK, alpha=0.25, linewidth=0.8)
    axes.grid(axis="x", color=INK, alpha=0.12)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel(
        "distance from real people on held-out events (0 = alike; 95 % bootstrap)\n\n"
        + "\n".join(fill(_literal(text), 120) for text in (*others, *report.notes)),
        fontsize=9,
        loc="left",
    )
    axes.set_title(
        f"{_literal(report.world)}: {report.users:,} users, {report.offers:,} held-out offers",
        loc="left",
        fontsize=12,
    )
    figure.legend(loc="outside lower left", ncols=3, frameon=False, fontsize=9)
    return figure


def write_card(report: Resemblance, path: Path) -> Path:
    """Write the picture as a PNG and return its path."""
    figure = realism_card(report)
    FigureCanvasAgg(figure)
    with atomic_file(path) as temporary:
        figure.savefig(temporary, format="png", dpi=150, facecolor="white")
    return path


def _literal(text: str) -> str:
    return text.replace("$", r"\$")  # a dollar sign in a name is no formula
