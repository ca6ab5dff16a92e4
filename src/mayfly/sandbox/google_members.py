"""What Google takes as a request about members of lists: read strictly, all or nothing."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mayfly.sandbox.google_errors import ApiError, of_field

MEMBERS_MAX, DESTINATIONS_MAX, IDENTIFIERS_MAX = 10_000, 10, 10
Json = Mapping[str, Any]
Violation = tuple[str, str]

_ENUMS = {
    "encoding": ("ENCODING_UNSPECIFIED", "HEX", "BASE64"),
    "consent": ("CONSENT_STATUS_UNSPECIFIED", "CONSENT_GRANTED", "CONSENT_DENIED"),
    "terms": ("TERMS_OF_SERVICE_STATUS_UNSPECIFIED", "ACCEPTED", "REJECTED"),
    "account": (
        *("ACCOUNT_TYPE_UNSPECIFIED", "GOOGLE_ADS", "DISPLAY_VIDEO_PARTNER"),
        *("DISPLAY_VIDEO_ADVERTISER", "DATA_PARTNER", "GOOGLE_ANALYTICS_PROPERTY"),
    ),
}
_COMMON = frozenset({"destinations", "audienceMembers", "validateOnly", "encoding"})
_INGEST = _COMMON | {"consent", "termsOfService"}
_KINDS = {"userData": "CONTACT_ID", "mobileData": "MOBILE_ID", "userIdData": "USER_ID"}
_ADDRESS = ("givenName", "familyName", "regionCode", "postalCode")
_HEX = re.compile(r"(?:[0-9a-fA-F]{2})+")
_POSTAL = re.compile(r"[0-9A-Za-z](?:[0-9A-Za-z -]{0,10}[0-9A-Za-z])?")
_POSTAL_US = re.compile(r"[0-9]{5}(?:-?[0-9]{4})?")
_UUID = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_ACCOUNT_PATH = "destinations.destinations[{}]"


@dataclass(frozen=True, kw_only=True)
class Destination:
    """Where members go."""

    account: str
    login: str
    list_id: str
    place: int


@dataclass(frozen=True, kw_only=True)
class MembersRequest:
    """A request without a fault in its form.

    Args:
        kind: of all its members, as lists name it.
        members: field to values of each.
        consent: of the request, by Google's own names.
    """

    destinations: tuple[Destination, ...]
    kind: str
    members: tuple[Mapping[str, tuple[str, ...]], ...]
    consent: Mapping[str, str]
    validate_only: bool


def read_members(body: Any, *, adds: bool, named_most: int | None = None) -> MembersRequest:
    """Read a body of `audienceMembers:ingest` or `:remove`.

    Args:
        body: as it came, decoded.
        adds: whether it is an ingest.
        named_most: of wrong fields, where not all are named.

    Raises:
        ApiError: with every field that is to blame.
    """
    given = camel(body)
    _known(given, _INGEST if adds else _COMMON, "")
    destinations = tuple(_destinations(given.get("destinations")))
    members = given.get("audienceMembers")
    if not isinstance(members, list) or not members:
        raise of_field("audience_members", "REQUIRED_FIELD_MISSING")
    if len(members) > MEMBERS_MAX:
        raise of_field("audience_members", "TOO_MANY_AUDIENCE_MEMBERS")
    kinds = {kind for member in members for kind in _kinds_of(member)}
    if len(kinds) > 1:
        raise of_field("audience_members", "MULTIPLE_DATA_TYPES_NOT_ALLOWED")
    encoding = enum("encoding", given.get("encoding"), "encoding")
    if kinds == {"userData"} and encoding == "ENCODING_UNSPECIFIED":
        raise of_field("encoding", "REQUIRED_FIELD_MISSING")
    if adds and kinds & {"userData", "mobileData"}:
        _require_terms(given.get("termsOfService"))
    reader = _Reader(encoding)
    read = tuple(reader.member(n, member) for n, member in enumerate(members))
    if reader.wrong:
        raise ApiError(violations=reader.wrong[:named_most])
    return MembersRequest(
        destinations=destinations,
        kind=_KINDS[kinds.pop()],
        members=read,
        consent=_consent(given.get("consent"), "consent"),
        validate_only=given.get("validateOnly") is True,
    )


def read_destinations(body: Any, known: frozenset[str]) -> tuple[Json, tuple[Destination, ...]]:
    """The body of another call, and its destinations."""
    given = camel(body)
    _known(given, known | {"destinations", "validateOnly"}, "")
    return given, tuple(_destinations(given.get("destinations")))


def camel(value: Any) -> Any:
    """JSON with its keys in one spelling: both are taken."""
    if isinstance(value, dict):
        return {re.sub("_([a-z])", lambda m: m[1].upper(), k): camel(v) for k, v in value.items()}
    return [camel(item) for item in value] if isinstance(value, list) else value


def enum(kind: str, value: Any, path: str) -> str:
    """The name of an enum's value, which is given by name or number; its first where left out."""
    names = _ENUMS[kind]
    if value is None:
        return names[0]
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < len(names):
        return names[value]
    if value in names:
        return str(value)
    raise of_field(path, "INVALID_ENUM_VALUE")


def _known(given: Any, known: frozenset[str] | tuple[str, ...], path: str) -> None:
    if not isinstance(given, dict):
        raise of_field(path or "body", "INVALID_FORMAT")
    if unknown := sorted(set(given) - set(known)):
        raise of_field(f"{path}.{unknown[0]}".strip("."), "INVALID_ARGUMENT")


def _destinations(given: Any) -> Iterator[Destination]:
    if not isinstance(given, list) or not given:
        raise of_field("destinations", "REQUIRED_FIELD_MISSING")
    if len(given) > DESTINATIONS_MAX:
        raise of_field("destinations", "TOO_MANY_DESTINATIONS")
    references = [d.get("reference") for d in given if isinstance(d, dict) and d.get("reference")]
    if len(set(references)) != len(references):
        raise of_field("destinations", "DUPLICATE_DESTINATION_REFERENCE")
    fields = ("reference", "operatingAccount", "loginAccount", "productDestinationId")
    for place, destination in enumerate(given):
        path = _ACCOUNT_PATH.format(place)
        _known(destination, fields, path)
        operating = destination.get("operatingAccount")
        account = _account(operating, f"{path}.operating_account")
        login = destination.get("loginAccount", operating)
        list_id = destination.get("productDestinationId")
        if not isinstance(list_id, str) or not re.fullmatch("[0-9]{1,19}", list_id):
            raise of_field(f"{path}.product_destination_id", "INVALID_USER_LIST_ID")
        yield Destination(
            account=account,
            login=_account(login, f"{path}.login_account"),
            list_id=list_id,
            place=place,
        )


def _account(given: Any, path: str) -> str:
    _known(given, ("accountType", "accountId"), path)
    if enum("account", given.get("accountType"), path) != "GOOGLE_ADS":
        raise of_field(path, "DESTINATION_ACCOUNT_TYPE_MISMATCH")
    found = given.get("accountId")
    if not isinstance(found, str) or not re.fullmatch("[0-9]{10}", found):
        raise of_field(f"{path}.account_id", "INVALID_DESTINATION")
    return found


def _kinds_of(member: Any) -> list[str]:
    found = [kind for kind in _KINDS if isinstance(member, dict) and kind in member]
    if len(found) > 1:
        # A oneof: JSON that sets it twice is no message at all.
        raise of_field("audience_members", "INVALID_ARGUMENT")
    return found


def _require_terms(given: Any) -> None:
    path = "terms_of_service.customer_match_terms_of_service_status"
    terms = given if isinstance(given, dict) else {}
    _known(terms, ("customerMatchTermsOfServiceStatus",), "terms_of_service")
    if enum("terms", terms.get("customerMatchTermsOfServiceStatus"), path) != "ACCEPTED":
        raise of_field(path, "TERMS_AND_CONDITIONS_NOT_SIGNED")


def _consent(given: Any, path: str) -> dict[str, str]:
    if given is None:
        return {}
    _known(given, ("adUserData", "adPersonalization"), path)
    return {name: enum("consent", value, f"{path}.{name}") for name, value in given.items()}


class _Reader:
    """Reads members one after the other and notes what is wrong with each."""

    def __init__(self, encoding: str) -> None:
        self.wrong: list[Violation] = []
        self._encoding = encoding

    def member(self, place: int, given: Any) -> Mapping[str, tuple[str, ...]]:
        """Values by field."""
        path = f"audience_members.audience_members[{place}]"
        known = ("destinationReferences", "consent", *_KINDS)
        if not isinstance(given, dict) or set(given) - set(known):
            raise of_field(path, "INVALID_ARGUMENT")
        _consent(given.get("consent"), f"{path}.consent")
        for kind, name in (("userData", "user_data"), ("mobileData", "mobile_data")):
            if kind in given:
                read = self._user if kind == "userData" else self._mobile
                return read(f"{path}.{name}", given[kind])
        if "userIdData" in given:
            return self._user_id(f"{path}.user_id_data", given["userIdData"])
        self.wrong.append((path, "INVALID_AUDIENCE_MEMBER"))
        return {}

    def _user(self, path: str, given: Any) -> Mapping[str, tuple[str, ...]]:
        identifiers = self._list(path, given, "userIdentifiers", "user_identifiers")
        found: dict[str, list[str]] = {}
        for n, one in enumerate(identifiers):
            at = f"{path}.user_identifiers.user_identifiers[{n}]"
            if not isinstance(one, dict) or len(one) != 1:
                self.wrong.append((at, "INVALID_AUDIENCE_MEMBER"))
                continue
            [(name, value)] = one.items()
            if name == "address":
                found.setdefault(name, []).append(self._address(f"{at}.address", value))
            elif name in ("emailAddress", "phoneNumber"):
                found.setdefault(name, []).append(self._digest(f"{at}.{name}", value))
            else:
                raise of_field(f"{at}.{name}", "INVALID_ARGUMENT")
        return {name: tuple(values) for name, values in found.items()}

    def _mobile(self, path: str, given: Any) -> Mapping[str, tuple[str, ...]]:
        ids = self._list(path, given, "mobileIds", "mobile_ids")
        for n, one in enumerate(ids):
            if not isinstance(one, str) or not _UUID.fullmatch(one):
                self.wrong.append((f"{path}.mobile_ids[{n}]", "INVALID_MOBILE_ID_FORMAT"))
        return {"mobileIds": tuple(str(one).lower() for one in ids)}

    def _user_id(self, path: str, given: Any) -> Mapping[str, tuple[str, ...]]:
        value = given.get("userId") if isinstance(given, dict) else None
        if not isinstance(value, str) or not value:
            self.wrong.append((f"{path}.user_id", "REQUIRED_FIELD_MISSING"))
        return {"userId": (str(value),)}

    def _list(self, path: str, given: Any, name: str, field: str) -> list[Any]:
        found = given.get(name) if isinstance(given, dict) and set(given) == {name} else None
        if not isinstance(found, list) or not found:
            self.wrong.append((f"{path}.{field}", "REQUIRED_FIELD_MISSING"))
            return []
        if len(found) > IDENTIFIERS_MAX:
            self.wrong.append((f"{path}.{field}", "TOO_MANY_USER_IDENTIFIERS"))
            return []
        return found

    def _digest(self, path: str, value: Any) -> str:
        """As lower-case hex."""
        text = value if isinstance(value, str) else ""
        try:
            raw = (
                base64.b64decode(text, validate=True)
                if self._encoding == "BASE64"
                else bytes.fromhex(text if _HEX.fullmatch(text) else "not hex")
            )
        except (binascii.Error, ValueError):
            self.wrong.append((path, f"INVALID_{self._encoding}_ENCODING"))
            return ""
        if len(raw) != 32:
            self.wrong.append((path, "INVALID_SHA256_FORMAT"))
        return raw.hex()

    def _address(self, path: str, given: Any) -> str:
        """Its parts in a row."""
        if not isinstance(given, dict) or set(given) - set(_ADDRESS):
            raise of_field(path, "INVALID_ARGUMENT")
        for name in _ADDRESS:
            if not given.get(name):
                self.wrong.append((f"{path}.{name}", "REQUIRED_FIELD_MISSING"))
                return ""
        country, postcode = str(given["regionCode"]), str(given["postalCode"])
        names = [self._digest(f"{path}.{name}", given[name]) for name in _ADDRESS[:2]]
        if not re.fullmatch("[A-Z]{2}", country):
            self.wrong.append((f"{path}.region_code", "INVALID_REGION_CODE"))
        if not (_POSTAL_US if country == "US" else _POSTAL).fullmatch(postcode):
            self.wrong.append((f"{path}.postal_code", "INVALID_POSTAL_CODE"))
        return " ".join([*names, country, postcode])
