"""The local key provider: a key encryption key in a private file of this machine.

Made for one machine and for development. The file lies outside the project, so that a copy of
the project holds no key; whoever can read the file can read what it protects.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
import threading
from collections.abc import Mapping
from pathlib import Path

from mayfly.adapters.keys.files import (
    check_private,
    make_private_directory,
    read_private,
    write_new_private,
)
from mayfly.crypto.aead import KEY_BYTES, new_key, seal, unseal
from mayfly.domain.errors import ConfigError, IntegrityError, PolicyError

DIRECTORY_VARIABLE = "MAYFLY_KEYS_DIR"
_FILE = "kek"
_HEADER = b"mayfly-kek/1"
_VERSION = b"\x01"
_KEY_ID_BYTES = 8
_CONTEXT = b"mayfly/local-kek/1\x00"
_WORKSPACE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")


def keys_directory(workspace_id: str, env: Mapping[str, str]) -> Path:
    """Where a workspace's keys lie: a folder of its own under `$MAYFLY_KEYS_DIR`.

    Where the variable is unset or empty, `~/.config/mayfly/keys` stands for it. Each workspace
    has its own folder either way, so that two never share a key.

    Args:
        workspace_id: id of the workspace, `[A-Za-z0-9_-]`.
        env: the environment.

    Raises:
        ConfigError: `workspace_id_invalid`, or `keys_directory_unknown` where no home is known.
    """
    if not _WORKSPACE.fullmatch(workspace_id):
        raise ConfigError(
            "workspace_id_invalid", "A workspace's id is made of letters, digits, _ and -."
        )
    named, home = env.get(DIRECTORY_VARIABLE, ""), env.get("HOME", "")
    if named and not named.startswith("~/"):
        return Path(named).absolute() / workspace_id
    if not home:
        raise ConfigError(
            "keys_directory_unknown",
            "Neither a key directory nor a home directory is set.",
            hint=f"Set {DIRECTORY_VARIABLE} to a private directory outside the project.",
        )
    below = named.removeprefix("~/") or ".config/mayfly/keys"
    return Path(home).absolute() / below / workspace_id


class LocalKeyProvider:
    """Wraps data keys under a key encryption key in a file of mode 0600.

    Safe for use by several threads and processes. Its `repr` names no key.
    """

    def __init__(self, directory: Path, *, project_directory: Path) -> None:
        """Point at a key directory; nothing is read or made yet.

        Args:
            directory: where the key lies, see `keys_directory`.
            project_directory: the project, in which the key must not lie.

        Raises:
            PolicyError: `keys_beside_data`, the key directory lies in the project.
        """
        if directory.resolve().is_relative_to(project_directory.resolve()):
            raise PolicyError(
                "keys_beside_data",
                "The key directory lies inside the project that the keys protect.",
                hint=f"Set {DIRECTORY_VARIABLE} to a private directory outside the project.",
            )
        self._directory = directory
        self._kek: bytes | None = None
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return "LocalKeyProvider()"

    def exists(self) -> bool:
        """Whether there is a key, readable or not."""
        return (self._directory / _FILE).exists()

    def create(self) -> None:
        """Make the key encryption key at random, where there is none.

        Raises:
            PolicyError: `key_exists`, there is one and it is never replaced; `keys_too_open`.
            ConfigError: `keys_unwritable`.
            TransientError: `disk_full`.
        """
        make_private_directory(self._directory)
        content = _HEADER + b"\n" + base64.b64encode(new_key()) + b"\n"
        if not write_new_private(self._directory / _FILE, content):
            raise PolicyError("key_exists", "There is a key already; it is never replaced.")

    def wrap(self, dek: bytes, aad: bytes) -> bytes:
        """The data key, sealed and bound to `aad`; see the port.

        Raises:
            ValueError: `aad` is empty.
            PolicyError: `key_missing`, `keys_too_open`.
        """
        _check_aad(aad)
        kek = self._key()
        return _VERSION + _key_id(kek) + seal(kek, dek, _CONTEXT + aad)

    def unwrap(self, blob: bytes, aad: bytes) -> bytes:
        """The data key that `wrap` sealed with the same `aad`; see the port.

        Raises:
            ValueError: `aad` is empty.
            IntegrityError: `unwrap_failed`.
            PolicyError: `key_missing`, `keys_too_open`.
        """
        _check_aad(aad)
        kek = self._key()
        head = _VERSION + _key_id(kek)
        if not blob.startswith(head):
            raise _unwrap_failed("was wrapped under another key, or altered")
        try:
            return unseal(kek, blob[len(head) :], _CONTEXT + aad)
        except IntegrityError:
            raise _unwrap_failed("was altered, or wrapped for another use") from None

    def health(self) -> None:
        """Check the files anew and wrap and unwrap a key; see the port."""
        check_private(self._directory)
        check_private(self._directory / _FILE)
        sample, aad = new_key(), b"mayfly/health"
        if self.unwrap(self.wrap(sample, aad), aad) != sample:
            raise _unwrap_failed("did not come back as it was")

    def _key(self) -> bytes:
        with self._lock:
            if self._kek is None:
                self._kek = self._load()
            return self._kek

    def _load(self) -> bytes:
        content = read_private(self._directory / _FILE)
        if content is None:
            raise PolicyError(
                "key_missing",
                "The key encryption key of this workspace is not on this machine.",
                hint="Run `mayfly init` for a new workspace; for an existing one, restore its key "
                f"directory from a backup and point {DIRECTORY_VARIABLE} at it.",
            )
        try:
            header, body = content.split(b"\n", 1)
            kek = base64.b64decode(body.strip(), validate=True)
        except (binascii.Error, ValueError):
            header, kek = b"", b""
        if header != _HEADER or len(kek) != KEY_BYTES:
            raise IntegrityError(
                "key_malformed",
                "The key encryption key's file is damaged.",
                hint="Restore it from a backup; a new key cannot open what the old one sealed.",
            )
        return kek


def _key_id(kek: bytes) -> bytes:
    """A name for the key that tells nothing about it."""
    return hmac.digest(kek, b"mayfly key id", "sha256")[:_KEY_ID_BYTES]


def _check_aad(aad: bytes) -> None:
    if not aad:
        raise ValueError("associated data must say what is wrapped")


def _unwrap_failed(what: str) -> IntegrityError:
    return IntegrityError("unwrap_failed", f"A wrapped key {what}.")
