"""The way to a chat server and back: httpx's transport, one for every request in flight.

A client with one pool looks through all of it twice for every request, and merges addresses,
cookies and redirects that chat does not need: at 64 in flight a third of what a request cost.
Proxies, certificates and keys are found where users of httpx and of the openai client put them
(HTTPS_PROXY, NO_PROXY, SSL_CERT_FILE, OPENAI_ORG_ID, OPENAI_PROJECT_ID).
"""

import json
import os
from contextlib import AsyncExitStack, suppress
from functools import cache
from ssl import SSLContext
from typing import Any
from urllib.request import getproxies, proxy_bypass

import httpx2

from simrec.errors import SimrecError

Trouble = (httpx2.HTTPError, httpx2.InvalidURL)  # whatever keeps an answer from coming
_OWNER = {"OPENAI_ORG_ID": "OpenAI-Organization", "OPENAI_PROJECT_ID": "OpenAI-Project"}


@cache
def _certificates() -> SSLContext:
    """Return who is trusted; reading it takes 20 ms, as long as 30 requests."""
    return httpx2.create_ssl_context()


def _proxy(url: httpx2.URL) -> str | None:
    """Return the proxy that the environment names for an address."""
    named = getproxies()
    proxy = named.get(url.scheme) or named.get("all")
    if not proxy or proxy_bypass(url.netloc.decode("ascii")):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


class ChatHttp:
    """As many transports as requests may be in flight, each with a connection kept open."""

    def __init__(self, url: str, key: str, *, timeout: float, places: int) -> None:
        """Prepare; nothing is sent yet.

        Args:
            url: Base address, usually ending in /v1.
            key: Secret.
            timeout: Seconds to wait for a connection, and for each part of an answer.
            places: Requests in flight at most.

        Raises:
            SimrecError: The address or the key cannot be sent.
        """
        named = {header: os.environ.get(name) for name, header in _OWNER.items()}
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        headers |= {"Authorization": f"Bearer {key}", "User-Agent": "simrec"}
        headers |= {header: value for header, value in named.items() if value}
        try:
            self._url = httpx2.URL(f"{url}/chat/completions")
            self._headers = httpx2.Headers(headers)
        except UnicodeEncodeError as error:
            raise SimrecError(
                "the server's key has letters outside ASCII; put a valid key into OPENAI_API_KEY"
            ) from error
        except httpx2.InvalidURL as error:
            raise SimrecError(
                f"the address '{url}' cannot be read ({error}); expected openai:MODEL@URL"
            ) from error
        self._patience = {"timeout": httpx2.Timeout(timeout).as_dict()}
        self._places = places
        self._free: list[httpx2.AsyncHTTPTransport] = []
        self._open = AsyncExitStack()

    async def __aenter__(self) -> "ChatHttp":
        """Make the transports; each connects when it is first used."""
        proxy = _proxy(self._url)
        for _ in range(self._places):
            way = httpx2.AsyncHTTPTransport(verify=_certificates(), proxy=proxy)
            self._free.append(await self._open.enter_async_context(way))
        return self

    async def __aexit__(self, *error: object) -> None:
        """Close all connections."""
        await self._open.aclose()

    async def post(self, body: dict[str, Any], at: str = "") -> httpx2.Response:
        """Send one request and return the answer, whatever its status.

        Args:
            body: What is sent, as JSON.
            at: Where to, seen from the address of chat completions.

        Raises:
            httpx2.TimeoutException: No answer in time.
            httpx2.HTTPError: No connection, or an answer that was cut.
        """
        request = httpx2.Request(
            "POST",
            self._url.join(at) if at else self._url,
            headers=self._headers,
            content=json.dumps(body).encode(),
            extensions=self._patience,
        )
        way = self._free.pop()
        try:
            response = await way.handle_async_request(request)
            try:
                await response.aread()
            finally:
                await response.aclose()
            return response
        finally:
            self._free.append(way)


def said(response: httpx2.Response) -> str:
    """Return a server's own words for what is wrong, on one line and short."""
    body: Any = response.text.strip()
    with suppress(ValueError):
        body = json.loads(body)
    if isinstance(body, dict):
        inner = body.get("error", body)
        body = inner.get("message", inner) if isinstance(inner, dict) else inner
    words = " ".join(str(body if body else f"Error code: {response.status_code}").split())
    return words if len(words) <= 160 else words[:160] + "..."
