"""Parts of the places of files that need no server."""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import Sequence
from typing import Any

import orjson
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubspot_world import Token
from mayfly.connectors.destinations import gcs, s3, s3_requests
from mayfly.connectors.destinations.batch_files import Written
from mayfly.connectors.destinations.batch_objects import Found, Objects
from mayfly.connectors.destinations.file_formats import file_bytes
from mayfly.connectors.destinations.sftp_session import _algorithms
from mayfly.domain.errors import ConfigError, ContractError, EngineError, TransientError
from mayfly.ports.http import HttpReply

# What Amazon's list of error codes says of the requests that are made, with their statuses.
S3_ANSWERS: list[tuple[int, str, type[EngineError], str]] = [
    (400, "AuthorizationHeaderMalformed", ConfigError, "bucket_elsewhere"),
    (400, "BadDigest", ContractError, "unknown_answer"),
    (400, "EntityTooLarge", ContractError, "unknown_answer"),
    (400, "ExpiredToken", ConfigError, "reauthorise"),
    (400, "IllegalLocationConstraintException", ConfigError, "bucket_elsewhere"),
    (400, "IncompleteBody", ContractError, "unknown_answer"),
    (400, "InvalidArgument", ContractError, "unknown_answer"),
    (400, "InvalidBucketName", ContractError, "unknown_answer"),
    (400, "InvalidRequest", ContractError, "unknown_answer"),
    (400, "InvalidToken", ConfigError, "reauthorise"),
    (400, "KMS.DisabledException", ConfigError, "kms_key_refused"),
    (400, "KMS.KMSInvalidStateException", ConfigError, "kms_key_refused"),
    (400, "KMS.NotFoundException", ConfigError, "kms_key_refused"),
    (400, "RequestTimeout", TransientError, "destination_busy"),
    (400, "TokenRefreshRequired", ConfigError, "reauthorise"),
    (400, "XAmzContentSHA256Mismatch", ContractError, "unknown_answer"),
    (301, "PermanentRedirect", ConfigError, "bucket_elsewhere"),
    (301, "", ConfigError, "bucket_elsewhere"),
    (307, "TemporaryRedirect", ContractError, "redirected"),
    (403, "AccessDenied", ConfigError, "reauthorise"),
    (403, "AccountProblem", ConfigError, "reauthorise"),
    (403, "AllAccessDisabled", ConfigError, "reauthorise"),
    (403, "InvalidAccessKeyId", ConfigError, "reauthorise"),
    (403, "RequestTimeTooSkewed", ConfigError, "reauthorise"),
    (403, "SignatureDoesNotMatch", ConfigError, "reauthorise"),
    (404, "NoSuchBucket", ConfigError, "bucket_missing"),
    (405, "MethodNotAllowed", ContractError, "garbage_answer"),
    (409, "ConditionalRequestConflict", TransientError, "destination_busy"),
    (409, "OperationAborted", TransientError, "destination_busy"),
    (411, "MissingContentLength", ContractError, "garbage_answer"),
    (429, "", TransientError, "rate_limited"),
    (500, "InternalError", TransientError, "destination_busy"),
    (501, "NotImplemented", TransientError, "destination_busy"),
    (503, "ServiceUnavailable", TransientError, "destination_busy"),
    (503, "SlowDown", TransientError, "destination_busy"),
]
GCS_ANSWERS: list[tuple[int, str, type[EngineError], str]] = [
    (307, "", ContractError, "redirected"),
    (400, "badRequest", ContractError, "unknown_answer"),
    (400, "invalid", ContractError, "unknown_answer"),
    (400, "required", ContractError, "unknown_answer"),
    (401, "authError", ConfigError, "reauthorise"),
    (401, "required", ConfigError, "reauthorise"),
    (403, "accountDisabled", ConfigError, "reauthorise"),
    (403, "countryBlocked", ConfigError, "reauthorise"),
    (403, "forbidden", ConfigError, "reauthorise"),
    (403, "insufficientPermissions", ConfigError, "reauthorise"),
    (403, "rateLimitExceeded", TransientError, "rate_limited"),
    (403, "userRateLimitExceeded", TransientError, "rate_limited"),
    (404, "notFound", ConfigError, "bucket_missing"),
    (405, "methodNotAllowed", ContractError, "unknown_answer"),
    (408, "uploadBrokenConnection", TransientError, "destination_busy"),
    (409, "conflict", TransientError, "destination_busy"),
    (410, "invalid", TransientError, "destination_busy"),
    (411, "", ContractError, "garbage_answer"),
    (412, "conditionNotMet", TransientError, "destination_busy"),
    (413, "uploadTooLarge", ContractError, "unknown_answer"),
    (429, "rateLimitExceeded", TransientError, "rate_limited"),
    (500, "backendError", TransientError, "destination_busy"),
    (502, "", TransientError, "destination_busy"),
    (503, "backendError", TransientError, "destination_busy"),
    (504, "gatewayTimeout", TransientError, "destination_busy"),
]


@pytest.mark.parametrize(("status", "code", "kind", "ours"), S3_ANSWERS)
def test_what_an_answer_of_s3_means(
    status: int, code: str, kind: type[EngineError], ours: str
) -> None:
    """Each of 35; what it says besides goes nowhere."""
    body = f"<Error><Code>{code}</Code><Message>marked-7f3a</Message></Error>" if code else ""
    error = s3_requests.refusal(HttpReply(status=status, headers={}, body=body.encode()))
    assert (type(error), error.code) == (kind, ours)
    assert "marked" not in f"{error} {error.hint}"


@pytest.mark.parametrize(("status", "reason", "kind", "ours"), GCS_ANSWERS)
def test_what_an_answer_of_google_means(
    status: int, reason: str, kind: type[EngineError], ours: str
) -> None:
    """Each of 25; what it says besides goes nowhere."""
    told = {"error": {"message": "marked-7f3a", "errors": [{"reason": reason}]}}
    body = orjson.dumps(told) if reason else b"marked-7f3a"
    error = gcs.refusal(HttpReply(status=status, headers={}, body=body))
    assert (type(error), error.code) == (kind, ours)
    assert "marked" not in f"{error} {error.hint}"


def test_an_answer_that_does_not_tell_of_the_key_is_refused() -> None:
    """Or tells of another."""
    arn = "arn:aws:kms:eu-west-1:123456789012:key/1"
    headers = {"x-amz-server-side-encryption": "aws:kms"}
    key = "x-amz-server-side-encryption-aws-kms-key-id"
    for told in ({}, headers, {**headers, key: f"{arn}2"}):
        with pytest.raises(ContractError, match="not_encrypted"):
            s3_requests.require_encrypted(HttpReply(status=200, headers=told, body=b""), arn)
    right = HttpReply(status=200, headers={**headers, key: arn}, body=b"")
    s3_requests.require_encrypted(right, arn)
    s3_requests.require_encrypted(HttpReply(status=200, headers={}, body=b""), "")


def test_the_owner_of_a_bucket_is_asked_for_in_every_request() -> None:
    """Amazon refuses what is of another account; the header is signed."""
    sent: list[dict[str, str]] = []

    class Kept:
        async def request(self, method: str, url: str, **rest: Any) -> HttpReply:
            sent.append(rest["headers"])
            told = {"x-amz-bucket-region": "eu-west-1", "etag": "x"}
            return HttpReply(status=200, headers=told, body=b"")

        async def close(self) -> None:
            """Nothing is open."""

    keys = s3_requests.S3Keys(access_key_id=Token("a"), secret_access_key=Token("b"))
    settings = s3.S3Settings(
        bucket="shop", region="eu-west-1", keys=keys, bucket_owner="123456789012"
    )

    async def scenario() -> None:
        bucket = s3.S3Bucket(settings, Kept())
        await bucket.observe()
        await bucket.head("a")
        await bucket.create("a", b"1", rows=1, over=None)
        await bucket.names("a")

    asyncio.run(scenario())
    assert [each["x-amz-expected-bucket-owner"] for each in sent] == ["123456789012"] * 4
    assert all("x-amz-expected-bucket-owner" in each["authorization"] for each in sent)


def test_a_listing_of_s3_is_read_page_by_page() -> None:
    """Names that are not ours are left out."""
    entry = (
        "<Contents><Key>{}</Key><LastModified>2026-11-29T12:00:00.000Z</LastModified></Contents>"
    )
    keys = ("a/s.r.000000.csv", "b/s.r.000000.csv", "a/&lt;odd&gt;")
    text = "".join(map(entry.format, keys))
    more = "<NextContinuationToken>1a+/=</NextContinuationToken>"

    def name_of(key: str) -> str:
        return key.removeprefix("a/") if key.startswith("a/") else ""

    found, following = s3_requests.listed(
        HttpReply(status=200, headers={}, body=f"<R>{text}{more}</R>".encode()), name_of
    )
    assert (found, following) == ([Written(name="s.r.000000.csv", day="2026-11-29")], "1a+/=")
    last = HttpReply(status=200, headers={}, body=b"<R></R>")
    assert s3_requests.listed(last, name_of) == ([], "")


class Vanishing:
    """A bucket in which a name is taken, and nothing is there when one looks."""

    async def observe(self) -> None:
        """Fine."""

    async def head(self, name: str) -> Found | None:
        """Nothing."""
        return None

    async def create(self, name: str, content: bytes, *, rows: int, over: str | None) -> bool:
        """Taken."""
        return False

    async def names(self, start: str) -> Sequence[Written]:
        """None."""
        return []

    async def close(self) -> None:
        """Nothing is open."""


@pytest.mark.parametrize("ask", ["put", "settled"])
def test_an_object_that_somebody_removes_meanwhile_is_asked_for_again(ask: str) -> None:
    """It is neither there nor not."""
    place = Objects(Vanishing())
    call = place.put("a", b"1", 1) if ask == "put" else place.settled("a", b"")
    with pytest.raises(TransientError, match="object_changed"):
        call.send(None)


TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"))


@given(st.lists(st.tuples(TEXTS, st.none() | TEXTS), min_size=1, max_size=8))
def test_every_text_comes_back(rows: list[tuple[str, str | None]]) -> None:
    """From each format, row by row; in CSV nothing and an empty text are told apart by quotes."""
    table = pa.table({"a": [a for a, _ in rows], "b": pa.array([b for _, b in rows], pa.string())})
    content = file_bytes(table, "csv").decode()
    read = list(csv.reader(io.StringIO(content, newline="")))
    assert read == [["a", "b"], *([a, b or ""] for a, b in rows)]
    lines = file_bytes(table, "jsonl").split(b"\n")
    assert [orjson.loads(line) for line in lines[:-1]] == table.to_pylist()
    parquet = pl.read_parquet(io.BytesIO(file_bytes(table, "parquet")))
    assert parquet.to_dicts() == table.to_pylist()


def test_nothing_is_not_an_empty_text() -> None:
    """In CSV."""
    table = pa.table({"id": [1, 2], "b": pa.array(["", None], pa.string())})
    assert file_bytes(table, "csv") == b'id,b\n1,""\n2,\n'


def test_a_server_is_asked_for_the_key_that_is_known() -> None:
    """By signatures without SHA-1; the others follow."""
    asked = _algorithms(["ssh-rsa AAAA"])
    assert asked[:2] == ["rsa-sha2-512", "rsa-sha2-256"]
    assert len(asked) == 6
    assert "ssh-rsa" not in asked
