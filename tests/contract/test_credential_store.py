"""The suite of stores of credentials, on SQLite and PostgreSQL."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from mayfly.adapters.stores.sql_store import SqlStore
from mayfly.testing.credential_contract import NOW, CredentialStoreContract, CredentialWorld


def made(url: str, folder: Path, opened: list[SqlStore]) -> SqlStore:
    """A store, to be closed at the end."""
    opened.append(SqlStore(url, folder))
    return opened[-1]


class TestSqlite(CredentialStoreContract):
    """A file in the project."""

    @pytest.fixture
    def world(self, tmp_path: Path) -> Iterator[CredentialWorld]:
        """A new store."""
        opened: list[SqlStore] = []
        made("sqlite", tmp_path, opened).create(
            workspace_id="shop-1", name="shop", installation_id="i", now=NOW
        )

        def execute(statement: str) -> None:
            with sqlite3.connect(tmp_path / "store.sqlite") as connection:
                connection.execute(statement)
            connection.close()

        yield CredentialWorld(open=lambda: made("sqlite", tmp_path, opened), execute=execute)
        for store in opened:
            store.close()


class TestPostgres(CredentialStoreContract):
    """A database of its own on a real server."""

    @pytest.fixture
    def world(self, postgres_database: str, tmp_path: Path) -> Iterator[CredentialWorld]:
        """A new store."""
        url = postgres_database.replace("postgresql://", "postgresql+psycopg://", 1)
        opened: list[SqlStore] = []
        made(url, tmp_path, opened).create(
            workspace_id="shop-1", name="shop", installation_id="i", now=NOW
        )

        def execute(statement: str) -> None:
            with psycopg.connect(postgres_database, autocommit=True) as connection:
                connection.execute(statement.encode())

        yield CredentialWorld(open=lambda: made(url, tmp_path, opened), execute=execute)
        for store in opened:
            store.close()
