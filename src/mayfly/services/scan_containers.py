"""What a file's format holds: members of archives, columns of tables, rows of databases."""

from __future__ import annotations

import contextlib
import io
import secrets
import sqlite3
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from fsspec.implementations.memory import MemoryFileSystem

from mayfly.privacy.scan import (
    BOMB,
    DEPTH_MAX,
    BombError,
    Hit,
    hits_in,
    scan_chunks,
    snappy_block,
    stream_kind,
    unpacked,
    unpacked_hits,
    unsnapped,
)

NAME = "file_name"
_MEMBER_BYTES_MAX = 256 << 20
_CHUNK_BYTES = 1 << 20
_ROWS = 2_048
_AVRO = b"Obj\x01"
_SQLITE = b"SQLite format 3\x00"
# A file that says so by its name must unpack.
_BROTLI = ".br"
_HEAD_BYTES = 512
# Those that `tarfile` unpacks itself, piece by piece.
_TARRED = frozenset({"gzip", "bz2", "xz"})
_DUCKDB_SETTINGS: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "temp_directory": "",
}


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a file or member stands.

    Args:
        member: the way to it, "" for the file itself.
        depth: how many containers it lies in.
        path: of the file itself, None for a member.
    """

    member: str = ""
    depth: int = 0
    path: Path | None = None

    def inner(self, name: str) -> Place:
        """A member of it."""
        return Place(member=f"{self.member}/{name}".lstrip("/"), depth=self.depth + 1)

    @property
    def name(self) -> str:
        """The last part of the name, in small letters."""
        return (self.path.name if self.path else self.member.rpartition("/")[2]).lower()


def document_hits(file: IO[bytes], known: Sequence[bytes], place: Place) -> Iterator[Hit]:
    """Hits in a file's own bytes and in what its format holds.

    Raises:
        ValueError, OSError and the formats' own errors: it cannot be read to its end.
    """

    def chunks() -> Iterator[bytes]:
        file.seek(0)
        while chunk := file.read(_CHUNK_BYTES):
            yield chunk

    yield from scan_chunks(chunks, known, member=place.member, depth=place.depth)
    opened = _opener(file)
    if opened is None:
        file.seek(0)
        kind = stream_kind(file.read(_HEAD_BYTES))
        if kind:
            yield from _in_stream(partial(unpacked, chunks(), kind), kind, known, place)
        elif place.name.endswith(_BROTLI) or _is_brotli(chunks):
            yield from _in_brotli(partial(_whole, chunks, "brotli"), known, place)
        else:
            yield from _snappy_block(file, known, place)
        return
    yield from _opened(opened, file, known, place)


def _whole(chunks: Callable[[], Iterable[bytes]], kind: str) -> Iterator[bytes]:
    return unpacked(chunks(), kind, whole=True)


def _is_brotli(chunks: Callable[[], Iterable[bytes]]) -> bool:
    """Brotli has no sign of its own; nothing else unpacks by it to its end."""
    try:
        return sum(len(part) for part in _whole(chunks, "brotli")) > 0
    except ValueError:
        return False
    except BombError:
        return True


def _in_brotli(
    stream: Callable[[], Iterator[bytes]], known: Sequence[bytes], place: Place
) -> Iterator[Hit]:
    member = place.inner("brotli").member
    yield from unpacked_hits(stream, "brotli", known, member, place.depth)
    yield from _in_stream(stream, "brotli", known, place)


_Opener = Callable[[IO[bytes], Sequence[bytes], Place], Iterator[Hit]]


def _opened(
    opener: _Opener, file: IO[bytes], known: Sequence[bytes], place: Place
) -> Iterator[Hit]:
    if place.depth >= DEPTH_MAX:
        yield Hit(offset=0, class_name=BOMB, encoding="depth", member=place.member)
        return
    file.seek(0)
    yield from opener(file, known, place)


def _in_stream(
    stream: Callable[[], Iterator[bytes]], kind: str, known: Sequence[bytes], place: Place
) -> Iterator[Hit]:
    """Hits in the container that a stream unpacks to: its bytes alone do not show them."""
    inner = place.inner(kind)
    held = bytearray()
    with contextlib.suppress(BombError):  # which was told when its bytes were scanned
        for part in stream():
            held += part
            if len(held) >= _HEAD_BYTES and _by_head(bytes(held[:_HEAD_BYTES])) is None:
                return
            if len(held) > _MEMBER_BYTES_MAX:
                yield Hit(offset=0, class_name=BOMB, encoding="bytes", member=inner.member)
                return
    opener = _by_head(bytes(held[:_HEAD_BYTES]))
    if opener is not None:
        yield from _opened(opener, io.BytesIO(held), known, inner)


def _snappy_block(file: IO[bytes], known: Sequence[bytes], place: Place) -> Iterator[Hit]:
    """Hits in a file that is one block of Snappy: no other file unpacks as one to its end."""
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    if not snappy_block(file.read(6), size) or place.depth >= DEPTH_MAX:
        return
    inner = place.inner("snappy")
    if size > _MEMBER_BYTES_MAX:
        if place.name.endswith((".snappy", ".sz")):
            yield Hit(offset=0, class_name=BOMB, encoding="bytes", member=inner.member)
        return
    file.seek(0)
    try:
        data = unsnapped(file.read())
    except ValueError:
        return
    yield from document_hits(io.BytesIO(data), known, inner)


def _by_head(head: bytes) -> _Opener | None:
    """What opens a container that begins so."""
    if head[:4] == b"PAR1":
        return _parquet
    if head[:6] == b"ARROW1":
        return _arrow
    if head[:4] == _AVRO:
        return _avro
    if head[:16] == _SQLITE:
        return _sqlite
    if head[8:12] == b"DUCK":
        return _duckdb
    if head[:4] == b"PK\x03\x04":
        return _zip  # which refuses one that is cut
    return _tar if head[257:262] == b"ustar" else None


def _opener(file: IO[bytes]) -> _Opener | None:
    file.seek(0)
    head = file.read(_HEAD_BYTES)
    opener = _by_head(head)
    if opener is None and zipfile.is_zipfile(file):
        return _zip
    if opener is None and stream_kind(head) in _TARRED:
        file.seek(0)
        return _tar if tarfile.is_tarfile(file) else None
    return opener


def _parquet(file: IO[bytes], known: Sequence[bytes], place: Place) -> Iterator[Hit]:
    yield from _columns(pq.ParquetFile(file).iter_batches(_ROWS), known, place)


def _arrow(file: IO[bytes], known: Sequence[bytes], place: Place) -> Iterator[Hit]:
    with pa.ipc.open_file(file) as reader:
        batches = (reader.get_batch(n) for n in range(reader.num_record_batches))
        yield from _columns(batches, known, place)


def _columns(batches: Iterable[Any], known: Sequence[bytes], place: Place) -> Iterator[Hit]:
    for batch in batches:
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            yield from _values(column.to_pylist(), known, place.inner(name))


def _values(values: Iterable[Any], known: Sequence[bytes], place: Place) -> Iterator[Hit]:
    text = b"\n".join(_plain(value) for value in values if value is not None)
    yield from scan_chunks(partial(iter, [text]), known, member=place.member, depth=place.depth)


def _plain(value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    return value.encode("utf-8", "replace") if isinstance(value, str) else str(value).encode()


def _avro(file: IO[bytes], known: Sequence[bytes], place: Place) -> Iterator[Hit]:
    """Blocks of a container file, unpacked; texts stand in them as they are."""
    file.read(len(_AVRO))
    codec = _avro_codec(file)
    sync = _exactly(file, 16)
    while (count := _avro_long(file)) is not None:
        data = _exactly(file, _avro_size(file))
        if count < 0 or _exactly(file, 16) != sync:
            raise ValueError("damaged block")
        if codec != "null":
            stream = partial(_avro_block, data, codec)
            yield from unpacked_hits(stream, codec, known, place.inner(codec).member, place.depth)


def _avro_block(data: bytes, codec: str) -> Iterator[bytes]:
    if codec == "snappy":
        return iter([unsnapped(data[:-4])])
    kinds = {"deflate": "deflate", "bzip2": "bz2", "xz": "xz", "zstandard": "zstd"}
    if codec not in kinds:
        raise ValueError("unknown codec")
    return unpacked([data], kinds[codec], whole=True)


def _avro_codec(file: IO[bytes]) -> str:
    codec = "null"
    while count := _avro_long(file):
        if count < 0:
            _avro_size(file)
        for _ in range(abs(count)):
            key, value = (_exactly(file, _avro_size(file)) for _ in range(2))
            if key == b"avro.codec":
                codec = value.decode("ascii", "replace")
    return codec


def _avro_size(file: IO[bytes]) -> int:
    size = _avro_long(file)
    if size is None or size < 0:
        raise ValueError("damaged size")
    return size


def _exactly(file: IO[bytes], size: int) -> bytes:
    data = file.read(size)
    if len(data) < size:
        raise ValueError("cut")
    return data


def _avro_long(file: IO[bytes]) -> int | None:
    """A zigzag number; None at the file's end."""
    number = shift = 0
    while byte := file.read(1):
        number |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            return (number >> 1) ^ -(number & 1)
        shift += 7
        if shift > 63:
            break
    if shift:
        raise ValueError("damaged number")
    return None


def _sqlite(file: IO[bytes], known: Sequence[bytes], place: Place) -> Iterator[Hit]:
    with closing(
        sqlite3.connect(":memory:" if place.path is None else _uri(place.path), uri=True)
    ) as db:
        if place.path is None:
            db.deserialize(file.read())
        db.execute("PRAGMA trusted_schema = OFF")
        db.text_factory = bytes
        for (name,) in db.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL%'"
        ).fetchall():
            table = name.decode("utf-8", "replace")
            cursor = db.execute(f"SELECT * FROM {_quoted(table)}")
            columns = [str(item[0]) for item in cursor.description]
            yield from _rows(cursor.fetchmany, columns, known, place.inner(table))


def _uri(path: Path) -> str:
    """For reading a database and making no file beside it.

    Where others have it open, what they wrote last stands in a log, which is read through the index
    that they keep of it; without one SQLite would have to write it.

    Raises:
        ValueError: there is a log without index.
    """
    path = path.resolve()
    log, index, journal = (path.with_name(path.name + e) for e in ("-wal", "-shm", "-journal"))
    in_use = any(file.exists() and file.stat().st_size for file in (log, journal))
    if in_use and log.exists() and not index.exists():
        raise ValueError("a log without its index")
    return f"{path.as_uri()}?mode=ro{'' if in_use else '&immutable=1'}"


def _duckdb(file: IO[bytes], known: Sequence[bytes], place: Place) -> Iterator[Hit]:
    """Row by row; one that lies in an archive is opened where it is, in memory."""
    with duckdb.connect(config=_DUCKDB_SETTINGS) as db:
        if place.path is None:
            with _in_memory(file.read()) as (system, name):
                db.register_filesystem(system)
                db.execute(f"ATTACH {_text(name)} AS scanned (READ_ONLY)")
                yield from _duckdb_tables(db, known, place)
        else:
            db.execute(f"ATTACH {_text(str(place.path.resolve()))} AS scanned (READ_ONLY)")
            yield from _duckdb_tables(db, known, place)


@contextlib.contextmanager
def _in_memory(data: bytes) -> Iterator[tuple[MemoryFileSystem, str]]:
    """A file that DuckDB can open and no disk holds."""
    system, name = MemoryFileSystem(), f"/{secrets.token_hex(16)}.duckdb"
    system.pipe_file(name, data)
    try:
        yield system, f"memory:/{name}"
    finally:
        system.rm(name)


def _duckdb_tables(
    db: duckdb.DuckDBPyConnection, known: Sequence[bytes], place: Place
) -> Iterator[Hit]:
    # What is asked for from here on is the file's own to say.
    db.execute("SET enable_external_access = false")
    found = db.execute(
        "SELECT schema_name, table_name FROM duckdb_tables() WHERE NOT internal "
        "AND database_name = 'scanned' ORDER BY schema_name, table_name"
    ).fetchall()
    for schema, table in found:
        cursor = db.execute(f"SELECT * FROM scanned.{_quoted(schema)}.{_quoted(table)}")
        columns = [str(item[0]) for item in cursor.description or ()]
        yield from _rows(cursor.fetchmany, columns, known, place.inner(table))


def _rows(
    fetch: Callable[[int], list[Any]], columns: list[str], known: Sequence[bytes], place: Place
) -> Iterator[Hit]:
    while rows := fetch(_ROWS):
        for name, values in zip(columns, zip(*rows, strict=True), strict=True):
            yield from _values(values, known, place.inner(name))


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _zip(file: IO[bytes], known: Sequence[bytes], place: Place) -> Iterator[Hit]:
    with zipfile.ZipFile(file) as archive:
        for info in archive.infolist():
            inner = place.inner(info.filename)
            yield from name_hits(info.filename, known, inner.member)
            if not info.is_dir():
                with archive.open(info) as member:
                    yield from _member(member, known, inner)


def _tar(file: IO[bytes], known: Sequence[bytes], place: Place) -> Iterator[Hit]:
    file.seek(0)
    with tarfile.open(fileobj=file, mode="r:*") as archive:
        for info in archive:
            inner = place.inner(info.name)
            yield from name_hits(info.name, known, inner.member)
            member = archive.extractfile(info) if info.isfile() else None
            if member is not None:
                yield from _member(member, known, inner)


def _member(file: IO[bytes], known: Sequence[bytes], place: Place) -> Iterator[Hit]:
    data = file.read(_MEMBER_BYTES_MAX + 1)
    if len(data) > _MEMBER_BYTES_MAX:
        yield Hit(offset=0, class_name=BOMB, encoding="bytes", member=place.member)
        return
    yield from document_hits(io.BytesIO(data), known, place)


def name_hits(name: str, known: Sequence[bytes], member: str) -> Iterator[Hit]:
    """Hits in a file's name: it is written down in more places than the file."""
    for hit in hits_in(name.encode("utf-8", "surrogateescape"), known):
        yield Hit(offset=0, class_name=hit.class_name, encoding=NAME, member=member)


def files_below(path: Path) -> Iterator[Path]:
    """A file, or the files of a folder and its folders. Links are followed where they are given."""
    mode = path.lstat().st_mode
    if stat.S_ISDIR(mode):
        for child in sorted(path.iterdir()):
            if not child.is_symlink():
                yield from files_below(child)
    elif stat.S_ISREG(mode) or stat.S_ISLNK(mode):
        yield path
