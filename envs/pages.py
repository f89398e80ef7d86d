"""A page for every world and the table of all worlds, made from what the commands measure.

Beside each page NAME.md lies NAME.json with its numbers, so that the table can be made where some
data is absent. Pages hold numbers only, never texts or pictures of the data.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from simrec.datasets.source import IMPORTS
from simrec.envs.arguments import ENDINGS, MEANINGS, REWARDS
from simrec.envs.bounds import MOST_STATIC
from simrec.envs.cards import write_card
from simrec.envs.describe import MORE, PREDICTORS, fitted, measured, realism_lines
from simrec.envs.load import load, load_parts
from simrec.envs.registry import world_spec
from simrec.envs.resemblance import resemblance
from simrec.errors import SimrecError
from simrec.files import atomic_file, home, write_json

BEGIN, END = "<!-- environments: begin -->", "<!-- environments: end -->"
SESSIONS = 1024  # of every bound on a page
POLICIES = ("random", "popular", "static", "myopic", "oracle")
# A world whose best static list has more than 70 % of the gain must say here why it is kept.
STATIC_REASONS: Mapping[str, str] = {}
HISTORY: Mapping[str, tuple[str, ...]] = {}  # changes after v0, newest first


def page_facts(id: str, *, sessions: int = SESSIONS, card: Path | None = None) -> dict[str, Any]:
    """Return every number of a world's page.

    Args:
        id: A registered id whose data is present.
        sessions: Sessions of every bound.
        card: Where to write the picture of realism; None writes none.

    Raises:
        SimrecError: A static list has more than 70 % of the gain and no reason is given.
    """
    spec = world_spec(id)
    world, source = load(spec, home()).world, load_parts(spec)
    found, bounds = fitted(spec), measured(spec, seed=1, sessions=sessions)
    if bounds.static_share > MOST_STATIC and id not in STATIC_REASONS:
        raise SimrecError(
            f"in {id} one list for everybody has {bounds.static_share:.0%} of the gain; expected "
            f"at most {MOST_STATIC:.0%}, or a reason in STATIC_REASONS of simrec.envs.pages"
        )
    alike = resemblance(
        world, source.dataset.log, source.split, like_at=spec.like_at, seed=0, asked=source.asked
    )
    if card is not None:
        write_card(alike, card)
    return {
        "id": id,
        "spec": json.loads(json.dumps(asdict(spec))),  # lists for tuples, as when read back
        "topics": world.topics.shape[1],
        "length": world.start_items.shape[1] + world.rules.horizon,
        "fit": found.as_dict(),
        "debias": None if found.debias is None else found.debias.sentence(),
        "bounds": bounds.bounds,
        "static_share": bounds.static_share,
        "planning": [gain.sentence() for gain in bounds.planning],
        "verdict": bounds.verdict,
        "oracle": bounds.oracle,
        "played": bounds.played,
        "realism": realism_lines(alike),
        "realism_overall": [alike.overall.mean, alike.floor, alike.shuffled.mean],
        "realism_personal": [getattr(alike.personal_gap, e) for e in ("mean", "low", "high")],
    }


def write_page(id: str, folder: Path, *, sessions: int = SESSIONS) -> Path:
    """Write a world's page, numbers and picture, and return the page's path."""
    stem = _stem(id)
    facts = page_facts(id, sessions=sessions, card=folder / f"{stem}.png")
    write_json(folder / f"{stem}.json", facts)
    with atomic_file(folder / f"{stem}.md") as temporary:
        temporary.write_text(page(facts), encoding="utf-8")
    return folder / f"{stem}.md"


def page(facts: Mapping[str, Any]) -> str:
    """Return the Markdown of a world's page from its numbers."""
    spec, fit, id = facts["spec"], facts["fit"], facts["id"]
    items, horizon = fit["items"], spec["horizon"]
    unit = spec["reward"]
    reward = REWARDS[unit]
    if unit == "clicks" and spec["choice"] in ("position", "dependent"):
        reward = "1 a click in the slate, 0 to k a step"
    attribute = spec["topics_attribute"]
    topics = f"values of '{attribute}'" if attribute else "clusters of items"
    more = [name for name in MORE if name in facts["bounds"]["random"]]
    lines = [
        f"# {id}",
        "",
        "Made by `simrec env pages`; do not edit by hand.",
        "",
        _source(spec, fit),
        "",
        "| | |",
        "|---|---|",
        f"| Action | `Discrete({items})`, an item; `MultiDiscrete([{items}] * k)` with "
        "`slate_size=k` |",
        f"| Observation | `history` ({facts['length']},) int64 from -1 (empty) to {items - 1}, "
        f"most recent last; `feedback` ({facts['length']},) float32, 0 or 1; `step` (1,) int64 "
        f"from 0 to {horizon} (with `slate_size=k` the first two are {spec['history']} + {horizon} "
        "k long) |",
        f"| Reward | {reward}; unit: {unit} |",
        f"| Ending | terminated after {ENDINGS[spec['leave']].format(**spec)} (the user left); "
        f"truncated at step {horizon}; never both |",
        f"| Users | {fit['users']:,}, of whom {fit['arrivals']:,} arrive (met only online) |",
        f"| Topics that bore | {facts['topics']} {topics} |",
        "",
        "## Bounds",
        "",
        f"{unit.capitalize()} per session, from {facts['played']}. {facts['oracle']}",
        "",
        f"| policy | {unit} | standard error | steps |" + "".join(f" {MORE[m]} |" for m in more),
        "|---|---|---|---|" + "---|" * len(more),
    ]
    for name in POLICIES:
        bound = facts["bounds"][name]
        lines.append(
            f"| {name} | {bound['reward']:.2f} | {bound['reward_se']:.2f} | {bound['length']:.1f} |"
            + "".join(f" {bound[m]:.2f} |" for m in more)
        )
    reason = STATIC_REASONS.get(id)
    lines += [
        "",
        f"The best list for everybody has {facts['static_share']:.0%} of what knowing each user "
        f"gains over chance (at most {MOST_STATIC:.0%} is allowed without a reason)."
        + (f" It is allowed here because {reason}." if reason else ""),
        "",
        "## Does planning pay?",
        "",
        facts["verdict"],
        "",
        *(f"- {text}" for text in facts["planning"]),
        "",
        "## How the users agree with held-out events",
        "",
        f"{fit['fit']['judged']:,} offers, {fit['fit']['like_share']:.0%} liked. "
        + _unit_note(fit["unit"]),
        "",
        "| predictor | RMSE | AUC | calibration error |",
        "|---|---|---|---|",
    ]
    for key, label in PREDICTORS:
        score = fit["fit"][key]
        lines.append(
            f"| {label} | {score['rmse']:.3f} | {score['auc']:.3f} | "
            f"{score['calibration_error']:.3f} |"
        )
    lines += [f"| popularity | | {fit['fit']['popularity_auc']:.3f} | |", ""]
    if facts["debias"]:
        lines += [f"Inverse propensity weights: {facts['debias']}.", ""]
    if fit["scales"]:
        told = ", ".join(f"{name}{value:g}" for name, value in sorted(fit["scales"].items()))
        lines += [f"In the world the scale of taste is chosen, not calibrated: {told}.", ""]
    lines += [
        "## Realism",
        "",
        f"![Distances from real people]({_stem(id)}.png)",
        "",
        *(f"- {text.strip()}" for text in facts["realism"][1:]),
        "",
        "## Arguments",
        "",
        "`gymnasium.make` and `make_vec` take any of these, and beside them `slate_size`, "
        "`signals` and `masks` (more in the info), `behaviour` (objects of one's own in place of "
        "rules, schedule, retention, creators, friends) and `observability` (`partial`; `full` "
        "adds the true state, for research only).",
        "",
        "| argument | here | meaning |",
        "|---|---|---|",
        *(f"| {name} | {spec[name]} | {meaning} |" for name, meaning in MEANINGS.items()),
        "",
        "## Versions",
        "",
        *(f"- {text}" for text in (*HISTORY.get(id, ()), "v0: first version")),
        "",
    ]
    return "\n".join(lines)


def world_table(folder: Path) -> str:
    """Return the Markdown table of every world that has a page in `folder`.

    Raises:
        SimrecError: There is no page.
    """
    files = sorted(folder.glob("*.json"))
    if not files:
        raise SimrecError(f"there are no pages in {folder}; run `simrec env pages` first")
    rows = [
        "| world | users | items | feedback | random, static, oracle | planning | realism (floor, "
        "shuffled) | shuffled, person by person |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for facts in sorted((json.loads(f.read_text(encoding="utf-8")) for f in files), key=_order):
        fit, bounds = facts["fit"], facts["bounds"]
        earned = ", ".join(f"{bounds[n]['reward']:.1f}" for n in ("random", "static", "oracle"))
        unit = "" if facts["spec"]["reward"] == "clicks" else f" {facts['spec']['reward']}"
        own, floor, shuffled = facts["realism_overall"]
        worse, low, high = facts["realism_personal"]
        pays = "pays" if facts["verdict"].startswith("Planning pays") else "adds little"
        rows.append(
            f"| [{facts['id']}]({folder.as_posix()}/{_stem(facts['id'])}.md) | {fit['users']:,} | "
            f"{fit['items']:,} | {fit['unit']} | {earned}{unit} | {pays} | {own:.3f} ({floor:.3f}, "
            f"{shuffled:.3f}) | worse by {worse:.3f} [{low:.3f}, {high:.3f}] |"
        )
    return "\n".join(rows)


def write_table(folder: Path, readme: Path) -> Path:
    """Put the table between the two marks of a file and return its path.

    Raises:
        SimrecError: The file has no such marks.
    """
    text = readme.read_text(encoding="utf-8")
    if BEGIN not in text or END not in text:
        raise SimrecError(
            f"{readme} has no place for the table; put the lines '{BEGIN}' and '{END}' where it "
            "belongs"
        )
    head, rest = text.split(BEGIN, 1)
    _, tail = rest.split(END, 1)
    with atomic_file(readme) as temporary:
        temporary.write_text(f"{head}{BEGIN}\n{world_table(folder)}\n{END}{tail}", encoding="utf-8")
    return readme


def _source(spec: Mapping[str, Any], fit: Mapping[str, Any]) -> str:
    name = spec["dataset"]
    if name == "toy":
        return "Generated micro-videos and users; no data is needed."
    how = f"`simrec data import --format tidy PATH --name {name}`"
    if name == "movielens":
        how = f"`simrec data fetch ml-100k`, or {how}"
    known = f"{IMPORTS[name]}: " if name in IMPORTS else ""
    return (
        f"{known}{fit['events']:,} events after filters, feedback in '{fit['unit']}'. Needs {how}; "
        "the data is not part of simrec, and its terms are in its own README."
    )


def _unit_note(unit: str) -> str:
    if unit in ("implicit", "count"):
        return (
            "The log says what people did and not what they declined: events stand among four "
            "negatives each, drawn by the square root of popularity, and RMSE is of P(click)."
        )
    return "RMSE is of the rating, in its own unit."


def _stem(id: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", id.split("/")[-1]).lower()


def _order(facts: Mapping[str, Any]) -> tuple[bool, str]:
    return (facts["spec"]["dataset"] != "toy", str(facts["id"]))
