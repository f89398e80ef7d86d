"""A loopback server of the chat interface that replays faults, and a client that never waits."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from simrec.llm.backends.openai_lm import OpenAILM
from simrec.llm.backends.scripted import hashed
from simrec.llm.protocol import LLMPrompt

# What one request meets: a status with headers and body, or "cut", "silent", "half", "garbage".
Fault = tuple[int, dict[str, str], Any] | str | None
NOON = datetime(2026, 1, 2, 12, 0, 0, tzinfo=UTC)  # the time on the client's clock


@dataclass
class Server:
    """What the tests see of the server."""

    url: str
    bodies: list[dict[str, Any]] = field(default_factory=list)  # every request, as it came
    headers: list[dict[str, str]] = field(default_factory=list)
    answered: int = 0  # completions sent whole
    most: int = 0  # greatest number of requests in the house at once
    inside: int = 0


def completion(
    text: str, prompt: str, *, finish: str = "stop", scores: Any = None
) -> dict[str, Any]:
    """A chat completion; a token is a word."""
    return {
        "id": "x",
        "object": "chat.completion",
        "created": 0,
        "model": "tiny",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": text},
                "finish_reason": finish,
                "logprobs": scores,
            }
        ],
        "usage": {
            "prompt_tokens": len(prompt.split()),
            "completion_tokens": len(text.split()),
            "total_tokens": len(prompt.split()) + len(text.split()),
        },
    }


def obedient(body: dict[str, Any]) -> dict[str, Any]:
    """Answer by a hash of the prompt, within the choices or the schema of the request."""
    prompt = body["messages"][0]["content"]
    choices = body.get("structured_outputs", {}).get("choice")
    form = body.get("response_format")
    schema = None if form is None else form["json_schema"]["schema"]
    return completion(hashed(LLMPrompt(prompt), choices, schema), prompt)


@contextmanager
def serve(
    reply: Callable[[dict[str, Any]], dict[str, Any]] = obedient,
    fault: Callable[[int, dict[str, Any]], Fault] = lambda n, body: None,
) -> Iterator[Server]:
    """Serve on a free port of the loopback until the block ends.

    Args:
        reply: Makes the completion.
        fault: Told the number of the request (from 0) and its body; what goes wrong with it.
    """
    lock, over = threading.Lock(), threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1
        disable_nagle_algorithm = True

        def log_message(self, format: str, *args: Any) -> None:
            pass

        def _send(self, status: int, headers: dict[str, str], body: bytes) -> None:
            self.send_response(status)
            for name, value in {"Content-Type": "application/json", **headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            self.wfile.flush()

        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers["Content-Length"]))
            body = json.loads(raw)
            with lock:
                n = len(seen.bodies)
                seen.bodies.append(body)
                seen.headers.append({k.lower(): v for k, v in self.headers.items()})
                seen.inside += 1
                seen.most = max(seen.most, seen.inside)
            try:
                self._answer(body, fault(n, body))
            finally:
                with lock:
                    seen.inside -= 1

        def _answer(self, body: dict[str, Any], wrong: Fault) -> None:
            if self.path != ("/tokenize" if "content" in body else "/v1/chat/completions"):
                self._send(404, {}, b'{"error": {"message": "no such page"}}')
            elif wrong is None:
                whole = json.dumps(reply(body)).encode()
                with lock:
                    seen.answered += 1
                self._send(200, {}, whole)
            elif wrong == "garbage":
                self._send(200, {}, b'{"choices": [')
            elif wrong == "silent":  # longer than the client waits
                over.wait(20)
                self.close_connection = True
            elif wrong in ("cut", "half"):
                if wrong == "half":
                    self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{")
                    self.wfile.flush()
                self.close_connection = True
            else:
                assert not isinstance(wrong, str)
                status, headers, content = wrong
                self._send(status, headers, json.dumps(content).encode())

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

        def handle_error(self, request: Any, client_address: Any) -> None:
            pass  # a client that ran out of patience

    server = Quiet(("127.0.0.1", 0), Handler)
    seen = Server(f"http://127.0.0.1:{server.server_address[1]}/v1")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        server.shutdown()
        server.server_close()
        thread.join()


def model_at(url: str, waits: list[float] | None = None, luck: float = 0.5, **options) -> OpenAILM:
    """A model that never really waits; `waits` gets what it would have waited."""
    kept = [] if waits is None else waits

    async def sleep(seconds: float) -> None:
        kept.append(seconds)

    world = {"sleep": sleep, "luck": lambda: luck, "now": lambda: NOON}
    return OpenAILM("tiny", url, api_key="secret", **world, **options)
