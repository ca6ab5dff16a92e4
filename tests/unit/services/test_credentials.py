"""Credentials as they are sealed, versioned and refreshed, on a real store and key."""

from __future__ import annotations

import shutil
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mayfly.adapters.keys.local import LocalKeyProvider
from mayfly.adapters.stores.sql_store import SqlStore
from mayfly.domain.credentials import ConnectionKey, SealedCredential
from mayfly.domain.errors import ConfigError, EngineError, IntegrityError, TransientError
from mayfly.services.credentials import AccessTokens, Credential, CredentialVault, Place
from mayfly.services.oauth import Tokens
from mayfly.services.scan_paths import scan_paths

NOW = datetime(2026, 3, 1, tzinfo=UTC)
META = Place(key=ConnectionKey(target="dev", name="meta"), where="meta_ads vendor")
MARK = "marked-7f3a-secret"


class HalfAwayKeys(LocalKeyProvider):
    """A key provider that goes away after it opened something."""

    def wrap(self, dek: bytes, aad: bytes) -> bytes:
        """No answer."""
        raise TransientError("keys_unavailable", "The key provider is away.")


class LateKeys(LocalKeyProvider):
    """A key provider that lists a new version some time before it wraps under it."""

    before: LocalKeyProvider | None = None

    def rotate(self) -> str:
        """Go on wrapping as before."""
        folder = Path(self.folder).with_name("before")
        shutil.copytree(self.folder, folder)
        self.before = LocalKeyProvider(folder, project_directory=folder / "project")
        return super().rotate()

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, project_directory=folder.with_name("project"))
        self.folder = folder

    def wrap(self, dek: bytes, aad: bytes) -> bytes:
        """Under the version before, where there is one."""
        return super().wrap(dek, aad) if self.before is None else self.before.wrap(dek, aad)


class WatchedStore(SqlStore):
    """A store that tells when it was asked for all credentials."""

    asked: threading.Event

    def credentials(self) -> Sequence[SealedCredential]:
        """Tell afterwards."""
        found = super().credentials()
        self.asked.set()
        return found


@dataclass
class World:
    """A store with its key, and the day it is."""

    folder: Path
    now: datetime = NOW
    opened: list[SqlStore] = field(default_factory=list)

    def store(self) -> SqlStore:
        """As another process would open it."""
        self.opened.append(SqlStore("sqlite", self.folder / ".mayfly"))
        return self.opened[-1]

    def keys(self) -> LocalKeyProvider:
        """Outside the project."""
        return LocalKeyProvider(self.folder / "keys", project_directory=self.folder / "project")

    def vault(
        self,
        *,
        workspace: str = "shop-1",
        region: str = "",
        store: SqlStore | None = None,
        keys: LocalKeyProvider | None = None,
    ) -> CredentialVault:
        """As another process would open it."""
        return CredentialVault(
            store or self.store(),
            keys or self.keys(),
            workspace=workspace,
            region=region,
            now=lambda: self.now,
        )

    def execute(self, statement: str) -> None:
        """Behind the store's back."""
        with sqlite3.connect(self.folder / ".mayfly/store.sqlite") as connection:
            connection.execute(statement)
        connection.close()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A new store and key."""
    made = World(tmp_path)
    made.store().create(workspace_id="shop-1", name="shop", installation_id="i", now=NOW)
    made.keys().create()
    yield made
    for store in made.opened:
        store.close()


def code_of(vault: CredentialVault, place: Place = META) -> str:
    """What `get` refuses with."""
    with pytest.raises(EngineError) as caught:
        vault.get(place)
    return caught.value.code


def tokens(refresh_token: str | None, access_token: str = "access") -> Tokens:
    """An answer that is good for 100 seconds."""
    return Tokens(access_token=access_token, refresh_token=refresh_token, life_seconds=100)


def test_a_secret_comes_back_for_its_place_alone(world: World) -> None:
    """Another target, name or endpoint has none; the hint says how to get one."""
    assert world.vault().put(META, Credential(secret=MARK)) == 1
    assert world.vault().get(META) == Credential(secret=MARK)
    others = [
        replace(META, key=replace(META.key, target="prod")),
        replace(META, key=replace(META.key, name="crm")),
        replace(META, where="meta_ads http://127.0.0.1:9"),
    ]
    for place in others:
        with pytest.raises(ConfigError) as caught:
            world.vault().get(place)
        assert caught.value.code == "not_connected"
        command = f"mayfly connect {place.key.name} --target {place.key.target}"
        assert command in caught.value.hint


def test_nothing_of_a_secret_is_in_any_file_or_text(world: World) -> None:
    """Not in the database, its log or the keys; the same look finds one that was put there."""
    world.vault().put(META, Credential(secret=MARK))
    credential = world.vault().get(META)
    assert scan_paths([world.folder], known_values=[MARK]) == []
    assert MARK not in f"{credential!r}{world.vault()!r}{tokens(MARK, MARK)!r}"
    world.store().note_time(NOW)
    world.execute(f"UPDATE connections SET state = '{MARK[:16]}'")
    assert scan_paths([world.folder], known_values=[MARK[:16]])


@pytest.mark.parametrize(
    ("statement", "place"),
    [
        ("UPDATE credentials SET version = 2; UPDATE connections SET current = 2", META),
        (
            "UPDATE credentials SET target = 'prod'; UPDATE connections SET target = 'prod'",
            replace(META, key=replace(META.key, target="prod")),
        ),
        (
            "UPDATE credentials SET connection = 'crm'; UPDATE connections SET name = 'crm'",
            replace(META, key=replace(META.key, name="crm")),
        ),
        ("UPDATE credentials SET place = 'other'", replace(META, where="other")),
    ],
)
def test_an_edited_row_does_not_open(world: World, statement: str, place: Place) -> None:
    """Whoever writes the store cannot have a credential sent elsewhere."""
    world.vault().put(META, Credential(secret=MARK))
    for one in statement.split(";"):
        world.execute(one)
    assert code_of(world.vault(), place) == "unwrap_failed"


def test_another_workspace_or_region_does_not_open_it(world: World) -> None:
    """Though it has the same key and the same rows."""
    world.vault(region="eu").put(META, Credential(secret=MARK))
    assert world.vault(region="eu").get(META).secret == MARK
    assert code_of(world.vault(region="us")) == "unwrap_failed"
    assert code_of(world.vault(region="eu", workspace="shop-2")) == "unwrap_failed"


def test_an_altered_secret_does_not_open(world: World) -> None:
    """Content of one version under the key of another is refused."""
    world.vault().put(META, Credential(secret=MARK))
    world.vault().put(META, Credential(secret="other"))
    world.execute(
        "UPDATE credentials SET sealed = (SELECT sealed FROM credentials WHERE version = 1)"
    )
    assert code_of(world.vault()) == "unseal_failed"


def test_old_versions_go_seven_days_after_they_were_replaced(world: World) -> None:
    """Not before, and the current one never."""
    vault = world.vault()
    vault.put(META, Credential(secret="first"))
    world.now = NOW + timedelta(days=100)
    vault.put(META, Credential(secret="second"))
    world.now += timedelta(days=7)
    assert vault.sweep() == 0
    world.now += timedelta(seconds=1)
    assert vault.sweep() == 1
    world.now += timedelta(days=1000)
    assert vault.sweep() == 0
    assert vault.get(META).secret == "second"


def test_rewrapping_frees_the_old_version_of_the_key(world: World) -> None:
    """Every version of every connection opens once the key they were wrapped under is gone."""
    vault, crm = world.vault(), replace(META, key=replace(META.key, name="crm"))
    for place, secret in ((META, "first"), (META, "second"), (crm, "third")):
        vault.put(place, Credential(secret=secret))
    assert vault.rewrap() == 0
    keys = world.keys()
    [old] = [version.id for version in keys.versions()]
    keys.rotate()
    assert vault.rewrap() == 3
    assert vault.rewrap() == 0
    keys.destroy(old)
    assert world.vault().get(META).secret == "second"
    assert world.vault().get(crm).secret == "third"


def test_a_provider_that_still_wraps_under_the_earlier_version_is_told(world: World) -> None:
    """Nothing counts as rewrapped that is not, and a later call brings all of it."""
    late = LateKeys(world.folder / "keys")
    vault = world.vault(keys=late)
    vault.put(META, Credential(secret="first"))
    assert late.rotate() == "2"
    vault.put(META, Credential(secret="second"))
    assert [one.key_version for one in world.store().credentials()] == ["1", "1"]
    with pytest.raises(TransientError) as caught:
        vault.rewrap()
    assert (caught.value.code, "keys rewrap" in caught.value.hint) == ("keys_unavailable", True)
    assert [one.key_version for one in world.store().credentials()] == ["1", "1"]
    assert world.vault().rewrap() == 2
    world.keys().destroy("1")
    assert world.vault().get(META).secret == "second"


def test_a_refresh_under_way_is_rewrapped_too(world: World) -> None:
    """Its key is wrapped before it asks, and in the store only afterwards."""
    world.vault().put(META, Credential(secret="r1", refreshes=True))
    store = WatchedStore("sqlite", world.folder / ".mayfly")
    world.opened.append(store)
    store.asked = threading.Event()
    with ThreadPoolExecutor(1) as pool:

        def ask(token: str) -> Tokens:
            world.keys().rotate()
            pool.submit(lambda: rewrapped.append(world.vault(store=store).rewrap()))
            assert store.asked.wait(30)
            return tokens(f"{token}+")

        rewrapped: list[int] = []
        world.vault().refreshed(META, ask)
    assert rewrapped == [2]
    world.keys().destroy("1")
    assert world.vault().get(META).secret == "r1+"


def test_one_that_cannot_be_rewrapped_does_not_keep_the_others(world: World) -> None:
    """They are done, and it is told then."""
    vault, crm = world.vault(), replace(META, key=replace(META.key, name="crm"))
    vault.put(crm, Credential(secret="third"))
    vault.put(META, Credential(secret="first"))
    world.execute("UPDATE credentials SET wrapped_key = 'AAAA' WHERE connection = 'crm'")
    keys = world.keys()
    [old] = [version.id for version in keys.versions()]
    keys.rotate()
    with pytest.raises(IntegrityError) as caught:
        vault.rewrap()
    assert caught.value.code == "unwrap_failed"
    keys.destroy(old)
    assert world.vault().get(META).secret == "first"


def test_the_new_refresh_token_is_stored_before_the_access_token_is_used(world: World) -> None:
    """What `refreshed` returns is in the store already, for any process."""
    world.vault().put(META, Credential(secret="r1", refreshes=True))
    given = world.vault().refreshed(META, lambda token: tokens(f"{token}+"))
    assert given.refresh_token == "r1+"
    assert world.vault().get(META) == Credential(secret="r1+", refreshes=True)


def test_a_new_refresh_token_is_stored_though_its_answer_has_a_flaw(world: World) -> None:
    """The one before is spent; the caller gets the error."""
    world.vault().put(META, Credential(secret="r1", refreshes=True))
    flawed = Tokens(access_token="", refresh_token="r2", life_seconds=0.0, flaw="is odd")
    with pytest.raises(EngineError, match="oauth_answer"):
        world.vault().refreshed(META, lambda token: flawed)
    assert world.vault().get(META).secret == "r2"


@pytest.mark.parametrize("again", [None, "r1"])
def test_a_token_that_does_not_rotate_makes_no_version(world: World, again: str | None) -> None:
    """Some vendors send none, some the same."""
    world.vault().put(META, Credential(secret="r1", refreshes=True))
    world.vault().refreshed(META, lambda token: tokens(again))
    assert len(world.store().credentials()) == 1


def test_where_the_new_token_cannot_be_stored_its_access_token_is_not_used(
    world: World,
) -> None:
    """The version before stays, and the caller gets an error, not tokens."""
    world.vault().put(META, Credential(secret="r1", refreshes=True))
    world.execute(
        "CREATE TRIGGER full BEFORE INSERT ON credentials BEGIN SELECT RAISE(ABORT, 'full'); END"
    )
    with pytest.raises(EngineError):
        world.vault().refreshed(META, lambda token: tokens("r2"))
    assert world.vault().get(META).secret == "r1"


def test_nobody_is_asked_for_a_token_that_could_not_be_sealed(world: World) -> None:
    """Where the key provider is away the refresh token is not spent."""
    world.vault().put(META, Credential(secret="r1", refreshes=True))
    asked: list[str] = []
    keys = HalfAwayKeys(world.folder / "keys", project_directory=world.folder / "project")
    vault = CredentialVault(
        world.store(), keys, workspace="shop-1", region="", now=lambda: world.now
    )
    with pytest.raises(TransientError) as caught:
        vault.refreshed(META, lambda token: tokens(str(asked.append(token))))
    assert caught.value.code == "keys_unavailable"
    assert asked == []


def test_a_grant_that_is_over_needs_consent_and_is_not_asked_again(world: World) -> None:
    """Also by other processes, until somebody connects."""
    world.vault().put(META, Credential(secret="r1", refreshes=True))
    asked: list[str] = []

    def refuse(token: str) -> None:
        asked.append(token)

    for _ in range(2):
        with pytest.raises(ConfigError) as caught:
            world.vault().refreshed(META, refuse)
        assert caught.value.code == "needs_consent"
        assert "mayfly connect meta" in caught.value.hint
    assert asked == ["r1"]
    assert code_of(world.vault()) == "needs_consent"
    world.vault().put(META, Credential(secret="r2", refreshes=True))
    assert world.vault().get(META).secret == "r2"


def test_refreshes_at_once_go_one_after_the_other(world: World) -> None:
    """Each with the token that the one before got: none is spent twice."""
    world.vault().put(META, Credential(secret="r", refreshes=True))
    asked: list[str] = []
    barrier = threading.Barrier(4)

    def ask(token: str) -> Tokens:
        asked.append(token)
        return tokens(f"{token}+")

    def one(_: int) -> None:
        vault = world.vault()
        barrier.wait(30)
        vault.refreshed(META, ask)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(one, range(4)))
    assert asked == ["r", "r+", "r++", "r+++"]


@dataclass
class Clockwork:
    """Access tokens of 100 seconds, a clock, and a destination that may be away."""

    seconds: float = 0.0
    fetched: int = 0
    error: EngineError | None = None

    def fetch(self) -> Tokens:
        """The next token."""
        self.fetched += 1
        if self.error is not None:
            raise self.error
        return tokens(None, f"a{self.fetched}")

    def tokens(self, jitter: float = 0.0) -> AccessTokens:
        """What a connector holds."""
        return AccessTokens(self.fetch, seconds=lambda: self.seconds, jitter=lambda: jitter)


@pytest.mark.parametrize(("jitter", "share"), [(0.0, 80.0), (1.0, 75.0)])
def test_an_access_token_is_renewed_at_four_fifths_of_its_life(jitter: float, share: float) -> None:
    """A little earlier where chance says so, and never before."""
    clock = Clockwork()
    held = clock.tokens(jitter)
    assert held.reveal() == "a1"
    clock.seconds = share - 0.1
    assert held.reveal() == "a1"
    clock.seconds = share + 0.1
    assert held.reveal() == "a2"
    assert "a2" not in repr(held)


def test_threads_at_once_make_one_request() -> None:
    """The others get what it got."""
    clock, barrier, asking = Clockwork(), threading.Barrier(8), threading.Barrier(2)

    def fetch() -> Tokens:
        # Two who ask at once meet here; one alone goes on.
        with suppress(threading.BrokenBarrierError):
            asking.wait(0.3)
        return clock.fetch()

    held = AccessTokens(fetch, seconds=lambda: 0.0, jitter=lambda: 0.0)

    def one(_: int) -> str:
        barrier.wait(30)
        return held.reveal()

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(one, range(8))) == {"a1"}
    assert clock.fetched == 1


def test_a_destination_that_is_away_costs_nothing_while_the_token_is_good() -> None:
    """It is tried again after 30 seconds, and fails once the token is past its life."""
    clock = Clockwork()
    held = clock.tokens()
    held.reveal()
    clock.error = TransientError("oauth_unavailable", "Away.")
    clock.seconds = 82.0
    assert held.reveal() == "a1"
    assert held.reveal() == "a1"
    assert clock.fetched == 2
    clock.seconds = 100.0
    with pytest.raises(TransientError):
        held.reveal()
    clock.error = None
    assert held.reveal() == "a4"


def test_after_a_grant_is_over_no_token_is_given() -> None:
    """Not even one that has some life left."""
    clock = Clockwork()
    held = clock.tokens()
    held.reveal()
    clock.error, clock.seconds = ConfigError("needs_consent", "Over."), 82.0
    for _ in range(2):
        with pytest.raises(ConfigError):
            held.reveal()
