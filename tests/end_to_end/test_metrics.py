"""`mayfly serve --listen`: metrics as Prometheus reads them, and probes of a worker that runs."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from end_to_end.holding import HOLD, leave, sealed
from end_to_end.projects import SHOP, TO_LOG, approved, make_project
from end_to_end.serving import due, has_run, wait_for, working
from mayfly.api import load
from mayfly.api.probing import Probes, answers
from mayfly.api.serving import Worker
from mayfly.bootstrap import App, initialise
from mayfly.config.load import load_project
from mayfly.domain.erasures import ErasureRequest, Regulation, RequestKind, due_at
from mayfly.domain.errors import ConfigError, EngineError
from mayfly.domain.retention import LIMITS, RetentionClass
from mayfly.sandbox.server import SandboxServer
from mayfly.services.measuring import Meter
from mayfly.services.scan_paths import scan_paths

DAILY = "0 6 * * * Europe/Paris"
ANYWHERE = "127.0.0.1:0"
CAP = LIMITS[RetentionClass.CUSTOMER_DATA].cap_seconds or 0
Samples = dict[tuple[str, ...], float]


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries follow at once, and answers are made anew for each question."""
    monkeypatch.setattr("mayfly.services.deliver._wait", lambda state: 0.0)
    monkeypatch.setattr("mayfly.api.probing.KEPT_SECONDS", 0.0)


@contextmanager
def listening(root: Path) -> Iterator[Worker]:
    """A worker whose port is known."""
    with working(root, listen=ANYWHERE) as worker:
        wait_for(lambda: worker.port, "a port")
        yield worker


def asked(worker: Worker, path: str) -> tuple[int, str]:
    """Status and body."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{worker.port}{path}", timeout=60) as reply:
            return reply.status, reply.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def samples(worker: Worker) -> Samples:
    """What `/metrics` says, as its own parser reads it; labels are in alphabetical order."""
    status, text = asked(worker, "/metrics")
    assert status == 200
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_what_waits_and_is_open_is_told_by_any_process(
    tmp_path: Path, sandbox: SandboxServer
) -> None:
    """Another process's run holds it; people have asked, one is late; a sync is paused."""
    root = make_project(tmp_path / "project", sandbox.url, text=HOLD)
    project = approved(root)
    leave(sandbox)
    project.run("to_meta")
    asked_at = datetime.now(UTC) - timedelta(days=40)
    for number, regulation in enumerate((Regulation.GDPR, Regulation.CCPA)):
        project.app.store.add_erasure(
            ErasureRequest(
                request=f"e{number}",
                target="dev",
                kind=RequestKind.ERASURE,
                regulation=regulation,
                received_at=asked_at,
                due_at=due_at(regulation, asked_at),
            ),
            [],
        )
    project.pause("to_meta", actor="alice")
    lasting = root / ".mayfly" / "spool"
    with listening(root) as worker:
        found = samples(worker)
    assert sealed(root)
    bytes_held = sum((lasting / name).stat().st_size for name in sealed(root))
    [held] = [h for h in load(root).status()["held"] if h["class"] == "customer_data"]
    assert found["mayfly_store_reachable",] == 1
    assert found["mayfly_held_bytes", "customer_data"] == bytes_held > 0
    assert found["mayfly_held_rows", "customer_data"] == held["rows"] > 0
    assert 0 < found["mayfly_held_oldest_age_seconds", "customer_data"] < 600
    assert CAP - 600 < found["mayfly_purge_deadline_seconds", "customer_data"] <= CAP
    assert found["mayfly_held_copies", "temporary"] == 1
    assert found["mayfly_purge_deadline_seconds", "temporary"] > 0
    assert found["mayfly_rights_requests_open", "gdpr"] == 1
    assert found["mayfly_rights_requests_overdue", "gdpr"] == 1
    assert found["mayfly_rights_requests_due_seconds", "gdpr"] < 0
    assert found["mayfly_rights_requests_open", "ccpa"] == 1
    assert found["mayfly_rights_requests_overdue", "ccpa"] == 0
    assert 0 < found["mayfly_rights_requests_due_seconds", "ccpa"] <= 5 * 86_400
    assert found["mayfly_destinations_away", "meta"] == 1
    assert found["mayfly_syncs_paused", "to_meta"] == 1
    assert found["mayfly_approvals_open", "dev"] == 0
    assert found["mayfly_last_run_age_seconds", "held", "to_meta"] >= 0
    assert found["mayfly_workers_living",] == 1


def test_what_a_worker_does_is_counted(tmp_path: Path) -> None:
    """A run that was due; no row is on the page."""
    text = SHOP + TO_LOG + f"    schedule: {DAILY}\n"
    root = make_project(tmp_path / "project", "", rows=10, text=text)
    project = approved(root)
    due(root, "to_log", DAILY)
    with listening(root) as worker:
        wait_for(lambda: has_run(project, "to_log"), "a run")
        wait_for(lambda: "mayfly_runs_total{" in asked(worker, "/metrics")[1], "it to be counted")
        page = asked(worker, "/metrics")[1]
        found = samples(worker)
    assert found["mayfly_runs_total", "succeeded", "to_log", "dev"] == 1
    assert found["mayfly_rows_total", "delivered", "to_log", "dev"] == 10
    assert found["mayfly_batches_total", "to_log", "dev"] == 1
    assert found["mayfly_run_duration_seconds_count", "to_log", "dev"] == 1
    assert found["mayfly_ledger_entries_total", "delivered"] == 1
    assert found["mayfly_held_age_seconds_count", "delivered"] == 1
    (tmp_path / "page").write_text(page, encoding="utf-8")
    assert scan_paths([tmp_path / "page"], known_values=["p1@example.com"]) == []


def test_a_worker_is_ready_until_its_store_or_its_keys_are_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It lives all the same, and counts what it did; when the store is back it is ready again."""
    monkeypatch.setattr("mayfly.api.probing.KEYS_SECONDS", 0.0)
    root = make_project(tmp_path / "project", "", rows=3, text=SHOP + TO_LOG)
    initialise(root)
    load(root).run()
    store = root / ".mayfly" / "store.sqlite"
    with listening(root) as worker:
        assert asked(worker, "/readyz") == (200, "ok\n")
        assert samples(worker)["mayfly_approvals_open", "dev"] == 1
        store.rename(root / "away")
        assert asked(worker, "/readyz") == (503, "not_initialised\n")
        assert asked(worker, "/healthz") == (200, "ok\n")
        assert samples(worker)["mayfly_store_reachable",] == 0
        (root / "away").rename(store)
        assert asked(worker, "/readyz") == (200, "ok\n")
        monkeypatch.setattr(type(worker.app.keys), "health", _no_keys)
        assert asked(worker, "/readyz") == (503, "keys_unavailable\n")


def _no_keys(keys: object) -> None:
    raise EngineError("keys_unavailable", "They are away.")


def test_nothing_listens_unless_it_is_asked_for(tmp_path: Path) -> None:
    """By the command line or the project files; other machines have to be meant."""
    root = make_project(tmp_path / "project", "", rows=3, text=SHOP + TO_LOG)
    initialise(root)
    assert "Answers" not in Worker(root=root).says()
    text = (root / "mayfly.yml").read_text(encoding="utf-8")
    (root / "mayfly.yml").write_text(f"{text}serve: {{listen: '0.0.0.0:0'}}\n", encoding="utf-8")
    assert not load_project(root, target="dev").serve.public
    with pytest.raises(ConfigError, match="listen_public"):
        Worker(root=root)


def test_a_worker_that_was_asked_to_stop_is_not_ready() -> None:
    """Whoever asks is sent elsewhere; it costs no look at anything."""
    probes = Probes(app=_none, meter=Meter(), draining=lambda: True, region=None)
    answer = answers(probes)["/readyz"]()
    assert (answer.status, answer.body) == (503, b"draining\n")


def _none() -> App:
    raise AssertionError
