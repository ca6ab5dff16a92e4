"""Requests that carry people to Google: the fields they may hold, their kinds and their bodies.

Nothing here calls anything; `google_ads` sends what is built here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from mayfly.connectors.json_columns import Constant, Items, Object, array_of, plain, rows_of, text
from mayfly.domain.errors import ConfigError, ContractError, IntegrityError
from mayfly.ports.destination import FieldSpec, RequestLimits
from mayfly.privacy.gate import Form, ProtectedBatch


def _digest(name: str, kind: str, rule: str, *, identifier: bool = False) -> FieldSpec:
    return FieldSpec(
        name=name, kind=kind, form=Form.DIGEST, rule=("google", rule), identifier=identifier
    )


FIELDS = (
    _digest("emailAddress", "email", "email", identifier=True),
    _digest("phoneNumber", "phone", "phone", identifier=True),
    _digest("givenName", "first_name", "first_name"),
    _digest("familyName", "last_name", "last_name"),
    FieldSpec(
        name="regionCode",
        kind="country",
        form=Form.CLEAR,
        rule=("google", "country"),
        shape="[A-Za-z]{2}",
    ),
    FieldSpec(
        name="postalCode",
        kind="postal_code",
        form=Form.CLEAR,
        rule=("google", "zip"),
        shape="[0-9A-Za-z -]{2,12}",
    ),
    FieldSpec(
        name="mobileIds",
        kind="device_id",
        form=Form.CLEAR,
        rule=("google", "maid"),
        identifier=True,
    ),
    FieldSpec(name="userId", kind="opaque_id", form=Form.PSEUDONYM, identifier=True),
    FieldSpec(
        name="adPersonalization",
        kind="none",
        form=Form.CLEAR,
        shape="(granted|denied)",
        sample="denied",
    ),
)
LIMITS = RequestLimits(rows_max=10_000, bytes_max=8_000_000)
ADDRESS = ("givenName", "familyName", "regionCode", "postalCode")
IDENTIFIERS = frozenset(f.name for f in FIELDS if f.identifier)
_STATED = "adPersonalization"
"""No property of a person's, and of any kind of list: what they said of ads made for them."""
_FORMS = {f.name: f.form for f in FIELDS}
_FALSE, _NO_BYTES = pa.scalar(False, pa.bool_()), pa.scalar(0, pa.int32())


class Kind(StrEnum):
    """What a list is filled by. A request holds one kind, and so does a list of Mayfly's."""

    CONTACT = "CONTACT_ID"
    MOBILE = "MOBILE_ID"
    USER = "USER_ID"


_KINDS = {"mobileIds": Kind.MOBILE, "userId": Kind.USER}


def kind_of(fields: Collection[str]) -> Kind:
    """The one kind of some fields. Pure.

    Raises:
        ConfigError: `unknown_field`, `kinds_mixed`.
    """
    for name in fields:
        if name not in _FORMS:
            raise ConfigError("unknown_field", f"Google has no field {name}.")
    kinds = sorted({_KINDS.get(name, Kind.CONTACT) for name in fields if name != _STATED})
    if len(kinds) > 1:
        raise ConfigError("kinds_mixed", mixed(fields))
    return kinds[0] if kinds else Kind.CONTACT


def mixed(fields: Collection[str]) -> str:
    """What is said of fields of several kinds; empty where they have one."""
    alone = [name for name in _KINDS if name in fields]
    if not alone or set(fields) - {_STATED} == set(alone[:1]):
        return ""
    return (
        f"Google takes {' and '.join(alone)} only by itself: map it alone, in a sync with an "
        "audience of its own, and contact information in another."
    )


def incomplete(fields: Collection[str]) -> str:
    """What is said of a part of an address; empty where it is whole or not there."""
    missing = [name for name in ADDRESS if name not in fields]
    if not missing or len(missing) == len(ADDRESS):
        return ""
    return f"Google takes an address with all its parts only; {', '.join(missing)} is not mapped."


@dataclass(frozen=True, kw_only=True)
class Envelope:
    """What stands around the members of a request.

    Args:
        account, login_account: as the project has them.
        list_id: of the list.
        may_personalise: whether the people's consent covers ads made for them.
    """

    account: str
    login_account: str | None
    list_id: str
    may_personalise: bool

    def added(self, kind: Kind) -> dict[str, Any]:
        """Of an addition: consent of everybody in it, and the terms."""
        personal = "CONSENT_GRANTED" if self.may_personalise else "CONSENT_DENIED"
        return {
            **self.removed(kind),
            "consent": {"adUserData": "CONSENT_GRANTED", "adPersonalization": personal},
            "termsOfService": {"customerMatchTermsOfServiceStatus": "ACCEPTED"},
        }

    def removed(self, kind: Kind) -> dict[str, Any]:
        """Of a removal, which needs nobody's consent."""
        login = {"loginAccount": _account(self.login_account)} if self.login_account else {}
        destination = {
            "operatingAccount": _account(self.account),
            **login,
            "productDestinationId": self.list_id,
        }
        encoding = {"encoding": "HEX"} if kind is Kind.CONTACT else {}
        return {"destinations": [destination], **encoding}


def _account(account_id: str) -> dict[str, str]:
    return {"accountType": "GOOGLE_ADS", "accountId": account_id}


class Members:
    """The rows of a batch as members of a list; `known` are the numbers (int64) of those that have
    an identifier.

    Args:
        batch: that passed the gate.
        fields: the sync's, or the one of a removal.

    Raises:
        IntegrityError: `wrong_form`: a column is not in the form its field may leave in.
        ContractError: `columns_mismatch`, `too_many_rows`.
    """

    def __init__(self, batch: ProtectedBatch, fields: Collection[str]) -> None:
        if set(batch.rows.column_names) != set(fields):
            raise ContractError("columns_mismatch", "A batch has other columns than its sync.")
        if len(batch) > LIMITS.rows_max:
            raise ContractError("too_many_rows", "A batch holds more rows than one request.")
        for name, form in batch.forms.items():
            if _FORMS.get(name) is not form:
                raise IntegrityError(
                    "wrong_form", f"{name} is not in the form Google's field takes."
                )
        self.kind = kind_of(fields)
        self.known = _known(batch.rows)
        self._rows = _as_text(batch.rendered())

    def nameless(self) -> Sequence[int]:
        """Numbers of the rows that have none of the identifiers."""
        if len(self.known) == self._rows.num_rows:
            return ()
        return sorted(set(range(self._rows.num_rows)).difference(self.known.to_pylist()))

    def body(self, rows: pa.Array, around: Mapping[str, Any]) -> bytes:
        """A request about some of the rows, by number. Pure."""
        table = self._rows.take(rows)
        members = array_of(rows_of(_shape(table), table.num_rows))
        rest = orjson.dumps(around)
        return b'{"audienceMembers":%b,%b' % (members, rest[1:])


def _known(rows: pa.Table) -> pa.Array:
    """int64, numbers of the rows that have an identifier."""
    known = pa.repeat(_FALSE, rows.num_rows)
    for name in IDENTIFIERS.intersection(rows.column_names):
        filled = pc.greater(pc.binary_length(rows.column(name)), _NO_BYTES)
        known = pc.or_(known, pc.fill_null(filled, _FALSE).combine_chunks())
    return pc.indices_nonzero(known).cast(pa.int64())


def _as_text(rows: pa.Table) -> pa.Table:
    """Every column as text in Google's own spelling; what is empty is not there."""
    columns = {}
    for name in rows.column_names:
        column = rows.column(name).combine_chunks().cast(pa.string())
        if name == "regionCode":
            column = pc.utf8_upper(column)
        if name == "postalCode":
            column = pc.utf8_trim_whitespace(column)
        is_empty = pc.equal(pc.binary_length(column), _NO_BYTES)
        columns[name] = pc.if_else(is_empty, pa.scalar(None, pa.string()), column)
    return pa.table(columns)


def _shape(table: pa.Table) -> Object:
    """How a row looks as a member: what it has no value for is left out."""
    cells = {n: text(table.column(n)) for n in table.column_names if _FORMS[n] is Form.CLEAR}
    cells |= {n: plain(table.column(n)) for n in table.column_names if n not in cells}
    said = {"consent": _said(table)} if cells.pop(_STATED, None) else {}
    match kind_of(table.column_names):
        case Kind.MOBILE:
            ids = Object({"mobileIds": Items([cells["mobileIds"]])})
            return Object({"mobileData": ids, **said})
        case Kind.USER:
            return Object({"userIdData": Object({"userId": cells["userId"]}), **said})
    contacts = [Object({n: c}) for n, c in cells.items() if n not in ADDRESS]
    if set(ADDRESS) <= set(cells):
        address = Object({n: cells[n] for n in ADDRESS}, is_whole=True)
        contacts.append(Object({"address": address}))
    return Object({"userData": Object({"userIdentifiers": Items(contacts)}), **said})


def _said(table: pa.Table) -> Object:
    """One member's consent, in place of the request's. Whoever is sent agreed to that."""
    agreed = pc.fill_null(pc.equal(table.column(_STATED), "granted"), _FALSE)
    personal = pc.if_else(agreed, "CONSENT_GRANTED", "CONSENT_DENIED")
    return Object({"adUserData": Constant("CONSENT_GRANTED"), "adPersonalization": plain(personal)})


def refusals(
    fields: Collection[str], *, addresses: bool, purpose: str | None, user_data: Collection[str]
) -> Iterator[tuple[str, str]]:
    """Why a sync may not go to Google, as codes and messages. Pure.

    Args:
        fields: of its mapping.
        addresses: whether whoever answers for the destination lets addresses go.
        purpose: of the sync.
        user_data: purposes whose consent covers `ad_user_data`.
    """
    if said := mixed(fields):
        yield "kinds_mixed", said
    if said := incomplete(fields):
        yield "address_incomplete", said
    if not addresses and any(name in ADDRESS for name in fields):
        yield (
            "address_stays",
            "Removals go by e-mail and phone, so that whom Google found by an address alone stays "
            "in the audience after a withdrawal, until the membership ends. Leave the address out, "
            "or take that on with `send_addresses: true`.",
        )
    if purpose is not None and purpose not in user_data:
        yield (
            "consent_not_stated",
            f"`ad_user_data` of the destination does not list purpose {purpose}: nobody has said "
            "that its consent covers sending a person's data to Google.",
        )
