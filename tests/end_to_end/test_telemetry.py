"""Spans and metrics of real runs, at a receiver that reads them by the protocol's own messages."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from end_to_end.projects import SHOP, TO_LOG, approved, change, make_project
from end_to_end.serving import due, has_run, wait_for, working
from mayfly.api import load
from mayfly.api.examine import examine
from mayfly.bootstrap.register import operator_hosts
from mayfly.config.findings import ConfigProblemsError
from mayfly.config.load import load_project
from mayfly.domain.telemetry import ATTRIBUTES, METRICS, SPANS
from mayfly.domain.version import VERSION
from mayfly.privacy.scan import scan_bytes
from mayfly.services.events import Event, TelemetryDropped
from mayfly.services.register import Use
from otlp import Otlp, otlp_receiver, values

MARK = "-".join(("marked", "person", "7f3a9c"))
TELEMETRY = """
telemetry: {endpoint: "URL", headers: {dd-api-key: env:OTLP_KEY}}
"""
BATCHES = "    batch_rows: 4\n"


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Otlp]:
    """One on loopback, and the secret that logs in there."""
    monkeypatch.setenv("OTLP_KEY", "sesame")
    with otlp_receiver() as made:
        yield made


def shop(folder: Path, url: str, telemetry: str = TELEMETRY, rows: int = 10) -> Path:
    """A project with one sync, which tells a receiver."""
    text = SHOP + TO_LOG + BATCHES + telemetry.replace("URL", url)
    return make_project(folder / "project", "", rows=rows, text=text)


def test_a_run_is_told_in_spans_and_metrics_and_no_value_with_it(
    tmp_path: Path, receiver: Otlp
) -> None:
    """Run, plan, batches and close are one trace; counts are the run's; a marked value that stands
    in every column, and a run that fails on it, are in nothing that was received.
    """
    root = shop(tmp_path, receiver.url)
    change(
        root,
        f"UPDATE people SET email = '{MARK}' || id || '@example.com', phone = '+33612345678', "
        f"city = '{MARK}'",
    )
    project = approved(root)
    [ended] = project.run().to_dict()["syncs"]
    change(root, 'ALTER TABLE people RENAME COLUMN email TO "' + MARK + '"')
    assert not load(root).run().ok
    spans = [s for s in receiver.spans() if values(s.attributes)["mayfly.run"] == ended["run"]]
    assert Counter(s.name for s in spans) == {
        "mayfly.run": 1,
        "mayfly.plan": 1,
        "mayfly.batch": 3,
        "mayfly.close": 1,
    }
    [whole] = [s for s in spans if s.name == "mayfly.run"]
    assert {s.trace_id for s in spans} == {whole.trace_id}
    assert {s.parent_span_id for s in spans} == {b"", whole.span_id}
    assert all(
        whole.start_time_unix_nano <= s.start_time_unix_nano <= s.end_time_unix_nano
        for s in spans
        if s.name != "mayfly.batch"
    )
    found = values(whole.attributes)
    assert (found["mayfly.status"], found["mayfly.delivered"]) == ("succeeded", 10)
    rows = [values(s.attributes)["mayfly.rows"] for s in spans if s.name == "mayfly.batch"]
    assert sorted(rows) == [2, 4, 4]
    failed = [s for s in receiver.spans() if s.status.code == s.status.STATUS_CODE_ERROR]
    assert [s.name for s in failed] == ["mayfly.run"]
    _expect_metrics(receiver)
    assert all(h["dd-api-key"] == "sesame" for h in receiver.headers)
    for body in receiver.bodies:
        planted = [MARK.encode(), b"+33612345678", b"p1@example.com", os.uname().nodename.encode()]
        assert scan_bytes(body, planted) == []
    assert receiver.resources()[0] == {
        "service.name": "mayfly",
        "service.version": VERSION,
        "deployment.environment.name": "dev",
        "cloud.provider": "gcp",
    }


def _expect_metrics(receiver: Otlp) -> None:
    """Of both runs; nothing is there that is not on the list."""
    metrics = receiver.metrics()
    assert {m.name.removeprefix("mayfly.") for m in metrics} <= set(METRICS)
    delivered = [
        point.as_double
        for m in metrics
        if m.name == "mayfly.rows"
        for point in m.sum.data_points
        if values(point.attributes)["mayfly.outcome"] == "delivered"
    ]
    assert delivered == [10]
    durations = [
        p for m in metrics if m.name == "mayfly.run.duration" for p in m.histogram.data_points
    ]
    assert [p.count for p in durations] == [1, 1]
    assert all(p.start_time_unix_nano < p.time_unix_nano for p in durations)
    gauges = {m.name for m in metrics if m.WhichOneof("data") == "gauge"}
    assert {"mayfly.held", "mayfly.approvals.open", "mayfly.rights_requests.open"} <= gauges
    names = {a.key for s in receiver.spans() for a in s.attributes}
    assert names <= {f"mayfly.{name}" for name in ATTRIBUTES}
    assert {s.name for s in receiver.spans()} <= {f"mayfly.{name}" for name in SPANS}


def test_a_receiver_that_is_away_fails_no_run(
    tmp_path: Path, receiver: Otlp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that answers 503, one that hangs: the run ends, and what was not sent is counted."""
    monkeypatch.setattr("mayfly.adapters.otlp.TIMEOUT_SECONDS", 0.3)
    root = shop(tmp_path, receiver.url, rows=3)
    away = {("traces", "away"), ("metrics", "away")}
    receiver.status = 503
    assert {(d.signal, d.reason) for d in _dropped(root)} == away
    receiver.hangs.set()
    assert {(d.signal, d.reason) for d in _dropped(root)} == away
    assert receiver.requests == []


def _dropped(root: Path) -> list[TelemetryDropped]:
    """What a run says that it dropped; it succeeds."""
    told: list[Event] = []
    project = approved(root)
    assert project.app.telemetry is not None
    project.app.telemetry.then = told.append
    assert project.run().ok
    return [event for event in told if isinstance(event, TelemetryDropped)]


def test_nothing_is_told_unless_the_project_says_so(
    tmp_path: Path, receiver: Otlp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the environment says, to us or to a library that knows OpenTelemetry."""
    for name in ("ENDPOINT", "TRACES_ENDPOINT", "METRICS_ENDPOINT"):
        monkeypatch.setenv(f"OTEL_EXPORTER_OTLP_{name}", receiver.url)
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "otlp")
    monkeypatch.setenv("OTEL_METRICS_EXPORTER", "otlp")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", f"person={MARK}")
    project = approved(shop(tmp_path / "without", "", telemetry="", rows=3))
    assert project.app.telemetry is None
    assert project.run().ok
    assert receiver.bodies == []
    project = approved(shop(tmp_path / "with", receiver.url, rows=3))
    assert project.run().ok
    assert receiver.spans()
    assert not any(scan_bytes(body, [MARK.encode()]) for body in receiver.bodies)


@pytest.mark.slow
def test_one_signal_alone_is_sent(tmp_path: Path, receiver: Otlp) -> None:
    """What is not asked for is not there; a trial and a dry run are told to nobody."""
    text = TELEMETRY.replace('"URL"', '"URL", signals: [metrics]')
    project = approved(shop(tmp_path, receiver.url, telemetry=text, rows=3))
    project.run()
    assert receiver.metrics()
    assert receiver.spans() == []


@pytest.mark.slow
def test_doctor_reaches_the_receiver_and_says_where_it_is(
    tmp_path: Path, receiver: Otlp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without sending anything."""
    root = shop(tmp_path, receiver.url, rows=3)
    assert "telemetry_region" in _codes(root)
    assert "telemetry_away" not in _codes(root)
    assert receiver.bodies == []
    monkeypatch.delenv("OTLP_KEY")
    assert "secret_missing" in _codes(root)


def _codes(root: Path) -> set[str]:
    return {str(found["code"]) for found in examine(root, target="dev")}


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("telemetry: {endpoint: https://otlp.example.com}", "missing_key"),
        ("telemetry: {endpoint: https://otlp.example.com, region: us-east-1}", "region_elsewhere"),
        ("telemetry: {endpoint: http://otlp.example.com, region: eu}", "bad_webhook"),
        ("telemetry: {endpoint: http://127.0.0.1:1, protocol: grpc}", "not_allowed"),
        ("telemetry: {endpoint: http://127.0.0.1:1, headers: {dd-api-key: abc}}", "literal_secret"),
        ("telemetry: {endpoint: http://127.0.0.1:1, headers: {Host: env:X}}", "bad_header"),
        ("telemetry: {endpoint: http://127.0.0.1:1, signals: [logs]}", "not_allowed"),
    ],
)
def test_a_receiver_that_may_not_be_is_refused(tmp_path: Path, text: str, code: str) -> None:
    """Without a region, in another geography, in clear, over another protocol, with a secret."""
    with pytest.raises(ConfigProblemsError) as caught:
        shop(tmp_path, "", telemetry=f"\n{text}\n", rows=1)
    assert [problem.code for problem in caught.value.problems] == [code]


def test_another_geography_may_be_allowed(tmp_path: Path) -> None:
    """By who says why; whoever is behind the host has to stand in the register."""
    text = "telemetry: {endpoint: https://otlp.example.com, region: us-east-1, elsewhere: staff}"
    root = shop(tmp_path, "", telemetry=f"\n{text}\n", rows=1)
    project = load_project(root, target="dev")
    assert project.telemetry is not None
    assert project.telemetry.region == "us-east-1"
    assert Use(what="telemetry", host="otlp.example.com") in operator_hosts(project)


@pytest.mark.slow
def test_the_receiver_s_host_alone_is_reached(tmp_path: Path, receiver: Otlp) -> None:
    """A redirect is not followed: it is an answer that refuses."""
    receiver.status = 307
    root = shop(tmp_path, receiver.url, rows=3)
    assert {d.reason for d in _dropped(root)} == {"refused"}
    assert {h["host"] for h in receiver.headers} == {receiver.url.removeprefix("http://")}


@pytest.mark.slow
def test_a_worker_tells_what_it_did_and_what_waits(tmp_path: Path, receiver: Otlp) -> None:
    """Until its end."""
    daily = "0 6 * * * Europe/Paris"
    root = shop(tmp_path, receiver.url, telemetry=f"    schedule: {daily}\n" + TELEMETRY, rows=3)
    project = approved(root)
    due(root, "to_log", daily)
    with working(root):
        wait_for(lambda: has_run(project, "to_log"), "a run")
    assert "mayfly.run" in {s.name for s in receiver.spans()}
    assert "mayfly.workers.living" in {m.name for m in receiver.metrics()}
