"""Preferences: what a teacher says a user would like, kept as rows that can be audited."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from simrec.errors import SimrecError
from simrec.files import atomic_file

ParseStatus = Literal["ok", "retried", "unparseable", "unanswered"]


@dataclass(frozen=True)
class Question:
    """One user state put to a teacher: would this user like each of these candidates?"""

    user: int  # row of the teacher user in the log
    history: NDArray[np.int64]  # (h,) items, oldest first, no padding
    feedback: NDArray[np.float32]  # (h,) 1 liked, 0 not
    candidates: NDArray[np.int64]  # (K,) items, in the order shown
    sources: tuple[str, ...]  # (K,) where each came from: see llm.candidates.SOURCES; "recorded"


@dataclass(frozen=True)
class Preference:
    """A teacher's answer to one question."""

    question: Question
    liked: NDArray[np.bool_]  # (K,)
    score: NDArray[np.float32]  # (K,) teacher's own scale, higher = preferred
    model: str  # who answered; a stand-in says so in its name
    prompt_sha: str  # of the text read; "" where there was no text
    raw: str  # the reply as it came; "" where there was none
    status: ParseStatus = "ok"
    cached: bool = False  # nobody was asked just now; never written, so files do not depend on it


class Teacher(Protocol):
    """Anything that answers questions about preferences."""

    @property
    def name(self) -> str:
        """Short name written into records, for example "similarity:minilm"."""
        ...

    def prefer(self, questions: Sequence[Question]) -> list[Preference]:
        """Answer every question, in order; an unanswerable one comes back with its status."""
        ...


@dataclass(frozen=True)
class PreferenceSet:
    """All answers of one elicitation."""

    answers: tuple[Preference, ...]

    def __len__(self) -> int:
        """Return the number of answers."""
        return len(self.answers)

    def __iter__(self) -> Iterator[Preference]:
        """Iterate over the answers."""
        return iter(self.answers)

    def save(self, path: Path) -> None:
        """Write the set as one Parquet file, a row for each answer."""
        frame = pd.DataFrame(
            {
                "user": [a.question.user for a in self.answers],
                "history": [a.question.history.tolist() for a in self.answers],
                "feedback": [a.question.feedback.tolist() for a in self.answers],
                "candidates": [a.question.candidates.tolist() for a in self.answers],
                "sources": [list(a.question.sources) for a in self.answers],
                "liked": [a.liked.tolist() for a in self.answers],
                "score": [a.score.tolist() for a in self.answers],
                "model": [a.model for a in self.answers],
                "prompt_sha": [a.prompt_sha for a in self.answers],
                "raw": [a.raw for a in self.answers],
                "status": [a.status for a in self.answers],
            }
        )
        with atomic_file(path) as temporary:
            frame.to_parquet(temporary, index=False)

    @classmethod
    def load(cls, path: Path) -> "PreferenceSet":
        """Read a set written by `save`; raise SimrecError when the file cannot be read."""
        try:
            frame = pd.read_parquet(path)
        except (OSError, ValueError) as error:
            raise SimrecError(
                f"cannot read preferences from {path} ({error}); delete the file and run again"
            ) from error
        rows = frame.to_dict("records")
        return cls(
            tuple(
                Preference(
                    Question(
                        int(r["user"]),
                        np.asarray(r["history"], dtype=np.int64),
                        np.asarray(r["feedback"], dtype=np.float32),
                        np.asarray(r["candidates"], dtype=np.int64),
                        tuple(r["sources"]),
                    ),
                    np.asarray(r["liked"], dtype=np.bool_),
                    np.asarray(r["score"], dtype=np.float32),
                    r["model"],
                    r["prompt_sha"],
                    r["raw"],
                    r["status"],
                )
                for r in rows
            )
        )
