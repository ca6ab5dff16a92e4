"""Alerts of real runs, to a real receiver."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from standardwebhooks import Webhook
from typer.testing import CliRunner

from end_to_end.projects import SHOP, TO_LOG, approved, make_project
from mayfly.api import load
from mayfly.api.examine import examine
from mayfly.bootstrap import initialise
from mayfly.cli.commands import app
from mayfly.config.load import load_project
from mayfly.domain.errors import ConfigError, EngineError

SECRET = "whsec_" + "c2VjcmV0LW9mLXRoZS10ZXN0cy0zMi1ieXRlcy0="
SCHEMA = Path(__file__).parents[2] / "docs/reference/json/alerts.schema.json"
ALERTS = """
alerts:
  ops: {type: webhook, url: "URL/hook", secret: env:OPS_HOOK, region: eu}
"""


class Receiver:
    """What was told, in order; it answers as it is told to."""

    def __init__(self) -> None:
        self.status = 204
        self.url = ""
        self.told: list[dict[str, Any]] = []

    def kinds(self) -> list[str]:
        """States, kinds and subjects."""
        return [f"{t['state']} {t['kind']} {t['subject']}" for t in self.told]


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    """One on loopback, which verifies each signature by its vendor's library."""
    made = Receiver()
    monkeypatch.setenv("OPS_HOOK", SECRET)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"])).decode()
            headers = {k.lower(): v for k, v in self.headers.items()}
            document: Any = Webhook(SECRET).verify(body, headers)
            if made.status == 204:
                made.told.append(document["data"])
            self.send_response(made.status)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        made.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield made
        server.shutdown()


@pytest.fixture
def root(tmp_path: Path, receiver: Receiver) -> Path:
    """A project with one sync and one channel, initialised and not approved."""
    text = SHOP + TO_LOG + ALERTS.replace("URL", receiver.url)
    made = make_project(tmp_path / "project", "", rows=5, text=text)
    initialise(made)
    return made


def test_a_sync_that_waits_for_approval_is_told_and_then_cleared(
    root: Path, receiver: Receiver
) -> None:
    """Once for two runs; the run that goes through clears it. A dry run tells nobody."""
    load(root).run()
    load(root).run()
    assert receiver.kinds() == ["raised approval_waiting to_log"]
    assert receiver.told[0]["code"] == "not_approved"
    project = approved(root)
    project.run()
    assert receiver.kinds()[1:] == ["cleared approval_waiting to_log"]
    assert load(root).alerts()["open"] == []


def test_a_receiver_that_is_away_fails_no_run(root: Path, receiver: Receiver) -> None:
    """`doctor` says what was not told; a later run tells it."""
    receiver.status = 410
    project = approved(root)
    (root / "shop.duckdb").rename(root / "gone")
    assert not load(root).run().ok
    (root / "gone").rename(root / "shop.duckdb")
    codes = [f["code"] for f in map(_shown, examine(root, target="dev"))]
    assert "alert_untold" in codes
    assert project.run().ok
    assert receiver.told == []


def test_keys_that_are_lost_are_told_though_the_project_does_not_open(
    root: Path, receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The channel needs none of them."""
    monkeypatch.setenv("MAYFLY_KEYS_DIR", str(tmp_path / "nowhere"))
    with pytest.raises(EngineError):
        load(root)
    assert receiver.kinds() == ["raised keys_unavailable keys"]


def test_a_channel_is_tried_by_a_command(root: Path, receiver: Receiver) -> None:
    """It says what arrived, exits 1 where it did not, and prints what its schema says."""
    words = ["--project", str(root), "--output", "json"]
    schema = Draft202012Validator(json.loads(SCHEMA.read_text(encoding="utf-8")))
    for status, code, exit_code in ((204, "", 0), (410, "alert_refused", 1)):
        receiver.status = status
        done = CliRunner().invoke(app, ["alerts", "test", "ops", *words])
        document = json.loads(done.stdout)
        schema.validate(document)
        assert (done.exit_code, document["channels"][0]["code"]) == (exit_code, code)
    assert receiver.kinds() == ["test failed test"]
    done = CliRunner().invoke(app, ["alerts", "list", "--project", str(root)])
    assert done.stdout.splitlines() == ["ops (webhook, eu)"]
    with pytest.raises(EngineError, match="unknown_channel"):
        load(root).try_alerts("other")


def test_doctor_says_where_each_channel_is(root: Path) -> None:
    """By its declared region, without sending anything."""
    found = {f["code"]: f["message"] for f in map(_shown, examine(root, target="dev"))}
    assert "webhook in region eu" in found["alert_region"]
    assert "alert_away" not in found


@pytest.mark.parametrize(
    ("channel", "code"),
    [
        ("{type: webhook, url: https://a.example.com/x, secret: env:S, region: us}", "region"),
        ("{type: slack, url: https://hooks.slack.com/services/x}", "literal_secret"),
        ("{type: mail, host: h, sender: a@b.co, to: [a@b.co], tls: none}", "plain_mail"),
        ("{type: mail, host: h, sender: a@b.co, to: [a@b.co], username: a}", "missing_key"),
        ("{type: mail, host: h, sender: a@b.co, to: [a@b.co], more: 1}", "unknown_key"),
        ("{type: mail, host: h, sender: nobody, to: [a@b.co]}", "bad_format"),
        ("{type: slack, url: env:S, on: [other]}", "not_allowed"),
        ("{type: pager, url: env:S}", "not_allowed"),
    ],
)
def test_a_channel_is_read_strictly(tmp_path: Path, channel: str, code: str) -> None:
    """Each fault has its code, at its place; a region counts where both are declared."""
    text = SHOP.replace("{name: shop}", "{name: shop, residency: {geography: eu}}")
    text += f"{TO_LOG}\nalerts:\n  ops: {channel}\n"
    (tmp_path / "mayfly.yml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_project(tmp_path, target="dev")
    problems = [p.code for p in getattr(caught.value, "problems", ())]
    assert [p for p in problems if p.startswith(code)], problems


def _shown(found: Any) -> dict[str, Any]:
    shown: dict[str, Any] = found if isinstance(found, dict) else found.to_dict()
    return shown
