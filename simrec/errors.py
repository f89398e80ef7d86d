"""The one exception a user sees: a sentence saying what, got, expected and the next step."""

from collections.abc import Iterable
from difflib import get_close_matches


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
    known = sorted(options)
    close = get_close_matches(name, known, n=1, cutoff=0.5)
    if close:
        return f"did you mean '{close[0]}'?"
    return f"expected one of {', '.join(known)}" if known else "there are none yet"
