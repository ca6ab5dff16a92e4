"""Requests that carry people to Meta: the fields they may hold, their parts and their bodies.

Nothing here calls anything; `meta_ads` sends what is built here.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from mayfly.domain.batch import BatchHead
from mayfly.domain.errors import ContractError, IntegrityError
from mayfly.domain.outcomes import OutcomeCode, Outcomes, Reason
from mayfly.ports.destination import FieldSpec, RequestLimits
from mayfly.privacy.gate import Form, ProtectedBatch


def _digest(name: str, kind: str, rule: str, *, identifier: bool = False) -> FieldSpec:
    return FieldSpec(
        name=name, kind=kind, form=Form.DIGEST, rule=("meta", rule), identifier=identifier
    )


FIELDS = (
    _digest("EMAIL", "email", "email", identifier=True),
    _digest("PHONE", "phone", "phone", identifier=True),
    FieldSpec(
        name="MADID",
        kind="device_id",
        form=Form.CLEAR,
        rule=("meta", "madid"),
        identifier=True,
    ),
    FieldSpec(name="EXTERN_ID", kind="opaque_id", form=Form.PSEUDONYM, identifier=True),
    _digest("FN", "first_name", "first_name"),
    _digest("LN", "last_name", "last_name"),
    _digest("FI", "first_name", "first_initial"),
    _digest("CT", "city", "city"),
    _digest("ST", "region", "state"),
    _digest("ZIP", "postal_code", "zip"),
    _digest("COUNTRY", "country", "country"),
    _digest("GEN", "gender", "gender"),
    _digest("DOBY", "date_of_birth", "dob_year"),
    _digest("DOBM", "date_of_birth", "dob_month"),
    _digest("DOBD", "date_of_birth", "dob_day"),
)
LIMITS = RequestLimits(rows_max=10_000, bytes_max=16_000_000)
IDENTIFIERS = tuple(f.name for f in FIELDS if f.identifier)
_FORMS = {f.name: f.form for f in FIELDS}
# Scalars with their types: of a bare Python value Arrow finds the type out, at every call, by
# looking for a module on the disk.
_FALSE = pa.scalar(False, pa.bool_())
_EMPTY, _CELLS, _ROWS = (pa.scalar(text, pa.string()) for text in ("", '","', '"],["'))


@dataclass(frozen=True, kw_only=True)
class Session:
    """Where a request stands among those of its batch; Meta's own bookkeeping."""

    number: int
    sequence: int
    last: bool
    rows: int


@dataclass(frozen=True, kw_only=True)
class Part:
    """Rows of one request.

    Args:
        first: number of its first row in the batch.
        rows: how many rows of the batch it answers for.
        sent: int64, numbers in the batch of those rows that have an identifier.
    """

    first: int
    rows: int
    sent: pa.Array

    def after(self, row: int) -> Part:
        """The rows from `row` on; all of them where it lies before."""
        first = min(max(self.first, row), self.first + self.rows)
        sent = self.sent.filter(pc.greater_equal(self.sent, _int64(first)))
        return Part(first=first, rows=self.first + self.rows - first, sent=sent)


@dataclass(frozen=True, kw_only=True)
class Request:
    """Rows of one request, and which of its batch's requests it is."""

    part: Part
    session: Session


def requests_of(rows: pa.Table, head: BatchHead, next_row: int) -> list[Request]:
    """The requests of a batch that hold rows from `next_row` on."""
    parts = cut(rows, LIMITS.rows_max)
    sessions = sum(1 for part in parts if len(part.sent))
    found = []
    sequence = 0
    for part in parts:
        sequence += 1 if len(part.sent) else 0
        left = part.after(next_row)
        if left.rows:
            session = Session(
                number=session_id(head, sessions),
                sequence=sequence,
                last=sequence == sessions,
                rows=rows.num_rows,
            )
            found.append(Request(part=left, session=session))
    return found


class Bodies:
    """The bodies of requests in order: while one is on its way, the next is made in a thread."""

    def __init__(self, people: People, requests: Sequence[Request]) -> None:
        self._people = people
        self._left = iter(requests)
        self._upcoming = self._start()

    async def next(self) -> bytes:
        """The next request's body."""
        body = await self._upcoming if self._upcoming is not None else b""
        self._upcoming = self._start()
        return body

    def forget(self) -> None:
        """What is still being made is not wanted any more."""
        if self._upcoming is not None:
            self._upcoming.cancel()

    def _start(self) -> asyncio.Future[bytes] | None:
        request = next(self._left, None)
        if request is None:
            return None
        return asyncio.ensure_future(asyncio.to_thread(self._body, request))

    def _body(self, request: Request) -> bytes:
        people = self._people
        return users_body(people.of(request.part), request.session, hex_text=people.hex_text)


def _int32(number: int) -> pa.Scalar:
    return pa.scalar(number, pa.int32())


def _int64(number: int) -> pa.Scalar:
    return pa.scalar(number, pa.int64())


def session_id(head: BatchHead, requests: int) -> int:
    """Twelve digits for one batch of one run: batches go in any order, and none shares a session.

    Longer numbers could pass for a card number in a scan of what left. The number of requests is
    part of it, so that a part of a batch has a session of its own.
    """
    text = f"{head.run}\x00{head.number}\x00{head.operation}\x00{head.identifier}\x00{requests}"
    digest = hashlib.sha256(text.encode()).digest()
    return int.from_bytes(digest[:8], "big") % 10**12 or 1


class People:
    """The rows of a batch, in the columns and forms that Meta takes.

    Args:
        batch: that passed the gate.
        schema: Meta's fields in the order of the request.

    Raises:
        IntegrityError: `wrong_form`: a column is not in the form its field may leave in.
        ContractError: `columns_mismatch`.
    """

    def __init__(self, batch: ProtectedBatch, schema: Sequence[str]) -> None:
        if set(batch.rows.column_names) != set(schema):
            raise ContractError("columns_mismatch", "A batch has other columns than its sync.")
        for name, form in batch.forms.items():
            if _FORMS.get(name) is not form:
                raise IntegrityError("wrong_form", f"{name} is not in the form Meta's field takes.")
        self._batch = batch
        self._schema = list(schema)

    @property
    def hex_text(self) -> frozenset[str]:
        """Columns that hold digests and pseudonyms: as text they are hex."""
        return frozenset(n for n, form in self._batch.forms.items() if form is not Form.CLEAR)

    def requests(self, next_row: int) -> list[Request]:
        """Those that hold rows from `next_row` on."""
        return requests_of(self._batch.rows, self._batch.head, next_row)

    def of(self, part: Part) -> pa.Table:
        """The rows of one request as text in the schema's order, nulls kept."""
        rows = self._batch.rendered(part.first, part.rows).select(self._schema)
        text = rows.cast(pa.schema([(name, pa.string()) for name in self._schema]))
        whole = len(part.sent) == part.rows
        return text if whole else text.take(pc.subtract(part.sent, _int64(part.first)))


def cut(rows: pa.Table, rows_max: int) -> list[Part]:
    """Requests of at most `rows_max` rows, always at the same places. Pure."""
    known = pa.repeat(_FALSE, rows.num_rows)
    for name in rows.column_names:
        if name in IDENTIFIERS:
            filled = pc.greater(pc.binary_length(rows.column(name)), _int32(0))
            known = pc.or_(known, pc.fill_null(filled, _FALSE).combine_chunks())
    numbers = pc.indices_nonzero(known).cast(pa.int64())
    parts = []
    for first in range(0, rows.num_rows, rows_max):
        count = min(rows_max, rows.num_rows - first)
        inside = pc.and_(
            pc.greater_equal(numbers, _int64(first)), pc.less(numbers, _int64(first + count))
        )
        parts.append(Part(first=first, rows=count, sent=numbers.filter(inside)))
    return parts


def users_body(
    rows: pa.Table, session: Session, *, hex_text: Collection[str] = frozenset()
) -> bytes:
    """Columns of one request as Meta's JSON, the empty string where a value is null. Pure.

    Whole columns are joined, without a Python object per value.

    Args:
        rows: text.
        session: of the request.
        hex_text: columns that hold nothing but hex, which needs no escape.
    """
    head = orjson.dumps(
        {
            "session_id": session.number,
            "batch_seq": session.sequence,
            "last_batch_flag": session.last,
            "estimated_num_total": session.rows,
        }
    )
    columns = [
        _filled(rows.column(name), is_hex=name in hex_text).combine_chunks()
        for name in rows.column_names
    ]
    opened, closed = (b'["', b'"]') if rows.num_rows else (b"", b"")
    schema = orjson.dumps(rows.column_names)
    begin = b'{"session":%b,"payload":{"schema":%b,"data":[%b' % (head, schema, opened)
    return b"".join([begin, _joined(columns), closed, b"]}}"])


def _filled(column: pa.ChunkedArray, *, is_hex: bool) -> pa.ChunkedArray:
    """Text as it stands between the quotes of JSON, the empty one where a value is null."""
    filled = pc.fill_null(column, _EMPTY) if column.null_count else column
    return filled if is_hex or not _needs_escape(filled) else _escaped(filled)


def _needs_escape(column: pa.ChunkedArray) -> bool:
    """Whether a value is longer as JSON than as it is."""
    whole = pa.ListArray.from_arrays(
        pa.array([0, len(column)], pa.int32()), column.combine_chunks()
    )
    text = str(pc.binary_join(whole, _EMPTY)[0].as_buffer(), "utf-8")
    return len(orjson.dumps(text)) != len(text.encode()) + 2


def _joined(columns: Sequence[pa.Array]) -> memoryview:
    """Cells as they stand between the first quote and the last."""
    if not columns or not len(columns[0]):
        return memoryview(b"")
    cells = [part for column in columns for part in (column, _CELLS)]
    lines = pc.binary_join_element_wise(*cells[:-1], _ROWS, _EMPTY)
    # Arrow keeps the values of a column one behind the other: nothing needs to be joined again.
    _, places, text = lines.buffers()
    written = memoryview(places).cast("i")[len(lines)]
    return memoryview(text)[: written - len(_ROWS.as_py())]


def _escaped(column: pa.ChunkedArray) -> pa.ChunkedArray:
    values = [orjson.dumps(value)[1:-1].decode() for value in column.to_pylist()]
    return pa.chunked_array([pa.array(values, pa.string())])


def spread(part: Part, answered: Outcomes) -> Outcomes:
    """Outcomes of the rows sent, with a rejection for each row that was not. Pure."""
    if len(answered) == part.rows:
        return answered
    values = [int(OutcomeCode.REJECTED)] * part.rows
    reasons = dict.fromkeys(range(part.rows), Reason(code="no_identifier"))
    for place, (row, code) in enumerate(
        zip(part.sent.to_pylist(), answered.codes.to_pylist(), strict=True)
    ):
        values[row - part.first] = code
        del reasons[row - part.first]
        if place in answered.reasons:
            reasons[row - part.first] = answered.reasons[place]
    return Outcomes(codes=pa.array(values, pa.uint8()), reasons=reasons)
