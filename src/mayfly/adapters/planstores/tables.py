"""Definitions of our tables in a warehouse."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa

from mayfly.domain.batch import SyncMode
from mayfly.domain.outcomes import OutcomeCode
from mayfly.planning.columns import key_names
from mayfly.planning.names import Names
from mayfly.planning.spec import PlanField, PlanSpec, SuppressionColumn
from mayfly.planning.sql.dialect import SqlDialect, literal, quote
from mayfly.privacy.gate import Form

FORMAT = 1
OBJECT_ID = "object_id"


def create_registry(sql: SqlDialect, names: Names, schema: str) -> list[str]:
    """Our schema, and the table of states with their leases."""
    return [
        f"CREATE SCHEMA IF NOT EXISTS {quote(schema)}",
        f"CREATE TABLE IF NOT EXISTS {names.registry} (sid varchar(16) NOT NULL, "
        "workspace varchar(64) NOT NULL, target varchar(64) NOT NULL, sync varchar(64) NOT NULL, "
        "destination varchar(64) NOT NULL, owner varchar(64) NOT NULL, fence bigint NOT NULL, "
        "holder varchar(128), lease_until bigint NOT NULL, versions varchar(64), "
        "suppression bigint NOT NULL, format integer NOT NULL, plan_run varchar(64), "
        f"plan_versions varchar(64), plan_suppression bigint, plan_layout {sql.text}, "
        f"state_keys {sql.text}, {OBJECT_ID} varchar(64))",
    ]


def add_object_id(names: Names) -> str:
    """For a table of states that was made before it had the column."""
    return f"ALTER TABLE {names.registry} ADD COLUMN IF NOT EXISTS {OBJECT_ID} varchar(64)"


def create_state(spec: PlanSpec, sql: SqlDialect, names: Names) -> list[str]:
    """State, delivered pairs and remembered rejections of one sync; where names are temporary,
    those that are absent alone.
    """
    temporary = "TEMPORARY " if names.temporary else ""
    keys = ", ".join(
        f"{k} {column.sql_type}" for k, column in zip(key_names(spec), spec.keys, strict=True)
    )
    digests = "".join(f", s{j} {sql.blob}" for j in range(len(spec.suppression)))
    make = f"CREATE {temporary}TABLE IF NOT EXISTS"
    columns = {
        "state": f"({keys}, fp {sql.blob}, out {sql.blob}, "
        f"redo boolean NOT NULL, present boolean NOT NULL, first_at bigint NOT NULL, "
        f"last_at bigint NOT NULL{digests})",
        "pairs": f"({keys}, field {sql.text} NOT NULL, "
        f"digest {sql.blob} NOT NULL, perhaps boolean NOT NULL, "
        f"stale boolean NOT NULL)",
        "rejected": f"({keys}, fp {sql.blob}, versions varchar(64) NOT NULL, "
        f"code integer NOT NULL, reason varchar(64), vendor varchar(64), run varchar(64), "
        f"noted_at bigint NOT NULL)",
    }
    wanted = names.absent if names.temporary else columns.keys()
    return [f"{make} {names.of(kind)} {columns[kind]}" for kind in columns if kind in wanted]


def create_journal(sql: SqlDialect, names: Names) -> list[str]:
    """Intents, acknowledgements and row codes of the open plan: inserts only."""
    return [
        f"CREATE TABLE {names.of('intents')} (batch integer NOT NULL, job varchar(200))",
        f"CREATE TABLE {names.of('acks')} (batch integer NOT NULL)",
        f"CREATE TABLE {names.of('codes')} (batch integer NOT NULL, pos integer NOT NULL, "
        f"code integer NOT NULL, reason {sql.text}, vendor {sql.text})",
    ]


def register(spec: PlanSpec, names: Names, owner: str) -> str:
    """The row of a new, empty state."""
    i = spec.identity
    values = ", ".join(
        literal(v) for v in (i.sid, i.workspace, i.target, i.sync, i.destination, owner)
    )
    return (
        f"INSERT INTO {names.registry} (sid, workspace, target, sync, destination, owner, fence, "
        f"lease_until, versions, suppression, format, state_keys) "
        f"VALUES ({values}, 0, 0, NULL, 0, {FORMAT}, {literal(keys_text(spec))})"
    )


def keys_text(spec: PlanSpec) -> str:
    """The state's key columns with their types, as the registry remembers them."""
    return json.dumps([[k.name, k.sql_type] for k in spec.keys])


def missing_digests(spec: PlanSpec, sql: SqlDialect, names: Names) -> list[str]:
    """Columns for canonical digests that the model has gained since the state was made."""
    return [
        f"ALTER TABLE {names.of('state')} ADD COLUMN IF NOT EXISTS s{j} {sql.blob}"
        for j in range(len(spec.suppression))
    ]


def rejected_view(
    sql: SqlDialect, schema: str, states: Sequence[Mapping[str, Any]], *, keys_min: int = 0
) -> str:
    """The view that shows rejected rows of every sync by their key, to be joined with the model.

    Keys are shown as text, since each model has its own: `key_columns` names them, `key_1` and so
    on hold them. No other value and no fingerprint is shown.

    Args:
        sql: the dialect.
        schema: ours.
        states: of the registry, at least one: `sid`, `sync`, `target`, `state_keys`.
        keys_min: how many key columns the view has already; PostgreSQL replaces none by fewer.
    """
    keys = [[name for name, _ in json.loads(str(s["state_keys"]))] for s in states]
    most = max(keys_min, *(len(k) for k in keys))
    parts = []
    for state, columns in zip(states, keys, strict=True):
        shown = [f"CAST(k{i} AS {sql.text}) AS key_{i + 1}" for i in range(len(columns))]
        shown += [f"CAST(NULL AS {sql.text}) AS key_{i + 1}" for i in range(len(columns), most)]
        outcomes = " ".join(
            f"WHEN {int(c)} THEN {literal(c.name.lower())}"
            for c in (OutcomeCode.REJECTED, OutcomeCode.WITHHELD)
        )
        names = Names(schema=schema, sid=str(state["sid"]))
        parts.append(
            f"SELECT CAST({literal(str(state['sync']))} AS {sql.text}) AS sync, "
            f"CAST({literal(str(state['target']))} AS {sql.text}) AS target, "
            f"CAST(run AS {sql.text}) AS run, {sql.from_ms('noted_at')} AS noted_at, "
            f"CASE code {outcomes} END AS outcome, CAST(reason AS {sql.text}) AS reason, "
            f"CAST(vendor AS {sql.text}) AS vendor_code, "
            f"CAST({literal(', '.join(columns))} AS {sql.text}) AS key_columns, "
            f"{', '.join(shown)} FROM {names.of('rejected')}"
        )
    view = Names(schema=schema, sid="").rejected_view
    # Replaced, not dropped: what was granted on it stays. Columns are only ever added at the end.
    return f"CREATE OR REPLACE VIEW {view} AS {' UNION ALL '.join(parts)}"


def layout_text(spec: PlanSpec) -> str:
    """What the working copies of a plan hold, for whoever closes it: names and flags only."""
    return json.dumps(
        {
            "run": spec.run,
            "mode": spec.mode.value,
            "external": spec.external,
            "by_identifier": spec.by_identifier,
            "erase_withdrawn": spec.erase_withdrawn,
            "versions": spec.versions,
            "fields": [[f.name, f.identifier] for f in spec.fields],
            "suppression": len(spec.suppression),
            "sent_as": [item.sent_as for item in spec.suppression],
        }
    )


def is_append(layout: str) -> bool:
    """Whether a plan of that layout appends."""
    return bool(json.loads(layout)["mode"] == SyncMode.APPEND.value)


def spec_of_layout(spec: PlanSpec, text: str) -> PlanSpec:
    """The specification a plan was made by, as far as closing it needs.

    Mapping, mode and rules may have changed since: columns of the working copies are named by
    their position in the plan's own mapping, not in today's.
    """
    known = json.loads(text)
    fields = tuple(
        PlanField(
            name=name, column="", arrow_type=pa.null(), form=Form.DIGEST, identifier=identifier
        )
        for name, identifier in known["fields"]
    )
    digests = (
        SuppressionColumn(kind="email", column="", canonical_sql="", inside_sql="", sent_as=sent_as)
        for sent_as in known.get("sent_as") or [None] * known["suppression"]
    )
    return replace(
        spec,
        run=known["run"],
        mode=SyncMode(known["mode"]),
        external=known["external"],
        by_identifier=known["by_identifier"],
        erase_withdrawn=known["erase_withdrawn"],
        versions=known["versions"],
        fields=fields,
        suppression=tuple(digests),
    )
