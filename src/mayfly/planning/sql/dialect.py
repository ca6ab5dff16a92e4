"""What differs between SQL engines, as small functions. One instance per engine, no state."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import pyarrow as pa

from mayfly.domain.errors import PolicyError


def quote(identifier: str) -> str:
    """A quoted identifier."""
    return '"' + identifier.replace('"', '""') + '"'


def literal(value: bool | int | str) -> str:
    """A literal of configuration. Values of rows never come here."""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, int):
        return str(value)
    return "'" + value.replace("'", "''") + "'"


class SqlDialect(ABC):
    """One engine's spelling of what the planner needs."""

    blob: str
    text: str
    columnar = False
    """Whether columns that a query does not name cost it nothing."""
    ordinal = "n"
    """Number of a row in a table that was made in this transaction and loses none: a column of that
    name, or what an engine numbers rows by itself. Distinct; small gaps, any beginning."""
    fence = ""
    """End of a subquery whose columns an engine must work out once, not where they are used."""

    @abstractmethod
    def as_text(self, column_sql: str) -> str:
        """A column as text that is compared by its bytes, whatever its type and collation."""

    @abstractmethod
    def octets(self, text_sql: str) -> str:
        """Length in bytes of a text expression."""

    @abstractmethod
    def md5(self, text_sql: str) -> str:
        """MD5 of a text expression as a blob."""

    @abstractmethod
    def sha256(self, text_sql: str) -> str:
        """SHA-256 of a text expression as a blob of 32 bytes."""

    @abstractmethod
    def md5_of_digests(self, blobs_sql: Sequence[str]) -> str:
        """MD5 over blobs of 32 bytes each, side by side; a null stands as 32 zero bytes."""

    @abstractmethod
    def hex(self, blob_sql: str) -> str:
        """A blob as lower-case hex."""

    @abstractmethod
    def utf8(self, text_sql: str) -> str:
        """A text expression as a blob."""

    @abstractmethod
    def render(self, column_sql: str, arrow_type: pa.DataType) -> str:
        """One canonical text per value of a type, whatever the session's settings."""

    @abstractmethod
    def matches(self, text_sql: str, pattern: str) -> str:
        """Whether the whole text matches a simple pattern."""

    @abstractmethod
    def working_copy(self, name: str) -> str:
        """Beginning of CREATE TABLE for a working copy that need not survive a crash of the
        engine.
        """

    @abstractmethod
    def from_ms(self, number_sql: str) -> str:
        """Milliseconds since 1970 as a time with zone."""

    @abstractmethod
    def div(self, left: str, right: int) -> str:
        """Integer division."""

    def lock(self, table: str) -> str | None:
        """Statement that keeps other transactions from writing a table; None where an engine has
        one writer anyway.
        """
        del table
        return None

    def fingerprint(self, rendered: Sequence[str]) -> str:
        """Fingerprint of several rendered values; null apart from ''."""
        return self.md5(self._listed(rendered))

    def key_digest(self, rendered: Sequence[str]) -> str:
        """SHA-256 of a rendered primary key: 32 bytes, whatever its columns."""
        return self.sha256(self._listed(rendered))

    def joined(self, texts_sql: Sequence[str]) -> str:
        """Texts that are never null, side by side."""
        return " || ".join(texts_sql)

    def _listed(self, rendered: Sequence[str]) -> str:
        """The texts, then their lengths: read from its end it is one list alone."""
        if not rendered:
            return "''"
        parts = [f"coalesce({r}, '')" for r in rendered]
        for i, text in enumerate(rendered):
            parts += ["';'"] if i else []
            parts.append(f"coalesce(CAST({self.octets(text)} AS {self.text}), 'n')")
        return self.joined(parts)


def refuse_key_type(name: str, arrow_type: pa.DataType) -> None:
    """Refuse primary keys whose equality is not plain: floats, JSON and nested types."""
    if pa.types.is_floating(arrow_type) or pa.types.is_nested(arrow_type):
        raise PolicyError(
            "key_type",
            f"Primary key column {name} is of type {arrow_type}; floats, JSON and nested types "
            "have no plain equality.",
            hint="Choose integer, text, date, uuid, decimal or boolean columns as primary key.",
        )
