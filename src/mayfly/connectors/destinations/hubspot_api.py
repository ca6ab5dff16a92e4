"""Calls to HubSpot: settings, paths of both styles, and what the account and its objects are."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import orjson

from mayfly.connectors.destinations.hubspot_answers import VENDOR, answer
from mayfly.connectors.http_replies import check_endpoint
from mayfly.connectors.vendor_fields import require_fields
from mayfly.domain.errors import ConfigError, ContractError, RequestRefusedError
from mayfly.ports.http import HttpClient
from mayfly.ports.source_spec import Revealed

HOST, EU_HOST = "api.hubapi.com", "api-eu1.hubapi.com"
HOSTS = {"": HOST, "eu1": EU_HOST}
API_VERSION = "v3"
REQUEST_SECONDS = 60.0
LEGAL_BASES = (
    *("LEGITIMATE_INTEREST_PQL", "LEGITIMATE_INTEREST_CLIENT", "LEGITIMATE_INTEREST_OTHER"),
    *("PERFORMANCE_OF_CONTRACT", "CONSENT_WITH_NOTICE", "PROCESS_AND_STORE", "NON_GDPR"),
)
_LIST_TYPES = {"contacts": "0-1", "companies": "0-2", "deals": "0-3", "tickets": "0-5"}


@dataclass(frozen=True, kw_only=True)
class Subscription:
    """One subscription type of HubSpot, and on what basis people are subscribed to it.

    Args:
        number: its id.
        legal_basis, explanation: as HubSpot takes them; needed where its privacy settings are on.
    """

    number: int
    legal_basis: str = ""
    explanation: str = ""

    def __post_init__(self) -> None:
        if self.legal_basis and self.legal_basis not in LEGAL_BASES:
            raise ConfigError(
                "bad_legal_basis", f"legal_basis must be one of {', '.join(LEGAL_BASES)}."
            )


@dataclass(frozen=True, kw_only=True)
class HubspotSettings:
    """Which account and object receive rows.

    Args:
        account_id: Hub ID: the token must be of this account.
        access_token: of a private app, or from a log-in.
        object_type: `contacts`, or another that has a unique property.
        list_name: of the list whose members rows are; empty where there is none.
        region: `eu1` for the host in the EU.
        api_version: `v3`, or a date such as `2026-09`.
        endpoint: HubSpot's own host, or a literal loopback address over plain HTTP.
        subscriptions: by the name that the mapping gives them.

    Raises:
        ConfigError: `bad_account_id`, `bad_region`, `bad_api_version`, `bad_object`,
            `bad_endpoint`.
    """

    account_id: str
    access_token: Revealed = field(repr=False)
    object_type: str = "contacts"
    list_name: str = ""
    region: str = ""
    api_version: str = API_VERSION
    endpoint: str = ""
    subscriptions: Mapping[str, Subscription] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not re.fullmatch("[0-9]{1,20}", self.account_id):
            raise ConfigError("bad_account_id", "account_id must be the Hub ID: digits.")
        if self.region not in HOSTS:
            raise ConfigError("bad_region", "region must be eu1, or left out.")
        if not re.fullmatch("v3|20[0-9]{2}-(03|09)", self.api_version):
            raise ConfigError("bad_api_version", "api_version must be v3, or look like 2026-09.")
        if not re.fullmatch("[A-Za-z0-9][A-Za-z0-9_-]{0,99}", self.object_type):
            raise ConfigError("bad_object", "table must name a type of object, such as contacts.")
        if self.endpoint:
            check_endpoint(self.endpoint, HOSTS[self.region])

    @property
    def base(self) -> str:
        """Where calls go."""
        return self.endpoint or f"https://{HOSTS[self.region]}"

    @property
    def list_type(self) -> str:
        """Id of the type of object, as lists name it.

        Raises:
            ConfigError: `bad_object`.
        """
        if re.fullmatch("[0-9]{1,4}-[0-9]{1,12}", self.object_type):
            return self.object_type
        if self.object_type not in _LIST_TYPES:
            raise ConfigError(
                "bad_object",
                f"A list of {self.object_type} needs the id of their type.",
                hint="Write `table: 2-1234567`, as HubSpot's settings of the object show it.",
            )
        return _LIST_TYPES[self.object_type]

    def path(self, api: str, rest: str) -> str:
        """A path in the style of the version: `objects`, `lists`, `properties`, `account-info` or
        `communication-preferences`.
        """
        dated = self.api_version
        if api in ("account-info", "communication-preferences"):
            old = "v4" if api == "communication-preferences" else "v3"
            return f"{api}/{old if dated == 'v3' else dated}/{rest}"
        return f"crm/v3/{api}/{rest}" if dated == "v3" else f"crm/{api}/{dated}/{rest}"


class HubspotApi:
    """Calls with the account's token. May run concurrently."""

    def __init__(self, settings: HubspotSettings, http: HttpClient) -> None:
        self.settings = settings
        self._http = http
        self._zone = ""

    async def call(
        self,
        method: str,
        path: str,
        content: bytes | None = None,
        *,
        params: Mapping[str, str] | None = None,
    ) -> Mapping[str, Any]:
        """The answer's JSON; personal data belongs in `content` alone.

        Raises:
            EngineError: as `hubspot_answers.answer`.
        """
        headers = {"authorization": f"Bearer {self.settings.access_token.reveal()}"}
        if content is not None:
            headers["content-type"] = "application/json"
        reply = await self._http.request(
            method,
            f"{self.settings.base}/{path}",
            params=params,
            headers=headers,
            content=content,
            timeout_seconds=REQUEST_SECONDS,
        )
        return answer(reply, zone=self._zone)

    async def ask(self, method: str, path: str, body: object = None) -> Mapping[str, Any]:
        """A call that carries no row: what is refused is the call.

        Raises:
            EngineError: as `call`, but no RequestRefusedError.
        """
        content = None if body is None else orjson.dumps(body)
        try:
            return await self.call(method, path, content)
        except RequestRefusedError as error:
            raise ContractError(error.code, error.message, hint=error.hint) from None

    async def require_account(self) -> None:
        """Refuse a token of another account, or of another region.

        Raises:
            ConfigError: `wrong_account`, `wrong_region`.
        """
        told = await self.ask("GET", self.settings.path("account-info", "details"))
        zone = told.get("timeZone")
        self._zone = zone if isinstance(zone, str) else ""
        if str(told.get("portalId")) != self.settings.account_id:
            raise ConfigError(
                "wrong_account",
                "The token is of another HubSpot account than account_id says.",
                hint="Give a token of that account, or correct account_id: a state belongs to one "
                "account.",
            )
        region = self.settings.region
        if region and str(told.get("dataHostingLocation", "")).lower() != region:
            raise ConfigError(
                "wrong_region",
                f"The HubSpot account's data is not hosted in {region}.",
                hint="Leave `region` out, or send to an account that is hosted there.",
            )

    async def require_properties(self, key: str, mapped: Collection[str]) -> None:
        """Refuse a mapping to what is no writable property, and a key that is not unique.

        Raises:
            ConfigError: `unknown_field`, `read_only_field`, `key_not_unique`.
        """
        kind = self.settings.object_type
        known = await self._properties()
        require_fields(mapped, known, where=f"{VENDOR}'s {kind}")
        fixed = [name for name in mapped if _is_read_only(known[name])]
        if fixed:
            raise ConfigError(
                "read_only_field",
                f"{VENDOR} lets nobody write {', '.join(fixed[:10])}.",
                hint="Take it out of the mapping, or map a property of your own.",
            )
        by_address = kind == "contacts" and key == "email"
        if known[key].get("hasUniqueValue") is not True and not by_address:
            raise ConfigError(
                "key_not_unique",
                f"Values of {key} are not unique at {VENDOR}, so that it cannot name a record.",
                hint="Use `email` of contacts, or a property made with unique values.",
            )

    async def writable(self) -> list[str]:
        """Names of the properties that may be written."""
        known = await self._properties()
        return [name for name, entry in known.items() if not _is_read_only(entry)]

    async def _properties(self) -> dict[str, Mapping[str, Any]]:
        """Those of the type of object, by name."""
        path = self.settings.path("properties", self.settings.object_type)
        entries = (await self.ask("GET", path)).get("results")
        if not isinstance(entries, list):
            raise ContractError("unknown_answer", f"{VENDOR}'s list of properties has no results.")
        return {str(e.get("name")): e for e in entries if isinstance(e, dict)}

    async def require_subscriptions(self) -> None:
        """Refuse subscription types that are not there, or not in use.

        Raises:
            ConfigError: `unknown_subscription`.
        """
        path = self.settings.path("communication-preferences", "definitions")
        entries = (await self.ask("GET", path)).get("results")
        if not isinstance(entries, list):
            raise ContractError("unknown_answer", f"{VENDOR} lists no subscription types.")
        active = {str(e.get("id")) for e in entries if isinstance(e, dict) and e.get("isActive")}
        for name, wanted in self.settings.subscriptions.items():
            if str(wanted.number) not in active:
                raise ConfigError(
                    "unknown_subscription",
                    f"Subscription {name}: {VENDOR} has no active type with the id "
                    f"{wanted.number}.",
                    hint=f"Its active types are {', '.join(sorted(active)[:20]) or 'none'}.",
                )


def path_part(text: str) -> str:
    """A name as one part of a path."""
    return quote(text, safe="")


def _is_read_only(entry: Mapping[str, Any]) -> bool:
    about = entry.get("modificationMetadata")
    fixed = isinstance(about, dict) and about.get("readOnlyValue") is True
    return fixed or entry.get("calculated") is True
