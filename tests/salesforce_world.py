"""Salesforce connectors over HTTP against a sandbox, and batches for them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import pyarrow as pa
import pytest

from mayfly.adapters.http import HttpxClient
from mayfly.connectors.destinations.salesforce import Salesforce
from mayfly.connectors.destinations.salesforce_api import Consent, SalesforceSettings
from mayfly.connectors.destinations.salesforce_tokens import Credentials
from mayfly.domain.batch import BatchHead, Operation, SyncMode
from mayfly.domain.errors import EngineError
from mayfly.domain.outcomes import Outcomes
from mayfly.ports.destination import DestinationContext, Progress
from mayfly.privacy.gate import Form, ProtectedBatch
from mayfly.privacy.gate.seal import THE_SEAL
from mayfly.sandbox.salesforce import PURPOSE
from mayfly.sandbox.server import SandboxServer
from mayfly.testing.destination_contract import finished

KEY = "Customer_Number__c"
MAIL = Consent(flag="HasOptedOutOfEmail")
OFFERS = Consent(contact_point="Email", data_use_purpose=PURPOSE)


@dataclass(frozen=True)
class Secret:
    """A secret in a test."""

    text: str = "s3cret"

    def reveal(self) -> str:
        """The secret."""
        return self.text


def context(
    columns: Mapping[str, pa.DataType], *, key: str = KEY, mode: SyncMode = SyncMode.UPSERT
) -> DestinationContext:
    """Of a sync with these fields in clear."""
    return DestinationContext(
        workspace="shop",
        sync="contract",
        mode=mode,
        object_name="Contact",
        key=(key,),
        columns=dict(columns),
        forms=dict.fromkeys(columns, Form.CLEAR),
    )


def made(url: str, given: DestinationContext, **settings: Any) -> Salesforce:
    """A connector with an HTTP client of its own."""
    whole = {
        "domain": "acme.my.salesforce.com",
        "object_name": "Contact",
        "credentials": Credentials(consumer_key="app-1", consumer_secret=Secret()),
        "endpoint": url,
        **settings,
    }
    return Salesforce(SalesforceSettings(**whole), HttpxClient(["127.0.0.1"]), given)


def batch(
    columns: Mapping[str, pa.Array],
    operation: Operation = Operation.WRITE,
    number: int = 0,
    run: str = "run-1",
) -> ProtectedBatch:
    """Rows in clear, sealed as the gate would seal them."""
    table = pa.table(dict(columns))
    head = BatchHead(
        sync="contract",
        run=run,
        number=number,
        of=number + 1,
        operation=operation,
        rows=table.num_rows,
    )
    forms = dict.fromkeys(table.column_names, Form.CLEAR)
    return ProtectedBatch(head, table, forms, seal=THE_SEAL)


def people(count: int, **more: pa.Array) -> dict[str, pa.Array]:
    """So many, with a key and a name."""
    return {
        KEY: pa.array([f"C-{n}" for n in range(count)]),
        "LastName": pa.array([f"Name {n}" for n in range(count)]),
        **more,
    }


def write(destination: Salesforce, *batches: ProtectedBatch) -> Outcomes:
    """Write batches one after the other, jobs to their end; the outcomes of the last."""

    async def scenario() -> Outcomes:
        try:
            for one in batches:
                answer = await destination.write(one, Progress(rows=len(one)))
                outcomes = await finished(destination, answer)
            return outcomes
        finally:
            await destination.close()

    return asyncio.run(scenario())


def written(url: str, rows: Mapping[str, pa.Array], **settings: Any) -> Outcomes:
    """Write rows as one batch."""
    given = context({name: column.type for name, column in rows.items()})
    return write(made(url, given, **settings), batch(rows))


async def write_one(destination: Salesforce, one: ProtectedBatch) -> object:
    """Write a batch."""
    return await destination.write(one, Progress(rows=len(one)))


def raises(destination: Salesforce, one: ProtectedBatch | None = None) -> EngineError:
    """What a check or a writing is refused with."""

    async def scenario() -> EngineError:
        try:
            call = destination.check() if one is None else write_one(destination, one)
            with pytest.raises(EngineError) as caught:
                await call
            return caught.value
        finally:
            await destination.close()

    return asyncio.run(scenario())


def contacts(sandbox: SandboxServer) -> dict[str, dict[str, Any]]:
    """Values of contacts that are not deleted, by their key."""
    found = sandbox.app.salesforce.objects["Contact"].records.values()
    return {str(r.values[KEY]): dict(r.values) for r in found if not r.deleted}


def requests(sandbox: SandboxServer, path: str = "") -> list[dict[str, Any]]:
    """Calls whose path has a part."""
    found = httpx.get(f"{sandbox.url}/_sandbox/requests", trust_env=False).json()
    return [r for r in found if path in r["path"]]


def plan_fault(sandbox: SandboxServer, path: str, kind: str, count: int = 1) -> None:
    """Of the next requests."""
    sandbox.app.faults.add({"path": path, "kind": kind, "count": count})
