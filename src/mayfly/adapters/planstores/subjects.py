"""One person in a state that is kept in its source: found by digests in the worker, and taken out.

What the state keeps of identifiers is streamed to the worker, which alone can tell whose it is; the
keys of the person's rows go back by bulk load, into a temporary table.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc

from mayfly.adapters.planstores.reading import (
    identifiers_now,
    key_fields,
    outgoing_column,
    removed_columns,
)
from mayfly.adapters.planstores.recognition import key_texts, keys_of_texts
from mayfly.adapters.planstores.subject_copies import OpenCopies, open_copies
from mayfly.domain.batch import Batch, BatchHead, Operation
from mayfly.planning.columns import canonical_columns, key_names, model_keys, same_key
from mayfly.planning.consent import consent_state, consented_model
from mayfly.planning.names import STATE_TABLES, Names
from mayfly.planning.spec import PlanField, PlanSpec, PlanWorker
from mayfly.planning.sql.dialect import TARGET, SqlDialect
from mayfly.ports.source import Source, SqlSession
from mayfly.ports.subjects import FoundSubject, PlannedSubject, Recognise, SubjectStanding

SUBJECT = "mf_subject"
_TEXTS, _CANDIDATES = "mf_subject_keys", "mf_subject_pairs"


class SourceSubjects:
    """See `SubjectRows`.

    Args:
        source, sql: of the model.
        names: of the state's tables.
    """

    def __init__(self, source: Source, sql: SqlDialect, names: Names) -> None:
        self._source = source
        self._sql = sql
        self._names = names

    def find(self, spec: PlanSpec, recognise: Recognise, worker: PlanWorker) -> FoundSubject:
        """See `SubjectRows.find`."""
        with self._source.session(write=False) as session:
            if not self._mark(session, spec, recognise, worker):
                return FoundSubject(rows=0, batches=())
            copies, keys = self._copies(session, spec), ", ".join(key_names(spec))
            known = f"SELECT {keys} FROM {self._names.of('state')}"
            if copies is not None:
                known += f" UNION SELECT {keys} FROM {copies.sent} s"
            state = f"({known}) q JOIN {SUBJECT} w ON {same_key(spec, 'q', 'w')}"
            count = session.table(f"SELECT count(*) AS n FROM {state}")
            rows = int(count.column("n")[0].as_py())
            if spec.by_identifier:
                pairs = self._pairs(session, spec, recognise, copies)
                return FoundSubject(rows=rows, batches=identifier_batches(spec, pairs))
            fields = key_fields(spec)
            found = pa.table({})
            if rows and fields:
                columns = ", ".join(removed_columns(self._sql, spec, fields))
                found = session.table(f"SELECT {columns} FROM {state}")
            return FoundSubject(rows=rows, batches=key_batches(spec, fields, found, worker))

    def forget(self, spec: PlanSpec, recognise: Recognise, worker: PlanWorker) -> int:
        """See `SubjectRows.forget`."""
        with self._source.session(write=True) as session:
            if not self._mark(session, spec, recognise, worker):
                return 0
            copies = self._copies(session, spec)
            session.begin()
            if copies is not None:
                copies.take_out()
            counts = [self._delete(session, spec, kind) for kind in STATE_TABLES]
            session.commit()
            return counts[0]

    def planned(
        self, spec: PlanSpec, recognise: Recognise, worker: PlanWorker
    ) -> PlannedSubject | None:
        """See `SubjectRows.planned`."""
        with self._source.session(write=False) as session:
            copies = self._copies(session, spec)
            if copies is None:
                return None
            if not self._mark(session, spec, recognise, worker):
                return PlannedSubject(run=copies.spec.run, rows={})
            return copies.planned()

    def _copies(self, session: SqlSession, spec: PlanSpec) -> OpenCopies | None:
        return open_copies(session, self._sql, self._names, spec, subject=SUBJECT)

    def standing(
        self, spec: PlanSpec, recognise: Recognise, worker: PlanWorker, *, kept: bool
    ) -> SubjectStanding:
        """See `SubjectRows.standing`."""
        with self._source.session(write=False) as session:
            if not self._mark(session, spec, recognise, worker, kept=kept):
                return SubjectStanding()
            consent = consent_now(session, self._sql, spec, SUBJECT)
            if not kept:
                return SubjectStanding(consent=consent)
            counts = state_counts(session, self._sql, spec, self._names)
            return replace(counts, consent=consent)

    def _delete(self, session: SqlSession, spec: PlanSpec, kind: str) -> int:
        match = (f"{SUBJECT} w", same_key(spec, "w", TARGET))
        return session.execute(self._sql.delete_matched(self._names.of(kind), [match]))

    def _mark(
        self,
        session: SqlSession,
        spec: PlanSpec,
        recognise: Recognise,
        worker: PlanWorker,
        *,
        kept: bool = True,
    ) -> int:
        """Put the keys of the person's rows into a temporary table; how many."""
        keys = [f"t{i}" for i in range(len(spec.keys))]
        found = [
            *(self._in_state(session, spec, recognise) if kept else ()),
            *self._of_model(session, spec, recognise, worker),
        ]
        texts = pa.schema([(key, pa.string()) for key in keys])
        parts = [table.select(keys).cast(texts) for table in found]
        marked = pa.concat_tables([texts.empty_table(), *parts]).group_by(keys).aggregate([])
        if marked.num_rows:
            session.load(_TEXTS, marked)
            query = f"SELECT {keys_of_texts(spec, self._sql)} FROM {_TEXTS}"
            session.execute(self._sql.create_as(SUBJECT, query, temporary=True))
        return int(marked.num_rows)

    def _in_state(
        self, session: SqlSession, spec: PlanSpec, recognise: Recognise
    ) -> Iterator[pa.Table]:
        texts = ", ".join(key_texts(spec, self._sql))
        known = [f"s{j}" for j in range(len(spec.suppression))]
        columns = "".join(f", {c}" for c in known) + self._key_digest(spec, "k0")
        query = f"SELECT {texts}{columns} FROM {self._names.of('state')}"
        yield from _recognised(session, query, recognise)
        if len(spec.keys) == 1:
            columns = self._key_digest(spec, "k0")
            query = f"SELECT {texts}{columns} FROM {self._names.of('rejected')}"
            yield from _recognised(session, query, recognise)
        if spec.by_identifier:
            # What was sent and not answered may stand here alone.
            query = f"SELECT {texts}, digest AS s0 FROM {self._names.of('pairs')}"
            yield from _recognised(session, query, recognise)
        copies = self._copies(session, spec)
        if copies is not None:
            # What was planned is not delivered yet, and may have been under other identifiers.
            digests = canonical_columns(copies.spec)
            columns = "".join(f", {c} AS s{j}" for j, c in enumerate(digests))
            columns += self._key_digest(spec, "k0")
            query = f"SELECT {texts}{columns} FROM {copies.names.of('plan')}"
            yield from _recognised(session, query, recognise)

    def _of_model(
        self, session: SqlSession, spec: PlanSpec, recognise: Recognise, worker: PlanWorker
    ) -> Iterator[pa.Table]:
        """Rows that the model has now: of what was rejected nothing but the key is kept, and what
        was delivered may have been under an earlier identifier.
        """
        sql = self._sql
        now = identifiers_now(sql, spec)
        made = ", ".join([*model_keys(spec, sql), *(f"{v} AS {n}" for n, v in now.items())])
        texts = ", ".join(key_texts(spec, sql))
        columns = "".join(f", {n}" for n in now) + self._key_digest(spec, "k0")
        query = f"SELECT {texts}{columns} FROM (SELECT {made} FROM ({spec.model_sql}) AS mf_m) AS q"
        for piece in session.stream(query):
            table = hashed_outside(pa.Table.from_batches([piece]), spec, worker)
            yield recognised_rows(table, recognise)

    def _key_digest(self, spec: PlanSpec, key: str) -> str:
        """SHA-256 of a key of one column, as `primary_key` entries of the list are made."""
        if len(spec.keys) > 1:
            return ""
        return f", {self._sql.sha256(self._sql.render(key, spec.keys[0].arrow_type))} AS sk"

    def _pairs(
        self,
        session: SqlSession,
        spec: PlanSpec,
        recognise: Recognise,
        copies: OpenCopies | None,
    ) -> pa.Table:
        """Delivered identifiers of the person that no other row has delivered, or that were asked
        for by themselves.
        """
        keys = ", ".join(key_names(spec))
        known = f"SELECT {keys}, field, digest FROM {self._names.of('pairs')}"
        sent = copies.pairs() if copies is not None else ""
        pairs = f"({known} UNION ALL {sent})" if sent else f"({known})"
        mine = session.table(
            f"SELECT DISTINCT p.field AS field, p.digest AS digest FROM {pairs} p "
            f"JOIN {SUBJECT} w ON {same_key(spec, 'p', 'w')}"
        )
        if not mine.num_rows:
            return mine
        session.load(_CANDIDATES, mine)
        others = session.table(
            f"SELECT DISTINCT c.field AS field, c.digest AS digest FROM {pairs} p "
            f"JOIN {_CANDIDATES} c ON c.field = p.field AND c.digest = p.digest "
            f"LEFT JOIN {SUBJECT} w ON {same_key(spec, 'p', 'w')} WHERE w.k0 IS NULL"
        )
        return not_held(mine, others, recognise)


_SAID = {1: "granted", 0: "refused", None: "unknown"}


def consent_now(
    session: SqlSession, sql: SqlDialect, spec: PlanSpec, subject: str
) -> Mapping[str, int]:
    """Rows of the model that are the person's, by what their consent is now.

    Args:
        session: of the source.
        sql: its dialect.
        spec: of the sync.
        subject: FROM item, still without its alias, of the keys of the person's rows.
    """
    keys = ", ".join(model_keys(spec, sql))
    model = f"SELECT {keys}, {consent_state(spec, sql)} AS mf_c FROM {consented_model(spec, sql)}"
    found = session.table(
        f"SELECT m.mf_c AS c, {sql.cast('count(*)', sql.bigint)} AS n FROM ({model}) m "
        f"JOIN {subject} w ON {same_key(spec, 'm', 'w')} GROUP BY m.mf_c"
    )
    counts = dict.fromkeys(_SAID.values(), 0)
    for row in found.to_pylist():
        counts[_SAID[None if row["c"] is None else int(row["c"])]] += int(row["n"])
    return counts


def state_counts(
    session: SqlSession, sql: SqlDialect, spec: PlanSpec, names: Names
) -> SubjectStanding:
    """What the state has of the person whose keys are marked."""
    mine = f"{{}} q JOIN {SUBJECT} w ON {same_key(spec, 'q', 'w')}"

    def grouped(kind: str, by: str, more: str = "") -> list[dict[str, object]]:
        count = sql.cast("count(*)", sql.bigint)
        query = f"SELECT {by} AS c, {count} AS n{more} FROM {mine.format(names.of(kind))}"
        return list(session.table(f"{query} GROUP BY {by}").to_pylist())

    times = ", min(q.first_at) AS first, max(q.last_at) AS last"
    rows = grouped("state", "q.present", times)
    pairs = grouped("pairs", "q.field") if spec.by_identifier else []
    count = sql.cast("count(*)", sql.bigint)
    rejected = session.table(f"SELECT {count} AS n FROM {mine.format(names.of('rejected'))}")
    return SubjectStanding(
        present=sum(int(str(r["n"])) for r in rows if r["c"]),
        absent=sum(int(str(r["n"])) for r in rows if not r["c"]),
        identifiers={str(p["c"]): int(str(p["n"])) for p in pairs},
        rejected=int(rejected.column("n")[0].as_py()),
        first_ms=min((int(str(r["first"])) for r in rows), default=None),
        last_ms=max((int(str(r["last"])) for r in rows), default=None),
    )


def not_held(mine: pa.Table, others: pa.Table, recognise: Recognise) -> pa.Table:
    """Of `field`, `digest` those that are not among others, or that were asked for themselves."""
    held = set(zip(others.column("field").to_pylist(), _flat(others).to_pylist(), strict=True))
    pairs = zip(mine.column("field").to_pylist(), _flat(mine).to_pylist(), strict=True)
    free = pa.array([pair not in held for pair in pairs], pa.bool_())
    return mine.filter(pc.or_(free, recognise(_flat(mine))))


def identifier_batches(spec: PlanSpec, pairs: pa.Table) -> list[Batch]:
    """One batch for each identifier field, of delivered identifiers `field`, `digest`."""
    made = []
    fields = [f for f in spec.fields if f.identifier]
    found = {f.name: pairs.filter(pc.equal(pairs.column("field"), f.name)) for f in fields}
    filled = [f for f in fields if found[f.name].num_rows]
    for number, field in enumerate(filled):
        values = pa.chunked_array([_flat(found[field.name]).cast(pa.binary())])
        column = values.cast(pa.string()) if field.shape is not None else values
        made.append(_batch(spec, {field.name: column}, number, len(filled), field.name))
    return made


def key_batches(
    spec: PlanSpec, fields: Sequence[PlanField], found: pa.Table, worker: PlanWorker
) -> list[Batch]:
    """One batch of the fields that carry the primary key, read as f0, f1 …; none without them."""
    if not found.num_rows:
        return []
    columns = {
        field.name: outgoing_column(spec, field, found.column(f"f{i}"), worker, removed=True)
        for i, field in enumerate(fields)
    }
    return [_batch(spec, columns, 0, 1, None)]


def hashed_outside(table: pa.Table, spec: PlanSpec, worker: PlanWorker) -> pa.Table:
    """Canonical digests s0, s1 … of `identifiers_now`, with those that only the worker makes."""
    for j, item in enumerate(spec.suppression):
        digests, values, countries = (
            table.column(f"{name}{j}").combine_chunks().cast(kind)
            for name, kind in (("s", pa.binary()), ("x", pa.string()), ("y", pa.string()))
        )
        outside = pc.is_valid(values)
        if pc.any(outside).as_py():
            made = worker.canonical(item, values, countries).cast(pa.binary())
            digests = pc.if_else(outside, made, digests)
        position = table.schema.get_field_index(f"s{j}")
        table = table.set_column(position, f"s{j}", digests)
    return table


def recognised_rows(table: pa.Table, recognise: Recognise) -> pa.Table:
    """Rows of which a digest (s0, s1 …, sk) is one of the person's."""
    return table.filter(_any_of(table, recognise))


def _recognised(session: SqlSession, query: str, recognise: Recognise) -> Iterator[pa.Table]:
    for piece in session.stream(query):
        yield recognised_rows(pa.Table.from_batches([piece]), recognise)


def _any_of(table: pa.Table, recognise: Recognise) -> pa.Array:
    mask = pa.array([False] * table.num_rows, pa.bool_())
    for name in table.column_names:
        if name == "sk" or (name[0] == "s" and name[1:].isdigit()):
            mask = pc.or_(mask, recognise(table.column(name).combine_chunks()))
    return mask


def _batch(
    spec: PlanSpec,
    columns: dict[str, pa.Array | pa.ChunkedArray],
    number: int,
    of: int,
    identifier: str | None,
) -> Batch:
    table = pa.table(columns)
    head = BatchHead(
        sync=spec.identity.sync,
        run=spec.run,
        number=number,
        of=of,
        operation=Operation.REMOVE,
        rows=table.num_rows,
        identifier=identifier,
    )
    return Batch(head=head, rows=table, positions=pa.array(range(table.num_rows), pa.int32()))


def _flat(pairs: pa.Table) -> pa.Array:
    return pairs.column("digest").combine_chunks().cast(pa.binary())
