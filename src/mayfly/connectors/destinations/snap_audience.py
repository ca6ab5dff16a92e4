"""One customer list of Snap's that people are added to and removed from; a batch is one request.

Lists are looked up in `snap_segments`, answers understood in `snap_answers`.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from mayfly.connectors.audience_changes import adds
from mayfly.connectors.audience_lists import AudienceList, gone
from mayfly.connectors.destinations import require_protected
from mayfly.connectors.destinations.snap_answers import VENDOR, answer, is_gone, uploaded
from mayfly.connectors.destinations.snap_segments import LIFETIME_DAYS, Segment, Segments
from mayfly.connectors.http_replies import check_endpoint
from mayfly.connectors.jobs import Pace, Questions, lost_rows, refused_rows, submitted, worked_off
from mayfly.connectors.one_identifier import Digests, digests_of, the_field
from mayfly.domain.batch import BatchHead
from mayfly.domain.errors import ConfigError, ContractError
from mayfly.domain.outcomes import Outcomes
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

HOST = "adsapi.snapchat.com"
REQUEST_SECONDS = 90.0
GIVEN_UP_SECONDS = 48 * 3_600.0
"""After so long nobody asks any more whether Snap has worked a request off."""
AT_SNAP = Pace(first_seconds=60.0, least_seconds=60.0)
NAME_MAX = 375


def _digest(name: str, kind: str, rule: str) -> FieldSpec:
    return FieldSpec(name=name, kind=kind, form=Form.DIGEST, rule=("snap", rule), identifier=True)


FIELDS = (
    _digest("EMAIL_SHA256", "email", "email"),
    _digest("PHONE_SHA256", "phone", "phone"),
    _digest("MOBILE_AD_ID_SHA256", "device_id", "maid"),
)
# Integrators send up to 100,000 in a request; a batch is never larger than this.
LIMITS = RequestLimits(rows_max=50_000, bytes_max=8_000_000)
_NAMES = tuple(f.name for f in FIELDS)
_CELLS = pa.scalar('"],["', pa.string())


@dataclass(frozen=True, kw_only=True)
class SnapSettings:
    """Which ad account and list receive people.

    Args:
        account_id: of the ad account.
        access_token: asked at each call.
        audience: id of a list, or exact name; a list of that name is made where there is none.
        retention_days: how long the list keeps somebody.
        endpoint: Snap's own host, or a literal loopback address over plain HTTP.
        pace: when the status of the list is asked for.

    Raises:
        ConfigError: `bad_account_id`, `bad_audience`, `bad_endpoint`.
    """

    account_id: str
    access_token: Revealed = field(repr=False)
    audience: str
    retention_days: int = LIFETIME_DAYS
    endpoint: str = f"https://{HOST}"
    pace: Pace = AT_SNAP

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9-]{1,64}", self.account_id):
            raise ConfigError("bad_account_id", "account_id must be as Ads Manager shows it.")
        if not 1 <= len(self.audience.strip()) <= NAME_MAX:
            raise ConfigError(
                "bad_audience", f"audience must be an id, or a name of 1 to {NAME_MAX} characters."
            )
        check_endpoint(self.endpoint, HOST)

    @property
    def segment_id(self) -> str | None:
        """The list's id where the audience is one."""
        return self.audience if re.fullmatch(r"[0-9]{10,20}", self.audience) else None


@dataclass(frozen=True, kw_only=True)
class Receipt:
    """What is kept of a request until Snap has worked it off, as the reference of a job."""

    segment_id: str
    adds: bool
    all_counted: bool
    taken_at: int

    @classmethod
    def read(cls, reference: str) -> Receipt:
        """From the reference of a job.

        Raises:
            ContractError: `bad_job_reference`.
        """
        found = re.fullmatch(r"([0-9]{1,20})/(add|remove)/(all|fewer)/([0-9]{1,12})", reference)
        if found is None:
            raise ContractError("bad_job_reference", f"A job's reference is none of {VENDOR}'s.")
        return cls(
            segment_id=found[1],
            adds=found[2] == "add",
            all_counted=found[3] == "all",
            taken_at=int(found[4]),
        )

    def reference(self) -> str:
        """The reference of its job."""
        act, counted = "add" if self.adds else "remove", "all" if self.all_counted else "fewer"
        return f"{self.segment_id}/{act}/{counted}/{self.taken_at}"


class Snap:
    """Adds people to one customer list and removes them.

    Adding is a union and removing an absent person is accepted, so a repeat is harmless. Snap
    counts what it took, and works it off later. Calls may run concurrently.
    """

    def __init__(
        self,
        settings: SnapSettings,
        http: HttpClient,
        context: DestinationContext,
        *,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._http = http
        self._field = the_field(tuple(context.columns), _NAMES, VENDOR)
        self._segments = Segments(self._call, account=settings.account_id)
        self._list = AudienceList(
            self._segments,
            audience=settings.audience,
            is_id=settings.segment_id is not None,
            id_of=lambda found: found.segment_id,
            make=self._make,
            require=lambda found: found.require(settings.retention_days),
            missing=_missing,
        )
        self._questions = Questions(settings.pace, now)
        self._now = now

    async def check(self) -> None:
        """Raise ConfigError or TransientError if token or account do not work. Writes nothing."""
        await self._segments.check()

    async def locate(self, known: str | None) -> str | None:
        """See `Locating.locate`: the id of the list that is configured.

        Raises:
            ConfigError: `audience_renamed`, `audience_ambiguous`, `audience_missing`,
                `audience_of_other_kind`, `audience_forgets`.
        """
        return await self._list.locate(known)

    async def write(self, batch: ProtectedBatch, progress: Progress) -> Done | Submitted:
        """Hand over one batch; rows without an identifier are rejected unsent."""
        require_protected(batch)
        del progress  # one batch is one request
        return await self._send(batch, adds=adds(batch.head))

    async def poll(self, job: JobRef) -> Done | Pending:
        """Ask whether the list's uploads are worked off, not before it is time to. Rows of a list
        that is gone are deferred; of one that is at work for two days they are unconfirmed.
        """
        receipt = Receipt.read(job.reference)
        status = partial(self._status, receipt, job.rows)
        return await self._questions.poll(job, receipt.taken_at, status)

    async def applied(self, head: BatchHead) -> bool | None:
        """Unknown: Snap keeps no marker of a batch."""
        del head
        return None

    async def erase(self, identifiers: ProtectedBatch) -> Done | Submitted:
        """Remove people from the list; absent ones are accepted."""
        require_protected(identifiers)
        return await self._send(identifiers, adds=False)

    async def close(self) -> None:
        """Release connections. May be repeated."""
        await self._http.close()

    async def _send(self, batch: ProtectedBatch, *, adds: bool) -> Done | Submitted:
        if len(batch) > LIMITS.rows_max:
            raise ContractError("too_many_rows", "A batch holds more rows than one request.")
        digests = await asyncio.to_thread(digests_of, batch, self._field)
        found = await self._list.found(create=adds) if digests.known else None
        if found is None:
            # Of a list that is not there, everybody is removed.
            return Done(outcomes=refused_rows(digests.missing, len(batch)))
        all_counted = await self._handed_over(digests, found.segment_id, adds=adds)
        receipt = Receipt(
            segment_id=found.segment_id,
            adds=adds,
            all_counted=all_counted,
            taken_at=int(self._now()),
        )
        return submitted(batch, receipt.reference(), digests.missing, rows=digests.known)

    async def _handed_over(self, digests: Digests, segment_id: str, *, adds: bool) -> bool:
        """Whether Snap has counted all of them."""
        content = await asyncio.to_thread(users_body, self._field, digests.distinct)
        try:
            found = await self._call(
                "POST" if adds else "DELETE", f"segments/{segment_id}/users", content=content
            )
        except ContractError as error:
            if not is_gone(error):
                raise
            raise gone() from None
        return uploaded(found, len(digests.distinct))

    async def _status(self, receipt: Receipt, rows: int) -> Outcomes | None:
        """None while Snap is at work."""
        found = await self._segments.by_id(receipt.segment_id)
        if found is None and receipt.adds:
            return lost_rows(rows)
        # Of a list that nobody ever was in, or that is gone, everybody is removed.
        idle = not receipt.adds and (found is None or found.upload_status == "NO_UPLOAD")
        if idle or (found is not None and found.upload_status == "COMPLETE"):
            return worked_off(rows, all_counted=receipt.all_counted)
        if self._now() - receipt.taken_at >= GIVEN_UP_SECONDS:
            return worked_off(rows, all_counted=receipt.all_counted, is_late=True)
        return None

    async def _make(self) -> Segment:
        return await self._segments.make(self._settings.audience, self._settings.retention_days)

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
            f"{self._settings.endpoint}/v1/{path}",
            params=params,
            headers=headers,
            content=content,
            timeout_seconds=REQUEST_SECONDS,
        )
        return answer(reply)


def _missing() -> ConfigError:
    return ConfigError(
        "audience_missing",
        "The ad account has no audience of the configured id.",
        hint="See its id in Ads Manager, under Audiences; or configure a name.",
    )


def users_body(field: str, digests: pa.Array) -> bytes:
    """A request's JSON: one column, joined as a whole, since hex text needs no escape. Pure.

    Args:
        field: Snap's name of the identifier.
        digests: as hex text, at least one.
    """
    whole = pa.ListArray.from_arrays(pa.array([0, len(digests)], pa.int32()), digests)
    cells = memoryview(pc.binary_join(whole, _CELLS)[0].as_buffer())
    head = b'{"users":[{"schema":%b,"data":[["' % orjson.dumps([field])
    return b"".join([head, cells, b'"]]}]}'])
