"""What every table destination promises, on DuckDB, SQLite and a real PostgreSQL; and files."""

from __future__ import annotations

import asyncio
import csv
import datetime as dt
import decimal
import json
import math
import shutil
import stat
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mayfly.connectors.destinations import database_postgres, files
from mayfly.domain.batch import BatchHead, Operation, SyncMode
from mayfly.domain.errors import ConfigError, ContractError
from mayfly.domain.outcomes import OutcomeCode
from mayfly.ports.destination import DestinationContext, Done, Submitted
from mayfly.privacy.gate import Form, ProtectedBatch
from mayfly.privacy.gate.seal import THE_SEAL
from mayfly.testing.destination_contract import DestinationContract, email_digest
from tables import ENGINES, ROWS, Bench, Dsn, batch, bench_of, context, write


@pytest.fixture(params=ENGINES)
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Bench:
    """Each engine in turn."""
    return bench_of(request, request.param, tmp_path)


class TableContract(DestinationContract):
    """A mirrored table of a key and a digest."""

    adds = Operation.WRITE
    resumes = False
    bench: Bench

    def make(self) -> Any:
        """The connector for the test's table."""
        return self.bench.make(self.context())

    def protect(self, head: BatchHead, rows: pa.Table, forms: Mapping[str, Form]) -> ProtectedBatch:
        """Sealed as the gate would seal it."""
        return ProtectedBatch(head, rows, forms, seal=THE_SEAL)

    def context(self) -> DestinationContext:
        """Table `contract` by id."""
        forms = {"id": Form.CLEAR, "EMAIL": Form.DIGEST}
        columns = {"id": pa.int64(), "EMAIL": pa.binary()}
        return context(object_name="contract", columns=columns, forms=forms)

    def rows(self, subjects: Sequence[int]) -> tuple[pa.Table, Mapping[str, Form]]:
        """Key and digest."""
        digests = pa.array([email_digest(n) for n in subjects], pa.binary())
        table = pa.table({"id": pa.array(subjects, pa.int64()), "EMAIL": digests})
        return table, self.context().forms

    def removal(self, subjects: Sequence[int]) -> tuple[pa.Table, Mapping[str, Form], str | None]:
        """The key alone."""
        return pa.table({"id": pa.array(subjects, pa.int64())}), {"id": Form.CLEAR}, None

    async def contents(self) -> set[str]:
        """Digests in the table, where there is one."""
        listed = self.bench.ask(self.bench.names)
        if ("contract",) not in listed:
            return set()
        return {digest for (digest,) in self.bench.ask('SELECT "EMAIL" FROM contract')}


class TestDuckdb(TableContract):
    """A DuckDB file."""

    @pytest.fixture(autouse=True)
    def _bench(self, tmp_path: Path) -> None:
        self.bench = Bench("duckdb", tmp_path, "")


class TestSqlite(TableContract):
    """An SQLite file."""

    @pytest.fixture(autouse=True)
    def _bench(self, tmp_path: Path) -> None:
        self.bench = Bench("sqlite", tmp_path, "")


class TestPostgres(TableContract):
    """A real PostgreSQL."""

    @pytest.fixture(autouse=True)
    def _bench(self, tmp_path: Path, postgres_database: str) -> None:
        self.bench = Bench("postgres", tmp_path, postgres_database)


class TestMysql(TableContract):
    """A real MariaDB."""

    @pytest.fixture(autouse=True)
    def _bench(self, tmp_path: Path, mariadb_database: str) -> None:
        self.bench = Bench("mysql", tmp_path, mariadb_database)


class FilesContract(TableContract):
    """A folder that gets a file once every batch of the run is there."""

    adds = Operation.INSERT
    removes = None
    file_format = "parquet"

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.folder = tmp_path

    def make(self) -> files.Files:
        """The connector for the test's folder."""
        return files.make(path=self.folder, file_format=self.file_format, context=self.context())

    async def contents(self) -> set[str]:
        """Digests in the files."""
        found = self.folder.glob(f"*.{self.file_format}")
        return {row["EMAIL"] for path in found for row in READERS[self.file_format](path)}


class TestParquet(FilesContract):
    """Parquet."""


class TestCsv(FilesContract):
    """CSV."""

    file_format = "csv"


class TestJsonl(FilesContract):
    """JSON Lines."""

    file_format = "jsonl"


def test_rows_arrive_and_a_repeat_changes_nothing(bench: Bench) -> None:
    """The same batch twice is the same as once, and its marker answers."""
    destination = bench.make(context())
    asyncio.run(destination.check())
    for _ in range(2):
        done = write(destination, batch())
        assert isinstance(done, Done)
        assert done.outcomes.count(OutcomeCode.ACCEPTED) == 3
    assert bench.ask("SELECT id, name FROM people ORDER BY id") == [
        (1, "a"),
        (2, 'q"uote'),
        (3, None),
    ]
    assert bench.ask("SELECT count(*) FROM _mayfly_batches") == [(1,)]
    assert asyncio.run(destination.applied(batch().head)) is True
    assert asyncio.run(destination.applied(batch(number=5).head)) is False


def test_an_upsert_replaces_by_key(bench: Bench) -> None:
    """A second batch changes what it names and leaves the rest."""
    destination = bench.make(context())
    write(destination, batch())
    changed = pa.table({"id": pa.array([2, 4], pa.int64()), "name": ["b", "😊"]})
    write(destination, batch(changed, number=1))
    assert bench.ask("SELECT id, name FROM people ORDER BY id") == [
        (1, "a"),
        (2, "b"),
        (3, None),
        (4, "😊"),
    ]


def test_a_removal_takes_rows_by_key(bench: Bench) -> None:
    """Only the named keys go; an absent one is accepted."""
    destination = bench.make(context())
    write(destination, batch())
    gone = pa.table({"id": pa.array([1, 99], pa.int64())})
    done = write(destination, batch(gone, number=1, operation=Operation.REMOVE))
    assert isinstance(done, Done)
    assert done.outcomes.count(OutcomeCode.ACCEPTED) == 2
    assert bench.ask("SELECT id FROM people ORDER BY id") == [(2,), (3,)]


def test_a_removal_of_many_rows_is_no_search_for_each(tmp_path: Path) -> None:
    """SQLite would look at each staged key for each row of the table: 7 seconds here."""
    bench = Bench("sqlite", tmp_path, "")
    rows = pa.table({"id": pa.array(range(20_000), pa.int64()), "name": ["a"] * 20_000})
    write(bench.make(context(rows)), batch(rows))
    gone = batch(rows.select(["id"]).slice(1), number=1, operation=Operation.REMOVE)
    begun = time.process_time()
    write(bench.make(context(rows)), gone)
    assert time.process_time() - begun < 2
    assert bench.ask("SELECT id FROM people") == [(0,)]


def test_an_append_inserts_once_for_each_batch(bench: Bench) -> None:
    """No key is needed; two batches are two inserts, a repeat is none."""
    destination = bench.make(context(mode=SyncMode.APPEND, key=()))
    for number in (0, 1, 1):
        write(destination, batch(number=number, operation=Operation.INSERT))
    assert bench.ask("SELECT count(*) FROM people") == [(6,)]


def test_odd_values_arrive(bench: Bench) -> None:
    """Decimals, infinity, dates, time zones, bytes, empty text and quotes are kept."""
    ratio_in = -1.5e300 if bench.kind == "mysql" else float("inf")  # MariaDB has no infinity.
    at = dt.datetime(2026, 3, 29, 0, 30, tzinfo=dt.UTC)
    rows = pa.table(
        {
            "id": pa.array([1], pa.int64()),
            "amount": pa.array([decimal.Decimal("12.50")], pa.decimal128(10, 2)),
            "ratio": pa.array([ratio_in], pa.float64()),
            "born": pa.array([dt.date(1999, 12, 31)]),
            "seen": pa.array([at], pa.timestamp("us", tz="UTC")),
            "raw": pa.array([b"\x00\xff"], pa.binary()),
            "empty": [""],
            "tricky": ["a,b\n'c' \"d\" \\N"],
            "flag": [True],
        }
    )
    destination = bench.make(context(rows))
    write(destination, batch(rows))
    [(amount, ratio, born, seen, raw, empty, tricky, flag)] = bench.ask(
        "SELECT amount, ratio, born, seen, raw, empty, tricky, flag FROM people"
    )
    assert decimal.Decimal(str(amount)) == decimal.Decimal("12.50")
    assert ratio == ratio_in
    assert str(born) == "1999-12-31"
    seen = dt.datetime.fromisoformat(seen) if isinstance(seen, str) else seen
    seen = seen.replace(tzinfo=dt.UTC) if bench.kind == "mysql" else seen  # It keeps no zone.
    assert seen.astimezone(dt.UTC) == at
    assert bytes(raw) == b"\x00\xff"
    assert (empty, tricky, bool(flag)) == ("", "a,b\n'c' \"d\" \\N", True)


def test_names_are_quoted(bench: Bench) -> None:
    """A table named like an attack is a table."""
    name = 'x"; drop table people; --'
    destination = bench.make(context(object_name=name))
    write(destination, batch())
    quoted = '"' + name.replace('"', '""') + '"'
    assert bench.ask(f"SELECT count(*) FROM {quoted}") == [(3,)]


def test_a_table_without_the_column_is_refused(bench: Bench) -> None:
    """The message names the column, and nothing was written."""
    bench.ask("CREATE TABLE people (id BIGINT PRIMARY KEY)")
    with pytest.raises(ConfigError, match="column_missing"):
        write(bench.make(context()), batch())
    assert bench.ask("SELECT count(*) FROM people") == [(0,)]


def test_a_table_without_a_unique_key_is_refused(bench: Bench) -> None:
    """An upsert needs a unique index on its key."""
    bench.ask("CREATE TABLE people (id BIGINT, name VARCHAR(50))")
    with pytest.raises(ConfigError, match="key_not_unique"):
        write(bench.make(context()), batch())


def test_a_refused_value_undoes_the_whole_batch(bench: Bench) -> None:
    """All or nothing: a broken constraint leaves neither rows nor marker, and tells no value."""
    bench.ask("CREATE TABLE people (id BIGINT PRIMARY KEY, name VARCHAR(50) NOT NULL)")
    destination = bench.make(context())
    with pytest.raises(ContractError, match="batch_refused") as caught:
        write(destination, batch())
    assert "uote" not in str(caught.value) + caught.value.hint
    assert bench.ask("SELECT count(*) FROM people") == [(0,)]
    assert asyncio.run(destination.applied(batch().head)) is False


def test_a_nul_character_is_refused_for_its_row_only(postgres_database: str) -> None:
    """PostgreSQL cannot hold it; the other rows go."""
    bench = Bench("postgres", Path(), postgres_database)
    rows = pa.table({"id": pa.array([1, 2], pa.int64()), "name": ["a\x00b", "fine"]})
    done = write(bench.make(context(rows)), batch(rows))
    assert isinstance(done, Done)
    assert done.outcomes.codes.to_pylist() == [OutcomeCode.REJECTED, OutcomeCode.ACCEPTED]
    assert done.outcomes.reasons[0].code == "nul_character"


def read_csv(path: Path) -> list[dict[str, Any]]:
    """Rows of a CSV file."""
    return pl.read_csv(path).to_dicts()


READERS: dict[str, Callable[[Path], list[dict[str, Any]]]] = {
    "parquet": lambda p: pl.read_parquet(p).to_dicts(),
    "csv": read_csv,
    "jsonl": lambda p: [json.loads(line) for line in p.read_text("utf-8").splitlines()],
}


@pytest.mark.parametrize("file_format", sorted(READERS))
def test_files_appear_whole_and_once(tmp_path: Path, file_format: str) -> None:
    """Two batches make one file of mode 0600, only when both are there; a repeat changes
    nothing and nothing else is left in the folder.
    """
    destination = files.make(
        path=tmp_path, file_format=file_format, context=context(mode=SyncMode.APPEND, key=())
    )

    def part(number: int) -> ProtectedBatch:
        head = replace(batch().head, number=number, of=2, operation=Operation.INSERT)
        return ProtectedBatch(
            head, ROWS, dict.fromkeys(ROWS.column_names, Form.CLEAR), seal=THE_SEAL
        )

    first = write(destination, part(0))
    final = tmp_path / f"s.r1.{file_format}"
    assert isinstance(first, Submitted)
    assert not final.exists()
    write(destination, part(1))
    before = final.read_bytes()
    write(destination, part(1))
    assert final.read_bytes() == before
    done = asyncio.run(destination.poll(first.job))
    assert isinstance(done, Done)
    assert done.outcomes.count(OutcomeCode.ACCEPTED) == 3
    assert stat.S_IMODE(final.stat().st_mode) == 0o600
    assert [p.name for p in tmp_path.iterdir()] == [final.name]
    assert sorted(r["id"] for r in READERS[file_format](final)) == [1, 1, 2, 2, 3, 3]


ODD = pa.table(
    {
        "id": pa.array([1, 2, 3, 4, 5], pa.int64()),
        "number": pa.array([1.5, math.nan, math.inf, -math.inf, None], pa.float64()),
        "bytes": pa.array([b"\x00\xff", b"", None, b"a", b"b"], pa.binary()),
        "list": pa.array([[1, None], [], None, [2**53 + 1], [3]], pa.list_(pa.int64())),
        "struct": pa.array([{"a": 'q"\n'}, {"a": None}, None, {"a": ","}, {"a": "é"}]),
        "exact": pa.array([decimal.Decimal("12.50"), None, None, None, None], pa.decimal128(20, 2)),
    }
)
STRUCTS = [{"a": 'q"\n'}, {"a": None}, None, {"a": ","}, {"a": "é"}]
LISTS = [[1, None], [], None, [2**53 + 1], [3]]


def written(folder: Path, file_format: str, rows: pa.Table) -> Path:
    """The file that one batch of rows makes."""
    made = context(mode=SyncMode.APPEND, key=())
    destination = files.make(path=folder, file_format=file_format, context=made)
    head = replace(batch().head, number=0, of=1, operation=Operation.INSERT)
    clear = dict.fromkeys(rows.column_names, Form.CLEAR)
    write(destination, ProtectedBatch(head, rows, clear, seal=THE_SEAL))
    return folder / f"s.r1.{file_format}"


def test_json_lines_hold_every_value(tmp_path: Path) -> None:
    """What JSON has no number for goes as text, bytes as hex, nested values as they are."""
    found = READERS["jsonl"](written(tmp_path, "jsonl", ODD))
    assert [r["number"] for r in found] == [1.5, "NaN", "Infinity", "-Infinity", None]
    assert [r["bytes"] for r in found] == ["00ff", "", None, "61", "62"]
    assert [r["list"] for r in found] == LISTS
    assert [r["struct"] for r in found] == STRUCTS
    assert [r["exact"] for r in found] == ["12.50", None, None, None, None]


def test_csv_holds_every_value(tmp_path: Path) -> None:
    """Nested values as JSON text, bytes as hex."""
    with written(tmp_path, "csv", ODD).open(encoding="utf-8", newline="") as file:
        found = list(csv.DictReader(file))
    assert [r["number"] for r in found] == ["1.5", "NaN", "inf", "-inf", ""]
    assert [r["bytes"] for r in found] == ["00ff", "", "", "61", "62"]
    assert [json.loads(r["list"]) if r["list"] else None for r in found] == LISTS
    assert [json.loads(r["struct"]) if r["struct"] else None for r in found] == STRUCTS
    assert [r["exact"] for r in found] == ["12.50", "", "", "", ""]


def test_parquet_holds_every_value(tmp_path: Path) -> None:
    """As it came."""
    found = pq.read_table(written(tmp_path, "parquet", ODD))
    assert found.drop_columns(["number"]).equals(ODD.drop_columns(["number"]))
    assert str(found.column("number").to_pylist()) == str(ODD.column("number").to_pylist())


@pytest.mark.parametrize("file_format", ["csv", "jsonl"])
def test_what_has_no_json_is_refused_without_a_file(tmp_path: Path, file_format: str) -> None:
    """NaN within a list would arrive as something else, or break the line for its readers."""
    rows = pa.table({"id": [1], "list": pa.array([[math.nan]], pa.list_(pa.float64()))})
    with pytest.raises(ContractError, match="batch_refused"):
        written(tmp_path, file_format, rows)
    assert not list(tmp_path.glob("*.*l")) + list(tmp_path.glob("*.csv"))


def test_parts_that_are_all_there_are_a_file_when_asked_for(tmp_path: Path) -> None:
    """A kill between the last part and the file: the batch is applied, and is so for good."""
    made = context(mode=SyncMode.APPEND, key=())
    destination = files.make(path=tmp_path, file_format="jsonl", context=made)
    head = replace(batch().head, number=0, of=2, operation=Operation.INSERT)
    parts = [replace(head, number=n) for n in range(2)]
    clear = dict.fromkeys(ROWS.column_names, Form.CLEAR)
    write(destination, ProtectedBatch(parts[0], ROWS, clear, seal=THE_SEAL))
    assert asyncio.run(destination.applied(parts[0])) is False
    [folder] = tmp_path.iterdir()
    shutil.copy(folder / "000000.arrow", folder / "000001.arrow")  # all staged, then killed
    again = files.make(path=tmp_path, file_format="jsonl", context=made)
    assert asyncio.run(again.applied(parts[0])) is True
    assert len(READERS["jsonl"](tmp_path / "s.r1.jsonl")) == 6
    assert asyncio.run(again.applied(parts[1])) is True


def test_lost_parts_are_deferred(tmp_path: Path) -> None:
    """A run whose parts are gone has delivered nothing, and says so."""
    destination = files.make(
        path=tmp_path, file_format="jsonl", context=context(mode=SyncMode.APPEND, key=())
    )
    submitted = write(destination, batch(operation=Operation.INSERT))
    assert isinstance(submitted, Submitted)
    for folder in tmp_path.iterdir():
        for item in folder.iterdir():
            item.unlink()
        folder.rmdir()
    done = asyncio.run(destination.poll(submitted.job))
    assert isinstance(done, Done)
    assert done.outcomes.count(OutcomeCode.DEFERRED) == 3


def test_a_server_off_loopback_is_verified() -> None:
    """TLS with a verified certificate, whatever the dsn leaves out; less is refused."""
    made = database_postgres.verified_tls(Dsn("postgresql://db.example.com/x"))
    assert made == {
        "sslmode": "verify-full",
        "sslrootcert": "system",
        "ssl_min_protocol_version": "TLSv1.2",
    }
    assert database_postgres.verified_tls(Dsn("postgresql://127.0.0.1/x")) == {}
    with pytest.raises(ConfigError, match="tls_not_verified"):
        database_postgres.verified_tls(Dsn("postgresql://db.example.com/x?sslmode=require"))
