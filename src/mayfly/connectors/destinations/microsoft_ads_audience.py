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

from mayfly.connectors.audience_changes import AudienceChanges
from mayfly.connectors.audience_lists import AudienceList, gone
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
    IDENTIFIERS,
    LIMITS,
    SPECS,
    Action,
    user_data_body,
)
from mayfly.connectors.http_replies import check_endpoint
from mayfly.connectors.identified_rows import AudienceRows, Part
from mayfly.connectors.jobs import no_such_job
from mayfly.domain.batch import BatchHead
from mayfly.domain.errors import ConfigError, ContractError
from mayfly.domain.outcomes import Outcomes
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
        self._lists = CustomerLists(self._ask, account_id=settings.account_id)
        self._list = AudienceList(
            self._lists,
            audience=settings.audience,
            is_id=settings.list_id is not None,
            id_of=lambda found: found.list_id,
            make=self._make,
            require=lambda _: None,
            missing=_missing,
        )
        rows = AudienceRows(
            self._list, specs=SPECS, vendor=VENDOR, rows_max=LIMITS.rows_max, send=self._items
        )
        self._changes = AudienceChanges(
            fields=tuple(context.columns), identifiers=IDENTIFIERS, send=rows.send
        )
        if unknown := [name for name in context.columns if name not in SPECS]:
            raise ConfigError("unknown_field", f"{VENDOR} has no field {unknown[0]}.")

    async def check(self) -> None:
        """Raise ConfigError or TransientError if login or account do not work. Writes nothing."""
        await self._lists.check()

    async def locate(self, known: str | None) -> str | None:
        """See `Locating.locate`: the id of the list that is configured.

        Raises:
            ConfigError: `audience_renamed`, `audience_ambiguous`, `audience_missing`.
        """
        return await self._list.locate(known)

    async def write(self, batch: ProtectedBatch, progress: Progress) -> Done | Submitted:
        """Send one batch; rows without an identifier are rejected unsent."""
        return await self._changes.write(batch, progress)

    async def poll(self, job: JobRef) -> Done | Pending:
        """Microsoft answers at once; there is nothing to ask for."""
        raise no_such_job(VENDOR, job)

    async def applied(self, head: BatchHead) -> bool | None:
        """Unknown: Microsoft keeps no marker of a batch."""
        del head
        return None

    async def erase(self, identifiers: ProtectedBatch) -> Done | Submitted:
        """Remove people from the list; absent ones are accepted."""
        return await self._changes.erase(identifiers)

    async def close(self) -> None:
        """Release connections. May be repeated."""
        await self._http.close()

    async def _items(self, part: Part, found: CustomerList, adds: bool) -> Outcomes:
        """Outcomes of the rows of one request."""
        if adds:
            found.require_lasting(self._settings.membership_days)
        action: Action = "Add" if adds else "Remove"
        body = await asyncio.to_thread(user_data_body, part.table, action, found.list_id)
        reply = await self._post("CustomerListUserData/Apply", body)
        try:
            return outcomes(people_answer(reply), len(part.sent))
        except ContractError as error:
            if error.code != "microsoft_list_gone":
                raise
        raise gone()

    async def _make(self) -> CustomerList:
        return await self._lists.make(self._settings.audience, self._settings.membership_days)

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


def _missing() -> ConfigError:
    return ConfigError(
        "audience_missing",
        "The account has no customer list of the configured id.",
        hint="Configure a name instead: it is made where there is none.",
    )
