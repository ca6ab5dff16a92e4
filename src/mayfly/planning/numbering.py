"""From the scan to numbered batches: what is wanted, what is gone, what is sent.

Removals are a set difference per identifier field against what any row still wants, so that
batches may go in any order and a shared identifier is never removed from under somebody.
"""

from __future__ import annotations

from mayfly.domain.batch import Operation, SyncMode
from mayfly.planning.columns import (
    canonical_columns,
    key_list,
    key_names,
    no_key,
    outside_columns,
    same_key,
    value_fields,
)
from mayfly.planning.names import Names
from mayfly.planning.spec import URGENT, WANTED, PlanField, PlanSpec, RowClass
from mayfly.planning.sql.dialect import TARGET, SqlDialect
from mayfly.privacy.gate import Form

OUT = "out"
"""Column with the fingerprint of outgoing values; a word that some engines keep for themselves."""
# What may turn out to leave as it was delivered: by another rule, or from another source value.
SETTLED = (RowClass.RESEND, RowClass.CHANGED)
_SENT = (RowClass.ADDED, RowClass.CHANGED, RowClass.RESEND, RowClass.DUE)


def identifiers(spec: PlanSpec) -> list[tuple[int, PlanField]]:
    """Fields for which delivered pairs are kept."""
    return [(i, f) for i, f in enumerate(spec.fields) if f.identifier and spec.by_identifier]


def differs(spec: PlanSpec, sql: SqlDialect, pair: str, row: str) -> str:
    """Whether a delivered pair is not of a row's values, of plan or scan."""
    cases = " ".join(
        f"WHEN {pair}.field = {sql.literal(f.name)} THEN "
        + ("FALSE" if f.unread else f"{row}.v{i} IS NULL OR {row}.v{i} <> {pair}.digest")
        for i, f in identifiers(spec)
    )
    return f"CASE {cases} ELSE TRUE END"


def same_pair(spec: PlanSpec, left: str, right: str) -> str:
    """Join condition over key, field and digest of two tables of pairs."""
    same = f"{right}.field = {left}.field AND {right}.digest = {left}.digest"
    return f"{same} AND {same_key(spec, left, right)}"


def still_held(spec: PlanSpec, names: Names) -> str:
    """`field`, `digest` of gone pairs that a pair which is not gone holds, too.

    Few are gone: of all pairs only those with an identifier of theirs are looked at.
    """
    pairs, gone = names.of("pairs"), names.of("gone")
    return (
        f"SELECT o.field AS field, o.digest AS digest FROM {pairs} o "
        f"JOIN (SELECT DISTINCT field, digest FROM {gone}) w "
        f"ON w.field = o.field AND w.digest = o.digest "
        f"LEFT JOIN {gone} h ON {same_pair(spec, 'o', 'h')} WHERE h.field IS NULL"
    )


class NumberingSql:
    """Statements that turn a scan and the worker's answers into a plan."""

    def __init__(self, spec: PlanSpec, dialect: SqlDialect, names: Names) -> None:
        self._spec = spec
        self._sql = dialect
        self._names = names

    def mark_suppressed(self, table: str) -> str:
        """Rows on the suppression list, by ordinal."""
        return self._classed(
            RowClass.SUPPRESSED, f"{TARGET}.{self._sql.ordinal} IN (SELECT n FROM {table})"
        )

    def mark_outside(self) -> str:
        """Rows with a value that nothing may hash: withheld, as the sync says."""
        flags = " OR ".join(f"o{o}" for o in range(len(outside_columns(self._spec))))
        return self._classed(RowClass.OUTSIDE, f"c IN {_numbers(_SENT)} AND ({flags})")

    def fill_values(self, table: str, field: int) -> str:
        """Values the worker made: loaded as (n, d)."""
        return self._filled(f"v{field}", table)

    def fill_canonical(self, table: str, item: int) -> str:
        """Canonical digests the worker made: loaded as (n, d)."""
        return self._filled(f"s{item}", table)

    def _filled(self, column: str, table: str) -> str:
        return self._sql.filled(self._names.of("scan"), column, table)

    def _classed(self, row_class: RowClass, where: str) -> str:
        return self._sql.update(self._names.of("scan"), {"c": str(int(row_class))}, where)

    def mark_without_identifier(self) -> str | None:
        """Rows that no identifier is left of."""
        found = [f"v{i} IS NULL" for i, _ in identifiers(self._spec)]
        if not found or any(f.unread for _, f in identifiers(self._spec)):
            return None
        where = f"c IN {_numbers(_SENT)} AND {' AND '.join(found)}"
        return self._classed(RowClass.NO_IDENTIFIER, where)

    def settle_resends(self) -> str:
        """Rows of which nothing that leaves differs from what was delivered."""
        where = f"c IN {_numbers(SETTLED)} AND NOT redo AND s_out = {self.outgoing()}"
        return self._classed(RowClass.REFRESHED, where)

    def outgoing(self) -> str:
        """Fingerprint of the outgoing values; of the source values where they go as they are."""
        fields = sorted(value_fields(self._spec), key=lambda item: item[1].name)
        if not fields:
            return "fp"
        digests = [f"v{i}" for i, f in fields if f.form in (Form.DIGEST, Form.PSEUDONYM)]
        others = [self._rendered(i, f) for i, f in fields if f"v{i}" not in digests]
        # Digests all have 32 bytes, so that they need no lengths between them, and no hex.
        whole = self._sql.md5_of_digests(digests) if digests else None
        if not others and whole is not None:
            return whole
        return self._sql.fingerprint([*([self._sql.hex(whole)] if whole else []), *others])

    def _rendered(self, position: int, field: PlanField) -> str:
        as_bytes = field.form is not Form.CLEAR or (field.identifier and field.shape is not None)
        if as_bytes:
            return self._sql.hex(f"v{position}")
        return self._sql.render(f"v{position}", field.arrow_type)

    def create_plan(self) -> str:
        """Rows that go out, numbered as they come."""
        spec = self._spec
        classes = (RowClass.ADDED,) if spec.mode is SyncMode.APPEND else _SENT
        values = [f"v{i}" for i, _ in value_fields(spec)]
        values += [s for s in canonical_columns(spec) if s not in values]
        scan, ordinal = self._names.of("scan"), self._sql.ordinal
        out = self._sql.quote(OUT)
        columns = ", ".join([key_list(spec), "fp", f"{self.outgoing()} AS {out}", *values])
        sent = f"{scan} WHERE c IN {_numbers(classes)}"
        numbered = self._sql.numbered("rn", columns, sent)
        if ordinal != "n":
            # Numbering is one thread's work: of narrow rows, and all of them write the wide ones.
            narrow = self._sql.numbered("rn", f"{ordinal} AS o", sent)
            numbered = (
                f"SELECT rn, {columns} FROM {scan} AS w JOIN ({narrow}) AS q ON q.o = w.{ordinal}"
            )
        batch, pos = self._places(0)
        return self._table(
            "plan",
            f"SELECT {batch} AS batch, {pos} AS pos, {key_list(spec)}, fp, {out}"
            f"{''.join(', ' + v for v in values)} FROM ({numbered}) AS mf_n",
        )

    def create_gone(self) -> str:
        """Delivered pairs that their own row no longer wants."""
        spec, names = self._spec, self._names
        rejected = f"s.c = {int(RowClass.REJECTED_BEFORE)}"
        # An unchanged row may hold a pair of an earlier value, kept while another row wanted it.
        outdated = (
            f"(q.batch IS NOT NULL AND {differs(spec, self._sql, 'p', 'q')}) "
            f"OR ({rejected} AND {differs(spec, self._sql, 'p', 's')}) "
            f"OR (q.batch IS NULL AND NOT ({rejected}) AND p.stale)"
        )
        if spec.mode is SyncMode.UPSERT:
            removed = (*spec.removes, *((RowClass.WITHHELD,) if spec.removes else ()))
            gone = f"s.c IN {_numbers(removed)}" if removed else "FALSE"
        elif spec.limit is not None:
            gone = f"(s.c IS NOT NULL AND s.c NOT IN {_numbers(_KEPT)}) OR {outdated}"
        else:
            gone = f"s.c IS NULL OR s.c NOT IN {_numbers(_KEPT)} OR {outdated}"
            if self._taken_out():
                gone += f" OR p.field IN ({self._taken_out()})"
        wanted = ", ".join(f"p.{c} AS {c}" for c in (*key_names(spec), "field", "digest"))
        return self._table(
            "gone",
            f"SELECT {wanted} FROM {names.of('pairs')} p "
            f"LEFT JOIN {names.of('scan')} s ON {same_key(spec, 'p', 's')} "
            f"LEFT JOIN {names.of('plan')} q ON {same_key(spec, 'p', 'q')} WHERE {gone}",
        )

    def create_drop(self) -> str:
        """An empty table of removals."""
        spec, sql = self._spec, self._sql
        keys = "".join(f", {key} AS k{i}" for i, key in enumerate(no_key(spec, sql)))
        number = sql.cast("0", sql.integer)
        return self._table(
            "drop",
            f"SELECT {number} AS batch, {number} AS pos, {sql.cast('NULL', sql.text)} AS field, "
            f"{sql.cast('NULL', sql.blob)} AS digest{keys} LIMIT 0",
        )

    def urgent_gone(self) -> str:
        """How many gone pairs are of rows that withdrew or are suppressed."""
        return f"SELECT count(*) AS n FROM ({self._urgent_pairs()}) AS mf_u"

    def all_gone(self) -> str:
        """How many gone pairs there are."""
        return f"SELECT count(*) AS n FROM {self._names.of('gone')}"

    def _taken_out(self) -> str:
        """Names of fields of which nobody wants what was delivered."""
        names = (f.name for _, f in identifiers(self._spec) if f.taken_out)
        return ", ".join(self._sql.literal(name) for name in names)

    def _urgent_pairs(self) -> str:
        names = self._names
        urgent = (
            f"SELECT u.field AS field, u.digest AS digest FROM {names.of('gone')} u "
            f"JOIN {names.of('scan')} s ON {same_key(self._spec, 'u', 's')} "
            f"WHERE s.c IN {_numbers(URGENT)}"
        )
        if not self._taken_out():
            return urgent
        whole = f"SELECT field, digest FROM {names.of('gone')} WHERE field IN ({self._taken_out()})"
        # Each pair once: they are counted.
        return f"{urgent} AND u.field NOT IN ({self._taken_out()}) UNION ALL {whole}"

    def add_identifier_removals(
        self, field: PlanField, position: int, first_batch: int, *, urgent: bool | None = None
    ) -> str:
        """One row per identifier that no row wants any more.

        Args:
            field: that it is of.
            position: of that field.
            first_batch: number of the first of their batches.
            urgent: whether those of rows that withdrew or are suppressed, or the others; None for
                all.
        """
        spec, names, sql = self._spec, self._names, self._sql
        name, value = sql.literal(field.name), f"v{position}"
        wanted = f"SELECT q.{value} FROM {names.of('plan')} q WHERE q.{value} IS NOT NULL"
        held = sql.held_elsewhere(
            f"SELECT k.digest FROM ({still_held(spec, names)}) k WHERE k.field = {name}",
            pairs=names.of("pairs"),
            gone=names.of("gone"),
            field=name,
        )
        which = ""
        if urgent is not None:
            first = f"SELECT y.digest FROM ({self._urgent_pairs()}) y WHERE y.field = {name}"
            among = f"g.digest IN ({first})"
            which = f" AND {among if urgent else sql.is_none_of('g.digest', 'digest', first)}"
        candidates = (
            f"SELECT DISTINCT g.digest FROM {names.of('gone')} g WHERE g.field = {name}{which} "
            f"AND {sql.is_none_of('g.digest', value, wanted)} "
            f"AND {sql.is_none_of('g.digest', 'digest', held)}"
        )
        keys = ", ".join(no_key(spec, sql))
        batch, pos = self._places(first_batch)
        return (
            f"INSERT INTO {names.of('drop')} SELECT {batch}, {pos}, {name}, digest, {keys} FROM "
            f"({sql.numbered('rn', 'digest', f'({candidates}) AS mf_g')}) AS mf_n"
        )

    def add_key_removals(self, first_batch: int, *, urgent: bool) -> str | None:
        """One row per key that this sync delivered and takes back: of rows that withdrew or are
        suppressed, or of the others.
        """
        spec, names = self._spec, self._names
        classes = tuple(c for c in spec.removes if (c in URGENT) is urgent)
        if not classes or spec.by_identifier:
            return None
        batch, pos = self._places(first_batch)
        nothing = ", ".join(self._sql.cast("NULL", k) for k in (self._sql.text, self._sql.blob))
        keys = ", ".join(f"s.{k} AS {k}" for k in key_names(spec))
        left = (
            f"{names.of('scan')} s JOIN {names.of('state')} t ON {same_key(spec, 's', 't')} "
            f"WHERE t.present AND s.c IN {_numbers(classes)}"
        )
        if spec.only_withdrawals:
            # What is known of a key that stands on several rows may stand as often beside it.
            left, keys = f"(SELECT DISTINCT {keys} FROM {left}) AS mf_d", key_list(spec)
        return (
            f"INSERT INTO {names.of('drop')} SELECT {batch}, {pos}, {nothing}, {key_list(spec)} "
            f"FROM ({self._sql.numbered('rn', keys, left)}) AS mf_n"
        )

    def withdrawal_times(self, past: int) -> str:
        """`batch`, `pos`, `since` of removals in batches before one: the latest of the withdrawals
        that each waited for, in microseconds since 1970.
        """
        spec, names, sql = self._spec, self._names, self._sql
        scan, drop = names.of("scan"), names.of("drop")
        rows = f"{drop} d JOIN {scan} s ON {same_key(spec, 'd', 's')}"
        if spec.by_identifier:
            rows = (
                f"{drop} d JOIN {names.of('gone')} g ON g.field = d.field AND g.digest = d.digest "
                f"JOIN {scan} s ON {same_key(spec, 'g', 's')}"
            )
        columns = ", ".join(f"{sql.cast(f'd.{c}', sql.bigint)} AS {c}" for c in ("batch", "pos"))
        since = sql.cast("max(s.since)", sql.bigint)
        return (
            f"SELECT {columns}, {since} AS since FROM {rows} WHERE d.batch < {int(past)} "
            f"AND s.c = {int(RowClass.WITHDRAWN)} AND s.since IS NOT NULL GROUP BY d.batch, d.pos"
        )

    def keep_withdrawals(self) -> list[str]:
        """What closing is left to merge where nothing but withdrawals may go.

        Who holds an identifier that goes, too, is not as it was delivered any more, whatever became
        of the row: it is noted as taken out, and sent anew if it is ever wanted again.
        """
        spec, names, sql = self._spec, self._names, self._sql
        scan, kept = names.of("scan"), _numbers(URGENT)
        steps = []
        if spec.by_identifier:
            keys = ", ".join(f"p.{k} AS {k}" for k in key_names(spec))
            held = (
                f"(SELECT {keys} FROM {names.of('pairs')} p JOIN {names.of('drop')} d "
                f"ON d.field = p.field AND d.digest = p.digest) h"
            )
            taken = {"c": str(int(RowClass.WITHDRAWN))}
            steps.append(sql.update_matched(scan, taken, [(held, same_key(spec, "h", TARGET))]))
            other = f"{same_key(spec, 's', TARGET)} AND s.c NOT IN {kept}"
            steps.append(sql.delete_matched(names.of("gone"), [(f"{scan} s", other)]))
        return [*steps, sql.delete(scan, f"{TARGET}.c NOT IN {kept}")]

    def create_batches(self) -> str:
        """The batches with their kind of change and their rows."""
        names, sql = self._names, self._sql
        add = sql.cast(sql.literal(self._spec.add_operation.value), sql.text)
        remove = sql.cast(sql.literal(Operation.REMOVE.value), sql.text)
        added = (
            f"SELECT batch, {add} AS op, {sql.cast('NULL', sql.text)} AS field, "
            f"count(*) AS size FROM {names.of('plan')} GROUP BY batch UNION ALL "
        )
        return self._table(
            "batches",
            f"{'' if self._spec.only_withdrawals else added}"
            f"SELECT batch, {remove} AS op, field, count(*) AS size "
            f"FROM {names.of('drop')} GROUP BY batch, field",
        )

    def last_batch(self, kind: str) -> str:
        """The highest batch number so far."""
        return f"SELECT coalesce(max(batch), -1) AS n FROM {self._names.of(kind)}"

    def state_rows(self) -> str:
        """Rows of the state that count as delivered."""
        return f"SELECT count(*) AS n FROM {self._names.of('state')} WHERE present"

    def in_doubt(self) -> str:
        """Pairs that are perhaps delivered."""
        return f"SELECT count(*) AS n FROM {self._names.of('pairs')} WHERE perhaps"

    def _table(self, kind: str, query: str) -> str:
        spec, name = self._spec, self._names.of(kind)
        made = self._sql.create_as(name, query, temporary=self._names.temporary)
        return f"/* mayfly sync={spec.identity.sync} run={spec.run} {kind} */ {made}"

    def _places(self, first_batch: int) -> tuple[str, str]:
        """Batch and position of row `rn` of those that are numbered from a batch on."""
        sql, rows = self._sql, self._spec.batch_rows
        batch = f"{first_batch} + {sql.div('rn', rows)}"
        return sql.cast(batch, sql.integer), sql.cast(sql.modulo("rn", rows), sql.integer)


_KEPT = (*WANTED, RowClass.REJECTED_BEFORE)


def _numbers(classes: tuple[RowClass, ...]) -> str:
    return "(" + ", ".join(str(int(c)) for c in classes) + ")"
