"""Meta custom audiences, through the Graph API: settings, calls, and which audience is meant.

Bodies are built in `meta_ads_requests`, answers understood in `meta_ads_answers`.
Docs: docs/howto/meta-ads.md.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from mayfly.connectors.audience_changes import AudienceChanges
from mayfly.connectors.audience_lists import renamed, the_one
from mayfly.connectors.destinations.meta_ads_answers import codes, received
from mayfly.connectors.destinations.meta_ads_requests import (
    FIELDS,
    IDENTIFIERS,
    LIMITS,
    Bodies,
    People,
    Request,
    Session,
    spread,
)
from mayfly.connectors.jobs import no_such_job
from mayfly.connectors.meta_graph import API_VERSION, HOST, GraphSettings, graph_call
from mayfly.domain.batch import BatchHead, SyncMode
from mayfly.domain.errors import (
    ConfigError,
    ContractError,
    RequestRefusedError,
    TransientError,
)
from mayfly.domain.outcomes import OutcomeCode, Outcomes
from mayfly.ports.connector import (
    FIRST_ADDRESS,
    Connector,
    ConnectorPage,
    DestinationRequest,
)
from mayfly.ports.destination import (
    DestinationContext,
    DestinationSpec,
    Done,
    Erasure,
    JobRef,
    Pending,
    Processor,
    Progress,
    Submitted,
)
from mayfly.ports.http import HttpClient
from mayfly.ports.source_spec import Revealed
from mayfly.privacy.gate import ProtectedBatch

REQUEST_SECONDS = 60.0
_PAGES_MAX = 1_000
_GONE = ("meta_100_33", "meta_1487366")


SPEC = DestinationSpec(
    name="meta_ads",
    modes=frozenset({SyncMode.AUDIENCE, SyncMode.UPSERT}),
    fields=FIELDS,
    request=LIMITS,
    hosts=frozenset({HOST}),
    processor=Processor(legal_name="Meta Platforms Ireland Ltd", countries=frozenset({"IE", "US"})),
    erasure=Erasure.BY_IDENTIFIER,
    always_external=True,
    locates=True,
    concurrency=3,
    shared=True,
)


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
    access_token: Revealed = field(repr=False)
    audience: str
    app_secret: Revealed | None = field(default=None, repr=False)
    api_version: str = API_VERSION
    endpoint: str = f"https://{HOST}"

    def __post_init__(self) -> None:
        if not re.fullmatch(r"(act_)?[0-9]{1,32}", self.account_id):
            raise ConfigError("bad_account_id", "account_id must be digits, as Ads Manager shows.")
        if not 1 <= len(self.audience.strip()) <= 200:
            raise ConfigError("bad_audience", "audience must be a name of 1 to 200 characters.")
        _ = self.graph

    @property
    def graph(self) -> GraphSettings:
        """With what the Graph API is called."""
        return GraphSettings(
            access_token=self.access_token,
            app_secret=self.app_secret,
            api_version=self.api_version,
            endpoint=self.endpoint,
        )

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
        self._audience_id: str | None = None
        self._finding = asyncio.Lock()
        self._changes = AudienceChanges(
            fields=tuple(context.columns), identifiers=IDENTIFIERS, send=self._send
        )
        self._cut: set[tuple[int, int]] = set()
        if unknown := [name for name in context.columns if SPEC.field(name) is None]:
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
            raise renamed()
        return found

    async def write(self, batch: ProtectedBatch, progress: Progress) -> Done | Submitted:
        """Send one batch; rows without any identifier are rejected unsent."""
        return await self._changes.write(batch, progress)

    async def poll(self, job: JobRef) -> Done | Pending:
        """Meta answers at once; there is nothing to ask for."""
        raise no_such_job("Meta", job)

    async def applied(self, head: BatchHead) -> bool | None:
        """Unknown: Meta keeps no marker of a batch."""
        del head
        return None

    async def erase(self, identifiers: ProtectedBatch) -> Done | Submitted:
        """Remove people from the audience by one identifier field; absent ones are accepted."""
        return await self._changes.erase(identifiers)

    async def close(self) -> None:
        """Release connections. May be repeated."""
        await self._http.close()

    async def _send(
        self, batch: ProtectedBatch, progress: Progress, fields: tuple[str, ...], *, adds: bool
    ) -> Done:
        people = People(batch, fields)
        method = "POST" if adds else "DELETE"
        requests = people.requests(progress.next_row)
        bodies = Bodies(people, requests)
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
        return the_one(
            {number: number for number in found},
            of="audiences of the ad account",
            hint="Rename all but one in Ads Manager, or configure another name.",
        )

    async def _call(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        content: bytes | None = None,
    ) -> Mapping[str, Any]:
        return await graph_call(
            self._settings.graph,
            self._http,
            method,
            path,
            params=params,
            content=content,
            timeout_seconds=REQUEST_SECONDS,
        )


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


def _open(request: DestinationRequest) -> MetaAds:
    settings = MetaAdsSettings(
        account_id=request.text("account_id"),
        access_token=request.secret("access_token"),
        app_secret=request.secret_if("app_secret"),
        audience=request.sync.audience or "",
        api_version=request.text("api_version", API_VERSION),
        endpoint=request.settings.endpoint or f"https://{HOST}",
    )
    return MetaAds(settings, request.connect(), request.context)


PAGE = ConnectorPage(
    title="Meta custom audiences",
    example="""
destinations:
  meta: {type: meta_ads, account_id: "1234567890", access_token: env:META_TOKEN}
syncs:
  vip_to_meta:
    id: vip_to_meta
    model: people
    destination: meta
    mode: audience
    audience: VIP customers
    purpose: ads
    mapping: {EMAIL: email, PHONE: phone, FN: first_name, LN: last_name, COUNTRY: country}
""",
    rights=(
        "A token of a system user with `ads_management`, and the ad account assigned to that user.",
        "The Custom Audience terms accepted for the ad account.",
    ),
    notes=("[Send to Meta](../../howto/meta-ads.md) says what outcomes and errors mean.",),
    untested=("Everything: it was tried against the sandbox, driven by Meta's own client too.",),
)

CONNECTOR = Connector(spec=SPEC, open=_open, address=FIRST_ADDRESS, page=PAGE)
