"""What requests cost, on few rows: the sandbox takes them, and what is measured goes out."""

from __future__ import annotations

import asyncio
from functools import cache
from typing import Any

import orjson
import pyarrow as pa
import pytest

from mayfly.bench import requests
from mayfly.domain.errors import ConfigError
from mayfly.ports.http import HttpReply
from mayfly.sandbox.app import SandboxApp

KNOWN = {
    *("google_ads", "hubspot", "linkedin_ads", "meta_ads", "microsoft_ads", "pinterest"),
    *("salesforce", "snap", "the_trade_desk", "webhook"),
    *("intercom", "zendesk"),
    *("meta_conversions", "tiktok_ads", "tiktok_events", "braze", "intercom", "zendesk"),
}
ROWS = 120


subjects = cache(requests.subjects)


class Kept(requests.Replayed):
    """Keeps the bodies, too."""

    def __init__(self, answers: Any) -> None:
        super().__init__(answers)
        self.bodies: list[bytes] = []

    async def request(self, method: str, url: str, **rest: Any) -> HttpReply:
        """See the port."""
        self.bodies.append(rest.get("content") or b"")
        return await super().request(method, url, **rest)


def test_every_platform_that_the_sandbox_plays_is_measured() -> None:
    """By the first sync of its page's example; one that cannot be played is no figure."""
    assert set(requests.subjects()) >= KNOWN
    found = {each["destination"]: each for each in requests.requests(20)}
    assert {name for name in KNOWN if found[name]["cpu_seconds"] is None} == set()
    assert all(float(found[name]["over_orjson"] or 0) > 0 for name in KNOWN)
    for cost in found.values():
        spent, most = cost["cpu_seconds"], requests.most(subjects()[str(cost["destination"])])
        assert cost["kept"] == (None if spent is None else float(spent) <= most)
    assert [requests.most(subjects()[name]) for name in ("intercom", "zendesk")] == [2.0, 0.5]


@pytest.mark.parametrize("name", sorted(KNOWN))
def test_what_is_measured_is_all_that_goes_out(name: str) -> None:
    """Each row of each batch is in a body; of the sandbox nothing is asked any more."""
    subject = subjects()[name]
    batches = subject.batches(ROWS)

    async def scenario() -> list[bytes]:
        answers = await requests._answers(subject, batches)
        http = Kept(answers)
        destination = subject.opened(http)
        for batch in batches:
            await requests._written(destination, batch)
        assert all(not left for left in http._answers.values())
        return http.bodies

    whole = b"".join(asyncio.run(scenario()))
    for batch in batches:
        first = batch.rendered().column(0).cast(pa.string()).to_pylist()
        assert len(first) == ROWS
        assert all(orjson.dumps(value)[1:-1] in whole for value in first)


def test_a_figure_is_of_100_000_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many were written, and over what orjson takes for as many."""
    spent = iter([0.4, 0.2, 0.3])
    monkeypatch.setattr(requests, "_spent", lambda *_: next(spent))
    monkeypatch.setattr(requests, "_floor", lambda _: 0.1)
    found = requests.measured(subjects()["snap"], 50)
    assert found == {
        "destination": "snap",
        "rows": 50,
        "cpu_seconds": pytest.approx(400.0),
        "over_orjson": pytest.approx(2.0),
        "expected": "at most 0.5",
        "kept": False,
    }


def test_a_refused_row_is_no_measurement(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would be cheaper than one that is taken."""
    subject = subjects()["meta_ads"]
    rows = subject.batches(3)

    class Refusing(SandboxApp):
        def __init__(self, **rest: Any) -> None:
            super().__init__(**rest)
            self.faults.add({"path": "/v26.0/*/users", "kind": "partial_failure"})

    monkeypatch.setattr(requests, "SandboxApp", Refusing)
    with pytest.raises(ConfigError) as caught:
        asyncio.run(requests._answers(subject, rows))
    assert caught.value.code == "bench_failed"


def test_what_was_not_answered_before_is_not_answered() -> None:
    """A connector that asks something else the second time is not measured."""
    subject = subjects()["snap"]
    with pytest.raises(ConfigError) as caught:
        requests._spent(subject, subject.batches(3), {})
    assert caught.value.code == "bench_failed"
