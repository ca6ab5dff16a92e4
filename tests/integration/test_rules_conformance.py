"""One rule on each engine: DuckDB, PostgreSQL, SQLite, ClickHouse, MariaDB and Spark give Python's
digest, or SQL stands aside and says so.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import duckdb
import psycopg
import pyarrow as pa
import pytest

from bigquery_emulator import PROJECT, Emulator
from clickhouse import clickhouse_process
from engine_process import EngineProcess
from mariadb import MariaDB, mariadb_server
from mayfly.connectors.sources.bigquery import BigquerySource
from mayfly.connectors.sources.bigquery_session import BigquerySession
from mayfly.connectors.sources.sqlite import SqliteSource
from mayfly.planning.probe import planner_probe
from mayfly.planning.shared import Shared
from mayfly.planning.sql.databricks import DatabricksDialect
from mayfly.planning.sql.duckdb import DuckdbDialect
from mayfly.planning.sql.postgres import PostgresDialect
from mayfly.planning.sql.sqlite import SqliteDialect
from mayfly.privacy.rules import (
    RULES,
    Rule,
    SqlDialectName,
    canonical_rule,
    python_digest,
    sql_digest,
    worker_canonical,
)
from mayfly.privacy.rules.expression import MORE_LETTERS, NAME_LETTERS, NAME_MARKS
from mayfly.privacy.rules.probe import STRINGS
from spark import spark_process
from translated import MACROS, translation

FIELDS = [
    "email",
    "phone",
    "first_name",
    "last_name",
    "first_initial",
    "city",
    "state",
    "zip",
    "country",
    "gender",
    "dob_year",
    "dob_month",
    "dob_day",
]
ALL = {**RULES, ("canonical", "email"): canonical_rule("email")}
"""What SQL makes: every platform's rules, and the form that suppression compares e-mails by."""
NAMED = {**{field: RULES["meta", field] for field in FIELDS}, "mailbox": ALL["canonical", "email"]}
AWKWARD = [
    "",
    " ",
    "\t",
    "\n",
    "\u00a0",
    "\u200b",
    "\u2003",
    "ΑΣ",
    "ας",
    "ΣΑΣ",
    "İ",
    "ı",
    "I",
    "i",
    "ſ",
    "K",
    "ß",
    "ẞ",
    "ǅ",
    "ŉ",
    "e\u0301",
    "é",
    "É",
    "Ａ",
    "😊",
    "a\u200db",
    "Åsa",
    "A\u030asa",
    "李明",
    "عمر",
    "हिन्दी",
    "Владимир",
    "O'Connor",
    "Mary, Jane",
    "Jean-Luc",
    "x" * 300,
    "é" * 6_000,  # more bytes than a name may have characters
    *("1899", "1900", "2026", "2027", "2099-12-31", "1990-12-31"),
    "a@example.com",
    " A@Example.COM\t",
    "a@b",
    "a@@b.com",
    "@example.com",
    "a b@example.com",
    "a@example..com",
    "a@.example",
    "a+b.c@gmail.com",
    " A.d.a+News+2@GMail.Com\t",
    "a.d.a@googlemail.com",
    "ada@gmail.com.example",
    "ada@mail.gmail.com",
    "..+x@gmail.com",
    "+x@gmail.com",
    "a@b@gmail.com",
    "a d.a@gmail.com",
    "a.da@gmaıl.com",
    "é.a@gmail.com",
    "\u00a0a.da@gmail.com",
    "a\nb@example.com",
    "ä@example.com",
    "+44 20 7946 0958",
    "020 7946 0958",
    "+44 (0)20 7946 0958",
    "+1 (555) 010-0199",
    "1(650)123-4567",
    "+33639981234",
    "06 39 98 12 34",
    "+999123",
    "++3363998",
    "+33 6 39 98",
    "0033639981234",
    "+4915112345678",
    "+39 06 1234567",
    "+7 912 345 67 89",
    "12345",
    "n/a",
    "+33 0639981234",
    "tel:+33639981234",
    "+33639981234 ext 5",
    "a" * 64,
    "E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855",
    " ABCDEF0123456789abcdef0123456789ABCDEF0123456789abcdef0123456789 ",
    "g" * 64,
    "0" * 63,
    "37221-3312",
    " 00-950",
    "SW1A 1AA",
    "01310-100",
    "1",
    "01",
    "32",
    "13",
    "1990-12-31",
    "1899",
    "2101",
    "fr",
    "FR ",
    "xx",
    "United States",
    "Deutschland",
    "California.",
    "new york",
    "Female",
    "m",
    "diverse",
    "12/31/1990",
    "-1",
    "9999",
    "'; drop table x; --",
    "\\",
    "[a-z]",
    "d41d8cd98f00b204e9800998ecf8427e",
    "da39a3ee5e6b4b0d3255bfef95601890afd80709",
    "a" * 56,
    "b" * 96,
    "c" * 128,
    "CBaM2A39U0qw8QrxDxMD/gCvLUOrXBQyNg0Tf4GX4Xo=",
    "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
    "a@example.com\u00a0",
    "\ufeffa@example.com",
    "a\u00a0b@example.com",
    "a@ex\u0130ample.com",
    "a@\u212aample.com",
    "+33\n639981234",
    "+33\t6 39 98 12 34",
    "06\n39 98 12 34",
    "+33 6-39.98/12(34)",
    "+ 33 639981234",
    "+44(0 )7700900123",
    "+44 07700 900123",
    "+331234567",
    "SW1A\u00a01AA",
    "12345 - 6789",
    "1234-56789",
    "n/a ",
    *("+33 6\u202839981234", "+33\u0085639981234", "123\u202845", "Chlo\u2028é", "a@example.com\n"),
]


NAMES = [
    *("Łukasz", "ŽOFIE", "Ștefan", "Őry", "Ğülşen", "NGUYỄN", "Trương Vĩnh", "Ævar", "Œuvrard"),
    *("ГАЛИНА", "Ґео", "Їжак", "Ђорђе", "ЭЛЬВИРА", "ΧΡΉΣΤΟΣ", "Χρήστος", "ΜΑΡΊΑ", "Ὀδυσσεύς"),
    *("Ĳsbrand", "Ÿ", "Ə", "ẞ", "ŉ", "ĲĲ", "Ǆ", "Κώστας", "ΣΊΣΥΦΟΣ", "Ё", "И\u0306", "і\u0308"),
]


def corpus() -> list[str]:
    """Awkward values, strings made of their pieces, names, and words of the repertoire."""
    chance = random.Random(7)
    pieces = [p for p in AWKWARD if p]
    mixed = ["".join(chance.choice(pieces)[:6] for _ in range(3)) for _ in range(300)]
    letters = NAME_LETTERS + MORE_LETTERS + NAME_MARKS
    words = ["".join(chance.choices(letters, k=chance.randint(1, 12))) for _ in range(300)]
    return [*AWKWARD, *mixed, *words, *NAMES]


@pytest.fixture
def postgres(postgres_server_dsn: str) -> Iterator[psycopg.Connection]:
    """A connection to a real PostgreSQL."""
    with psycopg.connect(postgres_server_dsn, autocommit=True) as connection:
        yield connection


def query(
    rule: Rule,
    dialect: SqlDialectName,
    country: str | None,
    *,
    shared: bool = False,
) -> str:
    """One SELECT over table `t`: expressions as they stand, or, as the planner has it, with what
    they share worked out first.
    """
    made = sql_digest(rule, dialect, "v", default_country=country)
    fences = {"postgres": PostgresDialect.fence, "sqlite": SqliteDialect.fence}
    fence = fences.get(dialect, DuckdbDialect.fence)
    parts = Shared(fence, needed="TRUE")
    if shared:
        parts.add_parts([made.shared])
        parts.add_layer([made.digest, made.canonical])
    digest, inside, canonical = (
        parts.named(sql) for sql in (made.digest, made.in_repertoire, made.canonical)
    )
    return (
        f"SELECT {digest} AS d, {inside} AS i, {canonical} AS c "
        f"FROM ({parts.over('SELECT n, v FROM t')}) AS w ORDER BY n"
    )


def numbered(values: Sequence[str | None]) -> pa.Table:
    """Values with their place."""
    return pa.table({"n": range(len(values)), "v": pa.array(values, pa.string())})


def check(
    rule: Rule,
    country: str | None,
    values: Sequence[str | None],
    rows: Sequence[tuple[bytes | None, bool | None, bytes | None]],
) -> int:
    """Where SQL says it is final, it equals Python; how many it took."""
    oracle = python_digest(rule, pa.array(values, pa.string()), default_country=country)
    canonical = None
    if rule.field in ("email", "phone"):
        column = pa.array(values, pa.string())
        kind: Literal["email", "phone"] = "email" if rule.field == "email" else "phone"
        form = canonical_rule(kind, rule.version)
        canonical = worker_canonical(form, column, default_country=country).to_pylist()
    taken = 0
    for n, (value, want, (got, inside, found)) in enumerate(
        zip(values, oracle.to_pylist(), rows, strict=True)
    ):
        assert inside in (True, False), (rule.field, value)
        if inside:
            taken += value is not None
            assert (bytes(got) if got is not None else None) == want, (rule.field, value)
            if canonical is not None:
                got_canonical = bytes(found) if found is not None else None
                assert got_canonical == canonical[n], (rule.field, value)
        else:
            assert (got, found) == (None, None), (rule.field, value)
    return taken


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("country", [None, "FR", "GB", "US"])
@pytest.mark.parametrize("field", NAMED)
def test_duckdb_equals_python(field: str, country: str | None, *, shared: bool) -> None:
    """On every awkward value DuckDB's digest is Python's, or DuckDB leaves it to the worker."""
    rule, values = NAMED[field], [None, *corpus()]
    with duckdb.connect() as con:
        con.register("t", numbered(values))
        rows = con.execute(query(rule, "duckdb", country, shared=shared)).fetchall()
    assert check(rule, country, values, rows) > 5


def test_names_of_latin_greek_and_cyrillic_stay_in_the_warehouse() -> None:
    """Nothing of them is read to be hashed, but for letters whose case depends on more."""
    inside = ["Łukasz", "Ștefan", "NGUYỄN", "Trương", "Галина", "Ґео", "Їжак", "Χρήστος", "Ÿ"]
    outside = ["ΧΡΉΣΤΟΣ", "İpek", "Işıl", "ẞ", "李明", "عمر", "हिन्दी", "ひかり"]
    with duckdb.connect() as con:
        con.register("t", numbered([*inside, *outside]))
        for field in ("first_name", "last_name", "city"):
            rows = con.execute(query(NAMED[field], "duckdb", None)).fetchall()
            assert [final for _, final, _ in rows] == [True] * len(inside) + [False] * len(outside)


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("country", [None, "FR"])
@pytest.mark.parametrize("field", NAMED)
def test_postgres_equals_python(
    postgres: psycopg.Connection, field: str, country: str | None, *, shared: bool
) -> None:
    """On every awkward value PostgreSQL's digest is Python's, or it leaves it to the worker."""
    rule, values = NAMED[field], [None, *corpus()]
    with postgres.cursor() as cursor:
        cursor.execute("CREATE TEMP TABLE t (n int, v text)")
        cursor.executemany("INSERT INTO t VALUES (%s, %s)", list(enumerate(values)))
        sql = query(rule, "postgres", country, shared=shared)
        rows = cursor.execute(sql.encode()).fetchall()
        cursor.execute("DROP TABLE t")
    assert check(rule, country, values, rows) > 5


@pytest.fixture(scope="module")
def clickhouse() -> Iterator[EngineProcess]:
    """A real ClickHouse, with every awkward value in table `t`."""
    with clickhouse_process([None, *corpus(), *STRINGS]) as made:
        yield made


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("country", [None, "FR"])
@pytest.mark.parametrize("key", sorted(k for k in ALL if not ALL[k].prehashed_only))
def test_clickhouse_equals_python(
    clickhouse: EngineProcess, key: tuple[str, str], country: str | None, *, shared: bool
) -> None:
    """Of every platform's rule: the same digest, or the value is left to the worker."""
    sql = query(ALL[key], "clickhouse", country, shared=shared)
    found = clickhouse.query(f"SELECT hex(d) AS d, i, hex(c) AS c FROM ({sql}) AS x")
    rows = [
        (_unhexed(row["d"]), None if row["i"] is None else bool(row["i"]), _unhexed(row["c"]))
        for row in found
    ]
    equal_python(key, country, rows)


COLLATIONS = ("utf8mb4_general_ci", "utf8mb4_turkish_ci")


@pytest.fixture(scope="module")
def mariadb() -> Iterator[MariaDB]:
    """A real MariaDB, with every awkward value under two collations."""
    with mariadb_server() as made:
        for collation in COLLATIONS:
            made.table(collation, collation, [None, *corpus(), *STRINGS])
        yield made


@pytest.mark.parametrize("collation", COLLATIONS)
@pytest.mark.parametrize("country", [None, "FR"])
@pytest.mark.parametrize("key", sorted(k for k in ALL if not ALL[k].prehashed_only))
def test_mariadb_equals_python(
    mariadb: MariaDB, key: tuple[str, str], country: str | None, collation: str
) -> None:
    """In a Turkish database, too; where a blank at an end is none, and `||` is OR."""
    column = "(v COLLATE utf8mb4_nopad_bin)"
    made = sql_digest(ALL[key], "mariadb", column, default_country=country)
    found = mariadb.query(
        f"SELECT hex({made.digest}), {made.in_repertoire}, hex({made.canonical}) FROM t ORDER BY n",
        collation,
    )
    equal_python(key, country, [(_unhexed(d), i == "1", _unhexed(c)) for d, i, c in found])


@pytest.fixture(scope="module")
def bigquery(bigquery_emulator: Emulator) -> Iterator[BigquerySession]:
    """The emulator of BigQuery, with every awkward value: its text functions are another
    engine's, but what it is given is read as BigQuery's SQL.
    """
    dataset = bigquery_emulator.dataset()
    values = [None, *corpus(), *STRINGS]
    source = BigquerySource(
        "shop", project=PROJECT, dataset=dataset, endpoint=bigquery_emulator.endpoint
    )
    with source.session(write=False) as session:
        session.load("mf_texts", pa.table({"n": range(len(values)), "v": values}))
        yield session
    bigquery_emulator.drop(dataset)


@pytest.mark.slow
@pytest.mark.soak
@pytest.mark.parametrize("key", sorted(k for k in ALL if not ALL[k].prehashed_only))
def test_bigquery_reads_and_computes_each_rule(
    bigquery: BigquerySession, key: tuple[str, str]
) -> None:
    """Whether BigQuery's own functions do, too, the probe asks on connecting."""
    made = sql_digest(ALL[key], "bigquery", "v", default_country="FR")
    found = bigquery.table(
        f"SELECT {made.digest} AS d, {made.in_repertoire} AS i, {made.canonical} AS c "
        "FROM mf_texts ORDER BY n"
    )
    equal_python(key, "FR", [(r["d"], r["i"] is True, r["c"]) for r in found.to_pylist()])


@pytest.fixture(scope="module", params=["en", "tr"])
def spark(request: pytest.FixtureRequest) -> Iterator[EngineProcess]:
    """A real Spark, under an English and a Turkish JVM."""
    with spark_process(request.param, [None, *corpus(), *STRINGS]) as made:
        yield made


@pytest.mark.each
@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("country", [None, "FR"])
@pytest.mark.parametrize("platform", sorted({platform for platform, _ in ALL}))
def test_spark_equals_python(spark: EngineProcess, platform: str, country: str | None) -> None:
    """All rules of a platform in one statement, which Spark takes some time to compile."""
    keys = sorted(k for k in ALL if k[0] == platform and not ALL[k].prehashed_only)
    columns = []
    for n, key in enumerate(keys):
        made = sql_digest(ALL[key], "spark", "v", default_country=country)
        columns.append(
            f"hex({made.digest}) AS d{n}, {made.in_repertoire} AS i{n}, "
            f"hex({made.canonical}) AS c{n}"
        )
    found = spark.query(f"SELECT {', '.join(columns)} FROM t ORDER BY n")
    for n, key in enumerate(keys):
        rows = [(_unhexed(r[f"d{n}"]), r[f"i{n}"], _unhexed(r[f"c{n}"])) for r in found]
        equal_python(key, country, rows)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_spark_computes_what_a_plan_on_databricks_rests_on(spark: EngineProcess) -> None:
    """Under either language; of Databricks' own engine it says nothing."""
    asked, wanted = planner_probe(DatabricksDialect())
    spark.query("SET TIME ZONE 'UTC'")
    assert spark.query(asked) == [wanted]


@pytest.mark.parametrize("key", [("meta", f) for f in ("email", "phone", "first_name", "country")])
def test_what_is_written_for_redshift_equals_python_in_a_duckdb(key: tuple[str, str]) -> None:
    """Sets, tables and patterns are those of the rule; what Redshift makes of them nobody asked."""
    sql = translation(query(ALL[key], "redshift", "FR"), "redshift")
    with duckdb.connect() as con:
        for macro in MACROS:
            con.execute(f"CREATE TEMPORARY MACRO {macro}")
        con.register("t", numbered([None, *corpus(), *STRINGS]))
        equal_python(key, "FR", con.execute(sql).fetchall())


def equal_python(
    key: tuple[str, str],
    country: str | None,
    rows: Sequence[tuple[bytes | None, bool | None, bytes | None]],
) -> None:
    """An engine's answers for every awkward value and all that the probe asks for."""
    values = [None, *corpus(), *STRINGS]
    if key[0] == "meta":
        # A device's id has its shape from the gate: no rule of SQL's takes it.
        assert check(ALL[key], country, values, rows) > (5 if key[1] in FIELDS else 0)
        return
    oracle = python_digest(ALL[key], pa.array(values, pa.string()), default_country=country)
    for value, want, (got, inside, _) in zip(values, oracle.to_pylist(), rows, strict=True):
        assert got == (want if inside else None), (key, value)


@pytest.mark.parametrize(("country", "shared"), [(None, False), ("FR", True)])
@pytest.mark.parametrize("key", sorted(k for k in ALL if not ALL[k].prehashed_only))
def test_sqlite_equals_python(
    key: tuple[str, str], country: str | None, *, shared: bool, tmp_path: Path
) -> None:
    """With the functions that its sessions lend it SQLite gives Python's digest or none."""
    file = tmp_path / "t.sqlite"
    file.touch()
    values = [None, *corpus(), *STRINGS]
    with SqliteSource("shop", file).session(write=False) as session:
        session.load("t", numbered(values))
        found = session.table(query(ALL[key], "sqlite", country, shared=shared)).to_pylist()
    rows = [(r["d"], {0: False, 1: True}.get(r["i"]), r["c"]) for r in found]
    equal_python(key, country, rows)


def _unhexed(text: str | None) -> bytes | None:
    return None if text in (None, "NULL") else bytes.fromhex(str(text))


@pytest.mark.parametrize("dialect", ["duckdb", "postgres"])
@pytest.mark.parametrize("key", sorted(k for k in RULES if k[0] != "meta"))
def test_every_platform_equals_python(
    key: tuple[str, str],
    dialect: Literal["duckdb", "postgres"],
    request: pytest.FixtureRequest,
) -> None:
    """Each rule's SQL runs, gives nothing for nothing, and Python's digest or none."""
    rule, values = ALL[key], [None, *corpus()]
    oracle = python_digest(rule, pa.array(values, pa.string()), default_country="FR").to_pylist()
    sql = query(rule, dialect, "FR", shared=True)
    if dialect == "duckdb":
        with duckdb.connect() as con:
            con.register("t", numbered(values))
            rows = con.execute(sql).fetchall()
    else:
        with request.getfixturevalue("postgres").cursor() as cursor:
            cursor.execute("CREATE TEMP TABLE t (n int, v text)")
            cursor.executemany("INSERT INTO t VALUES (%s, %s)", list(enumerate(values)))
            rows = cursor.execute(sql.encode()).fetchall()
    assert rows[0] == (None, True, None)
    for value, want, (got, inside, _) in zip(values, oracle, rows, strict=True):
        made = None if got is None else bytes(got)
        assert made == (want if inside else None), (key, value)


def test_digests_side_by_side_are_told_apart(postgres: psycopg.Connection) -> None:
    """The fingerprint of outgoing digests is one on both engines, and sees order and nulls."""
    one, two = b"\x01" * 32, b"\x02" * 32
    rows = [(one, two), (two, one), (one, None), (None, one), (None, None)]
    made: list[list[bytes]] = []
    with duckdb.connect() as con:
        blobs = pa.table({c: pa.array([r[i] for r in rows]) for i, c in enumerate("ab")})
        con.register("t", blobs)
        sql = f"SELECT {DuckdbDialect().md5_of_digests(['a', 'b'])} FROM t"
        made.append([bytes(r[0]) for r in con.execute(sql).fetchall()])
    fingerprint = PostgresDialect().md5_of_digests(["%s::bytea", "%s::bytea"])
    with postgres.cursor() as cursor:
        found = [cursor.execute(f"SELECT {fingerprint}".encode(), r).fetchone() for r in rows]
    made.append([bytes(r[0]) for r in found if r is not None])
    assert made[0] == made[1]
    assert len(set(made[0])) == len(rows)
