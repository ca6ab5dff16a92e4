"""Making a plan in one session: scan, key check, the worker's part, numbering."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc

from mayfly.adapters.planstores.tables import indexes
from mayfly.domain.batch import Operation
from mayfly.domain.errors import PolicyError
from mayfly.planning.columns import (
    counted_fields,
    key_names,
    outside_columns,
    pseudonym_fields,
    unfit_fields,
    value_fields,
)
from mayfly.planning.consent import is_dated
from mayfly.planning.merging import MergingSql
from mayfly.planning.names import Names
from mayfly.planning.numbering import NumberingSql, identifiers
from mayfly.planning.scan import KEY_DIGEST, NEEDED, ScanFlags, ScanSql
from mayfly.planning.spec import (
    GUARD_SHARE,
    BatchInfo,
    Plan,
    PlanCounts,
    PlanSpec,
    PlanWorker,
    RowClass,
    ValueCounts,
    WithdrawalTimes,
)
from mayfly.planning.sql.dialect import SqlDialect
from mayfly.ports.source import SqlSession
from mayfly.privacy.detect import ShownNames
from mayfly.privacy.gate import Form

BATCH_BYTES = 64_000_000
_NOT_GRANTED = (RowClass.LEFT, RowClass.WITHDRAWN, RowClass.UNKNOWN, RowClass.WITHHELD)


def pages(
    session: SqlSession, sql: SqlDialect, query: str, table: str, ordinal: str
) -> Iterator[pa.Table]:
    """Results of a query with WHERE, in pieces by the ordinal of its table's rows."""
    span = session.table(
        f"SELECT coalesce(min({ordinal}), 0) AS first, coalesce(max({ordinal}) + 1, 0) AS past "
        f"FROM {table}"
    ).to_pylist()[0]
    for first in range(int(span["first"]), int(span["past"]), sql.page_rows):
        within = f"{ordinal} >= {first} AND {ordinal} < {first + sql.page_rows}"
        piece = session.table(f"{query} AND {within}")
        if piece.num_rows:
            yield piece


class Gathered:
    """Changes of a table by ordinals that were loaded in pieces. Where an engine writes the whole
    table for each, the pieces of one kind are one statement.

    Args:
        session: of the table.
        sql: its dialect.
    """

    def __init__(self, session: SqlSession, sql: SqlDialect) -> None:
        self._session = session
        self._waits = sql.rewrites
        self._tables: dict[str, list[str]] = {}
        self._statements: dict[str, Callable[[str], str]] = {}

    def add(self, kind: str, table: str, statement: Callable[[str], str]) -> None:
        """One piece.

        Args:
            kind: of the change; all its statements differ in the table alone.
            table: that was loaded.
            statement: made of a table, or of a query in its place.
        """
        if not self._waits:
            self._session.execute(statement(table))
            return
        self._tables.setdefault(kind, []).append(table)
        self._statements[kind] = statement

    def finish(self) -> None:
        """After the last piece."""
        for kind, tables in self._tables.items():
            whole = " UNION ALL ".join(f"SELECT * FROM {table}" for table in tables)
            self._session.execute(self._statements[kind](f"({whole})"))
        self._tables.clear()


@dataclass(frozen=True, kw_only=True)
class PlanPlace:
    """Where a plan is made.

    Args:
        session: of the source.
        sql: its dialect.
        spec: of the plan.
        names: of its tables in the session.
    """

    session: SqlSession
    sql: SqlDialect
    spec: PlanSpec
    names: Names


class PlanMaker:
    """Runs the planner's statements on one session and asks the worker for what SQL may not do.

    `settle` does what `NumberingSql.settle_resends` does, where the state's table cannot tell which
    outgoing values were delivered. `add_gone` adds what the session's pairs do not hold to those
    that their own row no longer wants.
    """

    def __init__(
        self,
        place: PlanPlace,
        flags: ScanFlags,
        *,
        settle: Callable[[], None] | None = None,
        add_gone: Callable[[], None] | None = None,
    ) -> None:
        self._session = place.session
        self._sql = place.sql
        self._spec = place.spec
        self._names = place.names
        self._flags = flags
        self._scan = ScanSql(place.spec, place.sql, place.names, flags)
        self._numbering = NumberingSql(place.spec, place.sql, place.names)
        self._settle = settle
        self._add_gone = add_gone
        self._loaded = 0
        self._doubled = False

    def make(self, worker: PlanWorker) -> Plan:
        """All statements of a plan, in order."""
        session = self._session
        session.execute(self._scan.create())
        keys_of = key_names(self._spec)
        self._index("scan", keys_of)
        keys = self._check_keys()
        self._doubled = keys != PlanCounts()
        if self._doubled and not self._spec.only_withdrawals:
            return Plan(counts=keys)
        if not self._spec.only_withdrawals:
            self._refuse_unfit()
        outside = self._outside(worker)
        self._ask_worker(worker)
        if self._doubled:
            self._one_row_per_key()
        row_bytes = self._row_bytes()
        self._numbering = numbering = self._in_batches_that_fit(row_bytes)
        without = numbering.mark_without_identifier()
        if without is not None:
            session.execute(without)
        if not self._spec.full_refresh:
            if self._settle is None:
                session.execute(numbering.settle_resends())
            else:
                self._settle()
        session.execute(numbering.create_plan())
        held = [[f"v{i}"] for i, _ in identifiers(self._spec)]
        self._index("plan", keys_of, ("batch", "pos"), *held)
        session.execute(numbering.create_drop())
        self._index("drop", keys_of, ("batch", "pos"), ("field", "digest"))
        past = self._removals()
        session.execute(numbering.create_batches())
        made = Plan(
            counts=self._counts(outside),
            batches=self._batches(past),
            row_bytes=row_bytes,
            reads_at_once=self._sql.reads_at_once,
            withdrawn=self._withdrawal_times(past),
        )
        if self._spec.only_withdrawals and not self._names.temporary:
            for statement in numbering.keep_withdrawals():
                session.execute(statement)
        return made

    def _removals(self) -> int:
        """Number what is taken back; the number past the batches of withdrawals, which come first
        of these.
        """
        if self._spec.by_identifier:
            return self._identifier_removals()
        if not self._spec.removes:
            return 0
        for urgent in (True, False):
            if urgent or not self._spec.only_withdrawals:
                first = self._next_batch()
                removals = self._numbering.add_key_removals(first, urgent=urgent)
                if removals is not None:
                    self._session.execute(removals)
            if urgent:
                past = self._next_batch()
        return past

    def _next_batch(self) -> int:
        return 1 + max(self._number(self._numbering.last_batch(k)) for k in ("plan", "drop"))

    def _index(self, kind: str, *columns: Sequence[str]) -> None:
        for statement in indexes(self._sql, self._names, kind, *columns):
            self._session.execute(statement)

    def _row_bytes(self) -> int:
        query = self._scan.row_bytes()
        return 0 if query is None else self._number(query)

    def _in_batches_that_fit(self, row_bytes: int) -> NumberingSql:
        """A batch is in memory as a whole, more than once: few wide rows make one."""
        rows = min(self._spec.batch_rows, max(1, BATCH_BYTES // max(1, row_bytes)))
        return NumberingSql(replace(self._spec, batch_rows=rows), self._sql, self._names)

    def _check_keys(self) -> PlanCounts:
        """What is wrong with the keys; nothing else is counted then."""
        asked = self._spec.destination_key
        doubles = self._number(self._scan.duplicate_destination_keys()) if asked else 0
        return PlanCounts(
            null_keys=self._number(self._scan.null_keys()),
            duplicate_keys=self._number(self._scan.duplicate_keys()),
            duplicate_destination_keys=doubles,
        )

    def _one_row_per_key(self) -> None:
        """Who withdrew is known by a key, on however many rows it stands: one of them says what
        all of them together do.

        Where none of them refuses, and not all of them grant, nobody has said no, and unknown is
        no: such a person is taken out, unless so many are unknown that it is a mass change.
        """
        session, merging = self._session, MergingSql(self._spec, self._sql, self._names)
        for statement in merging.statements():
            session.execute(statement)
        unknown = self._number(merging.unknown())
        allowed = GUARD_SHARE * self._number(self._numbering.state_rows())
        if unknown and (unknown < self._spec.guard_rows or unknown <= allowed):
            session.execute(merging.take_out_unknown())

    def _refuse_unfit(self) -> None:
        """A value that would arrive as another one stops the plan before anything is sent."""
        query = self._scan.unfit()
        found = self._session.table(query).to_pylist() if query else []
        if not found:
            return
        fields = unfit_fields(self._spec)
        names = ShownNames(field.column for field in self._spec.fields).name
        shown = "; ".join(
            f"{r['n']} rows in column {names(fields[r['field']].column)} "
            f"({names(fields[r['field']].sql_type)})"
            for r in found
        )
        raise PolicyError(
            "value_unfit",
            f"Sync {self._spec.identity.sync}: values that cannot leave as they are (infinite, "
            f"not a number, too fine or too long): {shown}.",
            hint="In the model's SQL, cast the column to text, replace such values (CASE WHEN …), "
            "or leave those rows out.",
        )

    def _outside(self, worker: PlanWorker) -> int:
        """Values outside the repertoire: hashed here, in memory only, or their row withheld."""
        query = self._scan.count_outside()
        if query is None:
            return 0
        counts = self._session.table(query).to_pylist()[0]
        rows = sum(int(v) for v in counts.values())
        if not rows:
            return 0
        if self._spec.outside == "withhold":
            self._session.execute(self._numbering.mark_outside())
            return rows
        for o, column in enumerate(outside_columns(self._spec)):
            if counts[f"o{o}"]:
                self._hash_outside(worker, o, column)
        return rows

    def _hash_outside(self, worker: PlanWorker, position: int, column: str) -> None:
        spec = self._spec
        found = self._session.table(self._scan.outside(position, column))
        values = found.column("x").combine_chunks().cast(pa.string())
        countries = found.column("y").combine_chunks().cast(pa.string())
        if self._doubled:
            # A row met the values of all that have its key: it leaves with one of them, and is
            # compared by each.
            self._suppress_outside(worker, column, found)
            first = pc.index_in(pc.unique(found.column("n")), value_set=found.column("n"))
            found, values, countries = (x.take(first) for x in (found, values, countries))
        for i, field in value_fields(spec):
            if field.column == column and field.form is Form.DIGEST and not field.unread:
                made = worker.digests(field.name, values, countries)
                self._session.execute(self._numbering.fill_values(self._filled(found, made), i))
        for j, item in self._scan.kept_apart():
            if item.column == column:
                made = worker.canonical(item, values, countries)
                self._session.execute(self._numbering.fill_canonical(self._filled(found, made), j))

    def _suppress_outside(self, worker: PlanWorker, column: str, found: pa.Table) -> None:
        values, countries = (found.column(c).combine_chunks().cast(pa.string()) for c in ("x", "y"))
        for item in self._spec.suppression if worker.suppresses else ():
            if item.column == column:
                hits = worker.suppressed(item.kind, worker.canonical(item, values, countries))
                listed = pa.table({"n": pc.unique(found.column("n").filter(hits)).cast(pa.int64())})
                self._session.execute(self._numbering.mark_suppressed(self._load(listed)))

    def _filled(self, found: pa.Table, made: pa.Array) -> str:
        """A loaded table of ordinals and digests."""
        columns = {"n": found.column("n").cast(pa.int64()), "d": made.cast(pa.binary())}
        return self._load(pa.table(columns))

    def _ask_worker(self, worker: PlanWorker) -> None:
        """Suppression and pseudonyms: digests come out in pieces, ordinals and digests go in."""
        classes = list(NEEDED)
        if self._flags.suppression_changed:
            classes.append(RowClass.UNCHANGED)
        query = self._scan.for_worker(classes, suppression=worker.suppresses)
        if query is None:
            return
        changes = Gathered(self._session, self._sql)
        scan, ordinal = self._names.of("scan"), self._sql.ordinal
        for piece in pages(self._session, self._sql, query, scan, ordinal):
            self._answer(worker, piece, changes)
        changes.finish()

    def _answer(self, worker: PlanWorker, piece: pa.Table, changes: Gathered) -> None:
        for i, field in pseudonym_fields(self._spec):
            digests = piece.column(f"p{i}").combine_chunks().cast(pa.binary())
            made = worker.pseudonyms(field.name, digests)
            fill = partial(self._numbering.fill_values, field=i)
            changes.add(f"v{i}", self._filled(piece, made), fill)
        hits: pa.Array | None = None
        compared = self._spec.suppression if worker.suppresses else ()
        for j, item in enumerate(compared):
            digests = piece.column(f"s{j}").combine_chunks().cast(pa.binary())
            found = worker.suppressed(item.kind, digests)
            hits = found if hits is None else pc.or_(hits, found)
        if worker.suppresses and self._spec.suppress_key:
            digests = piece.column(KEY_DIGEST).combine_chunks().cast(pa.binary())
            found = worker.suppressed("primary_key", digests)
            hits = found if hits is None else pc.or_(hits, found)
        if hits is not None and pc.any(hits).as_py():
            ordinals = piece.column("n").cast(pa.int64()).filter(hits)
            table = self._load(pa.table({"n": ordinals}))
            changes.add("suppressed", table, self._numbering.mark_suppressed)

    def _load(self, rows: pa.Table) -> str:
        self._loaded += 1
        name = f"mf_load_{self._loaded}"
        self._session.load(name, rows)
        return name

    def _identifier_removals(self) -> int:
        session, numbering = self._session, self._numbering
        session.execute(numbering.create_gone())
        self._index("gone", ("field", "digest"))
        if self._add_gone is not None:
            self._add_gone()
        past = self._next_batch()
        urgent = self._number(numbering.urgent_gone())
        if not urgent:
            if not self._spec.only_withdrawals:
                self._remove_identifiers(None)
            return past
        # Where all are urgent nobody needs to be told from the others, pair by pair.
        all_are = urgent == self._number(numbering.all_gone())
        self._remove_identifiers(None if all_are else True)
        if all_are:
            return self._next_batch()
        past = self._next_batch()
        if not self._spec.only_withdrawals:
            self._remove_identifiers(False)
        return past

    def _remove_identifiers(self, urgent: bool | None) -> None:
        for i, field in identifiers(self._spec):
            first = self._next_batch()
            removals = self._numbering.add_identifier_removals(field, i, first, urgent=urgent)
            self._session.execute(removals)

    def _withdrawal_times(self, past: int) -> dict[int, WithdrawalTimes]:
        """Of urgent batches, as far as they are known."""
        if not is_dated(self._spec):
            return {}
        found = self._session.table(self._numbering.withdrawal_times(past))
        batches = found.column("batch").cast(pa.int64())
        return {
            int(number): WithdrawalTimes(
                positions=rows.column("pos").combine_chunks().cast(pa.int64()),
                at_us=rows.column("since").combine_chunks().cast(pa.int64()),
            )
            for number in pc.unique(batches).to_pylist()
            for rows in [found.filter(pc.equal(batches, number))]
        }

    def _counts(self, outside: int) -> PlanCounts:
        rows = {int(r["c"]): r for r in self._session.table(self._scan.classes()).to_pylist()}
        n = {c: int(rows[c]["n"]) if c in rows else 0 for c in RowClass}
        doubt = sum(int(r["redo"]) for r in rows.values())
        removed = self._number(f"SELECT count(*) AS n FROM {self._names.of('drop')}")
        return PlanCounts(
            added=n[RowClass.ADDED],
            changed=n[RowClass.CHANGED],
            removed=removed,
            unchanged=n[RowClass.UNCHANGED] + n[RowClass.REFRESHED],
            withheld_consent=n[RowClass.WITHHELD] + n[RowClass.WITHDRAWN] + n[RowClass.UNKNOWN],
            withdrawn=n[RowClass.WITHDRAWN],
            unknown=n[RowClass.UNKNOWN],
            granted=sum(count for c, count in n.items() if c not in _NOT_GRANTED),
            left=n[RowClass.LEFT],
            suppressed=n[RowClass.SUPPRESSED],
            rejected_before=n[RowClass.REJECTED_BEFORE],
            resend=n[RowClass.RESEND],
            due=n[RowClass.DUE],
            outside=n[RowClass.OUTSIDE],
            outside_worker=outside if self._spec.outside == "worker" else 0,
            no_identifier=n[RowClass.NO_IDENTIFIER],
            in_doubt=doubt,
            state_rows=self._number(self._numbering.state_rows()),
            values=self._values(),
        )

    def _values(self) -> tuple[ValueCounts, ...]:
        fields = [field for _, field in counted_fields(self._spec)]
        if not fields:
            return ()
        ready, unusable = [0] * len(fields), [0] * len(fields)
        for row in self._session.table(self._scan.seen()).to_pylist():
            for place in range(len(fields)):
                came = int(row["seen"]) // 3**place % 3
                ready[place] += int(row["n"]) if came == 2 else 0
                unusable[place] += int(row[f"u{place}"]) if came else 0
        made = (
            ValueCounts(field=field.name, ready=ready[place], unusable=unusable[place])
            for place, field in enumerate(fields)
        )
        return tuple(v for v in made if v.ready or v.unusable)

    def _batches(self, past: int) -> tuple[BatchInfo, ...]:
        found = self._session.table(
            f"SELECT batch, op, field, {self._sql.cast('size', self._sql.bigint)} AS size "
            f"FROM {self._names.of('batches')} ORDER BY batch"
        ).to_pylist()
        return tuple(
            BatchInfo(
                number=r["batch"],
                operation=Operation(r["op"]),
                identifier=r["field"],
                rows=r["size"],
                urgent=r["op"] == Operation.REMOVE.value and r["batch"] < past,
            )
            for r in found
        )

    def _number(self, query: str) -> int:
        return int(self._session.table(query).column("n")[0].as_py())
