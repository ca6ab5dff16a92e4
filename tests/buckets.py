"""A bucket service on loopback that checks what it is asked: S3 and Google Cloud Storage.

Both speak XML over the same few requests. Signatures of S3 (Signature Version 4) and the digest of
its bodies are computed anew; Google's bearer token is compared.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit
from xml.sax.saxutils import escape, unescape

ACCESS_KEY, SECRET_KEY, TOKEN = "AKIATEST", "not-a-secret", "not-a-token"
BUCKET = "held-eu"


class Bucket:
    """What the service holds, and how it behaves.

    Attributes:
        objects: by their names.
        requests: method and target of each request that was signed well.
        unsigned: method and body of each other request.
        status: what every request is answered with from now on; 0 is the right answer.
        location: where it says that one should go instead, with a status of 307.
        page: how many names a listing gives at once.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self.objects: dict[str, bytes] = {}
        self.requests: list[tuple[str, str]] = []
        self.unsigned: list[tuple[str, bytes]] = []
        self.status = 0
        self.location = ""
        self.page = 3


@contextmanager
def bucket_service() -> Iterator[Bucket]:
    """A service with one empty bucket; it ends with the block."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    bucket = Bucket(f"http://127.0.0.1:{server.server_address[1]}")
    server.bucket = bucket
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield bucket
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args: Any) -> None:
        """Say nothing."""

    def do_PUT(self) -> None:
        body = self._body()
        if self._refused(body):
            return
        if self._name() is None or self._query():
            self._answer(400)
            return
        if self._is_taken():
            self._answer(412, b"<Error><Code>PreconditionFailed</Code></Error>")
            return
        self._bucket().objects[str(self._name())] = body
        self._answer(200, headers={"ETag": f'"{hashlib.md5(body).hexdigest()}"'})

    def do_GET(self) -> None:
        if self._refused(b""):
            return
        name = self._name()
        if name is None:
            self._list()
            return
        found = self._bucket().objects.get(name)
        if found is None:
            self._answer(404, b"<Error><Code>NoSuchKey</Code></Error>")
            return
        self._answer(
            200,
            found,
            {
                "ETag": f'"{hashlib.md5(found).hexdigest()}"',
                "Last-Modified": "Sat, 28 Nov 2026 12:00:00 GMT",
            },
        )

    def do_DELETE(self) -> None:
        if self._refused(b""):
            return
        found = self._bucket().objects.pop(str(self._name()), None)
        # Google says that there was nothing, S3 does not.
        google = self.headers["Authorization"].startswith("Bearer")
        self._answer(404 if google and found is None else 204)

    def do_POST(self) -> None:
        """Names to remove, of S3 alone; those that are not there count as removed."""
        body = self._body()
        if self._refused(body):
            return
        if self._query() != {"delete": ""} or self.headers["Authorization"].startswith("Bearer"):
            self._answer(400)
            return
        names = [unescape(name) for name in re.findall(r"<Key>(.*?)</Key>", body.decode())]
        for name in names:
            self._bucket().objects.pop(name, None)
        done = "".join(f"<Deleted><Key>{escape(name)}</Key></Deleted>" for name in names)
        self._answer(200, f"<DeleteResult>{done}</DeleteResult>".encode())

    def _list(self) -> None:
        query, bucket = self._query(), self._bucket()
        if query.get("list-type") != "2":
            self._answer(400)
            return
        start = query.get("continuation-token", "")
        names = sorted(n for n in bucket.objects if n.startswith(query.get("prefix", "")))
        rest = [n for n in names if n > start]
        page = rest[: bucket.page]
        more = len(rest) > len(page)
        entries = "".join(
            f"<Contents><Key>{escape(n)}</Key><Size>{len(bucket.objects[n])}</Size>"
            "<LastModified>2026-11-28T12:00:00.000Z</LastModified><ETag>x</ETag></Contents>"
            for n in page
        )
        token = f"<NextContinuationToken>{escape(page[-1])}</NextContinuationToken>" if more else ""
        self._answer(
            200,
            (
                f"<ListBucketResult><IsTruncated>{str(more).lower()}</IsTruncated>"
                f"{entries}{token}</ListBucketResult>"
            ).encode(),
        )

    def _refused(self, body: bytes) -> bool:
        """Answer a request that is not of the bucket, not signed, or not to be answered now."""
        bucket = self._bucket()
        signed = self.headers.get("Authorization", "")
        if signed.startswith("Bearer "):
            good = signed == f"Bearer {TOKEN}"
        else:
            good = self._is_signed(signed, body)
        if not good:
            bucket.unsigned.append((self.command, body))
            self._answer(403, b"<Error><Code>SignatureDoesNotMatch</Code></Error>")
            return True
        bucket.requests.append((self.command, self.path))
        if bucket.status:
            place = {"Location": bucket.location} if bucket.location else {}
            self._answer(bucket.status, b"<Error><Message>marked-7f3a</Message></Error>", place)
            return True
        if unquote(urlsplit(self.path).path).split("/")[1] != BUCKET:
            self._answer(404, b"<Error><Code>NoSuchBucket</Code></Error>")
            return True
        return False

    def _is_signed(self, authorization: str, body: bytes) -> bool:
        if not authorization.startswith("AWS4-HMAC-SHA256 "):
            return False
        parts = dict(p.strip().split("=", 1) for p in authorization[17:].split(","))
        access, day, region, service, end = parts["Credential"].split("/")
        digest = self.headers["x-amz-content-sha256"]
        if access != ACCESS_KEY or digest not in (
            "UNSIGNED-PAYLOAD",
            hashlib.sha256(body).hexdigest(),
        ):
            return False
        names = parts["SignedHeaders"].split(";")
        address = urlsplit(self.path)
        pairs = sorted(parse_qsl(address.query, keep_blank_values=True))
        canonical = "\n".join(
            (
                self.command,
                address.path,
                "&".join(f"{quote(k, safe='-_.~')}={quote(v, safe='-_.~')}" for k, v in pairs),
                *(f"{n}:{' '.join(self.headers[n].split())}" for n in names),
                "",
                parts["SignedHeaders"],
                digest,
            )
        )
        scope = f"{day}/{region}/{service}/{end}"
        text = "\n".join(
            (
                "AWS4-HMAC-SHA256",
                self.headers["x-amz-date"],
                scope,
                hashlib.sha256(canonical.encode()).hexdigest(),
            )
        )
        key = f"AWS4{SECRET_KEY}".encode()
        for part in (day, region, service, end, text):
            key = hmac.digest(key, part.encode(), "sha256")
        return {"host", "x-amz-date"} <= set(names) and key.hex() == parts["Signature"]

    def _is_taken(self) -> bool:
        """Whether the object is there and is to be put only where there is none."""
        google = self.headers["Authorization"].startswith("Bearer")
        name, value = ("x-goog-if-generation-match", "0") if google else ("If-None-Match", "*")
        return self.headers[name] == value and self._name() in self._bucket().objects

    def _bucket(self) -> Bucket:
        bucket = self.server.bucket
        assert isinstance(bucket, Bucket)
        return bucket

    def _name(self) -> str | None:
        """Name of the object; None where the request is about the bucket."""
        parts = unquote(urlsplit(self.path).path).split("/", 2)
        return parts[2] if len(parts) == 3 and parts[2] else None

    def _query(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length", "0")))

    def _answer(
        self, status: int, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
