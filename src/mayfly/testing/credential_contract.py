"""What every store of credentials promises, as a suite of tests. Subclass it, give a `world`."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest

from mayfly.domain.credentials import ConnectionKey, ConnectionState, SealedCredential
from mayfly.domain.errors import EngineError, IntegrityError, TransientError
from mayfly.ports.credentials import CredentialStore

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
META = ConnectionKey(target="dev", name="meta")


@dataclass(frozen=True, kw_only=True)
class CredentialWorld:
    """An initialised store without credentials.

    Args:
        open: the store, as another process would open it.
        execute: run one statement on the database behind the store's back.
    """

    open: Callable[[], CredentialStore]
    execute: Callable[[str], None]


def sealed(version: int = 1, key: ConnectionKey = META, *, at: datetime = NOW) -> SealedCredential:
    """A version, with bytes of its own."""
    return SealedCredential(
        key=key,
        version=version,
        place="meta_ads vendor",
        key_version="1",
        wrapped_key=bytes((0, version)),
        sealed=bytes((255, version)),
        created_at=at,
    )


def add(store: CredentialStore, credential: SealedCredential) -> None:
    """Insert it as the next version."""
    with store.lock_connection(credential.key) as locked:
        locked.add(credential)


def days(number: float) -> datetime:
    """So many after `NOW`."""
    return NOW + timedelta(days=number)


class CredentialStoreContract:
    """Subclasses give the fixture `world`."""

    def test_what_was_added_is_current(self, world: CredentialWorld) -> None:
        """Byte for byte, for another process, and under its own target only."""
        store = world.open()
        assert store.connection(META) == (None, None)
        add(store, sealed())
        assert world.open().connection(META) == (ConnectionState.CONNECTED, sealed())
        assert store.connection(replace(META, target="prod")) == (None, None)
        assert store.connection(replace(META, name="crm")) == (None, None)

    def test_a_new_version_leaves_the_one_before(self, world: CredentialWorld) -> None:
        """It is the current one; the other says since when it is not."""
        store = world.open()
        for version in (1, 2, 3):
            add(store, sealed(version, at=days(version)))
        assert store.connection(META)[1] == sealed(3, at=days(3))
        assert list(store.credentials()) == [
            replace(sealed(1, at=days(1)), replaced_at=days(2)),
            replace(sealed(2, at=days(2)), replaced_at=days(3)),
            sealed(3, at=days(3)),
        ]

    @pytest.mark.parametrize("version", [1, 3])
    def test_a_version_follows_the_current_one(self, world: CredentialWorld, version: int) -> None:
        """Any other number is refused, and the pointer stays."""
        store = world.open()
        add(store, sealed())
        with pytest.raises(TransientError) as caught:
            add(store, sealed(version))
        assert caught.value.code == "connection_changed"
        assert store.connection(META)[1] == sealed()
        assert len(store.credentials()) == 1

    def test_of_a_block_that_raises_nothing_stays(self, world: CredentialWorld) -> None:
        """Neither the version nor the pointer nor the state."""
        store = world.open()
        add(store, sealed())

        def broken() -> None:
            with store.lock_connection(META) as locked:
                locked.need_consent(days(1))
                locked.add(sealed(2))
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            broken()
        assert world.open().connection(META) == (ConnectionState.CONNECTED, sealed())

    def test_one_at_a_time_holds_a_connection(self, world: CredentialWorld) -> None:
        """Another waits, and reads then what the first one wrote."""
        add(world.open(), sealed())
        inside, go_on, seen = threading.Event(), threading.Event(), list[int]()

        def first() -> None:
            with world.open().lock_connection(META) as locked:
                inside.set()
                go_on.wait(30)
                locked.add(sealed(2))

        def second() -> None:
            store = world.open()
            assert store.connection(META)[1] == sealed()
            inside.wait(30)
            with store.lock_connection(META) as locked:
                current = locked.current()
                seen.append(current.version if current else 0)

        with ThreadPoolExecutor(2) as pool:
            ended = [pool.submit(first), pool.submit(second)]
            inside.wait(30)
            with pytest.raises(TimeoutError):
                ended[1].result(0.5)
            go_on.set()
            for one in ended:
                one.result()
        assert seen == [2]

    def test_of_first_connections_at_once_one_is_stored(self, world: CredentialWorld) -> None:
        """The others are told to repeat, and nothing of theirs is there."""
        barrier = threading.Barrier(3)

        def connect(_: int) -> str:
            store = world.open()
            barrier.wait(30)
            try:
                add(store, sealed())
            except EngineError as error:
                return error.code
            return "done"

        with ThreadPoolExecutor(3) as pool:
            found = sorted(pool.map(connect, range(3)))
        assert found == ["connection_changed", "connection_changed", "done"]
        assert len(world.open().credentials()) == 1

    def test_consent_that_is_needed_is_remembered_until_it_is_given(
        self, world: CredentialWorld
    ) -> None:
        """The next version ends it."""
        store = world.open()
        add(store, sealed())
        with store.lock_connection(META) as locked:
            locked.need_consent(days(1))
            assert locked.state() is ConnectionState.NEEDS_CONSENT
        assert world.open().connection(META) == (ConnectionState.NEEDS_CONSENT, sealed())
        add(store, sealed(2))
        assert store.connection(META)[0] is ConnectionState.CONNECTED

    def test_a_sweep_deletes_what_was_replaced_before(self, world: CredentialWorld) -> None:
        """Never the current version, whatever its age."""
        store = world.open()
        for version in (1, 2, 3):
            add(store, sealed(version, at=days(version)))
        assert store.sweep_credentials(days(2)) == 0
        assert store.sweep_credentials(days(2.5)) == 1
        assert [c.version for c in store.credentials()] == [2, 3]
        assert store.sweep_credentials(days(1000)) == 1
        assert store.connection(META)[1] == sealed(3, at=days(3))

    def test_a_wrapping_is_replaced_only_where_it_is_as_it_was_read(
        self, world: CredentialWorld
    ) -> None:
        """What is sealed stays as it is."""
        store = world.open()
        add(store, sealed())
        assert store.replace_wrapping(sealed(), b"new", "2")
        new = replace(sealed(), wrapped_key=b"new", key_version="2")
        assert store.connection(META)[1] == new
        assert not store.replace_wrapping(sealed(), b"other", "3")
        assert store.connection(META)[1] == new

    def test_forgetting_takes_every_version_of_one_connection(self, world: CredentialWorld) -> None:
        """And a new beginning is version 1."""
        store, other = world.open(), replace(META, target="prod")
        for one in (sealed(), sealed(2), sealed(key=other)):
            add(store, one)
        with store.lock_connection(META) as locked:
            assert locked.forget() == 2
        assert store.connection(META) == (None, None)
        assert [c.key for c in store.credentials()] == [other]
        add(store, sealed())
        assert store.connection(META)[1] == sealed()

    @pytest.mark.parametrize(
        "statement",
        [
            "UPDATE credentials SET sealed = 'no base64'",
            "UPDATE credentials SET created_at = 'no time'",
            "UPDATE connections SET state = 'other'",
            "UPDATE connections SET current = 7",
        ],
    )
    def test_rows_that_are_not_whole_are_damaged(
        self, world: CredentialWorld, statement: str
    ) -> None:
        """And nothing of them is told."""
        store = world.open()
        add(store, sealed())
        world.execute(statement)
        with pytest.raises(IntegrityError) as caught:
            store.connection(META)
        assert caught.value.code == "credential_damaged"
        assert "no base64" not in str(caught.value)
