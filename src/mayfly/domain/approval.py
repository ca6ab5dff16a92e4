"""What an approval pins, as names only, and its fingerprint."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from mayfly.domain.settings import (
    RECHECK_SECONDS,
    ConsentBinding,
    ModelSettings,
    Project,
    SyncSettings,
)

_RECHECK = "recheck_after_seconds"
_ADDRESS = ("account_id", "dsn", "schema", "path", "format")
_COLUMN = ("column", "field", "default_country_column")
_BINDING = ("column", "withdrawn_at")
_TABLE = ("subject", "matches", "purpose", "state", "time", "valid_until", "source")
"""Parts of a pinned column, binding or table of events that are names."""
NOT_PINNED = frozenset(
    (
        # Who Mayfly is there, and how it asks: what leaves, and to where, is the same.
        *("access_key_id", "access_token", "api_key", "api_token", "api_user", "app_secret"),
        *("client_id", "client_secret", "consumer_key", "consumer_secret", "developer_token"),
        *("login_account_id", "passphrase", "password", "previous_secret", "private_key"),
        *("redirect_uri", "secret", "secret_access_key", "service_account_key", "session_token"),
        *("token", "uid2_api_key", "uid2_client_secret"),
        *("api_version", "objects_per_request", "test_event_code"),
    )
)
"""Options of destinations that may change without an approval; any other may not."""


@dataclass(frozen=True, kw_only=True)
class Compiled:
    """What an approval pins that only the source and the compiled sync tell.

    What says nothing is left out of the document: a project keeps the fingerprints it had until
    it has something new to pin.

    Args:
        types: model column to the source engine's type name.
        query: the model's SQL in canonical form; None of a table.
        lineage: model column to the columns of tables it is made of; none of a plain table.
        views: by name, the digest of each view below the model, or why there is none.
        where: the filter of the model's rows in canonical form; None where it has none.
        found: model column to a class that was found and is stricter than what is declared.
        rules: destination field to the version of its rule, where that is not the first.
        transfers: countries outside of the workspace's law that data reaches, with mechanisms.
    """

    types: Mapping[str, str] = field(default_factory=dict)
    query: str | None = None
    lineage: Mapping[str, Sequence[str]] = field(default_factory=dict)
    views: Mapping[str, str] = field(default_factory=dict)
    where: str | None = None
    found: Mapping[str, str] = field(default_factory=dict)
    rules: Mapping[str, int] = field(default_factory=dict)
    transfers: Sequence[Mapping[str, str | None]] = ()

    def as_before(self) -> Compiled | None:
        """As approvals of earlier releases pinned it; None where there is what they did not see."""
        unseen = self.views or self.where or self.found or self.rules or self.transfers
        return None if unseen else Compiled(types=self.types)


def approval_document(project: Project, sync_name: str, compiled: Compiled) -> dict[str, Any]:
    """Everything that decides what leaves a sync, and where to.

    Args:
        project: the project under one target.
        sync_name: of the sync.
        compiled: what the source and the compiled sync tell.
    """
    sync = project.syncs[sync_name]
    model = project.models[sync.model]
    destination = project.destinations[sync.destination]
    binding = model.consent.get(sync.purpose) if sync.purpose else None
    asked = {model.columns[name].tells for name in sync.mapping.values()} - {None}
    told = {p: _consent(model.consent[p], compiled) for p in sorted(filter(None, asked))}
    # A sync of the usual age keeps the fingerprint it had.
    seconds = sync.recheck_after_seconds
    recheck = {} if seconds == RECHECK_SECONDS else {_RECHECK: seconds}
    text = compiled.query or model.sql
    query = _digest(text) if text else None
    return {
        "workspace": project.workspace.name,
        "target": project.target,
        "sync": sync.id,
        "mode": sync.mode,
        "source": _source_address(project, model.source),
        "table": list(model.table) if model.table else None,
        "query_sha256": query,
        "primary_key": list(model.primary_key),
        "columns": _columns(sync, model, compiled),
        "purpose": sync.purpose,
        "consent": None if binding is None else _consent(binding, compiled),
        **({"views": dict(compiled.views)} if compiled.views else {}),
        **({"where_sha256": _digest(compiled.where)} if compiled.where else {}),
        "destination": {
            "name": destination.name,
            "type": destination.type,
            "kind": destination.kind,
            "owner": destination.owner,
            "reason": destination.reason,
            "endpoint": destination.endpoint,
            "address": _address(project, destination.options),
        },
        "object": sync.audience or sync.table,
        "key": list(sync.key),
        "outside_repertoire": sync.outside_repertoire,
        **recheck,
        **({"told": told} if told else {}),
        **({"transfers": [dict(t) for t in compiled.transfers]} if compiled.transfers else {}),
    }


def _columns(sync: SyncSettings, model: ModelSettings, compiled: Compiled) -> list[dict[str, Any]]:
    """What is sent, and as what."""
    columns = []
    for field_name, name in sorted(sync.mapping.items()):
        column = model.columns[name]
        more: dict[str, Any] = {
            "mark": column.mark,
            "lineage": list(compiled.lineage.get(name, ())) or None,
            "found": compiled.found.get(name),
            "rule_version": compiled.rules.get(field_name),
        }
        columns.append(
            {
                "field": field_name,
                "column": name,
                "type": compiled.types.get(name, ""),
                "class": column.cls,
                "rule": column.rule,
                "default_country": column.default_country,
                "default_country_column": column.default_country_column,
                "reason": column.reason,
                "values": list(column.values or ()),
                "minimum": column.minimum,
                "maximum": column.maximum,
                # A project without them keeps the fingerprints it had.
                **{key: value for key, value in more.items() if value is not None},
            }
        )
    return columns


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _consent(binding: ConsentBinding, compiled: Compiled) -> dict[str, Any]:
    """What states consent. A binding of a column alone keeps the fingerprint it had."""
    more: dict[str, Any] = {
        "notice_version": binding.notice_version,
        "withdrawn_at": binding.withdrawn_at,
        "constant": binding.constant,
        "lineage": {c: list(compiled.lineage[c]) for c in binding.columns if c in compiled.lineage}
        or None,
    }
    if binding.table is not None:
        more["table"] = json.loads(json.dumps(asdict(binding.table)))
    return {
        "column": binding.column,
        "equals": binding.equals,
        "in": list(binding.in_ or ()),
        "lawful_basis": binding.lawful_basis,
        **{key: value for key, value in more.items() if value is not None},
    }


def _address(project: Project, options: Mapping[str, object]) -> dict[str, str]:
    """Where rows go, and what else of a destination decides what becomes of them there."""
    always = {k: _place(project, options.get(k)) for k in _ADDRESS}
    # A destination without them keeps the fingerprints it had.
    given = {k: v for k, v in options.items() if v and k not in {*_ADDRESS, *NOT_PINNED}}
    return always | {k: _written(project, value) for k, value in given.items()}


def _written(project: Project, value: object) -> str:
    """An option of whatever shape, always the same."""
    return json.dumps(value, sort_keys=True, default=lambda part: _place(project, part))


def _source_address(project: Project, name: str) -> Mapping[str, str]:
    """Where rows are read: another database has other people in a table of the same name.

    As at a destination a secret is pinned by its reference. Its value (a host after a failover, a
    changed password) belongs to the environment and is not for reviewers of files to see.
    """
    source = project.sources[name]
    address = {"path": source.path, "dsn": source.dsn, "schema": source.schema, **source.options}
    known = {key: _place(project, value) for key, value in address.items()}
    plugin = project.plugins.get(source.type)
    if plugin is not None:
        # Whose code reads the rows; its version is a change of the project's files alone.
        known["plugin"] = plugin.distribution
    return {"name": name, "type": source.type, **known}


def _place(project: Project, value: object) -> str:
    """A part of an address; a path within the project is the same in every checkout."""
    if isinstance(value, Path) and value.is_relative_to(project.root):
        value = value.relative_to(project.root).as_posix()
    return str(value or "")


def fingerprint(document: Mapping[str, Any]) -> str:
    """SHA-256 of the document's canonical JSON, in hex."""
    return hashlib.sha256(_canonical(document).encode("ascii")).hexdigest()


@dataclass(frozen=True)
class Difference:
    """One thing that is not as it was approved: names only, never a value.

    Args:
        what: what changed; a column that is sent is named by its destination field.
        column: the model column it is about, None where it is about no column.
        old, new: what differs, for who approves: settings of the project files, names, digests.
    """

    what: str
    column: str | None = None
    old: str | None = field(default=None, compare=False)
    new: str | None = field(default=None, compare=False)


Rename = Callable[[str], str]


def renamed(document: Mapping[str, Any], plain: Rename, made: Rename) -> dict[str, Any]:
    """An approval's document under other names; it may be of any release, or of something else.

    Args:
        document: to be read.
        plain: of columns, fields and tables.
        made: of what is made of names: types, views, and what columns are made of.
    """
    found = dict(document)
    for key in ("primary_key", "key", "table"):
        if found.get(key):
            found[key] = [part and plain(part) for part in found[key]]
    if found.get("columns"):
        found["columns"] = [_renamed_column(c, plain, made) for c in found["columns"]]
    if found.get("views"):
        found["views"] = {made(name): why for name, why in found["views"].items()}
    if found.get("consent"):
        found["consent"] = _renamed_binding(found["consent"], plain, made)
    if found.get("told"):
        told = found["told"].items()
        found["told"] = {purpose: _renamed_binding(b, plain, made) for purpose, b in told}
    return found


def _renamed_column(column: Mapping[str, Any], plain: Rename, made: Rename) -> dict[str, Any]:
    found = {**column, **{k: plain(column[k]) for k in _COLUMN if column.get(k)}}
    if column.get("type"):
        found["type"] = made(column["type"])
    if column.get("lineage"):
        found["lineage"] = [made(origin) for origin in column["lineage"]]
    return found


def _renamed_binding(binding: Mapping[str, Any], plain: Rename, made: Rename) -> dict[str, Any]:
    found = {**binding, **{k: plain(binding[k]) for k in _BINDING if binding.get(k)}}
    if binding.get("lineage"):
        lineages = binding["lineage"].items()
        found["lineage"] = {plain(name): [made(o) for o in behind] for name, behind in lineages}
    if binding.get("table"):
        table = binding["table"]
        named = {k: plain(table[k]) for k in _TABLE if table.get(k)}
        whole = [part and plain(part) for part in table.get("name") or ()]
        found["table"] = {**table, **named, "name": whole}
    return found


def names_in(document: Mapping[str, Any]) -> tuple[Sequence[str], Sequence[str]]:
    """The names that `renamed` would replace: plain ones, and what is made of names."""
    plain: list[str] = []
    made: list[str] = []

    def noted(name: str, into: list[str]) -> str:
        into.append(name)
        return name

    renamed(document, partial(noted, into=plain), partial(noted, into=made))
    return plain, made


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> Sequence[Difference]:
    """What changed, never what it was or is."""
    keys = sorted({*old, *new} - {"columns"})
    changed = [
        Difference(
            _named(k, old.get(k), new.get(k)),
            _consent_column(k, old, new),
            *_shown(old.get(k), new.get(k)),
        )
        for k in keys
        if _differ(old.get(k), new.get(k))
    ]
    before = {c["field"]: c for c in old.get("columns", ())}
    after = {c["field"]: c for c in new.get("columns", ())}
    for name in sorted({*before, *after}):
        column = (after.get(name) or before[name]).get("column")
        if name not in before:
            shown = _shown(None, after[name])
            changed.append(Difference(f"column {name} added", column, *shown))
        elif name not in after:
            shown = _shown(before[name], None)
            changed.append(Difference(f"column {name} removed", column, *shown))
        elif _differ(before[name], after[name]):
            what = _named(f"column {name}", before[name], after[name])
            shown = _shown(before[name], after[name])
            changed.append(Difference(what, column, *shown))
    return changed


def stricter(old: Mapping[str, Any], new: Mapping[str, Any]) -> Sequence[str]:
    """What a run under `old` does that `new` does not let it do, in names; nothing where all that
    it sends is part of what `new` sends, in the same way.

    Columns that were added, and consent that may be older before it is read again, let more out.
    What cannot be compared, such as another filter or address, counts as stricter.
    """
    older = new.get(_RECHECK, RECHECK_SECONDS) >= old.get(_RECHECK, RECHECK_SECONDS)
    fields = {c["field"] for c in new.get("columns", ())}
    fields -= {c["field"] for c in old.get("columns", ())}
    looser = {f"column {name} added" for name in fields} | ({_RECHECK} if older else set())
    return [d.what for d in differences(old, new) if d.what not in looser]


def _shown(old: object, new: object) -> tuple[str | None, str | None]:
    """Both sides as texts, without the parts in which they are the same."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        parts = [part for part in sorted({*old, *new}) if _differ(old.get(part), new.get(part))]
        old, new = ({p: side.get(p) for p in parts} for side in (old, new))
    return _text(old), _text(new)


def _text(value: object) -> str | None:
    if isinstance(value, Mapping):
        parts = {key: part for key, part in value.items() if part not in (None, [], "")}
        return ", ".join(f"{key}: {_text(part)}" for key, part in parts.items()) or None
    if value is None:
        return None
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _consent_column(key: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> str | None:
    """The column that states consent, where consent is what changed."""
    binding = (new.get(key) or old.get(key)) if key == "consent" else None
    return binding.get("column") if isinstance(binding, Mapping) else None


def _named(key: str, old: object, new: object) -> str:
    """`key`, with the names of its parts that differ where it has parts on both sides."""
    if not isinstance(old, Mapping) or not isinstance(new, Mapping):
        return key
    parts = [part for part in sorted({*old, *new}) if _differ(old.get(part), new.get(part))]
    return f"{key} ({', '.join(parts)})"


def _differ(old: object, new: object) -> bool:
    """As the fingerprint sees it: to Python 1, 1.0 and True are equal."""
    return _canonical(old) != _canonical(new)


def _canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
