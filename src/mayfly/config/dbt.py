"""Models that dbt builds: where they stand, by the manifest, and what its marks demand."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mayfly.config import models as m
from mayfly.config.dbt_manifest import (
    BYTES_MAX,
    Manifest,
    ManifestError,
    Node,
    read_manifest,
    wanted_name,
)
from mayfly.config.dbt_marks import Mark, Marks, stricter_class
from mayfly.config.files import Merged, read_content
from mayfly.config.findings import Findings, Spot, name_shown, shown
from mayfly.config.parse import Parsed
from mayfly.config.source_models import AnySource
from mayfly.domain.errors import PolicyError
from mayfly.ports.source import Dialect

# dbt's word for each type of source, where it is another than ours; a folder has none.
_ADAPTERS = {"files": ""}
_DEFAULT_SCHEMA = "main"
_ROW = "*"
_ALIAS = re.compile(r'\bAS "?(\w+)', re.IGNORECASE)
_SET = re.compile(r"\b(UNION|INTERSECT|EXCEPT)\b", re.IGNORECASE)
_WRITE_IT = "Let dbt write it, for instance by `dbt parse --target-path`, before this command runs."


@dataclass(kw_only=True)
class Found:
    """What the manifest says of the project's models, by their names.

    Args:
        read: whether it was read.
        tables: schema and name of each model that has a `ref`.
        written: what dbt calls the table of a model.
        marks: of each model's columns.
    """

    read: bool = True
    tables: dict[str, tuple[str, str]] = field(default_factory=dict)
    written: dict[str, str] = field(default_factory=dict)
    marks: dict[str, Mapping[str, Mark]] = field(default_factory=dict)


def read_dbt(merged: Merged, parsed: Parsed, texts: Mapping[str, str], findings: Findings) -> Found:
    """Look up every model that dbt knows; each fault goes to `findings`.

    Args:
        merged: the project's files.
        parsed: the same, as far as they could be read.
        texts: SQL of models that have it in a file.
        findings: where problems go.
    """
    found = Found()
    if parsed.complete is None:
        return found
    if parsed.complete.dbt is None:
        for name, model in parsed.models.items():
            if model.ref is not None:
                message = f"models.{name}.ref: key `dbt` is missing in mayfly.yml"
                hint = "Name dbt's manifest there: `dbt: {manifest: dbt/target/manifest.json}`."
                spot = merged.spots.key("models", name, "ref")
                findings.add(spot, "missing_key", message, hint)
        return found
    settings = parsed.complete.dbt
    manifest = _manifest(merged, settings, findings)
    if manifest is not None:
        _Reader(merged, parsed, settings, manifest, findings, found).read(texts)
    return found


def _manifest(merged: Merged, settings: m.DbtFile, findings: Findings) -> Manifest | None:
    path = Path(os.path.normpath(merged.root / settings.manifest))
    spot = merged.spots.value("dbt", "manifest")
    if not path.is_relative_to(merged.root) or path.suffix != ".json":
        message = "dbt.manifest: expected a .json file below the project's folder"
        findings.add(spot, "bad_file", message, _WRITE_IT)
        return None
    if not os.path.lexists(path):
        findings.add(spot, "missing_file", "dbt.manifest: there is no such file", _WRITE_IT)
        return None
    merged.files.append(path)
    content = read_content(merged.root, path, findings, bytes_max=BYTES_MAX)
    if content is None:
        return None
    try:
        return read_manifest(content)
    except ManifestError as error:
        file = path.relative_to(merged.root).as_posix()
        at = Spot(file=file, line=error.line, column=error.column)
        hint = "Write it anew with dbt 1.5 or later: `dbt parse`."
        findings.add(at, "dbt_manifest", error.message, hint)
        return None


class _Reader:
    def __init__(
        self,
        merged: Merged,
        parsed: Parsed,
        settings: m.DbtFile,
        manifest: Manifest,
        findings: Findings,
        found: Found,
    ) -> None:
        self._spots = merged.spots
        self._merged = merged
        self._parsed = parsed
        self._settings = settings
        self._manifest = manifest
        self._findings = findings
        self._found = found

    def read(self, texts: Mapping[str, str]) -> None:
        """Every model, then every mapping."""
        for name in self._settings.databases:
            if name not in self._merged.section("sources") and not self._merged.broken:
                self._findings.add_unknown(
                    self._spots.key("dbt", "databases", name),
                    "unknown_source",
                    "dbt.databases: no such source",
                    name,
                    self._merged.section("sources"),
                )
        blocked: dict[str, frozenset[str]] = {}
        for name, model in self._parsed.models.items():
            source = self._parsed.sources.get(model.source)
            if source is not None:
                blocked[name] = self._model(name, model, source, texts.get(name, model.sql))
        for name, sync in self._parsed.syncs.items():
            for field_name, column in sync.mapping.items():
                if column in blocked.get(sync.model, ()):
                    self._blocked(name, field_name, column)

    def _blocked(self, sync: str, field_name: str, column: str) -> None:
        message = f"syncs.{sync}.mapping: dbt marks column {shown(column)} as blocked"
        hint = "It may not leave: take it out of the mapping, or the mark out of dbt's files."
        spot = self._spots.value("syncs", sync, "mapping", field_name)
        self._findings.add(spot, "mark_blocked", message, hint)

    def _model(
        self, name: str, model: m.ModelFile, source: AnySource, sql: str | None
    ) -> frozenset[str]:
        """Find the model's nodes and take over their marks; which columns are blocked."""
        marks, behind, nodes = Marks(), _Behind(), list[Node]()
        if model.ref is not None:
            node = self._referred(name, model.ref, model.source, source)
            nodes = [] if node is None else [node]
        elif model.table is not None:
            nodes = list(self._of_table(model.table, model.source, source))
        elif _adapter(source) == self._manifest.adapter:
            behind = _behind(sql or "", source)
            nodes = [
                node
                for table in sorted(behind.tables)
                for node in self._manifest.tables_called(table)
                if self._is_of(node, model.source, source)
            ]
        for node in nodes:
            marks.add(node)
        by_name = model.ref is not None or model.table is not None
        if nodes and by_name and not nodes[0].group:
            self._found.written[name] = nodes[0].written
        for bad in marks.bad:
            spot = self._spots.key("models", name, "ref")
            message = f"models.{name}: {shown(bad.place)} in dbt's files: {bad.message}"
            self._findings.add(spot, "bad_mark", message, bad.hint)
        return self._columns(name, model, marks, behind)

    def _columns(
        self, name: str, model: m.ModelFile, marks: Marks, behind: _Behind
    ) -> frozenset[str]:
        kept, blocked = dict[str, Mark](), set[str]()
        for column, declared in model.columns.items():
            mark = marks.of(column)
            inside = behind.of(column)
            hidden = any(marks.of(other).blocked for other in inside - {_ROW})
            if mark.blocked or hidden or (_ROW in inside and marks.any_blocked()):
                blocked.add(column)
            if stricter_class(declared.cls, mark.cls)[2]:
                message = (
                    f"models.{name}.columns.{name_shown(column)}: dbt marks it as {mark.cls}, and "
                    f"here it is {declared.cls}"
                )
                hint = "Neither is stricter than the other: correct the one that is wrong."
                spot = self._spots.key("models", name, "columns", column, "class")
                self._findings.add(spot, "mark_differs", message, hint)
            kept[column] = mark
        self._found.marks[name] = kept
        return frozenset(blocked)

    def _referred(self, name: str, ref: str, source_name: str, source: AnySource) -> Node | None:
        """The one node that a `ref` means; None (and a finding) where it cannot be read."""
        label, spot = f"models.{name}.ref", self._spots.value("models", name, "ref")
        adapter = _adapter(source)
        if adapter != self._manifest.adapter:
            message = (
                f"{label}: the manifest is of dbt's adapter {self._manifest.adapter}, and source "
                f"{source_name} is of type {source.type}"
            )
            hint = "Name a source of the database that dbt builds in, or that project's manifest."
            self._findings.add(spot, "dbt_adapter", message, hint)
            return None
        wanted = wanted_name(ref)
        nodes = self._manifest.named.get(wanted, ())
        if len(nodes) > 1:
            names = sorted(n.names[-1] for n in nodes)
            message = f"{label}: dbt has several nodes of this name"
            hint = f"Write one of: {', '.join(names[:10])}."
            self._findings.add(spot, "dbt_ambiguous", message, hint)
            return None
        if not nodes:
            self._missing(label, spot, wanted)
            return None
        return self._readable(label, spot, nodes[0], source_name, source, name)

    def _missing(self, label: str, spot: Spot, wanted: str) -> None:
        if wanted in self._manifest.disabled:
            message = f"{label}: the node is disabled in dbt, which builds no table for it"
            self._findings.add(spot, "dbt_not_built", message, "Enable it, or name another.")
            return
        message = f"{label}: dbt's manifest has no such model, seed or snapshot"
        short = [names[0] for nodes in self._manifest.named.values() for names in [nodes[0].names]]
        known = sorted(dict.fromkeys(short))
        self._findings.add_unknown(spot, "unknown_ref", message, wanted, known)

    def _readable(
        self,
        label: str,
        spot: Spot,
        node: Node,
        source_name: str,
        source: AnySource,
        name: str,
    ) -> Node | None:
        if node.relation is None:
            message = f"{label}: the node is ephemeral, so that dbt builds no table for it"
            hint = "Materialise it as a table or a view, or name another."
            self._findings.add(spot, "dbt_not_built", message, hint)
            return None
        if node.group:
            message = f"{label}: the node is private to a group of dbt's"
            hint = "Let its group make it protected or public, or name another."
            self._findings.add(spot, "dbt_private", message, hint)
            return None
        database, schema, table = node.relation
        if not self._is_in(database, source_name, source):
            message = f"{label}: dbt builds it in another database than source {source_name} is"
            hint = (
                f"Name its own source. If it is this one, say so: `dbt: {{databases: "
                f"{{{source_name}: {database or 'NAME'}}}}}`."
            )
            self._findings.add(spot, "dbt_database", message, hint)
            return None
        self._found.tables[name] = (schema, table)
        return node

    def _of_table(self, table: str, name: str, source: AnySource) -> Iterator[Node]:
        """A mark holds of a table by whatever way a model names it."""
        schema, _, last = table.rpartition(".")
        if not schema:
            schema = getattr(source, "schema_", _DEFAULT_SCHEMA)
        for node in self._manifest.tables.get((schema.casefold(), last.casefold()), ()):
            if self._is_of(node, name, source):
                yield node

    def _is_of(self, node: Node, name: str, source: AnySource) -> bool:
        database = node.relation[0] if node.relation is not None else ""
        is_there = _adapter(source) == self._manifest.adapter
        return is_there and self._is_in(database, name, source) is not False

    def _is_in(self, database: str, name: str, source: AnySource) -> bool | None:
        """Whether dbt's database is the source's: by the project's word, or by the file's name. Of
        a server, whose address is a secret, None where dbt builds in several.
        """
        known = self._settings.databases.get(name)
        if known is not None:
            return database.casefold() == known.casefold()
        path = getattr(source, "path", None)
        if path is None:
            return True if len(self._manifest.databases) == 1 else None
        file = Path(path).name.casefold()
        return database.casefold() in (Path(file).stem, file.partition(".")[0])


_DIALECTS: Mapping[str, Dialect] = {
    "duckdb": "duckdb",
    "files": "duckdb",
    "bigquery": "bigquery",
    "clickhouse": "clickhouse",
    "databricks": "databricks",
    "mysql": "mysql",
    "postgres": "postgres",
    "redshift": "redshift",
    "snowflake": "snowflake",
    "spark": "spark",
    "sqlite": "sqlite",
}


def _adapter(source: AnySource) -> str:
    return _ADAPTERS.get(source.type, source.type)


@dataclass(frozen=True, kw_only=True)
class _Behind:
    """What a model's SQL reads, and what its columns are made of, as far as names tell.

    Args:
        tables: their names.
        columns: by name in small letters; `_ROW` stands for a whole row.
        others: what any other column is made of.
    """

    tables: frozenset[str] = frozenset()
    columns: Mapping[str, frozenset[str]] = field(default_factory=dict)
    others: frozenset[str] = frozenset()

    def of(self, column: str) -> frozenset[str]:
        return self.columns.get(column.casefold(), self.others)


def _behind(sql: str, source: AnySource) -> _Behind:
    """See `_Behind`; nothing where the SQL is refused, which a plan says, or where the dialect of a
    kind of source that another distribution adds is not known here.
    """
    from mayfly.planning.model_sql import check_model_sql, names_behind

    dialect = _DIALECTS.get(source.type)
    if dialect is None:
        return _Behind()
    try:
        text = check_model_sql(sql, dialect)
        found = names_behind(text, dialect)
    except PolicyError:
        return _Behind()
    # A table's own name, or its alias, in place of a column is its whole row.
    aliases = {a.casefold() for a in _ALIAS.findall(text)} - set(found.columns)
    rows = aliases | {t.casefold() for t in found.tables}
    columns = {
        name: inside | {_ROW} if any(i.casefold() in rows for i in inside) else inside
        for name, inside in found.columns.items()
    }
    if not _SET.search(text):
        return _Behind(tables=found.tables, columns=columns)
    # There columns meet by their places, whatever they are called.
    everything = frozenset().union(*columns.values(), columns)
    return _Behind(tables=found.tables, others=everything)
