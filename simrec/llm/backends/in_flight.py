"""Bounded work in flight on one event loop, in the caller's thread.

One thread, because answers are written to disk one by one as they arrive: among 64 threads that
write waits for the interpreter several times for each answer.
"""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine
from queue import SimpleQueue
from typing import Any, TypeVar

from simrec.errors import SimrecError

Result = TypeVar("Result")


async def in_flight(
    work: Callable[[int], Awaitable[Result]],
    total: int,
    limit: int,
    take: Callable[[int, Result], None],
    stop: asyncio.Event,
) -> None:
    """Do work(0), ..., work(total - 1), at most `limit` at once; hand every result to `take`.

    The place of a piece of work is free again only when its result was taken. After a SimrecError
    nothing more is begun, the results of what was in flight are still taken, and then the first
    error is raised. Any other error, and one of `take`, abandons what is in flight.

    Args:
        work: Makes one result.
        total: How many pieces of work.
        limit: Most at once.
        take: Called with (n, result).
        stop: Set when no more work is wanted; long waits inside `work` should watch it.
    """
    left = iter(range(total))
    failures: list[SimrecError] = []
    abandoned = asyncio.Event()

    async def loop() -> None:
        for n in left:
            if stop.is_set():
                return
            try:
                result = await work(n)
            except SimrecError as error:
                failures.append(error)
                stop.set()
                return
            if abandoned.is_set():
                return
            try:
                take(n, result)
            except BaseException:
                abandoned.set()  # tasks that are ready too must not call it once more
                raise

    tasks = [asyncio.ensure_future(loop()) for _ in range(min(limit, total))]
    try:
        await asyncio.gather(*tasks)
    finally:
        stop.set()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    if failures:
        raise failures[0]


def run_here(
    main: Callable[[Callable[[int, Result], None]], Coroutine[Any, Any, None]],
    take: Callable[[int, Result], None],
) -> None:
    """Run a coroutine that hands over results, from where it is called.

    Where a loop runs already (a notebook) the work goes on in a thread of its own, which waits for
    `take` here after every result.

    Args:
        main: Told where to put results; returns the coroutine.
        take: Called in this thread.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        asyncio.run(main(take))
        return
    results: SimpleQueue[tuple[int, Result] | None] = SimpleQueue()
    taken: SimpleQueue[BaseException | None] = SimpleQueue()
    raised: list[BaseException] = []

    def over(n: int, result: Result) -> None:
        results.put((n, result))
        if (error := taken.get()) is not None:
            raise error

    def work() -> None:
        try:
            asyncio.run(main(over))
        except BaseException as error:  # raised again below, in the caller's thread
            raised.append(error)
        finally:
            results.put(None)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    while (one := results.get()) is not None:
        try:
            take(*one)
        except BaseException as error:
            taken.put(error)
        else:
            taken.put(None)
    thread.join()
    if raised:
        raise raised[0]
