"""Braze connectors over HTTP against a sandbox, and batches for them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import httpx
import pyarrow as pa
import pytest

from mayfly.adapters.http import HttpxClient
from mayfly.connectors.destinations.braze import Braze
from mayfly.connectors.destinations.braze_api import BrazeSettings, Subscription
from mayfly.domain.batch import BatchHead, Operation, SyncMode
from mayfly.domain.errors import EngineError
from mayfly.domain.outcomes import Outcomes
from mayfly.ports.destination import DestinationContext, Done, Progress
from mayfly.privacy.gate import Form, ProtectedBatch
from mayfly.privacy.gate.seal import THE_SEAL
from mayfly.sandbox.server import SandboxServer
from scripted_http import Token

KEY = "external_id"
MAIL = Subscription(state="email_subscribe")
SMS = Subscription(group="g-1")
BOTH = {"mail": MAIL, "sms": SMS}


def context(
    columns: Mapping[str, pa.DataType],
    *,
    key: str = KEY,
    mode: SyncMode = SyncMode.UPSERT,
) -> DestinationContext:
    """Of a sync with these fields in clear."""
    return DestinationContext(
        workspace="shop",
        sync="contract",
        mode=mode,
        object_name="",
        key=(key,),
        columns=dict(columns),
        forms=dict.fromkeys(columns, Form.CLEAR),
    )


def made(url: str, given: DestinationContext, **settings: Any) -> Braze:
    """A connector with an HTTP client of its own."""
    whole = {"cluster": "fra-01", "api_key": Token(), "endpoint": url, **settings}
    return Braze(BrazeSettings(**whole), HttpxClient(["127.0.0.1"]), given)


def batch(
    columns: Mapping[str, pa.Array], operation: Operation = Operation.WRITE, run: str = "run-1"
) -> ProtectedBatch:
    """Rows in clear, sealed as the gate would seal them."""
    table = pa.table(dict(columns))
    head = BatchHead(
        sync="contract", run=run, number=0, of=1, operation=operation, rows=table.num_rows
    )
    return ProtectedBatch(head, table, dict.fromkeys(table.column_names, Form.CLEAR), seal=THE_SEAL)


def people(count: int, **more: pa.Array) -> dict[str, pa.Array]:
    """So many, with a key and an address."""
    return {
        KEY: pa.array([f"u{n}" for n in range(count)]),
        "email": pa.array([f"p{n}@example.com" for n in range(count)]),
        **more,
    }


def write(destination: Braze, *batches: ProtectedBatch) -> Outcomes:
    """Write batches one after the other; the outcomes of the last."""

    async def scenario() -> Outcomes:
        try:
            for one in batches:
                answer = await destination.write(one, Progress(rows=len(one)))
                assert isinstance(answer, Done)
            return answer.outcomes
        finally:
            await destination.close()

    return asyncio.run(scenario())


def written(
    url: str, rows: Mapping[str, pa.Array], *, run: str = "run-1", **settings: Any
) -> Outcomes:
    """Write rows as one batch."""
    given = context({name: column.type for name, column in rows.items()})
    return write(made(url, given, **settings), batch(rows, run=run))


async def write_one(destination: Braze, one: ProtectedBatch) -> object:
    """Write a batch."""
    return await destination.write(one, Progress(rows=len(one)))


def raises(destination: Braze, one: ProtectedBatch | None = None) -> EngineError:
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


def requests(sandbox: SandboxServer, path: str = "") -> list[dict[str, Any]]:
    """Calls whose path has a part."""
    found = httpx.get(f"{sandbox.url}/_sandbox/requests", trust_env=False).json()
    return [r for r in found if path in r["path"]]


def plan_fault(sandbox: SandboxServer, path: str, kind: str, count: int = 1) -> None:
    """Of the next requests."""
    sandbox.app.faults.add({"path": path, "kind": kind, "count": count})
