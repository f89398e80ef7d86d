"""The one exception a user sees: a sentence saying what, got, expected and the next step."""

from collections.abc import Iterable
from difflib import get_close_matches

MOST = 50  # names listed in a sentence: more than any list of settings, fewer than a catalogue's


class SimrecError(Exception):
    """A mistake the user can mend; the command line prints its sentence and exits with code 2."""


def nearest(name: str, options: Iterable[str]) -> str:
    """Return a clause naming the valid option closest to a wrong one.

    Args:
        name: What the user wrote.
        options: Every valid name.

    Returns:
        "did you mean 'x'?" where one is close, else "expected one of a, b, c".
    """
    known = sorted(set(options))
    close = get_close_matches(name, known, n=1, cutoff=0.5)
    if close:
        return f"did you mean '{close[0]}'?"
    more = f" and {len(known) - MOST:,} more" if len(known) > MOST else ""
    shown = ", ".join(known[:MOST])
    return f"expected one of {shown}{more}" if known else "there are none yet"
