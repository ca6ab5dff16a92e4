"""How Spark Connect is asked, and what of its answers is taken, held to a server under our hand."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from leak_watch import MARK
from mayfly.connectors.sources.spark import SparkSource
from mayfly.connectors.sources.spark_client import Patience
from mayfly.connectors.sources.spark_connect import LEGACY, PINNED, SparkAccess
from mayfly.connectors.sources.spark_protocol import message
from mayfly.domain.errors import ConfigError, ContractError, EngineError, TransientError
from servers import HOST, make_authority
from spark_scripted import (
    FailingError,
    Scripted,
    complete,
    refusing,
    rows,
    scripted,
    unavailable,
)

QUERY = "SELECT a FROM t"
_CONNECT = """
import logging, sys
logging.basicConfig(level=0)
from pathlib import Path
from mayfly.connectors.sources.spark import SparkSource
from mayfly.connectors.sources.spark_connect import SparkAccess
from mayfly.domain.errors import EngineError
for remote in sys.argv[2:]:
    access = SparkAccess(remote=remote, ca_file=Path(sys.argv[1]), patience_seconds=0.0)
    try:
        SparkSource("lake", access).check(write=False)
    except EngineError as error:
        print(error.code)
"""


class _Token:
    def reveal(self) -> str:
        return " s3cret\n"


@pytest.fixture
def server() -> Iterator[Scripted]:
    """One on loopback, without TLS."""
    with scripted() as made:
        yield made


def source(server: Scripted, *, host: str = "127.0.0.1", **more: Any) -> SparkSource:
    """Over it."""
    given = {"remote": f"sc://{host}:{server.port}", "patience_seconds": 0.0, **more}
    return SparkSource("lake", SparkAccess(**given))


def _read(server: Scripted, **more: Any) -> list[int]:
    with source(server, **more).session(write=False) as session:
        return session.table(QUERY).column("a").to_pylist()


def _plans(server: Scripted) -> list[Any]:
    return [r for r in server.calls("ExecutePlan") if r.plan.root.sql.query == QUERY]


def test_answers_go_on_where_they_ended(server: Scripted) -> None:
    """Where a server ends a long answer on purpose, and where a connection breaks: no row is lost
    and none comes twice.
    """
    server.streams += [
        [rows("r1", 1, 2)],
        [rows("r2", 3, offset=2), unavailable()],
        [rows("r3", 4, offset=3), refusing("INVALID_CURSOR.DISCONNECTED")],
        [complete()],
    ]
    assert _read(server, patience_seconds=20.0) == [1, 2, 3, 4]
    [plan] = _plans(server)
    again = server.calls("ReattachExecute")
    assert {r.operation_id for r in again} == {plan.operation_id}
    assert [r.last_response_id for r in again] == ["r1", "r2", "r3"]
    assert plan.request_options[0].reattach_options.reattachable


def test_a_plan_that_never_arrived_is_sent_again(server: Scripted) -> None:
    """Under its own number, so that it cannot run twice."""
    server.streams += [
        [unavailable()],
        [refusing("INVALID_HANDLE.OPERATION_NOT_FOUND")],
        [rows("r1", 7), complete()],
    ]
    assert _read(server, patience_seconds=20.0) == [7]
    assert len({plan.operation_id for plan in _plans(server)}) == 1
    assert len(_plans(server)) == 2


def test_a_server_that_stays_away_is_told(server: Scripted) -> None:
    """Once it was waited for long enough."""
    server.streams += [[rows("r1", 1), unavailable()]]
    with pytest.raises(TransientError, match="connection_lost"):
        _read(server)


@pytest.mark.parametrize(
    "error_class", ["INVALID_HANDLE.SESSION_NOT_FOUND", "INVALID_HANDLE.SESSION_CLOSED"]
)
def test_a_session_that_is_gone_is_not_waited_for(server: Scripted, error_class: str) -> None:
    """The server was started anew: what was temporary in it is gone, too."""
    server.streams += [[rows("r1", 1), refusing(error_class)]]
    with pytest.raises(TransientError, match="connection_lost"):
        _read(server, patience_seconds=600.0)


def test_patience_grows_and_ends() -> None:
    """It begins anew with each answer."""
    slept: list[float] = []
    now = [0.0]

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    patience = Patience(10.0, sleep=sleep, monotonic=lambda: now[0])
    patience.wait()
    patience.answered()
    while now[0] < 10.05:
        patience.wait()
    with pytest.raises(TransientError, match="connection_lost"):
        patience.wait()
    assert slept[:2] == [0.05, 0.05]
    assert max(slept) == 2.0
    assert sum(slept[1:]) == pytest.approx(10.0)


@pytest.mark.parametrize("answer", [rows("r1", 1, 2, offset=5), rows("r1", 1)])
def test_a_part_that_is_missing_is_noticed(server: Scripted, answer: Any) -> None:
    """Rows before it, or rows of it."""
    if answer.arrow_batch.start_offset == 0:
        answer.arrow_batch.row_count = 9
    server.streams += [[answer, complete()]]
    with pytest.raises(ContractError, match="query_failed"):
        _read(server)


def test_what_nobody_waits_for_is_ended(server: Scripted) -> None:
    """A stream that is left early, at the server, too."""
    server.streams += [[rows("r1", 1), server.interrupted]]
    with source(server).session(write=False) as session:
        stream = session.stream(QUERY)
        assert next(stream).num_rows == 1
        assert not server.interrupted.is_set()
        del stream
    assert server.interrupted.is_set()
    [plan] = _plans(server)
    [ended] = server.calls("Interrupt")
    assert ended.operation_id == plan.operation_id


def test_sessions_have_our_settings_and_no_legacy(server: Scripted) -> None:
    """Those that bring older behaviour back are as Spark has them by default."""
    pair = message("KeyValue", key="sizeOfNull", value="true")
    server.answers["Config"] = message("ConfigResponse", pairs=[pair])
    server.streams += [[rows("r1", 1), complete()]]
    _read(server)
    asked = [call.operation for call in server.calls("Config")]
    assert [o.get_all.prefix for o in asked if o.HasField("get_all")] == [LEGACY]
    assert [list(o.unset.keys) for o in asked if o.HasField("unset")] == [[LEGACY + "sizeOfNull"]]
    assert {p.key: p.value for o in asked for p in o.set.pairs} == dict(PINNED)
    assert server.calls("ReleaseSession")


def test_the_token_goes_with_every_call(server: Scripted) -> None:
    """And in no other place."""
    server.streams += [[rows("r1", 1), complete()]]
    _read(server, token=_Token)
    assert {m.get("authorization") for _, _, m in server.asked} == {"Bearer s3cret"}
    assert b"s3cret" not in b"".join(r.SerializeToString() for _, r, _ in server.asked)
    assert "s3cret" not in repr(SparkAccess(remote="sc://h", token=_Token))


@pytest.mark.parametrize("text", ["", "\n", "two\nlines", "é"])
def test_a_token_that_cannot_go_in_a_header_is_refused(server: Scripted, text: str) -> None:
    """Before anything is asked."""

    class _Odd:
        def reveal(self) -> str:
            return text

    with pytest.raises(ConfigError, match="token_invalid"):
        _read(server, token=_Odd)
    assert server.asked == []


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (FailingError(grpc.StatusCode.UNAUTHENTICATED, MARK), "source_refused"),
        (FailingError(grpc.StatusCode.PERMISSION_DENIED, MARK), "source_refused"),
        (FailingError(grpc.StatusCode.UNIMPLEMENTED, MARK), "source_refused"),
        (unavailable(), "source_away"),
        (
            message("AnalyzePlanResponse", spark_version=message("Version", version="3.5.7")),
            "server_too_old",
        ),
        (
            message("AnalyzePlanResponse", spark_version=message("Version", version=MARK)),
            "server_too_old",
        ),
    ],
)
def test_sessions_that_do_not_begin_say_why(server: Scripted, answer: Any, code: str) -> None:
    """By their code; nothing that came is told."""
    server.answers["AnalyzePlan"] = answer
    with pytest.raises(EngineError, match=code) as caught:
        _read(server)
    assert MARK not in str(caught.value) + caught.value.hint


def test_nobody_there_and_no_spark_there_are_told() -> None:
    """At once."""
    away = Scripted(port=1)
    with pytest.raises(TransientError, match="source_away"):
        _read(away, patience_seconds=600.0)
    with scripted(service="some.other.Service") as other:
        with pytest.raises(ConfigError, match="source_refused") as caught:
            _read(other)
        assert "15002" in caught.value.hint


def test_the_cause_of_an_error_is_asked_for_and_its_text_left(server: Scripted) -> None:
    """A task's failure says little itself."""
    server.streams += [
        [
            FailingError(
                grpc.StatusCode.INTERNAL, MARK, errorId="e1", errorClass="", sqlState="XX000"
            )
        ]
    ]
    thrown = message("SparkThrowable", error_class="CAST_INVALID_INPUT", sql_state="22018")
    cause = message("ErrorDetails", error_type_hierarchy=["a.B"], spark_throwable=thrown)
    server.answers["FetchErrorDetails"] = message(
        "FetchErrorDetailsResponse", errors=[message("ErrorDetails"), cause]
    )
    with pytest.raises(ConfigError, match="value_conversion") as caught:
        _read(server)
    assert MARK not in str(caught.value) + caught.value.hint
    assert [call.error_id for call in server.calls("FetchErrorDetails")] == ["e1"]


def test_too_little_memory_is_told_by_what_spark_says(server: Scripted) -> None:
    """It has no class of its own; of its text nothing else is kept."""
    text = f"Total size of {MARK} is bigger than spark.driver.maxResultSize"
    server.streams += [[FailingError(grpc.StatusCode.INTERNAL, text)]]
    with pytest.raises(ConfigError, match="memory_limit") as caught:
        _read(server)
    assert MARK not in str(caught.value) + caught.value.hint


def test_off_this_machine_the_server_is_verified(tmp_path: Path) -> None:
    """By an authority of one's own; another, none, or a server without TLS is refused."""
    ours = make_authority(tmp_path / "ours", HOST)
    other = make_authority(tmp_path / "other", "127.0.0.9")
    with scripted(ours, host=HOST) as server:
        server.streams += [[rows("r1", 1), complete()]]
        assert _read(server, host=HOST, ca_file=ours.root, token=_Token) == [1]
        asked = len(server.asked)
        for weak in (None, other.root):
            with pytest.raises(ConfigError, match="tls_not_verified"):
                _read(server, host=HOST, ca_file=weak, token=_Token)
        with pytest.raises(ConfigError, match="ca_file_unreadable"):
            _read(server, host=HOST, ca_file=tmp_path / "none", token=_Token)
        assert len(server.asked) == asked
    with scripted(host=HOST) as plain, pytest.raises(ConfigError, match="tls_not_verified"):
        _read(plain, host=HOST, ca_file=ours.root, token=_Token)
    assert plain.asked == []


def test_the_library_leaves_nothing_at_home_and_says_nothing(tmp_path: Path) -> None:
    """Neither what fails in it, nor what it would note of a connection."""
    ours = make_authority(tmp_path / "ours", HOST)
    other = make_authority(tmp_path / "other", HOST)
    home = tmp_path / "home"
    home.mkdir()
    environment = {"HOME": str(home), "PYTHONPATH": os.pathsep.join(sys.path), "TZ": "UTC"}
    with scripted(ours, host=HOST) as server:
        remotes = [f"sc://{HOST}:{server.port}", "sc://127.0.0.1:1"]
        done = subprocess.run(
            [sys.executable, "-B", "-c", _CONNECT, str(other.root), *remotes],
            env=environment, capture_output=True, check=False,
        )  # fmt: skip
    assert done.stdout.split() == [b"tls_not_verified", b"source_away"]
    assert (done.returncode, done.stderr) == (0, b"")
    assert list(home.rglob("*")) == []


@pytest.mark.parametrize(
    "remote", ["http://h:1", "sc://", "sc://h:0", "sc://h:70000", "sc://u@h", "sc://h/;token=x", ""]
)
def test_addresses_of_another_form_are_refused(remote: str) -> None:
    """What may stand behind Spark's own has keys of its own here."""
    with pytest.raises(ConfigError, match="remote_invalid"):
        SparkAccess(remote=remote).address()


@pytest.mark.parametrize(
    ("remote", "address", "tls"),
    [
        ("sc://spark.example.com", ("spark.example.com", 15002), True),
        ("sc://127.0.0.1:1", ("127.0.0.1", 1), False),
        ("sc://[::1]:15002", ("::1", 15002), False),
        ("sc://[2001:db8::1]", ("2001:db8::1", 15002), True),
    ],
)
def test_addresses_are_read(remote: str, address: tuple[str, int], tls: bool) -> None:
    """TLS follows from where it is."""
    access = SparkAccess(remote=remote)
    assert (access.address(), access.has_tls) == (address, tls)
