"""The registry of what Mayfly writes, compared with what it does write."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import create_engine, inspect

import mayfly
from mayfly.adapters.spools.key_rows import KeyRows
from mayfly.adapters.spools.spool import KEYS_FILE
from mayfly.adapters.stores.sql_store import SqlStore
from mayfly.bootstrap import initialise
from mayfly.connectors.destinations.databases import MARKERS, STAGE
from mayfly.domain.retention import LIMITS, REGISTRY, Place, RetentionClass, retention_of
from mayfly.planning.names import WORKING_COPIES
from mayfly.services.init_project import TEMPLATES, plan_files

SOURCE = Path(mayfly.__file__).parent
STATE_TABLES = {"state", "pairs", "rejected", "states"}
NOW = datetime(2026, 3, 1, tzinfo=UTC)
PROJECT = """\
version: 1
workspace: {name: shop}
sources:
  shop: {type: duckdb, path: shop.duckdb}
"""


def names(place: Place) -> set[str]:
    """Names of the registry at a place."""
    return {entry.name for entry in REGISTRY if entry.place is place}


def files(folder: Path) -> set[str]:
    """Files below a folder, relative to it."""
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}


def test_the_store_has_exactly_the_registered_tables(tmp_path: Path) -> None:
    """A migration that adds a table without a class fails here, and so does a stale entry."""
    store = SqlStore("sqlite", tmp_path)
    store.create(workspace_id="shop-1", name="shop", installation_id="i", now=NOW)
    store.close()
    engine = create_engine(f"sqlite:///{tmp_path / 'store.sqlite'}")
    assert set(inspect(engine).get_table_names()) == names(Place.STORE)
    engine.dispose()


def test_a_spool_s_file_of_keys_has_exactly_the_registered_tables(tmp_path: Path) -> None:
    """Keys and batches live as long as customer data, and no longer."""
    KeyRows(tmp_path / KEYS_FILE).create("folder")
    engine = create_engine(f"sqlite:///{tmp_path / KEYS_FILE}")
    assert set(inspect(engine).get_table_names()) == names(Place.SPOOL)
    engine.dispose()
    for name in ("keys", "batches"):
        entry = retention_of(Place.SPOOL, name)
        assert entry is not None
        assert entry.cap_seconds == LIMITS[RetentionClass.CUSTOMER_DATA].cap_seconds


def test_a_warehouse_has_exactly_the_registered_tables() -> None:
    """Working copies, state tables, and checkpoints; each of the first is temporary."""
    assert names(Place.WAREHOUSE) == {*WORKING_COPIES, *STATE_TABLES, "checkpoints"}
    for name in WORKING_COPIES:
        entry = retention_of(Place.WAREHOUSE, name)
        assert entry is not None
        assert entry.cls is RetentionClass.TEMPORARY


def test_every_table_that_code_names_in_a_warehouse_is_registered() -> None:
    """No module asks for the name of a table that has no class."""
    named = {
        name
        for path in [*(SOURCE / "planning").rglob("*.py"), *(SOURCE / "adapters").rglob("*.py")]
        for name in re.findall(r"\.of\(\"([a-z_]+)\"\)", path.read_text("utf-8"))
    }
    assert "state" in named
    assert named <= names(Place.WAREHOUSE)


def test_tables_beside_a_destination_are_registered() -> None:
    """The stage of a batch, and the marks of delivered ones."""
    assert {MARKERS, STAGE} <= names(Place.DESTINATION)


def test_every_file_of_a_new_project_is_registered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Store, ledger and keys as `mayfly init` makes them."""
    project, keys = tmp_path / "project", tmp_path / "keys"
    project.mkdir()
    (project / "mayfly.yml").write_text(PROJECT, "utf-8")
    monkeypatch.setenv("MAYFLY_KEYS_DIR", str(keys))
    initialise(project)
    made = files(project)
    assert {".mayfly/store.sqlite", ".mayfly/ledger/entries.jsonl"} <= made
    assert [name for name in made if retention_of(Place.PROJECT, name) is None] == []
    (workspace,) = keys.iterdir()
    made_keys = files(workspace)
    assert "kek" in made_keys
    assert [name for name in made_keys if retention_of(Place.KEYS, name) is None] == []


@pytest.mark.parametrize("template", sorted(TEMPLATES))
def test_every_file_of_a_template_is_registered(template: str) -> None:
    """The project files that `mayfly init --template` writes are metadata."""
    for name in plan_files(template):
        entry = retention_of(Place.PROJECT, name)
        assert entry is not None, name
        assert entry.cls is RetentionClass.METADATA


def test_no_module_opens_a_log_of_its_own() -> None:
    """The only streams are those of the process; a log file would need an entry first."""
    writers = re.compile(r"FileHandler|StreamHandler|SysLogHandler|basicConfig|addHandler")
    nowhere = "addHandler(logging.NullHandler())"
    texts = {p.name: p.read_text("utf-8").replace(nowhere, "") for p in SOURCE.rglob("*.py")}
    assert [name for name, text in texts.items() if writers.search(text)] == []
    assert names(Place.STREAM) == {"stdout", "stderr"}


@pytest.mark.parametrize(
    ("place", "name"),
    [
        (Place.STORE, "leases"),
        (Place.WAREHOUSE, "rows"),
        (Place.PROJECT, ".mayfly/spool/batch-1"),
        (Place.PROJECT, ".mayfly/spool/keys.sqlite"),
        (Place.BUCKET, "spool.sqlite"),
        (Place.PROJECT, ".mayfly/ledger/x/entries.jsonl"),
        (Place.PROJECT, "run.log"),
        (Place.KEYS, "kek.bak"),
        (Place.STREAM, "syslog"),
    ],
)
def test_what_is_not_registered_has_no_class(place: Place, name: str) -> None:
    """The comparison can fail: no pattern takes everything."""
    assert retention_of(place, name) is None


@pytest.mark.parametrize(
    ("place", "name", "entry"),
    [
        (Place.PROJECT, ".mayfly/store.sqlite-wal", ".mayfly/store.sqlite-*"),
        (Place.PROJECT, ".mayfly/spool/0f-0f.spool", ".mayfly/spool/*.spool"),
        (Place.PROJECT, ".mayfly/spool/.0f-0f.spool.part", ".mayfly/spool/.*.spool.part"),
        (Place.PROJECT, ".mayfly/ledger/.checkpoint.new", ".mayfly/ledger/.*.new"),
        (Place.KEYS, "pseudonym.0123.key", "*.key"),
        (Place.KEYS, ".kek.00ff", ".*"),
        (Place.KEYS, "kek.2.destroyed", "kek.[1-9]*"),
        (Place.DESTINATION, ".mayfly-vip-r1/000001.arrow", ".mayfly-*/*.arrow"),
        (Place.DESTINATION, ".vip.r1.csv.part", "*.part"),
    ],
)
def test_a_file_is_found_by_its_pattern(place: Place, name: str, entry: str) -> None:
    """Names with an id in them belong to one kind of file."""
    found = retention_of(place, name)
    assert found is not None
    assert found.name == entry


def test_limits_are_those_of_the_classes() -> None:
    """Rows 8 hours and 30 days, temporary data 24 hours and 30 days, the rest no time limit."""
    hours = {
        cls: (limit.target_seconds, limit.cap_seconds)
        for cls, limit in LIMITS.items()
        if limit.target_seconds is not None or limit.cap_seconds is not None
    }
    assert hours == {
        RetentionClass.CUSTOMER_DATA: (28_800, 2_592_000),
        RetentionClass.TEMPORARY: (86_400, 2_592_000),
    }
    assert set(LIMITS) == set(RetentionClass)


def test_every_entry_is_complete_and_unique() -> None:
    """Each says what it holds, when its clock starts and what ends it."""
    keys = [(entry.place, entry.name) for entry in REGISTRY]
    assert len(set(keys)) == len(keys)
    for entry in REGISTRY:
        assert entry.holds
        assert entry.clock_starts
        assert entry.ends_when
        assert entry.target_seconds == LIMITS[entry.cls].target_seconds
        assert entry.cap_seconds == LIMITS[entry.cls].cap_seconds
