"""The egress guard on real sockets, and the HTTP client against a real loopback server.

An audit hook stays for the life of a process, so each guard runs in a process of its own.
"""

from __future__ import annotations

import asyncio
import importlib.abc
import logging
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from mayfly.adapters.http import HttpxClient
from mayfly.domain.errors import ConfigError, ContractError, PolicyError, TransientError
from mayfly.ports.http import HttpReply

PRELUDE = """
import asyncio, socket, threading
from mayfly.adapters.egress import allow_hosts, guard_sockets
from mayfly.domain.errors import PolicyError

def refused(call):
    try:
        call()
    except PolicyError as error:
        return error.code == "host_not_allowed"
    except OSError:
        return False
    return False

def connect(host, port=9):
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as one:
        one.settimeout(1)
        one.connect((host, port))

listening = socket.create_server(("127.0.0.1", 0))
PORT = listening.getsockname()[1]
"""


def guarded(code: str) -> None:
    """Run a scenario in a process of its own; it fails this test where it fails there."""
    done = subprocess.run(
        [sys.executable, "-c", PRELUDE + textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_a_closed_process_reaches_nothing_that_is_not_listed() -> None:
    """With an empty list, loopback, foreign addresses and lookups are refused before they go."""
    guarded(
        """
        guard_sockets()
        assert refused(lambda: connect("127.0.0.1", PORT))
        assert refused(lambda: connect("192.0.2.1"))
        assert refused(lambda: connect("2001:db8::1"))
        assert refused(lambda: socket.getaddrinfo("example.com", 443))
        assert refused(lambda: socket.gethostbyname("example.com"))
        assert refused(lambda: connect("localhost", PORT))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
            assert refused(lambda: one.sendto(b"x", ("192.0.2.1", 53)))
        """
    )


def test_unix_sockets_are_always_allowed() -> None:
    """A connection over a Unix socket works in a closed process."""
    guarded(
        """
        import os, tempfile
        guard_sockets()
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "s")
            with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as one:
                server.bind(path)
                server.listen()
                one.connect(path)
        """
    )


def test_a_run_opens_its_hosts_and_closes_them_again() -> None:
    """Listed loopback works inside the block alone; other addresses stay refused inside it."""
    guarded(
        """
        guard_sockets()
        with allow_hosts(["127.0.0.1"]):
            connect("127.0.0.1", PORT)
            assert refused(lambda: connect("127.0.0.2", PORT))
            assert refused(lambda: connect("192.0.2.1"))
        assert refused(lambda: connect("127.0.0.1", PORT))
        """
    )


def test_an_address_is_reachable_where_an_allowed_name_was_resolved_to_it() -> None:
    """A listed name opens the addresses it has, in asyncio too, and only until the run ends."""
    guarded(
        """
        guard_sockets()
        with allow_hosts(["localhost"]):
            assert refused(lambda: connect("127.0.0.1", PORT))
            async def open_it():
                _, writer = await asyncio.open_connection("localhost", PORT)
                writer.close()
            asyncio.run(open_it())
            connect("127.0.0.1", PORT)
        with allow_hosts(["192.0.2.7"]):
            assert refused(lambda: connect("127.0.0.1", PORT))
        """
    )


def test_runs_that_overlap_keep_their_own_lists() -> None:
    """Ending one of two runs with the same host leaves it open for the other."""
    guarded(
        """
        guard_sockets()
        with allow_hosts(["127.0.0.1"]):
            with allow_hosts(["127.0.0.1", "192.0.2.9"]):
                pass
            connect("127.0.0.1", PORT)
        assert refused(lambda: connect("127.0.0.1", PORT))
        """
    )


def test_other_spellings_of_an_address_do_not_slip_through() -> None:
    """IPv4 mapped into IPv6 counts as the address it is; a name that merely ends alike is none."""
    guarded(
        """
        guard_sockets()
        with allow_hosts(["192.0.2.1", "graph.facebook.com"]):
            assert refused(lambda: connect("::ffff:127.0.0.1", PORT))
            assert refused(lambda: socket.getaddrinfo("graph.facebook.com.example.com", 443))
            assert refused(lambda: socket.getaddrinfo("xgraph.facebook.com", 443))
            assert refused(lambda: socket.getaddrinfo(b"example.org", 443))
        with allow_hosts(["127.0.0.1"]):
            assert not refused(lambda: connect("::ffff:127.0.0.1", PORT))
        """
    )


def test_other_threads_are_guarded_too() -> None:
    """A thread started before the guard is refused like any other."""
    guarded(
        """
        go, seen = threading.Event(), []
        def work():
            go.wait()
            seen.append(refused(lambda: connect("127.0.0.1", PORT)))
        thread = threading.Thread(target=work)
        thread.start()
        guard_sockets()
        go.set()
        thread.join()
        assert seen == [True]
        """
    )


def test_without_guard_sockets_only_the_block_is_guarded() -> None:
    """`allow_hosts` alone refuses inside its block and nothing outside, so a library may use it."""
    guarded(
        """
        with allow_hosts(["192.0.2.1"]):
            assert refused(lambda: connect("127.0.0.1", PORT))
        connect("127.0.0.1", PORT)
        """
    )


def test_the_http_client_reports_what_the_guard_refused() -> None:
    """A client whose own list is wider than the run's gets PolicyError, not a retry."""
    guarded(
        """
        from mayfly.adapters.http import HttpxClient
        async def scenario():
            client = HttpxClient(["127.0.0.1", "localhost"])
            url = f"http://127.0.0.1:{PORT}/"
            try:
                await client.request("GET", url, timeout_seconds=5)
            finally:
                await client.close()
        guard_sockets()
        with allow_hosts(["192.0.2.1"]):
            assert refused(lambda: asyncio.run(scenario()))
        """
    )


class LoopbackServer(ThreadingHTTPServer):
    """Answers by path and records what it was sent."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _handler())
        self.seen: list[tuple[str, dict[str, str], bytes]] = []
        self.hang = threading.Event()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    def answer(self) -> None:
        server = self.server
        assert isinstance(server, LoopbackServer)
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        server.seen.append((self.path, headers, body))
        if self.path == "/hang":
            server.hang.wait(30)
        if self.path == "/reset":
            self.close_connection = True
            return
        self.send_response(302 if self.path == "/move" else 200)
        self.send_header("Set-Cookie", "id=1; Path=/")
        if self.path == "/move":
            self.send_header("Location", f"{server.url}/moved")
        if self.path == "/packed":
            self.send_header("Content-Encoding", "gzip")
        content = b"x" * (5_000 if self.path == "/large" else 2)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.path == "/drip":
            server.hang.wait(0.5)
            self.wfile.write(content[:1])
            self.wfile.flush()
            server.hang.wait(0.5)
            content = content[1:]
        self.wfile.write(content)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Nothing on stderr."""


def _handler() -> type[_Handler]:
    names = ("do_GET", "do_POST", "do_DELETE")
    return type("Handler", (_Handler,), dict.fromkeys(names, _Handler.answer))


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    """A server on loopback."""
    made = LoopbackServer()
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    made.hang.set()
    made.shutdown()
    thread.join()
    made.server_close()


def fetch(url: str, *, hosts: tuple[str, ...] = ("127.0.0.1",), **options: Any) -> HttpReply:
    """One request of a client of its own."""

    async def scenario() -> HttpReply:
        client = HttpxClient(hosts, reply_bytes_max=1_000)
        try:
            return await client.request(
                options.pop("method", "GET"), url, **{"timeout_seconds": 10, **options}
            )
        finally:
            await client.close()

    return asyncio.run(scenario())


def test_a_request_arrives_as_it_was_given(server: LoopbackServer) -> None:
    """Parameters, headers, a form and a DELETE's body arrive; compression is not asked for."""
    reply = fetch(
        f"{server.url}/form",
        method="POST",
        params={"a": "1 2"},
        headers={"authorization": "Bearer t"},
        form={"k": "v w"},
    )
    assert (reply.status, reply.body) == (200, b"xx")
    assert repr(reply) == "HttpReply(status=200, bytes=2)"
    fetch(f"{server.url}/body", method="DELETE", content=b"{}")
    (path, headers, body), (_, _, deleted) = server.seen
    assert (path, body, deleted) == ("/form?a=1+2", b"k=v+w", b"{}")
    assert headers["authorization"] == "Bearer t"
    assert headers["accept-encoding"] == "identity"


def test_a_redirect_is_a_reply(server: LoopbackServer) -> None:
    """A redirect is returned, and the address it names is never asked."""
    reply = fetch(f"{server.url}/move")
    assert reply.status == 302
    assert [path for path, _, _ in server.seen] == ["/move"]


def test_cookies_are_not_kept(server: LoopbackServer) -> None:
    """A cookie that a server sets does not come back with the client's next request."""

    async def scenario() -> None:
        client = HttpxClient(["127.0.0.1"])
        for _ in range(2):
            await client.request("GET", f"{server.url}/", timeout_seconds=10)
        await client.close()
        await client.close()

    asyncio.run(scenario())
    assert len(server.seen) == 2
    assert all("cookie" not in headers for _, headers, _ in server.seen)


@pytest.mark.parametrize(
    ("path", "code"), [("/large", "answer_too_large"), ("/packed", "answer_encoded")]
)
def test_a_reply_is_bounded(server: LoopbackServer, path: str, code: str) -> None:
    """A reply beyond the bound, or one that could unpack beyond it, is refused."""
    with pytest.raises(ContractError) as raised:
        fetch(server.url + path)
    assert raised.value.code == code


def streamed(url: str, bytes_max: int) -> tuple[HttpReply | str, int]:
    """A streamed reply, or the code that it was refused with, and how many bytes were handed on."""
    pieces: list[bytes] = []

    async def scenario() -> HttpReply | str:
        client = HttpxClient(["127.0.0.1"], reply_bytes_max=1_000)
        try:
            return await client.stream(
                "GET", url, take=pieces.append, bytes_max=bytes_max, timeout_seconds=10
            )
        except ContractError as error:
            return error.code
        finally:
            await client.close()

    return asyncio.run(scenario()), sum(map(len, pieces))


def test_a_body_may_be_handed_on_piece_by_piece(server: LoopbackServer) -> None:
    """Beyond what a reply holds, to a bound of its own; of a redirect and a packed body nothing."""
    reply, taken = streamed(f"{server.url}/large", 10_000)
    assert isinstance(reply, HttpReply)
    assert (reply.status, reply.body) == (200, b"")
    assert taken > 1_000
    assert streamed(f"{server.url}/large", taken)[1] == taken
    refused, some = streamed(f"{server.url}/large", taken - 1)
    assert refused == "answer_too_large"
    assert some < taken
    moved, nothing = streamed(f"{server.url}/move", 10_000)
    assert isinstance(moved, HttpReply)
    assert (moved.status, nothing) == (302, 0)
    assert streamed(f"{server.url}/packed", 10_000) == ("answer_encoded", 0)


def test_a_server_that_hangs_or_hangs_up_is_transient(server: LoopbackServer) -> None:
    """A silent server, one that drips past the total deadline, and a cut have their own codes."""
    for path, seconds, code in (
        ("/hang", 0.2, "destination_timeout"),
        ("/drip", 0.8, "destination_timeout"),
        ("/reset", 10.0, "destination_unreachable"),
    ):
        with pytest.raises(TransientError) as raised:
            fetch(server.url + path, timeout_seconds=seconds)
        assert raised.value.code == code
        assert raised.value.__suppress_context__
        assert "127.0.0.1" not in str(raised.value)


def test_nobody_listening_is_transient() -> None:
    """A refused connection is a TransientError, not an error of the library."""
    with pytest.raises(TransientError) as raised:
        fetch("http://127.0.0.1:1/")
    assert raised.value.code == "destination_unreachable"


@pytest.mark.parametrize(
    ("url", "hosts", "code"),
    [
        ("https://example.com/", ("example.org",), "host_not_allowed"),
        ("https://example.org.example.com/", ("example.org",), "host_not_allowed"),
        ("https://user@example.org/", ("example.org",), "host_not_allowed"),
        ("ftp://example.org/", ("example.org",), "host_not_allowed"),
        ("http://[broken/", ("example.org",), "host_not_allowed"),
        ("http://127.0.0.1:1/", (), "host_not_allowed"),
        ("http://example.org/", ("example.org",), "plain_http"),
        ("http://localhost/", ("localhost",), "plain_http"),
    ],
)
def test_other_hosts_are_refused_before_anything_is_sent(
    url: str, hosts: tuple[str, ...], code: str
) -> None:
    """A host off the list, and plain HTTP off literal loopback, never reach a socket."""
    with pytest.raises(PolicyError) as raised:
        fetch(url, hosts=hosts)
    assert raised.value.code == code


def test_proxy_variables_are_not_heeded(
    server: LoopbackServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy in the environment does not see the request."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert fetch(f"{server.url}/").status == 200


def test_a_key_log_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """With SSLKEYLOGFILE set no client is made."""
    monkeypatch.setenv("SSLKEYLOGFILE", "keys")
    with pytest.raises(ConfigError) as raised:
        HttpxClient([])
    assert raised.value.code == "tls_key_log"


def test_a_further_request_looks_for_no_module(
    server: LoopbackServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is not installed would be looked for on the whole path by each request."""
    looked_for: list[str] = []

    class Noting(importlib.abc.MetaPathFinder):
        def find_spec(self, fullname: str, path: object, target: object = None) -> None:
            del path, target
            looked_for.append(fullname)

    async def scenario() -> None:
        client = HttpxClient(["127.0.0.1"])
        try:
            await client.request("GET", f"{server.url}/first", timeout_seconds=10)
            monkeypatch.setattr(sys, "meta_path", [Noting(), *sys.meta_path])
            await client.request("GET", f"{server.url}/second", timeout_seconds=10)
        finally:
            monkeypatch.undo()
            await client.close()

    asyncio.run(scenario())
    assert looked_for == []


def test_the_librarys_loggers_stay_silent(
    server: LoopbackServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Even where logging is set to debug, no line of httpx or httpcore is written."""
    with caplog.at_level(logging.DEBUG):
        fetch(f"{server.url}/secret-path", headers={"authorization": "Bearer secret-token"})
    assert not [r for r in caplog.records if r.name.startswith(("httpx", "httpcore"))]
    assert "secret" not in caplog.text
