"""What simrec's own work costs beside the bare tool, as ratios of times taken in one run."""

import asyncio
import importlib.util
import json
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from simrec.bench_server import instant_server
from simrec.errors import SimrecError
from simrec.llm.protocol import LLMPrompt

IN_FLIGHT = 64


@dataclass(frozen=True)
class Ratio:
    """Ours over bare: 1 costs nothing, 1.05 costs 5 %."""

    ours_seconds: float  # of the processor, median over rounds
    bare_seconds: float  # of the processor, median over rounds
    ratio: float  # median over rounds of ours / bare of that round, in processor time
    wall_ratio: float  # the same in elapsed time, which whoever shares the machine disturbs
    rounds: int
    work: str  # what one round does

    def as_dict(self) -> dict[str, Any]:
        """Return the numbers for JSON."""
        return asdict(self)


def compare_times(
    ours: Callable[[int], object],
    bare: Callable[[int], object],
    *,
    rounds: int,
    work: str,
    cpu: Callable[[], float] = time.process_time,
    wall: Callable[[], float] = time.perf_counter,
) -> Ratio:
    """Time two functions in turns, the order changing from round to round, after one unmeasured.

    Args:
        ours: Told the round's number, 0 is not measured.
        bare: Does the same work with nothing of ours.
        rounds: Measured rounds.
        work: Words for the record.
        cpu: Seconds of the processor that this process has used; a server of its own is not in it.
        wall: Seconds.
    """
    pairs: list[tuple[float, float]] = []
    elapsed: list[float] = []
    for n in range(rounds + 1):
        spent: dict[bool, tuple[float, float]] = {}
        for mine in (True, False) if n % 2 else (False, True):
            began = cpu(), wall()
            (ours if mine else bare)(n)
            spent[mine] = cpu() - began[0], wall() - began[1]
        if n:
            pairs.append((spent[True][0], spent[False][0]))
            elapsed.append(spent[True][1] / spent[False][1])
    return Ratio(
        statistics.median(a for a, _ in pairs),
        statistics.median(b for _, b in pairs),
        statistics.median(a / b for a, b in pairs),
        statistics.median(elapsed),
        rounds,
        work,
    )


def bench_teacher(
    *,
    questions: int = 512,
    rounds: int = 9,
    model_folder: Path | None = None,
    device: str = "cpu",
) -> dict[str, Ratio]:
    """Measure what asking a teacher costs beside asking barely.

    Args:
        questions: Requests of one round.
        rounds: Measured rounds of each comparison.
        model_folder: Weights for the last two; where not given, a random model is made.
        device: Where the weights run.

    Returns:
        Prompts, cache, checks and client against a bare client with ready requests, 64 in flight,
        on a server that answers at once and has a process of its own. The bare client is the
        openai client as its makers document it ("pipeline"), its lowest call, which returns the
        bytes ("raw"), or a plain httpx client whose replies are read as JSON ("httpx"), the
        cheapest of the three. "transformers": a batch through TransformersLM, against tokenizer,
        `generate` and decoding. "shared": yes or no of one person's ten candidates through
        TransformersLM, against the same ten prompts each on its own.

    Raises:
        SimrecError: The openai client is not installed.
    """
    from simrec.bench_model import in_process, random_model, shared

    if importlib.util.find_spec("openai") is None:
        raise SimrecError(
            "the bench compares with the openai client, which is not installed; pip install "
            "'simrec[llm,bench]'"
        )
    with tempfile.TemporaryDirectory() as folder, instant_server() as url:
        results = _over_http(url, Path(folder), questions, rounds)
        weights = model_folder or random_model(Path(folder) / "model")
        results["transformers"] = in_process(weights, device, rounds)
        results["shared"] = shared(weights, device, rounds)
    return results


def _over_http(url: str, folder: Path, questions: int, rounds: int) -> dict[str, Ratio]:
    import numpy as np

    from simrec.datasets.toy import make_toy
    from simrec.llm.ask import LLMTeacher
    from simrec.llm.backends.chat_body import request_body
    from simrec.llm.backends.openai_lm import OpenAILM
    from simrec.llm.cache import AnswerCache
    from simrec.llm.form import schema_of
    from simrec.llm.forms import make_form
    from simrec.llm.prompts import told
    from simrec.llm.request import make_request
    from simrec.llm.templates import SHIPPED
    from simrec.preferences import Question
    from simrec.randomness import generator

    catalogue = told(make_toy(seed=0, n_items=240, n_users=20).catalogue)
    rng = generator(0, "bench")
    asked = []
    for user in range(questions):
        items = rng.permutation(240)
        liked = (rng.random(10) < 0.5).astype(np.float32)
        asked.append(Question(user, items[:10], liked, items[10:20], ("random",) * 10))
    model = OpenAILM("bench", url, api_key="none", concurrency=IN_FLIGHT)
    form = make_form("list", like_at=4.0, like_share=0.5)

    def teacher(name: str) -> LLMTeacher:
        cache = AnswerCache(folder / f"{name}.sqlite")
        return LLMTeacher(model, form, SHIPPED["list"], cache, catalogue)

    ready = [pair for question in asked for pair in teacher("prompts").prompts(question)]
    schema, most = schema_of(ready[0][0]), ready[0][0].max_tokens
    request = make_request(max_tokens=most, choices=None, schema=schema)
    prompts = [LLMPrompt(prompt.text) for _, prompt in ready]
    bodies = [request_body("bench", p, request, vllm=True, extra={}) for p in prompts]

    what = f"{questions} questions, {IN_FLIGHT} in flight, a server that answers at once"
    return {
        name: compare_times(
            lambda n, name=name: teacher(f"{name}-{n}").prefer(asked),  # type: ignore[misc]
            lambda n, bare=bare: asyncio.run(bare(url, bodies)),  # type: ignore[misc]
            rounds=rounds,
            work=f"{what}, {how}",
        )
        for name, bare, how in (
            ("pipeline", post_as_documented, "the openai client as documented"),
            ("raw", post_raw, "the openai client's lowest call"),
            ("httpx", post_httpx, "a plain httpx client"),
        )
    }


async def post_as_documented(url: str, bodies: list[dict[str, Any]]) -> None:
    """Send ready requests with the openai client, read the way its makers document."""
    from openai import AsyncOpenAI

    # patient, as a busy machine can be slow to accept 64 connections
    async with AsyncOpenAI(api_key="none", base_url=url, max_retries=0, timeout=600) as client:

        async def send(body: dict[str, Any]) -> str | None:
            reply = await client.chat.completions.create(**body)
            text: str | None = reply.choices[0].message.content
            return text

        await _all(send, bodies)


async def post_raw(url: str, bodies: list[dict[str, Any]]) -> None:
    """Send ready requests with the openai client, read from the bytes that came."""
    from openai import AsyncOpenAI

    async with AsyncOpenAI(api_key="none", base_url=url, max_retries=0, timeout=600) as client:

        async def send(body: dict[str, Any]) -> str | None:
            raw = await client.post("/chat/completions", body=body, cast_to=str)
            return _content(json.loads(raw))

        await _all(send, bodies)


async def post_httpx(url: str, bodies: list[dict[str, Any]]) -> None:
    """Send ready requests with a plain httpx client."""
    from httpx2 import AsyncClient, Limits

    limits = Limits(max_connections=IN_FLIGHT, max_keepalive_connections=IN_FLIGHT)
    async with AsyncClient(base_url=url, timeout=600, limits=limits) as client:

        async def send(body: dict[str, Any]) -> str | None:
            return _content((await client.post("/chat/completions", json=body)).json())

        await _all(send, bodies)


def _content(reply: Any) -> str | None:
    text: str | None = reply["choices"][0]["message"]["content"]
    return text


async def _all(
    send: Callable[[dict[str, Any]], Awaitable[str | None]], bodies: list[dict[str, Any]]
) -> None:
    """Send ready requests, 64 in flight, and read the text of each."""
    texts: list[str | None] = [None] * len(bodies)
    left = iter(range(len(bodies)))

    async def loop() -> None:
        for n in left:
            texts[n] = await send(bodies[n])

    await asyncio.gather(*(loop() for _ in range(IN_FLIGHT)))
    assert None not in texts
