"""Requests that carry people to Microsoft Advertising: the one field they hold, and their bodies.

Nothing here calls anything; `microsoft_ads_audience` sends what is built here.
"""

from __future__ import annotations

from typing import Literal

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from mayfly.connectors.json_columns import array_of
from mayfly.ports.destination import FieldSpec, RequestLimits
from mayfly.privacy.gate import Form

Action = Literal["Add", "Remove"]

EMAIL = "Email"
FIELDS = (
    FieldSpec(
        name=EMAIL,
        kind="email",
        form=Form.DIGEST,
        rule=("microsoft-ads", "email"),
        identifier=True,
    ),
)
SPECS = {spec.name: spec for spec in FIELDS}
IDENTIFIERS = frozenset(spec.name for spec in FIELDS if spec.identifier)
LIMITS = RequestLimits(rows_max=1_000, bytes_max=200_000)
# Scalars with their types: of a bare Python value Arrow finds the type out, at every call, by
# looking for a module on the disk.
_QUOTE, _NOTHING = pa.scalar('"', pa.string()), pa.scalar("", pa.string())


def user_data_body(rows: pa.Table, action: Action, audience_id: str) -> bytes:
    """Digests as items of a list. Pure.

    Args:
        rows: the one column, of text without anything that JSON escapes and without nulls.
        action: the same for all.
        audience_id: of the list.
    """
    digests = rows.column(EMAIL).combine_chunks()
    items = array_of(pc.binary_join_element_wise(_QUOTE, digests, _QUOTE, _NOTHING))
    around = {
        # Of each request, as Microsoft has it; who configures the destination says so.
        "AcceptCustomerMatchTerm": True,
        "ActionType": action,
        "AudienceId": audience_id,
        "CustomerListItemSubType": EMAIL,
    }
    head = orjson.dumps(around)[:-1]
    return b'{"CustomerListUserData":%b,"CustomerListItems":%b}}' % (head, items)
