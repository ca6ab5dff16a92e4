"""Meta custom audiences, through the Graph API. Docs: docs/howto/meta-ads.md."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import ipaddress
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from mayfly.connectors.destinations import require_protected
from mayfly.connectors.destinations.meta_ads_answers import answer, codes, received
from mayfly.domain.batch import BatchHead, Operation, SyncMode
from mayfly.domain.errors import (
    ConfigError,
    ContractError,
    IntegrityError,
    RequestRefusedError,
    TransientError,
)
from mayfly.domain.outcomes import OutcomeCode, Outcomes, Reason
from mayfly.ports.destination import (
    DestinationContext,
    DestinationSpec,
    Done,
    Erasure,
    FieldSpec,
    JobRef,
    Pending,
    Processor,
    Progress,
    RequestLimits,
    Submitted,
)
from mayfly.ports.http import HttpClient
from mayfly.privacy.gate import Form, ProtectedBatch

HOST = "graph.facebook.com"
API_VERSION = "v26.0"
REQUEST_SECONDS = 60.0
_PAGES_MAX = 1_000
_GONE = ("meta_100_33", "meta_1487366")


def _digest(name: str, kind: str, rule: str, *, identifier: bool = False) -> FieldSpec:
    return FieldSpec(
        name=name, kind=kind, form=Form.DIGEST, rule=("meta", rule), identifier=identifier
    )


SPEC = DestinationSpec(
    name="meta_ads",
    modes=frozenset({SyncMode.AUDIENCE, SyncMode.UPSERT}),
    fields=(
        _digest("EMAIL", "email", "email", identifier=True),
        _digest("PHONE", "phone", "phone", identifier=True),
        FieldSpec(
            name="MADID",
            kind="device_id",
            form=Form.CLEAR,
            rule=("meta", "madid"),
            identifier=True,
        ),
        FieldSpec(name="EXTERN_ID", kind="opaque_id", form=Form.PSEUDONYM, identifier=True),
        _digest("FN", "first_name", "first_name"),
        _digest("LN", "last_name", "last_name"),
        _digest("FI", "first_name", "first_initial"),
        _digest("CT", "city", "city"),
        _digest("ST", "region", "state"),
        _digest("ZIP", "postal_code", "zip"),
        _digest("COUNTRY", "country", "country"),
        _digest("GEN", "gender", "gender"),
        _digest("DOBY", "date_of_birth", "dob_year"),
        _digest("DOBM", "date_of_birth", "dob_month"),
        _digest("DOBD", "date_of_birth", "dob_day"),
    ),
    request=RequestLimits(rows_max=10_000, bytes_max=16_000_000),
    hosts=frozenset({HOST}),
    processor=Processor(legal_name="Meta Platforms Ireland Ltd", countries=frozenset({"IE", "US"})),
    erasure=Erasure.BY_IDENTIFIER,
    always_external=True,
)
_IDENTIFIERS = tuple(f.name for f in SPEC.fields if f.identifier)


class Revealable(Protocol):
    """A secret; only the connector that sends it asks for its text."""

    def reveal(self) -> str:
        """The secret's text."""


@dataclass(frozen=True, kw_only=True)
class MetaAdsSettings:
    """Which ad account and audience receive people.

    Args:
        account_id: of the ad account, with or without `act_`.
        access_token: system-user token with `ads_management`.
        audience: exact name; created where the account has none of that name.
        app_secret: where given, every call carries `appsecret_proof`.
        api_version: of the Graph API.
        endpoint: Meta's own host, or a literal loopback address over plain HTTP.

    Raises:
        ConfigError: `bad_account_id`, `bad_api_version`, `bad_endpoint`, `bad_audience`.
    """

    account_id: str
    access_token: Revealable = field(repr=False)
    audience: str
    app_secret: Revealable | None = field(default=None, repr=False)
    api_version: str = API_VERSION
    endpoint: str = f"https://{HOST}"

    def __post_init__(self) -> None:
        if not re.fullmatch(r"(act_)?[0-9]{1,32}", self.account_id):
            raise ConfigError("bad_account_id", "account_id must be digits, as Ads Manager shows.")
        if not re.fullmatch(r"v[0-9]{1,3}\.[0-9]{1,2}", self.api_version):
            raise ConfigError("bad_api_version", "api_version must look like v26.0.")
        if not 1 <= len(self.audience.strip()) <= 200:
            raise ConfigError("bad_audience", "audience must be a name of 1 to 200 characters.")
        _check_endpoint(self.endpoint)

    @property
    def account(self) -> str:
        """The account as paths spell it."""
        return f"act_{self.account_id.removeprefix('act_')}"


class MetaAds:
    """Adds people to one custom audience and removes them.

    Adding is a union and removing an absent person is accepted, so a repeat is harmless. Meta
    answers with counts: where it counts an invalid row without naming it, rows are unconfirmed.
    Calls may run concurrently.
    """

    def __init__(
        self, settings: MetaAdsSettings, http: HttpClient, context: DestinationContext
    ) -> None:
        self._settings = settings
        self._http = http
        self._schema = tuple(context.columns)
        self._audience_id: str | None = None
        self._finding = asyncio.Lock()
        self._cut: set[tuple[int, int]] = set()
        if unknown := [name for name in self._schema if SPEC.field(name) is None]:
            raise ConfigError("unknown_field", f"Meta has no field {unknown[0]}.")

    async def check(self) -> None:
        """Raise ConfigError or TransientError if token or account do not work. Writes nothing."""
        reply = await self._call("GET", self._settings.account, params={"fields": "id"})
        if reply.get("id") != self._settings.account:
            raise ContractError("unknown_answer", "The ad account's answer has another id.")

    async def locate(self, known: str | None) -> str | None:
        """See `Locating.locate`: the id of the audience of the configured name.

        Raises:
            ConfigError: `audience_renamed`, `audience_ambiguous`.
        """
        found = await self._audience(create=False)
        if known is not None and found != known and await self._exists(known):
            raise ConfigError(
                "audience_renamed",
                "The audience that this sync has filled so far has another name now.",
                hint="Give it its name again, or configure the new one and adopt the state; see "
                "`mayfly state list`. To begin with another audience, use `mayfly state drop`.",
            )
        return found

    async def write(self, batch: ProtectedBatch, progress: Progress) -> Done | Submitted:
        """Send one batch; rows without any identifier are rejected unsent."""
        require_protected(batch)
        match batch.head.operation:
            case Operation.ADD | Operation.WRITE:
                return await self._send(batch, progress, self._schema, "POST")
            case Operation.REMOVE:
                return await self._remove(batch, progress, (batch.head.identifier or "",))
            case Operation.INSERT:
                raise ContractError("unknown_operation", "An audience takes no inserts.")

    async def poll(self, job: JobRef) -> Done | Pending:
        """Meta answers at once; there is nothing to ask for."""
        raise ContractError("no_such_job", f"Meta has no job for batch {job.batch}.")

    async def applied(self, head: BatchHead) -> bool | None:
        """Unknown: Meta keeps no marker of a batch."""
        del head
        return None

    async def erase(self, identifiers: ProtectedBatch) -> Done | Submitted:
        """Remove people from the audience by one identifier field; absent ones are accepted."""
        require_protected(identifiers)
        fields = tuple(identifiers.rows.column_names)
        progress = Progress(rows=len(identifiers))
        return await self._remove(identifiers, progress, fields)

    async def close(self) -> None:
        """Release connections. May be repeated."""
        await self._http.close()

    async def _remove(
        self, batch: ProtectedBatch, progress: Progress, fields: tuple[str, ...]
    ) -> Done:
        if len(fields) != 1 or fields[0] not in _IDENTIFIERS:
            raise ContractError("one_identifier", "A removal holds exactly one identifier field.")
        return await self._send(batch, progress, fields, "DELETE")

    async def _send(
        self, batch: ProtectedBatch, progress: Progress, schema: tuple[str, ...], method: str
    ) -> Done:
        rows = await asyncio.to_thread(checked_rows, batch, schema)
        requests = _requests(rows, batch.head, progress.next_row)
        bodies = _Bodies(rows, requests)
        try:
            for request in requests:
                answered = await self._users(method, request, await bodies.next())
                progress.rows_done(spread(request.part, answered))
        finally:
            bodies.forget()
        return progress.done()

    async def _users(self, method: str, request: Request, body: bytes) -> Outcomes:
        """Outcomes of the rows of one request; a removal where no audience is, is done."""
        count = len(request.part.sent)
        audience = await self._audience(create=method == "POST") if count else None
        if audience is None:
            return Outcomes.all_of(OutcomeCode.ACCEPTED, count)
        try:
            reply = await self._call(method, f"{audience}/users", content=body)
        except ContractError as error:
            raise _of_people(error) from None
        if received(reply) < count:
            self._was_cut(request.session)
        return codes(reply, count)

    def _was_cut(self, session: Session) -> None:
        """A request cut once is repeated; cut again, its size is not what Meta says it takes."""
        place = (session.number, session.sequence)
        message = "Meta says it received fewer rows than were sent."
        if place in self._cut:
            raise ContractError("batch_cut", message)
        self._cut.add(place)
        raise TransientError("batch_cut", message)

    async def _audience(self, *, create: bool) -> str | None:
        """The audience's id, looked up or made once for all batches."""
        async with self._finding:
            if self._audience_id is None:
                self._audience_id = await self._find()
            if self._audience_id is None and create:
                reply = await self._call(
                    "POST",
                    f"{self._settings.account}/customaudiences",
                    content=orjson.dumps(
                        {
                            "name": self._settings.audience,
                            "subtype": "CUSTOM",
                            "description": "Kept by Mayfly",
                            "customer_file_source": "USER_PROVIDED_ONLY",
                        }
                    ),
                )
                self._audience_id = _number(reply.get("id"))
            return self._audience_id

    async def _exists(self, audience_id: str) -> bool:
        try:
            await self._call("GET", audience_id, params={"fields": "id"})
        except ContractError as error:
            if error.code in _GONE:
                return False
            raise
        return True

    async def _find(self) -> str | None:
        found: set[str] = set()
        params = {"fields": "id,name", "limit": "100"}
        for _ in range(_PAGES_MAX):
            page = await self._call(
                "GET", f"{self._settings.account}/customaudiences", params=params
            )
            found.update(_named(page, self._settings.audience))
            after = _next_cursor(page)
            if after is None:
                break
            params["after"] = after
        else:
            raise ContractError("too_many_pages", "The list of audiences does not end.")
        if len(found) > 1:
            raise ConfigError(
                "audience_ambiguous",
                f"{len(found)} audiences of the ad account have the configured name.",
                hint="Rename all but one in Ads Manager, or configure another name.",
            )
        return found.pop() if found else None

    async def _call(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        content: bytes | None = None,
    ) -> Mapping[str, Any]:
        token = self._settings.access_token.reveal()
        query = dict(params or {})
        if self._settings.app_secret is not None:
            secret = self._settings.app_secret.reveal().encode()
            query["appsecret_proof"] = hmac.new(secret, token.encode(), "sha256").hexdigest()
        headers = {"authorization": f"Bearer {token}"}
        if content is not None:
            headers["content-type"] = "application/json"
        reply = await self._http.request(
            method,
            f"{self._settings.endpoint}/{self._settings.api_version}/{path}",
            params=query,
            headers=headers,
            content=content,
            timeout_seconds=REQUEST_SECONDS,
        )
        return answer(reply)


@dataclass(frozen=True, kw_only=True)
class Session:
    """Where a request stands among those of its batch; Meta's own bookkeeping."""

    number: int
    sequence: int
    last: bool
    rows: int


@dataclass(frozen=True, kw_only=True)
class Part:
    """Rows of one request.

    Args:
        first: number of its first row in the batch.
        rows: how many rows of the batch it answers for.
        sent: int64, numbers in the batch of those rows that have an identifier.
    """

    first: int
    rows: int
    sent: pa.Array

    def after(self, row: int) -> Part:
        """The rows from `row` on; all of them where it lies before."""
        first = min(max(self.first, row), self.first + self.rows)
        sent = self.sent.filter(pc.greater_equal(self.sent, first))
        return Part(first=first, rows=self.first + self.rows - first, sent=sent)


@dataclass(frozen=True, kw_only=True)
class Request:
    """Rows of one request, and which of its batch's requests it is."""

    part: Part
    session: Session


def _requests(rows: pa.Table, head: BatchHead, next_row: int) -> list[Request]:
    """The requests of a batch that hold rows from `next_row` on."""
    parts = cut(rows, SPEC.request.rows_max)
    sessions = sum(1 for part in parts if len(part.sent))
    found = []
    sequence = 0
    for part in parts:
        sequence += 1 if len(part.sent) else 0
        left = part.after(next_row)
        if left.rows:
            session = Session(
                number=session_id(head, sessions),
                sequence=sequence,
                last=sequence == sessions,
                rows=rows.num_rows,
            )
            found.append(Request(part=left, session=session))
    return found


class _Bodies:
    """The bodies of requests in order: while one is on its way, the next is made in a thread."""

    def __init__(self, rows: pa.Table, requests: Sequence[Request]) -> None:
        self._rows = rows
        self._left = iter(requests)
        self._upcoming = self._start()

    async def next(self) -> bytes:
        """The next request's body."""
        body = await self._upcoming if self._upcoming is not None else b""
        self._upcoming = self._start()
        return body

    def forget(self) -> None:
        """What is still being made is not wanted any more."""
        if self._upcoming is not None:
            self._upcoming.cancel()

    def _start(self) -> asyncio.Future[bytes] | None:
        request = next(self._left, None)
        if request is None:
            return None
        return asyncio.ensure_future(asyncio.to_thread(self._body, request))

    def _body(self, request: Request) -> bytes:
        part = request.part
        whole = len(part.sent) == part.rows
        sent = self._rows.slice(part.first, part.rows) if whole else self._rows.take(part.sent)
        return users_body(sent, request.session)


def session_id(head: BatchHead, requests: int) -> int:
    """Twelve digits for one batch of one run: batches go in any order, and none shares a session.

    Longer numbers could pass for a card number in a scan of what left. The number of requests is
    part of it, so that a part of a batch has a session of its own.
    """
    text = f"{head.run}\x00{head.number}\x00{head.operation}\x00{head.identifier}\x00{requests}"
    digest = hashlib.sha256(text.encode()).digest()
    return int.from_bytes(digest[:8], "big") % 10**12 or 1


def checked_rows(batch: ProtectedBatch, schema: Sequence[str]) -> pa.Table:
    """The batch's columns as text in the schema's order, nulls kept. Pure.

    Raises:
        IntegrityError: `wrong_form`: a column is not in the form its field may leave in.
        ContractError: `columns_mismatch`.
    """
    if set(batch.rows.column_names) != set(schema):
        raise ContractError("columns_mismatch", "A batch has other columns than its sync.")
    for name, form in batch.forms.items():
        spec = SPEC.field(name)
        if spec is None or spec.form is not form:
            raise IntegrityError("wrong_form", f"{name} is not in the form Meta's field takes.")
    return (
        batch.rendered()
        .select(list(schema))
        .cast(pa.schema([(name, pa.string()) for name in schema]))
    )


def cut(rows: pa.Table, rows_max: int) -> list[Part]:
    """Requests of at most `rows_max` rows, always at the same places. Pure."""
    known = pa.array([False] * rows.num_rows, pa.bool_())
    for name in rows.column_names:
        if name in _IDENTIFIERS:
            filled = pc.greater(pc.utf8_length(pc.fill_null(rows.column(name), "")), 0)
            known = pc.or_(known, filled.combine_chunks())
    numbers = pc.indices_nonzero(known).cast(pa.int64())
    parts = []
    for first in range(0, rows.num_rows, rows_max):
        count = min(rows_max, rows.num_rows - first)
        inside = pc.and_(pc.greater_equal(numbers, first), pc.less(numbers, first + count))
        parts.append(Part(first=first, rows=count, sent=numbers.filter(inside)))
    return parts


def users_body(rows: pa.Table, session: Session) -> bytes:
    """Columns of one request as Meta's JSON, the empty string where a value is null. Pure.

    Whole columns are joined, without a Python object per value: digests, which most values are,
    need no escape.
    """
    head = orjson.dumps(
        {
            "session_id": session.number,
            "batch_seq": session.sequence,
            "last_batch_flag": session.last,
            "estimated_num_total": session.rows,
        }
    )
    columns = [_unquoted(column) for column in rows.columns]
    lines = pc.binary_join_element_wise(*columns, '","') if columns else pa.array([], pa.string())
    text = pc.binary_join(pa.ListArray.from_arrays([0, len(lines)], lines), '"],["')[0].as_buffer()
    opened, closed = (b'["', b'"]') if len(lines) else (b"", b"")
    schema = orjson.dumps(rows.column_names)
    begin = b'{"session":%b,"payload":{"schema":%b,"data":[%b' % (head, schema, opened)
    return b"".join([begin, memoryview(text), closed, b"]}}"])


def _unquoted(column: pa.ChunkedArray) -> pa.Array:
    """Text as it stands between the quotes of JSON, the empty string for null."""
    filled = pc.fill_null(column, "").combine_chunks()
    whole = pc.binary_join(pa.ListArray.from_arrays([0, len(filled)], filled), "")[0].as_buffer()
    if len(orjson.dumps(str(whole, "utf-8"))) == len(whole) + 2:
        return filled
    return pa.array([orjson.dumps(value)[1:-1].decode() for value in filled.to_pylist()])


def spread(part: Part, answered: Outcomes) -> Outcomes:
    """Outcomes of the rows sent, with a rejection for each row that was not. Pure."""
    if len(answered) == part.rows:
        return answered
    values = [int(OutcomeCode.REJECTED)] * part.rows
    reasons = dict.fromkeys(range(part.rows), Reason(code="no_identifier"))
    for place, (row, code) in enumerate(
        zip(part.sent.to_pylist(), answered.codes.to_pylist(), strict=True)
    ):
        values[row - part.first] = code
        del reasons[row - part.first]
        if place in answered.reasons:
            reasons[row - part.first] = answered.reasons[place]
    return Outcomes(codes=pa.array(values, pa.uint8()), reasons=reasons)


def _of_people(error: ContractError) -> ContractError:
    """A refusal of a request that carried people: what it was about."""
    if error.code in _GONE:
        return ContractError(
            "audience_gone",
            "The audience does not exist any more.",
            hint="Run again: it is made anew, and everything is sent to it.",
        )
    if re.fullmatch("meta_100(_[0-9]+)?", error.code):
        # Meta counts the rows it does not like; where it refuses a whole request for a parameter,
        # the parameter may still be one cell.
        return RequestRefusedError(error.code, error.message, hint=error.hint)
    return error


def _named(page: Mapping[str, Any], name: str) -> Iterator[str]:
    entries = page.get("data")
    if not isinstance(entries, list):
        raise ContractError("unknown_answer", "The list of audiences has no data.")
    for entry in entries:
        if isinstance(entry, dict) and entry.get("name") == name:
            yield _number(entry.get("id"))


def _next_cursor(page: Mapping[str, Any]) -> str | None:
    """The cursor of the next page. Its address is not followed: it would carry the token."""
    paging = page.get("paging")
    if not isinstance(paging, dict) or "next" not in paging:
        return None
    cursors = paging.get("cursors")
    after = cursors.get("after") if isinstance(cursors, dict) else None
    if not isinstance(after, str) or not 1 <= len(after) <= 1_000:
        raise ContractError("unknown_answer", "A page of audiences names no cursor.")
    return after


def _number(value: object) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"[0-9]{1,32}", value):
        raise ContractError("unknown_answer", "The id of an audience is not a number.")
    return value


def _check_endpoint(endpoint: str) -> None:
    """Meta's own host over TLS, or a literal loopback address over plain HTTP, nothing else."""
    if endpoint == f"https://{HOST}":
        return
    loopback = re.fullmatch(r"http://(127(?:\.[0-9]{1,3}){3}|\[::1\])(:[0-9]{1,5})?", endpoint)
    if loopback is None or not _is_address(loopback[1].strip("[]")):
        raise ConfigError(
            "bad_endpoint",
            f"endpoint must be https://{HOST} or a literal loopback address over http.",
        )


def _is_address(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
