"""Any server that speaks the OpenAI chat interface: vLLM, Ollama, llama.cpp, a provider.

The `openai` client carries the bytes (keys, proxies, certificates and pooling as its users know
them; its own transport has changed its name under it once, which a direct use would have felt).
Its retries are off: waiting, retrying and checking are done here, where they can be tested.
"""

import asyncio
import importlib.util
import json
import os
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from simrec.errors import SimrecError
from simrec.files import fingerprint
from simrec.llm.backends.backoff import retry_after_seconds, wait_seconds
from simrec.llm.backends.chat_body import Malformed, read_completion, request_body
from simrec.llm.backends.in_flight import in_flight, run_here
from simrec.llm.protocol import Completes, LLMPrompt, OnReply, Reply
from simrec.llm.request import ATTEMPTS, Answer, Request, joined, make_request

if TYPE_CHECKING:
    from openai import APIStatusError, AsyncOpenAI

LONGEST_WAIT = 600.0  # seconds; a server that asks for a longer pause ends the call
HOPELESS = 8  # requests refused before any is answered: the fault is not the prompts'
_RETRIED = frozenset({408, 409, 425, 429})  # and every 5xx
_REFUSED = frozenset({400, 413, 422})  # the server has read this prompt and will not answer it


class OpenAILM(Completes):
    """One model on one server, many requests in flight."""

    def __init__(
        self,
        model: str,
        url: str,
        *,
        api_key: str | None = None,
        server: Literal["vllm", "openai"] = "vllm",
        concurrency: int = 64,
        timeout: float = 120.0,
        tries: int = 8,
        extra: Mapping[str, Any] | None = None,
        sleep: Callable[[float], Awaitable[object]] | None = None,
        luck: Callable[[], float] | None = None,
        now: Callable[[], datetime] | None = None,
    ) -> None:
        """Describe the server; nothing is sent yet.

        Args:
            model: The server's name of the model.
            url: Base address, usually ending in /v1.
            api_key: Secret; where not given, OPENAI_API_KEY, else none (local servers).
            server: "vllm" sends choices as `structured_outputs`, which other open servers ignore;
                "openai" leaves them out for providers that refuse unknown fields. Replies are
                checked in both.
            concurrency: Requests in flight.
            timeout: Seconds for one try.
            tries: Tries of one request before the call gives up.
            extra: Fields added to every request; None takes a field away, for example
                {"max_tokens": None, "max_completion_tokens": 64}.
            sleep: Waits between tries; where not given, a wait that ends early if the call ends.
            luck: Numbers in [0, 1) for the jitter.
            now: The present, for Retry-After dates.

        Raises:
            SimrecError: The client is not installed, or a number is out of range.
        """
        if importlib.util.find_spec("openai") is None:
            raise SimrecError(
                "the language model 'openai:' needs the package openai, which is not installed; "
                "pip install 'simrec[llm]'"
            )
        if concurrency < 1 or tries < 1 or timeout <= 0:
            raise SimrecError(
                f"concurrency, tries and timeout are {concurrency}, {tries} and {timeout:g}; "
                f"expected 1 or more, 1 or more, and above 0"
            )
        if server not in ("vllm", "openai"):
            raise SimrecError(f"server is '{server}'; expected vllm or openai")
        self.model, self.url = model, url.rstrip("/")
        self.server, self.concurrency, self.tries = server, concurrency, tries
        self.timeout = timeout
        self.extra = dict(extra or {})
        self._api_key = api_key
        self._sleep = sleep
        self._luck = luck or np.random.default_rng().random
        self._now = now or (lambda: datetime.fromtimestamp(time.time(), UTC))

    @property
    def name(self) -> str:
        """Model and fields added to requests; which server has it does not matter.

        The weights behind the name are the server's word.
        """
        return f"openai:{self.model}{self._changed}"

    @property
    def former_name(self) -> str:
        """Name under which answers were kept when the server was a part of it."""
        return f"openai:{self.model}@{self.url}{self._changed}"

    @property
    def _changed(self) -> str:
        return f"+{fingerprint(self.extra)[:8]}" if self.extra else ""

    def complete_each(
        self,
        prompts: Sequence[LLMPrompt],
        on_reply: OnReply,
        *,
        max_tokens: int,
        choices: Sequence[str] | None = None,
        schema: Mapping[str, Any] | None = None,
    ) -> None:
        """Keep `concurrency` requests in flight; see LanguageModel.

        Raises:
            SimrecError: As LanguageModel says; also if the server refuses the first HOPELESS
                requests one and all, then their replies are not handed over.
        """
        request = make_request(max_tokens=max_tokens, choices=choices, schema=schema)
        refused: list[tuple[int, Reply]] = []  # held until one request is answered
        answered = False

        def take(n: int, reply: Reply) -> None:
            nonlocal answered
            if reply.finish == "error" and not answered:
                refused.append((n, reply))
                if len(refused) == HOPELESS:
                    raise SimrecError(
                        f"{self.url} refused the first {HOPELESS} requests ({reply.reason}); mend "
                        f"what it names, or leave a field out with server='openai' or extra"
                    )
                return
            answered = True
            for held in refused:
                on_reply(*held)
            refused.clear()
            on_reply(n, reply)

        run_here(lambda over: self._run(prompts, request, over), take)
        for held in refused:
            on_reply(*held)

    async def _run(
        self, prompts: Sequence[LLMPrompt], request: Request, take: Callable[[int, Reply], None]
    ) -> None:
        from openai import AsyncOpenAI

        key = self._api_key or os.environ.get("OPENAI_API_KEY") or "none"
        stop = asyncio.Event()
        async with AsyncOpenAI(
            api_key=key, base_url=self.url, timeout=self.timeout, max_retries=0
        ) as client:

            async def work(n: int) -> Reply:
                reply = request.check(await self._ask(client, prompts[n], request, stop))
                while not reply.valid and reply.finish != "error" and reply.attempts < ATTEMPTS:
                    prompt = request.again(prompts[n], reply)
                    answer = await self._ask(client, prompt, request, stop)
                    reply = joined(reply, request.check(answer))
                return reply

            await in_flight(work, len(prompts), self.concurrency, take, stop)

    async def _ask(
        self, client: "AsyncOpenAI", prompt: LLMPrompt, request: Request, stop: asyncio.Event
    ) -> Answer:
        """Get one answer, trying again after what can pass."""
        from openai import APIConnectionError, APIStatusError, APITimeoutError

        body = request_body(
            self.model, prompt, request, vllm=self.server == "vllm", extra=self.extra
        )
        for failure in range(1, self.tries + 1):
            asked: float | None = None
            try:
                return read_completion(await _post(client, body), request)
            except APIStatusError as error:
                status = error.status_code
                if status in _REFUSED:
                    return Answer("", "error", error=f"the server refused it: {_said(error)}")
                if status not in _RETRIED and status < 500:
                    raise self._turned_away(error) from error
                what = f"status {status}: {_said(error)}"
                asked = retry_after_seconds(error.response.headers.get("retry-after"), self._now())
            except APITimeoutError:
                what = f"no answer within {self.timeout:g} s"
            except APIConnectionError as error:
                what = f"connection failed: {error.__cause__ or error}"
            except Malformed as error:
                what = str(error)
            if asked is not None and asked > LONGEST_WAIT:
                raise SimrecError(
                    f"{self.url} asks for a pause of {asked:.0f} s ({what}); run again after that, "
                    f"what was answered is kept"
                )
            if failure == self.tries:
                break
            await self._rest(wait_seconds(failure, self._luck, asked), stop)
            if stop.is_set():
                raise SimrecError("the call ended before this request was answered")
        raise SimrecError(
            f"{self.url} failed {self.tries} times in a row ({what}); see that the server runs "
            f"and run again, what was answered is kept"
        )

    async def _rest(self, seconds: float, stop: asyncio.Event) -> None:
        if self._sleep is not None:
            await self._sleep(seconds)
            return
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), seconds)

    def _turned_away(self, error: "APIStatusError") -> SimrecError:
        status = error.status_code
        advice = "see the server's log"
        if status in (401, 403):
            advice = "put a valid key into OPENAI_API_KEY"
        elif status == 404:
            advice = f"see {self.url}/models for its models; the address usually ends in /v1"
        return SimrecError(
            f"{self.url} turned model '{self.model}' away with status {status} ({_said(error)}); "
            f"{advice}"
        )


async def _post(client: "AsyncOpenAI", body: dict[str, Any]) -> Any:
    """Send one request and return the JSON that came back."""
    raw = await client.post("/chat/completions", body=body, cast_to=str)
    try:
        return json.loads(raw)
    except ValueError as error:
        raise Malformed(f"no JSON but {str(raw)[:40]!r}") from error


def _said(error: "APIStatusError") -> str:
    """Return the server's own words, on one line and short."""
    body = error.body
    if isinstance(body, Mapping):
        inner = body.get("error", body)
        body = inner.get("message", inner) if isinstance(inner, Mapping) else inner
    words = " ".join(str(body if body else error.message).split())
    return words if len(words) <= 160 else words[:160] + "..."
