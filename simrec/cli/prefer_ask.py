"""What `simrec prefer STUDY.yaml` does: the plan first, then progress, then what was measured."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from simrec.config import load_config
from simrec.errors import SimrecError
from simrec.items.table import ItemTable
from simrec.llm.build import llm_teacher
from simrec.llm.cache import AnswerCache, answers_path
from simrec.llm.estimate import Estimate, estimate, money
from simrec.llm.recorded import RecordedTeacher
from simrec.llm.report_text import measures_lines
from simrec.llm.tally import Tally
from simrec.preferences import PreferenceSet
from simrec.stages.inputs import Inputs
from simrec.stages.tables import agent_table
from simrec.stages.teaching import (
    Tell,
    preferences,
    preferences_path,
    questions,
    recorded_teacher,
    teacher_measures,
    teacher_warning,
)

Prices = tuple[float | None, float | None]
EXAMPLES = 2  # prompts that a dry run shows


def ask_study(
    study: Path,
    overrides: list[str] | None,
    seeds: list[int] | None,
    root: Path,
    *,
    dry_run: bool,
    prices: Prices,
) -> None:
    """Say what will be asked, and unless it is a dry run, ask it.

    Raises:
        SimrecError: The study, a seed or the model cannot be used.
    """
    inputs = Inputs(load_config(study, overrides), root)
    chosen = inputs.config.seeds if seeds is None else tuple(seeds)
    for seed in chosen:
        if seed not in inputs.config.seeds:
            known = ", ".join(map(str, inputs.config.seeds))
            raise SimrecError(f"study '{inputs.config.study}' has no seed {seed}; it has {known}")
    table = agent_table(inputs)
    missing = [seed for seed in chosen if not preferences_path(inputs, seed).is_file()]
    kind = inputs.config.teacher.kind
    for seed in chosen:
        if seed not in missing:
            typer.echo(f"seed {seed}: already asked, {preferences_path(inputs, seed)}")
    if missing:
        _plan(inputs, missing, table, prices, examples=EXAMPLES if dry_run else 0)
    if dry_run:
        typer.echo("Nothing was asked.")
        return
    typer.echo(f"Note: {teacher_warning(kind)}", err=True)
    with _progress() as tell:
        for seed in missing:
            try:
                answers = preferences(inputs, seed, table, _say, tell)
            except KeyboardInterrupt:
                typer.echo("stopped; answers so far are kept, run again to go on", err=True)
                raise typer.Exit(130) from None
            _summary(inputs, seed, answers, prices)


def _say(line: str) -> None:
    typer.echo(line, err=True)


def _plan(
    inputs: Inputs, seeds: list[int], table: ItemTable, prices: Prices, *, examples: int
) -> None:
    """Print what the seeds would ask."""
    config = inputs.config.teacher
    if config.rounds > 1:
        typer.echo(
            f"This is the first of {config.rounds} rounds; 'simrec run' asks about as much again "
            f"in each of the others, when there is a policy to choose the candidates."
        )
    if config.kind != "llm":
        recorded = recorded_teacher(inputs) if config.kind == "recorded" else None
        _plan_free(inputs, seeds, table, recorded)
        return
    with AnswerCache(answers_path()) as cache:
        teacher = llm_teacher(config, inputs.dataset.catalogue, cache)
        for seed in seeds:
            asked = questions(inputs, seed, table)
            for question in asked[: 1 if examples else 0]:
                for n, (_, prompt) in enumerate(teacher.prompts(question)[:examples], start=1):
                    typer.echo(f"--- prompt {n} of the first question, seed {seed}\n{prompt.text}")
                    if prompt.images:
                        typer.echo(f"[{len(prompt.images)} pictures]")
                typer.echo("---")
            found = estimate(teacher, asked, model=config.model)
            typer.echo(f"seed {seed}: {_cost(found, prices)}")
            examples = 0
    if config.swap_sample and config.form in ("list", "ranking", "pairwise"):
        typer.echo(
            f"and {config.swap_sample} questions a seed again in reversed order, to measure "
            "whether order changes the answers"
        )


def _plan_free(
    inputs: Inputs, seeds: list[int], table: ItemTable, recorded: RecordedTeacher | None
) -> None:
    for seed in seeds:
        count = len(questions(inputs, seed, table, recorded))
        typer.echo(
            f"seed {seed}: {count} questions to the {inputs.config.teacher.kind} teacher, which "
            f"has no prompts, no tokens and no price"
        )


def _cost(found: Estimate, prices: Prices) -> str:
    text = (
        f"{found.questions} questions, {found.asks} requests, {found.kept} of them already "
        f"answered; to send: {found.prompt_tokens:,} prompt tokens ({found.counted_by}), to "
        f"receive: at most {found.most_completion_tokens:,} tokens"
    )
    price = money(found.prompt_tokens, found.most_completion_tokens, *prices)
    if price is None:
        return f"{text}; give --price-in and --price-out for the money"
    return f"{text}; at most {price:,.4f} at {prices[0]:g} in and {prices[1]:g} out a million"


def _summary(inputs: Inputs, seed: int, answers: PreferenceSet, prices: Prices) -> None:
    typer.echo(f"seed {seed}: {len(answers)} answers in {preferences_path(inputs, seed)}")
    for line in measures_lines(teacher_measures(inputs, seed), inputs.config.teacher.kind, prices):
        typer.echo(f"  {line}")


@contextmanager
def _progress() -> Iterator[Tell]:
    """Yield a function that shows a tally: a bar on a terminal, else a line for every tenth."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _Lines(console)
        return
    columns = (
        TextColumn("asking"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total}"),
        TextColumn("{task.fields[facts]}"),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:
        task: TaskID = progress.add_task("asking", total=None, facts="", visible=False)

        def tell(tally: Tally) -> None:
            speed = progress.tasks[0].speed
            rate = f"{speed:.1f}/s, " if speed else ""
            facts = f"{rate}{_facts(tally)}"
            done, total = tally.done, tally.total
            progress.update(task, completed=done, total=total, facts=facts, visible=True)

        yield tell


def _facts(tally: Tally) -> str:
    return f"{tally.hits} from the cache, {tally.failures} not readable"


class _Lines:
    """Prints a line whenever another tenth is done."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._tenth = -1
        self._began = time.monotonic()

    def __call__(self, tally: Tally) -> None:
        tenth = 10 * tally.done // max(tally.total, 1)
        if tenth == self._tenth:
            return
        if tenth < self._tenth or not tally.done:
            self._began = time.monotonic()
        self._tenth = tenth
        pace = ""
        if tally.done:
            rate = tally.done / max(time.monotonic() - self._began, 1e-3)
            pace = f"{rate:.1f}/s, {(tally.total - tally.done) / rate:.0f} s left, "
        self._console.print(
            f"asked {tally.done} of {tally.total}, {pace}{_facts(tally)}",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )
