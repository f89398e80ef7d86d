"""A comparison as Markdown tables, for a README or a page of findings."""

from collections.abc import Iterable, Sequence

from simrec.compare import Comparison
from simrec.contrasts import LEVEL, REWARDS, outcomes, overall
from simrec.doses import BASE, DoseResponse, dose_responses
from simrec.findings import COLUMNS, bounds_line, cautions, pair_rows, verdict
from simrec.statistics import Interval
from simrec.target import MARGIN, RULE, SWITCH, UNTAUGHT, Gap, Target, targets


def markdown(comparisons: Sequence[Comparison]) -> str:
    """Return every table of `simrec compare` with its cautions, one section a study.

    Args:
        comparisons: One for each study; several are also judged over all of them.
    """
    parts = [_study(comparison) for comparison in comparisons]
    rows: list[tuple[str, ...]]
    if judged := outcomes(comparisons):
        rows = [
            (
                outcome.world,
                outcome.contrast.name,
                _cell(outcome.difference, 3, signed=True),
                f"{outcome.improves:.2f}",
                f"{outcome.p_holm:.4f}",
                outcome.verdict,
            )
            for outcome in judged
        ]
        titles = ("study", "contrast", "difference", "a beats b", "p (Holm)", "verdict")
        note = f"Adjusted by Holm's rule for these {len(rows)}; the level is {LEVEL}."
        parts.append(_section("Contrasts declared beforehand", _table(titles, rows), note))
    if aimed := targets(comparisons):
        parts.append(_targets(aimed))
    if len(comparisons) > 1:
        rows = [
            (f"`{row.strategy}`", *(_cell(row.values[m], 3) for m in REWARDS))
            for row in overall(comparisons)
        ]
        table = _table(("strategy", *REWARDS), rows)
        parts.append(_section(f"Over {len(comparisons)} worlds: interquartile mean", table))
    parts += [_doses(response) for response in dose_responses(comparisons)]
    return "\n".join(parts)


def _targets(aimed: Sequence[Target]) -> str:
    rows = [
        (
            f"{target.world} ({target.seeds})",
            f"{_gap(target.early)} {_met(target.early.met)}",
            f"`{target.late.rival}` {_gap(target.late)} {_met(target.late.met)}",
            " / ".join(map(_gap, target.area)) + f" {_met(target.area_met)}",
            *(map(_gap, target.taught) if target.taught else ("", "")),
            _cell(target.switching, 4, signed=True),
        )
        for target in aimed
    ]
    rivals = " / ".join(f"`{gap.rival}`" for gap in aimed[0].area)
    titles = (
        "study (seeds)",
        f"early, `{RULE}` - `frozen`",
        f"late, `{RULE}` - best",
        f"whole run, `{RULE}` - {rivals}",
        f"early, `{RULE}` - `{UNTAUGHT}`",
        f"whole run, `{RULE}` - `{UNTAUGHT}`",
        "whole run, a perfect switch - `scratch`",
    )
    note = (
        f"Early and late are met where the interval lies above -{MARGIN}, the whole run where all "
        f"three lie above 0. Met as a whole in {sum(t.met for t in aimed)} of {len(aimed)}. "
        f"{SWITCH}"
    )
    return _section(f"The target for `{RULE}`", _table(titles, rows), note)


def _gap(gap: Gap) -> str:
    return _cell(gap.found, 3, signed=True)


def _met(met: bool) -> str:
    return "met" if met else "missed"


def _doses(response: DoseResponse) -> str:
    names = list(response.correlation)
    rows = [
        (
            dose.teacher,
            _cell(dose.quality, 3),
            *(_cell(dose.gains[n], 3, signed=True) if n in dose.gains else "" for n in names),
        )
        for dose in response.doses
    ]
    rhos = (
        f"{_cell(response.correlation[n], 2, signed=True)} {response.verdict(n)}" for n in names
    )
    rows.append(("rank correlation with the AUC", "", *rhos))
    titles = ("teacher", "AUC of r_psi on held-out likes", *names)
    note = "Spearman's rho over teachers within each seed; intervals over seeds."
    title = f"Teachers in {response.world}: early gain over {BASE}"
    return _section(title, _table(titles, rows), note)


def _study(comparison: Comparison) -> str:
    n = len(comparison.seeds)
    tables = [
        _table(
            ("strategy", *(c.title for c in COLUMNS)),
            [
                (f"`{name}`", *(_cell(s.values[c.measure], c.digits) for c in COLUMNS))
                for name, s in comparison.strategies.items()
            ],
        )
    ]
    if pairs := pair_rows(comparison):
        tables.append(
            _table(
                ("difference", *(c.title for c in COLUMNS)),
                [
                    (
                        f"`{standing.strategy}` - `{base}`",
                        *(
                            _difference(standing.against[base][c.measure], c.digits)
                            for c in COLUMNS
                        ),
                    )
                    for standing, base in pairs
                ],
            )
        )
    title = f"{comparison.study}, {n} seed{'s' if n > 1 else ''}"
    return _section(title, *tables, bounds_line(comparison), *cautions(comparison))


def _section(title: str, *parts: str) -> str:
    return "\n\n".join((f"## {title}", *parts)) + "\n"


def _table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [titles, ["---"] * len(titles), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _cell(found: Interval, digits: int, *, signed: bool = False) -> str:
    return " ".join(part for part in found.texts(digits, signed=signed) if part)


def _difference(found: Interval, digits: int) -> str:
    doubt = verdict(found)
    return _cell(found, digits, signed=True) + (f" {doubt}" if doubt else "")
