"""A bucket service on loopback that checks what it is asked: S3 and Google Cloud Storage.

Both speak XML over the same few requests. Signatures of S3 (Signature Version 4) and the digest of
its bodies are computed anew; Google's bearer token is compared.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit
from xml.sax.saxutils import escape, unescape

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256

ACCESS_KEY, SECRET_KEY, TOKEN = "AKIATEST", "not-a-secret", "not-a-token"
BUCKET = "held-eu"
_JSON = "/storage/v1/b/"


class Bucket:
    """What the service holds, and how it behaves.

    Attributes:
        objects: by their names.
        requests: method and target of each request that was signed well.
        unsigned: method and body of each other request.
        careless: a request that was not signed is answered all the same, as if it was done.
        told: names of the headers of each such request.
        status: what every request is answered with from now on; 0 is the right answer.
        removals_only: of the requests, only removals are answered so.
        location: where it says that one should go instead, with a status of 307.
        page: how many names a listing gives at once.
        versioning: status of versions as S3 says it; empty where they never were on.
        lock: a default retention as S3 says it, such as `<Days>40</Days>`; empty where none is.
        about: what Google's JSON interface says of the bucket.
        about_status: what questions about the bucket are answered with; 0 is the right answer.
        lock_status: the same of the question about locks alone.
        conflict: a put only where there is none is told that another one is under way.
        account_key: whose signature is a right to everything, as a service account's is.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self.objects: dict[str, bytes] = {}
        self.requests: list[tuple[str, str]] = []
        self.unsigned: list[tuple[str, bytes]] = []
        self.careless = self.removals_only = False
        self.told: list[set[str]] = []
        self.status = 0
        self.location = ""
        self.page = 3
        self.versioning = ""
        self.lock = ""
        self.about: dict[str, object] = {"location": "EUROPE-WEST1"}
        self.about_status = self.lock_status = 0
        self.conflict = False
        self.account_key: RSAPublicKey | None = None


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
        if self._bucket().conflict and self.headers["If-None-Match"]:
            self._answer(409, b"<Error><Code>ConditionalRequestConflict</Code></Error>")
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
        if self._is_about():
            self._tell_about()
            return
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

    def _is_about(self) -> bool:
        asked = {"versioning", "object-lock"} & self._query().keys()
        return bool(asked) or urlsplit(self.path).path == f"{_JSON}{BUCKET}"

    def _tell_about(self) -> None:
        """GetBucketVersioning and GetObjectLockConfiguration of S3, buckets.get of Google."""
        bucket, query = self._bucket(), self._query()
        if bucket.about_status:
            self._answer(bucket.about_status, b"<Error><Code>marked-7f3a</Code></Error>")
        elif "object-lock" in query and bucket.lock_status:
            self._answer(bucket.lock_status, b"<Error><Code>AccessDenied</Code></Error>")
        elif "versioning" in query:
            status = f"<Status>{bucket.versioning}</Status>" if bucket.versioning else ""
            self._answer(
                200, f"<VersioningConfiguration>{status}</VersioningConfiguration>".encode()
            )
        elif "object-lock" in query and not bucket.lock:
            code = "ObjectLockConfigurationNotFoundError"
            self._answer(404, f"<Error><Code>{code}</Code></Error>".encode())
        elif "object-lock" in query:
            rule = f"<DefaultRetention><Mode>GOVERNANCE</Mode>{bucket.lock}</DefaultRetention>"
            self._answer(
                200,
                "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled>"
                f"<Rule>{rule}</Rule></ObjectLockConfiguration>".encode(),
            )
        else:
            fields = query["fields"].split(",")
            found = {key: value for key, value in bucket.about.items() if key in fields}
            self._answer(200, json.dumps(found).encode())

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
            good = signed == f"Bearer {TOKEN}" or self._is_accounts(signed[7:])
        else:
            good = self._is_signed(signed, body)
        if not good:
            bucket.unsigned.append((self.command, body))
            bucket.told.append({name.lower() for name in self.headers})
            if bucket.careless:
                self._answer(200 if self.command == "GET" else 204)
                return True
            self._answer(403, b"<Error><Code>SignatureDoesNotMatch</Code></Error>")
            return True
        bucket.requests.append((self.command, self.path))
        if bucket.status and (self.command in ("DELETE", "POST") or not bucket.removals_only):
            place = {"Location": bucket.location} if bucket.location else {}
            self._answer(bucket.status, b"<Error><Message>marked-7f3a</Message></Error>", place)
            return True
        path = unquote(urlsplit(self.path).path)
        if path.removeprefix(_JSON).lstrip("/").split("/")[0] != BUCKET:
            self._answer(404, b"<Error><Code>NoSuchBucket</Code></Error>")
            return True
        return False

    def _is_accounts(self, token: str) -> bool:
        """Whether a token was signed (RS256) by the service account for this service."""
        key, (text, _, signature) = self._bucket().account_key, token.rpartition(".")
        if key is None:
            return False
        try:
            key.verify(_decoded(signature), text.encode(), PKCS1v15(), SHA256())
        except InvalidSignature:
            return False
        claims = json.loads(_decoded(text.partition(".")[2]))
        for_us = claims.get("aud") == "https://storage.googleapis.com/"
        return for_us or str(claims.get("scope", "")).startswith("https://www.googleapis.com/auth/")

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


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
