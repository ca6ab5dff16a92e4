"""HubSpot connectors over HTTP against a sandbox, and batches for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from mayfly.adapters.http import HttpxClient
from mayfly.connectors.destinations.hubspot import Hubspot
from mayfly.connectors.destinations.hubspot_api import HubspotSettings, Subscription
from mayfly.domain.batch import BatchHead, Operation, SyncMode
from mayfly.ports.destination import DestinationContext
from mayfly.privacy.gate import Form, ProtectedBatch
from mayfly.privacy.gate.seal import THE_SEAL

NEWSLETTER = Subscription(number=4471, legal_basis="CONSENT_WITH_NOTICE", explanation="in the shop")


@dataclass(frozen=True)
class Token:
    """A secret in a test."""

    text: str = "token-1"

    def reveal(self) -> str:
        """The secret."""
        return self.text


def context(
    columns: Mapping[str, pa.DataType],
    *,
    key: str = "email",
    mode: SyncMode = SyncMode.UPSERT,
    pseudonyms: tuple[str, ...] = (),
) -> DestinationContext:
    """Of a sync with these fields in clear."""
    return DestinationContext(
        workspace="shop",
        sync="contract",
        mode=mode,
        object_name="contacts",
        key=(key,),
        columns=dict(columns),
        forms={n: Form.PSEUDONYM if n in pseudonyms else Form.CLEAR for n in columns},
    )


def made(url: str, given: DestinationContext, **settings: Any) -> Hubspot:
    """A connector with an HTTP client of its own."""
    whole = {"account_id": "1234567", "access_token": Token(), "endpoint": url, **settings}
    return Hubspot(HubspotSettings(**whole), HttpxClient(["127.0.0.1"]), given)


def batch(
    columns: Mapping[str, pa.Array], operation: Operation = Operation.WRITE, number: int = 0
) -> ProtectedBatch:
    """Rows in clear, sealed as the gate would seal them."""
    table = pa.table(dict(columns))
    head = BatchHead(
        sync="contract",
        run="run-1",
        number=number,
        of=number + 1,
        operation=operation,
        rows=table.num_rows,
    )
    forms = dict.fromkeys(table.column_names, Form.CLEAR)
    return ProtectedBatch(head, table, forms, seal=THE_SEAL)
