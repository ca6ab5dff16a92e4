"""Which rows of the model a local state knows, and the state as the planner's SQL wants it.

The source lends the SHA-256 of each primary key and a fingerprint; the worker makes keyed digests
of them, looks these up in the state, and tells the source by ordinals what it found. Temporary
tables in the session then stand where the state's tables are otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa

from mayfly.adapters.planstores import tables
from mayfly.adapters.planstores.local_digests import LocalDigests
from mayfly.adapters.planstores.make import Gathered, PlanPlace, pages
from mayfly.domain.errors import IntegrityError, PolicyError
from mayfly.planning.columns import (
    key_list,
    key_names,
    model_keys,
    no_key,
    source_fingerprint,
)
from mayfly.planning.names import Names
from mayfly.planning.numbering import OUT, SETTLED, NumberingSql
from mayfly.planning.spec import PlanSpec, RowClass
from mayfly.planning.sql.dialect import TARGET, SqlDialect, literal
from mayfly.ports.source import SqlSession

_KNOWN = "mf_known"
_SEEN = "mf_seen"
SEALED_KEY = "s0"
"""The column of a local state with sealed primary keys, for a table that rows are taken out of."""


@dataclass(frozen=True, kw_only=True)
class LocalState:
    """A local state, in an open session of its database.

    Args:
        session: of the database.
        names: of its tables.
        forgotten: as if nothing were known of what was delivered, only of what was rejected.
    """

    session: SqlSession
    names: Names
    forgotten: bool = False

    def number(self, query: str) -> int:
        """The number `n` of a query."""
        return int(self.session.table(query).column("n")[0].as_py())

    def has_keys(self) -> bool:
        """Whether it has a column for sealed primary keys; see `SEALED_KEY`."""
        table = self.session.table(f"SELECT * FROM {self.names.of('state')} LIMIT 0")
        return SEALED_KEY in table.column_names

    def rows(self, kind: str, where: str = "") -> int:
        """How many rows one of its tables has, as far as they count."""
        if self.forgotten and kind in ("state", "pairs"):
            return 0
        return self.number(f"SELECT count(*) AS n FROM {self.names.of(kind)} {where}")


def takes_back_left(spec: PlanSpec) -> bool:
    """Whether the plan takes back what was delivered of rows that are not in the model any more."""
    return RowClass.LEFT in spec.removes and spec.limit is None


def keeps_keys(spec: PlanSpec) -> bool:
    """Whether rows that leave the model must be named to the destination by their primary key."""
    return RowClass.LEFT in spec.removes and not spec.by_identifier


def key_texts(spec: PlanSpec, sql: SqlDialect) -> list[str]:
    """The primary key as texts t0, t1 … that cast back to themselves."""
    return [f"{sql.key_text(f'k{i}', k.sql_type)} AS t{i}" for i, k in enumerate(spec.keys)]


def keys_of_texts(spec: PlanSpec, sql: SqlDialect) -> str:
    """The primary key k0, k1 … of those texts."""
    parts = (f"{sql.key_of_text(f't{i}', k.sql_type)} AS k{i}" for i, k in enumerate(spec.keys))
    return ", ".join(parts)


def key_digest(spec: PlanSpec, sql: SqlDialect) -> str:
    """SHA-256 of the primary key over the key columns k0, k1 and so on."""
    parts = zip(key_names(spec), spec.keys, strict=True)
    return sql.key_digest([sql.render(name, key.arrow_type) for name, key in parts])


class Recognition:
    """One plan's look at a local state.

    Args:
        place: of the plan; the tables in its session are temporary.
        digests: made in the worker.
        state: None where there is none yet.
    """

    def __init__(self, place: PlanPlace, digests: LocalDigests, state: LocalState | None) -> None:
        self._session = place.session
        self._sql = place.sql
        self._spec = place.spec
        self._names = place.names
        self._digests = digests
        self._state = state
        self._out = place.sql.quote(OUT)
        self._loads = 0

    def fill(self) -> None:
        """Make the state's tables in the session, with what the model's rows have there."""
        for statement in tables.create_state(self._spec, self._sql, self._names):
            self._session.execute(statement)
        state = self._state
        if state is None:
            return
        state.session.execute(f"CREATE TEMPORARY TABLE {_SEEN} (k BLOB)")
        if not any(state.rows(kind) for kind in ("state", "pairs", "rejected")):
            return
        self._session.execute(self._create_known())
        known = f"SELECT n, kd, fp FROM {_KNOWN} WHERE TRUE"
        for piece in pages(self._session, self._sql, known, _KNOWN, "n"):
            self._look_up(state, piece)
        if state.forgotten:
            return
        if self._spec.by_identifier and not takes_back_left(self._spec):
            self._tell_pairs_of_others(state, "pairs")
        left = keeps_keys(self._spec) and takes_back_left(self._spec)
        if left and not self._spec.only_withdrawals:
            self._name_left(state)

    def add_gone(self) -> None:
        """Identifiers of rows that left the model are not wanted by them any more."""
        if self._state is not None and not self._state.forgotten:
            self._tell_pairs_of_others(self._state, "gone")

    def settle(self) -> None:
        """Rows looked at again whose outgoing values are those that were delivered."""
        state, scan = self._state, self._names.of("scan")
        if state is None:
            return
        ordinal = self._sql.ordinal
        outgoing = NumberingSql(self._spec, self._sql, self._names).outgoing()
        query = (
            f"SELECT {ordinal} AS n, {key_digest(self._spec, self._sql)} AS kd, {outgoing} AS o "
            f"FROM {scan} "
            f"WHERE c IN ({', '.join(str(int(c)) for c in SETTLED)}) AND NOT redo"
        )
        changes = Gathered(self._session, self._sql)
        for piece in pages(self._session, self._sql, query, scan, ordinal):
            page = self._local_page(state, piece, "o")
            found = state.session.table(
                f"SELECT p.n FROM {page} p JOIN {state.names.of('state')} s "
                f"ON s.k0 = p.k AND s.out = p.v"
            )
            if found.num_rows:
                changes.add("refreshed", self._load(found), self._refreshed)
        changes.finish()

    def _refreshed(self, table: str) -> str:
        """Of loaded ordinals of the scan."""
        where = f"{TARGET}.{self._sql.ordinal} IN (SELECT n FROM {table})"
        refreshed = {"c": str(int(RowClass.REFRESHED))}
        return self._sql.update(self._names.of("scan"), refreshed, where)

    def left(self) -> str:
        """Query of the state's present rows that the model has no more."""
        state = self._state
        if state is None:
            raise ValueError("there is no state that anything could have left")
        return (
            f"SELECT * FROM {state.names.of('state')} "
            f"WHERE {literal(not state.forgotten)} AND present "
            f"AND {self.unseen()}"
        )

    def unseen(self) -> str:
        """Condition on k0 of the state's tables: the row is not in the model."""
        return f"k0 NOT IN (SELECT k FROM {_SEEN})"

    def unnamed(self) -> Iterator[tuple[pa.Array, list[pa.ChunkedArray]]]:
        """Keyed digests and key texts of the model's rows whose primary key the state lacks: they
        were delivered while nothing was taken back.
        """
        state, spec = self._state, self._spec
        if state is None or not state.rows("state", f"WHERE present AND {SEALED_KEY} IS NULL"):
            return
        texts = ", ".join(key_texts(spec, self._sql))
        query = f"SELECT n, kd, fp, {texts} FROM {_KNOWN} WHERE TRUE"
        for piece in pages(self._session, self._sql, query, _KNOWN, "n"):
            page = self._local_page(state, piece, "fp")
            found = state.session.table(
                f"SELECT p.n, p.k FROM {page} p JOIN {state.names.of('state')} s ON s.k0 = p.k "
                f"WHERE s.present AND s.{SEALED_KEY} IS NULL"
            )
            state.session.execute(f"DROP TABLE {page}")
            rows = pa.compute.index_in(found.column("n"), value_set=piece.column("n").cast("int64"))
            named = piece.take(rows)
            yield found.column("k"), [named.column(f"t{i}") for i, _ in enumerate(spec.keys)]

    def _create_known(self) -> str:
        spec, sql = self._spec, self._sql
        keys = ", ".join(model_keys(spec, sql))
        there = " AND ".join(f"{k} IS NOT NULL" for k in key_names(spec))
        model = (
            f"SELECT {keys}, {source_fingerprint(spec, sql)} AS fp FROM ({spec.model_sql}) AS mf_m"
        )
        columns = f"{key_list(spec)}, {key_digest(spec, sql)} AS kd, fp"
        query = sql.numbered("n", columns, f"({model}) AS mf_k WHERE {there}")
        made = sql.create_as(_KNOWN, query, temporary=True)
        return f"/* mayfly sync={spec.identity.sync} run={spec.run} known */ {made}"

    def _look_up(self, state: LocalState, piece: pa.Table) -> None:
        page = self._local_page(state, piece, "fp")
        state.session.execute(f"INSERT INTO {_SEEN} SELECT k FROM {page}")
        self._tell_rejected(state, page)
        if not state.forgotten:
            self._tell_state(state, page)
        if self._spec.by_identifier and not state.forgotten:
            query = (
                f"SELECT p.n, q.field, q.digest, q.perhaps, q.stale FROM {page} p "
                f"JOIN {state.names.of('pairs')} q ON q.k0 = p.k"
            )
            self._tell_pairs(self._unsealed(state.session.table(query)))
        state.session.execute(f"DROP TABLE {page}")

    def _tell_state(self, state: LocalState, page: str) -> None:
        found = state.session.table(
            f"SELECT p.n, s.fp = p.v AS same, s.redo, s.present, s.last_at FROM {page} p "
            f"JOIN {state.names.of('state')} s ON s.k0 = p.k"
        )
        if not found.num_rows:
            return
        loaded, empty = self._load(found), self._sql.utf8("''")
        value = f"CASE WHEN w.same THEN m.fp ELSE {empty} END"
        self._session.execute(
            f"INSERT INTO {self._names.of('state')} ({key_list(self._spec)}, fp, {self._out}, "
            f"redo, present, first_at, last_at) "
            f"SELECT {key_list(self._spec, 'm')}, {value}, {value}, "
            f"w.redo, w.present, 0, w.last_at FROM {_KNOWN} m JOIN {loaded} w ON w.n = m.n"
        )

    def _tell_rejected(self, state: LocalState, page: str) -> None:
        found = state.session.table(
            f"SELECT p.n, r.versions, CAST(r.code AS bigint) AS code FROM {page} p "
            f"JOIN {state.names.of('rejected')} r ON r.k0 = p.k AND r.fp = p.v"
        )
        if not found.num_rows:
            return
        loaded, code = self._load(found), self._sql.cast("w.code", self._sql.integer)
        self._session.execute(
            f"INSERT INTO {self._names.of('rejected')} ({key_list(self._spec)}, fp, versions, "
            f"code, noted_at) SELECT {key_list(self._spec, 'm')}, m.fp, w.versions, "
            f"{code}, 0 FROM {_KNOWN} m JOIN {loaded} w ON w.n = m.n"
        )

    def _tell_pairs_of_others(self, state: LocalState, kind: str) -> None:
        """Identifiers of rows that are not in the model any more: in pairs they still hold them,
        in gone they do not. Whose they were is not told: no row of the model's.
        """
        more = "" if kind == "gone" else ", perhaps, stale"
        nobody = ", ".join(no_key(self._spec, self._sql))
        query = f"SELECT field, digest{more} FROM {state.names.of('pairs')} WHERE {self.unseen()}"
        for piece in state.session.stream(query):
            loaded = self._load(self._unsealed(pa.Table.from_batches([piece])))
            self._session.execute(
                f"INSERT INTO {self._names.of(kind)} ({key_list(self._spec)}, field, digest{more}) "
                f"SELECT {nobody}, field, digest{more} FROM {loaded}"
            )

    def _name_left(self, state: LocalState) -> None:
        """Present rows that left the model, by their primary keys: nothing else of them is known,
        or needed.
        """
        spec, empty = self._spec, self._sql.utf8("''")
        named = state.has_keys()
        unnamed = state.number(
            f"SELECT count(*) AS n FROM ({self.left()}) AS mf_l"
            + (f" WHERE {SEALED_KEY} IS NULL" if named else "")
        )
        if unnamed:
            raise _unnamed(spec, unnamed)
        if not named:
            return
        for piece in state.session.stream(self.left()):
            texts = self._digests.unseal_keys(piece.column(SEALED_KEY), len(spec.keys))
            columns = {f"t{i}": text for i, text in enumerate(texts)}
            numbers = pa.array(range(piece.num_rows), pa.int64())
            loaded = self._load(pa.table({"n": numbers, "redo": piece.column("redo"), **columns}))
            keys = f"SELECT n, redo, {keys_of_texts(spec, self._sql)} FROM {loaded}"
            self._require_same(keys, piece.column("k0"))
            self._session.execute(
                f"INSERT INTO {self._names.of('state')} ({key_list(spec)}, fp, {self._out}, redo, "
                f"present, first_at, last_at) SELECT {key_list(spec)}, {empty}, {empty}, redo, "
                f"TRUE, 0, 0 FROM ({keys}) AS mf_k"
            )

    def _require_same(self, keys: str, digests: pa.Array) -> None:
        """Refuse a key that is not its row's: a wrong row would be taken back."""
        query = f"SELECT {key_digest(self._spec, self._sql)} AS kd FROM ({keys}) AS mf_k ORDER BY n"
        made = self._digests.rows(self._session.table(query).column("kd"))
        if not made.equals(digests):
            raise IntegrityError(
                "local_state_damaged",
                "A sealed primary key of the local state is not that of its row.",
                hint="Restore the state from a backup, or forget it with `mayfly state drop`: then "
                "everything is sent anew.",
            )

    def _tell_pairs(self, pairs: pa.Table) -> None:
        if not pairs.num_rows:
            return
        loaded, spec = self._load(pairs), self._spec
        self._session.execute(
            f"INSERT INTO {self._names.of('pairs')} ({key_list(spec)}, field, digest, perhaps, "
            f"stale) SELECT {key_list(spec, 'm')}, w.field, w.digest, w.perhaps, w.stale "
            f"FROM {loaded} w JOIN {_KNOWN} m ON w.n = m.n"
        )

    def _unsealed(self, pairs: pa.Table) -> pa.Table:
        """Each field's digests were sealed under its name."""
        parts = [pairs.slice(0, 0)]
        for name in dict.fromkeys(pairs.column("field").to_pylist()):
            of_field = pairs.filter(pa.compute.equal(pairs.column("field"), name))
            digests = of_field.column("digest").combine_chunks()
            clear = self._digests.sealer.unseal(digests, name)
            parts.append(
                of_field.set_column(of_field.schema.get_field_index("digest"), "digest", clear)
            )
        return pa.concat_tables(parts)

    def _local_page(self, state: LocalState, piece: pa.Table, column: str) -> str:
        """Load ordinals n, keyed digests k of keys and v of values into the state's session."""
        self._loads += 1
        name = f"mf_page_{self._loads}"
        keys = piece.column("kd")
        made = {
            "n": piece.column("n").cast(pa.int64()),
            "k": self._digests.rows(keys),
            "v": self._digests.values(piece.column(column), keys),
        }
        state.session.load(name, pa.table(made))
        return name

    def _load(self, rows: pa.Table) -> str:
        self._loads += 1
        name = f"mf_found_{self._loads}"
        self._session.load(name, rows)
        return name


def _unnamed(spec: PlanSpec, rows: int) -> PolicyError:
    return PolicyError(
        "local_state_unnamed",
        f"Sync {spec.identity.sync}: {rows} rows that left the model were delivered while the sync "
        "took nothing back, and their primary keys were not kept: no mirror can take them out.",
        hint="Let the model give those rows for one run, so that their keys are kept from then on; "
        "or forget the state with `mayfly state drop`, and take them out of the table yourself.",
    )
