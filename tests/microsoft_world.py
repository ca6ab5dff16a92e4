"""The Microsoft Advertising connector for tests, and batches for it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from mayfly.connectors.destinations.microsoft_ads_audience import (
    MicrosoftAds,
    MicrosoftAdsSettings,
)
from mayfly.domain.batch import BatchHead, Operation, SyncMode
from mayfly.ports.destination import DestinationContext
from mayfly.ports.http import HttpClient
from mayfly.privacy.gate import Form, ProtectedBatch
from mayfly.privacy.gate.seal import THE_SEAL

ACCOUNT, CUSTOMER = "123456789", "987654321"
TOKEN, DEVELOPER_TOKEN = "token-1", "developer-1"
CONTEXT = DestinationContext(
    workspace="shop",
    sync="vip",
    mode=SyncMode.AUDIENCE,
    object_name="Contract",
    key=(),
    columns={"Email": pa.binary()},
    forms={"Email": Form.DIGEST},
)


@dataclass(frozen=True)
class Secret:
    """A secret of a test, whose own `repr` shows it."""

    text: str

    def reveal(self) -> str:
        """The text."""
        return self.text


def digest(text: str) -> bytes:
    """SHA-256."""
    return hashlib.sha256(text.encode()).digest()


def microsoft(
    http: HttpClient,
    *,
    url: str,
    token: str = TOKEN,
    audience: str = "Contract",
    membership_days: int = 390,
    context: DestinationContext = CONTEXT,
) -> MicrosoftAds:
    """A connector to one account."""
    settings = MicrosoftAdsSettings(
        account_id=ACCOUNT,
        customer_id=CUSTOMER,
        developer_token=Secret(DEVELOPER_TOKEN),
        access_token=Secret(token),
        audience=audience,
        membership_days=membership_days,
        endpoint=url,
    )
    return MicrosoftAds(settings, http, context)


def batch(operation: Operation, digests: Sequence[bytes | None]) -> ProtectedBatch:
    """Sealed as the gate would seal it."""
    table = pa.table({"Email": pa.array(digests, pa.binary())})
    head = BatchHead(
        sync="vip",
        run="run-1",
        number=0,
        of=1,
        operation=operation,
        rows=table.num_rows,
        identifier="Email" if operation is Operation.REMOVE else None,
    )
    return ProtectedBatch(head, table, {"Email": Form.DIGEST}, seal=THE_SEAL)
