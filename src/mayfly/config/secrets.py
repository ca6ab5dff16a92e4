"""Secret references and the values they stand for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mayfly.domain.errors import ConfigError
from mayfly.domain.settings import SecretRef

KINDS = ("env", "file", "vault", "gcp-sm", "aws-sm")
CONNECTION = "connection"
"""Kind of a reference to what `mayfly connect` stored; for logging in to destinations only."""
BYTES_MAX = 65_536


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
    known = kind in KINDS or kind == CONNECTION
    return SecretRef(kind=kind, name=name) if colon and name and known else None


def resolve(ref: SecretRef, env: Mapping[str, str]) -> Secret:
    """The secret that `ref` names.

    Args:
        ref: where it stands.
        env: the environment; `env:` reads it, and `~/` in `file:` is its HOME.

    Raises:
        ConfigError: `secret_missing`, `secret_kind_unsupported`. The message names the
            reference, which stands in the project files anyway, and never the value.
    """
    match ref.kind:
        case "env":
            value = env.get(ref.name, "")
        case "file":
            value = _from_file(ref.name, env)
        case _:
            raise ConfigError(
                "secret_kind_unsupported",
                f"References of kind {ref.kind} are not supported by this release.",
                hint="Use env:NAME or file:/PATH.",
            )
    if not value:
        place = f"Environment variable {ref.name}" if ref.kind == "env" else f"File {ref.name}"
        raise ConfigError(
            "secret_missing",
            f"{place} is not set, empty or unreadable; the project names it as a secret.",
            hint=f"export {ref.name}=…" if ref.kind == "env" else "Check path and permissions.",
        )
    return Secret(value)


def resolve_store_url(url: str, env: Mapping[str, str]) -> str:
    """The store's address: `url` itself, or what it refers to.

    Raises:
        ConfigError: as `resolve`, or `store_url` where a reference leads to another address.
    """
    ref = parse_reference(url)
    if ref is None:
        return url
    found = resolve(ref, env).reveal()
    if found != "sqlite" and not found.startswith("postgresql+psycopg://"):
        raise ConfigError(
            "store_url",
            "The store's address that the project refers to is not one.",
            hint="Use sqlite or postgresql+psycopg://….",
        )
    return found


def _from_file(name: str, env: Mapping[str, str]) -> str:
    """The file's text without the line end; empty where there is none."""
    path = Path(env.get("HOME", ""), name[2:]) if name.startswith("~/") else Path(name)
    if not path.is_absolute():
        # What a relative path means would depend on where the command was started.
        raise ConfigError(
            "secret_missing",
            "A secret file must be named by an absolute path, or by one from ~/.",
            hint="Write file:/run/secrets/token or file:~/token.",
        )
    try:
        with path.open("rb") as file:
            return file.read(BYTES_MAX).decode("utf-8").rstrip("\r\n")
    except (OSError, ValueError):
        return ""
