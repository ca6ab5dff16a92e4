"""What holds for a spool in a bucket alone: where it goes, over what, and how it fails."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from buckets import BUCKET, Bucket, bucket_service
from mayfly.adapters.buckets import gcs_bucket, s3_bucket
from mayfly.adapters.egress import allow_hosts
from mayfly.adapters.spools import objects
from mayfly.adapters.spools.objects import ObjectBlobs
from mayfly.domain.errors import ConfigError, TransientError
from mayfly.domain.retention import Place, retention_of
from mayfly.testing.spool_world import batch, code_of, rows
from spool_worlds import bucket_world, gcs, s3

Place_ = Callable[..., ObjectBlobs]
NAME = "0f0f-0f0f.spool"
BOTH = pytest.mark.parametrize("place", [s3, gcs], ids=["s3", "gcs"])


@pytest.fixture
def bucket() -> Iterator[Bucket]:
    """An empty bucket on loopback."""
    with bucket_service() as found:
        yield found


def calls(blobs: ObjectBlobs) -> list[Callable[[], object]]:
    """Each call of the port."""
    return [
        lambda: blobs.put(NAME, b"sealed" * 100),
        lambda: blobs.get(NAME),
        lambda: list(blobs.names("")),
        lambda: blobs.delete([NAME]),
    ]


@BOTH
def test_another_spool_s_objects_are_left(tmp_path: Path, bucket: Bucket, place: Place_) -> None:
    """A sweep removes what begins with its own id; two machines may share bucket and prefix."""
    one = bucket_world(tmp_path / "one", bucket, lambda: place(bucket))
    two = bucket_world(tmp_path / "two", bucket, lambda: place(bucket))
    one.open().hold(batch(1), rows(1))
    two.open().hold(batch(2), rows(2))
    bucket.objects["spool/eu/report.csv"] = b"the customer's own"
    mine = next(name for name in bucket.objects if name.endswith(".spool"))
    orphan = mine.rsplit("-", 1)[0] + "-" + "0" * 32 + ".spool"
    bucket.objects[orphan] = b"noise"
    assert two.open().sweep() == 0
    assert one.open().sweep() == 1
    assert orphan not in bucket.objects
    assert len(bucket.objects) == 3
    assert (one.open().open(batch(1).id), two.open().open(batch(2).id)) == (rows(1), rows(2))
    assert bucket_world(tmp_path / "three", bucket, lambda: place(bucket)).open().sweep() == 0


@BOTH
def test_names_tell_nothing_and_are_registered(
    tmp_path: Path, bucket: Bucket, place: Place_
) -> None:
    """Prefix, id of the spool, random digits; keys are in no request."""
    world = bucket_world(tmp_path, bucket, lambda: place(bucket))
    world.open().hold(batch(), rows())
    (name,) = bucket.objects
    assert name.startswith("spool/eu/")
    last = name.removeprefix("spool/eu/")
    assert retention_of(Place.BUCKET, last) is not None
    for told in ("shop", "vip", batch().id, "eu-west-1"):
        assert told not in last
    assert world.provider.given[0] not in b"".join(bucket.objects.values())


@BOTH
def test_a_large_batch_is_one_request(bucket: Bucket, place: Place_) -> None:
    """Parts of a larger upload would stay where no listing shows them."""
    sealed = os.urandom(12_000_000)
    place(bucket).put(NAME, sealed)
    assert [method for method, _ in bucket.requests] == ["PUT"]
    assert place(bucket).get(NAME) == sealed


@BOTH
def test_a_listing_of_several_pages(bucket: Bucket, place: Place_) -> None:
    """All pages are read, in order, and only what begins as asked; other prefixes do not count."""
    blobs = place(bucket)
    for number in range(8):
        blobs.put(f"aa-{number}.spool", b"")
    blobs.put("bb-0.spool", b"")
    place(bucket, prefix="spool/eu2").put("aa-9.spool", b"")
    place(bucket, prefix="").put("aa-9.spool", b"")
    assert list(blobs.names("aa-")) == [f"aa-{n}.spool" for n in range(8)]
    assert "aa-9.spool" in list(place(bucket, prefix="").names(""))


@BOTH
def test_what_is_not_there_is_removed_already(bucket: Bucket, place: Place_) -> None:
    """One by one and together with what is there."""
    blobs = place(bucket)
    blobs.put(NAME, b"x")
    blobs.delete(["aa-1.spool", NAME, "aa-2.spool"])
    blobs.delete([NAME])
    blobs.delete([])
    assert bucket.objects == {}
    assert blobs.get(NAME) is None


@BOTH
@pytest.mark.parametrize(
    ("status", "code"),
    [(500, "spool_unavailable"), (503, "spool_unavailable"), (403, "spool_denied")],
)
def test_failures_are_told_in_our_words(
    bucket: Bucket, place: Place_, status: int, code: str
) -> None:
    """Without what the service wrote, addresses or names."""
    bucket.status = status
    for number, call in enumerate(calls(place(bucket))):
        with pytest.raises((ConfigError, TransientError)) as caught:
            call()
        # The library tells every failed listing alike.
        assert caught.value.code == ("spool_unavailable" if number == 2 else code)
        text = f"{caught.value} {caught.value.hint}"
        for told in ("marked", BUCKET, bucket.address, NAME):
            assert told not in text
        assert caught.value.__suppress_context__


@BOTH
def test_a_service_that_is_away(bucket: Bucket, place: Place_) -> None:
    """It may come back; a hold leaves nothing then."""
    away = place(bucket, endpoint="http://127.0.0.1:1")
    assert [code_of(call) for call in calls(away)] == ["spool_unavailable"] * 4


@BOTH
def test_a_bucket_that_is_not_there(
    bucket: Bucket, place: Place_, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Told when something is to be put there; a listing fails and is not taken for an empty one."""
    monkeypatch.setattr("buckets.BUCKET", "another")
    blobs = place(bucket)
    with pytest.raises(ConfigError, match="spool_place_missing"):
        blobs.put(NAME, b"x")
    with pytest.raises(TransientError, match="spool_unavailable"):
        list(blobs.names(""))


@BOTH
def test_wrong_credentials(bucket: Bucket, place: Place_) -> None:
    """The service refuses what it did not sign, so that a signature is known to be checked."""
    names = {s3: ("access_key_id", "secret_access_key"), gcs: ("bearer_token",)}[place]
    blobs = place(bucket, credentials=dict.fromkeys(names, "AKIATEST"))
    put, get, names, delete = (code_of(call) for call in calls(blobs))
    assert {put, get, delete} == {"spool_denied"}
    assert names == "spool_unavailable"
    assert bucket.requests == []
    with pytest.raises(ConfigError, match="bucket_invalid"):
        place(bucket, credentials={"password": "x"})


@BOTH
def test_sealed_bytes_follow_no_redirect(bucket: Bucket, place: Place_) -> None:
    """The library follows some for requests without a body of ours, and takes no credentials."""
    with bucket_service() as other:
        for status in (301, 302, 303, 307, 308):
            bucket.status, bucket.location = status, f"{other.address}/{BUCKET}/x.spool"
            for call in calls(place(bucket)):
                assert code_of(call) in ("spool_unavailable", "spool_denied")
        assert other.requests == []
        assert other.told
        secret = {"authorization", "x-amz-security-token", "cookie"}
        assert not any(names & secret for names in other.told)
        assert not any(b"sealed" in body for _, body in other.unsigned)
        assert all(method != "PUT" for method, _ in other.unsigned)


@BOTH
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_removal_that_was_led_elsewhere_is_not_believed(
    bucket: Bucket, place: Place_, status: int
) -> None:
    """Another host says that it is done; the object is there until the bucket has removed it."""
    blobs = place(bucket)
    blobs.put(NAME, b"sealed")
    with bucket_service() as other:
        other.careless, bucket.removals_only = True, True
        bucket.status, bucket.location = status, f"{other.address}/{BUCKET}/x.spool"
        assert code_of(lambda: blobs.delete([NAME])) == "spool_unavailable"
        assert len(bucket.objects) == 1
    bucket.status = 0
    blobs.delete([NAME])
    assert bucket.objects == {}


@BOTH
def test_the_environment_moves_nothing(
    bucket: Bucket, place: Place_, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library reads addresses and more from it; ours go before."""
    with bucket_service() as other:
        for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT", "GOOGLE_BASE_URL"):
            monkeypatch.setenv(name, other.address)
        for name in ("AWS_SKIP_SIGNATURE", "GOOGLE_SKIP_SIGNATURE", "AWS_UNSIGNED_PAYLOAD"):
            monkeypatch.setenv(name, "true")
        monkeypatch.setenv("AWS_VIRTUAL_HOSTED_STYLE_REQUEST", "true")
        for name in ("AWS_BUCKET", "AWS_BUCKET_NAME", "GOOGLE_BUCKET", "AWS_REGION"):
            monkeypatch.setenv(name, "another")
        place(bucket).put(NAME, b"x")
        assert list(bucket.objects) == [f"spool/eu/{NAME}"]
        assert other.requests == other.unsigned == []


@BOTH
@pytest.mark.parametrize("name", ["HTTP_PROXY", "https_proxy", "ALL_PROXY"])
def test_a_proxy_is_refused(bucket: Bucket, place: Place_, name: str) -> None:
    """The library would use it unasked."""
    for call in calls(place(bucket, env={name: "http://127.0.0.1:1"})):
        assert code_of(call) == "bucket_proxy_set"
    assert bucket.requests == bucket.unsigned == []
    place(bucket, env={name: ""}).put(NAME, b"x")


@BOTH
@pytest.mark.parametrize(
    "endpoint",
    [
        "http://storage.test",
        "http://127.0.0.1.storage.test",
        "http://127.0.0.1@storage.test",
        "ftp://storage.test",
        "https://",
        "https://storage.test/path",
        "storage.test",
    ],
)
def test_only_tls_off_loopback(bucket: Bucket, place: Place_, endpoint: str) -> None:
    """And no other form of an address."""
    with pytest.raises(ConfigError, match="bucket_invalid"):
        place(bucket, endpoint=endpoint)
    assert "//storage.test/" in place(bucket, endpoint="https://storage.test").place


@pytest.mark.parametrize(
    "other",
    [{"prefix": "/a"}, {"prefix": "a/"}, {"prefix": "a//b"}, {"prefix": ".."}, {"region": "a/b"}],
)
def test_other_forms_are_refused(bucket: Bucket, other: dict[str, Any]) -> None:
    """Of prefix and region, and of a bucket's name."""
    with pytest.raises(ConfigError, match="bucket_invalid"):
        s3(bucket, **other)
    for name in ("", "a/b", "UPPER", "a b"):
        with pytest.raises(ConfigError, match="bucket_invalid"):
            gcs_bucket(name, env={})


def test_the_vendors_own_addresses() -> None:
    """Where none is given; the host is known for the list of hosts."""
    amazon = s3_bucket("held-eu", region="eu-west-1")
    google = gcs_bucket("held-eu", prefix="p")
    assert amazon.host == "s3.eu-west-1.amazonaws.com"
    assert amazon.place == "s3://s3.eu-west-1.amazonaws.com/held-eu/"
    assert google.host == "storage.googleapis.com"
    assert google.place == "gs://storage.googleapis.com/held-eu/p"
    assert repr(amazon) == repr(google) == "Bucket()"
    assert repr(ObjectBlobs(amazon)) == "ObjectBlobs()"


@BOTH
def test_without_the_package(
    bucket: Bucket, place: Place_, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One is told how to install it; importing Mayfly needs none of it."""
    monkeypatch.setitem(sys.modules, "obstore.store", None)
    for call in calls(place(bucket)):
        with pytest.raises(ConfigError) as caught:
            call()
        assert caught.value.code == "driver_missing"
        assert "mayfly-data[objects]" in caught.value.hint


@BOTH
def test_a_host_that_is_on_no_list_is_refused(bucket: Bucket, place: Place_) -> None:
    """The library's sockets are not Python's: the guard is asked before each request."""
    with allow_hosts({"storage.test"}):
        assert [code_of(call) for call in calls(place(bucket))] == ["host_not_allowed"] * 4
    assert bucket.requests == bucket.unsigned == []
    with allow_hosts({"127.0.0.1"}):
        place(bucket).put(NAME, b"x")


def test_a_key_that_is_none_is_told_without_it(bucket: Bucket) -> None:
    """Of a service account."""
    blobs = gcs(bucket, credentials={"service_account_key": '{"private_key": "marked-7f3a"}'})
    for call in calls(blobs):
        with pytest.raises(ConfigError) as caught:
            call()
        assert caught.value.code == "bucket_credentials"
        assert "marked" not in f"{caught.value} {caught.value.hint}"
        assert caught.value.__suppress_context__


@BOTH
def test_an_object_that_is_too_large_is_not_read(
    bucket: Bucket, place: Place_, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is none of ours."""
    blobs = place(bucket)
    blobs.put(NAME, b"x" * 11)
    monkeypatch.setattr(objects, "BLOB_BYTES_MAX", 10)
    assert blobs.get(NAME) is None
    monkeypatch.setattr(objects, "BLOB_BYTES_MAX", 11)
    assert blobs.get(NAME) == b"x" * 11


@BOTH
def test_a_batch_that_could_not_be_put(tmp_path: Path, bucket: Bucket, place: Place_) -> None:
    """The bucket fails in the middle of a hold: no key stays, and a late arrival is swept."""
    world = bucket_world(tmp_path, bucket, lambda: place(bucket))
    world.open().hold(batch(1), rows())
    (name,) = bucket.objects
    bucket.status = 503
    assert code_of(world.open().hold, batch(2), rows()) == "spool_unavailable"
    assert [held.batch for held in world.open().held()] == [1]
    assert world.keys_found() == [world.provider.given[0]]
    bucket.status = 0
    bucket.objects[name[:-12] + "0" * 6 + ".spool"] = b"late"
    assert world.open().sweep() == 2  # the row whose removal failed too, and the late arrival
    assert list(bucket.objects) == [name]
