"""The LinkedIn connector for tests, and batches for it."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from mayfly.connectors.destinations.linkedin_ads_audience import LinkedInAds, LinkedInSettings
from mayfly.connectors.destinations.linkedin_ads_requests import SPECS
from mayfly.domain.batch import BatchHead, Operation, SyncMode
from mayfly.ports.destination import DestinationContext
from mayfly.ports.http import HttpClient
from mayfly.privacy.gate import Form, ProtectedBatch
from mayfly.privacy.gate.seal import THE_SEAL

ACCOUNT = "516848833"
TOKEN = "token-1"


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


def guid(subject: int) -> str:
    """A device's id."""
    return f"00000000-0000-4000-8000-{subject:012d}"


def context(*names: str) -> DestinationContext:
    """A sync that maps these fields."""
    forms = {name: _form(name) for name in names}
    return DestinationContext(
        workspace="shop",
        sync="vip",
        mode=SyncMode.AUDIENCE,
        object_name="Contract",
        key=(),
        columns={n: pa.string() if f is Form.CLEAR else pa.binary() for n, f in forms.items()},
        forms=forms,
    )


async def _at_once(seconds: float) -> None:
    del seconds


def linkedin(
    http: HttpClient,
    *names: str,
    url: str,
    token: str = TOKEN,
    audience: str = "Contract",
    version: str = "202604",
    sleep: Callable[[float], Awaitable[None]] = _at_once,
    now: Callable[[], float] = lambda: 0.0,
) -> LinkedInAds:
    """A connector to one account."""
    settings = LinkedInSettings(
        account_id=ACCOUNT,
        access_token=Secret(token),
        audience=audience,
        api_version=version,
        endpoint=url,
    )
    fields = names or ("SHA256_EMAIL",)
    return LinkedInAds(settings, http, context(*fields), sleep=sleep, now=now)


def batch(
    operation: Operation, columns: Mapping[str, Sequence[Any]], *, number: int = 0
) -> ProtectedBatch:
    """Sealed as the gate would seal it."""
    names = list(columns)
    types = {name: pa.string() if _form(name) is Form.CLEAR else pa.binary() for name in names}
    table = pa.table({name: pa.array(values, types[name]) for name, values in columns.items()})
    head = BatchHead(
        sync="vip",
        run="run-1",
        number=number,
        of=number + 1,
        operation=operation,
        rows=table.num_rows,
        identifier=names[0] if operation is Operation.REMOVE else None,
    )
    return ProtectedBatch(head, table, {name: _form(name) for name in names}, seal=THE_SEAL)


def _form(name: str) -> Form:
    """Of one that there is not, a digest."""
    return SPECS[name].form if name in SPECS else Form.DIGEST
