"""TikTok custom audiences, kept member by member through the Business API."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
import pyarrow as pa

from mayfly.connectors.audience_changes import AudienceChanges
from mayfly.connectors.audience_lists import renamed, the_one
from mayfly.connectors.destinations.tiktok_ads_requests import (
    FIELDS,
    IDENTIFIERS,
    LIMITS,
    mapping_body,
    members_of,
    require_digests,
)
from mayfly.connectors.jobs import no_such_job
from mayfly.connectors.narrowing import Narrowing
from mayfly.connectors.row_outcomes import laid_out, without_any
from mayfly.connectors.tiktok_api import (
    HOST,
    MISSING,
    PARTLY_TAKEN,
    VENDOR,
    TiktokSettings,
    tiktok_call,
)
from mayfly.domain.batch import BatchHead, SyncMode
from mayfly.domain.errors import ConfigError, ContractError, RequestRefusedError
from mayfly.domain.outcomes import Reason
from mayfly.ports.connector import Connector, ConnectorPage, DestinationRequest
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
from mayfly.privacy.gate import ProtectedBatch

REQUEST_SECONDS = 60.0
NAME_MAX = 128
_PAGE_ROWS, _PAGES_MAX = 100, 1_000
SPEC = DestinationSpec(
    name="tiktok_ads",
    modes=frozenset({SyncMode.AUDIENCE, SyncMode.UPSERT}),
    fields=FIELDS,
    request=LIMITS,
    hosts=frozenset({HOST}),
    processor=Processor(
        legal_name="TikTok Technology Limited", countries=frozenset({"GB", "IE", "SG", "US"})
    ),
    erasure=Erasure.BY_IDENTIFIER,
    always_external=True,
    locates=True,
    concurrency=2,
)


@dataclass(frozen=True, kw_only=True)
class TiktokAdsSettings:
    """Which advertiser and audience receive people.

    Args:
        api: with what the Business API is called.
        advertiser_id: digits.
        audience: exact name; made where the advertiser has none of that name.

    Raises:
        ConfigError: `bad_account_id`, `bad_audience`.
    """

    api: TiktokSettings = field(repr=False)
    advertiser_id: str
    audience: str

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[0-9]{1,32}", self.advertiser_id):
            raise ConfigError("bad_account_id", "account_id must be digits, the advertiser's.")
        if not 1 <= len(self.audience.strip()) <= NAME_MAX:
            raise ConfigError(
                "bad_audience", f"audience must be a name of 1 to {NAME_MAX} characters."
            )


class TiktokAds:
    """Adds people to one custom audience and removes them.

    Adding is a union and removing an absent person is accepted, so a repeat is harmless. TikTok
    answers for a request as a whole: what it takes is accepted, what it refuses is halved until
    the wrong rows stand alone. Calls may run concurrently.
    """

    def __init__(
        self, settings: TiktokAdsSettings, http: HttpClient, context: DestinationContext
    ) -> None:
        self._settings = settings
        self._http = http
        self._audience_id: str | None = None
        self._finding = asyncio.Lock()
        self._changes = AudienceChanges(
            fields=tuple(context.columns), identifiers=IDENTIFIERS, send=self._send
        )
        self._adding, self._removing = Narrowing(vendor=VENDOR), Narrowing(vendor=VENDOR)
        if unknown := [name for name in context.columns if SPEC.field(name) is None]:
            raise ConfigError("unknown_field", f"TikTok has no id type {unknown[0]}.")

    async def check(self) -> None:
        """Raise ConfigError or TransientError if token or advertiser do not work."""
        await self._page(1, rows=1)

    async def locate(self, known: str | None) -> str | None:
        """See `Locating.locate`: the id of the audience of the configured name.

        Raises:
            ConfigError: `audience_renamed`, `audience_ambiguous`.
        """
        listed = await self._listed()
        found = self._named(listed)
        if known is not None and found != known and known in listed:
            raise renamed()
        return found

    async def write(self, batch: ProtectedBatch, progress: Progress) -> Done | Submitted:
        """Send one batch; rows without any identifier are rejected unsent."""
        return await self._changes.write(batch, progress)

    async def poll(self, job: JobRef) -> Done | Pending:
        """TikTok answers at once; there is nothing to ask for."""
        raise no_such_job(VENDOR, job)

    async def applied(self, head: BatchHead) -> bool | None:
        """Unknown: TikTok keeps no marker of a batch."""
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
        require_digests(batch, fields)
        refused = without_any(batch.rows, fields)
        audience = None
        if len(refused) < len(batch):
            audience = await self._audience(create=adds)
        members = None
        if audience is not None:
            members = await asyncio.to_thread(members_of, batch, fields, audience)
        head = {
            "advertiser_ids": [self._settings.advertiser_id],
            "action": "add" if adds else "delete",
            "id_schema": list(fields),
        }
        narrowing = self._adding if adds else self._removing
        while progress.next_row < len(batch):
            first = progress.next_row
            rows = min(SPEC.request.rows_max, len(batch) - first)
            told = {n: refused[n] for n in range(first, first + rows) if n in refused}
            doubted: dict[int, Reason] = {}
            if members is not None:
                sent = [n for n in range(first, first + rows) if n not in told]
                doubted = await self._mapped(narrowing, head, members, sent, told)
            if not adds:
                # Who may be in the audience still is removed by the next run.
                told, doubted = {**doubted, **told}, {}
            progress.rows_done(laid_out(told, first=first, rows=rows, unconfirmed=doubted))
        return progress.done()

    async def _mapped(
        self,
        narrowing: Narrowing,
        head: Mapping[str, object],
        members: pa.Array,
        sent: Sequence[int],
        told: dict[int, Reason],
    ) -> dict[int, Reason]:
        """Rows that may have been taken, by number; `told` gets those that were refused."""
        doubted: dict[int, Reason] = {}

        async def ask(numbers: Sequence[int]) -> None:
            content = await asyncio.to_thread(mapping_body, head, members, numbers)
            try:
                await self._call("POST", "/segment/mapping/", content=content)
            except ContractError as error:
                if error.code != f"tiktok_{PARTLY_TAKEN}":
                    raise _of_people(error) from None
                reason = Reason(code="partly_taken", vendor_code=error.code)
                doubted.update(dict.fromkeys(numbers, reason))

        def refuse(number: int, error: RequestRefusedError) -> None:
            told[number] = Reason(code="row_refused", vendor_code=error.code)

        await narrowing.send(sent, ask, refuse)
        return doubted

    async def _audience(self, *, create: bool) -> str | None:
        """The audience's id, looked up or made once for all batches."""
        async with self._finding:
            if self._audience_id is None:
                self._audience_id = self._named(await self._listed())
            if self._audience_id is None and create:
                made = await self._call(
                    "POST",
                    "/segment/audience/",
                    content=orjson.dumps(
                        {
                            "advertiser_id": self._settings.advertiser_id,
                            "custom_audience_name": self._settings.audience,
                            "action": "create",
                        }
                    ),
                )
                self._audience_id = _number(made.get("audience_id"))
            return self._audience_id

    def _named(self, listed: Mapping[str, str]) -> str | None:
        return the_one(
            {key: key for key, name in listed.items() if name == self._settings.audience},
            of="audiences of the advertiser",
            hint="Rename all but one in TikTok Ads Manager, or configure another name.",
        )

    async def _listed(self) -> dict[str, str]:
        """Names of the advertiser's audiences, by id."""
        found: dict[str, str] = {}
        for number in range(1, _PAGES_MAX + 1):
            page = await self._page(number, rows=_PAGE_ROWS)
            entries, info = page.get("list"), page.get("page_info")
            if not isinstance(entries, list) or not isinstance(info, dict):
                raise ContractError("unknown_answer", "The list of audiences is none.")
            for entry in entries:
                if not isinstance(entry, dict):
                    raise ContractError("unknown_answer", "An audience of the list is none.")
                found[_number(entry.get("audience_id"))] = str(entry.get("name"))
            pages = info.get("total_page")
            if type(pages) is not int or number >= pages:
                return found
        raise ContractError("too_many_pages", "The list of audiences does not end.")

    async def _page(self, number: int, *, rows: int) -> Mapping[str, Any]:
        params = {
            "advertiser_id": self._settings.advertiser_id,
            "page": str(number),
            "page_size": str(rows),
        }
        try:
            return await self._call("GET", "/dmp/custom_audience/list/", params=params)
        except RequestRefusedError as error:
            raise ConfigError(
                "bad_account_id",
                f"TikTok does not take account_id ({error.code}).",
                hint="See the advertiser's id in TikTok Ads Manager.",
            ) from None

    async def _call(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        content: bytes | None = None,
    ) -> Mapping[str, Any]:
        return await tiktok_call(
            self._settings.api,
            self._http,
            method,
            path,
            params=params,
            content=content,
            timeout_seconds=REQUEST_SECONDS,
        )


def _of_people(error: ContractError) -> ContractError:
    if error.code == f"tiktok_{MISSING}":
        return ContractError(
            "audience_gone",
            "The audience does not exist any more.",
            hint="Run again: it is made anew, and everything is sent to it.",
        )
    return error


def _number(value: object) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"[0-9]{1,32}", value):
        raise ContractError("unknown_answer", "The id of an audience is not a number.")
    return value


def _open(request: DestinationRequest) -> TiktokAds:
    settings = TiktokAdsSettings(
        api=TiktokSettings(
            access_token=request.secret("access_token"),
            endpoint=request.settings.endpoint or f"https://{HOST}",
        ),
        advertiser_id=request.text("account_id"),
        audience=request.sync.audience or "",
    )
    return TiktokAds(settings, request.connect(), request.context)


PAGE = ConnectorPage(
    title="TikTok custom audiences",
    example="""
destinations:
  tiktok: {type: tiktok_ads, account_id: "1234567890", access_token: env:TIKTOK_TOKEN}
syncs:
  vip_to_tiktok:
    id: vip_to_tiktok
    model: people
    destination: tiktok
    mode: audience
    audience: VIP customers
    purpose: ads
    mapping: {EMAIL_SHA256: email, PHONE_SHA256: phone}
""",
    rights=(
        "A long-lived access token of an app of TikTok's Business API with the permission "
        "*Audience Management*, which the advertiser has authorised.",
    ),
    notes=(
        "`audience` is the exact name; an audience of that name is made where the advertiser has "
        "none. One that was deleted there is made anew by the next run, and everybody is sent.",
        "TikTok tells nothing of single rows: what it takes counts as delivered. A request that it "
        "refuses for a parameter is halved until the wrong rows stand alone (`row_refused`).",
        "There is no field for consent: who did not agree to the sync's purpose is not sent, and "
        "who withdraws is removed. TikTok replaces an audience only as a file; Mayfly adds and "
        "removes, so that it is never empty in between.",
        "E-mails keep their dots and `+tag`; phones are hashed as digits without `+`. TikTok shows "
        "no ads to an audience of which it knows fewer than about 1,000 people.",
    ),
    untested=(
        "Everything: it was tried against the sandbox, driven by TikTok's own client, which has no "
        "method for `/segment/audience/` and `/segment/mapping/` and was made to call them.",
        "How many rows a request may hold: 10,000 are sent, and fewer where that is refused.",
        "Which code TikTok gives when: they are those that its own client names.",
        "Whether a request with one wrong digest is refused whole, as the sandbox does.",
        "Where TikTok keeps what it gets: the countries are of its notices for Europe of 2022.",
    ),
)

CONNECTOR = Connector(spec=SPEC, open=_open, address=("account_id",), page=PAGE)
