"""Small secret files: made whole or not at all, never replaced, private to their owner."""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mayfly.domain.errors import ConfigError, IntegrityError, PolicyError, TransientError
from mayfly.services.durable import sync_directory, write_private

_BYTES_MAX = 65_536
_OTHERS = 0o077


@contextmanager
def locked_alone(path: Path) -> Iterator[None]:
    """Exclude other threads and processes of this machine that use the same lock file; waits.

    Raises:
        ConfigError: `keys_unwritable`.
        TransientError: `disk_full`.
    """
    try:
        flags = os.O_CREAT | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(path, flags, 0o600)
    except OSError as error:
        raise _unwritable(error) from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except OSError as error:
            raise _unwritable(error) from None
        yield
    finally:
        os.close(descriptor)  # gives the lock back


def make_private_directory(directory: Path) -> None:
    """Make a directory and its missing parents, of mode 0700; leave those that exist as they are.

    Raises:
        ConfigError: `keys_unwritable`.
    """
    try:
        for missing in reversed([d for d in (directory, *directory.parents) if not d.exists()]):
            missing.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise _unwritable(error) from None


def check_private(path: Path) -> None:
    """Refuse a file or directory that group or others have any right to; a missing one passes.

    Raises:
        PolicyError: `keys_too_open`.
        ConfigError: `keys_unreadable`.
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return
    except OSError:
        raise _unreadable() from None
    if mode & _OTHERS:
        wanted = "0700" if path.is_dir() else "0600"
        raise PolicyError(
            "keys_too_open",
            f"A key file or its directory has mode {mode & 0o777:04o}; others could read it.",
            hint=f"Set its mode to {wanted}, and make new keys if others may have read it.",
        )


def read_private(path: Path) -> bytes | None:
    """The bytes of a private file; None where there is none.

    Raises:
        PolicyError: `keys_too_open`.
        ConfigError: `keys_unreadable`.
        IntegrityError: `key_malformed`, the file is larger than a key can be.
    """
    check_private(path.parent)
    check_private(path)
    try:
        with path.open("rb") as stream:
            data = stream.read(_BYTES_MAX + 1)
    except FileNotFoundError:
        return None
    except OSError:
        raise _unreadable() from None
    if len(data) > _BYTES_MAX:
        raise IntegrityError("key_malformed", "A key file is larger than a key can be.")
    return data


def write_new_private(path: Path, data: bytes) -> bool:
    """Make a file of mode 0600 that holds all of `data`, durably; False where one exists.

    Two processes may race: one makes the file, the other gets False, and what is there stays.

    Raises:
        PolicyError: `keys_too_open`, the directory is open to others.
        TransientError: `disk_full`.
        ConfigError: `keys_unwritable`.
    """
    check_private(path.parent)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        write_private(temporary, data)
        os.link(temporary, path)  # unlike a rename, this fails where the name is taken
        sync_directory(path.parent)
    except FileExistsError:
        return False
    except OSError as error:
        raise _unwritable(error) from None
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
    return True


def replace_private(path: Path, data: bytes) -> None:
    """Put all of `data` in place of a file's content, durably; the file is whole at any moment.

    Raises:
        PolicyError: `keys_too_open`, the directory is open to others.
        TransientError: `disk_full`.
        ConfigError: `keys_unwritable`.
    """
    check_private(path.parent)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        write_private(temporary, data)
        temporary.replace(path)
        sync_directory(path.parent)
    except OSError as error:
        raise _unwritable(error) from None
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def destroy_private(path: Path) -> None:
    """Overwrite a file and remove it, durably; a missing one is left at that.

    Overwriting reaches the same blocks on most disks and file systems, not on all of them.

    Raises:
        ConfigError: `keys_unwritable`.
    """
    try:
        with path.open("r+b") as stream:
            stream.write(bytes(path.stat().st_size))
            stream.flush()
            os.fsync(stream.fileno())
        path.unlink()
        sync_directory(path.parent)
    except FileNotFoundError:
        return
    except OSError as error:
        raise _unwritable(error) from None


def _unreadable() -> ConfigError:
    return ConfigError(
        "keys_unreadable",
        "A key file cannot be read.",
        hint="Give the user who runs Mayfly the right to read its key directory.",
    )


def _unwritable(error: OSError) -> ConfigError | TransientError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return TransientError("disk_full", "The disk of the key directory is full.")
    return ConfigError(
        "keys_unwritable",
        "The key directory, or the lock file of keys in the project, cannot be written.",
        hint="Give the user who runs Mayfly the right to write its key directory and `.mayfly`.",
    )
