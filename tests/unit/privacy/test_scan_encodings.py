"""The scan finds clear values in every encoding, and nothing in noise."""

import base64
import bz2
import gzip
import io
import json
import lzma
import random
import tarfile
import time
import zipfile
import zlib
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mayfly.domain.errors import ConfigError
from mayfly.privacy.scan import scan_bytes
from mayfly.services.scan_paths import scan_paths, scan_values

ADDRESS = b"ann.lee@example.com"
CLEAR = b'{"a": "' + ADDRESS + b'", "b": "+447700900123"}'
MARK = "MARK-sync-17-name"


def _zipped(data):
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inner.bin", data)
    return held.getvalue()


def _tarred(data):
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w:gz") as archive:
        info = tarfile.TarInfo("inner.bin")
        info.size = len(data)
        archive.addfile(info, io.BytesIO(data))
    return held.getvalue()


def _parquet(data):
    held = io.BytesIO()
    pq.write_table(pa.table({"c": [data.decode()] * 2}), held, compression="snappy")
    return held.getvalue()


def _zstd(data):
    return pa.compress(data, codec="zstd", asbytes=True)


ENCODINGS = {
    "raw": lambda d: d,
    "binary": lambda d: b"\x00\xff\x10" + d + b"\x00\x07\xfe",
    "utf-16le": lambda d: d.decode().encode("utf-16le"),
    "utf-16be": lambda d: d.decode().encode("utf-16be"),
    "hex": lambda d: d.hex().encode(),
    "hex odd": lambda d: b"a" + d.hex().upper().encode(),
    **{f"base64 {n}": lambda d, n=n: base64.b64encode(b"x" * n + b" " + d) for n in range(3)},
    **{f"base64 shift {n}": lambda d, n=n: b"Q" * n + base64.b64encode(d) for n in range(1, 4)},
    "base64url": lambda d: base64.urlsafe_b64encode(b"??>>" + d).rstrip(b"="),
    "base64 lines": lambda d: base64.encodebytes(b"y" * 50 + b" " + d),
    "percent": lambda d: quote(d, safe="").encode(),
    "percent all": lambda d: b"".join(b"%%%02x" % byte for byte in d),
    "json": lambda d: "".join(f"\\u{byte:04x}" for byte in d).encode(),
    "json in json": lambda d: json.dumps(d.decode()).replace("@", "\\u0040").encode(),
    "gzip": gzip.compress,
    "zlib": zlib.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zstd": _zstd,
    "gzip inside": lambda d: b"\x01head" + gzip.compress(d) + b"tail",
    "zlib inside": lambda d: b"\x01head" + zlib.compress(d) + b"tail",
    "bz2 inside": lambda d: b"\x01head" + bz2.compress(d) + b"tail",
    "xz inside": lambda d: b"\x01head" + lzma.compress(d) + b"tail",
    "zstd inside": lambda d: b"\x01head" + _zstd(d),
    "zip": _zipped,
    "tar.gz": _tarred,
    "zip in zip": lambda d: _zipped(_zipped(d)),
    "parquet": _parquet,
    "gzip of base64": lambda d: gzip.compress(base64.b64encode(d)),
}


@pytest.mark.parametrize("name", ENCODINGS)
def test_values_are_found_in_every_encoding(name, tmp_path):
    """An address and a marker are found, and no finding repeats a value."""
    file = tmp_path / "f"
    file.write_bytes(ENCODINGS[name](CLEAR + b" " + MARK.encode()))
    found = scan_paths([tmp_path], known_values=[MARK])
    assert {"email", "known_value"} <= {finding.class_name for finding in found}
    printed = json.dumps([finding.to_dict() for finding in found])
    assert "ann.lee" not in printed
    assert MARK not in printed


def test_noise_is_clean(tmp_path):
    """Random bytes, digests in hex and base64 give no finding."""
    noise = random.Random(1)
    (tmp_path / "bytes").write_bytes(noise.randbytes(600_000))
    digests = [noise.randbytes(32) for _ in range(1_000)]
    (tmp_path / "hex").write_text("\n".join(d.hex() for d in digests))
    (tmp_path / "b64").write_text("\n".join(base64.b64encode(d).decode() for d in digests))
    assert scan_paths([tmp_path]) == []


def test_many_escapes_cost_linear_time():
    """A megabyte of escapes and of at-signs is scanned without piling up."""
    began = time.process_time()
    for text in (b"%41" * 200_000, b"\\u0041" * 100_000, b"a@" * 200_000, b"+1 " * 200_000):
        assert scan_bytes(text) == []
    assert time.process_time() - began < 20


def test_each_value_in_a_long_file_counts_once(tmp_path):
    """Window borders neither lose nor double a value; the offset is the first one's."""
    file = tmp_path / "long"
    file.write_bytes(b"x " * 500 + (ADDRESS + b"\n") * 60_000)
    [finding] = scan_paths([file])
    assert (finding.count, finding.offset, finding.encoding) == (60_000, 1_000, "raw")


def test_lines_are_reported_by_number(tmp_path):
    """Only lines with a finding are listed, and escapes in JSON do not hide one."""
    file = tmp_path / "v.jsonl"
    file.write_text('{"a": 1}\n{"a": "x\\u0040example.com"}\n4111 1111 1111 1111\n')
    assert list(scan_values(file)) == [
        {"line": 2, "findings": ["email"]},
        {"line": 3, "findings": ["credit_card"]},
    ]


def test_what_cannot_be_read_is_not_clean(tmp_path):
    """A missing file and a damaged archive are errors."""
    with pytest.raises(ConfigError) as caught:
        scan_paths([tmp_path / "absent"])
    assert caught.value.code == "unreadable"
    data = bytearray(_zipped(bytes(random.Random(2).randbytes(5_000))))
    data[100:140] = bytes(40)
    (tmp_path / "bad.zip").write_bytes(data)
    with pytest.raises(ConfigError):
        scan_paths([tmp_path / "bad.zip"])
    (tmp_path / "cut.gz").write_bytes(gzip.compress(random.Random(3).randbytes(5_000))[:2_000])
    with pytest.raises(ConfigError):
        scan_paths([tmp_path / "cut.gz"])
