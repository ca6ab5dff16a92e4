"""What a Redshift source says and refuses without a server."""

from __future__ import annotations

import pyarrow as pa
import pytest

from mayfly.connectors.sources.reading_guard import ReadingGuard
from mayfly.connectors.sources.redshift_errors import from_state
from mayfly.connectors.sources.redshift_types import column_array, column_of, readable
from mayfly.domain.errors import ConfigError, ContractError, EngineError, TransientError
from mayfly.planning.sql.redshift import RedshiftDialect
from mayfly.ports.source import ColumnInfo


@pytest.mark.parametrize(
    ("state", "kind", "code"),
    [
        (None, TransientError, "connection_lost"),
        ("57P01", TransientError, "connection_lost"),
        ("57014", TransientError, "source_busy"),
        ("40001", TransientError, "source_busy"),
        ("42501", ConfigError, "missing_grant"),
        ("42P01", ConfigError, "table_missing"),
        ("42804", ConfigError, "query_invalid"),
        ("22001", ConfigError, "value_conversion"),
        ("XX000", ContractError, "query_failed"),
    ],
)
def test_states_have_codes(state: str | None, kind: type[EngineError], code: str) -> None:
    """None at all is a connection that is gone."""
    found = from_state(state)
    assert (type(found), found.code) == (kind, code)


@pytest.mark.parametrize(
    ("oid", "modifier", "sql_type", "arrow", "sql"),
    [
        (1700, (38 << 16 | 10) + 4, "numeric(38,10)", "decimal128(38, 10)", '"c"'),
        (1700, -1, "numeric", "string", 'CAST("c" AS VARCHAR(65535))'),
        (6551, -1, "varbyte", "binary", '"c"'),
        (4000, -1, "super", "string", 'JSON_SERIALIZE("c")'),
        (3000, -1, "geometry", "string", 'ST_AsEWKT("c")'),
        (1188, -1, "intervaly2m", "string", 'CAST("c" AS VARCHAR(65535))'),
        (2935, -1, "oid:2935", "string", 'CAST("c" AS VARCHAR(65535))'),
        (700, -1, "float4", "double", 'CAST("c" AS DOUBLE PRECISION)'),
    ],
)
def test_types_that_no_postgresql_has(
    oid: int, modifier: int, sql_type: str, arrow: str, sql: str
) -> None:
    """By the numbers that Amazon's own driver knows them by."""
    made = column_of("c", oid, modifier)
    assert (made.sql_type, str(made.arrow_type)) == (sql_type, arrow)
    assert readable(made) == sql


def test_bytes_come_as_hex() -> None:
    """With or without PostgreSQL's sign before it."""
    assert column_array(["00ff", "\\x00ff", None, ""], pa.binary()).to_pylist() == [
        b"\x00\xff",
        b"\x00\xff",
        None,
        b"",
    ]


@pytest.mark.parametrize(("text", "kind"), [("x", pa.bool_()), ("xyz", pa.binary())])
def test_a_text_that_is_none_of_its_type_is_refused(text: str, kind: pa.DataType) -> None:
    """Nothing becomes another value."""
    with pytest.raises(ValueError, match=r"a boolean|hexadecimal"):
        column_array([text], kind)


def test_texts_are_told_apart_with_their_blanks() -> None:
    """Comparisons there take no notice of them: keys are bytes, and consent has a mark behind."""
    sql = RedshiftDialect()
    text = ColumnInfo(name="id", sql_type="varchar", arrow_type=pa.string())
    assert sql.key('"id"', text.sql_type, text.arrow_type).startswith("TO_VARBYTE(")
    assert sql.key_type("varchar") == "VARBYTE"
    assert sql.key('"id"', "int8", pa.int64()) == '"id"'
    assert sql.key_type("numeric(6,2)") == "numeric(6,2)"
    assert "|| '.') IN ('yes.')" in sql.is_one_of('"ok"', ["yes"])
    for kind in ("varchar", "varbyte", "bool", "int8"):
        assert sql.key_of_text(sql.key_text("k0", kind), kind) != "k0"


def test_a_guard_knows_its_own_temporary_tables_alone() -> None:
    """Under any spelling of their names, and nothing else that is not read."""
    guard = ReadingGuard(reads=r"SELECT\b", name=r"(?P<name>\w+)(?![\w.])", folded=str.lower)
    guard.check("/* a */ /* b */ select 1")
    guard.check("CREATE TEMPORARY TABLE IF NOT EXISTS Mine (n int)")
    guard.check("DROP TABLE IF EXISTS MINE")
    for statement in ("", "-- x\nSELECT 1", "DELETE FROM mine.x", "DELETE FROM other", "SELECTED"):
        with pytest.raises(ConfigError, match="read_only_session"):
            guard.check(statement)
