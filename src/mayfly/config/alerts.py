"""The shapes of channels for alerts in the project files."""

from __future__ import annotations

import ipaddress
from dataclasses import replace
from typing import Annotated, Literal

from pydantic import Field

from mayfly.config.fields import (
    Duration,
    Formed,
    HostName,
    Line,
    Part,
    Reference,
    WebhookUrl,
    seconds_of,
)
from mayfly.config.secrets import parse_reference
from mayfly.domain import settings as s
from mayfly.domain.alerts import AlertKind
from mayfly.domain.places import geography_of_place

MailAddress = Annotated[
    str, Formed("[A-Za-z0-9._+-]{1,64}@[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")
]
Kind = Literal[
    "failed",
    "held",
    "over_target",
    "approval_waiting",
    "keys_unavailable",
    "withdrawal_late",
    "clear_value_found",
    "ledger_inconsistent",
    "review_overdue",
    "erasure_due",
]


class AlertPart(Part):
    """What every channel has."""

    on: Annotated[list[Kind], Field(min_length=1)] | None = Field(
        default=None, description="Kinds of alerts that it is told of; all by default."
    )
    again_after: Duration = Field(
        default="24h", description="How long an alert that goes on is not told again."
    )
    region: Line | None = Field(
        default=None,
        description="Where the receiver is. Refused where it is another geography than the "
        "workspace's.",
        examples=["eu"],
    )


class WebhookAlert(AlertPart):
    """An address that is told, after Standard Webhooks."""

    type: Literal["webhook"] = Field(description="A webhook.")
    url: WebhookUrl = Field(description="https://HOST/PATH, or http://127.0.0.1:PORT/PATH.")
    secret: Reference = Field(
        description="Reference to the secret that signs: whsec_ and base64.", examples=["env:HOOK"]
    )


class MailAlert(AlertPart):
    """Mail, through a server that it is handed to."""

    type: Literal["mail"] = Field(description="Mail.")
    host: HostName = Field(description="Host of the server.", examples=["smtp.example.com"])
    port: int = Field(default=587, ge=1, le=65_535, description="Port of the server.")
    tls: Literal["starttls", "tls", "none"] = Field(
        default="starttls",
        description="`starttls`, or `tls` from the first byte on; `none` on 127.0.0.1 only.",
    )
    username: Line | None = Field(default=None, description="Name to log in by.")
    password: Reference | None = Field(default=None, description="Reference to its password.")
    sender: MailAddress = Field(description="Address it is from.")
    to: Annotated[list[MailAddress], Field(min_length=1, max_length=20)] = Field(
        description="Addresses it goes to."
    )


class SlackAlert(AlertPart):
    """An incoming webhook of Slack."""

    type: Literal["slack"] = Field(description="Slack.")
    url: Reference = Field(
        description="Reference to the webhook's address, which is a secret: "
        "https://hooks.slack.com/….",
        examples=["env:SLACK"],
    )


AlertFile = Annotated[WebhookAlert | MailAlert | SlackAlert, Field(discriminator="type")]


def alert_settings(name: str, file: AlertFile) -> s.AlertSettings:
    """A channel as the layers above read it."""
    common = s.AlertSettings(
        name=name,
        type=file.type,
        kinds=frozenset(AlertKind(kind) for kind in file.on or AlertKind),
        again_after_seconds=seconds_of(file.again_after),
        region=file.region,
    )
    match file:
        case WebhookAlert():
            return replace(common, url=file.url, secret=parse_reference(file.secret))
        case SlackAlert():
            return replace(common, secret=parse_reference(file.url))
        case MailAlert():
            return replace(
                common,
                host=file.host,
                port=file.port,
                tls=file.tls,
                username=file.username,
                secret=parse_reference(file.password) if file.password else None,
                sender=file.sender,
                to=tuple(file.to),
            )


def is_elsewhere(declared: str | None, *, geography: str | None, region: str | None) -> bool:
    """Whether a receiver is declared to be in another geography than the workspace is declared
    to be. Of what is not declared, or is in no geography that is known, nothing is said.
    """
    own = geography_of_place(geography or region)
    theirs = geography_of_place(declared)
    return bool(own and theirs and own != theirs)


def mail_faults(file: MailAlert) -> list[tuple[str, str, str]]:
    """Key, code and what is expected, of what does not fit together."""
    found = []
    if file.tls == "none" and not _is_loopback(file.host):
        found.append(("tls", "plain_mail", "expected starttls or tls off 127.0.0.1"))
    if (file.username is None) != (file.password is None):
        given = "password" if file.username is None else "username"
        found.append((given, "missing_key", "expected username and password, or neither"))
    return found


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
