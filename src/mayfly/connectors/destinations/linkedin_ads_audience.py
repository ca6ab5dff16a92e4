"""One DMP segment of LinkedIn that people are streamed into and out of.

Bodies are built in `linkedin_ads_requests`, answers understood in `linkedin_ads_answers`; segments
are looked up in `linkedin_ads_segments`.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from mayfly.connectors.audience_changes import AudienceChanges
from mayfly.connectors.audience_lists import AudienceList, gone
from mayfly.connectors.destinations.linkedin_ads_answers import (
    SEGMENT_GONE,
    VENDOR,
    outcomes,
    people_answer,
)
from mayfly.connectors.destinations.linkedin_ads_requests import (
    IDENTIFIERS,
    LIMITS,
    SPECS,
    Action,
    users_body,
)
from mayfly.connectors.destinations.linkedin_ads_segments import Segment, Segments
from mayfly.connectors.http_replies import check_endpoint
from mayfly.connectors.identified_rows import AudienceRows, Part
from mayfly.connectors.jobs import no_such_job
from mayfly.domain.batch import BatchHead
from mayfly.domain.errors import ConfigError, ContractError, TransientError
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

HOST = "api.linkedin.com"
API_VERSION = "202604"
SOURCE_PLATFORM = "MAYFLY"
REQUEST_SECONDS = 60.0
SETTLE_SECONDS = 5.0
"""How long a new segment takes to be there, as LinkedIn says."""
NEW_SECONDS = 180.0
"""For how long after it was made a segment may still be unknown: seen were one to two minutes."""


@dataclass(frozen=True, kw_only=True)
class LinkedInSettings:
    """Which ad account and segment receive people.

    Args:
        account_id: of the ad account.
        access_token: with the right `rw_dmp_segments`.
        audience: id of a segment, or exact name; one of that name is made where there is none.
        source_platform: what a segment that is made says it comes from.
        api_version: year and month.
        settle_seconds: to wait after a segment was made.
        endpoint: LinkedIn's own host, or a literal loopback address over plain HTTP.

    Raises:
        ConfigError: `bad_account_id`, `bad_audience`, `bad_api_version`, `bad_source_platform`,
            `bad_endpoint`.
    """

    account_id: str
    access_token: Revealed = field(repr=False)
    audience: str
    source_platform: str = SOURCE_PLATFORM
    api_version: str = API_VERSION
    settle_seconds: float = SETTLE_SECONDS
    endpoint: str = f"https://{HOST}"

    def __post_init__(self) -> None:
        if not re.fullmatch("[1-9][0-9]{0,18}", self.account_id):
            raise ConfigError(
                "bad_account_id", "account_id must be digits, as Campaign Manager shows."
            )
        if not 1 <= len(self.audience.strip()) <= 200:
            raise ConfigError("bad_audience", "audience must be an id, or a name of 1 to 200.")
        if not re.fullmatch("20[0-9]{2}(0[1-9]|1[0-2])", self.api_version):
            raise ConfigError("bad_api_version", "api_version must look like 202604.")
        if not re.fullmatch("[A-Z][A-Z0-9_]{0,63}", self.source_platform):
            raise ConfigError(
                "bad_source_platform", "source_platform must be capital letters, digits and _."
            )
        check_endpoint(self.endpoint, HOST)

    @property
    def account(self) -> str:
        """The account as a URN."""
        return f"urn:li:sponsoredAccount:{self.account_id}"

    @property
    def segment_id(self) -> str | None:
        """The segment's id where the audience is one."""
        return self.audience if re.fullmatch("[1-9][0-9]{0,18}", self.audience) else None


class LinkedInAds:
    """Adds people to one segment and removes them.

    Adding is a union, and a person who is not there may be removed, so that a repeat is harmless.
    LinkedIn answers for each row at once. Calls may run concurrently.
    """

    def __init__(
        self,
        settings: LinkedInSettings,
        http: HttpClient,
        context: DestinationContext,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._http = http
        self._segments = Segments(
            self._call, account=settings.account, source=settings.source_platform
        )
        self._list = AudienceList(
            self._segments,
            audience=settings.audience,
            is_id=settings.segment_id is not None,
            id_of=lambda found: found.segment_id,
            make=self._make,
            require=lambda found: found.require(settings.account),
            missing=_missing,
        )
        rows = AudienceRows(
            self._list, specs=SPECS, vendor=VENDOR, rows_max=LIMITS.rows_max, send=self._users
        )
        self._changes = AudienceChanges(
            fields=tuple(context.columns), identifiers=IDENTIFIERS, send=rows.send
        )
        self._made_at: float | None = None
        self._sleep, self._now = sleep, now
        if unknown := [name for name in context.columns if name not in SPECS]:
            raise ConfigError("unknown_field", f"{VENDOR} has no field {unknown[0]}.")

    async def check(self) -> None:
        """Raise ConfigError or TransientError if login or account do not work. Writes nothing."""
        await self._segments.check()

    async def locate(self, known: str | None) -> str | None:
        """See `Locating.locate`: the id of the segment that is configured.

        Raises:
            ConfigError: `audience_renamed`, `audience_ambiguous`, `audience_missing`,
                `audience_of_other_kind`, `audience_elsewhere`.
        """
        return await self._list.locate(known)

    async def write(self, batch: ProtectedBatch, progress: Progress) -> Done | Submitted:
        """Send one batch; rows without any identifier are rejected unsent."""
        return await self._changes.write(batch, progress)

    async def poll(self, job: JobRef) -> Done | Pending:
        """LinkedIn answers at once; there is nothing to ask for."""
        raise no_such_job(VENDOR, job)

    async def applied(self, head: BatchHead) -> bool | None:
        """Unknown: LinkedIn keeps no marker of a batch."""
        del head
        return None

    async def erase(self, identifiers: ProtectedBatch) -> Done | Submitted:
        """Remove people from the segment by one identifier field; absent ones are accepted."""
        return await self._changes.erase(identifiers)

    async def close(self) -> None:
        """Release connections. May be repeated."""
        await self._http.close()

    async def _users(self, part: Part, segment: Segment, adds: bool) -> Outcomes:
        """Outcomes of the rows of one request."""
        if adds:
            # Removals go whatever its status: who has withdrawn does not wait for it.
            segment.require_usable()
        action: Action = "ADD" if adds else "REMOVE"
        body = await asyncio.to_thread(users_body, part.table, action)
        reply = await self._call(
            "POST",
            f"dmpSegments/{segment.segment_id}/users",
            content=body,
            method_of_many="BATCH_CREATE",
        )
        try:
            return outcomes(people_answer(reply), len(part.sent))
        except ContractError as error:
            if error.code != SEGMENT_GONE:
                raise
        raise await self._gone(segment)

    async def _gone(self, segment: Segment) -> ContractError | TransientError:
        """What is said of a segment that takes nobody: it may only be new."""
        is_new = self._made_at is not None and self._now() - self._made_at < NEW_SECONDS
        # After a restart nobody here knows when it was made; that it is listed tells it, too.
        if is_new or await self._segments.by_id(segment.segment_id) is not None:
            return TransientError(
                "audience_not_ready",
                "LinkedIn does not take people into the audience yet: it is new.",
                retry_after_seconds=10.0,
            )
        return gone()

    async def _make(self) -> Segment:
        made = await self._segments.make(self._settings.audience)
        self._made_at = self._now()
        await self._sleep(self._settings.settle_seconds)
        return made

    async def _call(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        content: bytes | None = None,
        method_of_many: str = "",
    ) -> HttpReply:
        headers = {
            "authorization": f"Bearer {self._settings.access_token.reveal()}",
            "linkedin-version": self._settings.api_version,
            "x-restli-protocol-version": "2.0.0",
        }
        if method_of_many:
            headers["x-restli-method"] = method_of_many
        if content is not None:
            headers["content-type"] = "application/json"
        return await self._http.request(
            method,
            f"{self._settings.endpoint}/rest/{path}",
            params=params,
            headers=headers,
            content=content,
            timeout_seconds=REQUEST_SECONDS,
        )


def _missing() -> ConfigError:
    return ConfigError(
        "audience_missing",
        "The ad account has no audience of the configured id.",
        hint="Configure a name instead: it is made where there is none.",
    )
