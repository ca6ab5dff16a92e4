"""Looks for personal values in clear in files, archives and folders. Answers never hold a value."""

from __future__ import annotations

import io
import lzma
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from mayfly.domain.errors import ConfigError
from mayfly.privacy.guard import classes_in
from mayfly.privacy.scan import Hit, scan_chunks

_CHUNK_BYTES = 1 << 20
_NESTED_BYTES_MAX = 256 << 20
_DEPTH_MAX = 4
_FAULTS = (
    OSError,
    EOFError,
    ValueError,
    RuntimeError,
    NotImplementedError,
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    pa.ArrowException,
)


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Values of one class in one encoding at one place.

    Args:
        member: the way through archives and compressed streams, None for the file itself.
        offset: of the first one, in bytes from the start of the member.
        count: how many.
    """

    path: str
    member: str | None
    offset: int
    class_name: str
    encoding: str
    count: int

    def to_dict(self) -> dict[str, Any]:
        """As `mayfly scan` prints it."""
        return {
            "path": self.path,
            "member": self.member,
            "offset": self.offset,
            "class": self.class_name,
            "encoding": self.encoding,
            "count": self.count,
        }


def scan_paths(paths: Iterable[str | Path], *, known_values: Sequence[str] = ()) -> list[Finding]:
    """Every finding in files, and in folders with all they hold. Links are not followed.

    Args:
        paths: files and folders.
        known_values: texts to find as well, as class `known_value`.

    Raises:
        ConfigError: `unreadable` where a file or a member cannot be read to its end.
    """
    known = [value.encode() for value in known_values if value]
    return [
        finding
        for path in paths
        for file in _files(Path(path))
        for finding in _scan_file(file, known)
    ]


def scan_values(path: str | Path) -> Iterator[dict[str, Any]]:
    """Findings line by line: `{"line", "findings"}`, lines from 1, only lines with a finding.

    Raises:
        ConfigError: `unreadable` where the file cannot be read.
    """
    try:
        with Path(path).open("rb") as file:
            for number, line in enumerate(file, start=1):
                if found := classes_in(_line_text(line)):
                    yield {"line": number, "findings": found}
    except OSError:
        raise _unreadable(Path(path)) from None


def _line_text(line: bytes) -> str:
    """A line as text; of a JSON line, what its strings really say."""
    if line.lstrip()[:1] in (b"{", b"[", b'"'):
        try:
            return "\n".join(_strings(orjson.loads(line)))
        except orjson.JSONDecodeError:
            pass
    return line.decode("utf-8", "replace")


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from _strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)
    elif isinstance(value, int) and not isinstance(value, bool):
        yield str(value)


def _files(path: Path) -> Iterator[Path]:
    try:
        mode = path.lstat().st_mode
        if stat.S_ISDIR(mode):
            for child in sorted(path.iterdir()):
                if not child.is_symlink():
                    yield from _files(child)
        elif stat.S_ISREG(mode) or stat.S_ISLNK(mode):
            yield path
    except OSError:
        raise _unreadable(path) from None


def _scan_file(path: Path, known: list[bytes]) -> list[Finding]:
    try:
        with path.open("rb") as file:
            return _tally(str(path), _document(file, known, "", 0))
    except _FAULTS:
        raise _unreadable(path) from None


def _tally(path: str, hits: Iterable[Hit]) -> list[Finding]:
    """One finding per member, class and encoding."""
    counted: dict[tuple[str, str, str], list[int]] = {}
    for hit in hits:
        key = (hit.member, hit.class_name, hit.encoding)
        entry = counted.setdefault(key, [hit.offset, 0])
        entry[1] += 1
    return [
        Finding(
            path=path,
            member=member or None,
            offset=offset,
            class_name=name,
            encoding=encoding,
            count=count,
        )
        for (member, name, encoding), (offset, count) in counted.items()
    ]


def _document(file: IO[bytes], known: list[bytes], member: str, depth: int) -> Iterator[Hit]:
    """Hits in a file's own bytes and in what its format holds."""

    def chunks() -> Iterator[bytes]:
        file.seek(0)
        while chunk := file.read(_CHUNK_BYTES):
            yield chunk

    yield from scan_chunks(chunks, known, member=member, depth=depth)
    if depth >= _DEPTH_MAX:
        return
    file.seek(0)
    head = file.read(512)
    file.seek(0)
    if head[:4] == b"PAR1":
        yield from _columns(pq.ParquetFile(file).iter_batches(), known, member, depth)
    elif head[:6] == b"ARROW1":
        with pa.ipc.open_file(file) as reader:
            batches = (reader.get_batch(n) for n in range(reader.num_record_batches))
            yield from _columns(batches, known, member, depth)
    elif head[:2] == b"PK" and zipfile.is_zipfile(file):
        yield from _zip(file, known, member, depth)
    elif head[257:262] == b"ustar" or (head[:3] in (b"\x1f\x8b\x08", b"BZh", b"\xfd7z")):
        yield from _tar(file, known, member, depth)


def _columns(batches: Iterable[Any], known: list[bytes], member: str, depth: int) -> Iterator[Hit]:
    for batch in batches:
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            text = b"\n".join(_plain(value) for value in column.to_pylist() if value is not None)
            place = f"{member}/{name}".lstrip("/")
            yield from scan_chunks(partial(list, [text]), known, member=place, depth=depth + 1)


def _plain(value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    return value.encode() if isinstance(value, str) else str(value).encode()


def _zip(file: IO[bytes], known: list[bytes], member: str, depth: int) -> Iterator[Hit]:
    with zipfile.ZipFile(file) as archive:
        for info in archive.infolist():
            if not info.is_dir():
                with archive.open(info) as inner:
                    yield from _nested(inner, known, f"{member}/{info.filename}", depth)


def _tar(file: IO[bytes], known: list[bytes], member: str, depth: int) -> Iterator[Hit]:
    file.seek(0)
    if not tarfile.is_tarfile(file):
        return  # compressed, but no archive: its stream has been scanned already
    file.seek(0)
    with tarfile.open(fileobj=file, mode="r:*") as archive:
        for info in archive:
            inner = archive.extractfile(info) if info.isfile() else None
            if inner is not None:
                yield from _nested(inner, known, f"{member}/{info.name}", depth)


def _nested(inner: IO[bytes], known: list[bytes], member: str, depth: int) -> Iterator[Hit]:
    data = inner.read(_NESTED_BYTES_MAX + 1)
    if len(data) > _NESTED_BYTES_MAX:
        raise ValueError("member too large")
    yield from _document(io.BytesIO(data), known, member.lstrip("/"), depth + 1)


def _unreadable(path: Path) -> ConfigError:
    return ConfigError(
        "unreadable",
        f"File {path.name} cannot be read to its end, so nothing can be said about it.",
        hint="Check its permissions; unpack it first where it is encrypted or damaged.",
    )
