"""The `manifest.json` of a dbt project: what dbt builds, where, and under which names.

Only what Mayfly needs is read, as plain JSON. Whatever is missing or of another form is refused:
a manifest that is half understood would be a model read from the wrong table, or a mark not seen.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeVar, get_args

import orjson

from mayfly.planning.sql.snowflake import exchanged

BYTES_MAX = 200_000_000
VERSIONS = ("v9", "v10", "v11", "v12")
"""Versions of the manifest's schema, of dbt 1.5 and later, whose keys are as they are read here."""

Kind = Literal["model", "seed", "snapshot", "source"]
K = TypeVar("K")
_REFERABLE = frozenset(get_args(Kind)) - {"source"}
_VERSION = re.compile(r"https?://schemas\.getdbt\.com/dbt/manifest/(v[0-9]{1,3})(\.json)?")
_NAME = re.compile(r"[^\x00-\x1f\x7f]{1,255}")
# What would end a quoted name, or begin a template, in a file that dbt renders.
_UNSAFE = re.compile(r"['\"{}\\]")


class ManifestError(Exception):
    """The manifest is not one that can be read.

    Args:
        message: what was expected.
        line, column: where, 1 where that is not known.
    """

    def __init__(self, message: str, line: int = 1, column: int = 1) -> None:
        super().__init__(message)
        self.message = message
        self.line = line
        self.column = column


@dataclass(frozen=True, kw_only=True)
class Column:
    """What dbt's files say about a column: everything under `meta`, and its tags."""

    name: str
    meta: tuple[Mapping[str, object], ...] = ()
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Node:
    """One thing that dbt builds or reads.

    Args:
        names: what a `ref` may call it, from the shortest.
        written: what dbt's own files call it, `ref('customers')`; empty where they could not.
        relation: database, schema and name; None where it has no table.
        group: whose it is alone; empty where anybody may refer to it.
        about: of the node as a whole.
    """

    id: str
    kind: Kind
    names: tuple[str, ...]
    written: str
    relation: tuple[str, str, str] | None
    group: str = ""
    about: Column
    columns: tuple[Column, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """A manifest by names and by relations.

    Args:
        adapter: dbt's word for the warehouse, such as `duckdb`.
        named: nodes by what a `ref` may call them.
        disabled: names of nodes that are switched off.
        databases: that dbt builds in, in small letters.
        tables: nodes by schema and name, in small letters.
    """

    adapter: str
    named: Mapping[str, tuple[Node, ...]]
    disabled: frozenset[str]
    databases: frozenset[str]
    tables: Mapping[tuple[str, str], tuple[Node, ...]] = field(default_factory=dict)

    def tables_called(self, name: str) -> Iterator[Node]:
        """Nodes whose table has that name, in any schema."""
        for (_, table), nodes in self.tables.items():
            if table == name.casefold():
                yield from nodes


def read_manifest(content: bytes) -> Manifest:
    """The manifest of a file's content.

    Raises:
        ManifestError: it is no JSON, or none of a schema that is known.
    """
    try:
        document = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise ManifestError("this is not readable JSON", error.lineno, error.colno) from None
    root = _mapping(document, "the file")
    metadata = _mapping(root.get("metadata"), "metadata")
    _check_version(metadata.get("dbt_schema_version"))
    head = _Head(
        adapter=_name(metadata, "adapter_type", "metadata"),
        project=str(metadata.get("project_name") or ""),
    )
    nodes = [*_nodes(root, "nodes", head), *_nodes(root, "sources", head)]
    disabled = frozenset(
        name
        for id_, versions in _mapping(root.get("disabled") or {}, "disabled").items()
        for raw in _members(versions, f"disabled.{_short(id_)}")
        if _kind(raw) in _REFERABLE
        for name in _names(raw, f"disabled.{_short(id_)}")
    )
    tables = [(n.relation, n) for n in nodes if n.relation is not None]
    return Manifest(
        adapter=head.adapter,
        named=_grouped((name, node) for node in nodes for name in node.names),
        disabled=disabled,
        databases=frozenset(r[0].casefold() for r, n in tables if n.kind != "source"),
        tables=_grouped(((r[1].casefold(), r[2].casefold()), n) for r, n in tables),
    )


@dataclass(frozen=True, kw_only=True)
class _Head:
    adapter: str
    project: str


def wanted_name(text: str) -> str:
    """What a `ref` of the project files calls a node; `ref('a', 'b', v=2)` is `a.b.v2`."""
    found = re.fullmatch(
        r"ref\(\s*(['\"])([^'\"]+)\1"
        r"(?:\s*,\s*(['\"])([^'\"]+)\3)?"
        r"(?:\s*,\s*(?:v|version)\s*=\s*(['\"]?)([^'\"\s]+)\5)?\s*\)",
        text.strip(),
    )
    if found is None:
        return text.strip()
    name = ".".join(part for part in (found[2], found[4]) if part)
    return f"{name}.v{found[6]}" if found[6] else name


def _check_version(found: object) -> None:
    matched = _VERSION.fullmatch(found) if isinstance(found, str) else None
    if matched is None or matched[1] not in VERSIONS:
        which = matched[1] if matched else "none that is known"
        raise ManifestError(
            f"metadata.dbt_schema_version: expected a manifest of {VERSIONS[0]} to {VERSIONS[-1]}, "
            f"found {which}"
        )


def _nodes(root: Mapping[str, object], section: str, head: _Head) -> Iterator[Node]:
    for id_, raw in _mapping(root.get(section), section).items():
        place = f"{section}.{_short(id_)}"
        node = _mapping(raw, place)
        kind = _kind(node)
        if kind is not None:
            yield _node(id_, kind, node, head, place)


def _node(id_: str, kind: Kind, raw: Mapping[str, object], head: _Head, place: str) -> Node:
    config = _mapping(raw.get("config") or {}, f"{place}.config")
    columns = _mapping(raw.get("columns") or {}, f"{place}.columns")
    private = raw.get("access") == "private"
    group = raw.get("group") or config.get("group") or "its own"
    return Node(
        id=id_,
        kind=kind,
        names=() if kind == "source" else _names(raw, place),
        written=_written(kind, raw, head, place),
        relation=None if _is_ephemeral(config) else _relation(kind, raw, head, place),
        group=str(group) if private else "",
        about=_about(_name(raw, "name", place), raw, place),
        columns=tuple(_about(name, _mapping(c, place), place) for name, c in columns.items()),
    )


def _is_ephemeral(config: Mapping[str, object]) -> bool:
    return config.get("materialized") == "ephemeral"


def _relation(
    kind: Kind, raw: Mapping[str, object], head: _Head, place: str
) -> tuple[str, str, str]:
    """Names as Mayfly has them: PostgreSQL writes small what dbt did not quote, and Mayfly what
    Snowflake writes in capitals.
    """
    last = "identifier" if kind == "source" else "alias"
    parts = (
        _name(raw, "database", place) if raw.get("database") else "",
        _name(raw, "schema", place),
        _name(raw, last, place),
    )
    rendered = raw.get("relation_name")
    if head.adapter not in _FOLDING or not isinstance(rendered, str):
        return parts
    as_quoted = _FOLDING[head.adapter]
    database, schema, name = (as_quoted(p) if f'"{p}"' in rendered else p.lower() for p in parts)
    return database, schema, name


_FOLDING: Mapping[str, Callable[[str], str]] = {
    "postgres": str,
    "redshift": str.lower,
    "snowflake": exchanged,
}
"""What a quoted name is called, by adapter."""


def _names(raw: object, place: str) -> tuple[str, ...]:
    """`a.b` is model b of package a; of several versions the latest goes without `.v2`, too."""
    node = _mapping(raw, place)
    name, package = _name(node, "name", place), _name(node, "package_name", place)
    version = _version(node, place)
    found = []
    if version is None or version == str(node.get("latest_version")):
        found += [name, f"{package}.{name}"]
    if version is not None:
        found += [f"{name}.v{version}", f"{package}.{name}.v{version}"]
    return tuple(found)


def _version(raw: Mapping[str, object], place: str) -> str | None:
    version = raw.get("version")
    if version is None:
        return None
    if not isinstance(version, str | int | float) or not _NAME.fullmatch(str(version)):
        raise ManifestError(f"{place}.version: expected a number or text")
    return str(version)


def _written(kind: Kind, raw: Mapping[str, object], head: _Head, place: str) -> str:
    call, first = ("source", "source_name") if kind == "source" else ("ref", "package_name")
    names = [_name(raw, first, place), _name(raw, "name", place)]
    if kind != "source" and names[0] == head.project:
        del names[0]
    version = raw.get("version")
    if any(map(_UNSAFE.search, [*names, str(version)])):
        return ""
    parts = [f"'{name}'" for name in names]
    if version is not None:
        parts.append(f"v='{version}'" if isinstance(version, str) else f"v={version}")
    return f"{call}({', '.join(parts)})"


def _about(name: str, raw: Mapping[str, object], place: str) -> Column:
    """`meta` and tags stand beside a name, and since dbt 1.10 in its `config`."""
    config = _mapping(raw.get("config") or {}, place)
    meta = [_mapping(x.get("meta") or {}, f"{place}.meta") for x in (raw, config)]
    tags = [tag for x in (raw, config) for tag in _tags(x.get("tags") or [], place)]
    return Column(name=name, meta=tuple(m for m in meta if m), tags=tuple(dict.fromkeys(tags)))


def _tags(found: object, place: str) -> list[str]:
    tags = [found] if isinstance(found, str) else _members(found, f"{place}.tags")
    if not all(isinstance(tag, str) for tag in tags):
        raise ManifestError(f"{place}.tags: expected text")
    return [str(tag) for tag in tags]


def _kind(raw: object) -> Kind | None:
    found = raw.get("resource_type") if isinstance(raw, dict) else None
    return next((kind for kind in get_args(Kind) if kind == found), None)


def _mapping(found: object, place: str) -> Mapping[str, object]:
    if not isinstance(found, dict):
        raise ManifestError(f"{place}: expected keys and values")
    return found


def _members(found: object, place: str) -> list[object]:
    if not isinstance(found, list):
        raise ManifestError(f"{place}: expected a list")
    return found


def _name(raw: Mapping[str, object], key: str, place: str) -> str:
    found = raw.get(key)
    if not isinstance(found, str) or not _NAME.fullmatch(found):
        raise ManifestError(f"{place}.{key}: expected a name")
    return found


def _short(id_: str) -> str:
    """An id as messages print it."""
    return id_ if _NAME.fullmatch(id_) and len(id_) <= 100 else "?"


def _grouped(pairs: Iterable[tuple[K, Node]]) -> dict[K, tuple[Node, ...]]:
    found: dict[K, list[Node]] = {}
    for key, node in pairs:
        found.setdefault(key, []).append(node)
    return {key: tuple(nodes) for key, nodes in found.items()}
