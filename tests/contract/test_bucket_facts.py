"""What a bucket keeps of what is deleted, asked as its provider documents it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

import moto_s3
from buckets import ACCESS_KEY, BUCKET, SECRET_KEY, TOKEN, Bucket, bucket_service
from mayfly.adapters.bucket_facts import BucketFacts, bucket_region, read_bucket
from mayfly.adapters.buckets import bucket_hosts, open_bucket
from mayfly.adapters.egress import allow_hosts
from mayfly.domain.errors import EngineError
from mayfly.domain.settings import BucketSettings, SecretRef

DAY_SECONDS = 86_400
KINDS = pytest.mark.parametrize("kind", ["s3", "gcs"])
Kind = Literal["s3", "gcs"]
SECRETS = {"access_key_id": ACCESS_KEY, "secret_access_key": SECRET_KEY, "access_token": TOKEN}


@pytest.fixture
def bucket() -> Iterator[Bucket]:
    """An empty bucket on loopback."""
    with bucket_service() as found:
        yield found


def settings_of(kind: Kind, bucket: Bucket, *names: str) -> BucketSettings:
    """Of that bucket, with secrets of those names."""
    usual = ("access_token",) if kind == "gcs" else ("access_key_id", "secret_access_key")
    return BucketSettings(
        type=kind,
        bucket=BUCKET,
        region="eu-west-1",
        endpoint=bucket.address,
        credentials={name: SecretRef(kind="env", name=name) for name in names or usual},
    )


def asked(kind: Kind, bucket: Bucket, reveal: Callable[[str], str] = SECRETS.__getitem__) -> Any:
    """What is told of it; the code where there is an error, whose text tells nothing."""
    code, found = "", None
    with allow_hosts({"127.0.0.1"}):
        try:
            found = read_bucket(settings_of(kind, bucket), lambda secret: reveal(secret.name))
        except EngineError as error:
            code, text = error.code, f"{error} {error.hint}"
            told = error.__context__ is None or error.__suppress_context__
    assert not code or (told and "marked" not in text)
    return code or found


@pytest.mark.parametrize(
    ("versioning", "lock", "facts"),
    [
        ("", "", BucketFacts(versioned=False)),
        ("Suspended", "", BucketFacts(versioned=False)),
        ("Enabled", "", BucketFacts(versioned=True)),
        ("Enabled", "<Days>40</Days>", BucketFacts(versioned=True, lock_seconds=40 * DAY_SECONDS)),
        (
            "Enabled",
            "<Years>1</Years>",
            BucketFacts(versioned=True, lock_seconds=365 * DAY_SECONDS),
        ),
    ],
)
def test_s3_tells_versions_and_locks(
    bucket: Bucket, versioning: str, lock: str, facts: BucketFacts
) -> None:
    """In signed requests of its own; nothing in the bucket is asked for."""
    bucket.versioning, bucket.lock = versioning, lock
    assert asked("s3", bucket) == facts
    assert [path.partition("?")[2] for _, path in bucket.requests] == ["versioning", "object-lock"]


@pytest.mark.parametrize(
    ("about", "expected"),
    [
        ({}, {}),
        ({"versioning": {"enabled": True}}, {"versioned": True}),
        ({"versioning": {"enabled": False}}, {}),
        (
            {"softDeletePolicy": {"retentionDurationSeconds": "604800"}},
            {"soft_delete_seconds": 604_800},
        ),
        ({"softDeletePolicy": {"retentionDurationSeconds": "0"}}, {}),
        ({"retentionPolicy": {"retentionPeriod": "86400"}}, {"lock_seconds": DAY_SECONDS}),
        ({"defaultEventBasedHold": True}, {"lock_seconds": None}),
    ],
)
def test_google_tells_what_it_keeps_and_where(
    bucket: Bucket, about: dict[str, object], expected: dict[str, Any]
) -> None:
    """In one request."""
    bucket.about |= about
    facts = BucketFacts(**{"versioned": False, "location": "europe-west1", **expected})
    assert asked("gcs", bucket) == facts
    assert len(bucket.requests) == 1


@KINDS
@pytest.mark.parametrize("status", [403, 404, 400, 302, 429, 500, 503])
def test_what_is_not_told_is_unknown(bucket: Bucket, kind: Kind, status: int) -> None:
    """Never taken for a bucket that keeps nothing."""
    bucket.about_status = status
    assert asked(kind, bucket) == "bucket_unknown"


def test_locks_that_are_not_told_are_unknown(bucket: Bucket) -> None:
    """Where the right to read versions is there, and that to read locks is not."""
    bucket.lock_status = 403
    assert asked("s3", bucket) == "bucket_unknown"


@KINDS
def test_no_redirect_is_followed(bucket: Bucket, kind: Kind) -> None:
    """Neither with credentials nor without."""
    with bucket_service() as other:
        for bucket.status in (301, 302, 307, 308):
            bucket.location = f"{other.address}/{BUCKET}?versioning"
            assert asked(kind, bucket) == "bucket_unknown"
        assert other.requests == other.unsigned == []


@KINDS
def test_without_an_answer_it_is_unknown(bucket: Bucket, kind: Kind) -> None:
    """Nobody listens there."""
    bucket.address = "http://127.0.0.1:1"
    assert asked(kind, bucket) == "bucket_unknown"


@pytest.mark.parametrize("about", [{"location": None, "versioning": "marked-7f3a"}, {}])
def test_an_answer_of_another_form_is_none(bucket: Bucket, about: dict[str, object]) -> None:
    """Of Google's interface."""
    bucket.about = about
    assert asked("gcs", bucket) == "bucket_unknown"


@KINDS
def test_wrong_credentials_are_no_answer(bucket: Bucket, kind: Kind) -> None:
    """The service checks them, so that good ones are known to be used."""
    assert asked(kind, bucket, lambda name: "marked-7f3a") == "bucket_unknown"
    assert bucket.requests == []


@KINDS
def test_without_the_library_it_is_unknown(
    bucket: Bucket, kind: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One is told which extra has it."""
    for module in ("botocore.config", "google.auth.transport.requests"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(EngineError) as caught:
        read_bucket(settings_of(kind, bucket), lambda reference: SECRETS[reference.name])
    assert caught.value.code == "bucket_unknown"
    assert ("aws" if kind == "s3" else "gcp") in caught.value.hint


@KINDS
def test_a_host_on_no_list_is_not_asked(bucket: Bucket, kind: Kind) -> None:
    """These libraries' sockets are Python's."""
    settings = settings_of(kind, bucket)
    with allow_hosts({"storage.test"}), pytest.raises(EngineError):
        read_bucket(settings, lambda reference: SECRETS[reference.name])
    assert bucket.requests == bucket.unsigned == []


def service_account(bucket: Bucket) -> str:
    """The key, as JSON, of one that may do everything there."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    bucket.account_key = key.public_key()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    account = {
        "type": "service_account",
        "client_email": "held@shop.iam.gserviceaccount.com",
        "private_key_id": "1",
        "private_key": pem,
        "token_uri": "http://127.0.0.1:1/token",
    }
    return json.dumps(account)


def test_a_service_account_signs_for_itself(bucket: Bucket) -> None:
    """Its key is enough for objects and questions: no token is fetched elsewhere."""
    account = service_account(bucket)
    settings = settings_of("gcs", bucket, "service_account_key")
    with allow_hosts({"127.0.0.1"}):
        opened = open_bucket(settings, lambda reference: account)
        opened.put("a.spool", b"sealed")
        assert opened.get("a.spool", 10) == b"sealed"
        facts = read_bucket(settings, lambda reference: account)
    assert facts.location == "europe-west1"
    for broken in ("marked-7f3a", "{}", '{"private_key": "marked-7f3a"}'):
        with pytest.raises(EngineError) as caught:
            read_bucket(settings, lambda reference, broken=broken: broken)  # type: ignore[misc]
        assert caught.value.code == "bucket_unknown"
        assert "marked" not in f"{caught.value} {caught.value.hint}"


@KINDS
def test_the_machine_s_own_credentials(
    bucket: Bucket, kind: Kind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the settings name none: variables of Amazon's tools, a file of Google's."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
    monkeypatch.delenv("AWS_SESSION_TOKEN", raising=False)
    (tmp_path / "account.json").write_text(service_account(bucket))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "account.json"))
    settings = replace(settings_of(kind, bucket), credentials={})
    opened = open_bucket(settings, lambda reference: pytest.fail("no secret is named"))
    opened.put("a.spool", b"sealed")
    assert opened.names() == ["a.spool"]


def test_hosts_are_those_of_the_service_and_of_credentials(bucket: Bucket) -> None:
    """Of these only where the machine's own are taken; loopback alone in tests."""
    own = {"bucket": BUCKET, "region": "eu-west-1"}
    given = {"credentials": {"access_token": SecretRef(kind="env", name="T")}}
    amazon = bucket_hosts(BucketSettings(type="s3", **own))
    assert {"s3.eu-west-1.amazonaws.com", "sts.eu-west-1.amazonaws.com"} < amazon
    google = bucket_hosts(BucketSettings(type="gcs", **own))
    assert {"storage.googleapis.com", "oauth2.googleapis.com"} < google
    for kind, host in (("s3", "s3.eu-west-1.amazonaws.com"), ("gcs", "storage.googleapis.com")):
        named = BucketSettings(type=kind, **own, **given)  # type: ignore[arg-type]
        assert bucket_hosts(named) == {host}
    assert bucket_hosts(settings_of("s3", bucket)) == {"127.0.0.1"}


def test_a_bucket_tells_its_region(bucket: Bucket) -> None:
    """Of S3 wherever the settings say that it is, and to who may only list it; of Google, too."""
    with moto_s3.moto_s3() as moto:
        key, secret = moto.user("s3:ListBucket", "s3:HeadBucket")
        given = {"access_key_id": key, "secret_access_key": secret}
        amazon = BucketSettings(
            type="s3",
            bucket=moto_s3.BUCKET,
            region="eu-central-1",
            endpoint=moto.url,
            credentials={name: SecretRef(kind="env", name=name) for name in given},
        )
        with allow_hosts({"127.0.0.1"}):
            assert bucket_region(amazon, lambda secret: given[secret.name]) == moto_s3.REGION
            gone = replace(amazon, bucket="no-such-bucket")
            with pytest.raises(EngineError) as told:
                bucket_region(gone, lambda secret: given[secret.name])
            assert told.value.code == "bucket_unknown"
            google = settings_of("gcs", bucket)
            assert bucket_region(google, lambda secret: SECRETS[secret.name]) == "europe-west1"
