"""OpenAI-compatible servers on the loopback: one that misbehaves as told, and what any of them shares."""

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Reply:
    """What the server sends: ``text`` as a completion, or ``body`` as it is. ``cut`` bytes of it are missing
    at the end, ``after_s`` is how long it takes; a blank
    goes before it every ``drip_s``, for ever."""

    text: str | None = "fine"
    status: int = 200
    body: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    after_s: float = 0.0
    drip_s: float = 0.0
    cut: int = 0
    finish: str = "stop"
    usage: tuple[int, int] | None = (10, 5)
    content_type: str = "application/json"

    def payload(self) -> bytes:
        if self.body is not None:
            return self.body.encode()
        if self.status != 200:
            return json.dumps({"error": {"message": self.text, "code": None}}).encode()
        message = {"role": "assistant", "content": self.text}
        reply: dict[str, Any] = {"id": "1", "object": "chat.completion", "created": 0, "model": "m"}
        reply["choices"] = [{"index": 0, "finish_reason": self.finish, "message": message}]
        if self.usage:
            reply["usage"] = {"prompt_tokens": self.usage[0], "completion_tokens": self.usage[1]}
        return json.dumps(reply, ensure_ascii=False).encode()


Answer = Callable[[dict[str, Any]], Reply]


class Server:
    """``answer`` makes the reply to a request body; ``requests`` are those that came, ``most_at_once`` how
    many were under way together at most."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.requests: list[dict[str, Any]] = []
        self.keys: list[str] = []
        self.most_at_once = self._now = 0
        self._lock = threading.Lock()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._http.daemon_threads = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_port}/v1"

    def prompts(self) -> Counter[str]:
        """How often each prompt came, by the last message."""
        return Counter(str(r["messages"][-1]["content"]) for r in self.requests)

    @contextmanager
    def running(self) -> Iterator["Server"]:
        thread = threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._http.shutdown()
            self._http.server_close()

    def _handler(server) -> type[BaseHTTPRequestHandler]:  # noqa: N805
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.keys.append(self.headers["Authorization"])
                self._send(server.answer({}))

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with server._lock:
                    server.requests.append(body)
                    server.keys.append(self.headers["Authorization"])
                    server._now += 1
                    server.most_at_once = max(server.most_at_once, server._now)
                try:
                    reply = server.answer(body)
                    time.sleep(reply.after_s)
                finally:
                    with server._lock:
                        server._now -= 1
                self._send(reply)

            def _send(self, reply: Reply) -> None:
                payload = reply.payload()
                try:
                    self.send_response(reply.status)
                    self.send_header("Content-Type", reply.content_type)
                    self.send_header("Content-Length", str(len(payload) + (10**9 if reply.drip_s else 0)))
                    for name, value in reply.headers.items():
                        self.send_header(name, value)
                    self.end_headers()
                    while reply.drip_s:
                        self.wfile.write(b" ")
                        time.sleep(reply.drip_s)
                    self.wfile.write(payload[: len(payload) - reply.cut])
                except OSError:
                    pass  # the client has gone

            def log_message(self, *args: Any) -> None:
                pass

        return Handler


def in_turn(*replies: Reply | str) -> Answer:
    """One reply after the other, the last for ever."""
    left: list[Reply | str] = list(replies)
    lock = threading.Lock()

    def answer(request: dict[str, Any]) -> Reply:
        with lock:
            reply = left.pop(0) if len(left) > 1 else left[0]
        return Reply(reply) if isinstance(reply, str) else reply

    return answer


def last_text(request: dict[str, Any]) -> str:
    """Text of the last message, whether or not it has images."""
    content = request["messages"][-1]["content"]
    parts: Sequence[dict[str, Any]] = content if isinstance(content, list) else [{"text": content}]
    return "\n".join(part["text"] for part in parts if "text" in part)
