"""The project's channels for alerts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import partial
from urllib.parse import urlsplit

from mayfly.adapters.alerts.mail import MailChannel
from mayfly.adapters.alerts.slack import SlackChannel, slack_host
from mayfly.adapters.alerts.webhook import WebhookChannel
from mayfly.adapters.egress import allow_hosts
from mayfly.bootstrap.keeping import reveal
from mayfly.domain.errors import ConfigError
from mayfly.domain.settings import AlertSettings, Project
from mayfly.ports.alerts import AlertChannel
from mayfly.ports.store import Store
from mayfly.services.alerting import Alerting, Route
from mayfly.services.events import Tell


def open_alerting(
    project: Project, store: Store, now: Callable[[], datetime], tell: Tell
) -> Alerting:
    """What tells the project's channels of events, and then tells `tell`."""
    return Alerting(
        routes=tuple(_route(settings) for settings in project.alerts.values()),
        store=store,
        workspace=project.workspace.name,
        target=project.target,
        now=now,
        then=tell,
    )


def _route(settings: AlertSettings) -> Route:
    return Route(
        name=settings.name,
        kinds=settings.kinds,
        again_after=timedelta(seconds=settings.again_after_seconds),
        open=partial(opened_channel, settings),
    )


@contextmanager
def opened_channel(settings: AlertSettings) -> Iterator[AlertChannel]:
    """Within, this process may connect to the host of that channel.

    Raises:
        ConfigError: `secret_missing`, `alert_refused`.
    """
    with allow_hosts([alert_host(settings)]):
        yield _channel(settings)


def alert_host(settings: AlertSettings) -> str:
    """The host that a channel is reached at."""
    match settings.type:
        case "mail":
            return settings.host
        case "slack":
            return slack_host(_secret(settings), settings.name)
        case "webhook":
            return urlsplit(settings.url).hostname or ""


def _channel(settings: AlertSettings) -> AlertChannel:
    secret = partial(_secret, settings)
    match settings.type:
        case "mail":
            return MailChannel(settings, password=secret)
        case "slack":
            return SlackChannel(settings.name, url=secret)
        case "webhook":
            return WebhookChannel(settings.name, settings.url, secret=secret)


def _secret(settings: AlertSettings) -> str:
    if settings.secret is None:
        raise ConfigError("bad_alert", f"Channel {settings.name} has no secret.")
    return reveal(settings.secret)
