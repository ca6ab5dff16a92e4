"""The keyring: a workspace's secret keys, each in a private file, wrapped by the key provider."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import get_args

from mayfly.adapters.keys.files import (
    make_private_directory,
    read_private,
    replace_private,
    write_new_private,
)
from mayfly.crypto.aead import KEY_BYTES, associated_data, new_key
from mayfly.domain.errors import IntegrityError, PolicyError
from mayfly.ports.keys import KeyProvider, KeyPurpose, check_wrapped_under, newest_version

PURPOSES: tuple[KeyPurpose, ...] = get_args(KeyPurpose)
_SCHEMA = "mayfly/key/2"
_FIRST_SCHEMA = "mayfly/key/1"
"""Of keys that are bound to purpose and scope only; read, and rewrapped as the second."""
_COMPLETE = "complete"
_SCOPE = re.compile(r"[A-Za-z0-9_.:/+=@-]{0,512}")


class FileKeyring:
    """Wrapped keys in a directory, one file for each purpose and scope.

    Keys are bound to workspace, region, purpose and scope: a file that was put in another's place
    does not unwrap. Unwrapped keys stay in memory. Safe for several threads and processes; `repr`
    names no key.
    """

    def __init__(
        self, provider: KeyProvider, directory: Path, *, workspace: str = "", region: str = ""
    ) -> None:
        """Point at a keyring; nothing is read or made yet.

        Args:
            provider: what wraps the keys.
            directory: where the files lie; made with mode 0700 by `create_all`.
            workspace: id of the workspace.
            region: where the workspace's data may be; empty where it does not say.
        """
        self._provider = provider
        self._directory = directory
        self._workspace, self._region = workspace, region
        self._known: dict[tuple[str, str], bytes] = {}
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return "FileKeyring()"

    def exists(self) -> bool:
        """Whether the keyring was made in full."""
        return (self._directory / _COMPLETE).exists()

    def create_all(self) -> None:
        """Make the key of every purpose, scope empty. Finishes a creation that was cut off.

        Once a keyring was made in full this makes nothing, even where a file was lost since: a
        new key in its place would change every digest.

        Raises:
            PolicyError: `keys_too_open`, or the provider's.
            ConfigError, TransientError: the directory cannot be written, or the provider is away.
        """
        if self.exists():
            return
        make_private_directory(self._directory)
        for purpose in PURPOSES:
            self._make(purpose, "")
        write_new_private(self._directory / _COMPLETE, f"{_SCHEMA}\n".encode())

    def ensure(self, purpose: KeyPurpose, scope: str) -> None:
        """Make the key of a new scope; see the port.

        Raises:
            ValueError: the scope is empty or no identifier of up to 512 letters.
            PolicyError: `key_missing`, the keyring was never made; or the provider's.
        """
        if not scope:
            raise ValueError("keys without a scope are made with the keyring")
        if not self._file(purpose, scope).exists():
            if not self.exists():
                raise _missing(purpose)
            self._make(purpose, scope)

    def key(self, purpose: KeyPurpose, scope: str = "") -> bytes:
        """The key for a purpose and scope, 32 bytes; see the port.

        Raises:
            PolicyError: `key_missing`, `keys_too_open`, or the provider's.
            IntegrityError: `unwrap_failed`, `key_malformed`.
        """
        with self._lock:
            known = self._known.get((purpose, scope))
            if known is None:
                known = self._known[purpose, scope] = self._read(purpose, scope)
            return known

    def rewrap(self) -> int:
        """Bring every key under the provider's newest version; gives their number.

        The keys themselves, and what was made with them, stay as they are. Cut off, it may be
        called again.

        Raises:
            TransientError: `keys_unavailable`, the provider does not wrap under it yet.
            EngineError: as for `key` and the provider's `wrap`; what was not yet rewrapped stays
                good.
        """
        version, paths = newest_version(self._provider), sorted(self._directory.glob("*.key"))
        for path in paths:
            stored = self._stored(path)
            if stored is not None:
                key, named = self._unwrapped(stored), (stored.purpose, stored.scope)
                replace_private(path, self._document(key, *named, version=version))
        return len(paths)

    def _make(self, purpose: KeyPurpose, scope: str) -> None:
        # where another process was first, its key stands
        write_new_private(self._file(purpose, scope), self._document(new_key(), purpose, scope))

    def _document(
        self, key: bytes, purpose: str, scope: str, *, version: str | None = None
    ) -> bytes:
        """A key's file; `version` is the one that must have wrapped it."""
        named = {
            "schema": _SCHEMA,
            "workspace": self._workspace,
            "region": self._region,
            "purpose": purpose,
            "scope": scope,
        }
        wrapped = self._provider.wrap(key, associated_data(*named.values()))
        if version is not None:
            check_wrapped_under(self._provider, wrapped, version)
        document = named | {"wrapped": base64.b64encode(wrapped).decode()}
        return json.dumps(document).encode() + b"\n"

    def _read(self, purpose: KeyPurpose, scope: str) -> bytes:
        stored = self._stored(self._file(purpose, scope))
        if stored is None:
            raise _missing(purpose)
        # what is asked for is what must have been bound, whatever the file says of itself
        return self._unwrapped(replace(stored, purpose=purpose, scope=scope))

    def _stored(self, path: Path) -> _StoredKey | None:
        content = read_private(path)
        if content is None:
            return None
        try:
            document = json.loads(content)
            stored = _StoredKey(
                schema=document["schema"],
                workspace=document.get("workspace", ""),
                region=document.get("region", ""),
                purpose=document["purpose"],
                scope=document["scope"],
                wrapped=base64.b64decode(document["wrapped"], validate=True),
            )
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise _malformed() from None
        if stored.schema not in (_SCHEMA, _FIRST_SCHEMA):
            raise _malformed()
        return stored

    def _unwrapped(self, stored: _StoredKey) -> bytes:
        if stored.schema == _FIRST_SCHEMA:
            context = associated_data(_FIRST_SCHEMA, stored.purpose, stored.scope)
        else:
            if (stored.workspace, stored.region) != (self._workspace, self._region):
                raise _elsewhere()
            context = associated_data(
                _SCHEMA, self._workspace, self._region, stored.purpose, stored.scope
            )
        key = self._provider.unwrap(stored.wrapped, context)
        if len(key) != KEY_BYTES:
            raise _malformed()
        return key

    def _file(self, purpose: KeyPurpose, scope: str) -> Path:
        """A scope may hold what a file name may not: the name carries a digest of it."""
        if purpose not in PURPOSES or not _SCOPE.fullmatch(scope):
            raise ValueError("a key has a purpose of the closed list and an identifier as scope")
        digest = hashlib.sha256(scope.encode()).hexdigest()[:32]
        return self._directory / (f"{purpose}.{digest}.key" if scope else f"{purpose}.key")


@dataclass(frozen=True, kw_only=True)
class _StoredKey:
    """A key's file; all that it says of itself is bound into the wrapping."""

    schema: str
    workspace: str
    region: str
    purpose: str
    scope: str
    wrapped: bytes = field(repr=False)


def _missing(purpose: KeyPurpose) -> PolicyError:
    return PolicyError(
        "key_missing",
        f"The workspace's key for {purpose} is not on this machine.",
        hint="Run `mayfly init` for a new workspace; for an existing one, restore its key "
        "directory from a backup, since a new key would not match what was made with the old one.",
    )


def _elsewhere() -> PolicyError:
    return PolicyError(
        "keys_elsewhere",
        "The keys here were made for another workspace, or for another region of this one.",
        hint="Put `workspace.residency.region` back, or begin a workspace of that region.",
    )


def _malformed() -> IntegrityError:
    return IntegrityError(
        "key_malformed", "A wrapped key's file is damaged.", hint="Restore it from a backup."
    )
