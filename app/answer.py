"""The Compare page's answer: who is best early and late, how sure that is, and a picture of it.

The picture is plain HTML, so it stands before the browser has loaded what draws the curves.
"""

from collections.abc import Mapping, Sequence
from html import escape
from urllib.parse import urlencode

import numpy as np

from simrec.app.glossary import meaning
from simrec.app.sessions import left, right
from simrec.app.style import dot, grid, named
from simrec.compare import Comparison
from simrec.leaders import FEWER_IS_BETTER, KNOWS_USERS, Leader
from simrec.palette import colour_of
from simrec.statistics import Interval

_PANELS = (
    ("early", "Best early", "first 5 % of the run"),
    ("late", "Best late", "last 20 % of the run"),
)
_MOST_ROWS = 7
_NAMED = 3  # most strategies named and explained, where several lead
_SURE = 0.05  # largest corrected p of a lead that is called clear


def sentence(comparison: Comparison, first: Mapping[str, Leader | None]) -> str:
    """Return in one sentence who is best early, who late, and whether the seeds can tell.

    Args:
        comparison: The study.
        first: Measure -> who leads by it.
    """
    early, late = first["early"], first["late"]
    if early is None or late is None:
        return "Nothing that could be deployed has been run yet."
    n = len(comparison.seeds)
    if not early.contrasts:
        return f"Only {early.strategy} was run, so there is nothing to set it beside."
    if n == 1:
        return (
            f"One seed cannot tell: {early.strategy} has the highest reward early, "
            f"{late.strategy} late, and either may be luck."
        )
    return f"Over {n} seeds, early {_claim(early)}; late {_claim(late)}."


def _claim(found: Leader) -> str:
    if not found.tied:
        if _clear(found):
            return f"{found.strategy} is clearly best"
        return f"{found.strategy} is best, though not beyond doubt"
    others = _listed(found.tied) if len(found.tied) < 4 else f"{len(found.tied)} others"
    ahead = f", clearly ahead of {found.runner_up}" if found.runner_up and _clear(found) else ""
    return f"{found.strategy} leads{ahead}{' but' if ahead else ','} not told apart from {others}"


def _clear(found: Leader) -> bool:
    return bool(np.isfinite(found.p) and found.p <= _SURE)


def _listed(names: Sequence[str]) -> str:
    return " and ".join(part for part in (", ".join(names[:-1]), names[-1]) if part)


def doubt(found: Leader, digits: int, measure: str) -> list[str]:
    """Return how sure it is that a leader leads, as sentences."""
    lines = []
    if found.tied:
        lines.append(f"Not resolved from {_listed(found.tied)}.")
    if found.lead is not None:
        words = " ".join(found.lead.texts(digits, signed=True))
        fewer = "fewer than" if measure in FEWER_IS_BETTER else "ahead of"
        said = f"Clearly {fewer}" if _clear(found) else fewer.capitalize()
        lines.append(f"{said} {found.runner_up} by {words}.".replace("by +", "by "))
        lines.append(_corrected(found))
    if not lines:
        lines.append("Nothing to compare it with.")
    return lines


def _corrected(found: Leader) -> str:
    """Return whether the lead holds when all the comparisons made to find it are counted."""
    if not np.isfinite(found.p):
        return "One seed in common: no p can be told."
    p = "p < 0.001" if found.p < 0.001 else f"p = {found.p:.3f}"
    holds = "Holds" if _clear(found) else "Does not hold"
    times = f"{found.contrasts} comparisons" if found.contrasts > 1 else "one comparison"
    return f"{holds} when corrected for {times} ({p}, Holm, paired t)."


def answer(comparison: Comparison, first: Mapping[str, Leader | None]) -> str:
    """Return the sentence and, for early and late, who leads and a picture of all intervals."""
    said = f'<p class="sr-answer">{escape(sentence(comparison, first))}</p>'
    shown = [_panel(comparison, best, *p) for p in _PANELS if (best := first[p[0]]) is not None]
    return said + grid(shown, "sr-panels")


def _panel(comparison: Comparison, best: Leader, measure: str, label: str, when: str) -> str:
    values = {
        name: standing.values[measure]
        for name, standing in comparison.strategies.items()
        if name not in KNOWS_USERS and np.isfinite(standing.values[measure].mean)
    }
    leading = (best.strategy, *best.tied)
    told = [f"{name}: {about}." for name in leading[:_NAMED] if (about := meaning(name))]
    notes = "".join(f'<div class="s">{escape(s)}</div>' for s in (*told, *doubt(best, 3, measure)))
    return (
        f'<div class="sr-card"><div class="k">{escape(label)} ({escape(when)})</div>'
        f'<div class="v">{"".join(named(name) for name in leading[:_NAMED])}'
        f"{'<span>…</span>' if len(leading) > _NAMED else ''}</div>"
        f"{_dots(values, leading, when)}{notes}</div>"
    )


def _dots(values: Mapping[str, Interval], leading: Sequence[str], when: str) -> str:
    """Return a row a strategy, best first: its interval as a bar, its mean as a spot."""
    order = sorted(values, key=lambda name: -values[name].mean)
    ends = np.array([[values[n].mean, values[n].low, values[n].high] for n in order])
    low, high = min(0.0, float(np.nanmin(ends))), max(1.0, float(np.nanmax(ends)))

    def place(value: float) -> float:
        return 100 * (value - low) / (high - low)

    rows = []
    for name in order[:_MOST_ROWS]:
        found = values[name]
        mean, spread = found.texts()
        bar = ""
        if np.isfinite(found.low):
            width = place(found.high) - place(found.low)
            bar = f'<i style="left:{place(found.low):.2f}%;width:{width:.2f}%"></i>'
        rows.append(
            f'<div class="r{" top" if name in leading else ""}" style="--c:{colour_of(name)}"'
            f' title="{escape(f"{name}: {mean} {spread}")}">'
            f"<span>{dot(name)}{escape(name)}</span><span class='x'>{bar}"
            f'<b style="left:{place(found.mean):.2f}%"></b></span><span>{mean}</span></div>'
        )
    more = len(order) - len(rows)
    rest = f"{more} more below" if more else ""
    marks = (("0 random", place(0.0)), ("1 oracle", place(1.0)))
    scale = "".join(f'<em style="left:{at:.2f}%">{word}</em>' for word, at in marks)
    alt = escape(f"Normalised reward of {len(rows)} strategies in the {when}, with intervals")
    return (
        f'<div class="sr-dots" role="img" aria-label="{alt}">{"".join(rows)}'
        f'<div class="r"><span>{rest}</span><span class="x scale">{scale}</span><span></span></div>'
        "</div>"
    )


def session_links(
    comparison: Comparison, first: Mapping[str, Leader | None], *, usual: bool
) -> str:
    """Return links to sessions that show what sets the leaders apart; "" for one strategy.

    What the Session page would choose by itself is left out of the address: the page would take it
    out, and the browser's way back would then lead to the page itself.

    Args:
        comparison: The study.
        first: Measure -> who leads by it.
        usual: Whether pages show this study where the address names none.
    """
    known = list(comparison.strategies)
    early, late = (found.strategy if (found := first[w]) else "" for w in ("early", "late"))
    rest = [name for name in ("scratch", "random", *known) if name in known]
    pairs = {"early": (early, rest), "late": (late, [early, *rest])}
    lines = []
    for window, (one, others) in pairs.items():
        other = next((name for name in others if name and name != one), None)
        if not one or other is None:
            continue
        said = {
            "study": "" if usual else comparison.study,
            "a": "" if one == left(known)[0] else one,
            "b": "" if other == right(known, one)[0] else other,
            "when": window,
        }
        where = urlencode({key: value for key, value in said.items() if value})
        words = f"See why {window}: one user under {one} and under {other}, with the same luck"
        lines.append(f'<a href="session?{escape(where)}">{escape(words)}</a>')
    return f'<p class="sr-link">{"".join(lines)}</p>' if lines else ""
