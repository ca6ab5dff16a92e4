"""The vendors' own clients, `ttd-data` and `uid2-client`, drive the sandbox; and our requests are
what their models take.
"""

from __future__ import annotations

import base64
import hashlib
import json
import time
import urllib.error
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from mayfly.adapters.http import HttpxClient
from mayfly.connectors.destinations import the_trade_desk
from mayfly.domain.batch import Operation
from mayfly.domain.errors import ConfigError, ContractError, EngineError, TransientError
from mayfly.domain.outcomes import OutcomeCode, Outcomes
from mayfly.ports.destination import Done, Progress
from mayfly.privacy.gate import ProtectedBatch
from mayfly.sandbox.server import SandboxServer
from mayfly.sandbox.uid2_operator import API_KEYS, CLIENT_SECRET
from trade_desk_world import TOKEN, api_key, batch, context, desk, email_digest, guid

UPLOAD, MAP = "/data/advertiser", "/v3/identity/map"


@pytest.fixture(scope="module")
def server() -> Iterator[SandboxServer]:
    """One sandbox with one token."""
    with SandboxServer(tokens=frozenset({TOKEN})) as made:
        yield made


@pytest.fixture(autouse=True)
def _empty(server: SandboxServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    httpx.post(f"{server.url}/_sandbox/reset", trust_env=False).raise_for_status()


def fault(server: SandboxServer, kind: str, path: str = UPLOAD, **more: Any) -> None:
    """Plan one."""
    asked = {"path": path, "kind": kind, "count": 1, **more}
    httpx.post(f"{server.url}/_sandbox/faults", json=asked, trust_env=False).raise_for_status()


def members(server: SandboxServer) -> dict[str, list[str]]:
    """Of the segment, over the sandbox's own page."""
    query = {"vendor": "the_trade_desk", "audience": "abc123/Contract"}
    found = httpx.get(f"{server.url}/_sandbox/members", params=query, trust_env=False)
    fields: dict[str, list[str]] = found.json().get("fields", {})
    return fields


def sdk(server: SandboxServer, scope: str = "UID2", token: str = TOKEN) -> Any:
    """The platform's client, which asks the operator, too."""
    from ttd_data import DataClient, IdentityScope, UID2Config

    config = UID2Config(
        base_url=server.url,
        api_key=api_key("uid2" if scope == "UID2" else "euid"),
        client_secret=CLIENT_SECRET,
        identity_scope=IdentityScope[scope],
    )
    return DataClient(ttd_auth=token, uid2_config=config, retry_config=None)


def ingested(client: Any, server: SandboxServer, *items: dict[str, Any], minutes: int = 60) -> Any:
    """Items into the segment; the failed lines."""
    data = [{"name": "Contract", "ttl_in_minutes": minutes}]
    answer = client.advertiser.ingest_advertiser_data(
        advertiser_id="abc123", items=[{**i, "data": data} for i in items], server_url=server.url
    )
    return answer.advertiser_data_server_response.failed_lines or []


def text(digest: bytes) -> str:
    """Base64 of its bytes."""
    return base64.b64encode(digest).decode()


@pytest.mark.parametrize("scope", ["UID2", "EUID"])
def test_the_platform_s_client_fills_and_empties_a_segment(
    server: SandboxServer, scope: str
) -> None:
    """Digests are mapped by the client, ids go as they are, a time to live of 0 removes."""
    client = sdk(server, scope)
    digest = text(email_digest(1))
    assert not ingested(client, server, {"hashed_email": digest}, {"tdid": guid(1)})
    found = members(server)
    told = server.app.trade_desk.operator
    assert found == {
        scope: [told.raw(scope.lower(), "email", email_digest(1), 0)],
        "TDID": [guid(1)],
    }
    assert not ingested(client, server, {"tdid": guid(1)}, minutes=0)
    assert list(members(server)) == [scope]


def test_the_platform_s_client_and_the_connector_mean_the_same_member(
    server: SandboxServer,
) -> None:
    """Who was added by one is removed by the other, whichever was first."""
    rows = batch(Operation.ADD, {"EMAIL": [email_digest(1), email_digest(2)]})
    written(server, rows)
    digests = [text(email_digest(n)) for n in (1, 2)]
    client = sdk(server, "EUID")
    assert not ingested(client, server, {"hashed_email": digests[0]}, minutes=0)
    assert len(members(server)["EUID"]) == 1
    written(server, batch(Operation.REMOVE, {"EMAIL": [email_digest(2)]}))
    assert members(server) == {}


def test_what_the_sandbox_refuses_the_client_reads(server: SandboxServer) -> None:
    """One line for each item, by its number: opted out, hex, wrong ids, none, too long a life."""
    client = sdk(server)
    optout = text(hashlib.sha256(b"optout@example.com").digest())
    lines = ingested(
        client,
        server,
        {"tdid": guid(1)},
        {"hashed_email": optout},
        {"tdid": "no guid"},
        {"uid2": email_digest(1).hex()},
        {"daid": guid(1), "tdid": guid(2)},
        {},
    )
    assert [(line.item_number, line.error_code.value) for line in lines] == [
        ("2", "Uid2Error"),
        *((number, "MissingUserId") for number in ("3", "4", "5", "6")),
    ]
    assert [
        ln.error_code.value for ln in ingested(client, server, {"tdid": guid(1)}, minutes=-1)
    ] == ["InvalidTtlInMinutes"]
    assert members(server) == {"TDID": [guid(1)]}


def test_a_digest_in_place_of_an_identifier_is_refused(server: SandboxServer) -> None:
    """Base64 of 32 bytes looks like a UID2; what the operator was asked for is none."""
    client = sdk(server)
    assert not ingested(client, server, {"hashed_email": text(email_digest(1))})
    (line,) = ingested(client, server, {"uid2": text(email_digest(1))})
    assert line.error_code.value == "MissingUserId"


def test_the_client_deletes(server: SandboxServer) -> None:
    """From all of an advertiser's segments; an id that is none is a failed line."""
    from ttd_data.models import PartnerDsrRequestType

    client = sdk(server)
    ingested(client, server, {"tdid": guid(1)}, {"tdid": guid(2)})
    answer = client.deletion_opt_out.data_subject_request_advertiser_data(
        advertiser_id="abc123",
        request_type=PartnerDsrRequestType.DELETION,
        items=[{"tdid": guid(1)}, {"tdid": "no guid"}],
        server_url=server.url,
    )
    (line,) = answer.advertiser_dsr_response.failed_lines
    assert (line.item_number, line.error_code.value) == ("2", "InvalidUserId")
    assert members(server) == {"TDID": [guid(2)]}


@pytest.mark.parametrize(
    ("kind", "status"), [("503", 503), ("429", 429), ("401", 401), ("100", 400)]
)
def test_faults_reach_the_client(server: SandboxServer, kind: str, status: int) -> None:
    """Each as an error of the client's own, with the status; the next call works."""
    from ttd_data.errors import DataError

    fault(server, kind, retry_after_seconds=1)
    client = sdk(server)
    with pytest.raises(DataError) as raised:
        ingested(client, server, {"tdid": guid(1)})
    assert raised.value.status_code == status
    assert not ingested(client, server, {"tdid": guid(1)})


def test_a_wrong_token_and_a_wrong_advertiser_are_errors(server: SandboxServer) -> None:
    """401 as plain text, 400 as the client's model of an answer."""
    from ttd_data import errors

    with pytest.raises(errors.APIError) as raised:
        ingested(sdk(server, token="another"), server, {"tdid": guid(1)})
    assert raised.value.status_code == 401
    with pytest.raises(errors.AdvertiserDataServerResponseError) as refused:
        sdk(server).advertiser.ingest_advertiser_data(
            advertiser_id="no advertiser", items=[], server_url=server.url
        )
    assert refused.value.status_code == 400


def test_the_operator_s_client_maps(server: SandboxServer) -> None:
    """Over its binary road: mapped, changed, opted out, invalid."""
    from uid2_client import IdentityMapV3Client, IdentityMapV3Input

    told = server.app.trade_desk.operator
    told.year = 1
    client = IdentityMapV3Client(server.url, api_key("uid2"), CLIENT_SECRET)
    digest, short = text(email_digest(1)), text(b"short")
    asked = IdentityMapV3Input.from_hashed_emails([digest, short]).with_email("optout@example.com")
    found = client.generate_identity_map(asked)
    mapped = found.mapped_identities[digest]
    assert mapped.current_raw_uid == told.raw("uid2", "email", email_digest(1), 1)
    assert mapped.previous_raw_uid == told.raw("uid2", "email", email_digest(1), 0)
    assert mapped.refresh_from.timestamp() > time.time()
    reasons = {raw: one.raw_reason for raw, one in found.unmapped_identities.items()}
    assert reasons == {short: "invalid identifier", "optout@example.com": "optout"}


def test_the_operator_refuses_what_it_cannot_read(server: SandboxServer) -> None:
    """A foreign secret, an old request, a key it does not know, too many digests."""
    from uid2_client import IdentityMapV3Client, IdentityMapV3Input

    def refused(key: str, secret: str, many: int = 1) -> int:
        asked = IdentityMapV3Input.from_hashed_emails([text(email_digest(1))] * many)
        with pytest.raises(urllib.error.HTTPError) as raised:
            IdentityMapV3Client(server.url, key, secret).generate_identity_map(asked)
        raised.value.close()
        return raised.value.code

    key = next(iter(API_KEYS))
    assert refused(key, base64.b64encode(bytes(32)).decode()) == 400
    assert refused("nobody", CLIENT_SECRET) == 401
    assert refused(key, CLIENT_SECRET, many=5_001) == 400
    told = server.app.trade_desk.operator
    told.now = lambda: time.time() + 61
    try:
        assert refused(key, CLIENT_SECRET) == 400
    finally:
        told.now = time.time


def written(
    server: SandboxServer, rows: ProtectedBatch, progress: Progress | None = None
) -> Outcomes:
    """Outcomes of one batch through the connector and our own client."""
    import asyncio

    async def scenario() -> Outcomes:
        http = HttpxClient(["127.0.0.1"])
        destination = desk(http, context(*rows.rows.column_names), url=server.url)
        try:
            answer = await destination.write(rows, progress or Progress(rows=len(rows)))
        finally:
            await destination.close()
        assert isinstance(answer, Done)
        return answer.outcomes

    return asyncio.run(scenario())


def test_our_requests_are_what_the_client_s_models_take(server: SandboxServer) -> None:
    """Uploads and removals parse, and are written alike by the model."""
    from ttd_data.models import AdvertiserDataRequest

    rows = {"EMAIL": [email_digest(1)], "TDID": [guid(1)], "UID2": ["b" * 44]}
    written(server, batch(Operation.ADD, rows))
    written(server, batch(Operation.REMOVE, {"EMAIL": [email_digest(1)]}))
    requests = httpx.get(f"{server.url}/_sandbox/requests", trust_env=False).json()
    bodies = [json.loads(r["body"]) for r in requests if r["path"] == UPLOAD]
    assert len(bodies) == 2
    for body in bodies:
        parsed = AdvertiserDataRequest.model_validate(body)
        assert parsed.model_dump(by_alias=True) == body


def test_our_deletions_are_what_the_client_s_models_take(server: SandboxServer) -> None:
    """The data subject's request, too."""
    import asyncio

    from ttd_data.models import AdvertiserDsrRequest

    async def scenario() -> None:
        destination = desk(HttpxClient(["127.0.0.1"]), context("EMAIL"), url=server.url)
        await destination.erase(batch(Operation.REMOVE, {"EMAIL": [email_digest(1)]}))
        await destination.close()

    asyncio.run(scenario())
    requests = httpx.get(f"{server.url}/_sandbox/requests", trust_env=False).json()
    (body,) = [json.loads(r["body"]) for r in requests if r["path"].startswith("/data/deletion")]
    parsed = AdvertiserDsrRequest.model_validate(body)
    assert parsed.model_dump(by_alias=True, mode="json") == body


@pytest.mark.parametrize(
    ("path", "kind", "error", "code", "pause"),
    [
        (UPLOAD, "503", TransientError, "destination_busy", None),
        (UPLOAD, "429", TransientError, "rate_limited", 7.0),
        (UPLOAD, "reset", TransientError, "destination_unreachable", None),
        (UPLOAD, "garbage", TransientError, "garbage_answer", None),
        (UPLOAD, "redirect", ContractError, "redirected", None),
        (UPLOAD, "401", ConfigError, "reauthorise", None),
        (MAP, "429", TransientError, "rate_limited", 7.0),
        (MAP, "reset", TransientError, "destination_unreachable", None),
        (MAP, "401", ConfigError, "reauthorise", None),
    ],
)
def test_each_fault_is_told_apart_and_can_be_repeated(
    server: SandboxServer,
    path: str,
    kind: str,
    error: type[EngineError],
    code: str,
    pause: float | None,
) -> None:
    """Of platform and operator: nothing is recorded; the same batch then succeeds."""
    fault(server, kind, path, **({"retry_after_seconds": 7} if pause else {}))
    rows, progress = (
        batch(Operation.ADD, {"EMAIL": [email_digest(n) for n in range(3)]}),
        Progress(rows=3),
    )
    with pytest.raises(error) as raised:
        written(server, rows, progress)
    assert raised.value.code == code
    if isinstance(raised.value, TransientError):
        assert raised.value.retry_after_seconds == pause
    assert progress.next_row == 0
    assert written(server, rows, progress).count(OutcomeCode.ACCEPTED) == 3
    assert len(members(server)["EUID"]) == 3


def test_accept_then_hang_is_a_timeout_that_may_be_repeated(
    server: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The people are in though no answer came; sending them again changes nothing."""
    monkeypatch.setattr(the_trade_desk, "REQUEST_SECONDS", 0.3)
    fault(server, "accept_then_hang")
    rows = batch(Operation.ADD, {"TDID": [guid(1), guid(2)]})
    with pytest.raises(TransientError) as raised:
        written(server, rows)
    assert raised.value.code == "destination_timeout"
    assert len(members(server)["TDID"]) == 2
    written(server, rows)
    assert len(members(server)["TDID"]) == 2


@pytest.mark.parametrize(
    ("path", "reason"), [(UPLOAD, "invalid_entry"), (MAP, "invalid_identifier")]
)
def test_a_partial_failure_names_its_row(server: SandboxServer, path: str, reason: str) -> None:
    """The row that platform or operator does not take is rejected, the others are in."""
    fault(server, "partial_failure", path)
    rows = batch(Operation.ADD, {"EMAIL": [email_digest(n) for n in range(3)]})
    outcomes = written(server, rows)
    assert outcomes.codes.to_pylist() == [2, 0, 0]
    assert outcomes.reasons[0].code == reason
    assert len(members(server)["EUID"]) == 2


def test_members_are_gone_when_their_time_is_over(server: SandboxServer) -> None:
    """And are there for longer when they are sent again before."""
    vendor = server.app.trade_desk
    start, day = time.time(), 24 * 3600
    try:
        written(server, batch(Operation.ADD, {"TDID": [guid(1), guid(2)]}))
        vendor._now = lambda: start + 80 * day
        written(server, batch(Operation.ADD, {"TDID": [guid(2)]}))
        vendor._now = lambda: start + 91 * day
        assert members(server) == {"TDID": [guid(2)]}
        lists = httpx.get(
            f"{server.url}/_sandbox/audiences", params={"vendor": vendor.name}, trust_env=False
        ).json()
        assert [one["count"] for one in lists] == [1]
    finally:
        vendor._now = time.time
