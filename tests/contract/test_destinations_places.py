"""The destination contract on places of files: S3 as moto serves it, Google Cloud Storage as the
sandbox plays it, and a real OpenSSH server; each looked into by another program than ours.
"""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol, TypeVar

import orjson
import polars as pl
import pyarrow as pa
import pytest

import gcs_world
from hubspot_world import Token, batch, context
from mayfly.adapters.http import HttpxClient
from mayfly.connectors.destinations import gcs, s3
from mayfly.connectors.destinations.batch_files import BatchFiles
from mayfly.domain.batch import BatchHead, Operation, SyncMode
from mayfly.domain.errors import ConfigError, ContractError, EngineError
from mayfly.domain.outcomes import OutcomeCode
from mayfly.ports.destination import DestinationContext, Done, Progress
from mayfly.privacy.gate import Form, ProtectedBatch
from mayfly.privacy.gate.seal import THE_SEAL
from mayfly.sandbox.server import SandboxServer
from mayfly.testing.destination_contract import DestinationContract
from moto_s3 import MotoS3, moto_s3
from sshd import Sshd, sshd_server

T = TypeVar("T")
COLUMNS = {"id": pa.int64(), "email": pa.string()}
GIVEN = context(COLUMNS, key="id", mode=SyncMode.APPEND)
FORMATS = ("parquet", "csv", "jsonl")
READERS = {
    "parquet": lambda content: pl.read_parquet(io.BytesIO(content)).to_dicts(),
    "csv": lambda content: pl.read_csv(content).to_dicts(),
    "jsonl": lambda content: [orjson.loads(line) for line in content.splitlines()],
}


class World(Protocol):
    """One kind of place."""

    def make(self, given: DestinationContext = GIVEN, file_format: str = "csv") -> BatchFiles:
        """A destination there."""

    def files(self) -> dict[str, bytes]:
        """What is there: names and contents."""


class S3World:
    """A bucket of moto's."""

    def __init__(self, moto: MotoS3) -> None:
        self.moto = moto

    def make(self, given: DestinationContext = GIVEN, file_format: str = "csv") -> BatchFiles:
        """See `World`."""
        return self.moto.destination(given, file_format)

    def files(self) -> dict[str, bytes]:
        """By Amazon's client."""
        start = "mayfly/shop/"
        return {n.removeprefix(start): self.moto.content(n) for n in self.moto.names()}


class GcsWorld:
    """A bucket of the sandbox."""

    def __init__(self, sandbox: SandboxServer) -> None:
        self.sandbox = sandbox

    def make(self, given: DestinationContext = GIVEN, file_format: str = "csv") -> BatchFiles:
        """See `World`."""
        return gcs_world.destination(self.sandbox.url, given, file_format)

    def files(self) -> dict[str, bytes]:
        """By Google's client."""
        found = list(gcs_world.bucket(self.sandbox.url).list_blobs())
        return {b.name.removeprefix("mayfly/shop/"): b.download_as_bytes() for b in found}


class SftpWorld:
    """A folder behind OpenSSH's server."""

    def __init__(self, sshd: Sshd, folder: Path) -> None:
        self.sshd = sshd
        self.folder = folder

    def make(self, given: DestinationContext = GIVEN, file_format: str = "csv") -> BatchFiles:
        """See `World`."""
        return self.sshd.destination(given, self.folder, file_format)

    def files(self) -> dict[str, bytes]:
        """As they lie on the disk, hidden ones too."""
        return {path.name: path.read_bytes() for path in self.folder.iterdir()}


@pytest.fixture(scope="module")
def moto() -> Iterator[MotoS3]:
    """One service for the module."""
    with moto_s3() as server:
        yield server


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxServer]:
    """The same of Google's."""
    with SandboxServer(tokens=frozenset({gcs_world.TOKEN})) as server:
        yield server


@pytest.fixture(scope="module")
def sshd() -> Iterator[Sshd]:
    """The same of OpenSSH's."""
    with sshd_server() as server:
        yield server


@pytest.fixture
def s3_world(moto: MotoS3) -> S3World:
    """An empty bucket."""
    moto.empty()
    return S3World(moto)


@pytest.fixture
def gcs_world_(sandbox: SandboxServer) -> GcsWorld:
    """An empty bucket."""
    sandbox.app.gcs.reset()
    sandbox.app.faults.planned.clear()
    return GcsWorld(sandbox)


@pytest.fixture
def sftp_world(sshd: Sshd, tmp_path: Path) -> SftpWorld:
    """An empty folder."""
    return SftpWorld(sshd, tmp_path)


@pytest.fixture(params=["s3_world", "gcs_world_", "sftp_world"])
def world(request: pytest.FixtureRequest) -> World:
    """Each kind in turn."""
    found: World = request.getfixturevalue(request.param)
    return found


class PlaceContract(DestinationContract):
    """Batches of a key and an address."""

    adds = Operation.INSERT
    removes = None
    resumes = False
    file_format = "csv"
    world: World

    def make(self) -> BatchFiles:
        """The connector for the test's place."""
        return self.world.make(self.context(), self.file_format)

    def protect(self, head: BatchHead, rows: pa.Table, forms: Mapping[str, Form]) -> ProtectedBatch:
        """Sealed as the gate would seal it."""
        return ProtectedBatch(head, rows, forms, seal=THE_SEAL)

    def context(self) -> DestinationContext:
        """Rows that are new."""
        return GIVEN

    def name_of(self, subject: int) -> str:
        """The address."""
        return f"person{subject}@example.com"

    def rows(self, subjects: Sequence[int]) -> tuple[pa.Table, Mapping[str, Form]]:
        """Key and address."""
        emails = pa.array([self.name_of(n) for n in subjects], pa.string())
        table = pa.table({"id": pa.array(subjects, pa.int64()), "email": emails})
        return table, dict.fromkeys(table.column_names, Form.CLEAR)

    async def contents(self) -> set[str]:
        """Addresses in the files."""
        files = await asyncio.to_thread(self.world.files)
        read = READERS[self.file_format]
        return {row["email"] for content in files.values() for row in read(content)}


class TestS3(PlaceContract):
    """Parquet in a bucket of S3."""

    file_format = "parquet"

    @pytest.fixture(autouse=True)
    def _world(self, s3_world: S3World) -> None:
        self.world = s3_world


class TestGcs(PlaceContract):
    """JSON Lines in a bucket of Google Cloud Storage."""

    file_format = "jsonl"

    @pytest.fixture(autouse=True)
    def _world(self, gcs_world_: GcsWorld) -> None:
        self.world = gcs_world_


class TestSftp(PlaceContract):
    """CSV on an SFTP server."""

    @pytest.fixture(autouse=True)
    def _world(self, sftp_world: SftpWorld) -> None:
        self.world = sftp_world


def ids(*numbers: int, number: int = 0) -> ProtectedBatch:
    """Rows of a number and an address each."""
    emails = pa.array([f"p{n}@example.com" for n in numbers])
    rows = {"id": pa.array(numbers, pa.int64()), "email": emails}
    return batch(rows, Operation.INSERT, number)


def played(destination: BatchFiles, scenario: Coroutine[Any, Any, T]) -> T:
    """On a loop of its own, the destination closed afterwards."""

    async def main() -> T:
        try:
            return await scenario
        finally:
            await destination.close()

    return asyncio.run(main())


async def write(destination: BatchFiles, one: ProtectedBatch) -> None:
    """A batch that is taken whole."""
    answer = await destination.write(one, Progress(rows=len(one)))
    assert isinstance(answer, Done)
    assert answer.outcomes.count(OutcomeCode.ACCEPTED) == len(one)


def refusal(destination: BatchFiles, call: Coroutine[Any, Any, Any]) -> EngineError:
    """What a call ends with."""
    with pytest.raises(EngineError) as caught:
        played(destination, call)
    return caught.value


@pytest.mark.parametrize("file_format", FORMATS)
def test_a_file_is_named_by_ids_and_made_once(world: World, file_format: str) -> None:
    """Sync, run, batch and part; what is sent again finds the file, and a part is another one."""
    destination = world.make(file_format=file_format)

    async def scenario() -> None:
        await write(destination, ids(1, 2))
        before = await asyncio.to_thread(world.files)
        await write(destination, ids(1, 2))
        assert await asyncio.to_thread(world.files) == before
        await write(destination, ids(1, 2, number=1).part(1, 1))

    played(destination, scenario())
    files = world.files()
    assert sorted(files) == [
        f"contract.run-1.000000.{file_format}",
        f"contract.run-1.1-1.000001.{file_format}",
    ]
    rows = READERS[file_format](files[f"contract.run-1.000000.{file_format}"])
    assert [row["id"] for row in rows] == [1, 2]


def test_odd_texts_stay_in_their_fields(world: World) -> None:
    """A comma, quote, tab or line makes no other row, a text that looks like nothing is a text."""
    odd = ['a,"b', "c\td", "e\nf\r\ng", "#N/A", "", "NULL", "=1+1", "Łódź 😊", "\\", "'", ";", None]
    rows = {"id": pa.array(range(len(odd))), "email": pa.array(odd, pa.string())}
    destination = world.make(file_format="csv")
    played(destination, write(destination, batch(rows, Operation.INSERT)))
    [content] = world.files().values()
    read = list(csv.reader(io.StringIO(content.decode(), newline="")))
    assert read == [["id", "email"], *([str(n), text or ""] for n, text in enumerate(odd))]
    nothing = [line for line in content.splitlines() if line.startswith((b"4,", b"11,"))]
    assert nothing == [b'4,""', b"11,"]


def test_a_batch_that_is_not_there_never_will_be(world: World) -> None:
    """What a lost attempt still does finds its way closed; the same batch sent again goes."""
    destination = world.make()

    async def scenario() -> None:
        assert await destination.applied(ids(1).head) is False
        await late_attempt(world)
        assert await destination.applied(ids(1).head) is False
        files = await asyncio.to_thread(world.files)
        assert [READERS["csv"](f) for f in files.values()] in ([], [[]])
        await write(destination, ids(1))
        assert await destination.applied(ids(1).head) is True

    played(destination, scenario())
    [content] = world.files().values()
    assert READERS["csv"](content) == [{"id": 1, "email": "p1@example.com"}]


async def late_attempt(world: World) -> None:
    """The last request of an attempt at the first batch, as a network that was slow brings it."""
    name = "contract.run-1.000000.csv"
    if isinstance(world, SftpWorld):
        assert not list(world.folder.iterdir())  # its hidden file is gone: nothing to rename
        return
    http = HttpxClient(["127.0.0.1"])
    bucket = (
        s3.S3Bucket(world.moto.settings(), http)
        if isinstance(world, S3World)
        else gcs.GcsBucket(gcs_world.settings(world.sandbox.url), http)  # type: ignore[attr-defined]
    )
    assert await bucket.create(name, b"id,email\n9,late\n", rows=1, over=None) is False
    await bucket.close()


@pytest.mark.parametrize("file_format", FORMATS)
def test_a_file_without_rows_can_be_read(s3_world: S3World, file_format: str) -> None:
    """It has the columns of the sync."""
    columns = {**COLUMNS, "digest": pa.binary()}
    given = replace(context(columns, key="id", pseudonyms=("digest",)), mode=SyncMode.APPEND)
    destination = s3_world.make(given, file_format)
    assert played(destination, destination.applied(ids(1).head)) is False
    [content] = s3_world.files().values()
    assert READERS[file_format](content) == []
    if file_format == "parquet":
        schema = pl.read_parquet_schema(io.BytesIO(content))
        assert schema == {"id": pl.Int64, "email": pl.String, "digest": pl.String}


def test_nobody_is_forgotten_and_it_is_said_where_to_look(world: World) -> None:
    """Names and days of the files of this sync, and of no other."""
    other = replace(GIVEN, sync="other")

    async def scenario() -> EngineError:
        await write(destination, ids(1))
        await write(neighbour, ids(1))
        await neighbour.close()
        with pytest.raises(ContractError) as caught:
            await destination.erase(ids(1))
        return caught.value

    destination, neighbour = world.make(), world.make(other)
    error = played(destination, scenario())
    assert error.code == "no_erasure"
    assert "wrote 1 from 20" in error.message
    assert "contract.run-1.000000.csv" in error.message
    assert "other" not in error.message


def test_rows_are_not_taken_out(world: World) -> None:
    """A removal is refused before anything is asked."""
    destination = world.make()
    gone = batch({"id": pa.array([1])}, Operation.REMOVE)
    error = refusal(destination, destination.write(gone, Progress(rows=1)))
    assert error.code == "no_removal"
    assert world.files() == {}


def test_a_value_that_a_format_cannot_hold_makes_no_file(world: World) -> None:
    """The batch is refused, so that the row is found by halving it."""
    given = context({"id": pa.int64(), "list": pa.list_(pa.float64())}, key="id")
    destination = world.make(given, "jsonl")
    rows = {"id": pa.array([1]), "list": pa.array([[float("nan")]])}
    error = refusal(destination, write(destination, batch(rows)))
    assert error.code == "batch_refused"
    assert world.files() == {}


def test_another_region_is_refused(moto: MotoS3, s3_world: S3World, gcs_world_: GcsWorld) -> None:
    """As the bucket itself says where it is, before anything is written."""
    elsewhere = moto.destination(GIVEN, region="eu-west-3")
    error = refusal(elsewhere, write(elsewhere, ids(1)))
    assert (type(error), error.code) == (ConfigError, "bucket_elsewhere")
    assert "eu-west-1" in error.message
    gcs_world_.sandbox.app.gcs.locations[gcs_world.BUCKET] = "US"
    american = gcs_world_.make()
    assert refusal(american, write(american, ids(1))).code == "bucket_elsewhere"
    assert s3_world.files() == gcs_world_.files() == {}


def test_objects_are_encrypted_with_the_key(
    moto: MotoS3, s3_world: S3World, gcs_world_: GcsWorld
) -> None:
    """As the services themselves say of each."""
    arn = "arn:aws:kms:eu-west-1:123456789012:key/0f0f0f0f-1111-2222-3333-444444444444"
    sealed = moto.destination(GIVEN, kms_key=arn)
    played(sealed, write(sealed, ids(1)))
    [name] = moto.names()
    told = moto.owner.head_object(Bucket="shop-customers", Key=name)
    assert (told["ServerSideEncryption"], told["SSEKMSKeyId"]) == ("aws:kms", arn)
    key = "projects/p/locations/europe-west1/keyRings/r/cryptoKeys/k"
    url = gcs_world_.sandbox.url
    google = gcs_world.destination(url, GIVEN, kms_key=key)
    played(google, write(google, ids(1)))
    [blob] = gcs_world.bucket(url).list_blobs()
    assert blob.kms_key_name == f"{key}/cryptoKeyVersions/1"
    foreign = gcs_world.destination(url, GIVEN, kms_key=key.replace("west1", "west3"))
    assert refusal(foreign, write(foreign, ids(1, number=1))).code == "unknown_answer"


def test_credentials_that_are_wrong_are_said_to_be(
    moto: MotoS3, s3_world: S3World, gcs_world_: GcsWorld
) -> None:
    """An unknown key, a wrong secret, a missing right; nothing of them is told."""
    key, secret = moto.keys
    for bad_key, bad_secret in (("AKIAMARKED7F3A", secret), (key, "marked-7f3a")):
        keys = s3.s3.S3Keys(access_key_id=Token(bad_key), secret_access_key=Token(bad_secret))
        stranger = moto.destination(GIVEN, keys=keys)
        error = refusal(stranger, stranger.check())
        assert error.code == "reauthorise"
        assert "marked" not in f"{error} {error.hint}".lower()
    reader_keys = moto.user("s3:HeadBucket", "s3:ListBucket", "s3:GetObject")
    keys = s3.s3.S3Keys(
        access_key_id=Token(reader_keys[0]), secret_access_key=Token(reader_keys[1])
    )
    reader = moto.destination(GIVEN, keys=keys)
    error = refusal(reader, write(reader, ids(1)))
    assert (error.code, "AccessDenied" in error.message) == ("reauthorise", True)
    url = gcs_world_.sandbox.url
    wrong = gcs_world.destination(url, GIVEN, access_token=Token("marked-7f3a"))
    assert refusal(wrong, wrong.check()).code == "reauthorise"
    gcs_world_.sandbox.app.gcs.no_right.add("create")
    without = gcs_world_.make()
    assert refusal(without, write(without, ids(1))).code == "reauthorise"


def test_the_machine_s_own_credentials_of_amazon(
    moto: MotoS3, s3_world: S3World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Where the project names none, as Amazon's own tools find them."""
    for name in ("CONFIG_FILE", "SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(f"AWS_{name}", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    without = moto.destination(GIVEN, keys=s3.s3.S3Keys())
    assert refusal(without, without.check()).code == "bucket_credentials"
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", moto.keys[0])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", moto.keys[1])
    destination = moto.destination(GIVEN, keys=s3.s3.S3Keys())
    played(destination, write(destination, ids(1)))
    assert len(s3_world.files()) == 1


def test_a_service_account_signs_for_itself(gcs_world_: GcsWorld) -> None:
    """No token is fetched anywhere; another account's key is refused, and what is no key."""
    url = gcs_world_.sandbox.url
    good = gcs_world.account_key(gcs_world_.sandbox)
    destination = gcs_world.destination(url, GIVEN, service_account_key=Token(good))
    played(destination, write(destination, ids(1)))
    gcs_world.account_key(gcs_world_.sandbox)  # another key takes its place
    stranger = gcs_world.destination(url, GIVEN, service_account_key=Token(good))
    assert refusal(stranger, stranger.check()).code == "reauthorise"
    gcs_world_.sandbox.app.gcs.accounts = {}
    for text in ("marked-7f3a", good.replace("BEGIN PRIVATE", "BEGIN marked-7f3a")):
        with pytest.raises(ConfigError) as caught:
            gcs_world.destination(url, GIVEN, service_account_key=Token(text))
        assert caught.value.code == "credentials_invalid"
        assert "marked" not in f"{caught.value} {caught.value.hint}"


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("503", "destination_busy"),
        ("429", "rate_limited"),
        ("401", "reauthorise"),
        ("redirect", "redirected"),
        ("reset", "destination_unreachable"),
    ],
)
@pytest.mark.parametrize("place", ["s3", "gcs"])
def test_what_a_service_may_answer(
    sandbox: SandboxServer, gcs_world_: GcsWorld, place: str, kind: str, code: str
) -> None:
    """A redirect is followed by nobody. Of S3, only what a server does before it reads a path."""
    path = "/storage/" if place == "gcs" else "/shop-customers"
    assert not sandbox.app.faults.add({"path": path, "kind": kind, "count": 1})
    destination: BatchFiles
    if place == "gcs":
        destination = gcs_world_.make()
    else:
        keys = s3.s3.S3Keys(access_key_id=Token("AKIA"), secret_access_key=Token("secret"))
        settings = s3.S3Settings(
            bucket="shop-customers", region="eu-west-1", keys=keys, endpoint=sandbox.url
        )
        destination = BatchFiles(s3.make(settings, HttpxClient(["127.0.0.1"])), "csv", GIVEN)
    assert refusal(destination, destination.check()).code == code


def test_a_bucket_that_is_not_there(moto: MotoS3, gcs_world_: GcsWorld) -> None:
    """Is said to be missing."""
    missing = moto.destination(GIVEN, bucket="no-such-bucket")
    assert refusal(missing, missing.check()).code == "bucket_missing"
    gcs_world_.sandbox.app.gcs.absent.add(gcs_world.BUCKET)
    gone = gcs_world_.make()
    assert refusal(gone, gone.check()).code == "bucket_missing"


def test_an_answer_that_was_lost_leaves_one_object(gcs_world_: GcsWorld) -> None:
    """The service took it, and the connection was cut: the second attempt finds it."""
    destination = gcs_world_.make()
    fault = {"path": "/upload/", "kind": "accept_then_hang", "count": 1}
    assert not gcs_world_.sandbox.app.faults.add(fault)

    async def scenario() -> None:
        await destination.check()
        cut = asyncio.ensure_future(write(destination, ids(1)))
        while not gcs_world_.sandbox.app.gcs.objects:
            await asyncio.sleep(0)
        cut.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cut
        await write(destination, ids(1))

    played(destination, scenario())
    assert len(gcs_world_.files()) == 1


@pytest.mark.slow
def test_a_hundred_thousand_rows(world: World) -> None:
    """In batches as they come; each row is there once."""
    destination = world.make(file_format="parquet")

    async def scenario() -> None:
        batches = [ids(*range(n, n + 50_000), number=n // 50_000) for n in (0, 50_000)]
        await asyncio.gather(*(write(destination, one) for one in batches))

    played(destination, scenario())
    found = [row["id"] for f in world.files().values() for row in READERS["parquet"](f)]
    assert sorted(found) == list(range(100_000))
