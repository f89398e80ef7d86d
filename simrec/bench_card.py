"""Whether a catalogue is worth a card: our A2C on one beside our A2C on the CPU."""

import re
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from simrec.bench_train import Case, ours, take_turns, train_world
from simrec.errors import SimrecError
from simrec.llm.backends.causal import check_card

CASES = tuple(
    Case(items, users, items, None)
    for items, users in ((1000, 256), (1000, 4096), (10_000, 1024), (100_000, 256))
)
QUICK = (Case(10, 16, 10, None),)


def bench_card(
    device: str,
    cases: tuple[Case, ...] = CASES,
    *,
    rounds: int = 5,
    seconds: float = 2.0,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, Any]:
    """Measure every case on a card and on the CPU, in turns.

    Time is elapsed time, for a card works beside the processor; every update ends with numbers
    read back from the card, so that none of its work is left out.

    Args:
        device: "cuda" or "cuda:N".
        cases: What to measure; catalogues and parallel users.
        rounds: Times each is measured, after one rollout that does not count.
        seconds: Of each measurement.
        clock: Seconds.

    Returns:
        Plain values: `device`, and `cases` with env steps a second on the card and on the CPU
        (medians) and the median ratio of a round, above 1 where the card is faster.

    Raises:
        SimrecError: No card is named, or it is not here.
    """
    if re.fullmatch(r"cuda(:\d+)?", device) is None:
        raise SimrecError(f"device is '{device}'; expected cpu, cuda or cuda:N")
    check_card(device)
    found: dict[str, Any] = {}
    for case in cases:
        world = train_world(case.items)
        pair = (ours(case, world, device), ours(case, world))
        take_turns(pair, rounds, seconds, clock)
        there, here = (np.array(timed.taken) for timed in pair)
        found[case.name] = {
            "card": 1.0 / float(np.median(there)),
            "cpu": 1.0 / float(np.median(here)),
            "ratio": float(np.median(here / there)),
        }
    return {"device": device, "cases": found}


def report(result: dict[str, Any]) -> str:
    """Return the result as text."""
    lines = [f"A2C's env steps a second, learning included, on {result['device']} and on the CPU"]
    lines += [
        f"{name}: {case['card']:,.0f} against {case['cpu']:,.0f}, {case['ratio']:.2f} times as fast"
        for name, case in result["cases"].items()
    ]
    return "\n".join(lines)
