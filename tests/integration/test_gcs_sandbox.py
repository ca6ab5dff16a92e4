"""The sandbox of Google Cloud Storage, driven by Google's own client."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from google.api_core.exceptions import (
    BadRequest,
    Forbidden,
    NotFound,
    PreconditionFailed,
)
from google.auth.exceptions import RefreshError
from google.cloud import storage
from google.oauth2.credentials import Credentials

from gcs_world import BUCKET, bucket
from mayfly.sandbox.server import SandboxServer

KEY = "projects/p/locations/europe-west1/keyRings/r/cryptoKeys/k"


@pytest.fixture
def sandbox() -> Iterator[SandboxServer]:
    """An empty one."""
    with SandboxServer() as server:
        yield server


@pytest.fixture
def held(sandbox: SandboxServer) -> Any:
    """Google's client of its bucket."""
    return bucket(sandbox.url)


def test_an_object_is_written_read_and_removed(held: Any) -> None:
    """With what is said of it."""
    blob = held.blob("mayfly/shop/a.csv")
    blob.metadata = {"mayfly-rows": "2"}
    blob.upload_from_string(b"id\n1\r\n--x\n", content_type="text/csv", checksum="md5")
    again = held.get_blob("mayfly/shop/a.csv")
    assert again.download_as_bytes() == b"id\n1\r\n--x\n"
    assert (again.metadata, again.size, again.content_type) == (
        {"mayfly-rows": "2"},
        10,
        "text/csv",
    )
    again.delete()
    assert held.get_blob("mayfly/shop/a.csv") is None


def test_a_name_is_taken_once(held: Any) -> None:
    """Where the client asks for that; or replaced where it names what it replaces."""
    held.blob("a").upload_from_string(b"1", if_generation_match=0)
    with pytest.raises(PreconditionFailed):
        held.blob("a").upload_from_string(b"2", if_generation_match=0)
    generation = held.get_blob("a").generation
    held.blob("a").upload_from_string(b"3", if_generation_match=generation)
    with pytest.raises(PreconditionFailed):
        held.blob("a").upload_from_string(b"4", if_generation_match=generation)
    assert held.blob("a").download_as_bytes() == b"3"


def test_names_are_listed_in_pages(sandbox: SandboxServer, held: Any) -> None:
    """By their beginning."""
    sandbox.app.gcs.page = 2
    for name in ("a.1", "a.2", "a.3", "b.1"):
        held.blob(name).upload_from_string(b"")
    assert [blob.name for blob in held.list_blobs(prefix="a.")] == ["a.1", "a.2", "a.3"]


def test_a_bucket_says_where_it_is(sandbox: SandboxServer, held: Any) -> None:
    """And whether it is there."""
    held.reload()
    assert held.location == "EUROPE-WEST1"
    sandbox.app.gcs.locations[BUCKET] = "US"
    held.reload()
    assert held.location == "US"
    sandbox.app.gcs.absent.add(BUCKET)
    with pytest.raises(NotFound):
        held.reload()


def test_a_key_of_the_location_encrypts(held: Any) -> None:
    """One of another does not."""
    held.blob("a", kms_key_name=KEY).upload_from_string(b"1")
    assert held.get_blob("a").kms_key_name == f"{KEY}/cryptoKeyVersions/1"
    with pytest.raises(BadRequest):
        held.blob("b", kms_key_name=KEY.replace("west1", "west3")).upload_from_string(b"1")


@pytest.mark.parametrize("right", ["get", "create", "read", "list"])
def test_a_missing_right_is_missed(sandbox: SandboxServer, held: Any, right: str) -> None:
    """By the one call that needs it; who may not list is not told that there is nothing."""
    calls = {
        "get": held.reload,
        "create": lambda: held.blob("b").upload_from_string(b"1"),
        "read": lambda: held.get_blob("a"),
        "list": lambda: held.get_blob("none"),
    }
    held.blob("a").upload_from_string(b"1")
    sandbox.app.gcs.no_right.add(right)
    with pytest.raises(Forbidden):
        calls[right]()


def test_an_unknown_token_is_refused() -> None:
    """Before anything else."""
    with SandboxServer(tokens=frozenset({"another"})) as server:
        client = storage.Client(
            project="shop",
            credentials=Credentials("wrong"),
            client_options={"api_endpoint": server.url},
        )
        # The client would ask for another token, and has nothing to ask with.
        with pytest.raises(RefreshError):
            client.bucket(BUCKET).reload(retry=None)
