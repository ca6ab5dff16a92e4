"""The shapes of what a process tells of itself in the project files."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal, Protocol
from urllib.parse import urlsplit

from pydantic import Field

from mayfly.config.fields import Formed, Line, Part, Reference, WebhookUrl
from mayfly.config.residency import placement
from mayfly.config.secrets import parse_reference
from mayfly.domain import settings as s
from mayfly.domain.places import geography_of_place

HeaderName = Annotated[str, Formed("[A-Za-z][A-Za-z0-9-]{0,62}")]
_OURS = frozenset({"host", "content-type", "content-length", "content-encoding", "connection"})
Signal = Literal["traces", "metrics"]


class TelemetryPart(Part):
    """A receiver of spans and metrics: an Agent, a Collector, or a service that takes OTLP."""

    endpoint: WebhookUrl = Field(
        description="https://HOST/PATH, or http://127.0.0.1:PORT; `/v1/traces` and `/v1/metrics` "
        "are added.",
        examples=["http://127.0.0.1:4318"],
    )
    protocol: Literal["http/protobuf"] = Field(
        default="http/protobuf", description="The protocol: OTLP over HTTP."
    )
    signals: Annotated[list[Signal], Field(min_length=1)] = Field(
        default=["traces", "metrics"], description="What it is sent."
    )
    headers: dict[HeaderName, Reference] = Field(
        default={},
        description="References to what logs in, by the header's name.",
        examples=[{"dd-api-key": "env:DD_API_KEY"}],
    )
    region: Line | None = Field(
        default=None,
        description="Where the receiver is; needed unless it is on this machine. Refused where it "
        "is another geography than the workspace's.",
        examples=["eu"],
    )
    elsewhere: Line | None = Field(
        default=None,
        description="Why it may be in another geography: then it is not refused.",
        examples=["our operators work in Oregon"],
    )


class ServePart(Part):
    """What `mayfly serve` and `mayfly worker` listen on."""

    listen: Line | None = Field(
        default=None,
        description="ADDRESS:PORT for `/metrics`, `/healthz` and `/readyz`; nothing by default.",
        examples=["127.0.0.1:9464"],
    )
    public: bool = Field(
        default=False, description="Whether it may be an address that other machines reach."
    )


def serve_settings(file: ServePart) -> s.ServeSettings:
    """As the layers above read it."""
    return s.ServeSettings(listen=file.listen, public=file.public)


def telemetry_settings(file: TelemetryPart | None) -> s.TelemetrySettings | None:
    """As the layers above read it."""
    if file is None:
        return None
    parsed = {name: parse_reference(text) for name, text in file.headers.items()}
    return s.TelemetrySettings(
        endpoint=file.endpoint,
        headers={name: ref for name, ref in parsed.items() if ref is not None},
        signals=frozenset(file.signals),
        region=file.region,
    )


class _Placed(Protocol):
    """Where the workspace is, as its files say."""

    @property
    def provider(self) -> str | None: ...
    @property
    def geography(self) -> str | None: ...
    @property
    def region(self) -> str | None: ...


def telemetry_faults(
    file: TelemetryPart, workspace: _Placed | None
) -> Iterator[tuple[str, str, str]]:
    """Key, code and what is expected, of what does not fit together."""
    if file.region is None and urlsplit(file.endpoint).scheme == "https":
        yield "endpoint", "missing_key", "key `region` is missing: expected where the receiver is"
    if file.region is not None and file.elsewhere is None and _is_elsewhere(file.region, workspace):
        yield (
            *("region", "region_elsewhere"),
            "expected a receiver in the workspace's geography, or `elsewhere`: why it may be",
        )
    for name in file.headers:
        if name.lower() in _OURS:
            yield "headers", "bad_header", "expected no header that the protocol sets itself"


def _is_elsewhere(region: str, workspace: _Placed | None) -> bool:
    """A place that no table of ours has is elsewhere, unless it is the workspace's very region."""
    if workspace is None or region == workspace.region:
        return False
    own = placement(workspace.provider, workspace.geography, workspace.region)
    return geography_of_place(region) != own.geography
