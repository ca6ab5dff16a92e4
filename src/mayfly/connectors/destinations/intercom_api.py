"""Calls to Intercom: settings, and what the workspace has."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from mayfly.connectors.destinations import intercom_answers as said
from mayfly.connectors.destinations.intercom_answers import VENDOR, GoneError, TakenError
from mayfly.connectors.http_replies import check_endpoint
from mayfly.connectors.vendor_fields import require_fields
from mayfly.domain.errors import ConfigError, ContractError, RequestRefusedError
from mayfly.ports.http import HttpClient
from mayfly.ports.source_spec import Revealed

HOSTS = {"us": "api.intercom.io", "eu": "api.eu.intercom.io", "au": "api.au.intercom.io"}
API_VERSION = "2.16"
REQUEST_SECONDS = 30.0
PAGE_ROWS, PAGES_MAX = 150, 20
KEYS = ("external_id", "email")
STANDARD = frozenset({"external_id", "email", "phone", "name", "signed_up_at", "owner_id"})
NO_MAIL = "unsubscribed_from_emails"
ATTRIBUTE, SUBSCRIPTION = "custom_attributes.", "subscription."
"""Begin the names of a mapping's fields that are the workspace's own."""


@dataclass(frozen=True, kw_only=True)
class IntercomSettings:
    """Which workspace receives rows.

    Args:
        app_id: of the workspace: the token must be of this one.
        access_token: of an app.
        region: where the workspace is hosted: `us`, `eu` or `au`.
        subscriptions: ids of subscription types, by the name that the mapping gives them.
        endpoint: Intercom's own host of the region, or a literal loopback address.

    Raises:
        ConfigError: `bad_region`, `bad_endpoint`.
    """

    app_id: str
    access_token: Revealed = field(repr=False)
    region: str = "us"
    subscriptions: Mapping[str, str] = field(default_factory=dict)
    endpoint: str = ""

    def __post_init__(self) -> None:
        if self.region not in HOSTS:
            raise ConfigError("bad_region", f"region must be one of {', '.join(HOSTS)}.")
        if self.endpoint:
            check_endpoint(self.endpoint, HOSTS[self.region])

    @property
    def base(self) -> str:
        """Where calls go."""
        return self.endpoint or f"https://{HOSTS[self.region]}"


class IntercomApi:
    """Calls with the app's token. May run concurrently."""

    def __init__(self, settings: IntercomSettings, http: HttpClient) -> None:
        self.settings = settings
        self._http = http

    async def call(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        params: Mapping[str, str] | None = None,
        fields: Collection[str] = (),
    ) -> Mapping[str, Any]:
        """The answer's JSON; personal data belongs in `body` alone.

        Raises:
            EngineError, TakenError, GoneError: as `intercom_answers.answer`.
        """
        headers = {
            "authorization": f"Bearer {self.settings.access_token.reveal()}",
            "accept": "application/json",
            "intercom-version": API_VERSION,
        }
        if body is not None:
            headers["content-type"] = "application/json"
        reply = await self._http.request(
            method,
            f"{self.settings.base}/{path}",
            params=params,
            headers=headers,
            content=body,
            timeout_seconds=REQUEST_SECONDS,
        )
        return said.answer(reply, fields)

    async def ask(self, method: str, path: str, body: object = None, **params: str) -> Any:
        """A call that is about no person: what is refused is the call.

        Raises:
            EngineError: as `call`, but no RequestRefusedError.
        """
        content = None if body is None else orjson.dumps(body)
        try:
            return await self.call(method, path, content, params=params or None)
        except RequestRefusedError as error:
            raise ContractError(error.code, error.message) from None
        except (GoneError, TakenError):
            raise said.unfit(f"to {method} {path.partition('/')[0]} is not known") from None

    async def require_workspace(self) -> None:
        """Refuse a token of another workspace, or of another region.

        Raises:
            ConfigError: `wrong_account`, `wrong_region`.
        """
        app = (await self.ask("GET", "me")).get("app")
        told = app if isinstance(app, dict) else {}
        if told.get("id_code") != self.settings.app_id:
            raise ConfigError(
                "wrong_account",
                "The token is of another Intercom workspace than app_id says.",
                hint="Give a token of that workspace, or correct app_id: a state belongs to one.",
            )
        if str(told.get("region", "")).lower() != self.settings.region:
            raise ConfigError(
                "wrong_region",
                f"The Intercom workspace is not hosted in {self.settings.region}.",
                hint="Correct `region`: calls go to that region's host alone.",
            )

    async def attributes(self) -> list[str]:
        """The workspace's own attributes of contacts that may be written."""
        listed = said.entries(await self.ask("GET", "data_attributes", model="contact"))
        return [
            str(e.get("name"))
            for e in listed
            if e.get("custom") is True
            and e.get("api_writable") is True
            and e.get("archived") is not True
        ]

    async def require_fields(self, mapped: Collection[str]) -> None:
        """Refuse a mapping to what is not there.

        Raises:
            ConfigError: `unknown_field`.
        """
        own = [f"{ATTRIBUTE}{name}" for name in await self.attributes()]
        known = [*sorted(STANDARD), NO_MAIL, *own]
        require_fields(
            [name for name in mapped if not name.startswith(SUBSCRIPTION)],
            known,
            where=f"{VENDOR}'s contacts",
        )

    async def consent_types(self) -> dict[str, str]:
        """Of the subscription types of the settings: `opt_in` or `opt_out`, by their ids.

        Raises:
            ConfigError: `unknown_subscription`.
            ContractError: `unknown_answer`.
        """
        listed = said.entries(await self.ask("GET", "subscription_types"))
        live = {
            str(e.get("id")): str(e.get("consent_type")) for e in listed if e.get("state") == "live"
        }
        for name, wanted in self.settings.subscriptions.items():
            if wanted not in live:
                raise ConfigError(
                    "unknown_subscription",
                    f"Subscription {name}: {VENDOR} has no live type with the id {wanted}.",
                    hint=f"Its live types are {', '.join(sorted(live)[:20]) or 'none'}.",
                )
            if live[wanted] not in ("opt_in", "opt_out"):
                raise said.unfit("has a subscription of no known kind")
        return live

    async def tags(self) -> dict[str, str]:
        """Names of the workspace's tags, by their ids."""
        listed = said.entries(await self.ask("GET", "tags"))
        return {said.record_id(entry): str(entry.get("name")) for entry in listed}

    async def made_tag(self, name: str) -> str:
        """Id of the tag of that name, which is made where it is not there."""
        for record, known in (await self.tags()).items():
            if known == name:
                return record
        return said.record_id(await self.ask("POST", "tags", {"name": name}))

    async def search(
        self, key: str, keys: Sequence[str], *, leads: bool = False
    ) -> list[Mapping[str, Any]]:
        """Pages of the contacts that some keys name; no key stands in an address.

        Args:
            key: `external_id` or `email`.
            keys: that are asked for.
            leads: whether leads are meant, too, and not users alone.

        Raises:
            ContractError: `unknown_answer`, the list has no end.
        """
        by_key = {"field": key, "operator": "IN", "value": list(keys)}
        users = {"field": "role", "operator": "=", "value": "user"}
        query = by_key if leads else {"operator": "AND", "value": [by_key, users]}
        paging: dict[str, object] = {"per_page": PAGE_ROWS}
        pages: list[Mapping[str, Any]] = []
        while len(pages) < PAGES_MAX:
            page = await self.ask("POST", "contacts/search", {"query": query, "pagination": paging})
            pages.append(page)
            following = said.next_page(page)
            if not following:
                return pages
            paging = {**paging, "starting_after": following}
        raise said.unfit("to a search has no end")

    async def close(self) -> None:
        """Release connections. May be repeated."""
        await self._http.close()


def subscription_id(text: str) -> str:
    """As it may stand in a path.

    Raises:
        ConfigError: `unknown_subscription`.
    """
    if not re.fullmatch("[0-9]{1,20}", text):
        raise ConfigError("unknown_subscription", "The id of a subscription type is digits.")
    return text
