"""From a binding of the project files to the planner's consent filter: what is named must be there,
of types that can be compared, and spelled as those types are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import pyarrow as pa

from mayfly.domain.consent import Spelling, Spellings
from mayfly.domain.errors import ConfigError
from mayfly.domain.settings import ConsentBinding, ConsentTableSettings
from mayfly.planning.spec import Consent, ConsentTable, TypedColumn
from mayfly.ports.source import ColumnInfo
from mayfly.services.compiled_sync import CompileRequest
from mayfly.services.type_fields import Found

_NOT_THERE = frozenset(("table_missing", "schema_missing", "column_missing", "missing_grant"))
_TRUTH_IS_NUMBER = frozenset(("mysql", "sqlite"))


def bind_consent(
    r: CompileRequest, binding: ConsentBinding, infos: Mapping[str, ColumnInfo], found: Found
) -> Consent:
    """The filter of one binding.

    Args:
        r: what is compiled.
        binding: of the sync's purpose.
        infos: columns of the model.
        found: gets refusals.

    Raises:
        ConfigError: the consent table or a column of it is not there, or may not be read.
        TransientError: the source is away.
    """
    values = binding.in_ or (() if binding.equals is None else (binding.equals,))
    table = None
    if binding.table is not None:
        table = _Table(
            r, binding.purpose, binding.table, infos[binding.table.matches], found
        ).made()
    withdrawn_at = None
    if binding.withdrawn_at is not None:
        info = infos[binding.withdrawn_at]
        _require_time(r, info, found, f"Model {r.sync.model} (purpose {binding.purpose})")
        withdrawn_at = TypedColumn(name=info.name, arrow_type=info.arrow_type)
    return Consent(
        column=binding.column,
        values=tuple(values),
        table=table,
        withdrawn_at=withdrawn_at,
        constant=binding.constant is not None,
    )


class _Table:
    """A consent table of one binding, as it is in the source now."""

    def __init__(
        self,
        r: CompileRequest,
        purpose: str,
        settings: ConsentTableSettings,
        matches: ColumnInfo,
        found: Found,
    ) -> None:
        self._r = r
        self._settings = settings
        self._matches = matches
        self._found = found
        self._label = f"Consent table {settings.name[1]} (purpose {purpose})"
        self._relation = r.source.relation(*settings.name)
        self._infos = self._described()

    def made(self) -> ConsentTable:
        """Checked, whatever was refused."""
        s = self._settings
        self._subject()
        for name in (s.time, s.valid_until):
            if name is not None:
                _require_time(self._r, self._infos[name], self._found, self._label)
        for name, spellings in self._spelled():
            self._spelling(name, spellings)
        return ConsentTable(
            relation=self._relation,
            subject=self._typed(s.subject),
            matches=TypedColumn(name=s.matches, arrow_type=self._matches.arrow_type),
            purpose=s.purpose,
            state=s.state,
            time=self._typed(s.time),
            valid_until=None if s.valid_until is None else self._typed(s.valid_until),
            source=s.source,
            spellings=Spellings(
                purposes=s.purposes,
                granted=s.granted,
                unknown=s.unknown,
                sources=s.sources,
                ends=s.valid_until is not None,
                without_end=s.without_end,
            ),
        )

    def _described(self) -> dict[str, ColumnInfo]:
        dialect, source, s = self._r.dialect, self._r.source, self._settings
        columns = ", ".join(dialect.quote(c) for c in s.columns)
        query = f"SELECT {columns} FROM {self._relation}"
        try:
            return {c.name: c for c in source.describe(dialect.model(query))}
        except ConfigError as error:
            if error.code not in _NOT_THERE:
                raise
            raise ConfigError(
                error.code,
                f"{self._label}: {error.message}",
                hint=error.hint
                or "Name a table of the model's own source, and its columns as that writes them.",
            ) from None

    def _typed(self, name: str) -> TypedColumn:
        return TypedColumn(name=name, arrow_type=self._infos[name].arrow_type)

    def _subject(self) -> None:
        theirs, ours = self._infos[self._settings.subject], self._matches
        if _family(theirs.arrow_type) != _family(ours.arrow_type):
            self._refuse(
                "consent_subject_type",
                f"column {theirs.name} is of type {theirs.sql_type} and is to match column "
                f"{ours.name} of the model, of type {ours.sql_type}. Let both be of one type.",
                theirs.name,
            )
        elif pa.types.is_floating(theirs.arrow_type) or pa.types.is_nested(theirs.arrow_type):
            self._refuse(
                "consent_subject_type",
                f"column {theirs.name} is of type {theirs.sql_type}, which has no plain equality. "
                "Name a subject by a whole number, a text or a UUID.",
                theirs.name,
            )

    def _spelled(self) -> Iterator[tuple[str, Sequence[Spelling]]]:
        s = self._settings
        yield s.purpose, s.purposes
        yield s.state, (*s.granted, *s.unknown)
        if s.source is not None:
            yield s.source, s.sources or ()

    def _spelling(self, name: str, spellings: Sequence[Spelling]) -> None:
        info = self._infos[name]
        if not all(_fits(value, info.arrow_type, self._r.source.dialect) for value in spellings):
            self._refuse(
                "consent_spelling_type",
                f"column {name} is of type {info.sql_type}, and a value declared for it is of "
                "another. Write texts in quotation marks, numbers and true or false without.",
                name,
            )

    def _refuse(self, code: str, message: str, column: str) -> None:
        self._found.refuse(code, f"{self._label}: {message}", column)


def _require_time(r: CompileRequest, info: ColumnInfo, found: Found, label: str) -> None:
    kind = info.arrow_type
    written = not r.dialect.has_times and pa.types.is_string(kind)
    if not (written or pa.types.is_timestamp(kind) or pa.types.is_date(kind)):
        found.refuse(
            "consent_time_type",
            f"{label}: column {info.name} is of type {info.sql_type}, and a time is expected. Name "
            "a timestamp or a date, or a view that makes one of it.",
            info.name,
        )


def _family(kind: pa.DataType) -> object:
    """Types whose values are written alike."""
    if pa.types.is_integer(kind):
        return "integer"
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return "text"
    return kind


def _fits(value: Spelling, kind: pa.DataType, dialect: str) -> bool:
    if isinstance(value, bool):
        number = dialect in _TRUTH_IS_NUMBER and pa.types.is_integer(kind)
        return bool(pa.types.is_boolean(kind) or number)
    if isinstance(value, int):
        return bool(pa.types.is_integer(kind) or pa.types.is_decimal(kind))
    return _family(kind) == "text"
