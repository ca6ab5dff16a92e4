"""Keys as services see them: who wraps them, and which of them a workspace has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from mayfly.domain.errors import PolicyError, TransientError

KeyPurpose = Literal["pseudonym", "suppression", "local_state", "ledger_signing"]
Protection = Literal["hsm", "software", "unknown"]
KeyState = Literal["enabled", "disabled", "destroyed", "pending"]


@dataclass(frozen=True, kw_only=True)
class KeyVersion:
    """One version of a key encryption key; `repr` holds no key.

    Args:
        id: as the provider names it, and as blobs do.
        state: only `enabled` wraps and unwraps; `pending` will be destroyed and can be saved
            until then, with the provider's own tools.
        created: in UTC; None where the provider does not say.
    """

    id: str
    state: KeyState
    created: datetime | None = None


class KeyProvider(Protocol):
    """Holds a key encryption key that never leaves it, and wraps data keys under it.

    Calls block, may be repeated and may run concurrently. Associated data is required: a key
    wrapped for one use cannot be unwrapped for another. A blob names the version that wrapped
    it. Where the provider is away nothing else stands in for it.

    Every call may raise:
        TransientError: `keys_unavailable`, the provider did not answer in time; a later call may
            succeed.
        PolicyError: `keys_denied`, it answered and refuses: the version is disabled or destroyed,
            or a right is missing. Retrying cannot help.
        ConfigError: `driver_missing`, its library is not installed; `keys_setting`, a setting
            that it cannot work with.
        ContractError: `keys_answer`, an answer that its library does not know.
    """

    def wrap(self, dek: bytes, aad: bytes) -> bytes:
        """The data key of 32 random bytes, sealed under the newest version and bound to `aad`.

        Raises:
            ValueError: `aad` is empty.
            PolicyError: `key_missing`, `keys_too_open`, the local key is not there or is open to
                others.
        """
        ...

    def unwrap(self, blob: bytes, aad: bytes) -> bytes:
        """The data key that `wrap` sealed with the same `aad`, under whichever version.

        Raises:
            IntegrityError: `unwrap_failed`, the blob was altered, or wrapped under another key
                or for another use.
            ValueError, PolicyError: as for `wrap`.
        """
        ...

    def version_of(self, blob: bytes) -> str:
        """Name, as in `versions`, of the version that a blob says wrapped it. Asks no service.

        Raises:
            IntegrityError: `unwrap_failed`, it is damaged, or of another key.
        """
        ...

    def health(self) -> None:
        """Raise what `wrap` and `unwrap` would raise now; return where both would work."""
        ...

    def versions(self) -> Sequence[KeyVersion]:
        """The versions, oldest first; wrapping uses the last one that is enabled."""
        ...

    def rotate(self) -> str:
        """Make a new version, under which is wrapped from now on, and name it.

        What was wrapped before still unwraps; wrapped again, it is under the new version.

        Raises:
            PolicyError: `rotate_elsewhere`, the provider's keys are made with its own tools.
        """
        ...

    def destroy(self, version: str) -> datetime | None:
        """Have a version destroyed, and all that is still wrapped under it with it.

        Destroying what is destroyed already is no error.

        Returns:
            When that is final, in UTC; None where it is so at once.

        Raises:
            PolicyError: `key_current`, the version is the newest: rotate and rewrap first;
                `key_unknown`, there is no such version.
        """
        ...

    def protection(self) -> Protection:
        """Where the key lies, as the provider itself attests it; `unknown` where it does not."""
        ...

    def region(self) -> str:
        """Where the key lies, as the provider itself names the place; empty where it does not, or
        the key is on this machine.
        """
        ...


def newest_version(provider: KeyProvider) -> str:
    """Name of the version that is wrapped under now.

    Raises:
        PolicyError: `keys_denied`, none is enabled.
        EngineError: whatever `versions` raises.
    """
    enabled = [version.id for version in provider.versions() if version.state == "enabled"]
    if not enabled:
        raise PolicyError("keys_denied", "The key encryption key has no version that is enabled.")
    return enabled[-1]


def check_wrapped_under(provider: KeyProvider, blob: bytes, version: str) -> None:
    """Refuse a rewrapped key that is not under the version it was to be brought under.

    A provider may name a version as the newest some time before it wraps under it; what is still
    wrapped under an earlier one would be lost with that.

    Raises:
        TransientError: `keys_unavailable`.
        IntegrityError: as `version_of`.
    """
    if provider.version_of(blob) != version:
        raise TransientError(
            "keys_unavailable",
            "The key provider still wraps under another version than its newest.",
            hint="Nothing was destroyed. Run `mayfly keys rewrap` again later; where the newest "
            "version is not the one that wraps, make it that with the provider's own tools.",
        )


class Keyring(Protocol):
    """The secret keys of one workspace, 32 random bytes each, by purpose and scope.

    Raw keys are handed out only here. Nothing is made silently: asking for a key that does not
    exist is an error, since a new key in place of a lost one would change every digest.
    """

    def key(self, purpose: KeyPurpose, scope: str = "") -> bytes:
        """The key for a purpose; `scope` parts it further, such as pseudonyms by destination.

        Raises:
            PolicyError: `key_missing`, with what to do.
            IntegrityError: `unwrap_failed`.
        """
        ...

    def ensure(self, purpose: KeyPurpose, scope: str) -> None:
        """Make the key of a new scope at random; do nothing where it exists.

        Raises:
            PolicyError: `key_missing`, the keyring itself was never made.
        """
        ...
