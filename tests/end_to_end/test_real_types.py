"""Every type a source has, to every kind of table: it arrives as it was, or is refused by name."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from end_to_end.odd_projects import SOURCES, TABLES, Odd, refused, run


@pytest.fixture
def dsn(postgres_database: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty PostgreSQL database, which the project's files name."""
    monkeypatch.setenv("ODD_DSN", postgres_database)
    return postgres_database


def _at(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text)


# Column: type, a value, another one that differs least, and both as a client of a table gives them.
Typed = dict[str, tuple[str, str, str, Any, Any]]
BOTH: Typed = {
    "yes": ("boolean", "TRUE", "FALSE", True, False),
    "small": ("smallint", "-32768", "32767", -32768, 32767),
    "large": ("bigint", "9223372036854775807", "-9223372036854775808", 2**63 - 1, -(2**63)),
    "exact": (
        "decimal(38, 10)",
        "1234567890123456789012345678.0123456789",
        "-0.0000000001",
        Decimal("1234567890123456789012345678.0123456789"),
        Decimal("-0.0000000001"),
    ),
    "zero": ("float8", "CAST('-0.0' AS float8)", "CAST('5e-324' AS float8)", -0.0, 5e-324),
    "endless": ("float8", "'-Infinity'", "'Infinity'", float("-inf"), float("inf")),
    "tenth": ("float8", "0.1", "0.10000000000000002", 0.1, 0.10000000000000002),
    "single": ("real", "0.1", "0.25", pytest.approx(0.1, rel=1e-7), 0.25),
    "written": ("text", "''", "' '", "", " "),
    "day": ("date", "'1969-12-31'", "'9999-12-31'", dt.date(1969, 12, 31), dt.date(9999, 12, 31)),
    "clock": (
        "time",
        "'23:59:59.999998'",
        "'23:59:59.999999'",
        dt.time(23, 59, 59, 999998),
        dt.time(23, 59, 59, 999999),
    ),
    "skipped": (  # an hour that Paris does not have
        "timestamp",
        "'2026-03-29 02:30:00.123456'",
        "'2026-03-29 02:30:00.123457'",
        _at("2026-03-29 02:30:00.123456"),
        _at("2026-03-29 02:30:00.123457"),
    ),
    "last": (
        "timestamp",
        "'9999-12-31 23:59:59.999999'",
        "'0001-01-01 00:00:00'",
        _at("9999-12-31 23:59:59.999999"),
        _at("0001-01-01 00:00:00"),
    ),
    "twice": (  # an hour that Paris has twice
        "timestamptz",
        "'2026-10-25 02:30:00+02'",
        "'2026-10-25 02:30:00+01'",
        _at("2026-10-25 00:30:00+00:00"),
        _at("2026-10-25 01:30:00+00:00"),
    ),
    "unique": (
        "uuid",
        "'00000000-0000-0000-0000-0000000000ff'",
        "'00000000-0000-0000-0000-0000000000fe'",
        "00000000-0000-0000-0000-0000000000ff",
        "00000000-0000-0000-0000-0000000000fe",
    ),
    "mood": ("mood", "'sad'", "'ok'", "sad", "ok"),
    "document": ("json", '\'{"b": 1,  "a": 1.10}\'', "'{}'", '{"b": 1,  "a": 1.10}', "{}"),
}
ONLY: dict[str, Typed] = {
    "postgres": {
        "free": ("numeric", "1.10", "1.1", "1.10", "1.1"),
        "no_number": ("numeric", "'NaN'", "'-Infinity'", "NaN", "-Infinity"),
        "raw": ("bytea", "'\\x00ff0a5c'", "''", b"\x00\xff\n\\", b""),
        "binary": ("jsonb", "'{\"n\": 1.10}'", "'{\"n\": 1.1}'", '{"n": 1.10}', '{"n": 1.1}'),
        "numbers": ("int[]", "'{1,NULL,3}'", "'{}'", "[1,null,3]", "[]"),
        "texts": (
            "text[]",
            "ARRAY['NULL', 'a,b']",
            "ARRAY[NULL, 'a,b']",
            '["NULL","a,b"]',
            '[null,"a,b"]',
        ),
        "floats": ("float8[]", "'{NaN,-0.0}'", "'{NaN,0.0}'", '["NaN",-0]', '["NaN",0]'),
        "span": ("interval", "'1 mon 02:03:04.5'", "'31 days'", "1 mon 02:03:04.5", "31 days"),
        "zoned": ("timetz", "'10:00+05:30'", "'10:00+05:31'", "10:00:00+05:30", "10:00:00+05:31"),
        "row": ("pair", "ROW(1, 'a,b')", "ROW(1, NULL)", '(1,"a,b")', "(1,)"),
        "net": ("inet", "'10.0.0.1'", "'10.0.0.1/8'", "10.0.0.1", "10.0.0.1/8"),
        "bits": ("bit(4)", "'0101'", "'0100'", "0101", "0100"),
        "period": ("int4range", "'[1,5)'", "'[1,6)'", "[1,5)", "[1,6)"),
    },
    "duckdb": {
        "unsigned": ("uinteger", "4294967295", "0", 2**32 - 1, 0),
        "huge": ("hugeint", "9" * 38, "1", Decimal("9" * 38), Decimal(1)),
        "vast": ("uhugeint", str(2**128 - 1), "0", str(2**128 - 1), "0"),
        "any_size": ("bignum", "'" + "9" * 60 + "'", "'1'", "9" * 60, "1"),
        "raw": ("blob", "'\\x00\\xFF\\x0A'::blob", "''::blob", b"\x00\xff\n", b""),
        "seconds": (
            "timestamp_s",
            "'2026-03-29 02:30:00'",
            "'1901-01-01'",
            _at("2026-03-29 02:30:00"),
            _at("1901-01-01 00:00:00"),
        ),
        "fine": (
            "timestamp_ns",
            "'2026-03-29 02:30:00.123456'",
            "'2026-03-29 02:30:00.123457'",
            _at("2026-03-29 02:30:00.123456"),
            _at("2026-03-29 02:30:00.123457"),
        ),
        "span": ("interval", "'1 month 02:03:04.5'", "'31 days'", "1 month 02:03:04.5", "31 days"),
        "zoned": (
            "timetz",
            "'10:00:00+05:30'",
            "'10:00:00+05:31'",
            "10:00:00+05:30",
            "10:00:00+05:31",
        ),
        "bits": ("bit", "'0101'", "'0100'", "0101", "0100"),
        "numbers": ("int[]", "[1, NULL, 3]", "[]", [1, None, 3], []),
        "nested": (
            "struct(a decimal(20, 2), b blob, c timestamptz)",
            "{'a': 1.10, 'b': '\\x00'::blob, 'c': '2026-03-29 02:30:00.5+00'}",
            "{'a': 1.10, 'b': '\\x01'::blob, 'c': '2026-03-29 02:30:00.5+00'}",
            {"a": 1.1, "b": "\\x00", "c": "2026-03-29 02:30:00.5+00"},
            {"a": 1.1, "b": "\\x01", "c": "2026-03-29 02:30:00.5+00"},
        ),
        "deep": (
            "struct(h hugeint, i interval)[]",
            "[{'h': 170141183460469231731687303715884105727, 'i': INTERVAL 1 MONTH}]",
            "[{'h': 1, 'i': INTERVAL 1 MONTH}]",
            '[{"h":170141183460469231731687303715884105727,"i":"1 month"}]',
            '[{"h":1,"i":"1 month"}]',
        ),
        "pairs": (
            "map(varchar, varchar)",
            "MAP {'a': '1=b'}",
            "MAP {'a': NULL}",
            '{"a":"1=b"}',
            '{"a":null}',
        ),
        "either": (
            "union(n int, s varchar)",
            "union_value(n := 1)",
            "union_value(s := '1')",
            '{"n":1}',
            '{"s":"1"}',
        ),
    },
}


def _held(value: Any, to: str) -> Any:
    """A value as the destination's own client gives it."""
    if isinstance(value, list | dict):
        return value if to == "postgres" else json.dumps(value, separators=(",", ":"))
    if to != "sqlite":
        return value
    match value:
        case bool():
            return int(value)
        case Decimal():
            return format(value, "f")
        case dt.date() | dt.time():
            return value.isoformat()
    return value


def _same(found: Any, wanted: Any) -> bool:
    if isinstance(found, str) and isinstance(wanted, str) and found != wanted:
        # Digits after the point are what is written, not what is meant.
        return wanted[:1] in "[{" and json.loads(found) == json.loads(wanted)
    signs = str(found) == str(wanted) or found != 0.0
    return bool(found == wanted) and signs


DUCKDB_BY_DEFAULT = [
    "duckdb",
    *(pytest.param(s, marks=pytest.mark.slow) for s in SOURCES if s != "duckdb"),
]
# By default each source and each kind of table once or more; the slow ones complete the pairs.
BY_DEFAULT = {("duckdb", "sqlite"), ("postgres", "duckdb"), ("postgres", "postgres")}


@pytest.mark.parametrize(
    ("source", "to"),
    [
        pytest.param(s, t, marks=[] if (s, t) in BY_DEFAULT else [pytest.mark.slow])
        for s in SOURCES
        for t in TABLES
    ],
)
def test_every_type_arrives_as_it_was(source: str, to: str, tmp_path: Path, dsn: str) -> None:
    """Read back by the destination's own client, whatever time zone the source's database is in;
    unchanged rows are not sent again, and the least change of any column is.
    """
    odd = Odd(root=tmp_path, source=source, dsn=dsn)
    if source == "postgres":
        odd.make(
            f"ALTER DATABASE \"{dsn.split('/')[3].split('?')[0]}\" SET timezone = 'Asia/Kolkata'"
        )
        odd.make("CREATE TYPE pair AS (a int, b text)")
    types = {**BOTH, **ONLY[source]}
    columns = ", ".join(f'"{n}" {kind}' for n, (kind, *_) in types.items())
    values = ", ".join(one for _, one, *_ in types.values())
    rows = len(types) + 1
    odd.make(
        "CREATE TYPE mood AS ENUM ('sad', 'ok')",
        f"CREATE TABLE rows (id int, {columns})",
        *(f"INSERT INTO rows VALUES ({i}, {values})" for i in range(rows)),
        f"INSERT INTO rows (id) VALUES ({rows})",
    )
    project = odd.write({n: n for n in ("id", *types)}, key=["id"], to=to)
    done = run(project)
    assert (done["status"], done["rows"]["delivered"]) == ("succeeded", rows + 1), done
    names = ", ".join(f'"{n}"' for n in types)
    query = f"SELECT {names} FROM {{t}} ORDER BY id"
    first = {n: _held(one, to) for n, (_, _, _, one, _) in types.items()}
    second = {n: _held(other, to) for n, (_, _, _, _, other) in types.items()}
    *held, empty = odd.ask(to, query)
    assert set(empty) == {None}
    if to == "sqlite":
        first["zero"] = 0.0  # it has one zero
    for row in held:
        differ = {n: v for n, v in zip(types, row, strict=True) if not _same(v, first[n])}
        assert not differ
    assert run(project)["status"] == "no_changes"
    odd.make(
        *(
            f'UPDATE rows SET "{n}" = {other} WHERE id = {i}'
            for i, (n, (_, _, other, *_)) in enumerate(types.items())
        )
    )
    assert run(project)["rows"]["delivered"] == len(types)
    for i, row in enumerate(odd.ask(to, query)[: len(types)]):
        wanted = {**first, list(types)[i]: second[list(types)[i]]}
        differ = {n: v for n, v in zip(types, row, strict=True) if not _same(v, wanted[n])}
        assert not differ, i


UNFIT = {
    "postgres": {
        "a": ("timestamptz", "'infinity'"),
        "b": ("date", "'-infinity'"),
        "c": ("numeric(5,1)", "'NaN'"),
    },
    "duckdb": {
        "a": ("TIMESTAMP WITH TIME ZONE", "'infinity'"),
        "b": ("DATE", "'-infinity'"),
        "c": ("TIMESTAMP_NS", "'2026-03-29 02:30:00.123456789'"),
        "d": ("TIME_NS", "'10:00:00.000000001'"),
        "e": ("HUGEINT", "170141183460469231731687303715884105727"),
    },
}


@pytest.mark.parametrize("source", DUCKDB_BY_DEFAULT)
def test_values_that_cannot_leave_as_they_are_stop_the_plan(
    source: str, tmp_path: Path, dsn: str
) -> None:
    """Counted by column and type, before anything is sent; `plan` says so, too. As text they go."""
    odd = Odd(root=tmp_path, source=source, dsn=dsn)
    types = UNFIT[source]
    odd.make(
        f"CREATE TABLE rows (id int, {', '.join(f'{n} {kind}' for n, (kind, _) in types.items())})",
        "INSERT INTO rows (id) VALUES (0)",
        *(f"INSERT INTO rows (id, {n}) VALUES (1, {v})" for n, (_, v) in types.items()),
        "CREATE TABLE more AS SELECT row_number() OVER () AS id, "
        + ", ".join(types)
        + " FROM rows",
    )
    names = {n: n for n in ("id", *types)}
    project = odd.write(names, key=["id"], to="duckdb", sql="SELECT * FROM more")
    error = refused(project)
    assert error["code"] == "value_unfit"
    for name, (kind, _) in types.items():
        assert f"1 rows in column {name} ({kind})" in error["message"]
    assert "cast the column to text" in error["hint"]
    [plan] = project.plan("out").to_dict()["syncs"]
    assert [r["code"] for r in plan["refusals"]] == ["value_unfit"]
    cast = ", ".join(f"CAST({n} AS varchar) AS {n}" for n in types)
    project = odd.write(names, key=["id"], to="duckdb", sql=f"SELECT id, {cast} FROM more")
    assert run(project)["rows"]["delivered"] == len(types) + 1
    with duckdb.connect(str(odd.root / "crm.duckdb")) as crm:
        found = crm.execute(f"SELECT {', '.join(types)} FROM rows").fetchall()
    assert {v for row in found for v in row} >= {"infinity", "-infinity"}
    assert run(project)["status"] == "no_changes"


@pytest.mark.parametrize("source", DUCKDB_BY_DEFAULT)
def test_rows_that_a_table_cannot_hold_are_refused_alone(
    source: str, tmp_path: Path, dsn: str
) -> None:
    """SQLite has no NaN, and neither Python nor COPY a year 12000: those rows have a reason, the
    others arrive, and the next run tries nothing again.
    """
    odd = Odd(root=tmp_path, source=source, dsn=dsn)
    odd.make(
        "CREATE TABLE rows (id int, f float8, t timestamp, c time)",
        "INSERT INTO rows VALUES (1, 'NaN', NULL, NULL), (2, 0, '12000-01-01', NULL), "
        "(3, 0, NULL, '24:00:00'), (4, 0, '2026-01-01', '10:00')",
    )
    for to, reasons in {
        "sqlite": {"not_a_number": 1, "time_out_of_range": 2},
        "postgres": {"time_out_of_range": 2},
        "duckdb": {},
    }.items():
        project = odd.write({n: n for n in ("id", "f", "t", "c")}, key=["id"], to=to)
        done = run(project)["rows"]
        assert done["rejected"] == sum(reasons.values())
        assert done["delivered"] == 4 - done["rejected"]
        found = project.rejected("out")["reasons"]
        assert {r["reason"]: r["rows"] for r in found} == reasons
        assert run(project)["rows"]["planned"] == 0
