"""The two tables of `simrec compare` and the sentences below them."""

from collections.abc import Iterable

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from simrec.compare import Comparison
from simrec.findings import COLUMNS, LEGEND, bounds_line, cautions, pair_rows, verdict


def show(comparison: Comparison, console: Console) -> None:
    """Print the two tables and what must be known to read them."""
    console.print(_strategies(comparison))
    if pair_rows(comparison):
        console.print(_differences(comparison))
    lines = (bounds_line(comparison), *cautions(comparison), LEGEND)
    for number, line in enumerate(lines):
        style = "yellow" if "Warning:" in line else "dim" if number == len(lines) - 1 else ""
        console.print(Text(line, style=style))


def _table(title: str, first: str) -> Table:
    table = Table(title=Text(title), box=SIMPLE_HEAD, title_justify="left", padding=(0, 1))
    table.add_column(first, no_wrap=True)
    for column in COLUMNS:
        table.add_column(column.title, justify="right")
    return table


def _cell(lines: Iterable[str]) -> Text:
    value, *rest = (line for line in lines if line)
    return Text(value).append("".join(f"\n{line}" for line in rest), style="dim")


def _strategies(comparison: Comparison) -> Table:
    seeds = len(comparison.seeds)
    title = f"{comparison.study} in {comparison.world}, {seeds} seed{'s' if seeds > 1 else ''}"
    table = _table(title, "strategy")
    for name, standing in comparison.strategies.items():
        table.add_row(
            Text(name + (" (rising)" if standing.still_rising else "")),
            *(_cell(standing.values[c.measure].texts(c.digits)) for c in COLUMNS),
        )
    return table


def _differences(comparison: Comparison) -> Table:
    table = _table("Paired differences over the seeds both have", "difference")
    for standing, base in pair_rows(comparison):
        found = standing.against[base]
        cells = [
            _cell((*found[c.measure].texts(c.digits, signed=True), verdict(found[c.measure])))
            for c in COLUMNS
        ]
        table.add_row(Text(f"{standing.strategy} - {base}"), *cells)
    return table
