"""From a DuckDB file to a bucket of S3, one of Google Cloud Storage and an SFTP server."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import orjson
import polars as pl
import pytest

import gcs_world
from end_to_end.projects import approved, make_project
from marks import IN_A_SOAK
from mayfly.api import load
from mayfly.connectors.destinations.batch_objects import Objects
from mayfly.connectors.destinations.sftp import SftpFolder
from mayfly.sandbox.server import SandboxServer
from moto_s3 import moto_s3
from sshd import sshd_server

SHOP = """
version: 1
workspace: {name: shop}
sources:
  shop: {type: duckdb, path: shop.duckdb}
models:
  people:
    source: shop
    table: people
    primary_key: [id]
    columns: {id: {rule: RULE}, email: {class: email}, city: {values: [Lyon, Nice]}}
    consent:
      ads: {column: ads, equals: true, constant: all agreed}
destinations:
  lake: {OWNED DESTINATION}
syncs:
  lake:
    id: lake
    model: people
    destination: lake
    mode: MODE
    purpose: ads
    batch_rows: 1000
    mapping: {id: id, city: city MORE}
"""
INTERNAL = (
    SHOP.replace("OWNED", "kind: internal, owner: data, reason: our own,")
    .replace("MORE", ", email: email")
    .replace("MODE", "append")
    .replace("{rule: RULE}", "{}")
)
EXTERNAL = (SHOP.replace("OWNED", "").replace("MORE", "").replace("MODE", "upsert")).replace(
    "RULE", "pseudonym"
)
Place = tuple[str, Callable[[], dict[str, bytes]]]


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """A bucket of moto's."""
    with moto_s3() as moto:
        monkeypatch.setenv("KEY_ID", moto.keys[0])
        monkeypatch.setenv("KEY", moto.keys[1])
        yield (
            "type: s3, bucket: shop-customers, region: eu-west-1, format: parquet, "
            f"endpoint: '{moto.url}', access_key_id: env:KEY_ID, secret_access_key: env:KEY",
            lambda: {name: moto.content(name) for name in moto.names()},
        )


@pytest.fixture
def gcs(monkeypatch: pytest.MonkeyPatch, sandbox: SandboxServer) -> Place:
    """A bucket of the sandbox."""
    monkeypatch.setenv("ACCOUNT", gcs_world.account_key(sandbox))
    objects = sandbox.app.gcs.objects
    return (
        "type: gcs, bucket: shop-customers, region: europe-west1, format: jsonl, "
        f"endpoint: '{sandbox.url}', service_account_key: env:ACCOUNT",
        lambda: {name: stored.content for (_, name), stored in objects.items()},
    )


@pytest.fixture
def sftp(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Place]:
    """A folder behind OpenSSH's server."""
    folder = tmp_path / "drop"
    folder.mkdir()
    with sshd_server() as sshd:
        monkeypatch.setenv("KEY", sshd.private_key)
        yield (
            f"type: sftp, host: 127.0.0.1, port: {sshd.port}, username: {sshd.user}, "
            f"host_keys: ['{sshd.host_key}'], private_key: env:KEY, folder: '{folder}', "
            "format: csv",
            lambda: {path.name: path.read_bytes() for path in folder.iterdir()},
        )


@pytest.fixture(params=["s3", "gcs", "sftp"])
def place(request: pytest.FixtureRequest) -> Place:
    """Each in turn."""
    found: Place = request.getfixturevalue(request.param)
    return found


# One place shows what is the same at all of them; the others are left to a soak.
_ONE = [
    "sftp",
    pytest.param("s3", marks=IN_A_SOAK),
    pytest.param("gcs", marks=IN_A_SOAK),
]


@pytest.fixture(params=_ONE)
def one_place(request: pytest.FixtureRequest) -> Place:
    """Each in turn."""
    found: Place = request.getfixturevalue(request.param)
    return found


def rows_of(files: dict[str, bytes]) -> list[dict[str, Any]]:
    """Of all files, whatever their format."""
    found: list[dict[str, Any]] = []
    for name, content in files.items():
        if name.endswith(".parquet"):
            found += pl.read_parquet(io.BytesIO(content)).to_dicts()
        elif name.endswith(".csv"):
            found += csv.DictReader(io.StringIO(content.decode(), newline=""))
        else:
            found += [orjson.loads(line) for line in content.splitlines()]
    return found


def change(root: Path, statement: str) -> None:
    """In the warehouse."""
    with duckdb.connect(str(root / "shop.duckdb")) as connection:
        connection.execute(statement)


def run(root: Path) -> dict[str, Any]:
    """How a run ended."""
    ended: dict[str, Any] = approved(root).run("lake").to_dict()["syncs"][0]
    return ended


def test_new_rows_are_files_of_their_run(tmp_path: Path, place: Place) -> None:
    """Planned, approved, sent: one file for each batch; only who consents; then only what is new,
    and whoever withdraws gets no further row.
    """
    settings, files = place
    text = INTERNAL.replace("DESTINATION", settings)
    root = make_project(tmp_path / "project", "", rows=1_500, text=text)
    change(root, "UPDATE people SET ads = FALSE WHERE id = 7")
    ended = run(root)
    assert (ended["status"], ended["rows"]["delivered"]) == ("succeeded", 1_499)
    assert len(files()) == 2
    assert all(name.startswith(f"lake.{ended['run']}.") for name in files())
    rows = rows_of(files())
    assert sorted(int(row["id"]) for row in rows) == [n for n in range(1_500) if n != 7]
    assert "p8@example.com" in {row["email"] for row in rows}
    change(root, "UPDATE people SET ads = FALSE WHERE id = 8")
    change(root, "INSERT INTO people VALUES (9000, 'p9000@example.com', NULL, 'Nice', TRUE)")
    assert run(root)["rows"]["delivered"] == 1
    assert len(files()) == 3
    assert len(rows_of(files())) == 1_500
    assert run(root)["status"] == "no_changes"
    kept = b"".join(p.read_bytes() for p in (root / ".mayfly").rglob("*") if p.is_file())
    assert b"p9@example.com" not in kept


def test_a_third_party_gets_pseudonyms(tmp_path: Path, one_place: Place) -> None:
    """And what was delivered of who withdraws is out of reach: the run does not say otherwise."""
    settings, files = one_place
    text = EXTERNAL.replace("DESTINATION", settings)
    root = make_project(tmp_path / "project", "", rows=3, text=text)
    assert run(root)["rows"]["delivered"] == 3
    rows = rows_of(files())
    assert all(len(row["id"]) == 64 and set(row) == {"id", "city"} for row in rows)
    change(root, "UPDATE people SET ads = FALSE WHERE id = 1")
    change(root, "UPDATE people SET city = 'Nice' WHERE id = 2")
    ended = run(root)
    assert (ended["rows"]["delivered"], ended["rows"]["removed"]) == (1, 0)
    assert len(files()) == 2


class Killed(BaseException):
    """The end of a process."""


@pytest.mark.parametrize("is_there", [True, False])
def test_an_append_whose_process_died_is_there_once(
    tmp_path: Path, one_place: Place, monkeypatch: pytest.MonkeyPatch, is_there: bool
) -> None:
    """Right after the file was there, or right before: the next run looks, and goes on."""
    settings, files = one_place
    root = make_project(
        tmp_path / "project", "", rows=3, text=INTERNAL.replace("DESTINATION", settings)
    )
    with monkeypatch.context() as dying:
        kind = SftpFolder if "type: sftp" in settings else Objects
        put = kind.put

        async def then_dead(place: Any, *given: Any) -> None:
            if is_there:
                await put(place, *given)
            raise Killed

        dying.setattr(kind, "put", then_dead)
        with pytest.raises(Killed):
            run(root)
    assert len(files()) == is_there
    ended = run(root)
    assert ended["status"] == ("no_changes" if is_there else "succeeded")
    assert sorted(int(row["id"]) for row in rows_of(files())) == [0, 1, 2]


def test_a_destination_is_tried_with_people_who_do_not_exist(
    tmp_path: Path, one_place: Place
) -> None:
    """`mayfly test`; what it sent stays there, and it says so."""
    settings, files = one_place
    root = make_project(
        tmp_path / "project", "", rows=3, text=INTERNAL.replace("DESTINATION", settings)
    )
    told = approved(root).test("lake", rows=5)
    assert (told["ok"], told["taken_back"], told["left"]) == (True, None, 5)
    assert [name.split(".")[0] for name in files()] == ["mayfly_test"]


def test_an_address_is_approved_with_the_sync(tmp_path: Path, gcs: Place) -> None:
    """Another bucket is another destination: nothing goes before somebody approves it."""
    settings, files = gcs
    root = make_project(
        tmp_path / "project", "", rows=3, text=INTERNAL.replace("DESTINATION", settings)
    )
    approved(root)
    path = root / "mayfly.yml"
    path.write_text(path.read_text().replace("shop-customers", "other-customers"))
    ended = load(root).run("lake").to_dict()["syncs"][0]
    assert (ended["status"], ended["error"]["code"]) == ("refused", "approval_changed")
    assert files() == {}
