"""What `simrec teacher report` measures and prints."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from simrec.errors import SimrecError
from simrec.interactions import InteractionLog, Part
from simrec.llm.agreement import (
    Agreement,
    CalibrationRow,
    TwoTeachers,
    agreement,
    between_teachers,
    calibration,
)
from simrec.llm.quality import Pairs, both_judged, meet
from simrec.llm.recorded import RecordedTeacher
from simrec.llm.report_text import Prices, meaning, part_and_whole, remains, rounds_lines
from simrec.metrics import expected_calibration_error
from simrec.stages.inputs import Inputs
from simrec.stages.rounds import asked_rounds, doses_of, round_path, taught, union
from simrec.stages.tables import agent_table
from simrec.stages.teaching import measures_of, preferences, preferences_path, teacher_warning

THREE = "llm_ratings_3teachers.parquet"  # pairs that several language models rated
MODELS = {"gpt_4o_mini": "gpt-4o-mini", "gemma3_12b": "Gemma-3-12B", "gemma3_4b": "Gemma-3-4B"}


@dataclass(frozen=True)
class Section:
    """A teacher, or several on the same pairs, with popularity beside them."""

    title: str
    rows: list[Agreement]  # the last is popularity
    calibration: list[CalibrationRow]  # of the first
    calibration_error: float | None  # of the first, where its scores are probabilities
    between: list[TwoTeachers]
    note: str = ""  # a sentence more


@dataclass(frozen=True)
class Judged:
    """Everything of one report."""

    kind: str  # of the study's teacher
    warning: str
    measures: dict[int, dict[str, Any]]  # round -> what was measured when a model was asked
    rounds: tuple[int, int]  # asked, and in the study
    sections: list[Section]

    def as_dict(self) -> dict[str, Any]:
        """Return plain numbers for a file."""
        return asdict(self)


def judge(inputs: Inputs, seed: int | None) -> Judged:
    """Measure a study's teacher.

    The study's own answers, those of every round asked so far, are compared with the judging part
    of the log, on which nothing is fitted. A table of recorded answers beside the data is also
    compared as a whole with the log as a whole; that says what the table is worth, and nothing is
    chosen by it.

    Raises:
        SimrecError: A language model was not asked yet.
    """
    config = inputs.config
    seed = config.seeds[0] if seed is None else seed
    kind = config.teacher.kind
    if kind == "llm" and not preferences_path(inputs, seed).is_file():
        raise SimrecError(
            f"the teacher of study '{config.study}' was not asked for seed {seed} yet; run "
            f"'simrec prefer' with the same study and settings first"
        )
    table = agent_table(inputs)
    preferences(inputs, seed, table, lambda line: None)
    rounds = asked_rounds(inputs, seed)
    people = inputs.dataset.log.select(inputs.split.part == Part.REALISM)
    answers = union(list(rounds.values()))
    spoilt = taught(inputs, seed, list(rounds.values()))
    sets = [spoilt, answers] if doses_of(inputs) else [answers]
    told = [(next((a.model for a in one), kind), both_judged(one, people)) for one in sets]
    title = f"answers of seed {seed}"
    if len(rounds) > 1:
        title += f" in all {len(rounds)} rounds"
        told += [(f"round {n} alone", both_judged(some, people)) for n, some in rounds.items()]
    title += " against the judging part of the log"
    sections = [_section(title, told, inputs, compare=False)]
    if kind == "llm" and config.teacher.form == "yesno":
        own = told[0][1]
        liked = own.feedback >= config.data.like_at
        error = expected_calibration_error(own.score, liked)
        sections = [replace(sections[0], calibration_error=error)]
    folder = inputs.dataset.folder
    if folder is not None:
        whole = _unfiltered(inputs)
        if kind == "recorded":
            every = _recorded(whole, folder / config.teacher.table, config.teacher.model)
            section = _section(f"all of {config.teacher.table}", [every], whole, compare=False)
            note = part_and_whole(sections[0].rows[0], section.rows[0])
            sections.append(replace(section, note=note[0].upper() + note[1:]))
        columns = _columns(folder / THREE)
        if columns:
            several = [_recorded(whole, folder / THREE, MODELS[c]) for c in columns]
            sections.append(_section(f"all of {THREE}", several, whole, compare=True))
    measured = {n: measures_of(round_path(inputs, seed, n)) for n in rounds}
    return Judged(
        kind,
        teacher_warning(kind),
        {n: measures for n, measures in measured.items() if measures is not None},
        (len(rounds), config.teacher.rounds),
        sections,
    )


def _unfiltered(inputs: Inputs) -> Inputs:
    """Return the study with every user and item of its data."""
    data = inputs.config.data.model_copy(update={"min_item_events": 1, "min_user_events": 1})
    return Inputs(inputs.config.model_copy(update={"data": data}), inputs.root)


def _columns(path: Path) -> list[str]:
    return [c for c in pq.read_schema(path).names if c in MODELS] if path.is_file() else []


def _recorded(inputs: Inputs, path: Path, model: str) -> tuple[str, Pairs]:
    """Return a recorded model's ratings of pairs that people rated too."""
    like_at = inputs.config.teacher.like_at
    log: InteractionLog = inputs.dataset.log
    teacher = RecordedTeacher.from_parquet(
        path,
        user_ids=log.user_ids,
        item_ids=inputs.dataset.catalogue.item_ids,
        model=model,
        like_at=like_at,
    )
    user, item, rating = teacher.ratings()
    return teacher.name, meet(user, item, rating, rating >= like_at, log)


def _section(
    title: str, teachers: Sequence[tuple[str, Pairs]], inputs: Inputs, *, compare: bool
) -> Section:
    like_at = inputs.config.data.like_at
    first = teachers[0][1]
    popular = np.log1p(inputs.popularity).astype(np.float32)[first.item]
    rank = Pairs(first.user, first.item, popular, popular > 0, first.feedback)
    nan = float("nan")  # popularity has one number an item: nothing is left without item means
    baseline = replace(
        agreement("popularity (no teacher)", rank, like_at=like_at),
        personal_pearson=nan,
        personal_spearman=nan,
    )
    return Section(
        title,
        [*(agreement(name, pairs, like_at=like_at) for name, pairs in teachers), baseline],
        calibration(first, like_at=like_at),
        None,
        between_teachers(teachers, like_at=inputs.config.teacher.like_at) if compare else [],
    )


def show(judged: Judged, prices: Prices) -> None:
    """Print a report."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=140)  # a pipe has no width of its own

    def say(text: str, style: str = "") -> None:
        console.print(Text(text, style=style))

    for section in judged.sections:
        console.print(_agreements(section))
        for line in meaning(section.rows[0], section.rows[-1]):
            say(line)
        for row in section.rows[1:-1] if section.between else []:
            say(remains(row))
        if section.note:
            say(section.note)
        say("")
        if section.calibration:
            console.print(_calibration(section))
        if section.calibration_error is not None:
            say(
                "mean gap between its probability of a like and people's share of likes: "
                f"{_number(section.calibration_error)}"
            )
        if section.between:
            console.print(_between(section))
    asked, wanted = judged.rounds
    if asked < wanted:
        say(f"{wanted - asked} of {wanted} rounds were not asked yet; 'simrec run' asks them.")
    for line in rounds_lines(judged.measures, judged.kind, prices):
        say(line)
    say(f"Warning: {judged.warning.rstrip('.')}.", "yellow")


def _number(value: float) -> str:
    return f"{value:.3f}" if np.isfinite(value) else "-"


def _personal(row: Agreement | TwoTeachers, value: float) -> str:
    return "too few" if np.isfinite(value) and not row.enough else _number(value)


def _agreements(section: Section) -> Table:
    table = _table(section.title)
    for title in ("pairs", "AUC", "AUC in a user", "Pearson", "Spearman", "personal", "its ranks"):
        table.add_column(title, justify="right")
    for row in section.rows:
        numbers = (row.auc, row.user_auc, row.pearson, row.spearman)
        own = [_personal(row, value) for value in (row.personal_pearson, row.personal_spearman)]
        table.add_row(Text(row.name), f"{row.pairs:,}", *map(_number, numbers), *own)
    return table


def _calibration(section: Section) -> Table:
    table = _table(f"{section.rows[0].name}: what people said where it gave this score")
    for title in ("pairs", "people's mean", "people like"):
        table.add_column(title, justify="right")
    for row in section.calibration:
        table.add_row(
            _number(row.score), f"{row.pairs:,}", _number(row.feedback), f"{row.liked:.1%}"
        )
    return table


def _between(section: Section) -> Table:
    table = _table("teachers with each other")
    for title in ("pairs", "Pearson", "personal", "same like", "kappa"):
        table.add_column(title, justify="right")
    for row in section.between:
        table.add_row(
            Text(" and ".join(row.names)),
            f"{row.pairs:,}",
            _number(row.pearson),
            _personal(row, row.personal_pearson),
            _number(row.same),
            _number(row.kappa),
        )
    return table


def _table(title: str) -> Table:
    table = Table(title=Text(title), box=SIMPLE_HEAD, title_justify="left", padding=(0, 1))
    table.add_column("", no_wrap=True)
    return table
