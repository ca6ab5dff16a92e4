"""An `HttpClient` that gives the answers it was told to, in order; and batches to send with it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
import pyarrow as pa

from mayfly.domain.batch import BatchHead, Operation, SyncMode
from mayfly.ports.destination import DestinationContext
from mayfly.ports.http import HttpReply
from mayfly.privacy.gate import Form, ProtectedBatch
from mayfly.privacy.gate.seal import THE_SEAL


@dataclass(frozen=True)
class Token:
    """A secret of a test, whose own `repr` shows it."""

    text: str = "token-1"

    def reveal(self) -> str:
        """The text."""
        return self.text


@dataclass(frozen=True, kw_only=True)
class Call:
    """One request as it was made."""

    method: str
    path: str
    params: Mapping[str, str]
    headers: Mapping[str, str]
    content: bytes

    @property
    def json(self) -> Any:
        """The body."""
        return orjson.loads(self.content)


class Scripted:
    """Answers in order; `calls` are the requests."""

    def __init__(self, *answers: HttpReply) -> None:
        self.answers = list(answers)
        self.calls: list[Call] = []

    async def request(
        self,
        method: str,
        url: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
        form: Mapping[str, str] | None = None,
        timeout_seconds: float,
    ) -> HttpReply:
        """See the port."""
        assert form is None
        assert timeout_seconds > 0
        path = url.partition("://")[2].partition("/")[2]
        call = Call(
            method=method,
            path=path,
            params=dict(params or {}),
            headers=headers or {},
            content=content or b"",
        )
        self.calls.append(call)
        return self.answers.pop(0)

    async def close(self) -> None:
        """Nothing is open."""


def reply(body: object, status: int = 200, **headers: str) -> HttpReply:
    """An answer in JSON; bytes as they are."""
    content = body if isinstance(body, bytes) else orjson.dumps(body)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return HttpReply(status=status, headers=named, body=content)


def digest(subject: int) -> bytes:
    """SHA-256 of an address at a reserved domain."""
    return hashlib.sha256(f"person{subject}@example.com".encode()).digest()


def context(*fields: str, form: Form = Form.DIGEST) -> DestinationContext:
    """A sync that maps these fields."""
    return DestinationContext(
        workspace="shop",
        sync="vip",
        mode=SyncMode.AUDIENCE,
        object_name="VIP",
        key=(),
        columns=dict.fromkeys(fields, pa.binary()),
        forms=dict.fromkeys(fields, form),
    )


def batch(
    operation: Operation,
    field: str,
    values: Sequence[bytes | None],
    *,
    form: Form = Form.DIGEST,
) -> ProtectedBatch:
    """Sealed as the gate would seal it."""
    head = BatchHead(
        sync="vip",
        run="run-1",
        number=7,
        of=8,
        operation=operation,
        rows=len(values),
        identifier=field if operation is Operation.REMOVE else None,
    )
    table = pa.table({field: pa.array(values, pa.binary())})
    return ProtectedBatch(head, table, {field: form}, seal=THE_SEAL)
