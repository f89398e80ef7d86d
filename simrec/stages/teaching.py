"""From catalogue and log to an item table and a teacher's preferences."""

import fcntl
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from simrec.errors import SimrecError
from simrec.files import write_json
from simrec.items.build import build_item_table
from simrec.items.masked import hidden_table
from simrec.items.table import ItemTable
from simrec.items.text import best_offline_encoder, text_encoder
from simrec.llm.elicit import elicit, make_questions, shuffle_labels
from simrec.llm.recorded import RecordedTeacher
from simrec.llm.similarity import SimilarityTeacher
from simrec.llm.tally import Tally
from simrec.preferences import PreferenceSet, Question, Teacher
from simrec.randomness import generator
from simrec.stages.inputs import Inputs

Say = Callable[[str], None]
Tell = Callable[[Tally], None]
STAND_IN = (
    "The teacher is a text-similarity stand-in, not a language model; it shows that the machinery "
    "works, not what a language model is worth."
)


def item_table(inputs: Inputs) -> ItemTable:
    """Return the item table, built once from the catalogue and the agent's log."""
    path = inputs.stage_file("items", inputs.items_key, ".safetensors")
    if path.is_file():
        return ItemTable.load(path)
    table = build_item_table(
        inputs.dataset.catalogue,
        inputs.popularity,
        **inputs.config.items.model_dump(exclude={"hidden", "ids"}),
        log=inputs.agent_log,
    )
    table.save(path)
    return table


def agent_table(inputs: Inputs) -> ItemTable:
    """Return the table agents see: the true one, or one from which `items.hidden` took parts.

    What is hidden is gone before an adapter learns; users keep judging the items of `item_table`.
    """
    items = inputs.config.items
    if items.hidden.pattern is None:
        return item_table(inputs)
    path = inputs.stage_file("items", inputs.agent_items_key, ".safetensors")
    if path.is_file():
        return ItemTable.load(path)
    frozen = build_item_table(
        inputs.dataset.catalogue,
        inputs.popularity,
        **items.model_dump(exclude={"adapter", "hidden", "ids"}),
    )
    table = hidden_table(frozen, inputs.dataset.catalogue, items.hidden)
    if items.adapter.name is not None:
        if items.adapter.stores:
            raise SimrecError(
                "items.hidden cannot reach into items.adapter.stores, whose layers hold what is to "
                "be hidden; expected one of the two; remove one"
            )
        from simrec.items.adapted import adapted_table  # torch, only where something is learnt

        table = adapted_table(table, inputs.agent_log, **items.adapter.model_dump())
    table.save(path)
    return table


def stand_in(inputs: Inputs, say: Say) -> Teacher:
    """Return a teacher that is no live language model: text similarity or recorded answers.

    A stand-in for the stand-in (no MiniLM installed) is announced by `say`.
    """
    config = inputs.config.teacher
    if config.kind == "recorded":
        return recorded_teacher(inputs)
    if config.encoder == "best":
        encoder, notice = best_offline_encoder()
        if notice:
            say(notice)
    else:
        encoder = text_encoder(config.encoder)
    return SimilarityTeacher(inputs.dataset.catalogue, encoder, like_share=config.like_share)


def recorded_teacher(inputs: Inputs) -> RecordedTeacher:
    """Return the recorded answers that lie in the data set's folder."""
    config = inputs.config.teacher
    folder, catalogue = inputs.dataset.folder, inputs.dataset.catalogue
    if folder is None:
        raise SimrecError(
            f"teacher.kind is 'recorded' but data set '{catalogue.name}' is generated and has no "
            f"table {config.table}; use teacher.kind: similarity"
        )
    return RecordedTeacher.from_parquet(
        folder / config.table,
        user_ids=inputs.dataset.log.user_ids,
        item_ids=catalogue.item_ids,
        model=config.model,
        like_at=config.like_at,
    )


def questions(
    inputs: Inputs, seed: int, table: ItemTable, recorded: RecordedTeacher | None = None
) -> list[Question]:
    """Return what a seed asks its teacher; of recorded answers, all that there are."""
    config = inputs.config.teacher
    return make_questions(
        inputs.agent_log,
        np.flatnonzero(~inputs.split.online),
        like_at=inputs.config.data.like_at,
        log_popularity=table.log_popularity,
        per_user=config.questions_per_user,
        K=config.candidates,
        history=inputs.config.split.history,
        rng=generator(seed, "questions"),
        candidates_for=recorded.judged if recorded else None,
        sources=config.sources,
        vectors=table.fused,
    )


def preferences_path(inputs: Inputs, seed: int) -> Path:
    """Return where a seed's preferences are, or will be."""
    return inputs.stage_file(f"preferences-seed-{seed}", inputs.preferences_key(seed), ".parquet")


def preferences(
    inputs: Inputs, seed: int, table: ItemTable, say: Say, tell: Tell | None = None
) -> PreferenceSet:
    """Return a seed's preferences, asked once and kept as Parquet.

    Beside the answers of a language model lies what was measured of them; see `teacher_measures`.

    Args:
        inputs: The study.
        seed: One of its seeds.
        table: Its item table.
        say: Told each sentence the user should read.
        tell: Told how far a language model is.
    """
    path = preferences_path(inputs, seed)
    if path.is_file():
        return PreferenceSet.load(path)
    if inputs.config.teacher.kind == "llm":
        with _one_at_a_time(path.with_name("teacher.lock")):
            if path.is_file():  # another process of the study asked while this one waited
                return PreferenceSet.load(path)
            return _ask_model(inputs, seed, table, say, tell)
    teacher = stand_in(inputs, say)
    recorded = teacher if isinstance(teacher, RecordedTeacher) else None
    answers = elicit(teacher, questions(inputs, seed, table, recorded))
    answers.save(path)
    return answers


def _ask_model(
    inputs: Inputs, seed: int, table: ItemTable, say: Say, tell: Tell | None
) -> PreferenceSet:
    from simrec.llm.audit import ask_and_audit
    from simrec.llm.build import llm_teacher
    from simrec.llm.cache import AnswerCache, answers_path

    path = preferences_path(inputs, seed)
    with AnswerCache(answers_path()) as cache:
        answers, measures = ask_and_audit(
            llm_teacher(inputs.config.teacher, inputs.dataset.catalogue, cache, tell),
            questions(inputs, seed, table),
            sample=inputs.config.teacher.swap_sample,
            rng=generator(seed, "swap"),
        )
        if cache.corrupt:
            say(f"{cache.corrupt} kept answers in {cache.path} were damaged and were asked again")
    found = PreferenceSet(tuple(answers))
    with _writable(path.parent):
        write_json(path.with_suffix(".json"), measures)
        found.save(path)  # last: its presence says that both are whole
    return found


@contextmanager
def _writable(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SimrecError(
            f"cannot write preferences to {folder} ({error}); make room or name another folder "
            f"with --runs, then run again: no answer is asked for twice"
        ) from error


@contextmanager
def _one_at_a_time(path: Path) -> Iterator[None]:
    """Let one process of a study ask at a time; the lock goes with its holder, even a killed one.

    Two that ask the same at once would pay twice, and two copies of a model need memory twice.
    """
    with _writable(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = path.open("w")
    with handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def teacher_measures(inputs: Inputs, seed: int) -> dict[str, Any] | None:
    """Return what was measured when a language model was asked; None where none was."""
    path = preferences_path(inputs, seed).with_suffix(".json")
    if not path.is_file():
        return None
    measures: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return measures


def teacher_notes(inputs: Inputs, answers: PreferenceSet) -> dict[str, Any]:
    """Return who taught and what must be said wherever results are shown."""
    first = next(iter(answers), None)
    kind = inputs.config.teacher.kind
    return {"name": first.model if first else kind, "warning": teacher_warning(kind)}


def teacher_warning(kind: str) -> str:
    """Return the sentence to show beside every result of a kind of teacher."""
    if kind == "llm":
        from simrec.llm.build import WARNING

        return WARNING
    return RecordedTeacher.warning if kind == "recorded" else STAND_IN


def shuffled(answers: PreferenceSet, seed: int) -> PreferenceSet:
    """Return the control: the same questions with the teacher's answers dealt out at random."""
    return shuffle_labels(answers, generator(seed, "shuffle"))
