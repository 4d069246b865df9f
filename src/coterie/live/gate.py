"""Who gets in: a server on the loopback that answers one token, one host and one origin, and reads within bounds.

Other programs of this machine may connect, and a browser carries what any site asks it to. So an address holds a token
that nobody guesses; the Host must be ours, or a name that a site has led to 127.0.0.1 (DNS rebinding) would share our
origin; and what changes something must say that it comes from our own page. No path of an address is one of the disk.
"""

from __future__ import annotations

import contextlib
import hmac
import json
import os
import secrets
import socketserver
import threading
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from coterie.errors import CoterieError, UsageError
from coterie.failures import disk_reason, translated
from coterie.streams import Words

HOST = "127.0.0.1"
# A table of twenty thousand images with long names takes a tenth of it.
_MOST_BYTES = 32 << 20
# A connection that sends nothing for so long is closed.
_SILENT_SECONDS = 30
_ALWAYS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


@dataclass(frozen=True)
class Answer:
    """What is sent back: a page's bytes, or a value as JSON."""

    content: Any
    kind: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)

    def encoded(self) -> bytes:
        return self.content if isinstance(self.content, bytes) else json.dumps(self.content).encode("utf-8")


# Answers what is asked for, below the token, by the JSON that was sent, or None where it is only read; None: no such.
Answering = Callable[[str, Any], Answer | None]


@contextlib.contextmanager
def serving(answering: Answering, port: int) -> Iterator[str]:
    """Answer at the address that is handed out, until the end of the context.

    Args:
        answering: called in several threads; a CoterieError of it is told to whoever asked.
        port: 0 for any that is free.

    Raises:
        UsageError: the port is taken.
    """
    try:
        server = _Server(answering, port)
    except (OSError, OverflowError) as error:
        reason = disk_reason(error) if isinstance(error, OSError) else "there is no such port"
        raise UsageError(f"--port {port} cannot be used: {reason}") from None
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
    thread.start()
    try:
        yield f"http://{server.host}/{server.token}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = os.name != "nt"  # There it would let another program take the port over.

    def __init__(self, answering: Answering, port: int) -> None:
        super().__init__((HOST, port), _Request)
        self.answering = answering
        self.token = secrets.token_urlsafe(32)
        self.host = f"{HOST}:{self.server_port}"

    def server_bind(self) -> None:
        """Without the name of this machine, which may take a while to be found out."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = HOST, int(self.server_address[1])

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that goes away is none."""


class _Refused(Exception):
    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class _Request(BaseHTTPRequestHandler):
    server: _Server
    timeout = _SILENT_SECONDS
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._respond(lambda: None)

    def do_POST(self) -> None:
        self._respond(self._body)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:  # noqa: ARG002
        """Other methods, and lines that are no request, get nothing but a number."""
        self.close_connection = True
        self._send(405 if code == 501 else code, Answer({"error": message or "refused"}))

    def version_string(self) -> str:
        return "coterie"

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing is said of requests: their addresses hold the token."""

    def _respond(self, body: Callable[[], Any]) -> None:
        try:
            name = self._admitted()
            answer = self.server.answering(name, body())
            if answer is None:
                raise _Refused(404, "there is no such page")
        except _Refused as refusal:
            self.close_connection = True  # What was sent along has not been read.
            self._send(refusal.status, Answer({"error": str(refusal)}))
        except CoterieError as error:
            self._send(422, Answer({"error": str(error)}))
        except KeyboardInterrupt:
            self._send(503, Answer({"error": "coterie open is about to end"}))
        except Exception as error:
            failure = translated(error)
            if failure is None:
                traceback.print_exception(error, file=Words())
            self._send(500, Answer({"error": str(failure or "a mistake of coterie's, see the terminal")}))
        else:
            self._send(200, answer)

    def _admitted(self) -> str:
        """The path below the token, of a request that may come in."""
        if self.headers.get_all("Host") != [self.server.host]:
            raise _Refused(403, "this host is not served")
        own = f"http://{self.server.host}"
        if self.headers.get("Origin", own if self.command == "GET" else "") != own:
            raise _Refused(403, "this origin is not served")
        if self.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin"):
            raise _Refused(403, "other sites are not served: open the address itself")
        token, _, name = self.path.removeprefix("/").partition("/")
        if not hmac.compare_digest(token.encode("utf-8", "replace"), self.server.token.encode("ascii")):
            raise _Refused(403, "this address is not served")
        return name

    def _body(self) -> Any:
        if self.headers.get_content_type() != "application/json":
            raise _Refused(415, "only JSON is taken")
        length = self.headers.get("Content-Length", "")
        if "Transfer-Encoding" in self.headers or not length.isdecimal():
            raise _Refused(411, "the length must be said")
        if len(length) > 20 or int(length) > _MOST_BYTES:
            raise _Refused(413, f"at most {_MOST_BYTES >> 20} MB are taken")
        try:
            return json.loads(self.rfile.read(int(length)))
        except (ValueError, RecursionError):
            raise _Refused(400, "this is no JSON") from None

    def _send(self, status: int, answer: Answer) -> None:
        content = answer.encoded()
        self.send_response(status)
        for name, value in {**_ALWAYS, **answer.headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Type", f"{answer.kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        with contextlib.suppress(OSError):
            self.wfile.write(content)
