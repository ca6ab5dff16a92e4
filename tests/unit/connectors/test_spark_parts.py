"""What a Spark source says, reads and refuses without a server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pytest

from mayfly.connectors.sources.spark import SparkSource
from mayfly.connectors.sources.spark_connect import SparkAccess
from mayfly.connectors.sources.spark_errors import Failure, ours
from mayfly.connectors.sources.spark_protocol import message
from mayfly.connectors.sources.spark_session import SparkSession
from mayfly.connectors.sources.spark_types import columns_of, plain, readable, unfit
from mayfly.domain.errors import ConfigError, ContractError, EngineError
from mayfly.planning.sql.spark import SparkDialect, quote
from mayfly.ports.source import ColumnInfo
from mayfly.testing.source_contract import MARK

SQL = SparkDialect()


def kind(name: str, **inside: Any) -> Any:
    """A DataType."""
    made = message("DataType")
    getattr(made, name).SetInParent()
    for key, value in inside.items():
        place = getattr(getattr(made, name), key)
        if isinstance(value, list):
            place.extend(value)
        elif hasattr(value, "SerializeToString"):
            place.CopyFrom(value)
        else:
            setattr(getattr(made, name), key, value)
    return made


def column(of: Any, name: str = "a`b") -> ColumnInfo:
    """One that a relation of one column has."""
    field = message("StructField", name=name, data_type=of)
    [found] = columns_of(kind("struct", fields=[field]))
    return found


def row(**fields: Any) -> Any:
    """A struct."""
    made = [message("StructField", name=n, data_type=t) for n, t in fields.items()]
    return kind("struct", fields=made)


@pytest.mark.parametrize(
    ("of", "sql_type", "arrow", "read"),
    [
        (kind("long"), "bigint", pa.int64(), "`a``b`"),
        (
            kind("decimal", precision=10, scale=2),
            "decimal(10,2)",
            pa.decimal128(10, 2),
            "`a``b`",
        ),
        (kind("string", collation="UTF8_BINARY"), "string", pa.string(), "`a``b`"),
        (
            kind("string", collation="UTF8_LCASE"),
            "string collate UTF8_LCASE",
            pa.string(),
            "collate(`a``b`, 'UTF8_BINARY')",
        ),
        (kind("timestamp_ntz"), "timestamp_ntz", pa.timestamp("us"), "`a``b`"),
        (kind("timestamp"), "timestamp", pa.timestamp("us", tz="UTC"), "`a``b`"),
        (kind("null"), "void", pa.string(), "CAST(NULL AS STRING)"),
        (
            kind("array", element_type=row(**{"c`d": kind("date")})),
            "array<struct<`c``d`:date>>",
            pa.list_(pa.field("element", pa.struct([("c`d", pa.date32())]))),
            "`a``b`",
        ),
    ],
)
def test_types_are_read_as_they_are(of: Any, sql_type: str, arrow: pa.DataType, read: str) -> None:
    """By the name that DDL has for them."""
    found = column(of)
    assert (found.sql_type, found.arrow_type, readable(found)) == (sql_type, arrow, read)
    assert unfit(found) is None


@pytest.mark.parametrize(
    "of",
    [
        *(kind(n) for n in ("calendar_interval", "year_month_interval", "day_time_interval")),
        *(kind(n) for n in ("variant", "geometry", "geography", "udt", "unparsed")),
        *(kind(n) for n in ("timestamp_ntz_nanos", "timestamp_ltz_nanos")),
        message("DataType"),
        kind("array", element_type=kind("variant")),
        kind("map", key_type=kind("string"), value_type=row(a=kind("day_time_interval"))),
    ],
)
def test_what_no_reader_knows_is_told_as_unfit(of: Any) -> None:
    """Wherever in a type it stands; and a kind that is not known here."""
    found = column(of)
    assert (found.arrow_type, readable(found)) == (pa.string(), "CAST(NULL AS STRING)")
    assert unfit(found) == "`a``b` IS NOT NULL"


def test_a_map_arrives_as_json_and_a_name_is_only_a_name() -> None:
    """A field that is called as a refused type is none."""
    found = column(kind("map", key_type=kind("string"), value_type=row(variant=kind("long"))))
    assert found.arrow_type == pa.string()
    assert readable(found).startswith("to_json(`a``b`, map(")
    assert unfit(found) is None


def test_results_are_freed_of_what_spark_notes() -> None:
    """A zone of another name, nanoseconds, columns without nulls; a text that is none fails."""
    schema = pa.schema(
        [
            pa.field("t", pa.timestamp("us", tz="Etc/UTC"), nullable=False),
            pa.field("c", pa.time64("ns")),
            pa.field("l", pa.list_(pa.field("element", pa.int32(), nullable=False))),
        ]
    )
    made = plain(pa.RecordBatch.from_arrays([pa.array([], f.type) for f in schema], schema=schema))
    assert made.schema == pa.schema(
        [
            ("t", pa.timestamp("us", tz="UTC")),
            ("c", pa.time64("us")),
            ("l", pa.list_(pa.field("element", pa.int32()))),
        ]
    )
    broken = pa.array([b"\xff"], pa.binary()).view(pa.string())
    with pytest.raises(pa.ArrowInvalid):
        plain(pa.record_batch({"s": broken}))
    fine = pa.record_batch({"c": pa.array([1], pa.time64("ns"))})
    with pytest.raises(pa.ArrowInvalid):
        plain(fine)


class _Client:
    """Notes what it is asked, and keeps every relation that it is told to."""

    def __init__(self) -> None:
        self.plans: list[Any] = []

    def run(self, plan: Any) -> Iterator[Any]:
        self.plans.append(plan)
        if plan.command.HasField("checkpoint_command"):
            kept = message("CachedRemoteRelation", relation_id=f"r{len(self.plans)}")
            result = message("CheckpointResult", relation=kept)
            yield message("ExecutePlanResponse", checkpoint_command_result=result)
            return
        batch = pa.record_batch({"a": pa.array([1], pa.int64())})
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, batch.schema) as writer:
            writer.write_batch(batch)
        sent = message("ArrowBatch", row_count=1, data=sink.getvalue().to_pybytes())
        yield message("ExecutePlanResponse", arrow_batch=sent)

    def schema(self, relation: Any) -> Any:
        del relation
        return row(k0=kind("long"), fp=kind("binary"))

    def close(self) -> None:
        return

    def asked(self) -> list[str]:
        """The SQL of what was run or kept."""
        found = []
        for plan in self.plans:
            kept = plan.command.checkpoint_command.relation.sql.query
            found.append(plan.root.sql.query or kept or plan.command.sql_command.sql)
        return [sql for sql in found if sql]


@pytest.fixture
def client() -> _Client:
    """For one session."""
    return _Client()


@pytest.fixture
def session(client: _Client) -> SparkSession:
    """Without a server."""
    return SparkSession(client)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM people",
        "DROP TABLE people",
        "DROP TABLE IF EXISTS `people`",
        "DROP VIEW people",
        "INSERT INTO people SELECT 1",
        "INSERT OVERWRITE people SELECT 1",
        "UPDATE people SET a = 1",
        "MERGE INTO people USING x ON TRUE WHEN MATCHED THEN DELETE",
        "CREATE TABLE x AS SELECT 1",
        "CREATE OR REPLACE TEMPORARY TABLE people AS SELECT 1",
        "CREATE TEMPORARY TABLE mf_x AS INSERT INTO people SELECT 1",
        "CREATE TEMPORARY TABLE mf_x AS WITH a AS (SELECT 1) INSERT INTO people SELECT * FROM a",
        "CREATE TEMPORARY VIEW x AS SELECT 1",
        "SET spark.sql.variable.substitute = true",
        "RESET",
        "ADD JAR 'x.jar'",
        "USE other",
        "CACHE TABLE people",
        "REFRESH TABLE people",
        "ANALYZE TABLE people COMPUTE STATISTICS",
        "FROM people INSERT INTO other SELECT *",
        "EXPLAIN SELECT 1",
        "EXECUTE IMMEDIATE 'DROP TABLE people'",
        "BEGIN DROP TABLE people; END",
        "/* SELECT */ DROP TABLE people",
        "",
    ],
)
def test_a_session_takes_no_other_statement(
    session: SparkSession, client: _Client, statement: str
) -> None:
    """Neither to do, nor to read; nothing reaches the server."""
    with pytest.raises(ConfigError, match="read_only_session"):
        session.execute(statement)
    for read in (session.table, session.describe, lambda sql: list(session.stream(sql))):
        with pytest.raises(ConfigError, match="query_syntax"):
            read(statement)
    assert client.plans == []


def test_what_begins_with_with_can_only_read(session: SparkSession, client: _Client) -> None:
    """In Spark it might go on to insert."""
    session.table("/* c */ WITH a AS (SELECT 1) SELECT * FROM a")
    session.table("/* c */ (SELECT 1)")
    assert client.asked() == [
        "/* c */ SELECT * FROM (WITH a AS (SELECT 1) SELECT * FROM a) AS mf_query",
        "/* c */ (SELECT 1)",
    ]


def test_temporary_tables_are_kept_and_go(session: SparkSession, client: _Client) -> None:
    """Rows that were worked out once; what takes their place lets them go."""
    session.execute("/* c */ CREATE TEMPORARY TABLE `mf_t` AS SELECT 1 AS k0")
    session.execute(SQL.update("`mf_t`", {"fp": "X'00'"}, "k0 = 1"))
    session.execute("INSERT INTO `mf_t` (k0) SELECT 2")
    session.execute(SQL.drop_table("`mf_t`"))
    made, changed, added, dropped = client.asked()
    assert made == "/* c */ SELECT 1 AS k0"
    assert changed == (
        "SELECT mf_t.* EXCEPT (fp), CASE WHEN (k0 = 1) THEN X'00' ELSE mf_t.fp END AS fp "
        "FROM `mf_t` AS mf_t"
    )
    assert added == (
        "SELECT CAST(mf_q.`k0` AS bigint) AS `k0`, CAST(NULL AS binary) AS `fp` "
        "FROM (SELECT 2) AS mf_q (`k0`)"
    )
    assert dropped == "DROP VIEW IF EXISTS `mf_t`"
    gone = [p.command.remove_cached_remote_relation_command.relation for p in client.plans]
    kept = [p for p in client.plans if p.command.HasField("checkpoint_command")]
    assert len([g for g in gone if g.relation_id]) == len(kept) == 3
    with pytest.raises(ConfigError, match="read_only_session"):
        session.execute("INSERT INTO `mf_t` SELECT 2, X'00'")


def test_a_name_that_is_taken_is_told(session: SparkSession) -> None:
    """Unless it is asked for where it is not there."""
    session.execute("CREATE TEMPORARY TABLE mf_t AS SELECT 1 AS a")
    session.execute("CREATE TEMPORARY TABLE IF NOT EXISTS `mf_t` (a BIGINT NOT NULL)")
    with pytest.raises(ContractError):
        session.execute("CREATE TEMPORARY TABLE `mf_t` AS SELECT 2 AS a")


@pytest.mark.parametrize(("rows", "pieces"), [(0, 1), (10, 1), (150_000, 2)])
def test_rows_are_loaded_in_messages_that_a_server_takes(
    session: SparkSession,
    client: _Client,
    rows: int,
    pieces: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """They stand in no statement; many of them do not stay in the driver's memory."""
    monkeypatch.setattr("mayfly.connectors.sources.spark_tables.LOADED_BYTES", 4_000_000)
    given = pa.table(
        {
            "n": pa.array(range(rows), pa.int64()),
            "d": pa.array([b"x" * 32] * rows, pa.binary()),
        }
    )
    session.load("mf_load", given)
    local = [p.command.checkpoint_command.relation.local_relation for p in client.plans]
    kept = [relation for relation in local if relation.data]
    assert len(kept) == (pieces if rows > 1000 else 0)
    assert all(len(relation.data) < 5_000_000 for relation in kept)
    [view] = [
        p.command.create_dataframe_view
        for p in client.plans
        if p.command.HasField("create_dataframe_view")
    ]
    assert view.name == "mf_load"
    if not kept:
        assert view.input.local_relation.schema == "`n` BIGINT, `d` BINARY"
    assert client.asked() == []


@pytest.mark.parametrize(
    ("known", "code"),
    [
        (Failure(status="INTERNAL", error_class="TABLE_OR_VIEW_NOT_FOUND"), "table_missing"),
        (Failure(status="INTERNAL", error_class="SCHEMA_NOT_FOUND"), "schema_missing"),
        (
            Failure(status="INTERNAL", error_class="UNRESOLVED_COLUMN.WITH_SUGGESTION"),
            "column_missing",
        ),
        (Failure(status="INTERNAL", error_class="AMBIGUOUS_REFERENCE"), "column_ambiguous"),
        (Failure(status="INTERNAL", error_class="UNRESOLVED_ROUTINE"), "function_missing"),
        (Failure(status="INTERNAL", error_class="PARSE_SYNTAX_ERROR"), "query_syntax"),
        (Failure(status="INTERNAL", error_class="CAST_INVALID_INPUT"), "value_conversion"),
        (Failure(status="INTERNAL", error_class="NEW", sql_state="22012"), "value_conversion"),
        (
            Failure(status="INTERNAL", error_class="DATATYPE_MISMATCH.BINARY_OP_DIFF_TYPES"),
            "query_invalid",
        ),
        (Failure(status="INTERNAL", error_class="NEW", sql_state="42K99"), "query_invalid"),
        (Failure(status="INTERNAL", error_class="INSUFFICIENT_PERMISSIONS"), "missing_grant"),
        (Failure(status="INTERNAL", sql_state="42501"), "missing_grant"),
        (Failure(status="INTERNAL", types=("AccessControlException",)), "missing_grant"),
        (
            Failure(status="INTERNAL", error_class="FAILED_READ_FILE.FILE_NOT_EXIST"),
            "source_changed",
        ),
        (
            Failure(status="INTERNAL", error_class="CHECKPOINT_RDD_BLOCK_ID_NOT_FOUND"),
            "source_changed",
        ),
        (Failure(status="INTERNAL", types=("OutOfMemoryError",)), "memory_limit"),
        (Failure(status="RESOURCE_EXHAUSTED"), "memory_limit"),
        (Failure(status="INTERNAL", marks=frozenset({"maxResultSize"})), "memory_limit"),
        (Failure(status="INTERNAL", marks=frozenset({"ExecutorLostFailure"})), "source_busy"),
        (Failure(status="CANCELLED"), "connection_lost"),
        (Failure(status="INTERNAL", marks=frozenset({"Permission denied"})), "missing_grant"),
        (Failure(status="INTERNAL", error_class="OPERATION_CANCELED"), "source_busy"),
        (
            Failure(status="INTERNAL", error_class="INVALID_HANDLE.SESSION_CLOSED"),
            "connection_lost",
        ),
        (Failure(status="UNAVAILABLE"), "connection_lost"),
        (Failure(status="UNAUTHENTICATED"), "source_refused"),
        (Failure(status="INTERNAL", types=("AnalysisException",)), "query_invalid"),
        (Failure(status="INTERNAL", types=("ParseException",)), "query_syntax"),
        (Failure(status="INTERNAL", error_class=f"x {MARK}"), "query_failed"),
    ],
)
def test_errors_have_their_codes(known: Failure, code: str) -> None:
    """By error class, state or exception; a class that is none is not told."""
    error = ours(known)
    assert isinstance(error, EngineError)
    assert error.code == code
    assert MARK not in str(error) + error.hint


def test_nothing_is_written_to_spark() -> None:
    """A session that writes is refused before it begins."""
    source = SparkSource("lake", SparkAccess(remote="sc://127.0.0.1:1"))
    with pytest.raises(ConfigError, match="read_only_source"), source.session(write=True):
        pass
    assert source.relation("s.t", "a`b") == "`spark_catalog`.`s.t`.`a``b`"


def test_texts_and_names_stay_what_they_are() -> None:
    """A backslash begins an escape, and two quotes are no quote."""
    assert SQL.literal("\\'; --") == "'\\\\\\'; --'"
    assert SQL.literal("a\nb") == "'a\\u000ab'"
    assert SQL.literal("\U000e0001") == "'\\U000e0001'"
    assert SQL.literal(7) == "7"
    assert quote("a`b") == "`a``b`"


def test_keys_of_texts_are_compared_by_their_bytes() -> None:
    """Whatever their collation; bytes go as hex."""
    assert "COLLATE UTF8_BINARY" in SQL.key("`a`", "string collate X", pa.string())
    assert SQL.key_type("string collate X") == "STRING"
    assert SQL.key_of_text(SQL.key_text("k0", "binary"), "binary") == "unhex(lower(hex(k0)))"
    assert SQL.key_of_text("t0", "string collate X") == "CAST(t0 AS STRING)"
    assert SQL.is_one_of("`ok`", [True]) == "(`ok` IN (TRUE))"
    assert "IN ('yes')" in SQL.is_one_of("`ok`", ["yes", 1])


def test_a_model_whose_columns_differ_by_case_is_refused(client: _Client) -> None:
    """Spark does not tell them apart."""
    twins = row(a=kind("long"), A=kind("long"))
    client.schema = lambda relation: twins  # type: ignore[method-assign]
    with pytest.raises(ConfigError, match="column_ambiguous"):
        SparkSession(client).describe("SELECT 1")  # type: ignore[arg-type]
