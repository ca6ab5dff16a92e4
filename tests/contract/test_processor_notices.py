"""Notices of the register, on real receivers of mail and webhooks."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from aiosmtpd.controller import Controller
from jsonschema import Draft202012Validator
from standardwebhooks import Webhook

import mayfly.api
from mayfly.api import processor_notices
from mayfly.bootstrap import initialise
from mayfly.bootstrap.register import operator_hosts
from mayfly.domain.errors import ConfigError, UsageError
from mayfly.services import notify_processors

SCHEMA = Path(__file__).parents[2] / "docs/reference/json/processors.schema.json"
SECRET = "whsec_" + "c2VjcmV0LW9mLXRoZS10ZXN0cy0zMi1ieXRlcy0="
ADDRESS = "legal@customer.example"
ENTRY = """processors:
  cloud:
    legal_name: Cloud Ltd
    address: Dublin, Ireland
    contact: privacy@cloud.example
    purpose: Hosting
    data_categories: [user.contact.email]
    locations: [IE]
    hosts: ["*.cloud.example"]
    status: {}
    announced: 2026-01-01
    effective: 2026-02-01
    dpa: {{reference: DPA-1, version: "1", signed: 2026-01-15}}
"""


class Mailbox:
    """Keeps messages; refuses where it is told to."""

    def __init__(self) -> None:
        self.messages: list[tuple[list[str], str]] = []
        self.full = False

    async def handle_DATA(self, server: object, session: object, envelope: Any) -> str:  # noqa: N802
        """Keep it."""
        if self.full:
            return "552 mailbox full"
        self.messages.append((envelope.rcpt_tos, envelope.content.decode()))
        return "250 OK"


@pytest.fixture
def mailbox() -> Iterator[tuple[Mailbox, int]]:
    """A server for mail on loopback."""
    box = Mailbox()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    controller = Controller(box, hostname="127.0.0.1", port=port, server_hostname="localhost")
    controller.start()
    yield box, port
    controller.stop()


@pytest.fixture
def hook() -> Iterator[tuple[list[tuple[dict[str, str], str]], str]]:
    """A receiver of posts on loopback."""
    posts: list[tuple[dict[str, str], str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"])).decode()
            posts.append(({k.lower(): v for k, v in self.headers.items()}, body))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield posts, f"http://127.0.0.1:{server.server_port}/hook"
        server.shutdown()


def load(folder: Path, port: int, status: str | None) -> mayfly.api.Project:
    """The project with this register, as another process would open it."""
    text = f"""version: 1
workspace: {{name: shop}}
processing: {{mail: post}}
alerts:
  post:
    {{type: mail, host: 127.0.0.1, port: {port}, tls: none, sender: a@shop.example, to: [b@c.de]}}
"""
    (folder / "mayfly.yml").write_text(text, "utf-8")
    (folder / "processors").mkdir(exist_ok=True)
    entry = "" if status is None else ENTRY.format(status)
    (folder / "processors/all.yml").write_text(entry, "utf-8")
    initialise(folder)
    return mayfly.api.load(folder)


def valid(document: object) -> None:
    """As the schema says."""
    Draft202012Validator(json.loads(SCHEMA.read_text("utf-8"))).validate(document)


def test_each_is_told_once_and_nobody_is_engaged_before(
    tmp_path: Path, mailbox: tuple[Mailbox, int], hook: tuple[list[Any], str]
) -> None:
    """By mail and by signed webhook; not again by another process, and by an Atom file, too."""
    (box, port), (posts, url) = mailbox, hook
    project = load(tmp_path, port, None)
    valid(project.subscribe_to_processors("legal", ADDRESS))
    valid(project.subscribe_to_processors("hook", f"{url}\n{SECRET}\n"))
    project = load(tmp_path, port, "active")
    assert "was not told" in project.app.stopped()["cloud"]
    feed = tmp_path / "feed.atom"
    document = project.notify_processors(atom=feed)
    valid(document)
    assert [(n["recipient"], n["failure"]) for n in document["notices"]] == [
        *(("hook", ""), ("legal", ""), ("atom", ""))
    ]
    [(recipients, mail)], [(headers, body)] = box.messages, posts
    assert recipients == [ADDRESS]
    assert "sub-processor added, Cloud Ltd" in mail
    Webhook(SECRET).verify(body, headers)
    told = json.loads(body)
    assert (told["type"], told["data"]["change"]) == ("mayfly.processors", "added")
    again = load(tmp_path, port, "active")
    assert again.notify_processors(atom=feed)["notices"] == []
    assert (len(box.messages), len(posts)) == (1, 1)
    assert "30 days are not over" in again.app.stopped()["cloud"]
    later = again.app.clock.now() + timedelta(days=30)
    assert notify_processors.not_told(again.app.store, again.app.project, later) == {}
    names = [e.tag.rpartition("}")[2] for e in ET.parse(feed).getroot()]
    assert names.count("entry") == 1
    listed = again.processors()
    valid(listed)
    assert {n["recipient"] for n in listed["notices"]} == {"legal", "hook", "atom"}


def test_what_failed_is_told_again_and_what_a_crash_left_only_when_asked(
    tmp_path: Path, mailbox: tuple[Mailbox, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A notice that may have arrived is not sent twice, and does not count as told."""
    box, port = mailbox
    load(tmp_path, port, None).subscribe_to_processors("legal", ADDRESS)
    project = load(tmp_path, port, "announced")
    box.full = True
    failed = project.notify_processors()
    assert ([n["failure"] for n in failed["notices"]], failed["ok"]) == (["alert_refused"], False)
    box.full = False

    def die(*args: object, **kwargs: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(type(project.app.store), "note_notice", die)
        with pytest.raises(KeyboardInterrupt):
            project.notify_processors()
    assert len(box.messages) == 1
    project = load(tmp_path, port, "announced")
    doubt = project.notify_processors()
    valid(doubt)
    assert ([n["recipient"] for n in doubt["in_doubt"]], doubt["ok"]) == (["legal"], False)
    assert len(box.messages) == 1
    assert "was not told" in project.app.stopped()["cloud"]
    assert project.notify_processors(again=True)["ok"]
    assert len(box.messages) == 2
    ids = {line for _, m in box.messages for line in m.splitlines() if "Message-ID" in line}
    assert len(ids) == 1


def test_no_address_lies_in_clear_and_it_ends_with_the_subscription(
    tmp_path: Path, mailbox: tuple[Mailbox, int]
) -> None:
    """Sealed under the project's keys; what was told of stays, by name."""
    _, port = mailbox
    project = load(tmp_path, port, None)
    project.subscribe_to_processors("legal", ADDRESS)
    load(tmp_path, port, "announced").notify_processors()
    files = [p.read_bytes() for p in (tmp_path / ".mayfly").rglob("*") if p.is_file()]
    assert not any(ADDRESS.encode() in content for content in files)
    project = load(tmp_path, port, "announced")
    valid(project.unsubscribe_from_processors("legal"))
    assert project.app.stopped() == {}
    assert project.processors()["subscribers"] == []
    assert len(project.processors()["notices"]) == 1
    with pytest.raises(UsageError, match="no subscriber"):
        project.unsubscribe_from_processors("legal")
    with pytest.raises(ConfigError) as refused:
        project.subscribe_to_processors("legal", "not an address")
    assert refused.value.code == "bad_subscriber"
    assert "not an address" not in f"{refused.value}{refused.value.hint}"


def test_an_objection_stops_an_entry_in_this_workspace(
    tmp_path: Path, mailbox: tuple[Mailbox, int]
) -> None:
    """Until it is taken back; of what there is alone."""
    project = load(tmp_path, mailbox[1], "active")
    valid(project.object_to_processor("cloud", actor="ada"))
    [entry] = project.processors()["infrastructure"]
    assert (entry["engaged"], entry["reason"]) == (False, "the workspace objected to it")
    project.object_to_processor("cloud", withdraw=True)
    assert project.processors()["infrastructure"][0]["engaged"]
    with pytest.raises(UsageError, match="no sub-processor"):
        project.object_to_processor("nobody")
    assert operator_hosts(project.app.project) == []
    assert processor_notices.objections(project.app) == []
