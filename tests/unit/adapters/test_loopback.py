"""The listener that a browser comes back to, on real sockets."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

import pytest

from mayfly.adapters.loopback import CallbackListener
from mayfly.domain.errors import ConfigError


def send(port: int, text: bytes) -> bytes:
    """What comes back for a text, empty where nobody is there."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=30) as peer:
            peer.sendall(text)
            found = b""
            while piece := peer.recv(4096):
                found += piece
            return found
    except ConnectionError:
        return b""


def get(port: int, path: str, host: str | None = None) -> bytes:
    """A request as browsers make it."""
    return f"GET {path} HTTP/1.1\r\nHost: {host or f'127.0.0.1:{port}'}\r\n\r\n".encode()


def waiting(
    act: Callable[[int], None], *, accepts: Callable[[Mapping[str, str]], bool] = bool
) -> Mapping[str, str]:
    """What the listener gives while `act` plays the browser."""
    with CallbackListener() as listener:
        port = urlsplit(listener.redirect_uri).port or 0
        browser = threading.Thread(target=act, args=(port,))
        browser.start()
        try:
            return listener.wait(accepts)
        finally:
            browser.join(30)


def test_the_first_callback_is_answered_and_then_nobody_listens() -> None:
    """The second finds a closed port."""
    seen: list[bytes] = []

    def browser(port: int) -> None:
        seen.append(send(port, get(port, "/callback?code=c&state=s")))
        seen.append(send(port, get(port, "/callback?code=d&state=s")))

    assert waiting(browser) == {"code": "c", "state": "s"}
    assert seen[0].startswith(b"HTTP/1.1 200 ")
    assert seen[1] == b""


def test_one_that_is_not_accepted_is_told_so_and_is_the_only_one() -> None:
    """A guess ends the attempt."""
    seen: list[bytes] = []

    def browser(port: int) -> None:
        seen.append(send(port, get(port, "/callback?code=c&state=wrong")))

    assert waiting(browser, accepts=lambda given: False) == {"code": "c", "state": "wrong"}
    assert seen[0].startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize(
    "stray",
    [
        lambda port: get(port, "/favicon.ico"),
        lambda port: get(port, "/callback/x?code=a"),
        lambda port: get(port, "/callback?code=a&state=b", host="evil.example"),
        lambda port: get(port, "/callback?code=a").replace(b"GET", b"POST"),
        lambda port: b"nonsense\r\n\r\n",
        lambda port: b"",
    ],
)
def test_what_is_no_callback_is_not_taken_for_one(stray: Callable[[int], bytes]) -> None:
    """Nor does a connection that says nothing keep the browser waiting."""

    def browser(port: int) -> None:
        with socket.create_connection(("127.0.0.1", port)) as silent:
            other = stray(port)
            assert not other or send(port, other).startswith(b"HTTP/1.1 404 ")
            send(port, get(port, "/callback?code=c&state=s"))
            silent.close()

    assert waiting(browser) == {"code": "c", "state": "s"}


def test_a_parameter_that_stands_twice_makes_a_callback_worthless() -> None:
    """Which of the two was meant cannot be known."""
    assert waiting(lambda port: send(port, get(port, "/callback?state=a&state=b"))) == {}  # type: ignore[arg-type,return-value]


def test_a_request_in_pieces_is_read_whole() -> None:
    """TCP has no messages."""

    def browser(port: int) -> None:
        text = get(port, "/callback?code=c")
        with socket.create_connection(("127.0.0.1", port), timeout=30) as peer:
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for place in range(0, len(text), 7):
                peer.sendall(text[place : place + 7])
            peer.recv(100)

    assert waiting(browser) == {"code": "c"}


def test_a_request_without_an_end_is_cut_off() -> None:
    """It does not fill the memory."""

    def browser(port: int) -> None:
        assert send(port, b"GET /" + b"x" * 40_000) == b""
        send(port, get(port, "/callback?code=c"))

    assert waiting(browser) == {"code": "c"}


def test_after_two_minutes_the_port_is_closed() -> None:
    """By the clock that is given: nobody sleeps."""
    times = iter([1000.0, 1119.9, 1120.0])
    listener = CallbackListener(monotonic=lambda: next(times))
    port = urlsplit(listener.redirect_uri).port or 0
    stray = socket.create_connection(("127.0.0.1", port))
    with pytest.raises(ConfigError) as caught:
        listener.wait(bool)
    stray.close()
    assert caught.value.code == "callback_timeout"
    assert send(port, get(port, "/callback?code=c")) == b""


def test_it_listens_on_loopback_alone_and_on_a_port_of_chance() -> None:
    """Two at once do not meet."""
    with CallbackListener() as first, CallbackListener() as second:
        uris = {first.redirect_uri, second.redirect_uri}
        assert len(uris) == 2
        assert {urlsplit(uri).hostname for uri in uris} == {"127.0.0.1"}


def test_a_port_that_must_be_one_may_be_taken() -> None:
    """By another program: that is told, and the name is the one that was registered."""
    with CallbackListener(host="localhost") as first:
        port = urlsplit(first.redirect_uri).port or 0
        assert first.redirect_uri == f"http://localhost:{port}/callback"
        with pytest.raises(ConfigError) as caught:
            CallbackListener(host="localhost", port=port)
    assert caught.value.code == "callback_port"
