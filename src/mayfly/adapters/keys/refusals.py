"""How key providers say no. Texts of libraries and services are left out: they carry values."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from mayfly.domain.errors import ConfigError, IntegrityError, PolicyError, TransientError


def driver(module: str, *, extra: str) -> Any:
    """A library that only one provider needs.

    Raises:
        ConfigError: `driver_missing`.
    """
    try:
        return import_module(module)
    except ImportError:
        raise ConfigError(
            "driver_missing",
            "The library of this key provider is not installed.",
            hint=f"pip install mayfly-data[{extra}]",
        ) from None


def unavailable(*, retry_after_seconds: float | None = None) -> TransientError:
    """The provider did not answer, or said that it cannot now."""
    return TransientError(
        "keys_unavailable",
        "The key provider did not answer in time, or is not ready.",
        hint="Nothing is done without it, and nothing stands in for it. Run again later.",
        retry_after_seconds=retry_after_seconds,
    )


def denied(why: str) -> PolicyError:
    """The provider answered, and refuses; `why` completes "The key provider refuses: …"."""
    return PolicyError(
        "keys_denied",
        f"The key provider refuses: {why}.",
        hint="Check the key's state and this account's rights with the provider's own tools.",
    )


def unwrap_failed(what: str) -> IntegrityError:
    """`what` completes "A wrapped key …"."""
    return IntegrityError("unwrap_failed", f"A wrapped key {what}.")


def bad_setting(message: str, hint: str) -> ConfigError:
    """A setting under `keys` with which the provider cannot work."""
    return ConfigError("keys_setting", message, hint=hint)


def current_version() -> PolicyError:
    """The newest version is not destroyed."""
    return PolicyError(
        "key_current",
        "The version that keys are wrapped under now is not destroyed.",
        hint="Rotate and rewrap first; then nothing needs it any more.",
    )


def unknown_version() -> PolicyError:
    """No version of that name."""
    return PolicyError(
        "key_unknown",
        "The key has no version of that name.",
        hint="`mayfly keys versions` tells their names.",
    )


def check_aad(aad: bytes) -> None:
    """Refuse to wrap or unwrap for no use."""
    if not aad:
        raise ValueError("associated data must say what is wrapped")
