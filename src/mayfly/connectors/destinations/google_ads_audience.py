"""One Customer Match list that people are added to and removed from; one batch is one request.

Bodies are built in `google_ads_requests`, answers understood in `google_ads_answers`; lists are
looked up in `google_ads_lists`, what was taken is followed with `google_ads_jobs`.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import pyarrow as pa

from mayfly.connectors.audience_changes import AudienceChanges
from mayfly.connectors.audience_lists import AudienceList, gone
from mayfly.connectors.destinations.google_ads_answers import (
    answer,
    is_gone,
    is_lost,
    named_members,
    outcomes,
)
from mayfly.connectors.destinations.google_ads_jobs import AT_GOOGLE, Receipt
from mayfly.connectors.destinations.google_ads_lists import DAYS_MAX, UserList, UserLists
from mayfly.connectors.destinations.google_ads_requests import (
    IDENTIFIERS,
    Envelope,
    Members,
    kind_of,
)
from mayfly.connectors.destinations.google_ads_tokens import TokenSource
from mayfly.connectors.http_replies import check_endpoint
from mayfly.connectors.jobs import Pace, Questions, lost_rows, refused_rows, submitted
from mayfly.domain.batch import BatchHead
from mayfly.domain.errors import ConfigError, ContractError, EngineError
from mayfly.domain.outcomes import Outcomes, Reason
from mayfly.ports.destination import (
    DestinationContext,
    Done,
    JobRef,
    Pending,
    Progress,
    Submitted,
)
from mayfly.ports.http import HttpClient, HttpReply
from mayfly.privacy.gate import ProtectedBatch

HOST = "datamanager.googleapis.com"
REQUEST_SECONDS = 90.0
ROUNDS_MAX = 64
"""How often a request is sent again without the members that Google named, at most."""


@dataclass(frozen=True, kw_only=True)
class GoogleAdsSettings:
    """Which account and list receive people, and what their consent covers.

    Args:
        account_id: of the Google Ads account, without dashes.
        audience: id of a list, or exact name; a list of that name is made where there is none.
        may_personalise: whether the consent of the sync's purpose covers `ad_personalization`.
        login_account_id: manager account of the credentials, where it is another.
        membership_days: of the list; Google's longest where None.
        endpoint: Google's own host, or a literal loopback address over plain HTTP.
        pace: when the status of a request is asked for.

    Raises:
        ConfigError: `bad_account_id`, `bad_audience`, `bad_endpoint`.
    """

    account_id: str
    audience: str
    may_personalise: bool
    login_account_id: str | None = None
    membership_days: int | None = None
    endpoint: str = f"https://{HOST}"
    pace: Pace = AT_GOOGLE

    def __post_init__(self) -> None:
        for account in (self.account_id, self.login_account_id):
            if account is not None and not re.fullmatch(r"[0-9]{10}", account):
                raise ConfigError(
                    "bad_account_id", "An account of Google Ads is ten digits, without dashes."
                )
        if not 1 <= len(self.audience.strip()) <= 200:
            raise ConfigError("bad_audience", "audience must be an id, or a name of 1 to 200.")
        check_endpoint(self.endpoint, HOST)

    @property
    def list_id(self) -> str | None:
        """The list's id where the audience is one."""
        return self.audience if re.fullmatch(r"[0-9]{1,19}", self.audience) else None


class GoogleAds:
    """Adds people to one Customer Match list and removes them.

    Adding is a union and removing an absent person is accepted, so a repeat is harmless. Google
    takes a batch as one request and works it off later. Calls may run concurrently.
    """

    def __init__(
        self,
        settings: GoogleAdsSettings,
        tokens: TokenSource,
        http: HttpClient,
        context: DestinationContext,
        *,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._tokens = tokens
        self._http = http
        self._kind = kind_of(context.columns)
        self._lists = UserLists(self._call, account=settings.account_id, kind=self._kind)
        self._list = AudienceList(
            self._lists,
            audience=settings.audience,
            is_id=settings.list_id is not None,
            id_of=lambda found: found.list_id,
            make=self._make,
            require=lambda found: found.require(self._kind),
            missing=_missing,
        )
        self._changes = AudienceChanges(
            fields=tuple(context.columns), identifiers=IDENTIFIERS, send=self._send
        )
        self._questions = Questions(settings.pace, now)
        self._now = now

    async def check(self) -> None:
        """Raise ConfigError or TransientError if login or account do not work. Writes nothing."""
        await self._lists.check()

    async def locate(self, known: str | None) -> str | None:
        """See `Locating.locate`: the id of the list that is configured.

        Raises:
            ConfigError: `audience_renamed`, `audience_ambiguous`, `audience_missing`,
                `audience_of_other_kind`, `audience_read_only`.
        """
        return await self._list.locate(known)

    async def write(self, batch: ProtectedBatch, progress: Progress) -> Done | Submitted:
        """Hand over one batch; rows without any identifier are rejected unsent."""
        return await self._changes.write(batch, progress)

    async def poll(self, job: JobRef) -> Done | Pending:
        """Ask what became of a request, not before it is time to. What Google does not know any
        more is deferred.
        """
        receipt = Receipt.read(job.reference)
        status = partial(self._status, receipt, job.rows)
        return await self._questions.poll(job, receipt.taken_at, status)

    async def applied(self, head: BatchHead) -> bool | None:
        """Unknown: Google keeps no marker of a batch."""
        del head
        return None

    async def erase(self, identifiers: ProtectedBatch) -> Done | Submitted:
        """Remove people from the list by one identifier field; absent ones are accepted."""
        return await self._changes.erase(identifiers)

    async def close(self) -> None:
        """Release connections. May be repeated."""
        await self._http.close()

    async def _send(
        self, batch: ProtectedBatch, progress: Progress, fields: tuple[str, ...], *, adds: bool
    ) -> Done | Submitted:
        del progress  # one batch is one request
        members = await asyncio.to_thread(Members, batch, fields)
        refused = dict.fromkeys(members.nameless(), Reason(code="no_identifier"))
        found = await self._list.found(create=adds) if len(refused) < len(batch) else None
        if found is None:
            # Of a list that is not there, everybody is removed.
            return Done(outcomes=refused_rows(refused, len(batch)))
        if adds:
            found.require_ready(self._settings.membership_days or DAYS_MAX)
        return await self._handed_over(members, found.list_id, refused, batch, adds=adds)

    async def _handed_over(
        self,
        members: Members,
        list_id: str,
        refused: dict[int, Reason],
        batch: ProtectedBatch,
        *,
        adds: bool,
    ) -> Done | Submitted:
        """The batch's one request, without the rows that Google names as wrong."""
        envelope = Envelope(
            account=self._settings.account_id,
            login_account=self._settings.login_account_id,
            list_id=list_id,
            may_personalise=self._settings.may_personalise,
        )
        around = envelope.added(members.kind) if adds else envelope.removed(members.kind)
        path = "audienceMembers:ingest" if adds else "audienceMembers:remove"
        left = members.known
        for _ in range(ROUNDS_MAX):
            body = await asyncio.to_thread(members.body, left, around)
            reply = await self._reply("POST", path, content=body)
            named = {n: r for n, r in named_members(reply).items() if n < len(left)}
            if not named:
                receipt = Receipt.of(_of_people(reply), self._now())
                return submitted(batch, receipt.reference(), refused, rows=len(left))
            rows = left.to_pylist()
            refused |= {rows[place]: reason for place, reason in named.items()}
            keep = [row for place, row in enumerate(rows) if place not in named]
            left = pa.array(keep, pa.int64())
            if not keep:
                break
        unsent = Reason(code="batch_refused")
        refused |= dict.fromkeys(left.to_pylist(), unsent)
        return Done(outcomes=refused_rows(refused, len(batch)))

    async def _status(self, receipt: Receipt, rows: int) -> Outcomes | None:
        try:
            answered = await self._call(
                "GET", "requestStatus:retrieve", params={"requestId": receipt.request_id}
            )
        except EngineError as error:
            if not is_lost(error):
                raise
            return lost_rows(rows)
        found = outcomes(answered, rows)
        return None if found is None else receipt.with_warnings(found)

    async def _make(self) -> UserList:
        return await self._lists.make(self._settings.audience, self._settings.membership_days)

    async def _call(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        content: bytes | None = None,
    ) -> Mapping[str, Any]:
        return answer(await self._reply(method, path, params=params, content=content))

    async def _reply(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        content: bytes | None = None,
    ) -> HttpReply:
        headers = {"authorization": f"Bearer {await self._tokens.token()}"}
        login = self._settings.login_account_id
        if login is not None and path.startswith("accountTypes/"):
            headers["login-account"] = f"accountTypes/GOOGLE_ADS/accounts/{login}"
        if content is not None:
            headers["content-type"] = "application/json"
        return await self._http.request(
            method,
            f"{self._settings.endpoint}/v1/{path}",
            params=params,
            headers=headers,
            content=content,
            timeout_seconds=REQUEST_SECONDS,
        )


def _missing() -> ConfigError:
    return ConfigError(
        "audience_missing",
        "The account has no audience of the configured id.",
        hint="See its id in Google Ads, under Audience manager; or configure a name.",
    )


def _of_people(reply: HttpReply) -> Mapping[str, Any]:
    """The answer to a request that carried people."""
    try:
        return answer(reply)
    except ContractError as error:
        if not is_gone(error):
            raise
        raise gone() from None
