"""Calls to Zendesk: settings, log-in, the fields of users, and jobs until they end."""

from __future__ import annotations

import asyncio
import base64
import re
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from mayfly.connectors.destinations import zendesk_jobs as jobs
from mayfly.connectors.destinations.zendesk_jobs import VENDOR
from mayfly.connectors.http_replies import (
    check_endpoint,
    json_object,
    refused,
    try_json,
    vendor_code,
)
from mayfly.connectors.vendor_fields import require_fields
from mayfly.domain.errors import ConfigError, ContractError, EngineError, TransientError
from mayfly.ports.http import HttpClient, HttpReply
from mayfly.ports.source_spec import Revealed

REQUEST_SECONDS = 60.0
POLL_SECONDS, POLLS_MAX = 2.0, 300
PAGES_MAX = 50
USER_FIELD = "user_fields."
"""Begins the name of a mapping's field that is the account's own."""
STANDARD = frozenset({
    "name", "email", "external_id", "phone", "alias", "details", "notes", "locale", "time_zone",
    "organization_id",
})  # fmt: skip
KEYS = ("external_id", "email")
Sleep = Callable[[float], Awaitable[None]]


@dataclass(frozen=True, kw_only=True)
class ZendeskSettings:
    """Which account receives rows. Of `access_token` and `api_token` one is given.

    Args:
        subdomain: of the account: `SUBDOMAIN.zendesk.com`.
        access_token: of OAuth.
        api_user, api_token: address of an agent or administrator, and a token of the API.
        endpoint: the account's own host, or a literal loopback address over plain HTTP.

    Raises:
        ConfigError: `bad_endpoint`, `bad_subdomain`, `bad_api_user`.
    """

    subdomain: str
    access_token: Revealed | None = field(default=None, repr=False)
    api_user: str = ""
    api_token: Revealed | None = field(default=None, repr=False)
    endpoint: str = ""

    def __post_init__(self) -> None:
        if not re.fullmatch("[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", self.subdomain):
            raise ConfigError("bad_subdomain", "subdomain must be what precedes .zendesk.com.")
        if self.access_token is None and not (self.api_token and self.api_user):
            raise ConfigError("bad_api_user", "api_token needs api_user, an agent's address.")
        if self.endpoint:
            check_endpoint(self.endpoint, self.host)

    @property
    def host(self) -> str:
        """Of the account."""
        return f"{self.subdomain}.zendesk.com"

    @property
    def base(self) -> str:
        """Where calls go."""
        return self.endpoint or f"https://{self.host}"

    def authorization(self) -> str:
        """The header of that name."""
        if self.access_token is not None:
            return f"Bearer {self.access_token.reveal()}"
        token = self.api_token.reveal() if self.api_token is not None else ""
        login = f"{self.api_user}/token:{token}"
        return f"Basic {base64.b64encode(login.encode()).decode('ascii')}"


class ZendeskApi:
    """Calls with the account's login. May run concurrently.

    Args:
        settings: of the account.
        http: connects to it.
        sleep: how to wait for a job.
    """

    def __init__(
        self, settings: ZendeskSettings, http: HttpClient, *, sleep: Sleep = asyncio.sleep
    ) -> None:
        self._settings = settings
        self._http = http
        self._sleep = sleep

    async def call(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        params: Mapping[str, str] | None = None,
    ) -> Mapping[str, Any]:
        """The answer's JSON; personal data belongs in `body` alone.

        Raises:
            EngineError: as `refusal`.
        """
        headers = {"authorization": self._settings.authorization()}
        if body is not None:
            headers["content-type"] = "application/json"
        reply = await self._http.request(
            method,
            f"{self._settings.base}/api/v2/{path}",
            params=params,
            headers=headers,
            content=body,
            timeout_seconds=REQUEST_SECONDS,
        )
        if reply.status == 204:
            return {}
        if 200 <= reply.status < 300:
            return json_object(reply, VENDOR)
        raise refusal(reply)

    async def require_agent(self) -> None:
        """Refuse a login that is none, or is no agent's.

        Raises:
            ConfigError: `reauthorise`.
        """
        user = (await self.call("GET", "users/me")).get("user")
        role = user.get("role") if isinstance(user, dict) else None
        if not isinstance(user, dict) or not user.get("id") or role not in ("admin", "agent"):
            # Zendesk answers a login that it does not know as somebody anonymous.
            raise ConfigError(
                "reauthorise",
                f"{VENDOR} does not know the login as an agent's or administrator's.",
                hint="Check the token; with api_token, api_user is the address of one of them.",
            )

    async def user_fields(self) -> dict[str, str]:
        """The account's own fields of users, with their types.

        Raises:
            ContractError: `unknown_answer`.
        """
        found: dict[str, str] = {}
        params = {"page[size]": "100"}
        for _ in range(PAGES_MAX):
            page = await self.call("GET", "user_fields", params=params)
            entries = page.get("user_fields")
            if not isinstance(entries, list):
                raise jobs.unfit("has no user_fields")
            found |= {str(e.get("key")): str(e.get("type")) for e in entries if e.get("active")}
            about = page.get("meta")
            if not isinstance(about, dict) or not about.get("has_more"):
                return found
            params["page[after]"] = str(about.get("after_cursor"))
        raise jobs.unfit(f"has more than {PAGES_MAX} pages of user_fields")

    async def require_fields(self, mapped: Collection[str], audience: str) -> None:
        """Refuse a mapping to what is not there, and an audience that is no checkbox.

        Raises:
            ConfigError: `unknown_field`, `not_a_checkbox`.
        """
        own = await self.user_fields()
        known = [*sorted(STANDARD), *(f"{USER_FIELD}{key}" for key in own)]
        require_fields(mapped, known, where=f"{VENDOR}'s users")
        if audience and own.get(audience) != "checkbox":
            raise ConfigError(
                "not_a_checkbox",
                f"{VENDOR} has no active user field {audience} of type checkbox.",
                hint="Make one with that key: it is checked for whoever is in the audience.",
            )

    async def submit(self, users: bytes) -> str:
        """Id of the job that writes some users."""
        body = b'{"users":%b}' % users
        return jobs.job_id(await self.call("POST", "users/create_or_update_many", body))

    async def roles(self, users: Sequence[int]) -> dict[int, str]:
        """Of users by their ids; one who is not there any more is missing.

        Raises:
            ContractError: `unknown_answer`.
        """
        params = {"ids": ",".join(map(str, users))}
        found = (await self.call("GET", "users/show_many", params=params)).get("users")
        if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
            raise jobs.unfit("has no users")
        return {jobs.user_id(entry): str(entry.get("role")) for entry in found}

    async def statuses(self, ids: Sequence[str]) -> dict[str, Mapping[str, Any]]:
        """Jobs by their ids."""
        params = {"ids": ",".join(ids)}
        return jobs.statuses(await self.call("GET", "job_statuses/show_many", params=params))

    async def finished(self, job: str, rows: int) -> list[Mapping[str, Any]]:
        """What a job says of each row, once it has ended.

        Raises:
            TransientError: `job_pending`, `job_failed`.
        """
        for _ in range(POLLS_MAX):
            status = (await self.statuses([job])).get(job)
            if status is None or not jobs.is_waiting(status):
                found = jobs.results(status, rows)
                if found is None:
                    raise TransientError("job_failed", f"{VENDOR} did not carry out a job.")
                return found
            await self._sleep(POLL_SECONDS)
        raise TransientError("job_pending", f"{VENDOR} has not finished a job.")

    async def close(self) -> None:
        """Release connections. May be repeated."""
        await self._http.close()


def stubs(key: str, keys: Sequence[str], more: Mapping[str, object] | None = None) -> bytes:
    """Users by their key alone: who is there gets an answer with an id, and nobody is made, since
    a new user needs a name. No key stands in an address that way.
    """
    return orjson.dumps([{key: value, **(more or {})} for value in keys])


def refusal(reply: HttpReply) -> EngineError:
    """Any status other than 2xx as our error. Pure; Zendesk's own text gets no further."""
    body = try_json(reply)
    error = body.get("error") if isinstance(body, dict) else None
    code = vendor_code(error.get("code") if isinstance(error, dict) else error)
    shown = f"HTTP {reply.status}" + (f", {code}" if code else "")
    match reply.status:
        case 404:
            return ContractError(
                "not_found",
                f"{VENDOR} has nothing at a path that was asked for ({shown}).",
                hint="Check `subdomain`.",
            )
        case 409:
            return TransientError("destination_busy", f"{VENDOR} cannot answer now ({shown}).")
        case _:
            return refused(reply, VENDOR, code)
