"""Any server that speaks the OpenAI chat interface: vLLM, Ollama, llama.cpp, a provider.

Waiting, retrying and checking are done here; `chat_http` carries the bytes.
"""

import asyncio
import importlib.util
import json
import os
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import numpy as np

from simrec.errors import SimrecError
from simrec.files import fingerprint
from simrec.llm.backends import llama_cpp
from simrec.llm.backends.backoff import retry_after_seconds, wait_seconds
from simrec.llm.backends.chat_body import Malformed, read_completion, request_body
from simrec.llm.backends.in_flight import in_flight, run_here
from simrec.llm.backends.offered import Offered, offered
from simrec.llm.protocol import Completes, LLMPrompt, OnReply, Reply
from simrec.llm.request import ATTEMPTS, Answer, Request, joined, make_request
from simrec.llm.spelling import spellings

if TYPE_CHECKING:
    from httpx2 import Response

    from simrec.llm.backends.chat_http import ChatHttp

Read = TypeVar("Read")
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
        server: Literal["vllm", "llama.cpp", "openai"] = "vllm",
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
                "llama.cpp" has each choice scored in a request of its own (see `llama_cpp`);
                "openai" leaves them out for providers that refuse unknown fields. Replies are
                checked in all.
            concurrency: Requests in flight.
            timeout: Seconds for one try.
            tries: Tries of one request before the call gives up.
            extra: Fields added to every request; None takes a field away, for example
                {"max_tokens": None, "max_completion_tokens": 64}.
            sleep: Waits between tries; where not given, a wait that ends early if the call ends.
            luck: Numbers in [0, 1) for the jitter.
            now: The present, for Retry-After dates.

        Raises:
            SimrecError: The HTTP client is not installed, or a number is out of range.
        """
        if importlib.util.find_spec("httpx2") is None:
            raise SimrecError(
                "the language model 'openai:' needs the package httpx2, which is not installed; "
                "pip install 'simrec[llm]'"
            )
        if concurrency < 1 or tries < 1 or timeout <= 0:
            raise SimrecError(
                f"concurrency, tries and timeout are {concurrency}, {tries} and {timeout:g}; "
                f"expected 1 or more, 1 or more, and above 0"
            )
        if server not in ("vllm", "llama.cpp", "openai"):
            raise SimrecError(f"server is '{server}'; expected vllm, llama.cpp or openai")
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
        """Model, whether choices are scored, fields added; which server has it does not matter.

        The weights behind the name are the server's word.
        """
        return f"openai:{self.model}{self._changed}"

    @property
    def former_name(self) -> str:
        """Name under which answers were kept when the server was a part of it."""
        return f"openai:{self.model}@{self.url}{self._changed}"

    @property
    def _changed(self) -> str:
        scored = "+scored" if self.server == "llama.cpp" else ""  # other numbers for choices
        return scored + (f"+{fingerprint(self.extra)[:8]}" if self.extra else "")

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
        from simrec.llm.backends.chat_http import ChatHttp

        key = self._api_key or os.environ.get("OPENAI_API_KEY") or "none"
        stop = asyncio.Event()
        places = min(self.concurrency, len(prompts))
        async with ChatHttp(self.url, key, timeout=self.timeout, places=places) as server:
            offer: Offered | None = None
            if self.server == "llama.cpp" and prompts and request.choices is not None:
                ways = [way for choice in request.choices for way in spellings(choice)]
                tokens = {way: await self._tokens(server, way, stop) for way in ways}
                offer = offered(request.choices, tokens.__getitem__)

            async def ask(prompt: LLMPrompt) -> Answer:
                if offer is not None:
                    return await self._score(server, prompt, offer, stop)
                vllm = self.server == "vllm"
                body = request_body(self.model, prompt, request, vllm=vllm, extra=self.extra)
                answer = await self._send(
                    server, body, lambda data: read_completion(data, request), stop
                )
                return _refused(answer) if isinstance(answer, str) else answer

            async def work(n: int) -> Reply:
                reply = request.check(await ask(prompts[n]))
                while not reply.valid and reply.finish != "error" and reply.attempts < ATTEMPTS:
                    prompt = request.again(prompts[n], reply)
                    reply = joined(reply, request.check(await ask(prompt)))
                return reply

            await in_flight(work, len(prompts), self.concurrency, take, stop)

    async def _tokens(self, server: "ChatHttp", choice: str, stop: asyncio.Event) -> list[int]:
        """Ask llama.cpp's server for the tokens of a choice."""
        body = llama_cpp.tokenize_body(choice)
        tokens = await self._send(server, body, llama_cpp.read_tokens, stop, at=llama_cpp.TOKENIZE)
        if isinstance(tokens, str):
            raise SimrecError(f"{self.url} does not split '{choice}' into tokens: {tokens}")
        return tokens

    async def _score(
        self,
        server: "ChatHttp",
        prompt: LLMPrompt,
        offer: Offered,
        stop: asyncio.Event,
    ) -> Answer:
        """Have llama.cpp's server write every choice in every spelling, one after the other."""
        told = []
        for ids in offer.rows:
            body = llama_cpp.forced_body(self.model, prompt, ids, self.extra)
            read = partial(llama_cpp.read_forced, n_tokens=len(ids))
            one = await self._send(server, body, read, stop)
            if isinstance(one, str):
                return _refused(one)
            told.append(one)
        return offer.answer([one.logprob for one in told], told[0].prompt_tokens)

    async def _send(
        self,
        server: "ChatHttp",
        body: dict[str, Any],
        read: Callable[[Any], Read],
        stop: asyncio.Event,
        *,
        at: str = "",
    ) -> Read | str:
        """Get one answer, trying again after what can pass; a refusal is the server's words."""
        from httpx2 import TimeoutException

        from simrec.llm.backends.chat_http import Trouble, said

        for failure in range(1, self.tries + 1):
            asked: float | None = None
            try:
                response = await server.post(body, at)
                if response.is_success:
                    return read(_json(response))
                status = response.status_code
                if status in _REFUSED:
                    return said(response)
                what = f"status {status}: {said(response)}"
                if status not in _RETRIED and status < 500:
                    raise self._turned_away(response, said(response))
                asked = retry_after_seconds(response.headers.get("retry-after"), self._now())
            except TimeoutException:
                what = f"no answer within {self.timeout:g} s"
            except Trouble as error:
                what = f"connection failed: {str(error) or type(error).__name__}"
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

    def _turned_away(self, response: "Response", words: str) -> SimrecError:
        status, advice = response.status_code, "see the server's log"
        if status in (401, 403):
            advice = "put a valid key into OPENAI_API_KEY"
        elif status == 404:
            advice = f"see {self.url}/models for its models; the address usually ends in /v1"
        elif response.has_redirect_location:
            advice = f"it points to {response.headers['location']}, give that address"
        return SimrecError(
            f"{self.url} turned model '{self.model}' away with status {status} ({words}); {advice}"
        )


def _refused(words: str) -> Answer:
    return Answer("", "error", error=f"the server refused it: {words}")


def _json(response: "Response") -> Any:
    try:
        return json.loads(response.content)
    except ValueError as error:
        raise Malformed(f"no JSON but {response.text[:40]!r}") from error
