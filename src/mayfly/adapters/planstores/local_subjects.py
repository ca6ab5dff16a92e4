"""One person in a local state: its model tells which rows are the person's, and what the state has
sealed tells those that left.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator

import pyarrow as pa
import pyarrow.compute as pc

from mayfly.adapters.planstores.local_digests import LocalDigests
from mayfly.adapters.planstores.reading import identifiers_now, key_fields, removed_columns
from mayfly.adapters.planstores.recognition import (
    SEALED_KEY,
    LocalState,
    key_digest,
    key_texts,
    keys_of_texts,
)
from mayfly.adapters.planstores.subjects import (
    SUBJECT,
    hashed_outside,
    identifier_batches,
    key_batches,
    not_held,
    recognised_rows,
)
from mayfly.planning.columns import model_keys
from mayfly.planning.names import STATE_TABLES, Names
from mayfly.planning.spec import PlanSpec, PlanWorker
from mayfly.planning.sql.dialect import TARGET, SqlDialect
from mayfly.planning.sql.duckdb import DuckdbDialect
from mayfly.ports.source import Source, SqlSession
from mayfly.ports.subjects import FoundSubject, Recognise

_TEXTS = "mf_subject_keys"


class LocalSubjects:
    """See `SubjectRows`.

    Args:
        source, sql: of the model; only read.
        database: of the state.
        names: of the state's tables in it.
        key: of the workspace, for local states.
    """

    def __init__(
        self,
        source: Source,
        sql: SqlDialect,
        database: Source,
        names: Names,
        key: Callable[[], bytes],
    ) -> None:
        self._source = source
        self._sql = sql
        self._database = database
        self._names = names
        self._key = key

    def find(self, spec: PlanSpec, recognise: Recognise, worker: PlanWorker) -> FoundSubject:
        """See `SubjectRows.find`."""
        with (
            self._database.session(write=False) as local,
            self._source.session(write=False) as session,
        ):
            look = _Look(self, local, session, spec, recognise, worker)
            look.mark()
            rows = look.rows()
            if spec.by_identifier:
                return FoundSubject(rows=rows, batches=identifier_batches(spec, look.pairs()))
            found = look.keys() if rows else pa.table({})
            batches = key_batches(spec, key_fields(spec), found, worker)
            return FoundSubject(rows=rows, batches=batches)

    def forget(self, spec: PlanSpec, recognise: Recognise, worker: PlanWorker) -> int:
        """See `SubjectRows.forget`."""
        with (
            self._database.session(write=True) as local,
            self._source.session(write=False) as session,
        ):
            _Look(self, local, session, spec, recognise, worker).mark()
            sql, match = DuckdbDialect(), (f"{SUBJECT} w", f"w.k0 = {TARGET}.k0")
            local.begin()
            counts = [
                local.execute(sql.delete_matched(self._names.of(kind), [match]))
                for kind in STATE_TABLES
            ]
            local.commit()
            # What was deleted is not to lie in the file's log.
            local.execute("CHECKPOINT")
            return counts[0]

    @property
    def digests(self) -> LocalDigests:
        """Made in the worker."""
        return LocalDigests(self._key())

    @property
    def names(self) -> Names:
        """Of the state's tables."""
        return self._names

    @property
    def sql(self) -> SqlDialect:
        """Of the source."""
        return self._sql


class _Look:
    """One look for a person, in open sessions of state and source."""

    def __init__(
        self,
        subjects: LocalSubjects,
        local: SqlSession,
        session: SqlSession,
        spec: PlanSpec,
        recognise: Recognise,
        worker: PlanWorker,
    ) -> None:
        self._local = local
        self._session = session
        self._spec = spec
        self._recognise = recognise
        self._worker = worker
        self._sql = subjects.sql
        self._names = subjects.names
        self._digests = subjects.digests
        self._texts: dict[bytes, list[str]] = {}

    def mark(self) -> None:
        """Put the keys of the person's rows, as the state has them, into a temporary table."""
        found = {*self._of_model(), *self._of_pairs()}
        found |= {*self._of_sealed_keys(found)}
        self._local.load(SUBJECT, pa.table({"k0": pa.array(sorted(found), pa.binary())}))

    def rows(self) -> int:
        """How many of them the state has."""
        state = LocalState(session=self._local, names=self._names)
        return state.number(
            f"SELECT count(*) AS n FROM {self._names.of('state')} s JOIN {SUBJECT} w ON w.k0 = s.k0"
        )

    def pairs(self) -> pa.Table:
        """Delivered identifiers, unsealed, as `SubjectRows.find` says."""
        pairs = self._names.of("pairs")
        mine = self._local.table(
            f"SELECT DISTINCT p.field, p.digest FROM {pairs} p JOIN {SUBJECT} w ON w.k0 = p.k0"
        )
        others = self._local.table(
            f"SELECT DISTINCT p.field, p.digest FROM {pairs} p "
            f"WHERE p.k0 NOT IN (SELECT k0 FROM {SUBJECT}) AND (p.field, p.digest) IN "
            f"(SELECT (q.field, q.digest) FROM {pairs} q JOIN {SUBJECT} w ON w.k0 = q.k0)"
        )
        return not_held(self._unsealed(mine), self._unsealed(others), self._recognise)

    def keys(self) -> pa.Table:
        """The fields that carry the primary key, as f0, f1 …, of rows that the state has."""
        fields = key_fields(self._spec)
        known = self._local.table(
            f"SELECT s.k0 AS k FROM {self._names.of('state')} s JOIN {SUBJECT} w ON w.k0 = s.k0"
        )
        texts = [self._texts[k] for k in known.column("k").to_pylist() if k in self._texts]
        if not texts or not fields:
            return pa.table({})
        columns = {f"t{i}": pa.array([t[i] for t in texts]) for i in range(len(self._spec.keys))}
        self._session.load(_TEXTS, pa.table(columns))
        wanted = ", ".join(removed_columns(self._sql, self._spec, fields))
        keys = f"SELECT {keys_of_texts(self._spec, self._sql)} FROM {_TEXTS}"
        return self._session.table(f"SELECT {wanted} FROM ({keys}) AS q")

    def _of_model(self) -> Iterator[bytes]:
        """Rows that the model has now."""
        spec, sql = self._spec, self._sql
        now = identifiers_now(sql, spec)
        made = ", ".join([*model_keys(spec, sql), *(f"{v} AS {n}" for n, v in now.items())])
        texts = ", ".join(key_texts(spec, sql))
        columns = "".join(f", {n}" for n in now)
        if len(spec.keys) == 1:
            columns += f", {sql.sha256(sql.render('k0', spec.keys[0].arrow_type))} AS sk"
        query = (
            f"SELECT {texts}, {key_digest(spec, sql)} AS kd{columns} "
            f"FROM (SELECT {made} FROM ({spec.model_sql}) AS mf_m) AS mf_k"
        )
        for piece in self._session.stream(query):
            table = hashed_outside(pa.Table.from_batches([piece]), spec, self._worker)
            mine = recognised_rows(table, self._recognise)
            if mine.num_rows:
                names = self._digests.rows(mine.column("kd")).to_pylist()
                parts = [mine.column(f"t{i}").to_pylist() for i in range(len(spec.keys))]
                self._texts |= {n: list(t) for n, *t in zip(names, *parts, strict=True)}
                yield from names

    def _of_pairs(self) -> Iterator[bytes]:
        """Rows with an identifier that was delivered, whether or not the model has them now."""
        if not self._spec.by_identifier:
            return
        for piece in self._local.stream(f"SELECT k0, field, digest FROM {self._names.of('pairs')}"):
            rows = self._unsealed(pa.Table.from_batches([piece]))
            mine = self._recognise(rows.column("digest").combine_chunks())
            yield from rows.filter(mine).column("k0").to_pylist()

    def _of_sealed_keys(self, found: set[bytes]) -> Iterator[bytes]:
        """Rows whose primary key the state has sealed, where they were asked for by it; of those
        that were found already the key is noted.
        """
        state = LocalState(session=self._local, names=self._names)
        if len(self._spec.keys) > 1 or not state.has_keys():
            return
        query = (
            f"SELECT k0, {SEALED_KEY} FROM {self._names.of('state')} WHERE {SEALED_KEY} IS NOT NULL"
        )
        for piece in self._local.stream(query):
            [texts] = self._digests.unseal_keys(piece.column(SEALED_KEY), 1)
            names = piece.column("k0").to_pylist()
            made = [hashlib.sha256(text.encode()).digest() for text in texts.to_pylist()]
            mine = self._recognise(pa.array(made, pa.binary())).to_pylist()
            for name, text, is_mine in zip(names, texts.to_pylist(), mine, strict=True):
                if is_mine or name in found:
                    self._texts.setdefault(name, [text])
                    yield name

    def _unsealed(self, pairs: pa.Table) -> pa.Table:
        """Each field's digests were sealed under its name."""
        parts = [pairs.slice(0, 0)]
        for name in dict.fromkeys(pairs.column("field").to_pylist()):
            of_field = pairs.filter(pc.equal(pairs.column("field"), name))
            digests = of_field.column("digest").combine_chunks().cast(pa.binary())
            position = of_field.schema.get_field_index("digest")
            clear = self._digests.sealer.unseal(digests, name)
            parts.append(of_field.set_column(position, "digest", clear))
        return pa.concat_tables(parts, promote_options="permissive")
