"""UID2 and EUID: raw identifiers for digests of e-mails and phones, asked of an operator.

`POST /v3/identity/map`. Nothing of an answer is kept: identifiers change about once a year, so that
each delivery asks anew. Operators ask for one request at a time.
Source: unifiedid.com and euid.eu, POST /identity/map (v3).
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import orjson
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from mayfly.connectors.http_replies import check_endpoint, refused
from mayfly.crypto.uid2_envelope import SECRET_BYTES, open_reply, seal_request
from mayfly.domain.errors import ConfigError, ContractError, EngineError, TransientError
from mayfly.ports.http import HttpClient, HttpReply
from mayfly.ports.source_spec import Revealed

ITEMS_MAX = 5_000
RAW_ID = "[0-9A-Za-z+/]{43}[0-9A-Za-z+/=]"
"""A raw UID2 or EUID: 44 characters of base64, in which case matters."""
REQUEST_SECONDS = 60.0
_PATH = "/v3/identity/map"
# Scalars with their types: of a bare Python value Arrow finds the type out, at every call, by
# looking for a module on the disk.
_OPTED_OUT, _INVALID = (pa.scalar(text, pa.string()) for text in ("optout", "invalid identifier"))
_NOTHING = pa.scalar(None, pa.string())
_NOWHERE = pa.scalar(None, pa.int64())
_ONE = pa.scalar(1, pa.int64())
_FALSE = pa.scalar(False, pa.bool_())
_ENTRY = pa.struct([(name, pa.string()) for name in ("u", "p", "e")])

Scope = Literal["uid2", "euid"]
Kind = Literal["email_hash", "phone_hash"]

HOSTS: Mapping[Scope, Mapping[str, str]] = {
    "euid": {"global": "prod.euid.eu", "test": "integ.euid.eu"},
    "uid2": {
        "global": "prod.uidapi.com",
        "us_west": "usw.prod.uidapi.com",
        "australia": "au.prod.uidapi.com",
        "japan": "jp.prod.uidapi.com",
        "singapore": "sg.prod.uidapi.com",
        "test": "operator-integ.uidapi.com",
    },
}
"""Hosts of the public operators."""


def operator_host(scope: Scope, name: str) -> str:
    """Host of a public operator.

    Raises:
        ConfigError: `bad_operator`.
    """
    host = HOSTS[scope].get(name)
    if host is None:
        known = ", ".join(HOSTS[scope])
        raise ConfigError("bad_operator", f"{scope.upper()} has the operators {known}.")
    return host


@dataclass(frozen=True, kw_only=True)
class Uid2Settings:
    """Which operator is asked, and as whom.

    Args:
        scope: UID2, or EUID for people in Europe.
        host: of the operator.
        api_key: that the operator knows.
        client_secret: 32 bytes in base64; requests and replies are sealed with it.
        endpoint: the operator's own address, or a literal loopback address over plain HTTP.

    Raises:
        ConfigError: `bad_client_secret`, `bad_endpoint`.
    """

    scope: Scope
    host: str
    api_key: Revealed = field(repr=False)
    client_secret: Revealed = field(repr=False)
    endpoint: str

    def __post_init__(self) -> None:
        self.secret()
        check_endpoint(self.endpoint, self.host)

    def secret(self) -> bytes:
        """The client secret as bytes."""
        try:
            secret = base64.b64decode(self.client_secret.reveal().strip(), validate=True)
        except (binascii.Error, ValueError):
            secret = b""
        if len(secret) != SECRET_BYTES:
            raise ConfigError(
                "bad_client_secret",
                f"The client secret for {self.scope.upper()} is not 32 bytes in base64.",
                hint="It is given together with the API key; both are of one environment.",
            )
        return secret


@dataclass(frozen=True, kw_only=True, eq=False)
class Identities:
    """What an operator says of a column of digests, one value each.

    Args:
        current: string; null where the digest is null, refused or opted out.
        previous: string, the identifier of the ninety days before, where it changed in these.
        opted_out: bool, never null.
        invalid: bool, never null.
    """

    current: pa.Array
    previous: pa.Array
    opted_out: pa.Array
    invalid: pa.Array

    @classmethod
    def none(cls, rows: int) -> Identities:
        """Of a column without any digest."""
        nothing, no = pa.nulls(rows, pa.string()), pa.repeat(_FALSE, rows)
        return cls(current=nothing, previous=nothing, opted_out=no, invalid=no)

    def part(self, first: int, rows: int) -> Identities:
        """Some neighbouring ones."""
        return Identities(
            current=self.current.slice(first, rows),
            previous=self.previous.slice(first, rows),
            opted_out=self.opted_out.slice(first, rows),
            invalid=self.invalid.slice(first, rows),
        )


class Uid2Operator:
    """Maps digests. Calls may run concurrently; they are sent one after the other."""

    def __init__(
        self,
        settings: Uid2Settings,
        http: HttpClient,
        *,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._http = http
        self._now = now
        self._turn = asyncio.Lock()

    @property
    def name(self) -> str:
        """For messages."""
        return f"The {self._settings.scope.upper()} operator"

    async def map(self, columns: Mapping[Kind, pa.Array]) -> dict[Kind, Identities]:
        """Identifiers for digests, in their order.

        Args:
            columns: 32 raw bytes or null, at most ITEMS_MAX in all.

        Raises:
            ConfigError: `reauthorise`, `uid2_refused`.
            TransientError: the operator is away or busy.
            ContractError: `unknown_answer`; IntegrityError: `uid2_reply_altered`.
        """
        known = {kind: column.drop_null() for kind, column in columns.items()}
        if sum(map(len, known.values())) > ITEMS_MAX:
            raise ValueError("an operator maps at most 5,000 digests at a time")
        payload = await asyncio.to_thread(_payload, known)
        answer = await self._asked(payload)
        return {
            kind: _spread(_identities(self.name, answer, kind, len(known[kind])), column)
            for kind, column in columns.items()
        }

    async def check(self) -> None:
        """Raise ConfigError or TransientError if the operator would not map now."""
        await self._asked(b'{"email_hash":[]}')

    async def _asked(self, payload: bytes) -> Mapping[str, Any]:
        """The decrypted body of an answer."""
        secret = self._settings.secret()
        async with self._turn:
            # Sealed when its turn has come: an operator takes a request for a minute.
            sealed = seal_request(secret, payload, int(self._now() * 1000))
            reply = await self._http.request(
                "POST",
                f"{self._settings.endpoint}{_PATH}",
                headers={
                    "authorization": f"Bearer {self._settings.api_key.reveal()}",
                    "content-type": "text/plain",
                },
                content=base64.b64encode(sealed.envelope),
                timeout_seconds=REQUEST_SECONDS,
            )
        if reply.status != 200:
            raise _refusal(self.name, reply)
        return _body(self.name, open_reply(secret, _unpacked(self.name, reply), sealed.nonce))


def base64_text(digests: pa.Array) -> pa.Array:
    """Digests as base64 text. Pure."""
    encoded = [None if d is None else base64.b64encode(d).decode() for d in digests.to_pylist()]
    return pa.array(encoded, pa.string())


def _payload(columns: Mapping[Kind, pa.Array]) -> bytes:
    return orjson.dumps({kind: base64_text(c).to_pylist() for kind, c in columns.items()})


def _refusal(name: str, reply: HttpReply) -> EngineError:
    if reply.status == 400:
        return ConfigError(
            "uid2_refused",
            f"{name} cannot read the request (HTTP 400).",
            hint="Check that API key and client secret belong together, that they are of this "
            "operator's environment, and that this machine's clock is right to the minute.",
        )
    return refused(reply, name)


def _unpacked(name: str, reply: HttpReply) -> bytes:
    try:
        return base64.b64decode(reply.body, validate=True)
    except binascii.Error:
        raise TransientError(
            "garbage_answer", f"{name} answered with something else than a sealed reply."
        ) from None


def _body(name: str, content: bytes) -> Mapping[str, Any]:
    try:
        answer = orjson.loads(content)
    except orjson.JSONDecodeError:
        raise _unknown(name) from None
    body = answer.get("body") if isinstance(answer, dict) else None
    if not isinstance(body, dict) or answer.get("status") != "success":
        raise _unknown(name)
    return body


def _identities(name: str, body: Mapping[str, Any], kind: Kind, count: int) -> Identities:
    """The entries of one kind as columns. Pure."""
    entries: Sequence[Any] = body.get(kind) or ()
    if not isinstance(entries, list | tuple) or len(entries) != count:
        raise _unknown(name)
    try:
        table = pa.array(entries, _ENTRY)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        raise _unknown(name) from None
    current, previous, fault = (table.field(i) for i in range(3))
    opted_out = pc.fill_null(pc.equal(fault, _OPTED_OUT), _FALSE)
    invalid = pc.fill_null(pc.equal(fault, _INVALID), _FALSE)
    mapped = pc.and_(pc.is_valid(current), pc.is_null(fault))
    settled = pc.or_(mapped, pc.or_(opted_out, invalid))
    if pc.any(pc.invert(settled)).as_py() or not (_are_raw(current) and _are_raw(previous)):
        raise _unknown(name)
    return Identities(
        current=pc.if_else(mapped, current, _NOTHING),
        previous=pc.if_else(mapped, previous, _NOTHING),
        opted_out=opted_out,
        invalid=invalid,
    )


def _are_raw(values: pa.Array) -> bool:
    """Whether all that are there look like raw identifiers."""
    return bool(pl.Series(values.drop_null()).str.contains(f"^(?:{RAW_ID})$").all())


def _spread(found: Identities, column: pa.Array) -> Identities:
    """Laid out over a column whose nulls were not asked for."""
    if len(found.current) == len(column):
        return found
    there = pc.is_valid(column)
    numbered = pc.subtract(pc.cumulative_sum(there.cast(pa.int64())), _ONE)
    place = pc.if_else(there, numbered, _NOWHERE)
    return Identities(
        current=found.current.take(place),
        previous=found.previous.take(place),
        opted_out=pc.fill_null(found.opted_out.take(place), _FALSE),
        invalid=pc.fill_null(found.invalid.take(place), _FALSE),
    )


def _unknown(name: str) -> ContractError:
    return ContractError("unknown_answer", f"{name} gave no documented answer.")
