"""Requests that carry people to The Trade Desk: fields, groups of rows, items and bodies.

An item holds one identifier, so that a row makes as many items as it has identifiers. E-mails and
phones are digests here and UID2s or EUIDs in the items. Nothing here calls anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from mayfly.connectors.json_columns import Constant, Object, Shape, array_of, plain, rows_of
from mayfly.connectors.uid2 import ITEMS_MAX, RAW_ID, Identities, Kind, Scope
from mayfly.domain.errors import ContractError, IntegrityError
from mayfly.ports.destination import FieldSpec, RequestLimits
from mayfly.privacy.gate import Form, ProtectedBatch

_PLATFORM = "the-trade-desk"


def _digest(name: str, kind: Literal["email", "phone"]) -> FieldSpec:
    return FieldSpec(
        name=name, kind=kind, form=Form.DIGEST, rule=(_PLATFORM, kind), identifier=True
    )


def _raw(name: str) -> FieldSpec:
    return FieldSpec(
        name=name,
        kind="none",
        form=Form.CLEAR,
        identifier=True,
        shape=RAW_ID,
        keeps_case=True,
    )


# Ids of theirs have a class of their own: a column of one's own ids is none of them, whatever it
# looks like.
FIELDS = (
    _digest("EMAIL", "email"),
    _digest("PHONE", "phone"),
    FieldSpec(name="TDID", kind="none", form=Form.CLEAR, identifier=True),
    FieldSpec(name="DAID", kind="device_id", form=Form.CLEAR, identifier=True),
    _raw("UID2"),
    _raw("EUID"),
)
MAPPED: Mapping[str, Kind] = {"EMAIL": "email_hash", "PHONE": "phone_hash"}
"""Fields that leave for the operator first, and what it calls them."""
# The most bytes is what an integrator sends; the number of items that of the vendor's own
# integration for Databricks. Neither is published as a limit.
LIMITS = RequestLimits(rows_max=1_600, bytes_max=2_500_000)
_FORMS = {f.name: f.form for f in FIELDS}
_NAMES = tuple(_FORMS)


@dataclass(frozen=True, kw_only=True, eq=False)
class Column:
    """One identifier of neighbouring rows, as The Trade Desk names and takes it.

    Args:
        key: of an item.
        current: text; null where a row has none, or none that can be sent.
        identities: what the operator said, for those that were mapped.
    """

    key: str
    current: pa.Array
    identities: Identities | None = None

    def part(self, first: int, rows: int) -> Column:
        """Some neighbouring rows."""
        identities = None if self.identities is None else self.identities.part(first, rows)
        return Column(key=self.key, current=self.current.slice(first, rows), identities=identities)


@dataclass(frozen=True, kw_only=True, eq=False)
class Items:
    """Items as JSON text, and the row that each is of."""

    text: pa.Array
    rows: pa.Array

    def __len__(self) -> int:
        return len(self.text)


class People:
    """The rows of a batch, in the columns and forms that The Trade Desk takes.

    Args:
        batch: that passed the gate.
        scope: what e-mails and phones are mapped to.

    Raises:
        IntegrityError: `wrong_form`: a column is not in the form its field may leave in.
        ContractError: `columns_mismatch`.
    """

    def __init__(self, batch: ProtectedBatch, scope: Scope) -> None:
        for name, form in batch.forms.items():
            if name not in _FORMS:
                raise ContractError("columns_mismatch", "A batch has a column that is no field.")
            if _FORMS[name] is not form:
                raise IntegrityError("wrong_form", f"{name} is not in the form its field takes.")
        self._rows = batch.rows.select([name for name in _NAMES if name in batch.forms])
        self._key = scope.upper()

    def __len__(self) -> int:
        return int(self._rows.num_rows)

    def items_of_a_row(self, *, also_previous: bool) -> int:
        """How many there are at most; see `items`."""
        previous = sum(name in MAPPED for name in self._rows.column_names) if also_previous else 0
        return max(1, int(self._rows.num_columns) + previous)

    @property
    def group_rows(self) -> int:
        """How many rows the operator maps in one request."""
        mapped = sum(name in MAPPED for name in self._rows.column_names)
        return ITEMS_MAX // max(1, mapped)

    def digests(self, first: int, rows: int) -> dict[Kind, pa.Array]:
        """What of some neighbouring rows the operator has to map."""
        found = self._rows.slice(first, rows)
        return {
            kind: found.column(name).combine_chunks().cast(pa.binary())
            for name, kind in MAPPED.items()
            if name in found.column_names
        }

    def columns(self, first: int, rows: int, mapped: Mapping[Kind, Identities]) -> list[Column]:
        """The identifiers of some neighbouring rows, of which `digests` were mapped."""
        found = self._rows.slice(first, rows)
        made = []
        for name in found.column_names:
            if name in MAPPED:
                identities = mapped[MAPPED[name]]
                made.append(
                    Column(key=self._key, current=identities.current, identities=identities)
                )
            else:
                text = found.column(name).combine_chunks().cast(pa.string())
                made.append(Column(key=name, current=text))
        return made


def items(
    columns: Sequence[Column],
    only: pa.Array | None = None,
    *,
    data: Sequence[Mapping[str, object]] = (),
    also_previous: bool = False,
) -> Items:
    """One item for each identifier. Pure.

    Args:
        columns: of the same rows.
        only: bool, rows to make items of; by default all.
        data: of every item: segments with their time to live.
        also_previous: with an item for the identifier before, where the operator told one.
    """
    found = []
    for column in columns:
        found.append(_items(column.key, column.current, only, data))
        if also_previous and column.identities is not None:
            found.append(_items(column.key, column.identities.previous, only, data))
    nothing = Items(text=pa.array([], pa.string()), rows=pa.array([], pa.int64()))
    return Items(
        text=pa.concat_arrays([nothing.text, *(one.text for one in found)]),
        rows=pa.concat_arrays([nothing.rows, *(one.rows for one in found)]),
    )


def _items(
    key: str, values: pa.Array, only: pa.Array | None, data: Sequence[Mapping[str, object]]
) -> Items:
    there = pc.is_valid(values)
    rows = pc.indices_nonzero(there if only is None else pc.and_(there, only)).cast(pa.int64())
    fields: dict[str, Shape] = {key: plain(values.take(rows))}
    if data:
        fields["Data"] = Constant(list(data))
    return Items(text=rows_of(Object(fields), len(rows)), rows=rows)


def body(head: Mapping[str, object], people: Items) -> bytes:
    """A request's JSON. Pure.

    Args:
        head: its members beside `Items`, at least one.
        people: its items.
    """
    return b"".join([orjson.dumps(head)[:-1], b',"Items":', array_of(people.text), b"}"])
