"""One person in a local state: its model tells which rows are the person's, and what the state has
sealed tells those that left.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace

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
from mayfly.adapters.planstores.subject_copies import OpenCopies, open_copies
from mayfly.adapters.planstores.subjects import (
    SUBJECT,
    consent_now,
    hashed_outside,
    identifier_batches,
    key_batches,
    not_held,
    recognised_rows,
    state_counts,
)
from mayfly.planning.columns import model_keys
from mayfly.planning.names import STATE_TABLES, Names
from mayfly.planning.numbering import identifiers
from mayfly.planning.spec import PlanSpec, PlanWorker
from mayfly.planning.sql.dialect import TARGET, SqlDialect
from mayfly.planning.sql.duckdb import DuckdbDialect
from mayfly.ports.source import Source, SqlSession
from mayfly.ports.subjects import FoundSubject, PlannedSubject, Recognise, SubjectStanding

_TEXTS, _ASKED = "mf_subject_keys", "mf_subject_asked"


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

    def standing(
        self, spec: PlanSpec, recognise: Recognise, worker: PlanWorker, *, kept: bool
    ) -> SubjectStanding:
        """See `SubjectRows.standing`."""
        with ExitStack() as opened:
            session = opened.enter_context(self._source.session(write=False))
            local = opened.enter_context(self._database.session(write=False)) if kept else None
            look = _Look(self, local, session, spec, recognise, worker)
            look.mark()
            consent = look.consent()
            if local is None:
                return SubjectStanding(consent=consent)
            # One keyed digest is the key there.
            keyed = replace(spec, keys=spec.keys[:1])
            counts = state_counts(local, DuckdbDialect(), keyed, self._names)
            return replace(counts, consent=consent)

    def forget(self, spec: PlanSpec, recognise: Recognise, worker: PlanWorker) -> int:
        """See `SubjectRows.forget`."""
        with (
            self._database.session(write=True) as local,
            self._source.session(write=False) as session,
        ):
            _Look(self, local, session, spec, recognise, worker).mark()
            sql, match = DuckdbDialect(), (f"{SUBJECT} w", f"w.k0 = {TARGET}.k0")
            copies = self.copies(local, spec)
            local.begin()
            if copies is not None:
                copies.take_out()
            counts = [
                local.execute(sql.delete_matched(self._names.of(kind), [match]))
                for kind in STATE_TABLES
            ]
            local.commit()
            # What was deleted is not to lie in the file's log.
            local.execute("CHECKPOINT")
            return counts[0]

    def planned(
        self, spec: PlanSpec, recognise: Recognise, worker: PlanWorker
    ) -> PlannedSubject | None:
        """See `SubjectRows.planned`."""
        with (
            self._database.session(write=False) as local,
            self._source.session(write=False) as session,
        ):
            copies = self.copies(local, spec)
            if copies is None:
                return None
            _Look(self, local, session, spec, recognise, worker).mark()
            return copies.planned()

    def copies(self, local: SqlSession, spec: PlanSpec) -> OpenCopies | None:
        """Those of the open plan; one keyed digest is the key there."""
        keyed = replace(spec, keys=spec.keys[:1])
        return open_copies(local, DuckdbDialect(), self._names, keyed, subject=SUBJECT)

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
        local: SqlSession | None,
        session: SqlSession,
        spec: PlanSpec,
        recognise: Recognise,
        worker: PlanWorker,
    ) -> None:
        self._kept = local
        self._session = session
        self._spec = spec
        self._recognise = recognise
        self._worker = worker
        self._sql = subjects.sql
        self._names = subjects.names
        self._digests = subjects.digests
        self._texts: dict[bytes, list[str]] = {}
        self._copies = None if local is None else subjects.copies(local, spec)

    def mark(self) -> None:
        """Put the keys of the person's rows, as the state has them, into a temporary table."""
        found = {*self._of_model()}
        if self._kept is None:
            return
        found |= {*self._of_pairs(), *self._of_plan()}
        found |= {*self._of_sealed_keys(found)}
        self._local.load(SUBJECT, pa.table({"k0": pa.array(sorted(found), pa.binary())}))

    @property
    def _local(self) -> SqlSession:
        if self._kept is None:
            raise AssertionError("there is no state")
        return self._kept

    def consent(self) -> Mapping[str, int]:
        """See `consent_now`."""
        texts = list(self._texts.values())
        if not texts:
            return {}
        columns = {f"t{i}": pa.array([t[i] for t in texts]) for i in range(len(self._spec.keys))}
        self._session.load(_ASKED, pa.table(columns))
        keys = f"(SELECT {keys_of_texts(self._spec, self._sql)} FROM {_ASKED})"
        return consent_now(self._session, self._sql, self._spec, keys)

    def rows(self) -> int:
        """How many of them the state has."""
        state = LocalState(session=self._local, names=self._names)
        return state.number(
            f"SELECT count(*) AS n FROM ({self._known()}) s JOIN {SUBJECT} w ON w.k0 = s.k0"
        )

    def _known(self) -> str:
        """Query of rows that the destination was told of: of the state, and sent by its plan."""
        sent = f" UNION SELECT k0 FROM {self._copies.sent} p" if self._copies else ""
        return f"SELECT k0 FROM {self._names.of('state')}{sent}"

    def pairs(self) -> pa.Table:
        """Delivered identifiers, unsealed, as `SubjectRows.find` says."""
        known = f"SELECT k0, field, digest FROM {self._names.of('pairs')}"
        sent = self._copies.pairs() if self._copies else ""
        pairs = f"({known} UNION ALL {sent})" if sent else f"({known})"
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
            f"SELECT s.k0 AS k FROM ({self._known()}) s JOIN {SUBJECT} w ON w.k0 = s.k0"
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

    def _of_plan(self) -> Iterator[bytes]:
        """Rows that are planned: what the suppression list is compared with stands there sealed,
        each column under its own name, and identifiers under that of their field.
        """
        if self._copies is None:
            return
        plan = self._copies.names.of("plan")
        there = self._local.table(f"SELECT * FROM {plan} LIMIT 0").column_names
        sealed = {c: c for c in there if c == "ck" or (c[0] == "c" and c[1:].isdigit())}
        sealed |= {f"v{i}": field.name for i, field in identifiers(self._copies.spec)}
        for piece in self._local.stream(f"SELECT {', '.join(['k0', *sealed])} FROM {plan}"):
            rows = pa.Table.from_batches([piece])
            mine = pa.repeat(pa.scalar(False, pa.bool_()), rows.num_rows)
            for column, name in sealed.items():
                digests = rows.column(column).combine_chunks().cast(pa.binary())
                mine = pc.or_(mine, self._recognise(self._digests.sealer.unseal(digests, name)))
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
