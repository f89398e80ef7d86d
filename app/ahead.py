"""Work done while the server waits for its first browser, so that the first page need not do it.

A thread of its own reads and compares the study that is shown first, and imports what pages need.
"""

import inspect
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from importlib import import_module
from pathlib import Path

from simrec.digest_study import Kept, read_kept, study_key, write_kept
from simrec.leaders import leader
from simrec.measures import MEASURES
from simrec.overview import find_studies, overview

_coming: dict[Path, Future[tuple[str, Kept]]] = {}

# Pages import these when they are first shown; pages themselves need a Streamlit that runs.
_LATER = (
    "simrec.stages.inputs",
    "PIL.Image",
    "plotly.offline",
    "plotly.tools",
    "plotly.animation",
    "pyarrow.pandas_compat",
    "streamlit.material_icon_names",
)


def begin(root: Path, read_only: bool) -> None:
    """Start to read the study that is shown first, and return at once.

    Args:
        root: Folder of all run folders.
        read_only: Whether no file may be written.
    """
    pool = ThreadPoolExecutor(1, thread_name_prefix="ahead")
    pool.submit(_import)
    for folder in find_studies(root)[:1]:
        _coming[folder] = pool.submit(_read, folder, read_only)
    pool.shutdown(wait=False)


def kept(folder: Path, key: str) -> Kept | None:
    """Return a study that was read ahead, once it is; None where it was not, or has changed since.

    Args:
        folder: The study.
        key: From `study_key`, of now.
    """
    coming = _coming.get(folder)
    if coming is None or coming.exception() is not None:  # the page reads it and tells the error
        return None
    then, found = coming.result()
    return found if then == key else None


def _import() -> None:
    for name in _LATER:
        import_module(name)
    inspect.stack()  # Streamlit's first call asks for it, and the first answer takes long


def _read(folder: Path, read_only: bool) -> tuple[str, Kept]:
    key = study_key(folder)
    known = read_kept(folder, key)
    if known is not None:
        return key, known
    found = overview(folder)
    comparison = found.compare(found.seeds)
    leaders = {measure: leader(comparison, measure) for measure in MEASURES}
    if not read_only:
        with suppress(OSError):  # a folder that may only be read is opened the slow way
            write_kept(found, comparison, leaders, key)
    return key, Kept(found, comparison.strategies, leaders)
