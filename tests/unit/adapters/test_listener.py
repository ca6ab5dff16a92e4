"""The listener for probes: its paths alone, to this machine alone, and no request is read."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Iterator

import pytest

from mayfly.adapters.listener import Address, Answer, Kept, Listener, listen_address
from mayfly.domain.errors import ConfigError

MARK = "-".join(("marked", "value", "7f3a9c"))
SECURITY = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


def _fails() -> Answer:
    raise RuntimeError(MARK)


@pytest.fixture
def listener() -> Iterator[Listener]:
    """One on a free port of loopback, with a path that is well and one that is not."""
    address = Address(host="127.0.0.1", port=0)
    with Listener(address, {"/healthz": Answer, "/fails": _fails}) as made:
        yield made


def asked(
    listener: Listener, method: str, path: str, **headers: str
) -> tuple[int, str, dict[str, str]]:
    """Status, body and headers."""
    connection = http.client.HTTPConnection("127.0.0.1", listener.port, timeout=30)
    connection.request(method, path, headers=headers)
    reply = connection.getresponse()
    found = reply.status, reply.read().decode(), {k.lower(): v for k, v in reply.getheaders()}
    connection.close()
    return found


def test_only_its_paths_are_answered(listener: Listener) -> None:
    """With GET and HEAD, and headers that let no page make anything of it."""
    status, body, headers = asked(listener, "GET", "/healthz?a=b")
    assert (status, body) == (200, "ok\n")
    assert headers.items() >= SECURITY.items()
    assert "server" not in headers
    assert asked(listener, "HEAD", "/healthz")[:2] == (200, "")
    assert asked(listener, "GET", "/")[0] == 404
    assert asked(listener, "GET", "/healthz/")[0] == 404
    assert asked(listener, "DELETE", "/healthz")[0] == 405


def test_a_body_is_not_read(listener: Listener) -> None:
    """The answer comes though what was announced never does."""
    with socket.create_connection(("127.0.0.1", listener.port), timeout=30) as peer:
        peer.sendall(
            b"POST /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9999999\r\n\r\n"
        )
        assert peer.recv(12) == b"HTTP/1.1 405"


def test_a_page_of_another_name_is_not_answered(listener: Listener) -> None:
    """A browser that was led here by a name says which."""
    assert asked(listener, "GET", "/healthz", Host="shop.example.com")[0] == 421
    for host in ("localhost:9464", "127.0.0.1", "[::1]:9464"):
        assert asked(listener, "GET", "/healthz", Host=host)[0] == 200


def test_what_fails_says_nothing(listener: Listener, capfd: pytest.CaptureFixture[str]) -> None:
    """Neither in the answer nor on the terminal."""
    status, body, headers = asked(listener, "GET", "/fails")
    assert status == 503
    assert MARK not in f"{body}{headers}{''.join(capfd.readouterr())}"


def test_an_address_that_others_reach_has_to_be_meant() -> None:
    """Loopback is taken as it is; names are not addresses."""
    assert listen_address("127.0.0.1:9464", public=False) == Address(host="127.0.0.1", port=9464)
    assert listen_address("[::1]:0", public=False) == Address(host="::1", port=0)
    for text in ("0.0.0.0:9464", "10.0.0.7:9464", "[::]:9464"):
        with pytest.raises(ConfigError, match="listen_public"):
            listen_address(text, public=False)
        assert not listen_address(text, public=True).is_loopback
    for text in ("9464", ":9464", "localhost:9464", "127.0.0.1", "127.0.0.1:x", "127.0.0.1:70000"):
        with pytest.raises(ConfigError, match="listen_address"):
            listen_address(text, public=True)


def test_a_port_that_is_taken_is_said(listener: Listener) -> None:
    """By its number."""
    with pytest.raises(ConfigError, match="port_taken"):
        Listener(Address(host="127.0.0.1", port=listener.port), {})


def test_an_answer_holds_for_a_while() -> None:
    """It is made once, however often one asks; one that holds for no time is made each time."""
    made: list[int] = []

    def make() -> Answer:
        made.append(1)
        return Answer()

    for seconds, times in ((60.0, 1), (0.0, 3)):
        kept = Kept(make=make, seconds=seconds, late=Answer(status=503))
        made.clear()
        assert [kept().status for _ in range(3)] == [200] * 3
        assert len(made) == times
