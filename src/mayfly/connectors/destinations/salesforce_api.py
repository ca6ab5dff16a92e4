"""Calls to Salesforce: settings, paths, and what the object has for fields."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from mayfly.connectors.destinations.salesforce_answers import (
    VENDOR,
    Allowance,
    failure,
    list_of,
    object_of,
    unfit,
)
from mayfly.connectors.destinations.salesforce_tokens import Credentials, Tokens
from mayfly.connectors.http_replies import check_endpoint
from mayfly.connectors.vendor_fields import require_fields
from mayfly.domain.errors import ConfigError, ContractError, RequestRefusedError
from mayfly.ports.http import HttpClient, HttpReply

API_VERSION = "v62.0"
DOMAIN = (
    r"[a-z0-9][a-z0-9-]{0,79}(\.(sandbox|develop|scratch|trailblaze|demo|patch|free))?"
    r"\.my\.salesforce\.com"
)
OBJECT = "[A-Za-z][A-Za-z0-9_]{0,79}"
FLAGS = (
    *("HasOptedOutOfEmail", "HasOptedOutOfFax", "DoNotCall"),
    *("HasOptedOutProcessing", "HasOptedOutProfiling", "HasOptedOutSolicit"),
    *("HasOptedOutTracking", "HasOptedOutGeoTracking"),
)
"""Fields of Contact, Lead, a person account or Individual that are true where somebody refused."""
CONTACT_POINTS = ("Email", "Phone", "MailingAddress", "Social", "Web")
REQUEST_SECONDS, FILE_SECONDS = 120.0, 600.0
_CONSENT_OBJECTS = (
    *("ContactPointTypeConsent", "ContactPointConsent", "CommSubscriptionConsent"),
    *("PartyConsent", "DataUsePurpose", "AuthorizationFormConsent"),
)
_RECORD = "[A-Za-z0-9]{15}([A-Za-z0-9]{3})?"
_TEXTS = frozenset({
    "combobox", "email", "encryptedstring", "id", "multipicklist", "phone", "picklist", "reference",
    "string", "textarea", "url",
})  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Consent:
    """Where Salesforce keeps what people said of one thing.

    Args:
        flag: a field of the object that is true where they refused; else
        contact_point: the kind of address that they may be reached by, and
        data_use_purpose: id of what for.
        capture_source: as each consent says where it was given.
    """

    flag: str = ""
    contact_point: str = ""
    data_use_purpose: str = ""
    capture_source: str = "Mayfly"

    def __post_init__(self) -> None:
        is_purpose = re.fullmatch(_RECORD, self.data_use_purpose) is not None
        by_purpose = not self.flag and is_purpose and self.contact_point in CONTACT_POINTS
        by_flag = self.flag in FLAGS and not (self.contact_point or self.data_use_purpose)
        if not (by_purpose or by_flag):
            raise ConfigError(
                "bad_consent",
                "A consent has either `flag`, or `contact_point` with `data_use_purpose`.",
                hint=f"flag is one of {', '.join(FLAGS)}; contact_point one of "
                f"{', '.join(CONTACT_POINTS)}; data_use_purpose a record's id.",
            )


@dataclass(frozen=True, kw_only=True)
class SalesforceSettings:
    """Which organisation and object receive rows.

    Args:
        domain: the organisation's My Domain, the only host that is called.
        object_name: as the API names it.
        credentials: of the app.
        api_version: of all paths.
        endpoint: the organisation's own host, or a literal loopback address over plain HTTP.
        consents: by the name that the mapping gives them.

    Raises:
        ConfigError: `bad_domain`, `bad_api_version`, `bad_object`, `bad_endpoint`,
            `consent_object`.
    """

    domain: str
    object_name: str
    credentials: Credentials
    api_version: str = API_VERSION
    endpoint: str = ""
    consents: Mapping[str, Consent] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not re.fullmatch(DOMAIN, self.domain):
            raise ConfigError(
                "bad_domain",
                "domain must be the organisation's My Domain, such as acme.my.salesforce.com.",
            )
        if not re.fullmatch(r"v[0-9]{2,3}\.0", self.api_version):
            raise ConfigError("bad_api_version", f"api_version must look like {API_VERSION}.")
        if not re.fullmatch(OBJECT, self.object_name):
            raise ConfigError("bad_object", "table must name an object, such as Contact.")
        if self.object_name in _CONSENT_OBJECTS:
            raise ConfigError(
                "consent_object",
                f"Rows of {self.object_name} could make a refusal at {VENDOR} a yes.",
                hint="Sync the people themselves, and tell what they said in fields consent.NAME.",
            )
        if self.endpoint:
            check_endpoint(self.endpoint, self.domain)

    @property
    def base(self) -> str:
        """Where calls go."""
        return self.endpoint or f"https://{self.domain}"

    def path(self, rest: str) -> str:
        """A path of the API, from the root."""
        return f"/services/data/{self.api_version}/{rest}"


@dataclass(frozen=True, kw_only=True)
class Described:
    """What an object says of the fields of a mapping.

    Args:
        names: of all fields.
        texts: those of the mapping that hold text, whatever the model's columns hold.
        case_matters: whether keys that differ in case are two.
    """

    names: frozenset[str]
    texts: frozenset[str]
    case_matters: bool


class SalesforceApi:
    """Calls with a token of the app. May run concurrently.

    Of a session that has ended a new one is begun, once a call.
    """

    def __init__(self, settings: SalesforceSettings, http: HttpClient) -> None:
        self.settings = settings
        self._http = http
        self._allowance = Allowance()
        self._tokens = Tokens(
            settings.credentials,
            http,
            base=settings.base,
            is_sandbox=".sandbox." in settings.domain,
        )

    async def call(
        self, method: str, rest: str, content: bytes | None = None, *, kind: str = "json"
    ) -> HttpReply:
        """A reply of any status; personal data belongs in `content` alone.

        Args:
            method: of HTTP.
            rest: of the path.
            content: of the request.
            kind: of it, `json` or `csv`.

        Raises:
            EngineError: as `HttpClient.request`, `Tokens.token` and `Allowance.require`.
        """
        types = {"json": "application/json", "csv": "text/csv; charset=utf-8"}
        more = {} if content is None else {"content-type": types[kind]}

        async def ask(headers: Mapping[str, str]) -> HttpReply:
            return await self._http.request(
                method,
                f"{self.settings.base}{self.settings.path(rest)}",
                headers={**headers, **more},
                content=content,
                timeout_seconds=FILE_SECONDS if kind == "csv" else REQUEST_SECONDS,
            )

        return await self._in_session(ask)

    async def stream(self, rest: str, take: Callable[[bytes], None], bytes_max: int) -> None:
        """The body of a reply, piece by piece.

        Raises:
            EngineError: as `call` and `failure`.
        """

        async def ask(headers: Mapping[str, str]) -> HttpReply:
            return await self._http.stream(
                "GET",
                f"{self.settings.base}{self.settings.path(rest)}",
                headers={**headers, "accept": "text/csv"},
                take=take,
                bytes_max=bytes_max,
                timeout_seconds=FILE_SECONDS,
            )

        reply = await self._in_session(ask)
        if not 200 <= reply.status < 300:
            raise failure(reply)

    async def _in_session(self, ask: Callable[[Mapping[str, str]], Any]) -> HttpReply:
        self._allowance.require()
        token = await self._tokens.token()
        reply: HttpReply = await ask({"authorization": f"Bearer {token}"})
        if reply.status == 401:
            token = await self._tokens.token(ended=token)
            reply = await ask({"authorization": f"Bearer {token}"})
        self._allowance.note(reply)
        return reply

    async def entries(
        self, method: str, rest: str, body: bytes, entries: int
    ) -> Sequence[Mapping[str, Any]]:
        """An answer with an entry for each that was sent, of a call that is no row's.

        Raises:
            EngineError: as `call` and `list_of`, but no RequestRefusedError.
        """
        try:
            return list_of(await self.call(method, rest, body), entries)
        except RequestRefusedError as error:
            raise _of_request(error) from None

    async def ask(self, method: str, rest: str, body: object = None) -> Mapping[str, Any]:
        """A call that carries no row: what is refused is the call.

        Raises:
            EngineError: as `call` and `object_of`, but no RequestRefusedError.
        """
        content = None if body is None else orjson.dumps(body)
        try:
            return object_of(await self.call(method, rest, content))
        except RequestRefusedError as error:
            raise _of_request(error) from None

    async def composite(self, parts: Sequence[Mapping[str, Any]]) -> Sequence[Any]:
        """Bodies of the answers to several requests in one, in their order.

        What stands in their addresses stands in this request's body.

        Raises:
            EngineError: as `ask`; of a part, as `failure`, but no RequestRefusedError.
        """
        named = [{**part, "referenceId": f"r{n}"} for n, part in enumerate(parts)]
        body = {"allOrNone": False, "compositeRequest": named}
        found = (await self.ask("POST", "composite", body)).get("compositeResponse")
        if not isinstance(found, list) or len(found) != len(named):
            raise unfit("does not have an entry for each request")
        by_id = {str(e.get("referenceId")): e for e in found if isinstance(e, dict)}
        return [_part(by_id.get(f"r{n}")) for n in range(len(named))]

    async def organisation(self) -> str:
        """Id of the organisation that the token is of.

        Raises:
            EngineError: as `Tokens.organisation`.
        """
        return await self._tokens.organisation()

    async def writable(self) -> list[tuple[str, bool]]:
        """Names of the fields that may be written, and whether a new record needs each."""
        known = await self._fields()
        return [
            (name, entry.get("nillable") is False and entry.get("defaultedOnCreate") is False)
            for name, entry in known.items()
            if is_writable(entry) and not name.endswith(".")
        ]

    async def require_readable(self, name: str) -> None:
        """Refuse a field that records cannot be found by.

        Raises:
            ConfigError: `unknown_field`, `not_filterable`.
        """
        known = await self._fields()
        require_fields([name], known, where=f"{VENDOR}'s {self.settings.object_name}")
        if known[name].get("filterable") is not True or not _is_text(known[name]):
            raise ConfigError(
                "not_filterable",
                f"{VENDOR} finds no record by {name}.",
                hint="An encrypted field, and one that is no text, cannot be looked for.",
            )

    async def require_fields(self, key: str, mapped: Collection[str]) -> Described:
        """Refuse a mapping to what cannot be written, and a key that names no one record.

        Raises:
            ConfigError: `unknown_field`, `read_only_field`, `key_not_unique`, `key_not_text`,
                `unknown_flag`.
        """
        known, kind = await self._fields(), self.settings.object_name
        looked = {name: _entry(name) for name in mapped}
        require_fields(list(looked.values()), known, where=f"{VENDOR}'s {kind}")
        fixed = [name for name, entry in looked.items() if not is_writable(known[entry])]
        if fixed:
            raise ConfigError(
                "read_only_field",
                f"{VENDOR} lets the integration user write no {', '.join(fixed[:10])}.",
                hint="Give it the right to edit the field, or take it out of the mapping.",
            )
        self._require_key(key, known[key])
        flags = {c.flag for c in self.settings.consents.values() if c.flag}
        missing = sorted(f for f in flags if f not in known or not is_writable(known[f]))
        if missing:
            raise ConfigError(
                "unknown_flag",
                f"{VENDOR}'s {kind} has no {', '.join(missing)} that may be written.",
                hint="Name a flag of this object under `consents`, or let the integration user "
                "edit it.",
            )
        return Described(
            names=frozenset(known),
            texts=frozenset(n for n, entry in looked.items() if "." in n or _is_text(known[entry])),
            case_matters=known[key].get("caseSensitive") is True,
        )

    def _require_key(self, key: str, about: Mapping[str, Any]) -> None:
        if about.get("externalId") is not True or about.get("unique") is not True:
            raise ConfigError(
                "key_not_unique",
                f"{key} is no unique external id of {VENDOR}'s {self.settings.object_name}, so "
                "that it cannot name a record.",
                hint="Make a custom field that is External ID and Unique, and map the primary key "
                "to it. An e-mail address is not unique there.",
            )
        if not _is_text(about):
            raise ConfigError(
                "key_not_text",
                f"{key} is no text at {VENDOR}, so that a record cannot be asked for by it.",
                hint="Make an external id of the type Text; a number fits into it.",
            )

    async def _fields(self) -> Mapping[str, Mapping[str, Any]]:
        """Fields of the object, by name; lookups by their relationship, with a dot at the end."""
        found = await self.ask("GET", f"sobjects/{self.settings.object_name}/describe")
        fields = found.get("fields")
        if not isinstance(fields, list):
            raise unfit("describes no fields")
        entries = [entry for entry in fields if isinstance(entry, dict)]
        lookups = {f"{e['relationshipName']}.": e for e in entries if e.get("relationshipName")}
        return {str(entry.get("name")): entry for entry in entries} | lookups


def _part(entry: object) -> Any:
    """The body of one part of a composite answer."""
    if not isinstance(entry, dict) or not isinstance(entry.get("httpStatusCode"), int):
        raise unfit("has a part without a status")
    body, status = entry.get("body"), entry["httpStatusCode"]
    if not 200 <= status < 300:
        error = failure(HttpReply(status=status, headers={}, body=orjson.dumps(body)))
        raise _of_request(error) if isinstance(error, RequestRefusedError) else error
    return body


def _of_request(error: RequestRefusedError) -> ContractError:
    """A refusal that no row is to blame for."""
    return ContractError(error.code, error.message, hint=error.hint)


def is_writable(entry: Mapping[str, Any]) -> bool:
    """Whether a field may be written, of a record that is there as well as of a new one."""
    return entry.get("createable") is True and entry.get("updateable") is True


def _is_text(entry: Mapping[str, Any]) -> bool:
    return entry.get("type") in _TEXTS


def _entry(name: str) -> str:
    """What describes a field: for `Account.Number__c` the lookup."""
    lookup, dot, _ = name.partition(".")
    return f"{lookup}." if dot else name
