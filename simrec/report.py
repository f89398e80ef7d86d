"""One HTML file that tells a study's whole story: figures, numbers, cautions and settings."""

import json
from collections.abc import Iterable
from html import escape
from pathlib import Path
from string import Template

from simrec.compare import Comparison, compare
from simrec.contrasts import LEVEL, outcomes
from simrec.figures import curves_figure, differences_figure, svg, write_png
from simrec.files import atomic_file
from simrec.findings import (
    COLUMNS,
    bounds_line,
    cautions,
    legend,
    pair_rows,
    side_columns,
    verdict,
)
from simrec.palette import colour_of
from simrec.records import plain
from simrec.statistics import resolved, t_interval

_PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<style>
:root { color-scheme: light dark; --ink: #1c2430; --paper: #ffffff; --soft: #5b6675;
  --line: #dde2e8; --warn: #8a5200; --warn-paper: #fff5e0; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ee; --paper: #14181d; --soft: #9aa5b3;
  --line: #2c343d; --warn: #ffc76b; --warn-paper: #2b2213; } }
body { margin: 0 auto; max-width: 66rem; padding: 2rem 1.25rem 4rem; color: var(--ink);
  background: var(--paper); font: 16px/1.55 system-ui, sans-serif; }
h1 { font-size: 1.7rem; margin: 0; } h2 { font-size: 1.15rem; margin: 2.4rem 0 .6rem; }
p { max-width: 46rem; } .soft { color: var(--soft); margin: .2rem 0 0; }
.warn { color: var(--warn); background: var(--warn-paper); padding: .6rem .9rem;
  border-radius: .4rem; }
.wide { overflow-x: auto; } svg { width: 100%; height: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: .45rem .6rem; text-align: right; border-bottom: 1px solid var(--line); }
th:first-child, td:first-child { text-align: left; white-space: nowrap; }
th { font-weight: 600; color: var(--soft); font-size: .85rem; }
td small { display: block; color: var(--soft); font-size: .8rem; white-space: nowrap; }
.dot { display: inline-block; width: .7em; height: .7em; border-radius: 50%; margin-right: .5em; }
pre { overflow-x: auto; font-size: .85rem; } summary { cursor: pointer; }
</style>
</head>
<body>
<h1>$title</h1>
<p class="soft">$subtitle</p>
$cautions
<h2>Learning curves</h2>
<div class="wide">$curves</div>
<p class="soft">Mean over seeds of the sessions starting in each bin of env steps, with the 95 %
interval.</p>
<h2>Strategies</h2>
<div class="wide">$strategies</div>
<p class="soft">$legend</p>
<p>$bounds</p>
$differences
$contrasts
$side
<h2>How it was made</h2>
$made
</body>
</html>
""")


def write_report(paths: Path | Iterable[Path], output: Path) -> Path:
    """Write a study's report as one HTML file that needs no other file and no network.

    Args:
        paths: The study's folder, or several run folders.
        output: Where the file goes.

    Raises:
        SimrecError: As compare.load_runs.
    """
    comparison = compare(paths)
    page = _PAGE.substitute(
        title=escape(comparison.study),
        subtitle=escape(
            f"World {comparison.world}; seeds {', '.join(map(str, comparison.seeds))}; "
            f"{comparison.runs[0].record.budget_env_steps:,} env steps a run"
        ),
        cautions="\n".join(
            f'<p class="{"warn" if "Warning:" in line else "soft"}">{escape(line)}</p>'
            for line in cautions(comparison)
        ),
        curves=svg(curves_figure(comparison)),
        strategies=_strategies(comparison),
        legend=escape(legend(comparison)),
        bounds=escape(bounds_line(comparison)),
        differences=_differences(comparison) if pair_rows(comparison) else "",
        contrasts=_contrasts(comparison),
        side=_side(comparison),
        made=_made(comparison),
    )
    with atomic_file(output) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return output


def curve_png(paths: Path | Iterable[Path], output: Path) -> Path:
    """Write the learning curves as a PNG, for a README or a slide, and return its path."""
    return write_png(curves_figure(compare(paths), ink="#1c2430"), output)


def _row(cells: Iterable[str], tag: str = "td") -> str:
    return "<tr>" + "".join(f"<{tag}>{cell}</{tag}>" for cell in cells) + "</tr>"


def _cell(value: str, *notes: str) -> str:
    return escape(value) + "".join(f"<small>{escape(note)}</small>" for note in notes if note)


def _name(strategy: str, text: str) -> str:
    return f'<span class="dot" style="background:{colour_of(strategy)}"></span>{escape(text)}'


def _strategies(comparison: Comparison) -> str:
    rows = [_row(["strategy", *(escape(c.title) for c in COLUMNS)], "th")]
    for name, standing in comparison.strategies.items():
        note = "<small>still rising</small>" if standing.still_rising else ""
        cells = (_cell(*standing.values[c.measure].texts(c.digits)) for c in COLUMNS)
        rows.append(_row([_name(name, name) + note, *cells]))
    return "<table>" + "".join(rows) + "</table>"


def _differences(comparison: Comparison) -> str:
    rows = [_row(["difference", *(escape(c.title) for c in COLUMNS)], "th")]
    for standing, base in pair_rows(comparison):
        cells = []
        for c in COLUMNS:
            found = standing.against[base][c.measure]
            student = t_interval(standing.pairs[base][c.measure])
            doubt = verdict(found)
            if resolved(found) and not resolved(student):
                doubt = "by t: not resolved"
            cells.append(_cell(*found.texts(c.digits, signed=True), doubt))
        rows.append(_row([_name(standing.strategy, f"{standing.strategy} - {base}"), *cells]))
    return (
        "<h2>Paired differences</h2>"
        f'<div class="wide">{svg(differences_figure(comparison))}</div>'
        '<p class="soft">Each tick is a seed, the dot their mean, the bar its 95 % interval; a '
        "hollow dot is not resolved: the interval includes zero.</p>"
        f'<div class="wide"><table>{"".join(rows)}</table></div>'
        '<p class="soft">"By t: not resolved" marks a difference that the bootstrap resolves and '
        "Student's t interval, which is wider with few seeds, does not. No correction is made for "
        "the number of comparisons.</p>"
    )


def _contrasts(comparison: Comparison) -> str:
    judged = outcomes([comparison])
    if not judged:
        return ""
    titles = ("contrast", "difference", "a beats b", "p", "p (Holm)", "verdict")
    rows = [_row(titles, "th")]
    for outcome in judged:
        rows.append(
            _row(
                [
                    escape(outcome.contrast.name),
                    _cell(*outcome.difference.texts(signed=True)),
                    f"{outcome.improves:.2f}",
                    f"{outcome.p:.4f}",
                    f"{outcome.p_holm:.4f}",
                    outcome.verdict,
                ]
            )
        )
    return (
        "<h2>Contrasts declared beforehand</h2>"
        f'<div class="wide"><table>{"".join(rows)}</table></div>'
        f'<p class="soft">p by flipping signs over seeds, adjusted by Holm&rsquo;s rule for these '
        f"{len(judged)}; a verdict needs adjusted p &le; {LEVEL} and an interval clear of zero.</p>"
    )


def _side(comparison: Comparison) -> str:
    columns = side_columns(comparison)
    if not columns:
        return ""
    rows = [_row(["strategy", *(escape(c.head) for c in columns)], "th")]
    for name, found in comparison.side_measures().items():
        cells = (
            _cell(*found[c.measure].texts(c.digits)) if c.measure in found else "" for c in columns
        )
        rows.append(_row([_name(name, name), *cells]))
    return f'<h2>Beside them</h2><div class="wide"><table>{"".join(rows)}</table></div>'


def _made(comparison: Comparison) -> str:
    first = comparison.runs[0].record
    commits = {run.record.git_commit or "unknown" for run in comparison.runs}
    seconds = sum(run.record.seconds for run in comparison.runs)
    versions = ", ".join(f"{name} {version}" for name, version in first.versions.items())
    summary = (
        f"{len(comparison.runs)} runs, {seconds / 60:.1f} minutes of computing in all; "
        f"commit {', '.join(sorted(commits))}; {versions or 'versions not recorded'}."
    )
    details = {
        f"{run.record.strategy} seed {run.record.seed}": {
            "variant": run.record.variant,
            "config_hash": run.record.config_hash,
            "fingerprints": run.record.fingerprints,
            "llm": run.record.llm,
            "notes": run.record.notes,
            "seconds": run.record.seconds,
        }
        for run in comparison.runs
    }
    return (
        f"<p>{escape(summary)}</p>"
        f"<details><summary>Study configuration</summary><pre>{_json(first.config)}</pre></details>"
        f"<details><summary>Every run</summary><pre>{_json(details)}</pre></details>"
    )


def _json(value: object) -> str:
    return escape(json.dumps(plain(value), indent=2))
