"""Closing a plan: what was answered enters the state, what is in doubt is marked, the rest goes.

Read `delivery-protocol` in the docs for why each statement is as it is.
"""

from __future__ import annotations

from collections.abc import Sequence

from mayfly.domain.batch import SyncMode
from mayfly.domain.outcomes import OutcomeCode
from mayfly.planning.columns import canonical_columns, key_list, key_names, same_key
from mayfly.planning.names import WORKING_COPIES, Names
from mayfly.planning.numbering import OUT, differs, identifiers, same_pair, still_held
from mayfly.planning.spec import PlanSpec, RowClass
from mayfly.planning.sql.dialect import TARGET, SqlDialect

_DELIVERED = f"({int(OutcomeCode.ACCEPTED)}, {int(OutcomeCode.UNCONFIRMED)})"
_KEPT_BACK = f"({int(OutcomeCode.REJECTED)}, {int(OutcomeCode.WITHHELD)})"


class ClosingSql:
    """Statements of one close, to be run in this order in one transaction."""

    def __init__(self, spec: PlanSpec, dialect: SqlDialect, names: Names) -> None:
        self._spec = spec
        self._sql = dialect
        self._names = names

    def statements(self, now_ms: int) -> list[str]:
        """Everything up to dropping the working copies."""
        steps = [*self._state(now_ms), self._refreshed()]
        if self._spec.by_identifier:
            steps += self._pairs()
        steps += self._absent()
        steps += self._rejections(now_ms)
        return steps

    def drop_all(self) -> list[str]:
        """Working copies go."""
        return [self._sql.drop_table(self._names.of(kind)) for kind in WORKING_COPIES]

    def accepted(self, kind: str) -> str:
        """Rows of plan or drop that the destination has."""
        n = self._names
        return (
            f"SELECT q.* FROM {n.of(kind)} q JOIN (SELECT DISTINCT batch FROM {n.of('acks')}) a "
            f"ON a.batch = q.batch LEFT JOIN {n.of('codes')} o "
            f"ON o.batch = q.batch AND o.pos = q.pos WHERE o.code IS NULL OR o.code IN {_DELIVERED}"
        )

    def doubtful(self, kind: str) -> str:
        """Rows that were sent and not answered for."""
        n = self._names
        return (
            f"SELECT q.* FROM {n.of(kind)} q "
            f"JOIN (SELECT DISTINCT batch FROM {n.of('intents')}) i ON i.batch = q.batch "
            f"LEFT JOIN (SELECT DISTINCT batch FROM {n.of('acks')}) a ON a.batch = q.batch "
            f"LEFT JOIN {n.of('codes')} o ON o.batch = q.batch AND o.pos = q.pos "
            f"WHERE a.batch IS NULL AND o.code IS NULL"
        )

    def count(self, query: str) -> str:
        """How many rows a query gives."""
        return f"SELECT count(*) AS n FROM ({query}) AS mf_q"

    def _state(self, now_ms: int) -> list[str]:
        """Accepted rows enter the state; doubtful rows of tables do, too, as never equal."""
        out = f"q.{self._sql.quote(OUT)}"
        steps = self._state_from(self.accepted("plan"), "q.fp", out, "FALSE", now_ms)
        if not self._spec.by_identifier and self._spec.mode is not SyncMode.APPEND:
            empty = self._sql.utf8("''")
            steps += self._state_from(self.doubtful("plan"), empty, empty, "TRUE", now_ms)
        return steps

    def _refreshed(self) -> str:
        """Rows that were not sent, since what leaves is as delivered, with what they are judged by
        next time.
        """
        spec, state = self._spec, self._names.of("state")
        found = {f"s{j}": f"q.{c}" for j, c in enumerate(canonical_columns(spec))}
        return self._sql.update(
            state,
            {"fp": "q.fp", **found},
            f"q.c = {int(RowClass.REFRESHED)} AND {same_key(spec, TARGET, 'q')}",
            source=f"{self._names.of('scan')} q",
        )

    def _state_from(self, query: str, fp: str, out: str, redo: str, now_ms: int) -> list[str]:
        """Rows with their new fingerprints, in place of those of the same keys.

        They are not updated: a columnar engine would write all digests of the state anew.
        """
        spec, state, before = self._spec, self._names.of("state"), self._names.of("before")
        digests = "".join(f", s{j}" for j in range(len(spec.suppression)))
        canonical = "".join(f", q.{c}" for c in canonical_columns(spec))
        out_column = self._sql.quote(OUT)
        return [
            self._sql.delete(before),
            f"INSERT INTO {before} ({key_list(spec)}, first_at) "
            f"SELECT {key_list(spec, 't')}, t.first_at FROM {state} t "
            f"JOIN ({query}) q ON {same_key(spec, 't', 'q')}",
            self._sql.delete_matched(state, [(f"{before} b", same_key(spec, "b", TARGET))]),
            f"INSERT INTO {state} ({key_list(spec)}, fp, {out_column}, redo, present, first_at, "
            f"last_at{digests}) SELECT {key_list(spec, 'q')}, {fp}, {out}, {redo}, TRUE, "
            f"coalesce(t.first_at, {now_ms}), {now_ms}{canonical} "
            f"FROM ({query}) q LEFT JOIN {before} t ON {same_key(spec, 'q', 't')}",
        ]

    def _pairs(self) -> list[str]:
        """Delivered pairs: adds in, removals out, doubt on every pair of the identifier.

        What is there is changed before anything comes in: on a first run that is nothing at all.
        """
        found = [(i, field.name) for i, field in identifiers(self._spec)]
        accepted, doubtful = self.accepted("plan"), self.doubtful("plan")
        steps = [self._pairs_outdated()]
        steps += [self._pairs_marked(accepted, *f, perhaps=False) for f in found]
        steps += [self._pairs_added(accepted, *f, perhaps=False) for f in found]
        steps.append(self._pairs_removed())
        steps += [self._pairs_marked(doubtful, *f, perhaps=True) for f in found]
        steps += [self._pairs_added(doubtful, *f, perhaps=True) for f in found]
        steps.append(self._pairs_doubted_by_removal())
        steps.append(self._forget())
        steps += self._redo()
        return steps

    def _pairs_marked(self, query: str, position: int, field: str, *, perhaps: bool) -> str:
        """Pairs that are there already."""
        name, same_value = self._sql.literal(field), f"q.v{position} = {TARGET}.digest"
        if perhaps:
            changes, same = {"perhaps": "TRUE"}, same_value
        else:
            changes = {"perhaps": "FALSE", "stale": "FALSE"}
            same = f"{same_value} AND {same_key(self._spec, TARGET, 'q')}"
        return self._sql.update_matched(
            self._names.of("pairs"),
            changes,
            [(f"({query}) q", same)],
            f"{TARGET}.field = {name}",
        )

    def _pairs_added(self, query: str, position: int, field: str, *, perhaps: bool) -> str:
        """Pairs that are not there yet."""
        spec, pairs, name = self._spec, self._names.of("pairs"), self._sql.literal(field)
        value, doubt = f"v{position}", "TRUE" if perhaps else "FALSE"
        return (
            f"INSERT INTO {pairs} ({key_list(spec)}, field, digest, perhaps, stale) "
            f"SELECT {key_list(spec, 'q')}, {name}, q.{value}, {doubt}, FALSE FROM ({query}) q "
            f"LEFT JOIN {pairs} p ON p.field = {name} AND p.digest = q.{value} "
            f"AND {same_key(spec, 'p', 'q')} WHERE q.{value} IS NOT NULL AND p.field IS NULL"
        )

    def _pairs_removed(self) -> str:
        """An accepted removal deletes every pair of that identifier."""
        return self._sql.delete_matched(
            self._names.of("pairs"), [_identified_by(self.accepted("drop"))]
        )

    def _pairs_doubted_by_removal(self) -> str:
        return self._sql.update_matched(
            self._names.of("pairs"), {"perhaps": "TRUE"}, [_identified_by(self.doubtful("drop"))]
        )

    def _pairs_outdated(self) -> str:
        """Pairs of an earlier value, of rows whose new value the destination has.

        Such a row looks unchanged to the next plan; its old pair must not count as wanted.
        """
        spec = self._spec
        other = f"{same_key(spec, TARGET, 'a')} AND {differs(spec, self._sql, TARGET, 'a')}"
        return self._sql.update_matched(
            self._names.of("pairs"),
            {"stale": "TRUE"},
            [(f"({self.accepted('plan')}) a", other)],
        )

    def _forget(self) -> str:
        """A pair that its row no longer wants, once another row's delivered pair holds it."""
        same = same_pair(self._spec, TARGET, "g")
        return self._sql.delete_matched(
            self._names.of("pairs"),
            [
                (f"{self._names.of('gone')} g", same),
                _identified_by(still_held(self._spec, self._names)),
            ],
        )

    def _redo(self) -> list[str]:
        """Rows with a doubtful pair of a value they still have are looked at again by the next
        plan: what is sent then cannot clear the doubt of an earlier value.
        """
        state, pairs = self._names.of("state"), self._names.of("pairs")
        same = same_key(self._spec, TARGET, "p")
        return [
            self._sql.update(state, {"redo": "FALSE"}, "redo"),
            self._sql.update_matched(
                state,
                {"redo": "TRUE"},
                [(f"{pairs} p", f"p.perhaps AND NOT p.stale AND {same}")],
            ),
        ]

    def _absent(self) -> list[str]:
        """Rows that left or lost consent: the record of a past recipient stays, as absent.

        What was appended stays there: a row that comes back must not be appended again. So does
        who left a table that an upsert erases from: they must be known if they withdraw later.
        """
        spec, state = self._spec, self._names.of("state")
        if spec.mode is SyncMode.APPEND:
            return []
        if spec.by_identifier or (spec.mode is SyncMode.UPSERT and not spec.removes):
            source = f"SELECT {key_list(spec)} FROM {self._names.of('scan')} WHERE c IN " + (
                f"({int(RowClass.LEFT)}, {int(RowClass.WITHDRAWN)}, {int(RowClass.UNKNOWN)}, "
                f"{int(RowClass.SUPPRESSED)}, {int(RowClass.NO_IDENTIFIER)})"
            )
        else:
            source = f"SELECT {key_list(spec, 'a')} FROM ({self.accepted('drop')}) a"
        gone = (f"({source}) q", same_key(spec, TARGET, "q"))
        return [self._sql.update_matched(state, {"present": "FALSE"}, [gone])]

    def _rejections(self, now_ms: int) -> list[str]:
        """Rejected and withheld rows are remembered with their fingerprint, not their values."""
        spec, n = self._spec, self._names
        rejected = n.of("rejected")
        answered = (
            f"SELECT q.* FROM {n.of('plan')} q "
            f"JOIN (SELECT DISTINCT batch FROM {n.of('acks')}) a ON a.batch = q.batch"
        )
        same, literal = same_key(spec, "q", TARGET), self._sql.literal
        return [
            self._sql.delete_matched(rejected, [(f"({answered}) q", same)]),
            f"INSERT INTO {rejected} ({key_list(spec)}, fp, versions, code, reason, vendor, run, "
            f"noted_at) SELECT {key_list(spec, 'q')}, q.fp, {literal(spec.versions)}, o.code, "
            f"o.reason, "
            f"o.vendor, {literal(spec.run)}, {now_ms} FROM ({answered}) q "
            f"JOIN {n.of('codes')} o ON o.batch = q.batch AND o.pos = q.pos "
            f"WHERE o.code IN {_KEPT_BACK}",
        ]


def doubted_removals(spec: PlanSpec, sql: SqlDialect, names: Names, drop: str) -> list[str]:
    """Statements that mark what removals may take out, and are sent beside an open plan.

    Args:
        spec: of the state.
        sql: its dialect.
        names: of its tables.
        drop: table of the removals.
    """
    state, pairs = names.of("state"), names.of("pairs")
    if not spec.by_identifier:
        return [
            sql.update_matched(
                state, {"redo": "TRUE"}, [(f"{drop} d", same_key(spec, TARGET, "d"))]
            )
        ]
    same = f"p.perhaps AND NOT p.stale AND {same_key(spec, TARGET, 'p')}"
    taken = _identified_by(f"SELECT field, digest FROM {drop}")
    return [
        sql.update_matched(pairs, {"perhaps": "TRUE"}, [taken]),
        sql.update_matched(state, {"redo": "TRUE"}, [(f"{pairs} p", same)]),
    ]


def settled_removals(spec: PlanSpec, sql: SqlDialect, names: Names, taken: str) -> list[str]:
    """Statements that note what such removals have taken out: nothing takes it out again. Who held
    it is not as it was delivered any more, and is sent anew if it is ever wanted.

    Args:
        spec: of the state.
        sql: its dialect.
        names: of its tables.
        taken: FROM item of the removals, still without its alias.
    """
    state, pairs, absent = names.of("state"), names.of("pairs"), {"present": "FALSE"}
    if not spec.by_identifier:
        return [sql.update_matched(state, absent, [(f"{taken} d", same_key(spec, TARGET, "d"))])]
    keys = ", ".join(f"p.{k} AS {k}" for k in key_names(spec))
    same = "k.field = p.field AND k.digest = p.digest"
    held = f"(SELECT {keys} FROM {pairs} p JOIN {taken} k ON {same}) h"
    return [
        sql.update_matched(state, absent, [(held, same_key(spec, "h", TARGET))]),
        sql.delete_matched(pairs, [_identified_by(f"SELECT field, digest FROM {taken} t")]),
    ]


def delivered_total(sql: SqlDialect, names: Names) -> str:
    """How much of a state a removal could take out: present rows, and delivered pairs."""
    rows = f"(SELECT count(*) FROM {names.of('state')} WHERE present)"
    total = f"{rows} + (SELECT count(*) FROM {names.of('pairs')})"
    return f"SELECT {sql.cast(total, sql.bigint)} AS n"


def fields_delivered(names: Names) -> str:
    """Fields of which a pair is kept."""
    return f"SELECT DISTINCT field FROM {names.of('pairs')}"


def identifiers_delivered(names: Names, sql: SqlDialect, fields: Sequence[str]) -> str:
    """How many identifiers of some fields a pair is kept of, by `field`, as `n`."""
    listed = ", ".join(map(sql.literal, fields))
    return (
        f"SELECT field, count(DISTINCT digest) AS n FROM {names.of('pairs')} "
        f"WHERE field IN ({listed}) GROUP BY field"
    )


def _identified_by(query: str) -> tuple[str, str]:
    """FROM item and condition for pairs whose field and digest a query of these two gives."""
    return f"({query}) k", f"k.field = {TARGET}.field AND k.digest = {TARGET}.digest"
