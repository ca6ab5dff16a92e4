"""Credentials of destinations: sealed in the store under the project's key provider, by version.

A refresh happens under the connection's lock, after reading it anew: of several processes one at
a time asks, with the refresh token that is then the current one. A new refresh token is in the
store before the access token that came with it is used; access tokens are in memory only.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime

from mayfly.crypto.aead import associated_data, new_key, seal, unseal
from mayfly.domain.credentials import (
    KEPT_FOR,
    ConnectionKey,
    ConnectionState,
    SealedCredential,
)
from mayfly.domain.errors import ConfigError, EngineError, IntegrityError, TransientError
from mayfly.ports.credentials import CredentialStore, LockedConnection
from mayfly.ports.keys import KeyProvider, check_wrapped_under, newest_version
from mayfly.services.oauth import Tokens

_CONTEXT = "mayfly/credential/1"
_RETRY_SECONDS = 30.0
"""After a refresh that failed while the access token is good, for so long none is tried."""
_REFRESH_SHARE, _JITTER_SHARE = 0.8, 0.05

Refresh = Callable[[str], Tokens | None]
"""New tokens for a refresh token; None where the grant is over and a person must log in again."""


@dataclass(frozen=True, kw_only=True)
class Credential:
    """One credential, opened; `repr` shows none of it.

    Args:
        secret: what the destination takes, or the refresh token.
        refreshes: whether it is a refresh token.
    """

    secret: str = field(repr=False)
    refreshes: bool = False


@dataclass(frozen=True, kw_only=True)
class Place:
    """What a credential is for: sealed for one, it does not open for another.

    Args:
        key: of the connection.
        where: type and endpoint of the destination.
    """

    key: ConnectionKey
    where: str


class CredentialVault:
    """The credentials of one workspace in one region. Calls block; safe for several threads."""

    def __init__(
        self,
        store: CredentialStore,
        provider: KeyProvider,
        *,
        workspace: str,
        region: str,
        now: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._provider = provider
        self._workspace, self._region = workspace, region
        self._now = now

    def __repr__(self) -> str:
        return "CredentialVault()"

    def put(self, place: Place, credential: Credential) -> int:
        """Store a new version, which is the current one then; gives its number.

        Raises:
            TransientError: `connection_changed`, what the provider or the store raises; nothing
                is stored then.
            EngineError: whatever else they raise.
        """
        with self._store.lock_connection(place.key) as locked:
            return self._sealing(locked, place)(credential)

    def get(self, place: Place) -> Credential:
        """The current version.

        Raises:
            ConfigError: `not_connected`, there is none for that place; `needs_consent`, it is no
                longer taken.
            IntegrityError: `unwrap_failed`, `unseal_failed`, `credential_damaged`.
            EngineError: what the provider raises.
        """
        state, current = self._store.connection(place.key)
        return self._opened(place, state, current)

    def refreshed(self, place: Place, refresh: Refresh) -> Tokens:
        """New tokens, once the refresh token among them is stored.

        Args:
            place: of the connection.
            refresh: asks the destination; called at most once, and not where the key provider
                could not seal the answer.

        Raises:
            ConfigError: `needs_consent`, from now on until somebody connects again.
            EngineError: as `get`, or what `refresh` raises; the version before stays current.
        """
        with self._store.lock_connection(place.key) as locked:
            before = self._opened(place, locked.state(), locked.current())
            put = self._sealing(locked, place)
            tokens = refresh(before.secret)
            if tokens is None:
                locked.need_consent(self._now())
            elif tokens.refresh_token not in (None, before.secret):
                put(Credential(secret=str(tokens.refresh_token), refreshes=True))
        if tokens is None:
            raise _needs_consent(place.key.name)
        tokens.require_whole()
        return tokens

    def forget(self, key: ConnectionKey) -> int:
        """Delete a connection with all its versions; how many there were."""
        with self._store.lock_connection(key) as locked:
            return locked.forget()

    def rewrap(self) -> int:
        """Wrap every data key under the newest key encryption key; how many were changed.

        A key that cannot be unwrapped does not keep the others. Waits for refreshes under way,
        whose keys were wrapped before they asked and are in the store only afterwards.

        Raises:
            IntegrityError: `unwrap_failed`, once all others are done.
            TransientError: `keys_unavailable`, the provider does not wrap under it yet.
            EngineError: what the provider raises; those done stay done.
        """
        for key in sorted({one.key for one in self._store.credentials()}):
            with self._store.lock_connection(key):
                pass
        found = self._store.credentials()
        if not found:
            return 0
        version, changed, failed = newest_version(self._provider), 0, None
        for one in found:
            if one.key_version == version:
                continue
            context = self._context(one)
            try:
                wrapped = self._provider.wrap(
                    self._provider.unwrap(one.wrapped_key, context), context
                )
            except IntegrityError as error:
                failed = error
                continue
            check_wrapped_under(self._provider, wrapped, version)
            changed += self._store.replace_wrapping(one, wrapped, version)
        if failed is not None:
            raise failed
        return changed

    def sweep(self) -> int:
        """Delete versions that were replaced longer ago than runs may need; how many."""
        return self._store.sweep_credentials(self._now() - KEPT_FOR)

    # -- helpers --------------------------------------------------------------------------------

    def _sealing(self, locked: LockedConnection, place: Place) -> Callable[[Credential], int]:
        """What seals and adds the next version. Its data key is wrapped here already, so that no
        token is asked for that could not be stored.
        """
        before = locked.current()
        data_key = new_key()
        empty = SealedCredential(
            key=place.key,
            version=before.version + 1 if before is not None else 1,
            place=place.where,
            key_version="",
            wrapped_key=b"",
            sealed=b"",
            created_at=self._now(),
        )
        context = self._context(empty)
        wrapped = self._provider.wrap(data_key, context)
        version = self._provider.version_of(wrapped)

        def add(credential: Credential) -> int:
            document = {"refreshes": credential.refreshes, "secret": credential.secret}
            sealed = seal(data_key, json.dumps(document).encode(), context)
            whole = replace(empty, key_version=version, wrapped_key=wrapped, sealed=sealed)
            locked.add(whole)
            return empty.version

        return add

    def _opened(
        self, place: Place, state: ConnectionState | None, current: SealedCredential | None
    ) -> Credential:
        if current is None:
            raise ConfigError(
                "not_connected",
                f"Connection {place.key.name} has no credential under target {place.key.target}.",
                hint=f"Run `mayfly connect {place.key.name} --target {place.key.target}`.",
            )
        if current.place != place.where:
            raise ConfigError(
                "not_connected",
                f"The credential of connection {place.key.name} was given for another endpoint.",
                hint=f"Run `mayfly connect {place.key.name} --target {place.key.target}` again.",
            )
        if state is ConnectionState.NEEDS_CONSENT:
            raise _needs_consent(place.key.name)
        # What is asked for is what must have been bound, whatever the row says of itself.
        asked = replace(current, key=place.key, place=place.where)
        context = self._context(asked)
        data_key = self._provider.unwrap(current.wrapped_key, context)
        document = json.loads(unseal(data_key, current.sealed, context))
        return Credential(secret=document["secret"], refreshes=document["refreshes"])

    def _context(self, credential: SealedCredential) -> bytes:
        """Workspace and region are this worker's own, whatever a row says."""
        return associated_data(
            _CONTEXT,
            self._workspace,
            self._region,
            credential.key.target,
            credential.key.name,
            credential.place,
            str(credential.version),
        )


class AccessTokens:
    """Access tokens of one connection, in memory; `reveal` gives one that is good now.

    Safe for several threads, of which one refreshes. Blocks while it does: at most for the time
    that the vault's lock and one request take.

    Args:
        fetch: new tokens, by `CredentialVault.refreshed`.
        seconds: the present time in seconds.
        jitter: a random number from 0 to 1; spreads refreshes of many processes.
    """

    def __init__(
        self,
        fetch: Callable[[], Tokens],
        *,
        seconds: Callable[[], float],
        jitter: Callable[[], float],
    ) -> None:
        self._fetch = fetch
        self._seconds = seconds
        self._jitter = jitter
        self._lock = threading.Lock()
        self._token = ""
        self._refresh_at = self._ends_at = float("-inf")

    def __repr__(self) -> str:
        return "AccessTokens(***)"

    def reveal(self) -> str:
        """The access token; never log it. Refreshed at 75 to 80 % of its life.

        Raises:
            EngineError: as `CredentialVault.refreshed`. While the token is good, a destination
                that is away is no error.
        """
        with self._lock:
            if self._seconds() >= self._refresh_at:
                self._renew()
            return self._token

    def _renew(self) -> None:
        asked_at = self._seconds()
        try:
            tokens = self._fetch()
        except TransientError:
            if asked_at >= self._ends_at:
                raise
            self._refresh_at = min(asked_at + _RETRY_SECONDS, self._ends_at)
            return
        except EngineError:
            self._token, self._refresh_at, self._ends_at = "", float("-inf"), float("-inf")
            raise
        share = _REFRESH_SHARE - _JITTER_SHARE * self._jitter()
        self._token = tokens.access_token
        self._refresh_at = asked_at + share * tokens.life_seconds
        self._ends_at = asked_at + tokens.life_seconds


def _needs_consent(name: str) -> ConfigError:
    return ConfigError(
        "needs_consent",
        f"The destination no longer takes the credential of connection {name}: its consent was "
        "withdrawn or has ended.",
        hint=f"Run `mayfly connect {name}`, then run again.",
    )
