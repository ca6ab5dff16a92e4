"""One customer list of Pinterest's that people are added to and removed from, a request a batch.

Lists are looked up in `pinterest_lists`, answers understood in `pinterest_answers`.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, cast

import pyarrow as pa
import pyarrow.compute as pc

from mayfly.connectors.audience_changes import adds
from mayfly.connectors.audience_lists import gone, require_not_renamed
from mayfly.connectors.destinations import require_protected
from mayfly.connectors.destinations.pinterest_answers import VENDOR, answer, is_gone, outcomes
from mayfly.connectors.destinations.pinterest_lists import Act, CustomerList, CustomerLists
from mayfly.connectors.http_replies import check_endpoint
from mayfly.connectors.jobs import Pace, Questions, lost_rows, refused_rows, submitted
from mayfly.connectors.one_identifier import Digests, digests_of, the_field
from mayfly.domain.batch import BatchHead
from mayfly.domain.errors import ConfigError, ContractError
from mayfly.domain.outcomes import OutcomeCode, Outcomes
from mayfly.ports.destination import (
    DestinationContext,
    Done,
    FieldSpec,
    JobRef,
    Pending,
    Progress,
    RequestLimits,
    Submitted,
)
from mayfly.ports.http import HttpClient
from mayfly.ports.source_spec import Revealed
from mayfly.privacy.gate import Form, ProtectedBatch

HOST = "api.pinterest.com"
REQUEST_SECONDS = 90.0
GIVEN_UP_SECONDS = 48 * 3_600.0
"""After so long nobody asks any more whether Pinterest has worked a request off."""
AT_PINTEREST = Pace(first_seconds=60.0, least_seconds=60.0)
NAME_MAX = 255


def _digest(name: str, kind: str, rule: str) -> FieldSpec:
    return FieldSpec(
        name=name, kind=kind, form=Form.DIGEST, rule=("pinterest", rule), identifier=True
    )


FIELDS = (
    _digest("EMAIL", "email", "email"),
    _digest("MAID", "device_id", "maid"),
    _digest("IDFA", "device_id", "maid"),
)
# Neither is published as a limit.
LIMITS = RequestLimits(rows_max=10_000, bytes_max=1_000_000)
_NAMES = tuple(f.name for f in FIELDS)
_COMMA = pa.scalar(",", pa.string())


@dataclass(frozen=True, kw_only=True)
class PinterestSettings:
    """Which ad account and list receive people.

    Args:
        account_id: of the ad account.
        access_token: asked at each call.
        audience: id of a list, or exact name; a list of that name is made where there is none.
        endpoint: Pinterest's own host, or a literal loopback address over plain HTTP.
        pace: when the status of the list is asked for.

    Raises:
        ConfigError: `bad_account_id`, `bad_audience`, `bad_endpoint`.
    """

    account_id: str
    access_token: Revealed = field(repr=False)
    audience: str
    endpoint: str = f"https://{HOST}"
    pace: Pace = AT_PINTEREST

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[0-9]{1,18}", self.account_id):
            raise ConfigError("bad_account_id", "account_id must be digits, as Ads Manager shows.")
        if not 1 <= len(self.audience.strip()) <= NAME_MAX:
            raise ConfigError(
                "bad_audience", f"audience must be an id, or a name of 1 to {NAME_MAX} characters."
            )
        check_endpoint(self.endpoint, HOST)

    @property
    def list_id(self) -> str | None:
        """The list's id where the audience is one."""
        return self.audience if re.fullmatch(r"[0-9]{6,18}", self.audience) else None


@dataclass(frozen=True, kw_only=True)
class Receipt:
    """What is kept of a request until Pinterest has worked it off, as the reference of a job.

    Args:
        list_id: of the list.
        act: what was done.
        expected: where the list's counter of that has to come to.
        taken_at: seconds since 1970.
    """

    list_id: str
    act: Act
    expected: int
    taken_at: int

    @classmethod
    def read(cls, reference: str) -> Receipt:
        """From the reference of a job.

        Raises:
            ContractError: `bad_job_reference`.
        """
        form = r"([0-9]{1,20})/(add|remove)/([0-9]{1,18})/([0-9]{1,12})"
        found = re.fullmatch(form, reference)
        if found is None:
            raise ContractError("bad_job_reference", f"A job's reference is none of {VENDOR}'s.")
        act = cast("Act", found[2])
        return cls(list_id=found[1], act=act, expected=int(found[3]), taken_at=int(found[4]))

    def reference(self) -> str:
        """The reference of its job."""
        return f"{self.list_id}/{self.act}/{self.expected}/{self.taken_at}"


class Pinterest:
    """Adds people to one customer list and removes them.

    Adding is a union and removing an absent person is accepted, so a repeat is harmless. Pinterest
    counts what it took, and works it off later. Calls may run concurrently; requests about people
    go one after the other, since what Pinterest counts is the whole list's.
    """

    def __init__(
        self,
        settings: PinterestSettings,
        http: HttpClient,
        context: DestinationContext,
        *,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._http = http
        self._field = the_field(tuple(context.columns), _NAMES, VENDOR)
        self._lists = CustomerLists(self._call, account=settings.account_id)
        self._list: CustomerList | None = None
        self._expected: dict[Act, int] = {"add": 0, "remove": 0}
        self._one_by_one = asyncio.Lock()
        self._has_audience = False
        self._questions = Questions(settings.pace, now)
        self._now = now

    async def check(self) -> None:
        """Raise ConfigError or TransientError if token or account do not work. Writes nothing."""
        await self._lists.check()

    async def locate(self, known: str | None) -> str | None:
        """See `Locating.locate`: the id of the list that is configured.

        Raises:
            ConfigError: `audience_renamed`, `audience_ambiguous`, `audience_missing`.
        """
        async with self._one_by_one:
            found = await self._found()
        place = None if found is None else found.list_id
        await require_not_renamed(self._lists, known, place)
        return place

    async def write(self, batch: ProtectedBatch, progress: Progress) -> Done | Submitted:
        """Hand over one batch; rows without an identifier are rejected unsent."""
        require_protected(batch)
        del progress  # one batch is one request
        return await self._send(batch, "add" if adds(batch.head) else "remove")

    async def poll(self, job: JobRef) -> Done | Pending:
        """Ask whether the list is worked off, not before it is time to. Rows of a list that is gone
        are deferred; of one that is at work for two days they are unconfirmed.
        """
        receipt = Receipt.read(job.reference)
        status = partial(self._status, receipt, job.rows)
        return await self._questions.poll(job, receipt.taken_at, status)

    async def applied(self, head: BatchHead) -> bool | None:
        """Unknown: Pinterest keeps no marker of a batch."""
        del head
        return None

    async def erase(self, identifiers: ProtectedBatch) -> Done | Submitted:
        """Remove people from the list; absent ones are accepted."""
        require_protected(identifiers)
        return await self._send(identifiers, "remove")

    async def close(self) -> None:
        """Release connections. May be repeated."""
        await self._http.close()

    async def _send(self, batch: ProtectedBatch, act: Act) -> Done | Submitted:
        if len(batch) > LIMITS.rows_max:
            raise ContractError("too_many_rows", "A batch holds more rows than one request.")
        digests = await asyncio.to_thread(digests_of, batch, self._field)
        receipt = await self._handed_over(digests, act) if digests.known else None
        if receipt is None:
            # Of a list that is not there, everybody is removed.
            return Done(outcomes=refused_rows(digests.missing, len(batch)))
        return submitted(batch, receipt.reference(), digests.missing, rows=digests.known)

    async def _handed_over(self, digests: Digests, act: Act) -> Receipt | None:
        """None where there is no list to remove from."""
        content = await asyncio.to_thread(records, digests.distinct)
        async with self._one_by_one:
            before = await self._found()
            if before is None and act == "remove":
                return None
            if before is None:
                self._list = await self._lists.make(self._settings.audience, self._field, content)
            else:
                self._list = await self._changed(before, act, content)
            # A counter may lag behind what this process has sent.
            begun = max(self._expected[act], 0 if before is None else before.counted[act])
            self._expected[act] = begun + len(digests.distinct)
            return Receipt(
                list_id=self._list.list_id,
                act=act,
                expected=self._expected[act],
                taken_at=int(self._now()),
            )

    async def _changed(self, before: CustomerList, act: Act, content: bytes) -> CustomerList:
        try:
            return await self._lists.change(before.list_id, act, content)
        except ContractError as error:
            if not is_gone(error):
                raise
            raise gone() from None

    async def _status(self, receipt: Receipt, rows: int) -> Outcomes | None:
        """None while Pinterest is at work."""
        found = await self._lists.by_id(receipt.list_id)
        if found is None and receipt.act == "add":
            return lost_rows(rows)
        if found is None:
            return Outcomes.all_of(OutcomeCode.ACCEPTED, rows)
        is_late = self._now() - receipt.taken_at >= GIVEN_UP_SECONDS
        if not found.is_worked_off and not is_late:
            return None
        if found.is_ready and not self._has_audience:
            await self._lists.ensure_audience(found)
            self._has_audience = True
        return outcomes(
            rows,
            counted=found.counted[receipt.act] >= receipt.expected,
            exception=found.exception,
            is_late=not found.is_worked_off,
        )

    async def _found(self) -> CustomerList | None:
        """The list, looked up once for all batches; with the counters of its last answer."""
        settings = self._settings
        if self._list is None:
            self._list = (
                await self._lists.named(settings.audience)
                if settings.list_id is None
                else await self._lists.by_id(settings.list_id)
            )
            if self._list is None and settings.list_id is not None:
                raise ConfigError(
                    "audience_missing",
                    "The ad account has no customer list of the configured id.",
                    hint="Configure a name; or ask the API for the ids of the lists there are.",
                )
        return self._list

    async def _call(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        content: bytes | None = None,
    ) -> Mapping[str, Any]:
        headers = {"authorization": f"Bearer {self._settings.access_token.reveal()}"}
        if content is not None:
            headers["content-type"] = "application/json"
        reply = await self._http.request(
            method,
            f"{self._settings.endpoint}/v5/{path}",
            params=params,
            headers=headers,
            content=content,
            timeout_seconds=REQUEST_SECONDS,
        )
        return answer(reply)


def records(digests: pa.Array) -> bytes:
    """Digests as Pinterest's one text: hex, which holds no comma, parted by commas. Pure."""
    whole = pa.ListArray.from_arrays(pa.array([0, len(digests)], pa.int32()), digests)
    return bytes(memoryview(pc.binary_join(whole, _COMMA)[0].as_buffer()))
