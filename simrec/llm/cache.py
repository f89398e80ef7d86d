"""Answers that were paid for, in one SQLite file that several processes may use at once.

A row is written before the next request is sent (write-ahead log, synchronous NORMAL), so a kill or
a full disk costs at most the requests in flight; a power cut may cost the last few more, and never
breaks the file. (FULL would wait for the disk: 4 ms an answer where this was measured, against
0.06 ms.) Every row carries a checksum: one that does not match is reported and asked again.
"""

import hashlib
import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from simrec.errors import SimrecError
from simrec.files import atomic_file, home
from simrec.llm.protocol import Reply

VERSION = 1  # raise it when Reply changes; each version has tables of its own
_TABLE = f"answers_{VERSION}"
_NAMES = f"models_{VERSION}"
_WAIT = 60.0  # seconds to wait for another process's write
_AT_ONCE = 500  # keys of one query; SQLite takes 999 at least
_WRITE = json.JSONEncoder(sort_keys=True).encode  # made once: json.dumps makes one for every answer


def answers_path() -> Path:
    """Return where this machine's answers are: answers.sqlite in the data home."""
    return home() / "answers.sqlite"


def answer_key(model: str, prompt_sha: str, options: Mapping[str, Any], schema: str | None) -> str:
    """Return the key of an answer: SHA-256 over everything that could change it, 64 hex digits.

    Args:
        model: Name of the language model.
        prompt_sha: Of the prompt with its pictures.
        options: Choices, longest reply and whatever else the model was told.
        schema: JSON schema of the reply as text.
    """
    parts = [VERSION, model, prompt_sha, dict(options), schema]
    return hashlib.sha256(_WRITE(parts).encode()).hexdigest()


def _checksum(key: str, model: str, reply: str) -> str:
    return hashlib.sha256("\0".join((key, model, reply)).encode()).hexdigest()[:16]


class AnswerCache:
    """A file of answers; open it in one thread.

    Attributes:
        corrupt: Rows met so far whose checksum did not match; they count as absent.
    """

    def __init__(self, path: Path) -> None:
        """Open or create the file.

        Raises:
            SimrecError: It cannot be written, or is not a file of answers.
        """
        self.path = path
        self.corrupt = 0
        with self._told("open"):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, timeout=_WAIT, isolation_level=None, uri=True)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._create("main")

    def _create(self, schema: str) -> None:
        self._db.execute(
            f"CREATE TABLE IF NOT EXISTS {schema}.{_TABLE} (key TEXT PRIMARY KEY, model TEXT, "
            "reply TEXT, checksum TEXT) WITHOUT ROWID"
        )
        self._db.execute(
            f"CREATE TABLE IF NOT EXISTS {schema}.{_NAMES} (spec TEXT PRIMARY KEY, name TEXT) "
            "WITHOUT ROWID"
        )

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def __enter__(self) -> "AnswerCache":
        """Return itself."""
        return self

    def __exit__(self, *error: object) -> None:
        """Close the file."""
        self.close()

    @contextmanager
    def _told(self, what: str, path: Path | None = None) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            where = path or self.path
            if isinstance(error, sqlite3.OperationalError | OSError):
                advice = "make room or set SIMREC_HOME to a folder that can be written, then run "
                advice += "again: answers kept so far are not asked for twice"
            else:
                advice = "move the file away and run again, or import an exported copy"
            raise SimrecError(
                f"cannot {what} the answers in {where} ({error}); {advice}"
            ) from error

    def __len__(self) -> int:
        """Return the number of rows, whole or not."""
        with self._told("count"):
            return int(self._db.execute(f"SELECT count(*) FROM {_TABLE}").fetchone()[0])

    def find(self, keys: Sequence[str]) -> dict[str, Reply]:
        """Return the answers there are; a corrupt row is counted and left out."""
        found: dict[str, Reply] = {}
        wanted = list(dict.fromkeys(keys))
        with self._told("read"):
            for first in range(0, len(wanted), _AT_ONCE):
                some = wanted[first : first + _AT_ONCE]
                marks = ",".join("?" * len(some))
                query = f"SELECT key, model, reply, checksum FROM {_TABLE} WHERE key IN ({marks})"
                for row in self._db.execute(query, some):
                    if not _whole(row):
                        self.corrupt += 1
                        continue
                    found[row[0]] = Reply(**json.loads(row[2]))
        return found

    def keep(self, model: str, answers: Mapping[str, Reply]) -> dict[str, Reply]:
        """Make answers durable, all or none, and return those that count: the first of whole rows.

        Another process may have asked the same in the meantime; all then use the same answer.

        Args:
            model: Who gave them.
            answers: Key -> reply.
        """
        counts: dict[str, Reply] = {}
        with self._told("write"):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                for key, reply in answers.items():
                    counts[key] = self._put(key, model, reply)
                self._db.execute("COMMIT")
            except sqlite3.Error:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise
        return counts

    def _put(self, key: str, model: str, reply: Reply) -> Reply:
        text = _WRITE(vars(reply))
        row = (key, model, text, _checksum(key, model, text))
        if self._db.execute(f"INSERT OR IGNORE INTO {_TABLE} VALUES (?, ?, ?, ?)", row).rowcount:
            return reply
        query = f"SELECT key, model, reply, checksum FROM {_TABLE} WHERE key = ?"
        there = self._db.execute(query, (key,)).fetchone()
        if _whole(there):
            return Reply(**json.loads(there[2]))
        self._db.execute(f"REPLACE INTO {_TABLE} VALUES (?, ?, ?, ?)", row)
        return reply

    def model_name(self, spec: str) -> str | None:
        """Return the name under which a model's answers are kept, None if it never answered."""
        with self._told("read"):
            query = f"SELECT name FROM {_NAMES} WHERE spec = ?"
            row = self._db.execute(query, (spec,)).fetchone()
        return None if row is None else str(row[0])

    def remember_model(self, spec: str, name: str) -> None:
        """Keep the name of the model that a configuration calls `spec`."""
        with self._told("write"):
            self._db.execute(f"REPLACE INTO {_NAMES} VALUES (?, ?)", (spec, name))

    def export(self, path: Path) -> int:
        """Write all whole rows to one file that another machine can import; return how many."""
        with self._told("export", path), atomic_file(path) as temporary:
            self._db.execute("ATTACH ? AS other", (str(temporary),))
            try:
                self._create("other")
                return self._copy("main", "other")
            finally:
                self._db.execute("DETACH other")

    def take_in(self, path: Path) -> tuple[int, int]:
        """Add the answers of an exported file; rows that are here already stay.

        Returns:
            Rows added, and rows of the file that are corrupt and were left out.

        Raises:
            SimrecError: There is no such file, or it holds no answers.
        """
        if not path.is_file():
            raise SimrecError(
                f"there is no file {path} to import; expected one that 'simrec prefer export' wrote"
            )
        before = self.corrupt
        with self._told("import", path):
            self._db.execute("ATTACH ? AS other", (f"{path.resolve().as_uri()}?mode=ro",))
            try:
                tables = {r[0] for r in self._db.execute("SELECT name FROM other.sqlite_master")}
                if _TABLE not in tables:
                    raise SimrecError(
                        f"{path} holds no answers of version {VERSION}; expected a file that "
                        "'simrec prefer export' wrote"
                    )
                return self._copy("other", "main"), self.corrupt - before
            finally:
                self._db.execute("DETACH other")

    def _copy(self, source: str, target: str) -> int:
        before = self._db.total_changes
        self._db.execute("BEGIN IMMEDIATE")
        try:
            for row in self._db.execute(
                f"SELECT key, model, reply, checksum FROM {source}.{_TABLE}"
            ):
                if _whole(row):
                    self._db.execute(
                        f"INSERT OR IGNORE INTO {target}.{_TABLE} VALUES (?,?,?,?)", row
                    )
                else:
                    self.corrupt += 1
            added = self._db.total_changes - before
            self._db.execute(
                f"INSERT OR IGNORE INTO {target}.{_NAMES} SELECT * FROM {source}.{_NAMES}"
            )
            self._db.execute("COMMIT")
        except sqlite3.Error:
            self._db.execute("ROLLBACK")
            raise
        return added


def _whole(row: tuple[str, str, str, str]) -> bool:
    return all(isinstance(part, str) for part in row) and _checksum(*row[:3]) == row[3]
