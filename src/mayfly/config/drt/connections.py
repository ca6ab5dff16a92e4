"""Connections of drt's as sources and destinations of ours; a secret stays a reference."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from mayfly.config.drt.reading import DrtFile, Values, as_values, text_of, texts_of

_ROW = re.compile(r"\{\{\s*row\.(\w+)\s*\}\}")
_FILES = {"duckdb": "duckdb", "sqlite": "sqlite"}
_SERVERS = {"postgres", "mysql"}
_OWNER = "imported from drt"
_REASON = "delivered by drt until now"
_VENDORS = {
    "google_ads": "Mayfly's google_ads goes another way (Customer Match): write it by hand",
    "meta_conversions": "its fields have rules of their own here: write a meta_conversions sync",
    "intercom": "write an intercom destination: its mapping names fields, not a template",
    "zendesk": "write a zendesk destination: its mapping names fields, not a template",
    "salesforce_bulk": "write a salesforce destination with the object's external id",
    "rest_api": "a webhook here gets signed messages of Mayfly's, not drt's template: write a "
    "webhook destination if the receiver is yours",
    "file": "a files destination here appends one file for each batch: write it by hand",
    "s3": "an s3 destination here writes one file for each batch: write it by hand",
    "gcs": "a gcs destination here writes one file for each batch: write it by hand",
}


@dataclass(frozen=True, kw_only=True)
class Target:
    """Where a sync of drt's goes.

    Args:
        settings: of our destination.
        table: as `table` of our sync.
        key: destination fields that name a row.
        fields: destination fields by the names of rows of drt's; None where all columns go.
    """

    settings: dict[str, object]
    table: str | None = None
    key: list[str] = field(default_factory=list)
    fields: dict[str, str] | None = None


def source_of(profiles: DrtFile, profile: str, root: Path, ours: Path) -> dict[str, object] | None:
    """Our source for a connection; None where we read no such thing, which is noted.

    Args:
        profiles: drt's connections.
        profile: the name of one.
        root: drt's project: paths of files are from there.
        ours: folder of our project.
    """
    values = as_values(profiles.values.get(profile))
    kind = text_of(values, "type")
    if kind in _FILES:
        path = text_of(values, "database") or ":memory:"
        if path == ":memory:":
            profiles.leave(profile, "database", reason="a database in memory is nobody else's")
            return None
        relative = os.path.relpath(root / Path(path).expanduser(), ours.resolve())
        return {"type": _FILES[kind], "path": relative}
    if kind in _SERVERS:
        variable = f"{profile.upper()}_DSN"
        _explain_dsn(profiles, values, variable, profile)
        return {"type": kind, "dsn": f"env:{variable}"}
    known = f"a source of type {kind} is not written by the import: write it by hand"
    reason = known if kind else "there is no such connection"
    profiles.leave(profile, "type", reason=reason)
    return None


def _explain_dsn(file: DrtFile, values: Values, variable: str, *path: str) -> None:
    """Say what the reference must hold; a password that stands in the file is not repeated."""
    where = ", ".join(k for k in ("host", "port", "dbname", "user") if values.get(k) is not None)
    password = text_of(values, "password_env")
    secret = f" and the password in {password}" if password else ""
    literal = " (a password stands in the file: take it out)" if values.get("password") else ""
    reason = f"one reference here: put {where or 'the address'}{secret} into ${variable}{literal}"
    file.leave(*path, reason=reason)


def target_of(sync: DrtFile, name: str) -> Target | None:
    """Our destination for a sync's; None where it cannot be carried over, which is noted."""
    values = as_values(sync.values.get("destination"))
    kind = text_of(values, "type")
    if kind in _SERVERS:
        return _server(sync, values, kind, name)
    if kind == "hubspot":
        return _hubspot(sync, values)
    reason = _VENDORS.get(kind or "", f"no destination of type {kind} is written by the import")
    sync.leave("destination", "type", reason=reason)
    return None


def _internal(kind: str, **settings: object) -> dict[str, object]:
    return {"type": kind, "kind": "internal", "owner": _OWNER, "reason": _REASON, **settings}


def _server(sync: DrtFile, values: Values, kind: str, name: str) -> Target | None:
    table, keys = text_of(values, "table"), texts_of(values, "upsert_key")
    if table is None or not keys:
        reason = "a table and its upsert_key are needed"
        sync.leave("destination", reason=reason)
        return None
    variable = text_of(values, "connection_string_env")
    if variable is None:
        variable = f"{name.upper()}_DSN"
        _explain_dsn(sync, values, variable, "destination")
    settings = _internal(kind, dsn=f"env:{variable}")
    schema, dot, last = table.rpartition(".")
    if dot and kind == "postgres":
        settings, table = {**settings, "schema": schema}, last
    return Target(settings=settings, table=table, key=keys)


def _hubspot(sync: DrtFile, values: Values) -> Target | None:
    template = text_of(values, "properties_template")
    fields = _properties(template) if template is not None else None
    if template is not None and fields is None:
        reason = "only properties that are one column each ({{ row.NAME }}) can be carried over"
        sync.leave("destination", "properties_template", reason=reason)
        return None
    token = text_of(as_values(values.get("auth")), "token_env")
    if token is None:
        token = "HUBSPOT_TOKEN"  # noqa: S105 - the name of a variable
        reason = f"a secret is a reference here: put the token into ${token}"
        sync.leave("destination", "auth", reason=reason)
    reason = "give the Hub ID as account_id of the destination: drt has none"
    sync.leave("destination", "type", reason=reason)
    return Target(
        settings=_internal("hubspot", access_token=f"env:{token}"),
        table=text_of(values, "object_type"),
        key=[text_of(values, "id_property") or "email"],
        fields=fields,
    )


def _properties(template: str) -> dict[str, str] | None:
    """Property by column, of a template that is JSON with one column for each property."""
    try:
        written = json.loads(template)
    except ValueError:
        return None
    if not isinstance(written, dict):
        return None
    found = {str(k): _ROW.fullmatch(str(v).strip()) for k, v in written.items()}
    if not all(found.values()):
        return None
    return {key: match[1] for key, match in found.items() if match is not None}
