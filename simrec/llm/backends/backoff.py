"""How long to wait before a request is tried again."""

from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

BASE = 0.5  # seconds, the first wait's upper end
CAP = 30.0  # seconds, the upper end of every wait the server did not name


def retry_after_seconds(value: str | None, now: datetime) -> float | None:
    """Read a Retry-After header (RFC 9110, 10.2.3; read): seconds or a date.

    Args:
        value: The header, None where it is absent.
        now: The present, with a time zone.

    Returns:
        Seconds from now, at least 0; None if absent or unreadable.
    """
    if value is None:
        return None
    try:
        return max(float(value), 0.0)
    except ValueError:
        pass
    try:
        when = parsedate_to_datetime(value)
    except ValueError:
        return None
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)
    return max((when - now).total_seconds(), 0.0)


def wait_seconds(failures: int, luck: Callable[[], float], asked: float | None) -> float:
    """Return how long to wait after a failure: "full jitter", doubling to a cap.

    Uniform in [0, min(CAP, BASE * 2^(failures - 1))] (Brooker, "Exponential Backoff And Jitter",
    AWS Architecture Blog 2015; reconstructed), and never less than the server asked for: then the
    draw is added, so that clients told the same number do not return together.

    Args:
        failures: Failures of this request so far, at least 1.
        luck: Gives a number in [0, 1).
        asked: Seconds the server asked for, or None.
    """
    spread = luck() * min(CAP, BASE * 2.0 ** min(failures - 1, 30))
    return spread if asked is None else asked + spread
