"""What every channel for alerts must hold, on real receivers."""

from __future__ import annotations

import email
import email.policy
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope, LoginPassword, Session
from standardwebhooks import Webhook

from mayfly.adapters.alerts.mail import MailChannel
from mayfly.adapters.alerts.slack import SlackChannel
from mayfly.adapters.alerts.webhook import WebhookChannel
from mayfly.bootstrap.alerts import opened_channel
from mayfly.domain.alerts import Alert, AlertKind, Notice
from mayfly.domain.errors import ConfigError, EngineError, PolicyError, TransientError
from mayfly.domain.settings import AlertSettings, SecretRef
from mayfly.ports.alerts import AlertChannel
from servers import make_authority

SECRET = "whsec_" + "c2VjcmV0LW9mLXRoZS10ZXN0cy0zMi1ieXRlcy0="
ALERT = Alert(
    kind=AlertKind.FAILED, subject="to_crm", target="prod", code="mass_change", run="r1", count=7
)
WORD = "correct-horse"


def notice() -> Notice:
    """One of now: the vendor's library refuses what is old."""
    at = datetime.now(UTC).replace(microsecond=0)
    return Notice(id="msg_1", state="raised", alert=ALERT, workspace="shop", at=at)


@dataclass
class Receiver:
    """Takes posts, with the status it is told to answer."""

    status: int = 200
    url: str = ""
    posts: list[tuple[dict[str, str], str]] = field(default_factory=list)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """One on loopback."""
    made = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"])).decode()
            made.posts.append(({k.lower(): v for k, v in self.headers.items()}, body))
            self.send_response(made.status)
            self.send_header("location", "http://127.0.0.1:9/elsewhere")
            self.end_headers()
            self.wfile.write(b"ada@example.com")

        def log_message(self, *args: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        made.url = f"http://127.0.0.1:{server.server_port}/hook"
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield made
        server.shutdown()


def channel(kind: str, receiver: Receiver) -> AlertChannel:
    """A channel to the receiver."""
    if kind == "slack":
        return SlackChannel("ops", url=lambda: receiver.url)
    return WebhookChannel("ops", receiver.url, secret=lambda: SECRET)


def test_a_webhook_is_signed_as_its_vendor_s_library_verifies(receiver: Receiver) -> None:
    """The document comes out of the library, and a body that was changed does not."""
    sent = notice()
    channel("webhook", receiver).send(sent)
    [(headers, body)] = receiver.posts
    document: Any = Webhook(SECRET).verify(body, headers)
    assert document == {
        "type": "mayfly.alert",
        "timestamp": sent.at.isoformat(),
        "data": sent.to_dict(),
    }
    assert headers["webhook-id"] == "msg_1"
    with pytest.raises(Exception, match="signature"):
        Webhook(SECRET).verify(body.replace("7", "8"), headers)


def test_slack_gets_the_lines_as_text(receiver: Receiver) -> None:
    """And nothing more."""
    channel("slack", receiver).send(notice())
    [(_, body)] = receiver.posts
    document = json.loads(body)
    assert list(document) == ["text"]
    lines = document["text"].splitlines()
    assert lines[0] == "mayfly shop: failed raised, to_crm"
    assert {"code: mass_change", "run: r1", "count: 7"} <= set(lines)


@pytest.mark.parametrize("kind", ["webhook", "slack"])
@pytest.mark.parametrize(
    ("status", "error"),
    [
        (500, TransientError("alert_away", "")),
        (429, TransientError("alert_away", "")),
        (302, ConfigError("alert_refused", "")),
        (410, ConfigError("alert_refused", "")),
    ],
)
def test_an_answer_says_whether_to_try_again(
    kind: str, status: int, error: EngineError, receiver: Receiver
) -> None:
    """Nothing of its body is told, and a redirect is not followed."""
    receiver.status = status
    with pytest.raises(type(error)) as caught:
        channel(kind, receiver).send(notice())
    assert caught.value.code == error.code
    assert "ada" not in f"{caught.value}"
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    assert len(receiver.posts) == 1


@pytest.mark.parametrize("kind", ["webhook", "slack"])
def test_a_check_sends_nothing(kind: str, receiver: Receiver) -> None:
    """It connects; where nobody listens it says so."""
    channel(kind, receiver).check()
    assert receiver.posts == []
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        away = Receiver(url=f"http://127.0.0.1:{free.getsockname()[1]}/hook")
        for act in ("check", "send"):
            with pytest.raises(TransientError, match="alert_away"):
                getattr(channel(kind, away), act)(*([notice()] if act == "send" else []))


@pytest.mark.parametrize(
    "url",
    [
        "https://hooks.slack.com.example.com/services/marked",
        "http://hooks.slack.com/services/marked",
        "https://example.com/marked",
        "marked",
        "https://[marked",
    ],
)
def test_an_address_that_is_not_slack_s_is_refused_and_not_repeated(url: str) -> None:
    """Before any socket; it is a secret."""
    with pytest.raises(ConfigError) as caught:
        SlackChannel("chat", url=lambda: url).send(notice())
    assert caught.value.code == "alert_refused"
    assert "marked" not in f"{caught.value}{caught.value.hint}"


def test_only_the_channel_s_host_is_reached(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A channel is opened with its own host alone: another one is refused at the socket."""
    settings = AlertSettings(
        name="ops",
        type="webhook",
        kinds=frozenset(AlertKind),
        again_after_seconds=60,
        url=receiver.url,
        secret=SecretRef(kind="env", name="HOOK"),
    )
    monkeypatch.setenv("HOOK", SECRET)
    with opened_channel(settings) as opened:
        opened.send(notice())
        with pytest.raises(PolicyError, match="host_not_allowed"):
            socket.create_connection(("127.0.0.2", 9))
    assert len(receiver.posts) == 1


# -- mail -----------------------------------------------------------------------------------------


@dataclass
class MailServer:
    """Keeps what it is handed, or answers as it is told."""

    answer: str = "250 taken"
    port: int = 0
    trusted: ssl.SSLContext | None = None
    envelopes: list[Envelope] = field(default_factory=list)
    secure: list[bool] = field(default_factory=list)

    async def handle_DATA(  # noqa: N802
        self, server: object, session: Session, envelope: Envelope
    ) -> str:
        """Keep it, with whether the session became one under TLS."""
        self.envelopes.append(envelope)
        self.secure.append(session.ssl is not None)
        return self.answer

    def authenticate(self, *given: object) -> AuthResult:
        """One name with one password may."""
        word = given[-1]
        right = isinstance(word, LoginPassword) and word.password == WORD.encode()
        return AuthResult(success=right, handled=False)


class LoopbackMail(Controller):
    """Waits for its first answer under TLS where the first byte is TLS's."""

    def _trigger_server(self) -> None:
        with socket.create_connection((self.hostname, self.port), 5) as plain:
            if self.ssl_context is None:
                plain.recv(1024)
                return
            trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
            with trusting.wrap_socket(plain) as secure:
                secure.recv(1024)


@pytest.fixture(params=["none", "starttls", "tls"])
def mail(
    request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[tuple[AlertSettings, MailServer]]:
    """A real server on loopback, and a channel's settings for it."""
    made = MailServer()
    tls = request.param
    authority = make_authority(tmp_path / "ca", "127.0.0.1")
    server_side = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server_side.load_cert_chain(authority.certificate, authority.key)
    made.trusted = ssl.create_default_context(cafile=authority.root)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        made.port = free.getsockname()[1]
    controller = LoopbackMail(
        made,
        hostname="127.0.0.1",
        port=made.port,
        ssl_context=server_side if tls == "tls" else None,
        tls_context=server_side if tls == "starttls" else None,
        require_starttls=tls == "starttls",
        authenticator=made.authenticate,
        auth_require_tls=tls == "starttls",
    )
    controller.start()
    settings = AlertSettings(
        name="mail",
        type="mail",
        kinds=frozenset(AlertKind),
        again_after_seconds=60,
        host="127.0.0.1",
        port=made.port,
        tls=tls,
        sender="mayfly@example.com",
        to=("a@example.com", "b@example.com"),
    )
    yield settings, made
    controller.stop()


def mailing(settings: AlertSettings, server: MailServer, word: str = WORD) -> MailChannel:
    """A channel that trusts the server's authority."""
    return MailChannel(settings, password=lambda: word, context=server.trusted)


def test_mail_arrives(mail: tuple[AlertSettings, MailServer]) -> None:
    """At each address, under TLS where that is set, with the lines as text."""
    settings, server = mail
    mailing(replace(settings, username="mayfly"), server).check()
    assert server.envelopes == []
    mailing(replace(settings, username="mayfly"), server).send(notice())
    [envelope] = server.envelopes
    assert envelope.rcpt_tos == ["a@example.com", "b@example.com"]
    assert server.secure == [settings.tls == "starttls"]  # of `tls` the server hears nothing else
    content = envelope.content or b""
    message = email.message_from_bytes(
        content if isinstance(content, bytes) else content.encode(), policy=email.policy.default
    )
    assert message["Subject"] == "mayfly shop: failed raised, to_crm"
    assert message["Message-ID"] == "<msg_1@example.com>"
    assert "code: mass_change" in message.get_content().splitlines()


def test_mail_that_is_not_taken_says_why(mail: tuple[AlertSettings, MailServer]) -> None:
    """By number alone; a wrong password, a server that is busy, and one that will not have it."""
    settings, server = mail
    with pytest.raises(ConfigError, match="does not take the log-in"):
        mailing(replace(settings, username="mayfly"), server, "wrong").send(notice())
    for answer, error in (
        ("451 ada@example.com later", TransientError),
        ("550 ada@example.com never", ConfigError),
    ):
        server.answer = answer
        with pytest.raises(error) as caught:
            mailing(settings, server).send(notice())
        assert answer[:3] in caught.value.message
        assert "ada" not in f"{caught.value}"


def test_a_certificate_that_nobody_vouches_for_is_refused(
    mail: tuple[AlertSettings, MailServer],
) -> None:
    """The machine's authorities do not know that of the tests: nothing is handed over."""
    settings, server = mail
    if settings.tls == "none":
        settings = replace(settings, tls="starttls")  # which the server does not offer
    with pytest.raises(EngineError, match=r"alert_(away|refused)"):
        MailChannel(settings, password=lambda: WORD).send(notice())
    assert server.envelopes == []


def test_without_tls_no_other_machine_is_spoken_to() -> None:
    """Refused before any socket."""
    settings = AlertSettings(
        name="mail",
        type="mail",
        kinds=frozenset(AlertKind),
        again_after_seconds=60,
        host="192.0.2.1",
        port=25,
        tls="none",
    )
    with pytest.raises(ConfigError, match="takes no TLS"):
        MailChannel(settings, password=str).check()
