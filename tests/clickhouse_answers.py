"""Answers of ClickHouse's HTTP interface in tests: heads, pieces, and errors wherever they come."""

from __future__ import annotations

import re
import uuid
from typing import BinaryIO

BUFFER = 1 << 20
"""Bytes of an answer that are held back before its head goes out."""
_CODE = re.compile(r"Code: (\d+)\.")
_STATUS = {
    **dict.fromkeys((194,), 401),
    **dict.fromkeys((192, 193, 516, 497, 512), 403),
    **dict.fromkeys((36, 427, 6, 25, 26, 38, 41, 72, 676, 675, 376, 27, 15, 44, 8, 90, 91, 167,
                     168, 223, 62, 117, 53, 321), 400),
    **dict.fromkeys((60, 46, 47, 50, 56, 81, 115, 63, 73, 78, 511), 404),
    **dict.fromkeys((209, 76, 439), 503),
    159: 408,
    48: 501,
}  # fmt: skip


class Answer:
    """What goes back for one request.

    Args:
        out: to the client.
        whole: whether nothing goes out before the end.
        tagged: see `clickhouse_sessions.Settings`.
        version: of the engine.
        zone: of the engine's times.
    """

    def __init__(
        self, out: BinaryIO, *, whole: bool, tagged: bool, version: str, zone: str
    ) -> None:
        self._out = out
        self._whole = whole
        self._tagged = tagged
        self._version = version
        self._zone = zone
        self.broken = False
        self._held = bytearray()
        self._begun = self._headed = False
        self._tag = uuid.uuid4().hex[:16]
        self.headers = {"X-ClickHouse-Query-Id": str(uuid.uuid4())}

    def progress(self, text: str) -> None:
        """A header, before all others are written."""
        if not self._headed:
            self._begin(200)
            self._raw(f"X-ClickHouse-Progress: {text}\r\n".encode())

    def write(self, data: bytes) -> None:
        """Some of the body."""
        self._held += data
        if len(self._held) > BUFFER and not self._whole:
            self._flush()

    def end(self) -> None:
        """All of it was written."""
        self._flush()
        self._raw(b"0\r\n\r\n")

    def fail(self, text: str) -> None:
        """An error, wherever the answer is."""
        code = _CODE.search(text)
        number = int(code.group(1)) if code else 1002
        body = f"{text.strip()} (version {self._version} (official build))\n".encode()
        if self._headed:
            self._fail_midway(body)
            return
        self._held = bytearray(body)
        self.headers |= {
            "X-ClickHouse-Exception-Code": str(number),
            "Content-Type": "text/plain; charset=UTF-8",
        }
        if self._begun:
            # The status went out before the error was known.
            self._raw(f"X-ClickHouse-Exception-Code: {number}\r\n".encode())
        self._flush(_STATUS.get(number, 500))
        self._raw(b"0\r\n\r\n")

    def _fail_midway(self, body: bytes) -> None:
        """The body breaks off: its last piece never comes."""
        if self._tagged:
            tag = self._tag.encode()
            body = (
                b"\r\n__exception__\r\n" + tag + b"\r\n" + body
                + str(len(body)).encode() + b" " + tag + b"\r\n__exception__\r\n"
            )  # fmt: skip
        else:
            body = b"__exception__\r\n" + body
        self._held += body
        self._flush()
        self.broken = True

    def _flush(self, status: int = 200) -> None:
        if not self._headed:
            self._begin(status)
            self._raw(b'X-ClickHouse-Summary: {"read_rows":"0"}\r\n\r\n')
            self._headed = True
        if self._held:
            self._raw(f"{len(self._held):x}\r\n".encode() + bytes(self._held) + b"\r\n")
            self._held.clear()

    def _begin(self, status: int) -> None:
        if self._begun:
            return
        self._begun = True
        lines = {
            "Connection": "Keep-Alive",
            "Content-Type": "text/plain; charset=UTF-8",
            "Transfer-Encoding": "chunked",
            "X-ClickHouse-Server-Display-Name": "test",
            "X-ClickHouse-Timezone": self._zone,
            **({"X-ClickHouse-Exception-Tag": self._tag} if self._tagged else {}),
            **self.headers,
        }
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        self._raw(f"HTTP/1.1 {status} Status\r\n{head}".encode())

    def _raw(self, data: bytes) -> None:
        self._out.write(data)
