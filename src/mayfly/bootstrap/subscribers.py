"""The way to who subscribed to notices: an address that is sealed under the project's keys."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from urllib.parse import urlsplit

from mayfly.adapters.alerts.mail import MailChannel
from mayfly.adapters.alerts.webhook import WebhookChannel
from mayfly.adapters.egress import allow_hosts
from mayfly.adapters.keys.make import key_hosts
from mayfly.adapters.posting import require_secure
from mayfly.bootstrap.app import App
from mayfly.bootstrap.keeping import reveal
from mayfly.crypto.webhooks import webhook_key
from mayfly.domain.credentials import ConnectionKey
from mayfly.domain.errors import ConfigError
from mayfly.domain.register_changes import Subscriber
from mayfly.domain.settings import AlertSettings
from mayfly.ports.alerts import AlertChannel
from mayfly.services.credentials import Credential, Place

TYPE = "mayfly.processors"
_MAIL = re.compile(r"[A-Za-z0-9._+-]{1,64}@[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")


def store_address(app: App, name: str, text: str) -> str:
    """Seal where a subscriber is told, and give its kind.

    Args:
        app: of the project.
        name: of the subscriber.
        text: a mail address; or a webhook's address, and on the next line its secret.

    Raises:
        ConfigError: `bad_subscriber`, `bad_webhook_secret`, `alert_refused`, `no_mail_channel`.
    """
    lines = text.split()
    match lines:
        case [address] if _MAIL.fullmatch(address):
            _mail_channel(app)
            kind, parts = "mail", {"mail": address}
        case [url, secret] if url.startswith(("https://", "http://")):
            require_secure(url, whose=f"subscriber {name}", code="alert")
            webhook_key(secret, whose=f"subscriber {name}")
            kind, parts = "webhook", {"url": url, "secret": secret}
        case _:
            raise ConfigError(
                "bad_subscriber",
                "Standard input is not what a subscriber is told at.",
                hint="Give a mail address; or the address of a webhook, and its secret on the "
                "next line.",
            )
    with allow_hosts(key_hosts(app.project.keys)):
        app.connections.vault.put(_place(name, kind), Credential(secret=json.dumps(parts)))
    return kind


def forget_address(app: App, name: str) -> None:
    """Destroy where a subscriber was told."""
    app.connections.vault.forget(_place(name, "").key)


@contextmanager
def opened_subscriber(app: App, subscriber: Subscriber) -> Iterator[AlertChannel]:
    """Within, this process may connect to where the subscriber is told.

    Raises:
        EngineError: the address cannot be opened, or a setting is missing.
    """
    with allow_hosts(key_hosts(app.project.keys)):
        opened = app.connections.vault.get(_place(subscriber.name, subscriber.kind))
    parts = json.loads(opened.secret)
    if subscriber.kind == "mail":
        settings = replace(_mail_channel(app), to=(parts["mail"],))
        password = settings.secret
        with allow_hosts([settings.host]):
            yield MailChannel(settings, password=lambda: reveal(password) if password else "")
        return
    with allow_hosts([urlsplit(parts["url"]).hostname or ""]):
        yield WebhookChannel(
            subscriber.name, parts["url"], secret=lambda: str(parts["secret"]), type_=TYPE
        )


def _mail_channel(app: App) -> AlertSettings:
    name = app.project.register.mail
    if not name:
        raise ConfigError(
            "no_mail_channel",
            "The project does not say through which channel notices are mailed.",
            hint="Write `processing: {mail: NAME}`, a channel of type mail under `alerts`.",
        )
    return app.project.alerts[name]


def _place(name: str, kind: str) -> Place:
    # No target can be called so: subscribers are the workspace's, under whatever target.
    return Place(key=ConnectionKey(target="@processors", name=name), where=f"subscriber {kind}")
