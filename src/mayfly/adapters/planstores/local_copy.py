"""From a plan in temporary tables of the source to its local working copies.

Keyed digests and sealed identifiers go to the state's database, for closing; rows go to sealed
files, for reading.
"""

from __future__ import annotations

import pyarrow as pa

from mayfly.adapters.planstores.local_digests import LocalDigests
from mayfly.adapters.planstores.local_held import compared_digests
from mayfly.adapters.planstores.local_rows import SealedRows
from mayfly.adapters.planstores.make import PlanPlace
from mayfly.adapters.planstores.recognition import (
    SEALED_KEY,
    LocalState,
    Recognition,
    keeps_keys,
    key_digest,
    key_texts,
    takes_back_left,
)
from mayfly.domain.batch import Operation, SyncMode
from mayfly.planning.columns import key_list, same_key, value_fields
from mayfly.planning.numbering import OUT, identifiers
from mayfly.planning.spec import URGENT, BatchInfo, Plan, RowClass
from mayfly.planning.sql.dialect import literal

_ABSENT = (RowClass.WITHDRAWN, RowClass.UNKNOWN, RowClass.SUPPRESSED, RowClass.NO_IDENTIFIER)

_WITHDRAWN = (RowClass.WITHDRAWN, RowClass.SUPPRESSED)


class LocalCopy:
    """Writes the working copies of one plan, within a transaction of the state's database.

    Args:
        place: of the plan.
        digests: made in the worker.
        rows: takes the sealed rows.
        state: open for writing.
        holds: whether the plan may go on without its run; see `local_held`.
    """

    def __init__(
        self,
        place: PlanPlace,
        digests: LocalDigests,
        rows: SealedRows,
        state: LocalState,
        *,
        holds: bool,
    ) -> None:
        self._session = place.session
        self._sql = place.sql
        self._spec = place.spec
        self._names = place.names
        self._digests = digests
        self._rows = rows
        self._state = state
        self._compared = compared_digests(place.spec, place.sql) if holds else {}
        self._loads = 0

    def write(self, plan: Plan, recognition: Recognition, *, left: bool) -> None:
        """All of it.

        Args:
            plan: whose tables are in the session.
            recognition: of the state.
            left: whether rows that are not in the model any more are told.
        """
        for statement in self._create(plan):
            self._state.session.execute(statement)
        self._rows.begin(self._spec.run)
        for info in plan.batches:
            if info.operation is not Operation.REMOVE:
                self._planned(info)
            elif self._spec.by_identifier:
                self._removed_identifiers(info)
            else:
                self._removed_keys(info)
        if self._spec.by_identifier:
            self._gone(recognition)
        if self._spec.by_identifier and self._spec.only_withdrawals:
            self._holders()
        if self._spec.mode is not SyncMode.APPEND:
            self._absent(recognition.left() if left else None)
        if not self._spec.only_withdrawals:
            self._refreshed()
        if keeps_keys(self._spec):
            self._name(recognition)

    def _create(self, plan: Plan) -> list[str]:
        n = self._state.names
        values = "".join(f", v{i} BLOB" for i, _ in identifiers(self._spec))
        values += "".join(f", {name} BLOB" for name in self._compared)
        key = f", {SEALED_KEY} BLOB" if keeps_keys(self._spec) else ""
        statements = [
            f"CREATE TABLE {n.of('plan')} "
            f"(batch integer, pos integer, k0 BLOB, fp BLOB, out BLOB{values}{key})",
            f"CREATE TABLE {n.of('drop')} "
            "(batch integer, pos integer, field VARCHAR, digest BLOB, k0 BLOB)",
            f"CREATE TABLE {n.of('gone')} (k0 BLOB, field VARCHAR, digest BLOB)",
            f"CREATE TABLE {n.of('scan')} (k0 BLOB, c smallint, fp BLOB{key})",
            f"CREATE TABLE {n.of('batches')} "
            "(batch integer, op VARCHAR, field VARCHAR, size bigint)",
        ]
        for b in plan.batches:
            field = "NULL" if b.identifier is None else literal(b.identifier)
            statements.append(
                f"INSERT INTO {n.of('batches')} "
                f"VALUES ({b.number}, {literal(b.operation.value)}, {field}, {b.rows})"
            )
        return statements

    def _planned(self, info: BatchInfo) -> None:
        spec = self._spec
        values = [f"v{i}" for i, _ in value_fields(spec)]
        columns = ["pos", *key_texts(spec, self._sql), *values]
        columns += [f"{key_digest(spec, self._sql)} AS kd", "fp", self._sql.quote(OUT)]
        columns += [f"{value} AS {name}" for name, (_, value) in self._compared.items()]
        found = self._session.table(
            f"SELECT {', '.join(columns)} FROM {self._names.of('plan')} WHERE batch = {info.number}"
        )
        self._rows.put(info.number, found.drop_columns(["kd", "fp", "out", *self._compared]))
        keys = found.column("kd")
        made = {
            "k0": self._digests.rows(keys),
            "fp": self._digests.values(found.column("fp"), keys),
            "out": self._digests.values(found.column("out"), keys),
        }
        for i, field in identifiers(spec):
            digests = found.column(f"v{i}").combine_chunks()
            made[f"v{i}"] = self._digests.sealer.seal(digests, field.name)
        for name in self._compared:
            digests = found.column(name).combine_chunks().cast(pa.binary())
            made[name] = self._digests.sealer.seal(digests, name)
        if keeps_keys(spec):
            texts = [found.column(f"t{i}") for i, _ in enumerate(spec.keys)]
            made[SEALED_KEY] = self._digests.seal_keys(texts)
        self._insert("plan", self._numbered(info, found) | made)

    def _removed_identifiers(self, info: BatchInfo) -> None:
        name = info.identifier or ""
        found = self._session.table(
            f"SELECT pos, digest FROM {self._names.of('drop')} WHERE batch = {info.number}"
        )
        self._rows.put(info.number, found)
        digests = found.column("digest").combine_chunks()
        made = {
            "field": pa.array([name] * found.num_rows, pa.string()),
            "digest": self._digests.sealer.seal(digests, name),
        }
        self._insert("drop", self._numbered(info, found) | made)

    def _removed_keys(self, info: BatchInfo) -> None:
        spec = self._spec
        columns = ["pos", *key_texts(spec, self._sql), f"{key_digest(spec, self._sql)} AS kd"]
        found = self._session.table(
            f"SELECT {', '.join(columns)} FROM {self._names.of('drop')} WHERE batch = {info.number}"
        )
        self._rows.put(info.number, found.drop_columns(["kd"]))
        made = {"k0": self._digests.rows(found.column("kd"))}
        self._insert("drop", self._numbered(info, found) | made)

    def _gone(self, recognition: Recognition) -> None:
        whole = not self._spec.only_withdrawals
        if whole and takes_back_left(self._spec):
            # Those of rows that left stand in the session as nobody's.
            local = self._state.names
            self._state.session.execute(
                f"INSERT INTO {local.of('gone')} SELECT k0, field, digest "
                f"FROM {local.of('pairs')} WHERE {recognition.unseen()}"
            )
        keys, gone = key_digest(self._spec, self._sql), f"{self._names.of('gone')} g"
        if not whole:
            scan, same = self._names.of("scan"), same_key(self._spec, "g", "s")
            columns = f"{key_list(self._spec, 'g')}, g.field, g.digest"
            where = f"s.c IN ({', '.join(str(int(c)) for c in URGENT)})"
            gone = f"(SELECT {columns} FROM {gone} JOIN {scan} s ON {same} WHERE {where}) AS mf_u"
        for _, field in identifiers(self._spec):
            query = (
                f"SELECT {keys} AS kd, digest FROM {gone} "
                f"WHERE field = {self._sql.literal(field.name)} AND k0 IS NOT NULL"
            )
            for piece in self._session.stream(query):
                made = {
                    "k0": self._digests.rows(piece.column("kd")),
                    "field": pa.array([field.name] * piece.num_rows, pa.string()),
                    "digest": self._digests.sealer.seal(piece.column("digest"), field.name),
                }
                self._insert("gone", made)

    def _holders(self) -> None:
        """Whoever holds an identifier that is taken out: see `NumberingSql.keep_withdrawals`. They
        want it no more, so that nobody's pair of it is forgotten before it is out.
        """
        names, session = self._state.names, self._state.session
        held = (
            f"FROM {names.of('pairs')} p WHERE EXISTS (SELECT 1 FROM {names.of('drop')} d "
            f"WHERE d.field = p.field AND d.digest = p.digest)"
        )
        session.execute(
            f"INSERT INTO {names.of('scan')} (k0, c) "
            f"SELECT DISTINCT p.k0, {int(RowClass.WITHDRAWN)} {held}"
        )
        session.execute(
            f"INSERT INTO {names.of('gone')} SELECT p.k0, p.field, p.digest {held} AND NOT EXISTS "
            f"(SELECT 1 FROM {names.of('gone')} g WHERE g.k0 = p.k0 AND g.field = p.field "
            f"AND g.digest = p.digest)"
        )

    def _absent(self, left: str | None) -> None:
        """Rows that count as delivered no more, once the plan is closed."""
        if left is not None:
            self._state.session.execute(
                f"INSERT INTO {self._state.names.of('scan')} (k0, c) "
                f"SELECT k0, {int(RowClass.LEFT)} FROM ({left}) AS mf_l"
            )
        absent = _WITHDRAWN if self._spec.only_withdrawals else _ABSENT
        classes = ", ".join(str(int(c)) for c in absent)
        query = (
            f"SELECT {key_digest(self._spec, self._sql)} AS kd, c FROM {self._names.of('scan')} "
            f"WHERE c IN ({classes})"
        )
        for piece in self._session.stream(query):
            made = {"k0": self._digests.rows(piece.column("kd")), "c": piece.column("c")}
            self._insert("scan", made)

    def _refreshed(self) -> None:
        """Rows that leave as they were delivered, from other source values or by another rule."""
        query = (
            f"SELECT {key_digest(self._spec, self._sql)} AS kd, c, fp "
            f"FROM {self._names.of('scan')} WHERE c = {int(RowClass.REFRESHED)}"
        )
        for piece in self._session.stream(query):
            keys = piece.column("kd")
            made = {
                "k0": self._digests.rows(keys),
                "c": piece.column("c"),
                "fp": self._digests.values(piece.column("fp"), keys),
            }
            self._insert("scan", made)

    def _name(self, recognition: Recognition) -> None:
        """Sealed primary keys of rows that were delivered without, and of those looked at again,
        which closing takes out of the scan.
        """
        names, session = self._state.names, self._state.session
        state, scan = names.of("state"), names.of("scan")
        for keys, texts in recognition.unnamed():
            self._loads += 1
            made = {"k": keys, "s": self._digests.seal_keys(texts)}
            session.load(f"mf_in_{self._loads}", pa.table(made))
            session.execute(
                f"UPDATE {state} SET {SEALED_KEY} = w.s FROM mf_in_{self._loads} w "
                f"WHERE {state}.k0 = w.k"
            )
        session.execute(
            f"UPDATE {scan} SET {SEALED_KEY} = s.{SEALED_KEY} FROM {state} s "
            f"WHERE s.k0 = {scan}.k0 AND c = {int(RowClass.REFRESHED)}"
        )

    def _numbered(self, info: BatchInfo, found: pa.Table) -> dict[str, pa.Array]:
        return {
            "batch": pa.array([info.number] * found.num_rows, pa.int64()),
            "pos": found.column("pos").cast(pa.int64()),
        }

    def _insert(self, kind: str, columns: dict[str, pa.Array]) -> None:
        self._loads += 1
        name = f"mf_in_{self._loads}"
        names = ", ".join(columns)
        self._state.session.load(name, pa.table(columns))
        self._state.session.execute(
            f"INSERT INTO {self._state.names.of(kind)} ({names}) SELECT {names} FROM {name}"
        )
        self._state.session.execute(f"DROP TABLE {name}")
