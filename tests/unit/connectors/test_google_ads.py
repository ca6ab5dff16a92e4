"""Google Customer Match: settings, bodies, jobs, and the calls that are made."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeVar

import orjson
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mayfly.connectors.destinations import google_ads_audience
from mayfly.connectors.destinations.google_ads import CONNECTOR, SPEC
from mayfly.connectors.destinations.google_ads_audience import GoogleAds, GoogleAdsSettings
from mayfly.connectors.destinations.google_ads_jobs import (
    AT_GOOGLE,
    REFERENCE_MAX,
    Receipt,
)
from mayfly.connectors.destinations.google_ads_requests import (
    LIMITS,
    Envelope,
    Kind,
    Members,
    incomplete,
    kind_of,
    mixed,
    refusals,
)
from mayfly.connectors.destinations.google_ads_tokens import GivenToken
from mayfly.connectors.jobs import AT_ONCE, Pace
from mayfly.domain.batch import BatchHead, Operation, SyncMode
from mayfly.domain.errors import ConfigError, ContractError, EngineError, IntegrityError
from mayfly.domain.outcomes import OutcomeCode, Outcomes
from mayfly.domain.settings import DestinationSettings
from mayfly.ports.destination import (
    DestinationContext,
    Done,
    JobRef,
    Pending,
    Progress,
    Submitted,
)
from mayfly.ports.http import HttpReply
from mayfly.privacy.gate import Form, ProtectedBatch
from mayfly.privacy.gate.seal import THE_SEAL
from mayfly.sandbox.google_errors import ApiError

T = TypeVar("T")
FORMS = {f.name: f.form for f in SPEC.fields}
REQUEST_ID = "956aa6b6-f5b1-409d-aed0-d48b120ac6a9"
AT = "audience_members.audience_members[{}].user_data.user_identifiers[0].email_address"


@dataclass(frozen=True)
class Secret:
    """A secret of a test."""

    text: str = "token-1"

    def reveal(self) -> str:
        """The text."""
        return self.text


@dataclass
class Call:
    """One request as it was made."""

    method: str
    path: str
    params: Mapping[str, str]
    headers: Mapping[str, str]
    content: bytes | None

    @property
    def json(self) -> Any:
        """The body."""
        return orjson.loads(self.content or b"null")


@dataclass
class Api:
    """An `HttpClient` that plays Google from memory; planned answers come first, by path."""

    lists: dict[str, dict[str, Any]] = field(default_factory=dict)
    planned: dict[str, list[HttpReply]] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)
    closed: int = 0

    async def request(
        self,
        method: str,
        url: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
        form: Mapping[str, str] | None = None,
        timeout_seconds: float,
    ) -> HttpReply:
        """Answer one call."""
        assert form is None
        path = url.removeprefix("https://datamanager.googleapis.com/v1/")
        call = Call(method, path, params or {}, headers or {}, content)
        self.calls.append(call)
        await asyncio.sleep(0)
        planned = self.planned.get(path, [])
        return planned.pop(0) if planned else self._play(call)

    async def close(self) -> None:
        """Count it."""
        self.closed += 1

    def add(self, list_id: str, name: str, kind: str = "CONTACT_ID", **more: Any) -> None:
        """A list of the account."""
        self.lists[list_id] = {
            "id": list_id,
            "displayName": name,
            "membershipStatus": "OPEN",
            "ingestedUserListInfo": {"uploadKeyTypes": [kind]},
            **more,
        }

    def sent(self) -> list[Call]:
        """The calls that carried people."""
        return [call for call in self.calls if call.path.startswith("audienceMembers:")]

    def _play(self, call: Call) -> HttpReply:
        if call.path == "requestStatus:retrieve":
            return ok({"requestStatusPerDestination": [{"requestStatus": "PROCESSING"}]})
        if call.path.startswith("audienceMembers:"):
            return ok({"requestId": REQUEST_ID})
        _, _, list_id = call.path.partition("/userLists/")
        if list_id:
            found = self.lists.get(list_id)
            return ok(found) if found else wrong("NOT_FOUND", 404)
        if call.method == "POST":
            self.lists["900"] = {"id": "900", **call.json}
            return ok(self.lists["900"])
        # Pages of one, whatever the filter.
        ids, place = sorted(self.lists), int(call.params.get("pageToken", "0"))
        more = {"nextPageToken": str(place + 1)} if place + 1 < len(ids) else {}
        return ok({"userLists": [self.lists[n] for n in ids[place : place + 1]], **more})


def ok(body: Any) -> HttpReply:
    """A good answer."""
    return HttpReply(status=200, headers={}, body=orjson.dumps(body))


def wrong(reason: str, status: int = 400, *violations: tuple[str, str]) -> HttpReply:
    """A refusal."""
    response = ApiError(reason, status=status, violations=violations).response()
    return HttpReply(status=status, headers={}, body=bytes(response.body))


def digest(text: str) -> bytes:
    """SHA-256."""
    return hashlib.sha256(text.encode()).digest()


def emails(*texts: str | None) -> pa.Table:
    """Rows of an e-mail digest, some of them empty."""
    column = pa.array([None if t is None else digest(t) for t in texts], pa.binary())
    return pa.table({"emailAddress": column})


def sealed(
    rows: pa.Table, operation: Operation = Operation.ADD, identifier: str | None = None
) -> ProtectedBatch:
    """A batch as the gate would seal it."""
    head = BatchHead(
        sync="vip",
        run="r",
        number=4,
        of=9,
        operation=operation,
        rows=rows.num_rows,
        identifier=identifier,
    )
    forms = {name: FORMS[name] for name in rows.column_names}
    return ProtectedBatch(head, rows, forms, seal=THE_SEAL)


def connector(
    api: Api,
    *fields: str,
    now: Callable[[], float] = lambda: 1_000.0,
    audience: str = "VIP",
    pace: Pace = AT_ONCE,
    **more: Any,
) -> GoogleAds:
    """For some fields, by default e-mail."""
    names = fields or ("emailAddress",)
    settings = GoogleAdsSettings(
        **{
            "account_id": "1234567890",
            "audience": audience,
            "may_personalise": True,
            "pace": pace,
            **more,
        }
    )
    context = DestinationContext(
        workspace="shop",
        sync="vip",
        mode=SyncMode.AUDIENCE,
        object_name=audience,
        key=(),
        columns=dict.fromkeys(names, pa.binary()),
        forms={},
    )
    return GoogleAds(
        settings,
        GivenToken(Secret()),
        api,
        context,
        now=now,
    )


def run(scenario: Coroutine[Any, Any, T]) -> T:
    """On a loop of its own."""
    return asyncio.run(scenario)


def write(one: GoogleAds, batch: ProtectedBatch) -> Done | Submitted:
    """Hand over a batch."""
    return run(one.write(batch, Progress(rows=len(batch))))


def refused(scenario: Coroutine[Any, Any, object]) -> EngineError:
    """What it is refused with."""
    with pytest.raises(EngineError) as caught:
        run(scenario)
    return caught.value


# -- fields and kinds ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        (("emailAddress", "phoneNumber", "regionCode"), Kind.CONTACT),
        (("mobileIds",), Kind.MOBILE),
        (("userId",), Kind.USER),
    ],
)
def test_fields_have_one_kind(fields: tuple[str, ...], kind: Kind) -> None:
    """Contact information, mobile ids or user ids."""
    assert kind_of(fields) is kind
    assert mixed(fields) == ""


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        (("emailAddress", "mobileIds"), "kinds_mixed"),
        (("userId", "mobileIds"), "kinds_mixed"),
        (("userId", "phoneNumber"), "kinds_mixed"),
        (("emailAddress", "shoeSize"), "unknown_field"),
    ],
)
def test_kinds_are_not_mixed(fields: tuple[str, ...], code: str) -> None:
    """Nor has Google a field that it has not."""
    with pytest.raises(ConfigError) as caught:
        connector(Api(), *fields)
    assert caught.value.code == code


ADDRESS = ("givenName", "familyName", "regionCode", "postalCode")


@pytest.mark.parametrize(
    ("fields", "more", "codes"),
    [
        (("emailAddress",), {}, []),
        (("emailAddress", *ADDRESS), {"addresses": True}, []),
        (("emailAddress", *ADDRESS), {}, ["address_stays"]),
        (
            ("emailAddress", "regionCode"),
            {"addresses": True},
            ["address_incomplete"],
        ),
        (("emailAddress", "mobileIds"), {}, ["kinds_mixed"]),
        (("emailAddress",), {"purpose": "news"}, ["consent_not_stated"]),
        (("emailAddress",), {"purpose": None}, []),
        (("emailAddress",), {"user_data": []}, ["consent_not_stated"]),
    ],
)
def test_a_sync_that_may_not_go_says_why(
    fields: tuple[str, ...], more: dict[str, Any], codes: list[str]
) -> None:
    """Before any row is read."""
    said = {"addresses": False, "purpose": "ads", "user_data": ["ads"], **more}
    assert [code for code, _ in refusals(fields, **said)] == codes


def test_an_address_is_whole_or_none() -> None:
    """The message names what is missing."""
    assert incomplete(ADDRESS) == incomplete(("emailAddress",)) == ""
    assert "postalCode is not mapped" in incomplete(ADDRESS[:3])


# -- bodies --------------------------------------------------------------------------------------

TEXTS = st.one_of(st.none(), st.text(max_size=3))


@settings(max_examples=40)
@given(st.lists(st.tuples(TEXTS, TEXTS, TEXTS, TEXTS, TEXTS, TEXTS), min_size=1, max_size=6))
def test_a_body_holds_each_value_once_and_no_other(rows: list[tuple[str | None, ...]]) -> None:
    """Whatever is missing, and whatever text a clear field holds."""
    names = ("emailAddress", "phoneNumber", *ADDRESS)
    columns: dict[str, pa.Array] = {}
    for name, values in zip(names, zip(*rows, strict=True), strict=True):
        if FORMS[name] is Form.CLEAR:
            columns[name] = pa.array(values, pa.string())
        else:
            hashed = [None if v is None else digest(v) for v in values]
            columns[name] = pa.array(hashed, pa.binary())
    members = Members(sealed(pa.table(columns)), names)
    with_one = [n for n, row in enumerate(rows) if row[0] is not None or row[1] is not None]
    assert members.known.to_pylist() == with_one
    assert list(members.nameless()) == [n for n in range(len(rows)) if n not in with_one]
    body = orjson.loads(members.body(members.known, {"encoding": "HEX"}))
    assert body["encoding"] == "HEX"
    expected = []
    for n in with_one:
        email, phone, given_name, family, region, postcode = rows[n]
        found: list[Any] = []
        if email is not None:
            found.append({"emailAddress": digest(email).hex()})
        if phone is not None:
            found.append({"phoneNumber": digest(phone).hex()})
        place = (region or "").upper(), _trimmed(postcode or "")
        if given_name is not None and family is not None and all(place):
            address = {
                "givenName": digest(given_name).hex(),
                "familyName": digest(family).hex(),
                "regionCode": place[0],
                "postalCode": place[1],
            }
            found.append({"address": address})
        expected.append({"userData": {"userIdentifiers": found}})
    assert body["audienceMembers"] == expected


def _trimmed(text: str) -> str:
    import pyarrow.compute as pc

    return str(pc.utf8_trim_whitespace(pa.scalar(text, pa.string())).as_py())


def test_only_what_passed_in_its_form_and_fits_is_a_request() -> None:
    """Another column, a clear address, and one row more than Google takes are refused."""
    with pytest.raises(ContractError) as other:
        Members(sealed(emails("a")), ["emailAddress", "phoneNumber"])
    assert other.value.code == "columns_mismatch"
    batch = sealed(emails("a"))
    clear = ProtectedBatch(batch.head, batch.rows, {"emailAddress": Form.CLEAR}, seal=THE_SEAL)
    with pytest.raises(IntegrityError):
        Members(clear, ["emailAddress"])
    same = pa.repeat(pa.scalar(digest("a"), pa.binary()), LIMITS.rows_max + 1)
    many = pa.table({"emailAddress": same})
    with pytest.raises(ContractError) as too_many:
        Members(sealed(many), ["emailAddress"])
    assert too_many.value.code == "too_many_rows"
    most = Members(sealed(many.slice(0, LIMITS.rows_max)), ["emailAddress"])
    assert len(most.known) == SPEC.batch_rows == 10_000


def test_the_largest_request_is_within_its_bound() -> None:
    """10,000 members with all that a contact may have."""
    rows = LIMITS.rows_max
    hashed = pa.repeat(pa.scalar(digest("a"), pa.binary()), rows)
    columns = {n: hashed for n, form in FORMS.items() if form is Form.DIGEST}
    columns |= {"regionCode": pa.repeat("US", rows), "postalCode": pa.repeat("0" * 12, rows)}
    members = Members(sealed(pa.table(columns)), list(columns))
    assert len(members.body(members.known, {})) < LIMITS.bytes_max


def test_consent_and_terms_stand_around_additions_only() -> None:
    """What the purpose does not cover is said to be denied; a removal needs nothing."""
    envelope = Envelope(account="1", login_account=None, list_id="7", may_personalise=False)
    to = {
        "operatingAccount": {"accountType": "GOOGLE_ADS", "accountId": "1"},
        "productDestinationId": "7",
    }
    assert envelope.added(Kind.CONTACT) == {
        "destinations": [to],
        "encoding": "HEX",
        "consent": {"adUserData": "CONSENT_GRANTED", "adPersonalization": "CONSENT_DENIED"},
        "termsOfService": {"customerMatchTermsOfServiceStatus": "ACCEPTED"},
    }
    assert envelope.removed(Kind.USER) == {"destinations": [to]}


# -- settings ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"account_id": "123-456-7890"}, "bad_account_id"),
        ({"login_account_id": "12345678901"}, "bad_account_id"),
        ({"audience": " "}, "bad_audience"),
        ({"endpoint": "http://datamanager.googleapis.com"}, "bad_endpoint"),
        ({"endpoint": "https://datamanager.googleapis.com.example.com"}, "bad_endpoint"),
        ({"endpoint": "http://localhost:8765"}, "bad_endpoint"),
    ],
)
def test_settings_that_lead_elsewhere_are_refused(changes: dict[str, str], code: str) -> None:
    """Ten digits, a name, and Google's host or literal loopback make settings."""
    with pytest.raises(ConfigError) as caught:
        connector(Api(), **changes)
    assert caught.value.code == code


# -- lists ---------------------------------------------------------------------------------------


def test_a_list_is_found_by_its_exact_name_over_pages() -> None:
    """And asked for once; the manager account goes with each question."""
    api = Api()
    api.add("1", "VIP customers")
    api.add("2", 'VIP "old"')
    one = connector(api, audience='VIP "old"', login_account_id="9876543210")
    assert run(one.locate(None)) == "2"
    assert run(one.locate("2")) == "2"
    assert len(api.calls) == 2
    first = api.calls[0]
    assert first.path == "accountTypes/GOOGLE_ADS/accounts/1234567890/userLists"
    assert first.params["filter"] == 'display_name = "VIP \\"old\\""'
    assert first.headers["login-account"] == "accountTypes/GOOGLE_ADS/accounts/9876543210"
    assert first.headers["authorization"] == "Bearer token-1"


def test_a_list_is_made_for_the_first_addition_alone() -> None:
    """Looking and removing make none; of a list that is not there everybody is removed."""
    api = Api()
    one = connector(api, membership_days=30)
    assert run(one.locate(None)) is None
    gone = write(one, sealed(emails("a"), Operation.REMOVE, "emailAddress"))
    assert isinstance(gone, Done)
    assert gone.outcomes.count(OutcomeCode.ACCEPTED) == 1
    assert api.lists == {}
    assert isinstance(write(one, sealed(emails("a"))), Submitted)
    assert api.lists["900"] == {
        "id": "900",
        "displayName": "VIP",
        "description": "Kept by Mayfly",
        "membershipDuration": "2592000s",
        "ingestedUserListInfo": {
            "uploadKeyTypes": ["CONTACT_ID"],
            "contactIdInfo": {"dataSourceType": "DATA_SOURCE_TYPE_FIRST_PARTY"},
        },
    }
    assert run(one.locate(None)) == "900"


@pytest.mark.parametrize(
    ("audience", "lists", "known", "code"),
    [
        ("VIP", [("1", "VIP", {}), ("2", "VIP", {})], None, "audience_ambiguous"),
        ("VIP", [("1", "Renamed", {})], "1", "audience_renamed"),
        ("VIP", [("1", "VIP", {"kind": "USER_ID"})], None, "audience_of_other_kind"),
        ("VIP", [("1", "VIP", {"readOnly": True})], None, "audience_read_only"),
        ("77", [("1", "VIP", {})], None, "audience_missing"),
    ],
)
def test_a_list_that_is_not_the_one_meant_stops(
    audience: str, lists: list[tuple[str, str, dict[str, Any]]], known: str | None, code: str
) -> None:
    """Each with what to do about it."""
    api = Api()
    for list_id, name, more in lists:
        api.add(list_id, name, **more)
    error = refused(connector(api, audience=audience).locate(known))
    assert isinstance(error, ConfigError)
    assert (error.code, bool(error.hint)) == (code, True)


def test_a_list_by_its_id_is_never_made() -> None:
    """Its name is nobody's business; where it is gone, the run stops."""
    api = Api()
    api.add("77", "whatever")
    assert run(connector(api, audience="77").locate(None)) == "77"
    assert [call.path for call in api.calls] == [
        "accountTypes/GOOGLE_ADS/accounts/1234567890/userLists/77"
    ]


def test_a_deleted_list_makes_room_for_another() -> None:
    """A known id that Google does not know any more is no reason to stop."""
    assert run(connector(Api()).locate("5")) is None


def test_a_list_of_mobile_ids_is_not_made() -> None:
    """It belongs to an app, which only its owner can name."""
    rows = pa.table({"mobileIds": ["00000000-0000-4000-8000-000000000000"]})
    one = connector(Api(), "mobileIds")
    error = refused(one.write(sealed(rows), Progress(rows=1)))
    assert error.code == "audience_missing"


def test_a_closed_list_lets_people_out_and_nobody_in() -> None:
    """A withdrawal is never held back by it."""
    api = Api()
    api.add("1", "VIP", membershipStatus="CLOSED")
    one = connector(api)
    removed = write(one, sealed(emails("a"), Operation.REMOVE, "emailAddress"))
    assert isinstance(removed, Submitted)
    error = refused(one.write(sealed(emails("a")), Progress(rows=1)))
    assert error.code == "audience_closed"


def test_a_list_that_forgets_sooner_than_members_are_sent_again_is_refused() -> None:
    """With the days to write down; of one that keeps them longer nothing is said."""
    for seconds, days, code in (
        ("2592000s", None, "audience_forgets"),
        ("2592000s", 31, "audience_forgets"),
        ("2592000s", 30, ""),
        ("46656000s", None, ""),
        ("soon", None, ""),
    ):
        api = Api()
        api.add("1", "VIP", membershipDuration=seconds)
        one = connector(api, membership_days=days)
        if code:
            error = refused(one.write(sealed(emails("a")), Progress(rows=1)))
            assert (error.code, "membership_days: 30" in error.hint) == (code, True)
        else:
            assert isinstance(write(one, sealed(emails("a"))), Submitted)


@pytest.mark.parametrize(("days", "renewed"), [(None, 180), (30, 10)])
def test_members_are_sent_again_after_a_third_of_their_membership(
    days: int | None, renewed: int
) -> None:
    """So that a run may be late."""
    options = {} if days is None else {"membership_days": days}
    settings = DestinationSettings(name="google", type="google_ads", options=options)
    assert CONNECTOR.renewal is not None
    assert CONNECTOR.renewal(settings) == timedelta(days=renewed)


def test_check_asks_for_one_list() -> None:
    """Which shows that login and account work; nothing is written."""
    api = Api()
    run(connector(api).check())
    assert [(c.method, c.params) for c in api.calls] == [("GET", {"pageSize": "1"})]


# -- batches -------------------------------------------------------------------------------------


def ready() -> Api:
    """An account with the list."""
    api = Api()
    api.add("1", "VIP")
    return api


def test_a_batch_is_one_request_and_a_job() -> None:
    """Rows without an identifier are not in it, and rejected."""
    api = ready()
    answer = write(connector(api), sealed(emails("a", None, "c")))
    assert isinstance(answer, Submitted)
    assert answer.job == JobRef(batch=4, rows=2, reference=f"{REQUEST_ID}/1000")
    assert answer.known is not None
    assert answer.known.codes.to_pylist() == [0, 2, 0]
    assert answer.known.reasons[1].code == "no_identifier"
    [call] = api.sent()
    assert [m["userData"]["userIdentifiers"] for m in call.json["audienceMembers"]] == [
        [{"emailAddress": digest("a").hex()}],
        [{"emailAddress": digest("c").hex()}],
    ]


def test_a_batch_of_nobody_is_not_sent() -> None:
    """Empty, or without any identifier."""
    api = ready()
    for batch in (sealed(emails()), sealed(emails(None, None))):
        answer = write(connector(api), batch)
        assert isinstance(answer, Done)
        assert answer.outcomes.count(OutcomeCode.REJECTED) == len(batch)
    assert api.calls == []


def test_named_members_are_left_out_and_the_rest_goes() -> None:
    """Round by round, whether Google names all of them at once or one after the other."""
    api = ready()
    api.planned["audienceMembers:ingest"] = [
        wrong("INVALID_ARGUMENT", 400, (AT.format(0), "INVALID_SHA256_FORMAT")),
        # In what is left: the third and the fourth row.
        wrong(
            "INVALID_ARGUMENT",
            400,
            (AT.format(1), "INVALID_HEX_ENCODING"),
            (AT.format(2), "INVALID_HEX_ENCODING"),
        ),
    ]
    answer = write(connector(api), sealed(emails("a", "b", "c", "d", "e")))
    assert isinstance(answer, Submitted)
    assert answer.known is not None
    assert answer.known.codes.to_pylist() == [2, 0, 2, 2, 0]
    assert {(r.code, r.vendor_code) for r in answer.known.reasons.values()} == {
        ("invalid_entry", "INVALID_SHA256_FORMAT"),
        ("invalid_entry", "INVALID_HEX_ENCODING"),
    }
    assert [len(call.json["audienceMembers"]) for call in api.sent()] == [5, 4, 2]
    assert answer.job.rows == 2


def test_a_batch_that_is_all_wrong_is_done() -> None:
    """Every row is rejected, and there is no job."""
    api = ready()
    api.planned["audienceMembers:ingest"] = [
        wrong("INVALID_ARGUMENT", 400, *((AT.format(n), "INVALID_HEX_ENCODING") for n in range(2)))
    ]
    answer = write(connector(api), sealed(emails("a", "b")))
    assert isinstance(answer, Done)
    assert answer.outcomes.codes.to_pylist() == [2, 2]


def test_members_are_not_left_out_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """After so many rounds what is left is rejected, as when a batch is halved too often."""
    monkeypatch.setattr(google_ads_audience, "ROUNDS_MAX", 2)
    api = ready()
    one = wrong("INVALID_ARGUMENT", 400, (AT.format(0), "INVALID_HEX_ENCODING"))
    api.planned["audienceMembers:ingest"] = [one] * 9
    answer = write(connector(api), sealed(emails("a", "b", "c")))
    assert isinstance(answer, Done)
    codes = {row: reason.code for row, reason in answer.outcomes.reasons.items()}
    assert codes == {0: "invalid_entry", 1: "invalid_entry", 2: "batch_refused"}
    assert len(api.sent()) == 2


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (
            wrong(
                "INVALID_ARGUMENT",
                400,
                (
                    "destinations.destinations[0].product_destination_id",
                    "INVALID_USER_LIST_ID",
                ),
            ),
            "audience_gone",
        ),
        (
            wrong("INVALID_ARGUMENT", 400, ("audience_members[0]", "INVALID_USER_LIST_TYPE")),
            "google_invalid_user_list_type",
        ),
        (wrong("INVALID_ARGUMENT"), "google_invalid_argument"),
        (wrong("INTERNAL_ERROR", 503), "destination_busy"),
        (ok({}), "unknown_answer"),
        (ok({"requestId": "../x"}), "unknown_answer"),
        (ok({"requestId": "x" * 101}), "unknown_answer"),
    ],
)
def test_what_no_row_is_to_blame_for_stops(reply: HttpReply, code: str) -> None:
    """Nobody is rejected for it."""
    api = ready()
    api.planned["audienceMembers:ingest"] = [reply]
    assert refused(connector(api).write(sealed(emails("a")), Progress(rows=1))).code == code


@pytest.mark.parametrize("fields", [("emailAddress", "phoneNumber"), ("regionCode",)])
def test_a_removal_is_by_one_identifier(fields: tuple[str, ...]) -> None:
    """Never by two, nor by what identifies nobody."""
    columns = {n: pa.array([digest("a")], pa.binary()) for n in fields}
    batch = sealed(pa.table(columns), Operation.REMOVE)
    with pytest.raises(ContractError) as caught:
        run(connector(ready()).erase(batch))
    assert caught.value.code == "one_identifier"


def test_an_insert_is_none_of_a_list_s() -> None:
    """And Google keeps no marker."""
    one = connector(ready())
    batch = sealed(emails("a"), Operation.INSERT)
    assert refused(one.write(batch, Progress(rows=1))).code == "unknown_operation"
    assert run(one.applied(batch.head)) is None


# -- jobs ----------------------------------------------------------------------------------------

CODES = st.text("ABCDEFGH_", min_size=1, max_size=64)
ROWS = st.lists(st.integers(0, 9_999), max_size=80, unique=True)


@given(CODES, st.one_of(st.none(), ROWS))
def test_a_receipt_fits_into_a_reference(warning: str, rows: list[int] | None) -> None:
    """With the rows that a warning is about; of more than fit it says that nobody knows them."""
    warned = None if rows is None else tuple(rows)
    receipt = Receipt(
        request_id=REQUEST_ID, taken_at=1_795_957_994, warning=warning, warned=warned or None
    )
    reference = receipt.reference()
    JobRef(batch=0, rows=1, reference=reference)
    read = Receipt.read(reference)
    assert (read.request_id, read.warning) == (REQUEST_ID, warning)
    assert read.warned in (receipt.warned, None)
    if warned is not None and len(warned) < 10:
        assert read == receipt
    assert len(reference) <= REFERENCE_MAX


def test_a_receipt_of_nothing_is_none() -> None:
    """A reference that another connector made, say."""
    for reference in ("job-1", "a/b", f"{REQUEST_ID}/1/W", f"{REQUEST_ID}/1/W/1..2"):
        with pytest.raises(ContractError):
            Receipt.read(reference)


def test_google_is_asked_when_it_is_time() -> None:
    """Half an hour after the request, then after a quarter of the time since, and no network
    between.
    """
    api, clock = ready(), [1_000.0]
    one = connector(api, now=lambda: clock[0], pace=AT_GOOGLE)
    job = JobRef(batch=0, rows=1, reference=f"{REQUEST_ID}/1000")
    pauses = []
    for clock[0] in (1_000.0, 2_799.5, 2_800.0, 3_249.0, 3_250.0):
        answer = run(one.poll(job))
        assert isinstance(answer, Pending)
        pauses.append((answer.retry_after_seconds, len(api.calls)))
    assert pauses == [(1_800.0, 0), (1.0, 0), (450.0, 1), (1.0, 1), (562.5, 2)]
    assert [call.params for call in api.calls] == [{"requestId": REQUEST_ID}] * 2


@pytest.mark.parametrize(
    ("asked_at", "pause"), [(None, 1_800), (1_800.0, 450), (100.0, 60), (86_400.0, 1_800)]
)
def test_the_pace_grows_within_its_bounds(asked_at: float | None, pause: float) -> None:
    """Never oftener than each minute, nor more seldom than each half hour."""
    assert AT_GOOGLE.next_at(0.0, asked_at) == (asked_at or 0.0) + pause
    assert AT_ONCE.next_at(0.0, asked_at) == (asked_at or 0.0)


def polled(answered: Mapping[str, Any] | HttpReply, reference: str, rows: int) -> Outcomes:
    """The end of a job."""
    api = ready()
    reply = answered if isinstance(answered, HttpReply) else ok(answered)
    api.planned["requestStatus:retrieve"] = [reply]
    done = run(connector(api).poll(JobRef(batch=0, rows=rows, reference=reference)))
    assert isinstance(done, Done)
    return done.outcomes


GOOD = {
    "requestStatusPerDestination": [
        {
            "requestStatus": "SUCCESS",
            "audienceMembersIngestionStatus": {"userDataIngestionStatus": {"recordCount": "3"}},
        }
    ]
}


@pytest.mark.parametrize(
    ("rows", "codes"), [("1", [0, 1, 0]), ("all", [1, 1, 1]), ("7", [0, 0, 0])]
)
def test_what_was_taken_with_a_warning_is_unconfirmed(rows: str, codes: list[int]) -> None:
    """The rows that it names; all where it names none."""
    found = polled(GOOD, f"{REQUEST_ID}/1/GENERIC/{rows}", 3)
    assert found.codes.to_pylist() == codes
    assert {r.vendor_code for r in found.reasons.values()} <= {"GENERIC"}


@pytest.mark.parametrize("reason", ["INVALID_REQUEST_ID", "REQUEST_TOO_OLD"])
def test_a_job_that_google_does_not_know_is_deferred(reason: str) -> None:
    """What became of it nobody knows; another run sends its rows."""
    found = polled(wrong(reason), f"{REQUEST_ID}/1", 3)
    assert found.codes.to_pylist() == [3, 3, 3]
    assert {r.code for r in found.reasons.values()} == {"job_lost"}


def test_a_status_that_is_refused_is_no_outcome() -> None:
    """The job stays with its intent, and the next run asks again."""
    api = ready()
    api.planned["requestStatus:retrieve"] = [wrong("PERMISSION_DENIED", 403)]
    job = JobRef(batch=0, rows=1, reference=f"{REQUEST_ID}/1")
    assert refused(connector(api).poll(job)).code == "google_permission_denied"


def test_the_specification_says_what_the_connector_has() -> None:
    """It locates, logs people in, and puts no more into a batch than into a request."""
    assert SPEC.locates
    assert hasattr(GoogleAds, "locate")
    assert SPEC.oauth is not None
    assert SPEC.oauth.token_host in SPEC.hosts
    assert SPEC.batch_rows == SPEC.request.rows_max
    assert {f.name for f in SPEC.fields if f.form is Form.CLEAR} == {
        "regionCode",
        "postalCode",
        "mobileIds",
        "adPersonalization",
    }
    assert all(f.shape or f.name == "mobileIds" for f in SPEC.fields if f.form is Form.CLEAR)
