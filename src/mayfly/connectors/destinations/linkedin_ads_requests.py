"""Requests that carry people to LinkedIn: the fields they may hold, and their bodies.

Nothing here calls anything; `linkedin_ads_audience` sends what is built here.
"""

from __future__ import annotations

from typing import Literal

import pyarrow as pa

from mayfly.connectors.json_columns import Constant, Items, Object, array_of, plain, rows_of
from mayfly.ports.destination import FieldSpec, RequestLimits
from mayfly.privacy.gate import Form

Action = Literal["ADD", "REMOVE"]

FIELDS = (
    FieldSpec(
        name="SHA256_EMAIL",
        kind="email",
        form=Form.DIGEST,
        rule=("linkedin", "email"),
        identifier=True,
    ),
    FieldSpec(
        name="GOOGLE_AID",
        kind="device_id",
        form=Form.CLEAR,
        rule=("linkedin", "maid"),
        identifier=True,
    ),
)
SPECS = {spec.name: spec for spec in FIELDS}
IDENTIFIERS = frozenset(spec.name for spec in FIELDS if spec.identifier)
LIMITS = RequestLimits(rows_max=5_000, bytes_max=2_000_000)


def users_body(rows: pa.Table, action: Action) -> bytes:
    """Rows of identifiers as elements of a BATCH_CREATE. Pure.

    Args:
        rows: text without anything that JSON escapes; each row has an identifier.
        action: the same for all.
    """
    ids = [
        Object({"idType": Constant(name), "idValue": plain(rows.column(name))})
        for name in rows.column_names
    ]
    element = Object({"action": Constant(action), "userIds": Items(ids)})
    return b'{"elements":%b}' % array_of(rows_of(element, rows.num_rows))
