"""A sync of drt's as a model, a destination and a sync of ours."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mayfly.config.drt.connections import Target, source_of, target_of
from mayfly.config.drt.reading import (
    DrtFile,
    DrtProject,
    Left,
    Values,
    as_values,
    read_sql,
    text_of,
    texts_of,
)
from mayfly.domain.errors import PolicyError
from mayfly.domain.names import is_name

_REF = re.compile(r"ref\(\s*['\"]([^'\"]+)['\"]\s*\)", re.IGNORECASE)
_TEMPLATE = re.compile(r"\{\{|\{%|\$\{")
_MODES = {"full": "upsert", "upsert": "upsert", "incremental": "upsert", "mirror": "mirror"}
_STOPS = {
    "match_policy": "rows that are there, or are not, cannot be left out here",
    "write_policy": "a column is written whole here",
    "write_policy_overrides": "a column is written whole here",
}
"""What would send other rows or values than drt does: the sync is not carried over."""
_HARMLESS: Mapping[str, tuple[object, ...]] = {
    "match_policy": (None, "upsert"),
    "write_policy": (None, "overwrite"),
    "write_policy_overrides": (None, {}),
}
_NEEDLESS = {
    "cursor_field": "what changed is found by comparing with what was delivered",
    "watermark": "what changed is found by comparing with what was delivered",
    "incremental_strategy": "every sync compares with what was delivered",
    "diff": "every sync compares with what was delivered",
    "batch_size": "batches are cut by the destination's limits; see batch_rows",
    "rate_limit": "the destination's own limits are kept",
    "retry": "every destination is tried again, within bounds",
    "on_error": "rows that are refused are counted; see withheld_threshold and `mayfly rejected`",
    "dlq": "no row is kept: `mayfly retry` reads it from the source",
    "guards": "the mass-change guard refuses more than a fifth",
    "replace_strategy": "nothing is truncated here",
    "mirror": "only what the sync delivered is removed",
    "idempotency_key": "a batch is known again by itself",
    "metadata_columns": "the destination gets the mapped columns alone",
}
_HANDLED = {"mode", "field_mappings", "mask", "computed_fields"}
_TOP = {"name", "description", "tags", "model", "destination", "sync"}
_CONNECTION = {
    "type", "table", "upsert_key", "connection_string_env", "host", "host_env", "port", "user",
    "user_env", "password", "password_env", "dbname", "dbname_env", "object_type", "id_property",
    "properties_template", "auth",
}  # fmt: skip


@dataclass(kw_only=True)
class Converted:
    """What `mayfly import drt` writes.

    Args:
        files: by path in our project: entries of one section each.
        carried: syncs of drt's that are written.
        missed: those that are not.
        left: what was not carried over, in the order of drt's files.
    """

    files: dict[str, dict[str, object]] = field(default_factory=dict)
    carried: list[str] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)
    left: list[Left] = field(default_factory=list)


def convert(project: DrtProject, ours: Path) -> Converted:
    """Every sync that can be carried over whole or stricter; what cannot is noted."""
    made = Converted()
    source = source_of(project.profiles, project.profile, project.root, ours)
    profile = _name(project.profile)
    if source is not None:
        made.files[f"sources/{profile}.yml"] = {"sources": {profile: source}}
    for sync in project.syncs:
        written = text_of(sync.values, "name") or Path(sync.name).stem
        name = _name(written)
        parts = None
        if name in map(_name, made.carried) or not is_name(name):
            sync.leave("name", reason="another sync has this name here, or it is none")
        elif source is None:
            sync.leave("model", reason=f"its source, {project.profile}, is not carried over")
        else:
            parts = _Sync(project, sync, name, profile, str(source["type"])).parts()
        (made.missed if parts is None else made.carried).append(written)
        for section, value in (parts or {}).items():
            made.files[f"{section}/{name}.yml"] = {section: {name: value}}
    made.left = [each for file in (project.profiles, *project.syncs) for each in file.sorted()]
    return made


def workspace_of(project: DrtProject) -> str:
    """A name for our workspace: drt's profile."""
    name = _name(project.profile)
    return name if is_name(name) else "shop"


def _name(text: str) -> str:
    return re.sub(r"[^a-z0-9_]+", "_", text.casefold()).strip("_")[:63]


class _Sync:
    def __init__(
        self, project: DrtProject, sync: DrtFile, name: str, source: str, kind: str
    ) -> None:
        self._root = project.root
        self._sync = sync
        self._name = name
        self._source = source
        self._kind = kind
        self._options = as_values(sync.values.get("sync"))
        self._renamed = {
            str(theirs): str(ours)
            for theirs, ours in as_values(self._options.get("field_mappings")).items()
        }

    def parts(self) -> dict[str, object] | None:
        """Entries of models, destinations and syncs; None where something stops it."""
        model = self._model()
        target = target_of(self._sync, self._name)
        mode = self._mode()
        if model is None or target is None or mode is None:
            return None
        mapping = self._mapping(model, target)
        columns = {column: name for name, column in mapping.items()}
        keys = [mapping[name] for name in target.key if name in mapping]
        if len(keys) < len(target.key):
            reason = "a key of the destination is no column that is sent"
            self._sync.leave("destination", reason=reason)
            return None
        self._note_others()
        declared: dict[str, object] = {column: {} for column in columns}
        model |= {"source": self._source, "primary_key": keys, "columns": declared}
        return {
            "models": model,
            "destinations": target.settings,
            "syncs": self._entry(target, mode, mapping),
        }

    def _entry(self, target: Target, mode: str, mapping: Mapping[str, str]) -> dict[str, object]:
        entry: dict[str, object] = {
            "id": self._name,
            "model": self._name,
            "destination": self._name,
            "mode": mode,
            "key": target.key,
            "mapping": dict(mapping),
        }
        if target.table is not None:
            entry["table"] = target.table
        if tags := texts_of(self._sync.values, "tags"):
            entry["tags"] = tags
        return entry

    def _model(self) -> dict[str, object] | None:
        text = (text_of(self._sync.values, "model") or "").strip()
        ref = _REF.fullmatch(text)
        if ref is not None and is_name(ref[1].casefold()):
            file = self._root / "syncs/models" / f"{ref[1]}.sql"
            if file.exists():
                text, ref = read_sql(self._root, file), None
        if _TEMPLATE.search(text):
            reason = "the query is a template: write what it gives, without cursor or variables"
            self._sync.leave("model", reason=reason)
            return None
        return {"table": ref[1]} if ref is not None else {"sql": text}

    def _mode(self) -> str | None:
        """Ours; None, and notes, where other rows or values would be sent than by drt."""
        theirs = text_of(self._options, "mode") or "full"
        stops = [
            key for key, harmless in _HARMLESS.items() if self._options.get(key) not in harmless
        ]
        for key in stops:
            self._sync.leave("sync", key, reason=_STOPS[key])
        if theirs not in _MODES:
            reason = f"mode {theirs} empties what others wrote: take mirror, by hand"
            self._sync.leave("sync", "mode", reason=reason)
        return None if stops else _MODES.get(theirs)

    def _mapping(self, model: Values, target: Target) -> dict[str, str]:
        """Destination field by column, without what drt would have masked or computed."""
        back = {ours: theirs for theirs, ours in self._renamed.items()}
        known = self._columns(model)
        if target.fields is not None:
            named = {name: back.get(row, row) for name, row in target.fields.items()}
        elif known is not None:
            named = {self._renamed.get(column, column): column for column in known}
        else:
            named = {name: back.get(name, name) for name in [*target.key, *back]}
            reason = "all columns of a table: only those that these files name are sent; add others"
            self._sync.leave("model", reason=reason)
        rows = target.fields or {}
        for key in ("mask", "computed_fields"):
            for name in as_values(self._options.get(key)):
                gone = [f for f in named if name in (f, rows.get(f), named[f])]
                for each in gone:
                    del named[each]
                reason = "is changed on the way by drt, and not sent here: see rules of columns"
                self._sync.leave("sync", key, name, reason=reason)
        return named

    def _columns(self, model: Values) -> list[str] | None:
        """Names of a query's columns, where it names them all."""
        sql = text_of(model, "sql")
        if sql is None:
            return None
        from mayfly.planning.model_sql import output_names

        try:
            return output_names(sql, "postgres" if self._kind == "postgres" else "duckdb")
        except PolicyError:
            return None

    def _note_others(self) -> None:
        values = as_values(self._sync.values.get("destination"))
        if self._sync.values.get("destination"):
            self._sync.leave(
                "destination",
                reason=f"destinations.{self._name}: say who answers for it, and why it is internal",
            )
        for key in values.keys() - _CONNECTION:
            self._sync.leave("destination", key, reason="has no counterpart here")
        for key in self._sync.values.keys() - _TOP:
            self._sync.leave(key, reason="is not carried over")
        for key in self._options.keys() - _HANDLED - _STOPS.keys():
            reason = _NEEDLESS.get(key, "has no counterpart here")
            self._sync.leave("sync", key, reason=reason)
