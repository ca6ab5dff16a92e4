"""The Meta connector against the sandbox over a real connection, faults included."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import httpx
import pyarrow as pa
import pytest

from mayfly.adapters.http import HttpxClient
from mayfly.connectors.destinations import meta_ads
from mayfly.connectors.destinations.meta_ads import MetaAds, MetaAdsSettings
from mayfly.domain.batch import BatchHead, Operation, SyncMode
from mayfly.domain.errors import ConfigError, ContractError, EngineError, TransientError
from mayfly.domain.outcomes import OutcomeCode, Outcomes
from mayfly.ports.destination import DestinationContext, Done, Progress
from mayfly.privacy.gate import Form, ProtectedBatch
from mayfly.privacy.gate.seal import THE_SEAL
from mayfly.sandbox.server import SandboxServer

FORMS = {
    "EMAIL": Form.DIGEST,
    "MADID": Form.CLEAR,
    "EXTERN_ID": Form.PSEUDONYM,
    "COUNTRY": Form.DIGEST,
}


@dataclass(frozen=True)
class Secret:
    """A secret of a test."""

    text: str

    def reveal(self) -> str:
        """The text."""
        return self.text


@pytest.fixture(scope="module")
def server() -> Iterator[SandboxServer]:
    """One sandbox that demands the proof of an app secret."""
    with SandboxServer(app_secret="app-secret", tokens=frozenset({"token-1"})) as made:
        yield made


class Platform:
    """The sandbox's own page, for tests."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._client = httpx.Client(base_url=url, trust_env=False)

    def ask(self, path: str, **query: str) -> Any:
        """What the sandbox tells."""
        return self._client.get(f"/_sandbox/{path}", params=query).raise_for_status().json()

    def tell(self, path: str, body: Any = None) -> None:
        """Steer the sandbox."""
        self._client.post(f"/_sandbox/{path}", json=body).raise_for_status()

    def fault(self, kind: str, **more: Any) -> None:
        """Plan one fault of the calls that carry people."""
        self.tell("faults", {"path": "/v26.0/*/users", "kind": kind, "count": 1, **more})

    def members(self) -> dict[str, list[str]]:
        """Members of the only audience, per field."""
        (audience,) = self.ask("audiences")
        fields: dict[str, list[str]] = self.ask("members", audience=audience["id"])["fields"]
        return fields

    def close(self) -> None:
        """End the connection."""
        self._client.close()


@pytest.fixture
def platform(server: SandboxServer) -> Iterator[Platform]:
    """An empty sandbox."""
    made = Platform(server.url)
    made.tell("reset")
    yield made
    made.close()


def digest(text: str) -> bytes:
    """SHA-256."""
    return hashlib.sha256(text.encode()).digest()


def people(numbers: Sequence[int]) -> pa.Table:
    """Rows of every form; the third of every three has no e-mail."""
    return pa.table(
        {
            "EMAIL": pa.array(
                [None if n % 3 == 2 else digest(f"p{n}@example.com") for n in numbers], pa.binary()
            ),
            "MADID": pa.array([f"00000000-0000-4000-8000-{n:012d}" for n in numbers]),
            "EXTERN_ID": pa.array([digest(f"key {n}") for n in numbers], pa.binary()),
            "COUNTRY": pa.array([digest("fr") for _ in numbers], pa.binary()),
        }
    )


def added(numbers: Sequence[int], number: int = 0) -> ProtectedBatch:
    """A batch of people."""
    head = BatchHead(
        sync="vip", run="r", number=number, of=9, operation=Operation.ADD, rows=len(numbers)
    )
    return ProtectedBatch(head, people(numbers), FORMS, seal=THE_SEAL)


def removed(numbers: Sequence[int], field: str) -> ProtectedBatch:
    """A batch that removes people by one field."""
    table = people(numbers).select([field])
    head = BatchHead(
        sync="vip",
        run="r",
        number=8,
        of=9,
        operation=Operation.REMOVE,
        rows=len(numbers),
        identifier=field,
    )
    return ProtectedBatch(head, table, {field: FORMS[field]}, seal=THE_SEAL)


def write(
    platform: Platform,
    *batches: ProtectedBatch,
    token: str = "token-1",
    progress: Progress | None = None,
) -> list[Outcomes]:
    """Write batches at once through a connector of their own."""
    settings = MetaAdsSettings(
        account_id="42",
        access_token=Secret(token),
        app_secret=Secret("app-secret"),
        audience="VIP customers",
        endpoint=platform.url,
    )
    context = DestinationContext(
        workspace="shop",
        sync="vip",
        mode=SyncMode.AUDIENCE,
        object_name="VIP customers",
        key=(),
        columns={name: people([]).schema.field(name).type for name in FORMS},
        forms=FORMS,
    )

    async def scenario() -> list[Outcomes]:
        connector = MetaAds(settings, HttpxClient(["127.0.0.1"]), context)
        try:
            await connector.check()
            found = await asyncio.gather(
                *(connector.write(b, progress or Progress(rows=len(b))) for b in batches)
            )
        finally:
            await connector.close()
        assert all(isinstance(one, Done) for one in found)
        return [one.outcomes for one in found if isinstance(one, Done)]

    return asyncio.run(scenario())


def test_people_go_in_and_out_by_each_identifier(platform: Platform) -> None:
    """Every form arrives as the platform wants it, and each identifier can be removed alone."""
    (outcomes,) = write(platform, added(range(6)))
    assert outcomes.count(OutcomeCode.ACCEPTED) == 6
    fields = platform.members()
    assert len(fields["EMAIL"]) == 4
    assert len(fields["MADID"]) == len(fields["EXTERN_ID"]) == 6
    assert digest("p0@example.com").hex() in fields["EMAIL"]
    for field in ("EMAIL", "MADID", "EXTERN_ID"):
        (outcomes,) = write(platform, removed([0, 1, 99], field))
        assert outcomes.count(OutcomeCode.ACCEPTED) == 3
    fields = platform.members()
    assert [len(fields[name]) for name in ("EMAIL", "MADID", "EXTERN_ID")] == [2, 4, 4]


def test_a_large_removal_fits(platform: Platform) -> None:
    """A removal of a thousand people goes in a body: no address ever grows with the rows."""
    write(platform, added(range(1_000)))
    write(platform, removed(range(1_000), "EXTERN_ID"))
    assert platform.members()["EXTERN_ID"] == []
    assert max(len(request["query"]) for request in platform.ask("requests")) < 200


def test_batches_at_once_make_one_audience(platform: Platform) -> None:
    """Five batches at the same time find no audience and make a single one."""
    write(platform, *(added([10 * n, 10 * n + 1], number=n) for n in range(5)))
    assert len(platform.ask("audiences")) == 1
    assert len(platform.members()["MADID"]) == 10


@pytest.mark.parametrize(
    ("kind", "error", "code", "pause"),
    [
        ("503", TransientError, "destination_busy", None),
        ("429", TransientError, "rate_limited", 7.0),
        ("reset", TransientError, "destination_unreachable", None),
        ("garbage", TransientError, "garbage_answer", None),
        ("redirect", ContractError, "redirected", None),
        ("401", ConfigError, "reauthorise", None),
    ],
)
def test_each_fault_is_told_apart_and_can_be_repeated(
    platform: Platform, kind: str, error: type[EngineError], code: str, pause: float | None
) -> None:
    """A fault raises its error with nothing recorded; the same batch then succeeds."""
    more = {"retry_after_seconds": 7} if pause else {}
    platform.fault(kind, **more)
    progress = Progress(rows=3)
    with pytest.raises(error) as raised:
        write(platform, added([1, 2, 3]), progress=progress)
    assert raised.value.code == code
    if isinstance(raised.value, TransientError):
        assert raised.value.retry_after_seconds == pause
    assert progress.next_row == 0
    (outcomes,) = write(platform, added([1, 2, 3]), progress=progress)
    assert outcomes.count(OutcomeCode.ACCEPTED) == 3
    assert len(platform.members()["MADID"]) == 3


def test_accept_then_hang_is_a_timeout_that_may_be_repeated(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The people are in though no answer came; sending them again changes nothing."""
    monkeypatch.setattr(meta_ads, "REQUEST_SECONDS", 0.5)
    platform.fault("accept_then_hang")
    with pytest.raises(TransientError) as raised:
        write(platform, added([1, 2]))
    assert raised.value.code == "destination_timeout"
    assert len(platform.members()["MADID"]) == 2
    write(platform, added([1, 2]))
    assert len(platform.members()["MADID"]) == 2


def test_a_partial_failure_names_its_row(platform: Platform) -> None:
    """The row the platform calls invalid is rejected, the others are in."""
    platform.fault("partial_failure")
    (outcomes,) = write(platform, added([1, 2, 3]))
    assert outcomes.codes.to_pylist() == [2, 0, 0]
    assert len(platform.members()["MADID"]) == 2


def test_a_wrong_token_stops_before_anything_is_written(platform: Platform) -> None:
    """`check` refuses a token that does not work, and no audience is made."""
    with pytest.raises(ConfigError) as raised:
        write(platform, added([1]), token="another")
    assert raised.value.code == "reauthorise"
    assert platform.ask("audiences") == []
