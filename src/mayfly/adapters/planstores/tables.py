"""Definitions of our tables in a warehouse."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa

from mayfly.domain.batch import SyncMode
from mayfly.domain.errors import PolicyError
from mayfly.domain.outcomes import OutcomeCode
from mayfly.planning.columns import key_names
from mayfly.planning.names import Names
from mayfly.planning.numbering import OUT
from mayfly.planning.spec import PlanField, PlanSpec, StateIdentity, SuppressionColumn
from mayfly.planning.sql.dialect import SqlDialect
from mayfly.ports.source import SqlSession
from mayfly.privacy.gate import Form

FORMAT = 1
OBJECT_ID = "object_id"


def make_schema(session: SqlSession, sql: SqlDialect, schema: str) -> None:
    """Our schema, where it is not there: PostgreSQL wants the right to make any for `IF NOT EXISTS`
    even where there is nothing to make.
    """
    if not has_schema(session, sql, schema):
        session.execute(sql.create_schema(schema))


def has_schema(session: SqlSession, sql: SqlDialect, schema: str) -> bool:
    """Whether the schema is there."""
    return bool(session.table(sql.has_schema(schema)).column("n")[0].as_py())


def create_registry(sql: SqlDialect, names: Names) -> str:
    """The table of states with their leases."""
    name, number = sql.varchar(64), sql.bigint
    columns = {
        "sid": f"{sql.varchar(16)} NOT NULL",
        **dict.fromkeys(
            ("workspace", "target", "sync", "destination", "owner"), f"{name} NOT NULL"
        ),
        "fence": f"{number} NOT NULL",
        "holder": sql.varchar(128),
        "lease_until": f"{number} NOT NULL",
        "versions": name,
        "suppression": f"{number} NOT NULL",
        "format": f"{sql.integer} NOT NULL",
        "plan_run": name,
        "plan_versions": name,
        "plan_suppression": number,
        "plan_layout": sql.text,
        "state_keys": sql.text,
        OBJECT_ID: name,
    }
    return sql.create_table(names.registry, _defined(columns, sql.indexes(columns, unique="sid")))


def add_object_id(sql: SqlDialect, names: Names) -> str:
    """For a table of states that was made before it had the column."""
    return sql.add_column(names.registry, OBJECT_ID, sql.varchar(64))


def create_state(spec: PlanSpec, sql: SqlDialect, names: Names) -> list[str]:
    """State, delivered pairs and remembered rejections of one sync; where names are temporary,
    those that are absent alone.
    """
    keys, name, flag = _keys(spec, sql), sql.varchar(64), f"{sql.boolean} NOT NULL"
    time = f"{sql.bigint} NOT NULL"
    columns = {
        "state": {
            **keys,
            "fp": sql.blob,
            sql.quote(OUT): sql.blob,
            "redo": flag,
            "present": flag,
            "first_at": time,
            "last_at": time,
            **{f"s{j}": sql.blob for j in range(len(spec.suppression))},
        },
        "pairs": {
            **keys,
            "field": f"{sql.short_text or sql.text} NOT NULL",
            "digest": f"{sql.blob} NOT NULL",
            "perhaps": flag,
            "stale": flag,
        },
        "rejected": {
            **keys,
            "fp": sql.blob,
            "versions": f"{name} NOT NULL",
            "code": f"{sql.integer} NOT NULL",
            "reason": name,
            "vendor": name,
            "run": name,
            "noted_at": time,
        },
    }
    indexed = {kind: [list(keys)] for kind in columns}
    indexed["pairs"] = [list(keys), ["digest", "field"]]
    wanted = names.absent if names.temporary else columns.keys()
    made = []
    for kind, own in columns.items():
        if kind in wanted:
            defined = _defined(own, sql.indexes(own, *indexed[kind]))
            made.append(sql.create_table(names.of(kind), defined, temporary=names.temporary))
            made += indexes(sql, names, kind, *indexed[kind])
    return made


def indexes(sql: SqlDialect, names: Names, kind: str, *columns: Sequence[str]) -> list[str]:
    """Statements that make rows of a table findable, where an engine needs them."""
    made = (sql.index(names.of(kind), each) for each in columns)
    return [statement for statement in made if statement is not None]


def create_journal(spec: PlanSpec, sql: SqlDialect, names: Names) -> list[str]:
    """Intents, acknowledgements and row codes of the open plan: inserts only. And what closing the
    plan needs, which may make no table in its transaction.
    """
    number = f"{sql.integer} NOT NULL"
    columns = {
        "intents": {"batch": number, "job": sql.varchar(200)},
        "acks": {"batch": number},
        "codes": {
            **dict.fromkeys(("batch", "pos", "code"), number),
            "reason": sql.text,
            "vendor": sql.text,
        },
    }
    places = {"intents": ["batch"], "acks": ["batch"], "codes": ["batch", "pos"]}
    made = []
    for kind, own in columns.items():
        defined = _defined(own, sql.indexes(own, places[kind]))
        made.append(sql.journal_table(names.of(kind), defined))
        made += indexes(sql, names, kind, places[kind])
    return [*made, create_before(spec, sql, names), *indexes(sql, names, "before", key_names(spec))]


def create_before(spec: PlanSpec, sql: SqlDialect, names: Names) -> str:
    """When rows that closing a plan puts in another's place were first delivered."""
    columns = {**_keys(spec, sql), "first_at": sql.bigint}
    indexes = sql.indexes(columns, key_names(spec))
    return sql.journal_table(names.of("before"), _defined(columns, indexes))


def register(spec: PlanSpec, sql: SqlDialect, names: Names, owner: str) -> str:
    """The row of a new state, whose tables whoever gets its lease makes: nothing if there is one
    already.
    """
    numbers = {"fence": 0, "lease_until": 0, "suppression": 0, "format": FORMAT}
    values = whose(spec.identity, sql, owner) | {n: sql.literal(v) for n, v in numbers.items()}
    return sql.insert_missing(names.registry, values, key="sid")


def whose(identity: StateIdentity, sql: SqlDialect, owner: str) -> dict[str, str]:
    """Literals of the columns that say whose a state is."""
    i = identity
    texts = {
        "sid": i.sid,
        "workspace": i.workspace,
        "target": i.target,
        "sync": i.sync,
        "destination": i.destination,
        "owner": owner,
    }
    return {name: sql.literal(text) for name, text in texts.items()}


def refuse_other_format(row: Mapping[str, Any]) -> None:
    """Refuse a state that another release wrote in a form this one does not know.

    Raises:
        PolicyError: `state_format`.
    """
    if row["format"] != FORMAT:
        raise PolicyError(
            "state_format",
            f"The state has format {row['format']}; this program knows {FORMAT}.",
            hint="Use the release of Mayfly that wrote it, or a newer one.",
        )


def keys_text(spec: PlanSpec) -> str:
    """The state's key columns with their types, as the registry remembers them."""
    return json.dumps([[k.name, k.sql_type] for k in spec.keys])


def missing_digests(
    spec: PlanSpec, sql: SqlDialect, names: Names, known: Collection[str]
) -> list[str]:
    """Columns for canonical digests that the model has gained since the state was made with those
    that are known.
    """
    wanted = [f"s{j}" for j in range(len(spec.suppression))]
    return [
        sql.add_column(names.of("state"), name, sql.blob) for name in wanted if name not in known
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
        outcomes = " ".join(
            f"WHEN {int(c)} THEN {sql.literal(c.name.lower())}"
            for c in (OutcomeCode.REJECTED, OutcomeCode.WITHHELD)
        )
        shown = {
            "sync": _text(sql, sql.literal(str(state["sync"]))),
            "target": _text(sql, sql.literal(str(state["target"]))),
            "run": _text(sql, "run"),
            "noted_at": sql.from_ms("noted_at"),
            "outcome": f"CASE code {outcomes} END",
            "reason": _text(sql, "reason"),
            "vendor_code": _text(sql, "vendor"),
            "key_columns": _text(sql, sql.literal(", ".join(columns))),
        }
        for i in range(most):
            shown[f"key_{i + 1}"] = _text(sql, f"k{i}" if i < len(columns) else "NULL")
        named = ", ".join(f"{value} AS {name}" for name, value in shown.items())
        names = Names(sql=sql, schema=schema, sid=str(state["sid"]))
        parts.append(f"SELECT {named} FROM {names.of('rejected')}")
    view = Names(sql=sql, schema=schema, sid="").rejected_view
    # Replaced, not dropped: what was granted on it stays. Columns are only ever added at the end.
    return sql.replace_view(view, " UNION ALL ".join(parts))


def _text(sql: SqlDialect, value: str) -> str:
    return sql.cast(value, sql.text)


def _keys(spec: PlanSpec, sql: SqlDialect) -> dict[str, str]:
    return {k: sql.key_type(c.sql_type) for k, c in zip(key_names(spec), spec.keys, strict=True)}


def _defined(columns: Mapping[str, str], indexes: Sequence[str] = ()) -> str:
    return ", ".join([*(f"{name} {kind}" for name, kind in columns.items()), *indexes])


def layout_text(spec: PlanSpec, names: Names) -> str:
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
            "copy": names.copy,
        }
    )


def copies_of(names: Names, layout: str) -> Names:
    """Names with the working copies of the plan of that layout."""
    return replace(names, copy=json.loads(layout).get("copy"))


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
