"""What knocks at the page's server, and what gets in: only the page that was opened."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from coterie.errors import UsageError
from coterie.live import gate
from coterie.live.gate import Answer, serving

Headers = dict[str, str]


class Door:
    """A served address, and who asked for what behind it."""

    def __init__(self, address: str, heard: list[tuple[str, Any]]) -> None:
        self.host, _, rest = address.removeprefix("http://").partition("/")
        self.token = rest.rstrip("/")
        self.own = {"Host": self.host}
        self.sending = {**self.own, "Origin": f"http://{self.host}", "Content-Type": "application/json"}
        self.heard = heard

    def say(self, lines: str, body: bytes = b"") -> tuple[int, Headers, bytes]:
        """The answer to a request as it is written."""
        name, _, port = self.host.partition(":")
        with socket.create_connection((name, int(port)), timeout=20) as stream:
            stream.sendall(lines.encode("utf-8", "surrogateescape") + b"\r\n" + body)
            stream.shutdown(socket.SHUT_WR)
            found = b"".join(iter(lambda: stream.recv(65536), b""))
        head, _, content = found.partition(b"\r\n\r\n")
        first, *further = head.decode().split("\r\n")
        return int(first.split()[1]), dict(line.split(": ", 1) for line in further), content

    def ask(self, method: str, path: str, headers: Headers, body: bytes = b"") -> int:
        lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
        if body and "Content-Length" not in headers and "Transfer-Encoding" not in headers:
            lines.append(f"Content-Length: {len(body)}")
        return self.say("".join(f"{line}\r\n" for line in lines), body)[0]


@pytest.fixture
def door() -> Iterator[Door]:
    heard: list[tuple[str, Any]] = []

    def answering(name: str, asked: Any) -> Answer | None:
        heard.append((name, asked))
        if name == "wrong":
            raise UsageError("so not")
        return Answer({"name": name}) if name in ("0/", "0/labels") else None

    with serving(answering, 0) as address:
        yield Door(address, heard)


def test_the_page_that_was_opened_gets_in(door: Door) -> None:
    status, headers, content = door.say(f"GET /{door.token}/0/ HTTP/1.1\r\nHost: {door.host}\r\nConnection: close\r\n")
    assert (status, json.loads(content)) == (200, {"name": "0/"})
    assert headers["Server"] == "coterie"
    for name, value in (
        ("Cache-Control", "no-store"),
        ("X-Content-Type-Options", "nosniff"),
        ("Referrer-Policy", "no-referrer"),
        ("Cross-Origin-Resource-Policy", "same-origin"),
    ):
        assert headers[name] == value
    assert not any(name.startswith("Access-Control") for name in headers)
    assert door.ask("POST", f"/{door.token}/0/labels", door.sending, b'{"a": [1]}') == 200
    assert door.ask("POST", f"/{door.token}/wrong", door.sending, b"{}") == 422
    assert door.heard == [("0/", None), ("0/labels", {"a": [1]}), ("wrong", {})]
    assert len(door.token) > 40


def test_no_other_token_host_or_origin_gets_in(door: Door) -> None:
    page, port = f"/{door.token}/0/", door.host.partition(":")[2]
    for token in ("", "x", door.token[:-1], door.token + "x", door.token.swapcase(), "\udcff"):
        assert door.ask("GET", f"/{token}/0/", door.own) == 403
    for host in (
        "evil.example",
        f"evil.example:{port}",
        "127.0.0.1",
        "127.0.0.1:1",
        f"localhost:{port}",
        f"[::1]:{port}",
    ):
        assert door.ask("GET", page, {"Host": host}) == 403
        assert door.ask("POST", f"{page}labels", {**door.sending, "Host": host}, b"{}") == 403
    assert door.say(f"GET {page} HTTP/1.1\r\nHost: {door.host}\r\nHost: evil.example\r\n")[0] == 403
    assert door.say(f"GET {page} HTTP/1.0\r\n")[0] == 403
    assert door.ask("GET", f"http://{door.host}{page}", door.own) == 403
    for origin in (
        "null",
        "http://evil.example",
        f"https://{door.host}",
        f"http://{door.host}.evil.example",
        "http://127.0.0.1",
    ):
        assert door.ask("GET", page, {**door.own, "Origin": origin}) == 403
        assert door.ask("POST", f"{page}labels", {**door.sending, "Origin": origin}, b"{}") == 403
    for site in ("cross-site", "same-site"):
        assert door.ask("GET", page, {**door.own, "Sec-Fetch-Site": site}) == 403
    sending = {name: value for name, value in door.sending.items() if name != "Origin"}
    assert door.ask("POST", f"{page}labels", sending, b"{}") == 403
    assert door.heard == []


def test_no_other_method_path_or_body_gets_in(door: Door) -> None:
    page = f"/{door.token}/0/"
    for method in ("HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT", "get", "PROPFIND"):
        assert door.ask(method, page, door.own) == 405
    for body in (b"", b"{", b"\xff", b"[" * 100_000):
        assert door.ask("POST", page, {**door.sending, "Content-Length": str(len(body))}, body) == 400
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""):
        assert door.ask("POST", page, {**door.sending, "Content-Type": kind}, b"{}") == 415
    assert door.ask("POST", page, {**door.sending, "Transfer-Encoding": "chunked"}, b"2\r\n{}\r\n0\r\n\r\n") == 411
    for length in ("-1", "x", "1e9", ""):
        assert door.ask("POST", page, {**door.sending, "Content-Length": length}, b"{}") == 411
    for length in (f"{(32 << 20) + 1}", "9" * 30, "0" * 20 + "99999999999"):
        assert door.ask("POST", page, {**door.sending, "Content-Length": length}, b"{}") == 413
    assert door.ask("GET", "/" + "x" * 70_000, door.own) == 414
    assert door.heard == []


def test_no_path_leads_to_the_disk(door: Door) -> None:
    for path in (
        "0/../../etc/passwd",
        "0/%2e%2e/%2e%2e/etc/passwd",
        "..",
        "0/labels?x=1",
        "0//labels",
        "//etc/passwd",
        "0",
    ):
        assert door.ask("GET", f"/{door.token}/{path}", door.own) == 404
        assert door.heard.pop() == (path, None)  # Handed on as it is, and never to the disk.


def test_a_port_that_is_taken_is_refused(door: Door) -> None:
    for port in (int(door.host.partition(":")[2]), -1, 70_000):
        with pytest.raises(UsageError, match="--port"), serving(lambda *_: None, port):
            pass


def test_a_mistake_is_told_and_ends_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    def answering(name: str, _: Any) -> Answer | None:
        if name == "memory":
            raise MemoryError
        return Answer({"none": {}[name]})

    with serving(answering, 0) as address:
        door = Door(address, [])
        assert door.ask("GET", f"/{door.token}/0/", door.own) == 500
        assert "KeyError" in capsys.readouterr().err
        assert door.ask("GET", f"/{door.token}/memory", door.own) == 500
        assert capsys.readouterr().err == ""


def test_it_is_bound_to_the_loopback_alone() -> None:
    assert gate.HOST == "127.0.0.1"
