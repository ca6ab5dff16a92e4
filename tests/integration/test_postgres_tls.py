"""PostgreSQL over TCP: off loopback the server's certificate is verified, at both ends."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pyarrow as pa
import pytest

from mayfly.connectors.destinations import database_postgres
from mayfly.connectors.sources.postgres import PostgresSource
from mayfly.domain.batch import SyncMode
from mayfly.domain.errors import ConfigError, EngineError
from mayfly.ports.destination import DestinationContext
from mayfly.privacy.gate import Form
from servers import HOST, Authority, SystemServer, make_authority, system_server

CONTEXT = DestinationContext(
    workspace="w",
    sync="s",
    mode=SyncMode.MIRROR,
    object_name="people",
    key=("id",),
    columns={"id": pa.int64()},
    forms={"id": Form.CLEAR},
)


class _Dsn:
    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text


@pytest.fixture(scope="module")
def server() -> Iterator[SystemServer]:
    """A server that is not running yet."""
    with system_server() as made:
        made.create()
        yield made


@pytest.fixture(scope="module")
def ours(server: SystemServer) -> Authority:
    """The authority the server's certificate is from."""
    return make_authority(server.folder / "ours", HOST)


@pytest.fixture(scope="module")
def other(server: SystemServer) -> Authority:
    """An authority that signed for another address."""
    return make_authority(server.folder / "other", "127.0.0.9")


@pytest.fixture
def verified(server: SystemServer, ours: Authority) -> Iterator[SystemServer]:
    """The server with its own certificate."""
    server.start(ours)
    yield server
    server.stop()


def check_source(dsn: str) -> None:
    """As a source."""
    PostgresSource("crm", _Dsn(dsn)).check(write=True)


def check_destination(dsn: str) -> None:
    """As a destination."""
    made = database_postgres.make(dsn=_Dsn(dsn), schema="public", context=CONTEXT)
    asyncio.run(made.check())


@pytest.fixture(params=[check_source, check_destination], ids=["source", "destination"])
def check(request: pytest.FixtureRequest) -> object:
    """Both ends."""
    return request.param


def refusal(check: object, dsn: str) -> EngineError:
    """The error, which tells neither password nor dsn."""
    with pytest.raises(EngineError) as caught:
        check(dsn)
    told = str(caught.value) + caught.value.hint
    assert "secret" not in told
    assert HOST not in told
    return caught.value


def test_a_verified_server_is_connected_to(
    check: object, verified: SystemServer, ours: Authority, other: Authority
) -> None:
    """With our authority it works, encrypted; with another one, or none, it is refused."""
    check(verified.tcp(sslrootcert=ours.root))
    for dsn in (verified.tcp(sslrootcert=other.root), verified.tcp()):
        error = refusal(check, dsn)
        assert isinstance(error, ConfigError)
        assert error.code == "tls_not_verified"
        assert "sslrootcert" in error.hint


def test_the_connection_is_encrypted(verified: SystemServer, ours: Authority) -> None:
    """The server itself says so, with TLS 1.2 or later."""
    source = PostgresSource("crm", _Dsn(verified.tcp(sslrootcert=ours.root)))
    with source.session(write=False) as session:
        found = session.table(
            "SELECT ssl, version::text AS v FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
        ).to_pylist()
    assert found[0]["ssl"] is True
    assert found[0]["v"] in ("TLSv1.2", "TLSv1.3")


def test_a_missing_authority_file_is_told(check: object, verified: SystemServer) -> None:
    """A wrong path is no reason to wait and try again."""
    assert refusal(check, verified.tcp(sslrootcert="/nowhere/ca.crt")).code == "tls_not_verified"


def test_a_wrong_password_is_refused(
    check: object, verified: SystemServer, ours: Authority
) -> None:
    """The operator must change it; the message does not hold it."""
    dsn = verified.tcp(sslrootcert=ours.root).replace("secret", "secret2")
    assert refusal(check, dsn).code in ("source_refused", "login_refused")


@pytest.mark.parametrize("secured", [True, False])
def test_a_server_that_cannot_prove_itself_is_refused(
    check: object, server: SystemServer, other: Authority, secured: bool
) -> None:
    """A certificate for another address, and no TLS at all."""
    server.start(other if secured else None)
    try:
        error = refusal(check, server.tcp(sslrootcert=other.root))
    finally:
        server.stop()
    assert error.code == "tls_not_verified"


def test_loopback_needs_no_certificate(check: object, verified: SystemServer) -> None:
    """127.0.0.1 does not leave the machine."""
    check(verified.tcp(host="127.0.0.1"))


def test_a_server_that_is_not_there_may_be_tried_again(check: object, server: SystemServer) -> None:
    """No answer is transient."""
    error = refusal(check, server.tcp(sslrootcert="system"))
    assert error.code in ("source_away", "database_unavailable")
    assert error.exit_code == 4
