"""What the MariaDB source makes of dsns, numbers and names, without a server."""

from __future__ import annotations

import pyarrow as pa
import pytest

from mayfly.connectors.destinations import database_mysql
from mayfly.connectors.mysql_connect import _packets, hosts_of
from mayfly.connectors.sources.mysql import MysqlSource, require_version
from mayfly.connectors.sources.mysql_connect import parse_dsn
from mayfly.connectors.sources.mysql_errors import from_number, not_connected
from mayfly.connectors.sources.mysql_grants import account, grant_of, of_schema
from mayfly.connectors.sources.mysql_load import lines_of, load_statement
from mayfly.connectors.sources.mysql_types import batch_of
from mayfly.domain.errors import ConfigError, TransientError
from mayfly.domain.settings import DestinationSettings
from mayfly.planning.sql.mysql import MysqlDialect
from mayfly.ports.connector import HostsRequest
from mayfly.ports.source import ColumnInfo


class _Dsn:
    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text


def test_a_dsn_is_read() -> None:
    """Percent-encoded, by TCP or by a socket; the password is not shown."""
    found = parse_dsn("s", _Dsn("mysql://us%40er:p%2Fw@db.example.com:3307/shop?ssl_ca=/ca.pem"))
    assert (found.host, found.port, found.user) == ("db.example.com", 3307, "us@er")
    assert (found.password, found.database, found.ssl_ca) == ("p/w", "shop", "/ca.pem")
    assert "p/w" not in repr(found)
    assert not found.is_local
    local = parse_dsn("s", _Dsn("mysql://u@localhost/shop?socket=/run/s"))
    assert (local.host, local.socket, local.port) == ("", "/run/s", 3306)
    assert hosts_of("s", _Dsn("mysql://u@localhost/shop?socket=/run/s")) == frozenset()
    assert hosts_of("s", _Dsn("mysql://u@db.example.com/shop")) == {"db.example.com"}


def test_data_is_cut_to_packets() -> None:
    """However large a piece is, and whatever is small is put together."""
    pieces = [b"ab", b"x" * 1_200_000, b"", b"cd"]
    packets = list(_packets(pieces))
    assert b"".join(packets) == b"".join(pieces)
    assert [len(p) for p in packets] == [500_000, 500_000, 200_004]
    assert list(_packets([])) == []


def test_a_destination_needs_the_host_of_its_dsn() -> None:
    """And no other; a socket needs none."""
    settings = DestinationSettings(name="crm", type="mysql", options={"dsn": "env:CRM"})
    for dsn, hosts in (
        ("mysql://u:hunter2@db.example.com/shop", {"db.example.com"}),
        ("mysql://u@localhost/shop?socket=/run/s", set()),
    ):
        request = HostsRequest(settings=settings, reveal=lambda _, dsn=dsn: _Dsn(dsn))
        assert database_mysql.CONNECTOR.hosts is not None
        assert database_mysql.CONNECTOR.hosts(request) == hosts


@pytest.mark.parametrize(
    ("dsn", "code"),
    [
        ("postgresql://u:hunter2@h/d", "dsn_invalid"),
        ("mysql://u:hunter2@h", "dsn_invalid"),
        ("mysql://h/d", "dsn_invalid"),
        ("mysql://u:hunter2@h:port/d", "dsn_invalid"),
        ("mysql://u:hunter2@h/d?charset=latin1", "dsn_invalid"),
        ("mysql://u:hunter2@h/d?ssl_mode=DISABLED", "tls_required"),
        ("mysql://u:hunter2@h/d?ssl_verify_cert=0", "tls_required"),
    ],
)
def test_a_dsn_that_says_too_little_or_weakens_tls_is_refused(dsn: str, code: str) -> None:
    """Without what it holds."""
    with pytest.raises(ConfigError, match=code) as caught:
        MysqlSource("s", _Dsn(dsn)).check(write=False)
    assert "hunter2" not in str(caught.value) + caught.value.hint


def test_old_servers_and_mysql_are_refused() -> None:
    """By what they greet with."""
    require_version("s", "5.5.5-10.11.6-MariaDB-0+deb12u1")
    require_version("s", "11.4.2-MariaDB")
    for text in ("5.5.5-10.5.23-MariaDB", "10.4.1-MariaDB-log"):
        with pytest.raises(ConfigError, match="server_too_old"):
            require_version("s", text)
    with pytest.raises(ConfigError, match="server_not_supported"):
        require_version("s", "8.0.36")


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (2013, "connection_lost"),
        (1205, "source_busy"),
        (1213, "source_busy"),
        (1142, "missing_grant"),
        (1146, "table_missing"),
        (1054, "column_missing"),
        (1064, "query_syntax"),
        (1305, "function_missing"),
        (1292, "value_conversion"),
        (1114, "disk_full"),
        (1041, "memory_limit"),
        (4166, "local_infile_off"),
        (1267, "query_invalid"),
        (1815, "query_failed"),
    ],
)
def test_numbers_are_told_by_our_codes(number: int, code: str) -> None:
    """Locks and lost connections may be tried again."""
    found = from_number(number)
    assert found.code == code
    assert isinstance(found, TransientError) == (code in ("connection_lost", "source_busy"))


def test_a_connection_that_was_not_made_says_why() -> None:
    """Refused, away, or not the server it should be."""
    assert not_connected("s", 1045, tls=False).code == "source_refused"
    assert not_connected("s", 2003, tls=False).code == "source_away"
    assert not_connected("s", 2003, tls=True).code == "tls_not_verified"


def test_a_missing_right_is_read_from_names_alone() -> None:
    """Tables, columns, functions and the database of the source; nothing of another kind."""
    role = account("weak `role`@%")
    assert role == "`weak ``role```@`%`"
    found = [
        grant_of(text, role="`u`@`%`", schema="my_shop")
        for text in (
            "SELECT command denied to user 'u'@'h' for table `a`.`b``c`",
            "SELECT command denied to user 'u'@'h' for column 'x' in table 't'",
            "execute command denied to user 'u'@'h' for routine 'a.f'",
            "Access denied for user 'u'@'h' to database 'my_shop'",
            "Access denied for user 'u'@'h' to database 'other'",
            "Duplicate entry 'ann@example.com' for key 'x'",
        )
    ]
    assert found == [
        "GRANT SELECT ON `a`.`b``c` TO `u`@`%`;",
        "GRANT SELECT ON `my_shop`.`t` TO `u`@`%`;",
        "GRANT EXECUTE ON FUNCTION `a`.`f` TO `u`@`%`;",
        "GRANT CREATE TEMPORARY TABLES ON `my\\_shop`.* TO `u`@`%`;",
        None,
        None,
    ]
    assert of_schema("_may%fly") == "`\\_may\\%fly`.*"


def test_rows_are_loaded_as_data() -> None:
    """No value stands in the statement, and none can end a line."""
    rows = pa.table(
        {"n": pa.array([1, None]), "s": pa.array(["a\n\t\\N", None]), "d": [b"\n", None]}
    )
    statement = load_statement("mf_load", rows.schema)
    assert "SET `s` = CONVERT(unhex(@c1) USING utf8mb4), `d` = unhex(@c2)" in statement
    assert b"".join(lines_of(rows)) == b"1\t610a095c4e\t0a\n\\N\t\\N\t\\N\n"


def test_a_value_of_another_type_is_no_value() -> None:
    """What the server sends is held to what it said of it."""
    column = ColumnInfo(name="a", sql_type="int", arrow_type=pa.int32())
    with pytest.raises(pa.ArrowInvalid):
        batch_of([column], [(b"x",)])


def test_consent_is_what_it_says_and_nothing_near() -> None:
    """A number is asked as a number and by its form; a text by its bytes."""
    sql = MysqlDialect()
    asked = sql.is_one_of("`ok`", [True, "yes"])
    assert "IN ('yes')" in asked
    assert sql.as_text("`ok`") in asked
    assert "hex(`ok`) IN ('1', '31')" in asked
    assert (
        sql.rename_table("`_mayfly`.`a`", "b")
        == "ALTER TABLE `_mayfly`.`a` RENAME TO `_mayfly`.`b`"
    )
    assert sql.literal("a\\'b") == "'a\\\\''b'"
