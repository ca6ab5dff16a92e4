"""Google's own analyzer of GoogleSQL, the language of BigQuery, and its reference evaluator. Run by
the Python of their own environment.

Reads one JSON object a line and answers each with one: `rows` of a query over nothing, or `check`
of a statement in a session, whose tables it remembers. An error is told as `error`.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from zetasql.api import Analyzer, PreparedQuery
from zetasql.types import (
    AnalyzerOptions,
    LanguageFeature,
    LanguageOptions,
    SimpleCatalog,
    SimpleColumn,
    SimpleTable,
    Type,
    TypeKind,
    ZetaSQLBuiltinFunctionOptions,
)
from zetasql.types.proto_model import ProductMode

Columns = list[tuple[str, Any]]
_KINDS = {
    "INT64": TypeKind.TYPE_INT64,
    "BYTES": TypeKind.TYPE_BYTES,
    "STRING": TypeKind.TYPE_STRING,
    "BOOL": TypeKind.TYPE_BOOL,
}
_VALUES = ("int64_value", "string_value", "bytes_value", "bool_value")


class Server:
    """What was made by statements that were checked, by session where it is temporary."""

    def __init__(self) -> None:
        language = LanguageOptions.maximum_features()
        language.product_mode = ProductMode.PRODUCT_EXTERNAL
        language.enabled_language_features += [
            LanguageFeature.FEATURE_ANNOTATION_FRAMEWORK,
            LanguageFeature.FEATURE_COLLATION_SUPPORT,
        ]
        self._options = AnalyzerOptions(language_options=language, default_timezone="UTC")
        self._builtin = ZetaSQLBuiltinFunctionOptions(language_options=language)
        self._lasting: dict[tuple[str, ...], Columns] = {}
        self._temporary: dict[str, dict[tuple[str, ...], Columns]] = {}

    def rows(self, sql: str) -> list[list[Any]]:
        """Rows of a query, blobs as hex."""
        made = PreparedQuery.builder().set_sql(sql).set_analyzer_options(self._options)
        with made.set_catalog(self._catalog("")).prepare() as query:
            found = query.execute().content.table_data.row
        return [[_value(cell) for cell in row.cell] for row in found]

    def table(self, session: str, path: list[str], columns: dict[str, str]) -> None:
        """A table that is there, of a session where it names one."""
        made = [(name, Type(type_kind=_KINDS[kind])) for name, kind in columns.items()]
        self._of(session)[tuple(path)] = made

    def check(self, session: str, sql: str) -> None:
        """Resolve a statement, all its names, functions and types; then know what it made."""
        found = Analyzer(self._options, self._catalog(session)).analyze_statement(sql)
        path = tuple(getattr(found, "name_path", None) or ())
        match type(found).__name__:
            case "ResolvedCreateTableStmt" | "ResolvedCreateTableAsSelectStmt":
                known = self._of(session if "TEMP" in found.create_scope.name else "")
                if path not in known or "IF_NOT_EXISTS" not in found.create_mode.name:
                    known[path] = [(c.name, c.type) for c in found.column_definition_list]
            case "ResolvedDropStmt":
                self._of(session).pop(path, None) or self._lasting.pop(path, None)

    def _of(self, session: str) -> dict[tuple[str, ...], Columns]:
        return self._temporary.setdefault(session, {}) if session else self._lasting

    def _catalog(self, session: str) -> SimpleCatalog:
        root = SimpleCatalog(name="root", builtin_function_options=self._builtin)
        datasets: dict[str, SimpleCatalog] = {}
        for path, columns in (self._lasting | self._of(session)).items():
            made = [SimpleColumn(name=name, type=kind) for name, kind in columns]
            of = root
            if len(path) > 1:
                of = datasets.setdefault(path[0], SimpleCatalog(name=path[0]))
            of.table.append(SimpleTable(name=path[-1], column=made))
        root.catalog = list(datasets.values())
        return root


def _value(cell: Any) -> Any:
    for name in _VALUES:
        value = getattr(cell, name)
        if value is not None:
            return value.hex() if isinstance(value, bytes) else value
    return None


def main() -> None:
    """Until there is no more to read."""
    server = Server()
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            answer = getattr(server, asked.pop("do"))(**asked)
        except Exception as error:
            answer = {"error": str(error)}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
