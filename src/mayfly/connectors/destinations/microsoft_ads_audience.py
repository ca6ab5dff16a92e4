"""One customer list of Microsoft Advertising that people are added to and removed from.

Bodies are built in `microsoft_ads_requests`, answers understood in `microsoft_ads_answers`; lists
are looked up in `microsoft_ads_lists`.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from mayfly.connectors.destinations import require_protected
from mayfly.connectors.destinations.microsoft_ads_answers import (
    VENDOR,
    answer,
    outcomes,
    people_answer,
)
from mayfly.connectors.destinations.microsoft_ads_lists import (
    DAYS_MAX,
    CustomerList,
    CustomerLists,
)
from mayfly.connectors.destinations.microsoft_ads_requests import (
    LIMITS,
    SPECS,
    Action,
    user_data_body,
)
from mayfly.connectors.http_replies import check_endpoint
from mayfly.connectors.identified_rows import IdentifiedRows, Part, one_identifier
from mayfly.domain.batch import BatchHead, Operation
from mayfly.domain.errors import ConfigError, ContractError
from mayfly.domain.outcomes import OutcomeCode, Outcomes
from mayfly.ports.destination import (
    DestinationContext,
    Done,
    JobRef,
    Pending,
    Progress,
    Submitted,
)
from mayfly.ports.http import HttpClient, HttpReply
from mayfly.ports.source_spec import Revealed
from mayfly.privacy.gate import ProtectedBatch

HOST = "campaign.api.bingads.microsoft.com"
REQUEST_SECONDS = 60.0
NAME_MAX = 128


@dataclass(frozen=True, kw_only=True)
class MicrosoftAdsSettings:
    """Which account and list receive people.

    Args:
        account_id, customer_id: of the ad account, and of the manager account above it.
        developer_token: of whoever has registered for the API.
        access_token: with the right `msads.manage`.
        audience: id of a list, or exact name; one of that name is made where there is none.
        membership_days: how long a member stays that is not sent again.
        endpoint: Microsoft's own host, or a literal loopback address over plain HTTP.

    Raises:
        ConfigError: `bad_account_id`, `bad_audience`, `bad_membership`, `bad_endpoint`.
    """

    account_id: str
    customer_id: str
    developer_token: Revealed = field(repr=False)
    access_token: Revealed = field(repr=False)
    audience: str
    membership_days: int = DAYS_MAX
    endpoint: str = f"https://{HOST}"

    def __post_init__(self) -> None:
        for number in (self.account_id, self.customer_id):
            if not re.fullmatch("[1-9][0-9]{0,18}", number):
                raise ConfigError(
                    "bad_account_id",
                    "account_id and customer_id must be digits, as the address of Microsoft "
                    "Advertising shows them (aid and cid).",
                )
        if not 1 <= len(self.audience.strip()) <= NAME_MAX:
            raise ConfigError(
                "bad_audience", f"audience must be an id, or a name of 1 to {NAME_MAX}."
            )
        if not 1 <= self.membership_days <= DAYS_MAX:
            raise ConfigError("bad_membership", f"membership_days must be from 1 to {DAYS_MAX}.")
        check_endpoint(self.endpoint, HOST)

    @property
    def list_id(self) -> str | None:
        """The list's id where the audience is one."""
        return self.audience if re.fullmatch("[1-9][0-9]{0,18}", self.audience) else None


class MicrosoftAds:
    """Adds people to one customer list and removes them.

    Adding is a union, and a person who is not there may be removed, so that a repeat is harmless.
    Items that Microsoft does not take are named at once. Calls may run concurrently.
    """

    def __init__(
        self, settings: MicrosoftAdsSettings, http: HttpClient, context: DestinationContext
    ) -> None:
        self._settings = settings
        self._http = http
        self._fields = tuple(context.columns)
        self._lists = CustomerLists(self._ask, account_id=settings.account_id)
        self._list: CustomerList | None = None
        self._finding = asyncio.Lock()
        if unknown := [name for name in self._fields if name not in SPECS]:
            raise ConfigError("unknown_field", f"{VENDOR} has no field {unknown[0]}.")

    async def check(self) -> None:
        """Raise ConfigError or TransientError if login or account do not work. Writes nothing."""
        await self._lists.check()

    async def locate(self, known: str | None) -> str | None:
        """See `Locating.locate`: the id of the list that is configured.

        Raises:
            ConfigError: `audience_renamed`, `audience_ambiguous`, `audience_missing`.
        """
        found = await self._found(create=False)
        if found is None and self._settings.list_id is not None:
            raise ConfigError(
                "audience_missing",
                "The account has no customer list of the configured id.",
                hint="Configure a name instead: it is made where there is none.",
            )
        if known is not None and (found is None or found.list_id != known):
            await self._require_gone(known)
        return None if found is None else found.list_id

    async def write(self, batch: ProtectedBatch, progress: Progress) -> Done | Submitted:
        """Send one batch; rows without an identifier are rejected unsent."""
        require_protected(batch)
        match batch.head.operation:
            case Operation.ADD | Operation.WRITE:
                return await self._send(batch, progress, self._fields, "Add")
            case Operation.REMOVE:
                return await self._remove(batch, progress, (batch.head.identifier or "",))
            case Operation.INSERT:
                raise ContractError("unknown_operation", "An audience takes no inserts.")

    async def poll(self, job: JobRef) -> Done | Pending:
        """Microsoft answers at once; there is nothing to ask for."""
        raise ContractError("no_such_job", f"{VENDOR} has no job for batch {job.batch}.")

    async def applied(self, head: BatchHead) -> bool | None:
        """Unknown: Microsoft keeps no marker of a batch."""
        del head
        return None

    async def erase(self, identifiers: ProtectedBatch) -> Done | Submitted:
        """Remove people from the list; absent ones are accepted."""
        require_protected(identifiers)
        fields = tuple(identifiers.rows.column_names)
        return await self._remove(identifiers, Progress(rows=len(identifiers)), fields)

    async def close(self) -> None:
        """Release connections. May be repeated."""
        await self._http.close()

    async def _remove(
        self, batch: ProtectedBatch, progress: Progress, fields: tuple[str, ...]
    ) -> Done:
        one_identifier(fields, SPECS)
        return await self._send(batch, progress, fields, "Remove")

    async def _send(
        self, batch: ProtectedBatch, progress: Progress, fields: tuple[str, ...], action: Action
    ) -> Done:
        rows = IdentifiedRows(batch, fields, SPECS, VENDOR)
        while progress.next_row < len(rows):
            part = await asyncio.to_thread(rows.part, progress.next_row, LIMITS.rows_max)
            progress.rows_done(part.spread(await self._items(part, action)))
        return progress.done()

    async def _items(self, part: Part, action: Action) -> Outcomes:
        """Outcomes of the rows of one request; a removal where no list is, is done."""
        count = len(part.sent)
        found = await self._found(create=action == "Add") if count else None
        if found is None:
            return Outcomes.all_of(OutcomeCode.ACCEPTED, count)
        if action == "Add":
            found.require_lasting(self._settings.membership_days)
        body = await asyncio.to_thread(user_data_body, part.table, action, found.list_id)
        reply = await self._post("CustomerListUserData/Apply", body)
        try:
            return outcomes(people_answer(reply), count)
        except ContractError as error:
            if error.code != "microsoft_list_gone":
                raise
        raise ContractError(
            "audience_gone",
            "The audience does not exist any more.",
            hint="Run again: one that is configured by its name is made anew, and everything is "
            "sent to it.",
        )

    async def _found(self, *, create: bool) -> CustomerList | None:
        """The list, looked up or made once for all batches."""
        settings = self._settings
        async with self._finding:
            if self._list is None:
                self._list = (
                    await self._lists.named(settings.audience)
                    if settings.list_id is None
                    else await self._lists.by_id(settings.list_id)
                )
                if self._list is None and create and settings.list_id is None:
                    self._list = await self._lists.make(settings.audience, settings.membership_days)
            return self._list

    async def _require_gone(self, known: str) -> None:
        if await self._lists.by_id(known) is not None:
            raise ConfigError(
                "audience_renamed",
                "The audience that this sync has filled so far has another name now.",
                hint="Give it its name again, or configure the new one and adopt the state; see "
                "`mayfly state list`. To begin with another audience, use `mayfly state drop`.",
            )

    async def _ask(self, path: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        return answer(await self._post(path, orjson.dumps(body)))

    async def _post(self, path: str, content: bytes) -> HttpReply:
        settings = self._settings
        return await self._http.request(
            "POST",
            f"{settings.endpoint}/CampaignManagement/v13/{path}",
            headers={
                "authorization": f"Bearer {settings.access_token.reveal()}",
                "developertoken": settings.developer_token.reveal(),
                "customeraccountid": settings.account_id,
                "customerid": settings.customer_id,
                "content-type": "application/json",
            },
            content=content,
            timeout_seconds=REQUEST_SECONDS,
        )
