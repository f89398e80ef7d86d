"""The two tables of `simrec compare` and the sentences below them."""

from collections.abc import Iterable, Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from simrec.compare import Comparison
from simrec.contrasts import LEVEL, REWARDS, Outcome, overall
from simrec.doses import BASE, DoseResponse
from simrec.findings import (
    COLUMNS,
    bounds_line,
    cautions,
    legend,
    pair_rows,
    side_columns,
    verdict,
)
from simrec.side import Noted
from simrec.target import MARGIN, RULE, SWITCH, Target

WIDE = 8  # columns that a terminal has room for
ABREAST = 5  # of them, where each holds an interval


def show(comparison: Comparison, console: Console) -> None:
    """Print the two tables and what must be known to read them."""
    console.print(_strategies(comparison))
    if pair_rows(comparison):
        console.print(_differences(comparison))
    columns = side_columns(comparison)
    for first in range(0, len(columns), WIDE):
        console.print(_side(comparison, columns[first : first + WIDE]))
    lines = (bounds_line(comparison), *cautions(comparison), legend(comparison))
    for number, line in enumerate(lines):
        style = "yellow" if "Warning:" in line else "dim" if number == len(lines) - 1 else ""
        console.print(Text(line, style=style))


def show_contrasts(outcomes: Sequence[Outcome], console: Console) -> None:
    """Print the contrasts declared beforehand; nothing where their strategies were not run."""
    if not outcomes:
        return
    titles = ("difference", "95 % interval", "a beats b", "p", "p (Holm)", "verdict")
    table = _table("Contrasts declared beforehand", "contrast", titles)
    for outcome in outcomes:
        mean, ends = outcome.difference.texts(signed=True)
        table.add_row(
            Text(f"{outcome.contrast.name}, {outcome.world}"),
            Text(mean),
            Text(ends),
            f"{outcome.improves:.2f}",
            f"{outcome.p:.4f}",
            f"{outcome.p_holm:.4f}",
            outcome.verdict,
        )
    console.print(table)
    line = (
        f"p by flipping signs over seeds, adjusted by Holm's rule for these {len(outcomes)}; a "
        f"verdict needs adjusted p <= {LEVEL} and an interval clear of zero. All other differences "
        "are read one at a time."
    )
    console.print(Text(line, style="dim"))


def show_targets(aimed: Sequence[Target], console: Console) -> None:
    """Print how far the target for the adaptive rule is met; nothing where it was not run."""
    if not aimed:
        return
    wholes = (f"whole - {gap.rival}" for gap in aimed[0].area)
    titles = ("early - frozen", "late - best", *wholes, "perfect switch", "verdict")
    table = _table(f"The target for {RULE}", "study", titles)
    for target in aimed:
        gaps = (target.early, target.late, *target.area)
        texts = [gap.found.texts(signed=True) for gap in gaps]
        texts.append(target.switching.texts(4, signed=True))
        table.add_row(Text(target.world), *map(_cell, texts), "met" if target.met else "missed")
    console.print(table)
    line = (
        f"Early and late are met where the interval lies above -{MARGIN}, the whole run where all "
        f"three lie above 0. Met in {sum(t.met for t in aimed)} of {len(aimed)}. {SWITCH}"
    )
    console.print(Text(line.replace("`", ""), style="dim"))


def show_overall(comparisons: Sequence[Comparison], console: Console) -> None:
    """Print the interquartile means over worlds of the strategies that every world ran."""
    table = _table(f"Over {len(comparisons)} worlds: interquartile mean", "strategy", REWARDS)
    for row in overall(comparisons):
        table.add_row(Text(row.strategy), *(_cell(row.values[m].texts()) for m in REWARDS))
    console.print(table)
    line = "Intervals: bootstrap over seeds within each world; the worlds are these and no others."
    console.print(Text(line, style="dim"))


def show_doses(responses: Sequence[DoseResponse], console: Console) -> None:
    """Print what each teacher is worth and gains early; nothing where too few can be compared."""
    for response in responses:
        names = list(response.correlation)
        title = f"Teachers in {response.world}: early gain over {BASE}"
        table = _table(title, "teacher", ("AUC of r_psi on held-out likes", *names))
        for dose in response.doses:
            gains = (
                _cell(dose.gains[n].texts(signed=True)) if n in dose.gains else Text("")
                for n in names
            )
            table.add_row(
                Text(f"{dose.teacher} ({dose.study})"), _cell(dose.quality.texts()), *gains
            )
        rhos = (
            _cell((*response.correlation[n].texts(2, signed=True), response.verdict(n)))
            for n in names
        )
        table.add_row(Text("rank correlation with the AUC"), Text(""), *rhos)
        console.print(table)
        line = "Spearman's rho over teachers within each seed; intervals over seeds."
        console.print(Text(line, style="dim"))


def _table(title: str, first: str, titles: Iterable[str]) -> Table:
    table = Table(title=Text(title), box=SIMPLE_HEAD, title_justify="left", padding=(0, 1))
    table.add_column(first, no_wrap=True)
    for column in titles:
        table.add_column(column, justify="right")
    return table


def show_measures(comparison: Comparison, console: Console) -> None:
    """Print everything the runs noted, a measure a row, with intervals and what each means."""
    measures = side_columns(comparison, every=True)
    if not measures:
        console.print("These runs noted no measures; runs made by today's simrec do.")
        return
    known = comparison.side_measures()
    names = list(known)
    for first in range(0, len(names), ABREAST):
        shown = names[first : first + ABREAST]
        title = f"{comparison.study}: what the runs noted, means over seeds with 95 % intervals"
        table = _table(title, "measure", shown)
        for of in measures:
            cells = (
                _cell(known[n][of.measure].texts(of.digits)) if of.measure in known[n] else ""
                for n in shown
            )
            table.add_row(_cell((of.title, of.unit)), *cells)
        console.print(table)
    for of in measures:
        if of.about:
            console.print(Text(f"{of.title}: {of.about}.", style="dim"))


def _side(comparison: Comparison, columns: Sequence[Noted]) -> Table:
    table = _table("Beside them, means over seeds", "strategy", (c.head for c in columns))
    for name, found in comparison.side_measures().items():
        cells = (found[c.measure].texts(c.digits)[0] if c.measure in found else "" for c in columns)
        table.add_row(Text(name), *cells)
    return table


def _cell(lines: Iterable[str]) -> Text:
    value, *rest = (line for line in lines if line)
    return Text(value).append("".join(f"\n{line}" for line in rest), style="dim")


def _strategies(comparison: Comparison) -> Table:
    seeds = len(comparison.seeds)
    title = f"{comparison.study} in {comparison.world}, {seeds} seed{'s' if seeds > 1 else ''}"
    table = _table(title, "strategy", (c.title for c in COLUMNS))
    for name, standing in comparison.strategies.items():
        table.add_row(
            Text(name + (" (rising)" if standing.still_rising else "")),
            *(_cell(standing.values[c.measure].texts(c.digits)) for c in COLUMNS),
        )
    return table


def _differences(comparison: Comparison) -> Table:
    titles = (c.title for c in COLUMNS)
    table = _table("Paired differences over the seeds both have", "difference", titles)
    for standing, base in pair_rows(comparison):
        found = standing.against[base]
        cells = [
            _cell((*found[c.measure].texts(c.digits, signed=True), verdict(found[c.measure])))
            for c in COLUMNS
        ]
        table.add_row(Text(f"{standing.strategy} - {base}"), *cells)
    return table
