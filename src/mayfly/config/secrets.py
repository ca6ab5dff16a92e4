"""Secret references and the values they stand for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mayfly.domain.errors import ConfigError
from mayfly.domain.settings import SecretRef

KINDS = ("env", "file", "vault", "gcp-sm", "aws-sm")


class Secret:
    """A secret value that prints as a mask; `reveal()` gives it."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The value itself; never log it."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(***)"


def parse_reference(text: str) -> SecretRef | None:
    """`kind:name` as a reference, None for anything else (a literal)."""
    kind, colon, name = text.partition(":")
    return SecretRef(kind=kind, name=name) if colon and name and kind in KINDS else None


def resolve(ref: SecretRef, env: Mapping[str, str]) -> Secret:
    """The secret that `ref` names; ConfigError where it is missing or its kind unsupported."""
    if ref.kind == "env":
        if value := env.get(ref.name):
            return Secret(value)
        raise ConfigError("secret_missing", "a referenced environment variable is not set")
    if ref.kind == "file":
        try:
            return Secret(Path(ref.name).read_text("utf-8").rstrip("\r\n"))
        except (OSError, ValueError):
            raise ConfigError("secret_missing", "a referenced secret file is unreadable") from None
    raise ConfigError(
        "secret_kind_unsupported",
        f"references of kind {ref.kind} are not supported",
        hint="use env:NAME or file:PATH",
    )
