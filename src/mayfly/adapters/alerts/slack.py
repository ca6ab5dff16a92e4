"""Alerts told to an incoming webhook of Slack, whose address is the secret."""

from __future__ import annotations

import json
from collections.abc import Callable
from urllib.parse import urlsplit

from mayfly.adapters.http import is_loopback
from mayfly.adapters.posting import post, reach
from mayfly.domain.errors import ConfigError
from mayfly.ports.alerts import Message

HOSTS = ("hooks.slack.com", "hooks.slack-gov.com")


class SlackChannel:
    """Posts `{"text": …}`.

    Args:
        name: of the channel.
        url: gives the webhook's address.
    """

    def __init__(self, name: str, *, url: Callable[[], str]) -> None:
        self._name = name
        self._url = url

    def send(self, notice: Message) -> None:
        """See `AlertChannel.send`."""
        text = "\n".join([notice.title(), *notice.lines()])
        body = json.dumps({"text": text}).encode()
        headers = {"content-type": "application/json"}
        post(self._checked(), body, headers, whose=f"channel {self._name}", code="alert")

    def check(self) -> None:
        """See `AlertChannel.check`."""
        reach(self._checked(), whose=f"channel {self._name}", code="alert")

    def _checked(self) -> str:
        url = self._url()
        slack_host(url, self._name)
        return url


def slack_host(url: str, name: str) -> str:
    """The host of a webhook's address.

    Raises:
        ConfigError: `alert_refused`, it is not Slack's. The address is not repeated.
    """
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        host = ""
    if host not in HOSTS and not is_loopback(host):
        raise ConfigError(
            "alert_refused",
            f"The address of channel {name} is not one of Slack's.",
            hint=f"Its secret holds https://{HOSTS[0]}/services/….",
        )
    return host
