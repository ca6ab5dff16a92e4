"""One value planted in each container, written by that format's own library, is found."""

from __future__ import annotations

import base64
import contextlib
import gzip
import html
import io
import json
import quopri
import sqlite3
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import cramjam
import duckdb
import fastavro
import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from hypothesis import assume, given
from hypothesis import strategies as st
from typer.testing import CliRunner

from marks import IN_A_SOAK
from mayfly.cli.commands import app
from mayfly.domain.errors import ConfigError
from mayfly.privacy.scan import stream
from mayfly.services import scan_containers
from mayfly.services.scan_containers import Place, _opener, document_hits
from mayfly.services.scan_paths import scan_paths

ADDRESS = "ann.lee@example.com"
MARKER = "MARK-sync-17-name"
TEXT = f"to {ADDRESS} and {MARKER} now"


def _avro(codec: str) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        schema = {
            "type": "record",
            "name": "r",
            "fields": [{"name": "id", "type": "long"}, {"name": "note", "type": "string"}],
        }
        rows = [{"id": n, "note": TEXT if n == 700 else "x" * 40} for n in range(2_000)]
        with path.open("wb") as file:
            fastavro.writer(file, fastavro.parse_schema(schema), rows, codec=codec)

    return write


def _sqlite(path: Path) -> None:
    # A page that overflows holds a value in two parts: raw bytes alone would not show it.
    with closing(sqlite3.connect(path)) as db, db:
        db.execute('CREATE TABLE "odd ""name" (id INTEGER, note TEXT, b BLOB)')
        db.executemany(
            'INSERT INTO "odd ""name" VALUES (?, ?, ?)',
            [(n, f"{'.' * (n * 7)} {TEXT}", b"\xff") for n in range(600)],
        )


def _duckdb(path: Path) -> None:
    with duckdb.connect(str(path)) as db:
        db.execute('CREATE SCHEMA "s p"')
        db.execute(
            'CREATE TABLE "s p"."t" AS SELECT i AS id, CASE WHEN i = 7000 THEN '
            f"'{TEXT}' ELSE 'ann.lee' || (i % 9) END AS note FROM range(20000) r(i)"
        )


def _xlsx(path: Path) -> None:
    book = openpyxl.Workbook()
    for n in range(300):
        book.active.append([n, TEXT if n == 150 else "x"])
    book.save(path)


def _arrow_stream(codec: str) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        with pa.CompressedOutputStream(str(path), codec) as out:
            out.write(("x" * 3_000_000 + " " + TEXT).encode())

    return write


def _bytes(make: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(make(TEXT.encode())) and None


def _arrow_file(path: Path) -> None:
    table = pa.table({"c": ["x", TEXT]})
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with (
        pa.OSFile(str(path), "wb") as out,
        pa.ipc.new_file(out, table.schema, options=options) as w,
    ):
        w.write_table(table)


def _zip(files: dict[str, bytes]) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return held.getvalue()


def _within(make: Callable[[Path], None], pack: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        inner = path.with_suffix(".tmp")
        make(inner)
        path.write_bytes(pack(inner.read_bytes()))
        inner.unlink()

    return write


def _parquet(path: Path) -> None:
    rows = [TEXT if n == 700 else "to ann" for n in range(2_000)]
    pq.write_table(pa.table({"c": rows}), path, compression="zstd")


def _tar(path: Path) -> None:
    with tarfile.open(path, "w") as archive:
        data = gzip.compress(TEXT.encode())
        info = tarfile.TarInfo("a")
        info.size = len(data)
        archive.addfile(info, io.BytesIO(data))


CONTAINERS: dict[str, Callable[[Path], None]] = {
    **{f"avro {c}": _avro(c) for c in ("null", "deflate", "snappy", "bzip2", "xz")},
    "sqlite": _sqlite,
    "sqlite in zip": _within(_sqlite, lambda d: _zip({"a/b.db": d})),
    "sqlite in gzip": _within(_sqlite, gzip.compress),
    "parquet in gzip": _within(_parquet, gzip.compress),
    "parquet in zstd": _within(_parquet, lambda d: pa.compress(d, codec="zstd", asbytes=True)),
    "tar in lz4": _within(_tar, lambda d: pa.compress(d, codec="lz4", asbytes=True)),
    "duckdb": _duckdb,
    "duckdb in zip": _within(_duckdb, lambda d: _zip({"a/b.duckdb": d})),
    "duckdb in gzip": _within(_duckdb, gzip.compress),
    "xlsx": _xlsx,
    "arrow file": _arrow_file,
    "lz4": _arrow_stream("lz4"),
    "brotli": _arrow_stream("brotli"),
    "parquet in brotli": _within(_parquet, lambda d: pa.compress(d, codec="brotli", asbytes=True)),
    "parquet in snappy": _within(_parquet, lambda d: pa.compress(d, codec="snappy", asbytes=True)),
    "zstd": _arrow_stream("zstd"),
    "snappy block": _bytes(lambda d: bytes(cramjam.snappy.compress_raw(b"x" * 9_000 + b" " + d))),
    "snappy": _bytes(lambda d: bytes(cramjam.snappy.compress(b"x" * 200_000 + b" " + d))),
    "lz4 of another writer": _bytes(lambda d: bytes(cramjam.lz4.compress(d))),
    "base32": _bytes(base64.b32encode),
    **{
        f"base32 shift {n}": _bytes(lambda d, n=n: b"A" * n + base64.b32encode(d))
        for n in (1, 3, 7)
    },
    "base32 small": _bytes(lambda d: base64.b32encode(d).lower()),
    "utf-32le": _bytes(lambda d: d.decode().encode("utf-32le")),
    "utf-32be": _bytes(lambda d: d.decode().encode("utf-32be")),
    "quoted-printable": _bytes(lambda d: quopri.encodestring(b"\xc3\xa9" * 9 + b" " + d)),
    "quoted-printable whole": _bytes(lambda d: b"".join(b"=%02X" % byte for byte in d)),
    "entities": _bytes(lambda d: "".join(f"&#{byte};" for byte in d).encode()),
    "hex entities": _bytes(lambda d: "".join(f"&#x{byte:x};" for byte in d).encode()),
    "html": _bytes(lambda d: html.escape(d.decode()).replace("@", "&commat;").encode()),
}


@pytest.mark.parametrize("name", CONTAINERS)
def test_a_planted_value_is_found(name: str, tmp_path: Path) -> None:
    """The address and the marker, and neither is repeated."""
    CONTAINERS[name](tmp_path / "file")
    found = scan_paths([tmp_path], known_values=[MARKER])
    assert {"email", "known_value"} <= {finding.class_name for finding in found}
    printed = json.dumps([finding.to_dict() for finding in found])
    assert "ann.lee" not in printed
    assert MARKER not in printed


def test_a_file_that_says_it_is_brotli_and_is_none_cannot_be_read(tmp_path: Path) -> None:
    """It has no sign of its own by which the same bytes could be told to be damaged."""
    file = tmp_path / "page.html.br"
    _arrow_stream("brotli")(file)
    assert "email" in {finding.class_name for finding in scan_paths([file])}
    file.write_bytes(b"no brotli at all")
    with pytest.raises(ConfigError, match="unreadable"):
        scan_paths([file])


@given(st.one_of(st.binary(max_size=300), st.text(max_size=200).map(str.encode)))
def test_other_files_are_no_snappy_and_no_brotli(data: bytes) -> None:
    """Streams without a sign are told by unpacking to their end, which chance does not."""
    assume(_opener(io.BytesIO(data)) is None)
    found = list(document_hits(io.BytesIO(data), [], Place(member="x")))
    assert not [hit for hit in found if "snappy" in hit.member or "brotli" in hit.member]


def test_names_of_files_and_members_are_looked_at_and_not_shown(tmp_path: Path) -> None:
    """In a path, in an archive, and encoded."""
    folder = tmp_path / f"mail to {ADDRESS}"
    folder.mkdir()
    (folder / "empty.txt").write_bytes(b"")
    (tmp_path / "a.zip").write_bytes(_zip({f"x/{ADDRESS}.txt": b"nothing"}))
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        archive.addfile(tarfile.TarInfo(base64.b64encode(ADDRESS.encode()).decode()))
    found = scan_paths([tmp_path])
    assert {(f.class_name, f.encoding) for f in found} == {
        ("email", "file_name"),
        ("email", "base64"),
    }
    printed = json.dumps([finding.to_dict() for finding in found])
    assert "ann.lee" not in printed
    assert base64.b64encode(ADDRESS.encode()).decode() not in printed
    assert any(f.path == f"{tmp_path}/mail to [email]/empty.txt" for f in found)


def _bomb(path: Path) -> None:
    path.write_bytes(gzip.compress(bytes(60_000_000)))


def _deep(path: Path) -> None:
    data = TEXT.encode()
    for _ in range(7):
        data = gzip.compress(data)
    path.write_bytes(data)


def _deep_zip(path: Path) -> None:
    data = b"nothing"
    for _ in range(7):
        data = _zip({"z": data})
    path.write_bytes(data)


def _wide(path: Path) -> None:
    path.write_bytes(_zip({"zeros": bytes(6_000_000)}))


@pytest.mark.parametrize("make", [pytest.param(_bomb, marks=IN_A_SOAK), _deep, _deep_zip, _wide])
def test_what_may_not_be_looked_through_is_a_finding(
    make: Callable[[Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Too much, too deep, too large: never clean."""
    monkeypatch.setattr(scan_containers, "_MEMBER_BYTES_MAX", 5_000_000)
    make(tmp_path / "file")
    assert "bomb" in {finding.class_name for finding in scan_paths([tmp_path])}


def test_ordinary_files_that_pack_well_are_no_bombs(tmp_path: Path) -> None:
    """A log of one line again and again packs to a two-hundredth."""
    (tmp_path / "log.gz").write_bytes(gzip.compress(b"2026-11-28 nothing to see here\n" * 300_000))
    (tmp_path / "z").write_bytes(zlib.compress(b"a,b,c\n" * 500_000))
    assert scan_paths([tmp_path]) == []


@pytest.mark.parametrize("size", [40, 200, 5_000])
@pytest.mark.parametrize("name", ["sqlite", "duckdb", "avro deflate", "xlsx"])
def test_a_cut_container_is_never_clean(name: str, size: int, tmp_path: Path) -> None:
    """It is refused, or what is left of it shows the value."""
    whole = tmp_path / "whole"
    CONTAINERS[name](whole)
    file = tmp_path / "cut"
    data = whole.read_bytes()
    file.write_bytes(data[: -min(size, len(data) // 2)])
    found = None
    with contextlib.suppress(ConfigError):
        found = scan_paths([file])
    assert found != []


def test_a_database_that_is_open_elsewhere_is_unreadable(tmp_path: Path) -> None:
    """Nothing is said about what could not be opened."""
    file = tmp_path / "shop.duckdb"
    _duckdb(file)
    with duckdb.connect(str(file)), pytest.raises(ConfigError, match="unreadable"):
        scan_paths([file])


def test_what_a_database_in_use_holds_in_its_log_is_found(tmp_path: Path) -> None:
    """Also where the log itself is not among the files. Database and log stay as they were; in the
    index each reader leaves its mark.
    """
    file = tmp_path / "app.db"
    with closing(sqlite3.connect(file)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("CREATE TABLE t (v TEXT)")
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        db.execute("INSERT INTO t VALUES (?)", [TEXT])
        db.commit()
        stays = (file, tmp_path / "app.db-wal")
        before = [path.read_bytes() for path in stays]
        found = scan_paths([file])
        assert [(f.class_name, f.member) for f in found] == [("email", "t/v")]
        assert [path.read_bytes() for path in stays] == before


def test_a_database_with_a_log_that_cannot_be_read_is_unreadable(tmp_path: Path) -> None:
    """What was written last stands there, and is not seen."""
    file = tmp_path / "app.db"
    _sqlite(file)
    (tmp_path / "app.db-wal").write_bytes(b"x")
    with pytest.raises(ConfigError, match="unreadable"):
        scan_paths([file])


@pytest.mark.parametrize("name", ["lz4", "zstd", "snappy", "avro deflate", "avro snappy"])
def test_a_damaged_stream_is_unreadable(name: str, tmp_path: Path) -> None:
    """In the middle or at its end: what follows was not looked at."""
    whole = tmp_path / "whole"
    CONTAINERS[name](whole)
    data = whole.read_bytes()
    middle = len(data) * 3 // 4
    broken = (
        data[:middle] + bytes(b ^ 0x5A for b in data[middle : middle + 64]) + data[middle + 64 :]
    )
    for at, wrong in enumerate((broken, data[:-5])):
        file = tmp_path / f"wrong{at}"
        file.write_bytes(wrong)
        with pytest.raises(ConfigError, match="unreadable"):
            scan_paths([file])


def test_a_hostile_header_ends(tmp_path: Path) -> None:
    """It says that more entries follow than there are bytes in the world."""
    file = tmp_path / "file"
    file.write_bytes(b"Obj\x01" + b"\xfe" * 8 + b"\x7f")
    with pytest.raises(ConfigError, match="unreadable"):
        scan_paths([file])


def test_a_damaged_database_in_an_archive_is_never_clean(tmp_path: Path) -> None:
    """As one that lies open; nothing of it stays in memory."""
    _within(_duckdb, lambda d: gzip.compress(d[:9_000]))(tmp_path / "file")
    with pytest.raises(ConfigError, match="unreadable"):
        scan_paths([tmp_path])
    assert MemoryFileSystem.store == {}


def test_a_database_reads_no_file_by_its_own_columns(tmp_path: Path) -> None:
    """A generated column may name a function; nothing outside the file is opened for it."""
    other = tmp_path / "secret.txt"
    other.write_text(TEXT)
    (tmp_path / "db").mkdir()
    with duckdb.connect(str(tmp_path / "db" / "a.duckdb")) as db:
        db.execute(f"CREATE VIEW v AS SELECT content FROM read_text('{other}')")
        db.execute("CREATE TABLE t AS SELECT 1 AS n")
    assert not scan_paths([tmp_path / "db"])


@pytest.mark.parametrize(
    "name",
    [
        "ann/lee@example.com",
        "tel +44/20/7946/0958",
        f"a/{MARKER}/b",
        base64.b64encode(MARKER.encode()).decode(),
    ],
)
def test_no_part_of_a_name_is_shown_that_is_a_value(name: str, tmp_path: Path) -> None:
    """Whatever stands between its parts, and however it is written."""
    table = pa.table({name: [f"x {ADDRESS}"]})
    pq.write_table(table, tmp_path / "file")
    found = scan_paths([tmp_path], known_values=[MARKER])
    assert found
    printed = json.dumps([finding.to_dict() for finding in found])
    for part in ("lee@", "7946", MARKER, name):
        assert part not in printed


def test_a_path_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    """Not that it could not be read."""
    with pytest.raises(ConfigError, match="There is no file or folder"):
        scan_paths([tmp_path / "nothing"])


@pytest.mark.slow
@pytest.mark.soak
def test_a_small_window_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Streams are read in pieces; where they are cut does not matter."""
    monkeypatch.setattr(stream, "WINDOW_BYTES", 1 << 14)
    for name in ("lz4", "snappy", "zstd"):
        CONTAINERS[name](tmp_path / name.replace(" ", "_"))
    found = scan_paths([tmp_path])
    assert {finding.path.rpartition("/")[2] for finding in found} == {"lz4", "snappy", "zstd"}


def test_a_marker_is_looked_for_instead(tmp_path: Path) -> None:
    """Exit 1 where it is, 0 where only other values are; it is not repeated."""
    (tmp_path / "a").write_bytes(base64.b64encode(TEXT.encode()))
    (tmp_path / "b").write_text(ADDRESS)
    run = CliRunner().invoke
    found = run(app, ["scan", str(tmp_path), "--marker", MARKER, "--output", "json"])
    assert found.exit_code == 1
    assert [
        (f["path"].rpartition("/")[2], f["class"]) for f in json.loads(found.stdout)["findings"]
    ] == [("a", "known_value")]
    assert MARKER not in found.stdout
    assert run(app, ["scan", str(tmp_path / "b"), "--marker", MARKER]).exit_code == 0
    assert run(app, ["scan", str(tmp_path), "--marker", "abc"]).exit_code != 0
