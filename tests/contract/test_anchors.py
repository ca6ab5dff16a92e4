"""What every anchor must hold, on each of them."""

from __future__ import annotations

import errno
import json
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal

import duckdb
import psycopg
import pytest
from standardwebhooks import Webhook

from buckets import ACCESS_KEY, BUCKET, SECRET_KEY, TOKEN, Bucket, bucket_service
from contract.plan_stores import _Dsn
from mayfly.adapters.anchors.bucket import BucketAnchor
from mayfly.adapters.anchors.folder import FolderAnchor
from mayfly.adapters.anchors.source import SourceAnchor
from mayfly.adapters.anchors.webhook import WebhookAnchor
from mayfly.adapters.buckets import open_bucket
from mayfly.connectors.sources.duckdb import DuckdbSource
from mayfly.connectors.sources.postgres import PostgresSource
from mayfly.connectors.sources.sqlite import SqliteSource
from mayfly.domain.errors import (
    ConfigError,
    EngineError,
    IntegrityError,
    PolicyError,
    TransientError,
)
from mayfly.domain.settings import BucketSettings, SecretRef
from mayfly.planning.sql.duckdb import DuckdbDialect
from mayfly.planning.sql.postgres import PostgresDialect
from mayfly.planning.sql.sqlite import SqliteDialect
from mayfly.ports.anchor import Anchor
from sqlite_files import ask

NOW = datetime(2026, 3, 1, tzinfo=UTC)
SECRET = "whsec_" + "c2VjcmV0LW9mLXRoZS10ZXN0cy0zMi1ieXRlcy0="
NOTE = "mayfly/ledger/1/w\n7\nAAAA\n\n— mayfly/ledger/1/w BBBB\n"


@dataclass
class Receiver:
    """A webhook's receiver, which checks what it is sent as its vendor's library does."""

    status: int = 204
    notes: list[str] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    url: str = ""

    def take(self, body: bytes, headers: dict[str, str]) -> int:
        """Status of the answer."""
        document: Any = Webhook(SECRET).verify(body.decode(), headers)
        if 200 <= self.status < 300:
            self.notes.append(document["data"]["note"])
            self.ids.append(headers["webhook-id"])
        return self.status


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    """One on loopback; the library's own tolerance of time is five minutes around NOW."""
    made = Receiver()

    class Now(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Now:
            return cls.fromtimestamp(NOW.timestamp(), tz)

    monkeypatch.setattr("standardwebhooks.webhooks.datetime", Now)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            self.send_response(made.take(body, {k.lower(): v for k, v in self.headers.items()}))
            self.end_headers()

        def log_message(self, *args: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        made.url = f"http://127.0.0.1:{server.server_port}/checkpoints"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield made
        server.shutdown()


@dataclass
class Place:
    """An anchor under test, and what its keeper finds there; some keep whatever they are told."""

    anchor: Anchor
    found: Callable[[], list[str]]
    keeps_all: bool = False


@pytest.fixture
def bucket() -> Iterator[Bucket]:
    """An empty bucket on loopback."""
    with bucket_service() as found:
        yield found


def bucket_anchor(kind: Literal["s3", "gcs"], bucket: Bucket, *, name: str = BUCKET) -> Anchor:
    """An anchor in it, under the folder `audit`."""
    secrets = {"I": ACCESS_KEY, "S": SECRET_KEY, "T": TOKEN}
    names = {
        "s3": {"access_key_id": "I", "secret_access_key": "S"},
        "gcs": {"access_token": "T"},
    }[kind]
    settings = BucketSettings(
        type=kind,
        bucket=name,
        prefix="audit",
        region="eu-west-1",
        endpoint=bucket.address,
        credentials={key: SecretRef(kind="env", name=name) for key, name in names.items()},
    )
    opened = open_bucket(settings, lambda reference: secrets[reference.name])
    return BucketAnchor(opened, workspace_id="w")


@pytest.fixture(params=["folder", "duckdb", "sqlite", "postgres", "webhook", "s3", "gcs"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """Each in turn, empty."""
    if request.param == "folder":
        folder = tmp_path / "audit"
        folder.mkdir()
        made = FolderAnchor(folder, workspace_id="w", project=tmp_path / "project")
        return Place(made, lambda: [p.read_text() for p in sorted(folder.iterdir())])
    if request.param in ("s3", "gcs"):
        kept: Bucket = request.getfixturevalue("bucket")
        return Place(
            bucket_anchor(request.param, kept),
            lambda: [content.decode() for _, content in sorted(kept.objects.items())],
        )
    if request.param == "webhook":
        receiver: Receiver = request.getfixturevalue("receiver")
        return Place(
            WebhookAnchor(receiver.url, secret=lambda: SECRET),
            lambda: list(dict(zip(receiver.ids, receiver.notes, strict=True)).values()),
            keeps_all=True,
        )
    query = "SELECT note FROM _mayfly.checkpoints ORDER BY entries"
    if request.param == "duckdb":
        path = tmp_path / "shop.duckdb"
        duckdb.connect(str(path)).close()

        def in_duckdb() -> list[str]:
            with duckdb.connect(str(path), read_only=True) as connection:
                return [note for (note,) in connection.execute(query).fetchall()]

        source = DuckdbSource("shop", path)
        return Place(
            SourceAnchor(source, DuckdbDialect(), schema="_mayfly"), in_duckdb, keeps_all=True
        )
    if request.param == "sqlite":
        lite = tmp_path / "shop.sqlite"
        lite.touch()
        return Place(
            SourceAnchor(SqliteSource("shop", lite), SqliteDialect(), schema="_mayfly"),
            lambda: [note for (note,) in ask(lite, query)],
            keeps_all=True,
        )
    dsn = request.getfixturevalue("postgres_database")

    def in_postgres() -> list[str]:
        with psycopg.connect(dsn) as connection:
            return [note for (note,) in connection.execute(query).fetchall()]

    source = PostgresSource("crm", _Dsn(dsn))
    return Place(
        SourceAnchor(source, PostgresDialect(), schema="_mayfly"), in_postgres, keeps_all=True
    )


def test_each_checkpoint_is_kept_as_it_was(place: Place) -> None:
    """A repeat adds nothing, and a later one replaces none."""
    later = NOTE.replace("\n7\n", "\n9\n")
    for note, size in ((NOTE, 7), (NOTE, 7), (later, 9)):
        place.anchor.publish(note, size=size, at=NOW)
    assert place.found() == [NOTE, later]


def test_another_one_of_as_many_entries_takes_no_place(place: Place) -> None:
    """The ledger was written anew: it is told, or both are there to be seen."""
    other = NOTE.replace("AAAA", "CCCC")
    place.anchor.publish(NOTE, size=7, at=NOW)
    if place.keeps_all:
        place.anchor.publish(other, size=7, at=NOW)
        assert sorted(place.found()) == [NOTE, other]
        return
    with pytest.raises(IntegrityError) as caught:
        place.anchor.publish(other, size=7, at=NOW)
    assert (caught.value.code, caught.value.__cause__) == ("anchor_conflict", None)
    assert place.found() == [NOTE]


def _refused(anchor: Anchor) -> EngineError:
    with pytest.raises(EngineError) as caught:
        anchor.publish(NOTE, size=7, at=NOW)
    assert caught.value.__cause__ is None
    return caught.value


def test_a_folder_in_the_project_is_none(tmp_path: Path) -> None:
    """By way of a link, too: its owner is whom the checkpoints are kept from."""
    (tmp_path / "link").symlink_to(tmp_path)
    for folder in (tmp_path, tmp_path / "audit", tmp_path / "link" / "x"):
        made = FolderAnchor(folder, workspace_id="w", project=tmp_path)
        with pytest.raises(PolicyError, match="anchor_inside"):
            made.publish(NOTE, size=7, at=NOW)


def test_a_folder_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    """It may be a share that is not mounted."""
    made = FolderAnchor(tmp_path / "audit", workspace_id="w", project=tmp_path / "project")
    assert _refused(made).code == "anchor_refused"
    assert not (tmp_path / "audit").exists()


def _folder_anchor(root: Path) -> tuple[FolderAnchor, Path]:
    """An anchor in a folder, and the file of seven entries."""
    folder = root / "audit"
    folder.mkdir()
    made = FolderAnchor(folder, workspace_id="w", project=root / "project")
    return made, folder / "w-7.checkpoint"


@pytest.mark.parametrize("length", [0, 1, len(NOTE) - 1])
def test_a_file_that_was_cut_off_is_completed(tmp_path: Path, length: int) -> None:
    """A killed process left the beginning of the checkpoint, or nothing of it."""
    made, file = _folder_anchor(tmp_path)
    file.write_text(NOTE[:length])
    made.publish(NOTE, size=7, at=NOW)
    assert [p.read_text() for p in file.parent.iterdir()] == [NOTE]


def test_a_file_that_is_none_of_its_beginnings_is_left(tmp_path: Path) -> None:
    """Nor is one that goes on behind it, or a link to elsewhere, written."""
    made, file = _folder_anchor(tmp_path)
    for content in ("x", NOTE + "x"):
        file.write_text(content)
        with pytest.raises(IntegrityError, match="anchor_conflict"):
            made.publish(NOTE, size=7, at=NOW)
        assert file.read_text() == content
    file.unlink()
    (tmp_path / "other").touch()
    file.symlink_to(tmp_path / "other")
    assert _refused(made).code == "anchor_away"
    assert (tmp_path / "other").read_text() == ""


def test_a_file_is_whole_once_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that ends before leaves nothing under it, and whoever keeps it may read it."""
    made, file = _folder_anchor(tmp_path)

    def killed(*names: Path) -> None:
        assert not file.exists()
        assert names[0].read_text() == NOTE
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(os, "link", killed)
        with pytest.raises(KeyboardInterrupt):
            made.publish(NOTE, size=7, at=NOW)
    assert not file.exists()
    made.publish(NOTE, size=7, at=NOW)
    assert file.stat().st_mode & 0o444 == 0o444 & ~_umask()
    assert file.stat().st_nlink == 1


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


@pytest.mark.parametrize("number", [errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS])
def test_a_share_without_hard_links_keeps_checkpoints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """In their place, and none that is there is replaced."""
    made, file = _folder_anchor(tmp_path)

    def unknown(*_: Path) -> None:
        raise OSError(number, "no links")

    monkeypatch.setattr(os, "link", unknown)
    for _ in range(2):
        made.publish(NOTE, size=7, at=NOW)
    with pytest.raises(IntegrityError, match="anchor_conflict"):
        made.publish(NOTE.replace("AAAA", "CCCC"), size=7, at=NOW)
    assert [p.read_text() for p in file.parent.iterdir()] == [NOTE]


@pytest.mark.parametrize(
    ("status", "code"),
    [(500, "anchor_away"), (429, "anchor_away"), (401, "anchor_refused"), (302, "anchor_refused")],
)
def test_an_answer_is_believed_only_where_it_says_taken(
    receiver: Receiver, status: int, code: str
) -> None:
    """No redirect is followed."""
    receiver.status = status
    error = _refused(WebhookAnchor(receiver.url, secret=lambda: SECRET))
    assert error.code == code
    assert isinstance(error, TransientError if code == "anchor_away" else ConfigError)


def test_a_receiver_that_is_away_is_away() -> None:
    """Nobody listens there."""
    made = WebhookAnchor("http://127.0.0.1:9/x", secret=lambda: SECRET)
    assert _refused(made).code == "anchor_away"


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_AAAA", "c2VjcmV0", "whsec_%%%%", "é"])
def test_a_weak_secret_signs_nothing(receiver: Receiver, secret: str) -> None:
    """And is not shown."""
    error = _refused(WebhookAnchor(receiver.url, secret=lambda: secret))
    assert error.code == "bad_webhook_secret"
    assert receiver.notes == []
    assert not secret or secret == "whsec_" or secret not in json.dumps(error.to_dict())


def test_a_warehouse_that_is_away_is_away(tmp_path: Path) -> None:
    """A file that is not there."""
    source = DuckdbSource("shop", tmp_path / "none.duckdb")
    error = _refused(SourceAnchor(source, DuckdbDialect(), schema="_mayfly"))
    assert error.code in ("anchor_away", "anchor_refused")


KINDS = pytest.mark.parametrize("kind", ["s3", "gcs"])
Kind = Literal["s3", "gcs"]


@KINDS
def test_a_bucket_overwrites_no_checkpoint(bucket: Bucket, kind: Kind) -> None:
    """The service refuses it in the same request; another one of as many entries is told."""
    made = bucket_anchor(kind, bucket)
    made.publish(NOTE, size=7, at=NOW)
    assert [method for method, _ in bucket.requests] == ["PUT"]
    other = NOTE.replace("AAAA", "CCCC")
    with pytest.raises(IntegrityError, match="anchor_conflict"):
        made.publish(other, size=7, at=NOW)
    assert bucket.objects == {"audit/w-7.checkpoint": NOTE.encode()}
    bucket.objects["audit/w-7.checkpoint"] = b"x" * (1 << 20)
    with pytest.raises(IntegrityError, match="anchor_conflict"):
        made.publish(NOTE, size=7, at=NOW)


@KINDS
@pytest.mark.parametrize(
    ("status", "code"),
    [(500, "anchor_away"), (503, "anchor_away"), (403, "anchor_refused"), (401, "anchor_refused")],
)
def test_a_bucket_s_refusal_is_told_in_our_words(
    bucket: Bucket, kind: Kind, status: int, code: str
) -> None:
    """Without what the service wrote."""
    bucket.status = status
    error = _refused(bucket_anchor(kind, bucket))
    assert error.code == code
    assert "marked" not in json.dumps(error.to_dict())
    assert bucket.objects == {}


@KINDS
def test_a_bucket_that_is_not_there_is_not_made(bucket: Bucket, kind: Kind) -> None:
    """Whoever keeps the checkpoints makes it."""
    assert _refused(bucket_anchor(kind, bucket, name="another")).code == "anchor_refused"
    assert {method for method, _ in bucket.requests} == {"PUT"}


def test_a_write_that_met_another_one_is_tried_again(bucket: Bucket) -> None:
    """S3 takes neither then; that nothing is there is no fault of the bucket."""
    bucket.conflict = True
    made = bucket_anchor("s3", bucket)
    assert _refused(made).code == "anchor_away"
    bucket.objects["audit/w-7.checkpoint"] = NOTE.encode()
    made.publish(NOTE, size=7, at=NOW)
    bucket.conflict = False
    made.publish(NOTE, size=7, at=NOW)
    assert bucket.objects == {"audit/w-7.checkpoint": NOTE.encode()}
