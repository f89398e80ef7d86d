"""Runs `simrec prefer` in children of its own, kills them, and says how much each one asked.

Started by a test as a program; also the module whose `slow` is the scripted model of the children.
"""

import hashlib
import json
import os
import random
import select
import signal
import sys
from pathlib import Path

from simrec.llm.cache import AnswerCache

WORK = 5_000  # rounds of hashing for one answer: a few milliseconds of a model's thinking
PIPE = "SIMREC_TEST_PIPE"  # number of the descriptor that hears of every request


def slow(prompt, choices, schema) -> str:
    """Answer a list question by a hash, after some work, and tell the parent."""
    os.write(int(os.environ[PIPE]), b".")
    digest = hashlib.pbkdf2_hmac("sha256", prompt.text.encode(), b"", WORK)
    return json.dumps({"liked": [n + 1 for n in range(4) if digest[n] < 90]})


def child(study: str, runs: str, home: str) -> tuple[int, int]:
    """Start a child; return its process and the end of the pipe that hears its requests."""
    hears, tells = os.pipe()
    process = os.fork()
    if process:
        os.close(tells)
        return process, hears
    os.close(hears)
    os.environ.update({PIPE: str(tells), "SIMREC_HOME": home})
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)
    from simrec.cli import main

    sys.argv = ["simrec", "prefer", study, "--runs", runs]
    main()
    os._exit(0)


def listen(hears: int, most: int) -> int:
    """Return how many requests a child made, waiting for `most` of them or its end."""
    heard = 0
    while heard < most:
        some = os.read(hears, most - heard)
        if not some:
            break
        heard += len(some)
    return heard


def drained(process: int, hears: int) -> int:
    """Wait for a child; return the requests not heard of yet."""
    heard = listen(hears, 10**9)
    os.close(hears)
    os.waitpid(process, 0)
    return heard


def killed(study: str, runs: str, home: str, kills: int, asks: int, seed: int) -> list[int]:
    """Kill `kills` children at random moments, let the last one finish, return their requests."""
    luck = random.Random(seed)
    heard = []
    for kill in range(kills):
        left = asks - kept(home)
        process, hears = child(study, runs, home)
        if kill < kills // 5:  # while it starts
            select.select([hears], [], [], luck.uniform(0.0, 0.5))
            count = 0
        elif kill >= kills - kills // 5:  # while it ends: after its last request
            count = listen(hears, left)
            select.select([], [], [], luck.uniform(0.0, 0.05 if left else 0.8))
        else:  # while it asks, and then a little later
            count = listen(hears, luck.randint(1, max(left // (kills - kill), 1)))
            select.select([], [], [], luck.uniform(0.0, 0.01))
        os.kill(process, signal.SIGKILL)
        heard.append(count + drained(process, hears))
    return [*heard, *together(study, runs, home, 1)]


def together(study: str, runs: str, home: str, count: int) -> list[int]:
    """Let `count` children work at the same time and return their requests."""
    return [drained(*started) for started in [child(study, runs, home) for _ in range(count)]]


def kept(home: str) -> int:
    """Return how many answers are in the cache."""
    with AnswerCache(Path(home) / "answers.sqlite") as cache:
        return len(cache)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    import simrec.cli.prefer_ask  # noqa: F401  # children find it loaded

    what, study, runs, home, *numbers = sys.argv[1:]
    way = {"killed": killed, "together": together}[what]
    print(json.dumps(way(study, runs, home, *map(int, numbers))))
