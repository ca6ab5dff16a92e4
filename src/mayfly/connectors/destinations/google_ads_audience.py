"""One Customer Match list that people are added to and removed from; one batch is one request.

Bodies are built in `google_ads_requests`, answers understood in `google_ads_answers`; lists are
looked up in `google_ads_lists`, what was taken is followed with `google_ads_jobs`.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from mayfly.connectors.destinations import require_protected
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
from mayfly.connectors.jobs import Pace, refused_rows
from mayfly.domain.batch import BatchHead, Operation
from mayfly.domain.errors import ConfigError, ContractError, EngineError
from mayfly.domain.outcomes import OutcomeCode, Outcomes, Reason
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
        self._fields = tuple(context.columns)
        self._kind = kind_of(self._fields)
        self._lists = UserLists(self._call, account=settings.account_id, kind=self._kind)
        self._list: UserList | None = None
        self._finding = asyncio.Lock()
        self._asked_at: dict[str, float] = {}
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
        found = await self._found(create=False)
        if found is None and self._settings.list_id is not None:
            raise ConfigError(
                "audience_missing",
                "The account has no audience of the configured id.",
                hint="See its id in Google Ads, under Audience manager; or configure a name.",
            )
        if known is not None and (found is None or found.list_id != known):
            await self._require_gone(known)
        return None if found is None else found.list_id

    async def write(self, batch: ProtectedBatch, progress: Progress) -> Done | Submitted:
        """Hand over one batch; rows without any identifier are rejected unsent."""
        require_protected(batch)
        del progress  # one batch is one request
        match batch.head.operation:
            case Operation.ADD | Operation.WRITE:
                return await self._send(batch, self._fields, adds=True)
            case Operation.REMOVE:
                return await self._remove(batch, (batch.head.identifier or "",))
            case Operation.INSERT:
                raise ContractError("unknown_operation", "An audience takes no inserts.")

    async def poll(self, job: JobRef) -> Done | Pending:
        """Ask what became of a request, not before it is time to. What Google does not know any
        more is deferred.
        """
        receipt, pace = Receipt.read(job.reference), self._settings.pace
        at = pace.next_at(receipt.taken_at, self._asked_at.get(job.reference))
        if self._now() >= at:
            found = await self._status(receipt, job.rows)
            if found is not None:
                self._asked_at.pop(job.reference, None)
                return Done(outcomes=receipt.with_warnings(found))
            self._asked_at[job.reference] = self._now()
            at = pace.next_at(receipt.taken_at, self._asked_at[job.reference])
        return Pending(retry_after_seconds=max(at - self._now(), 1.0))

    async def applied(self, head: BatchHead) -> bool | None:
        """Unknown: Google keeps no marker of a batch."""
        del head
        return None

    async def erase(self, identifiers: ProtectedBatch) -> Done | Submitted:
        """Remove people from the list by one identifier field; absent ones are accepted."""
        require_protected(identifiers)
        return await self._remove(identifiers, tuple(identifiers.rows.column_names))

    async def close(self) -> None:
        """Release connections. May be repeated."""
        await self._http.close()

    async def _remove(self, batch: ProtectedBatch, fields: tuple[str, ...]) -> Done | Submitted:
        if len(fields) != 1 or fields[0] not in IDENTIFIERS:
            raise ContractError("one_identifier", "A removal holds exactly one identifier field.")
        return await self._send(batch, fields, adds=False)

    async def _send(
        self, batch: ProtectedBatch, fields: Collection[str], *, adds: bool
    ) -> Done | Submitted:
        members = await asyncio.to_thread(Members, batch, fields)
        refused = dict.fromkeys(members.nameless(), Reason(code="no_identifier"))
        found = await self._found(create=adds) if len(refused) < len(batch) else None
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
                return _submitted(batch, receipt, refused, rows=len(left))
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
            return Outcomes.all_of(OutcomeCode.DEFERRED, rows, Reason(code="job_lost"))
        return outcomes(answered, rows)

    async def _found(self, *, create: bool) -> UserList | None:
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
                if self._list is not None:
                    self._list.require(self._kind)
            return self._list

    async def _require_gone(self, known: str) -> None:
        if await self._lists.by_id(known) is not None:
            raise ConfigError(
                "audience_renamed",
                "The audience that this sync has filled so far has another name now.",
                hint="Give it its name again, or configure the new one and adopt the state; see "
                "`mayfly state list`. To begin with another audience, use `mayfly state drop`.",
            )

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


def _submitted(
    batch: ProtectedBatch, receipt: Receipt, refused: Mapping[int, Reason], *, rows: int
) -> Submitted:
    job = JobRef(batch=batch.head.number, rows=rows, reference=receipt.reference())
    return Submitted(job=job, known=refused_rows(refused, len(batch)) if refused else None)


def _of_people(reply: HttpReply) -> Mapping[str, Any]:
    """The answer to a request that carried people."""
    try:
        return answer(reply)
    except ContractError as error:
        if not is_gone(error):
            raise
        raise ContractError(
            "audience_gone",
            "The audience does not exist any more.",
            hint="Run again: one that is configured by its name is made anew, and everything is "
            "sent to it.",
        ) from None
