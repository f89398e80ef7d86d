"""What was asked and what came back, word by word, as a table for people to read.

Nothing reads it but the dashboard and whoever wants to see a teacher think: preferences never
depend on it.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from simrec.errors import SimrecError
from simrec.files import atomic_file

SCHEMA = pa.schema(
    [
        ("question_id", pa.int64()),
        ("user", pa.int64()),
        ("prompt", pa.string()),
        ("reply", pa.string()),
        ("valid", pa.bool_()),
        ("parsed", pa.string()),
        ("cached", pa.bool_()),
        ("prompt_tokens", pa.int64()),
        ("completion_tokens", pa.int64()),
    ]
)


@dataclass(frozen=True)
class Exchange:
    """One request and its reply; a row of the table."""

    question_id: int  # row of the preferences beside it; forms with several asks repeat it
    user: int  # row in the log
    prompt: str  # as first asked
    reply: str  # of the last try, as it came
    valid: bool  # whether it could be read
    parsed: str  # what was read, as JSON; "" where nothing was
    cached: bool  # nobody was asked just now
    prompt_tokens: int  # over all tries
    completion_tokens: int  # over all tries


class Transcript:
    """A Parquet file that takes rows as they come, and is there only when it is whole."""

    def __init__(self, path: Path) -> None:
        """Prepare; the file appears when the block ends without an error."""
        self.path = path
        self._open = ExitStack()

    def __enter__(self) -> "Transcript":
        """Open the file under another name."""
        with self._told():
            temporary = self._open.enter_context(atomic_file(self.path))
            writer = pq.ParquetWriter(temporary, SCHEMA, compression="zstd")
            self._writer = self._open.enter_context(writer)
        return self

    def __exit__(self, *error: Any) -> None:
        """Finish the file, or leave none after an error."""
        with self._told():
            self._open.__exit__(*error)

    def add(self, exchanges: Sequence[Exchange]) -> None:
        """Write rows."""
        rows = [asdict(exchange) for exchange in exchanges]
        with self._told():
            self._writer.write_table(pa.Table.from_pylist(rows, schema=SCHEMA))

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise SimrecError(
                f"cannot write what was said to {self.path} ({error}); make room or name another "
                f"folder with --runs, then run again: no answer is asked for twice"
            ) from error
