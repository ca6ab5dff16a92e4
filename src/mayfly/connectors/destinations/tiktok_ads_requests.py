"""Rows as the members of a TikTok audience, a column at a time. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from mayfly.connectors.json_columns import array_of
from mayfly.domain.errors import ContractError, IntegrityError
from mayfly.ports.destination import FieldSpec, RequestLimits
from mayfly.privacy.gate import Form, ProtectedBatch

_EMPTY, _COMMA, _NONE, _OPEN, _CLOSE = (
    pa.scalar(t, pa.string()) for t in ("", ",", "{}", "[", "]")
)


def _digest(name: str, kind: str, rule: str) -> FieldSpec:
    return FieldSpec(name=name, kind=kind, form=Form.DIGEST, rule=("tiktok", rule), identifier=True)


FIELDS = (
    _digest("EMAIL_SHA256", "email", "email"),
    _digest("PHONE_SHA256", "phone", "phone"),
    _digest("IDFA_SHA256", "device_id", "maid"),
    _digest("AAID_SHA256", "device_id", "maid"),
)
IDENTIFIERS = tuple(f.name for f in FIELDS)
LIMITS = RequestLimits(rows_max=10_000, bytes_max=8_000_000)


def require_digests(batch: ProtectedBatch, fields: Sequence[str]) -> None:
    """Refuse a batch of other columns than these, or in another form.

    Raises:
        ContractError: `columns_mismatch`; IntegrityError: `wrong_form`.
    """
    if set(batch.forms) != set(fields):
        raise ContractError("columns_mismatch", "A batch has other columns than its sync.")
    for name, form in batch.forms.items():
        if form is not Form.DIGEST:
            raise IntegrityError("wrong_form", f"{name} is not in the form its field takes.")


def members_of(batch: ProtectedBatch, fields: Sequence[str], audience: str) -> pa.Array:
    """Each row as the list of its identifiers, one object per field, empty where it has none."""
    before = pa.scalar('{"id":"', pa.string())
    after = pa.scalar(f'","audience_ids":["{audience}"]}}', pa.string())
    rows = batch.rendered()
    cells = []
    for name in fields:
        text = rows.column(name).combine_chunks()
        cells.append(pc.fill_null(pc.binary_join_element_wise(before, text, after, _EMPTY), _NONE))
    listed = pc.binary_join_element_wise(*cells, _COMMA)
    return pc.binary_join_element_wise(_OPEN, listed, _CLOSE, _EMPTY)


def mapping_body(head: Mapping[str, object], members: pa.Array, rows: Sequence[int]) -> bytes:
    """One request with some rows, by number."""
    listed = array_of(members.take(pa.array(rows, pa.int64())))
    return b"".join([orjson.dumps(dict(head))[:-1], b',"batch_data":', listed, b"}"])
