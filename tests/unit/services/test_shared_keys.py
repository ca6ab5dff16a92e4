"""Keys made at their first use: a workspace has one for each use, however many machines it has."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from shutil import copytree

import pytest

from mayfly.adapters.keys.keyring import FileKeyring
from mayfly.adapters.stores.sql_store import SqlStore
from mayfly.domain.errors import PolicyError
from mayfly.services.shared_keys import shared_key
from mayfly.testing.fake_keys import FakeKeyProvider


@pytest.fixture
def store(tmp_path: Path) -> SqlStore:
    """Of a workspace."""
    made = SqlStore("sqlite", tmp_path / "store")
    made.create(workspace_id="w", name="shop", installation_id="i", now=datetime.now(UTC))
    return made


@pytest.fixture
def machines(tmp_path: Path) -> list[FileKeyring]:
    """Two machines that have the workspace's first keys, and one provider."""
    provider = FakeKeyProvider()
    FileKeyring(provider, tmp_path / "a").create_all()
    copytree(tmp_path / "a", tmp_path / "b")
    return [FileKeyring(provider, tmp_path / name) for name in "ab"]


def test_the_key_is_made_once(store: SqlStore, machines: list[FileKeyring]) -> None:
    """The machine that made it has it again; of each destination there is another."""
    first = shared_key(machines[0], store, "pseudonym", "crm")
    assert shared_key(machines[0], store, "pseudonym", "crm") == first
    assert shared_key(machines[0], store, "pseudonym", "ads") != first


def test_a_machine_without_the_key_makes_none(
    store: SqlStore, machines: list[FileKeyring], tmp_path: Path
) -> None:
    """It is refused, and once the directory is copied it has the same key."""
    first = shared_key(machines[0], store, "pseudonym", "crm")
    before = sorted(p.name for p in (tmp_path / "b").iterdir())
    with pytest.raises(PolicyError) as raised:
        shared_key(machines[1], store, "pseudonym", "crm")
    assert raised.value.code == "key_missing"
    assert sorted(p.name for p in (tmp_path / "b").iterdir()) == before
    copytree(tmp_path / "a", tmp_path / "b", dirs_exist_ok=True)
    assert shared_key(machines[1], store, "pseudonym", "crm") == first


def test_a_machine_with_another_key_is_refused(
    store: SqlStore, machines: list[FileKeyring]
) -> None:
    """As of two that began at the same moment, or of a key that was made before marks were kept."""
    machines[1].ensure("pseudonym", "crm")
    first = shared_key(machines[0], store, "pseudonym", "crm")
    with pytest.raises(PolicyError) as raised:
        shared_key(machines[1], store, "pseudonym", "crm")
    assert raised.value.code == "key_differs"
    assert first.hex() not in str(raised.value)
    assert store.key_mark("pseudonym", "crm") != first.hex()
