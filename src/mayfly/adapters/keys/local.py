"""The local key provider: a key encryption key in a private file of this machine.

Made for one machine and for development. The file lies outside the project, so that a copy of
the project holds no key; whoever can read the file can read what it protects.

Version 1 is the file `kek`, version 2 `kek.2`, and so on; the highest wraps. A version that was
destroyed leaves `kek.N.destroyed`, with the name blobs have for it, so that neither is used again.
Where both files are there, a destruction was cut off; the next one finishes it.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
import threading
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from mayfly.adapters.keys.files import (
    check_private,
    destroy_private,
    make_private_directory,
    read_private,
    write_new_private,
)
from mayfly.adapters.keys.refusals import (
    check_aad,
    current_version,
    denied,
    unknown_version,
    unwrap_failed,
)
from mayfly.crypto.aead import KEY_BYTES, new_key, seal, unseal
from mayfly.domain.errors import ConfigError, IntegrityError, PolicyError
from mayfly.ports.keys import KeyVersion, Protection

DIRECTORY_VARIABLE = "MAYFLY_KEYS_DIR"
_FILE = "kek"
_HEADER = b"mayfly-kek/1"
_VERSION = b"\x01"
_KEY_ID_BYTES = 8
_CONTEXT = b"mayfly/local-kek/1\x00"
_DESTROYED = ".destroyed"
_NAME = re.compile(r"kek(?:\.([1-9][0-9]{0,8}))?(\.destroyed)?")
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
        self._known: dict[int, bytes] = {}
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return "LocalKeyProvider()"

    def exists(self) -> bool:
        """Whether there is a key, readable or not."""
        return any(not gone for gone in self._numbers().values())

    def create(self) -> None:
        """Make the key encryption key at random, where there is none.

        Raises:
            PolicyError: `key_exists`, there is one and it is never replaced; `keys_too_open`.
            ConfigError: `keys_unwritable`.
            TransientError: `disk_full`.
        """
        make_private_directory(self._directory)
        if self._numbers() or not self._make(1):
            raise PolicyError("key_exists", "There is a key already; it is never replaced.")

    def wrap(self, dek: bytes, aad: bytes) -> bytes:
        """The data key, sealed and bound to `aad`; see the port.

        Raises:
            ValueError: `aad` is empty.
            PolicyError: `key_missing`, `keys_too_open`.
        """
        check_aad(aad)
        kek = self._key(self._newest())
        return _VERSION + _key_id(kek) + seal(kek, dek, _CONTEXT + aad)

    def unwrap(self, blob: bytes, aad: bytes) -> bytes:
        """The data key that `wrap` sealed with the same `aad`; see the port.

        Raises:
            ValueError: `aad` is empty.
            IntegrityError: `unwrap_failed`.
            PolicyError: `key_missing`, `keys_too_open`; `keys_denied`, its version was destroyed.
        """
        check_aad(aad)
        self._newest()
        if not blob.startswith(_VERSION):
            raise unwrap_failed("was altered")
        name = blob[len(_VERSION) :][:_KEY_ID_BYTES]
        kek = self._named(name)
        try:
            return unseal(kek, blob[len(_VERSION) + _KEY_ID_BYTES :], _CONTEXT + aad)
        except IntegrityError:
            raise unwrap_failed("was altered, or wrapped for another use") from None

    def version_of(self, blob: bytes) -> str:
        """The number of the key that the blob names; see the port."""
        name = blob[len(_VERSION) :][:_KEY_ID_BYTES]
        for number, gone in self._numbers().items():
            mark = read_private(self._file(number, _DESTROYED)) if gone else None
            if name == (mark if gone else _key_id(self._key(number))):
                return str(number)
        raise unwrap_failed("was wrapped under another key, or altered")

    def health(self) -> None:
        """Check the files anew and wrap and unwrap a key; see the port."""
        check_private(self._directory)
        for number, gone in self._numbers().items():
            if not gone:
                check_private(self._file(number))
        sample, aad = new_key(), b"mayfly/health"
        if self.unwrap(self.wrap(sample, aad), aad) != sample:
            raise unwrap_failed("did not come back as it was")

    def versions(self) -> Sequence[KeyVersion]:
        """The versions on this machine; `created` is the time of the file.

        One whose destruction was cut off is `disabled`: it is not used, and its file is there.
        """
        self._newest()
        unfinished = self._unfinished()
        return [
            KeyVersion(id=str(number), state="disabled" if number in unfinished else "destroyed")
            if gone
            else KeyVersion(id=str(number), state="enabled", created=self._made(number))
            for number, gone in sorted(self._numbers().items())
        ]

    def rotate(self) -> str:
        """Make the next version; of several that do so at once, each makes its own."""
        number = self._newest() + 1
        while not self._make(number):
            number += 1
        return str(number)

    def destroy(self, version: str) -> datetime | None:
        """Overwrite and remove the version's file, and those that a crash left; final at once."""
        newest, numbers = self._newest(), self._numbers()
        number = int(version) if re.fullmatch(r"[1-9][0-9]{0,8}", version) else 0
        if number not in numbers:
            raise unknown_version()
        if number == newest:
            raise current_version()
        mark = _key_id(self._key(number)) if not numbers[number] else b""
        # the mark first: a crash in between leaves a key that nobody uses any more
        write_new_private(self._file(number, _DESTROYED), mark)
        for marked in self._unfinished():
            destroy_private(self._file(marked))
            with self._lock:
                self._known.pop(marked, None)
        return None

    def protection(self) -> Protection:
        """`software`: whoever reads the file has the key."""
        return "software"

    def region(self) -> str:
        """Empty: it lies where this machine is."""
        return ""

    def _numbers(self) -> dict[int, bool]:
        """The numbers of all versions, and whether each was destroyed."""
        files = self._files()
        return {number: (number, True) in files for number, _ in files}

    def _unfinished(self) -> Sequence[int]:
        """Numbers that have both a mark and the file which it says is gone."""
        files = self._files()
        return sorted(number for number, mark in files if mark and (number, False) in files)

    def _files(self) -> set[tuple[int, bool]]:
        """Number of each file, and whether it is a mark."""
        check_private(self._directory)
        try:
            names = [path.name for path in self._directory.iterdir()]
        except FileNotFoundError:
            return set()
        except OSError:
            raise ConfigError("keys_unreadable", "The key directory cannot be read.") from None
        found = [match for name in names if (match := _NAME.fullmatch(name))]
        return {(int(match[1] or 1), match[2] is not None) for match in found}

    def _newest(self) -> int:
        numbers = self._numbers()
        newest = max(numbers, default=0)
        if not newest or numbers[newest]:
            raise _missing()
        return newest

    def _named(self, name: bytes) -> bytes:
        """The key that a blob names."""
        for number, gone in sorted(self._numbers().items(), reverse=True):
            if gone:
                if read_private(self._file(number, _DESTROYED)) == name:
                    raise denied("the version that wrapped this key was destroyed")
            elif hmac.compare_digest(_key_id(self._key(number)), name):
                return self._key(number)
        raise unwrap_failed("was wrapped under another key, or altered")

    def _file(self, number: int, ending: str = "") -> Path:
        return self._directory / ((_FILE if number == 1 else f"{_FILE}.{number}") + ending)

    def _make(self, number: int) -> bool:
        content = _HEADER + b"\n" + base64.b64encode(new_key()) + b"\n"
        return write_new_private(self._file(number), content)

    def _made(self, number: int) -> datetime | None:
        try:
            return datetime.fromtimestamp(self._file(number).stat().st_mtime, UTC)
        except OSError:
            return None

    def _key(self, number: int) -> bytes:
        with self._lock:
            if number not in self._known:
                self._known[number] = self._load(self._file(number))
            return self._known[number]

    def _load(self, path: Path) -> bytes:
        content = read_private(path)
        if content is None:
            raise _missing()
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


def _missing() -> PolicyError:
    return PolicyError(
        "key_missing",
        "The key encryption key of this workspace is not on this machine.",
        hint="Run `mayfly init` for a new workspace; for an existing one, restore its key "
        f"directory from a backup and point {DIRECTORY_VARIABLE} at it.",
    )
