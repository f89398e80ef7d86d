"""From questions about a catalogue to a teacher's preferences."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from simrec.errors import SimrecError
from simrec.files import write_json
from simrec.items.table import ItemTable
from simrec.items.text import best_offline_encoder, text_encoder
from simrec.llm.candidates import PolicySample
from simrec.llm.elicit import elicit, make_questions, shuffle_labels
from simrec.llm.recorded import RecordedTeacher
from simrec.llm.similarity import SimilarityTeacher
from simrec.llm.tally import Tally
from simrec.preferences import PreferenceSet, Question, Teacher
from simrec.randomness import generator
from simrec.stages.inputs import Inputs
from simrec.stages.locks import one_at_a_time, writable

Say = Callable[[str], None]
Tell = Callable[[Tally], None]
STAND_IN = (
    "The teacher is a text-similarity stand-in, not a language model; it shows that the machinery "
    "works, not what a language model is worth."
)


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
    return _drawn(
        inputs,
        table,
        inputs.config.teacher.sources,
        rng=generator(seed, "questions"),
        candidates_for=recorded.judged if recorded else None,
    )


def refresh_questions(
    inputs: Inputs,
    seed: int,
    number: int,
    table: ItemTable,
    policy: PolicySample,
    before: PreferenceSet,
) -> list[Question]:
    """Return what a seed asks in a later round: states drawn anew, candidates not judged yet.

    Args:
        inputs: The study.
        seed: One of its seeds.
        number: Of the round, from 2.
        table: Its item table.
        policy: Draws the candidates of the source "policy".
        before: The answers of all earlier rounds.
    """
    return _drawn(
        inputs,
        table,
        inputs.config.teacher.refresh_sources,
        rng=generator(seed, "questions", number),
        policy=policy,
        asked_before=[answer.question for answer in before],
    )


def _drawn(
    inputs: Inputs, table: ItemTable, sources: Mapping[str, float], **more: Any
) -> list[Question]:
    config = inputs.config.teacher
    return make_questions(
        inputs.agent_log,
        np.flatnonzero(~inputs.split.online),
        like_at=inputs.config.data.like_at,
        log_popularity=table.log_popularity,
        per_user=config.questions_per_user,
        K=config.candidates,
        history=inputs.config.split.history,
        sources=sources,
        vectors=table.fused,
        **more,
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
        return _ask_model(inputs, seed, lambda: questions(inputs, seed, table), path, say, tell)
    teacher = stand_in(inputs, say)
    recorded = teacher if isinstance(teacher, RecordedTeacher) else None
    answers = elicit(teacher, questions(inputs, seed, table, recorded))
    answers.save(path)
    return answers


def refreshed(
    inputs: Inputs,
    seed: int,
    asked: list[Question],
    first: PreferenceSet,
    path: Path,
    say: Say,
) -> PreferenceSet:
    """Ask the questions of a later round and keep the answers.

    Args:
        inputs: The study.
        seed: One of its seeds.
        asked: The questions.
        first: The first round's answers; a stand-in calls liked what it called liked there.
        path: Where the answers go.
        say: Told each sentence the user should read.
    """
    if inputs.config.teacher.kind == "llm":
        return _ask_model(inputs, seed, lambda: asked, path, say, None)
    teacher = stand_in(inputs, say)
    if isinstance(teacher, SimilarityTeacher):
        teacher.calibrate([answer.question for answer in first])
    answers = elicit(teacher, asked)
    answers.save(path)
    return answers


def _ask_model(
    inputs: Inputs,
    seed: int,
    asked: Callable[[], list[Question]],
    path: Path,
    say: Say,
    tell: Tell | None,
) -> PreferenceSet:
    """Ask a language model and keep answers, measures and what was said word by word."""
    from simrec.llm.audit import ask_and_audit
    from simrec.llm.build import llm_teacher
    from simrec.llm.cache import AnswerCache, answers_path
    from simrec.llm.transcript import Transcript

    with one_at_a_time(path.with_name("teacher.lock")):
        if path.is_file():  # another process of the study asked while this one waited
            return PreferenceSet.load(path)
        with (
            AnswerCache(answers_path()) as cache,
            Transcript(transcript_path(path)) as transcript,
        ):
            answers, measures = ask_and_audit(
                llm_teacher(inputs.config.teacher, inputs.dataset.catalogue, cache, tell),
                asked(),
                sample=inputs.config.teacher.swap_sample,
                rng=generator(seed, "swap"),
                heard=transcript.add,
            )
            if cache.corrupt:
                say(
                    f"{cache.corrupt} kept answers in {cache.path} were damaged and were asked "
                    f"again"
                )
        found = PreferenceSet(tuple(answers))
        with writable(path.parent):
            write_json(path.with_suffix(".json"), measures)
            found.save(path)  # last: its presence says that all are whole
        return found


def transcript_path(path: Path) -> Path:
    """Return where prompts and replies lie word by word, beside preferences at `path`."""
    return path.with_name(path.name.replace("preferences-", "questions-", 1))


def teacher_measures(inputs: Inputs, seed: int) -> dict[str, Any] | None:
    """Return what was measured when a language model was first asked; None where none was."""
    return measures_of(preferences_path(inputs, seed))


def measures_of(preferences: Path) -> dict[str, Any] | None:
    """Return what was measured when the answers in a file were given; None where nothing was."""
    path = preferences.with_suffix(".json")
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
