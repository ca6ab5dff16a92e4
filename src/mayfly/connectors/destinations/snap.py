"""Snap customer lists, through the Marketing API: what it declares, and how it is opened.

The connector itself is `snap_audience`.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from mayfly.connectors.destinations.snap_answers import VENDOR
from mayfly.connectors.destinations.snap_audience import (
    AT_SNAP,
    FIELDS,
    HOST,
    LIMITS,
    Snap,
    SnapSettings,
)
from mayfly.connectors.destinations.snap_segments import LIFETIME_DAYS
from mayfly.connectors.jobs import AT_ONCE
from mayfly.connectors.one_identifier import mixed
from mayfly.domain.batch import SyncMode
from mayfly.domain.settings import DestinationSettings, SyncSettings
from mayfly.ports.connector import Connector, ConnectorPage, DestinationRequest
from mayfly.ports.destination import DestinationSpec, Erasure, Processor
from mayfly.ports.oauth import OAuthSpec

LOGIN = OAuthSpec(
    authorise_url="https://accounts.snapchat.com/login/oauth2/authorize",
    token_url="https://accounts.snapchat.com/login/oauth2/access_token",  # noqa: S106, an address
    scopes=("snapchat-marketing-api",),
    life_seconds=1_800,
    redirect_host="localhost",
    redirect_port=8976,
    redirect_uri_option="redirect_uri",
)
SPEC = DestinationSpec(
    name="snap",
    modes=frozenset({SyncMode.AUDIENCE, SyncMode.UPSERT}),
    fields=FIELDS,
    request=LIMITS,
    hosts=frozenset({HOST}),
    processor=Processor(legal_name="Snap Group Limited", countries=frozenset({"GB", "US"})),
    erasure=Erasure.BY_IDENTIFIER,
    always_external=True,
    locates=True,
    concurrency=2,
    oauth=LOGIN,
    batch_rows=LIMITS.rows_max,
)


def _open(request: DestinationRequest) -> Snap:
    endpoint = request.settings.endpoint
    settings = SnapSettings(
        account_id=request.text("account_id"),
        access_token=request.secret("access_token"),
        audience=request.sync.audience or "",
        retention_days=_days(request.settings),
        endpoint=endpoint or f"https://{HOST}",
        pace=AT_ONCE if endpoint else AT_SNAP,
    )
    return Snap(settings, request.connect(), request.context)


def _days(settings: DestinationSettings) -> int:
    return int(str(settings.options.get("retention_days") or LIFETIME_DAYS))


def _refuses(settings: DestinationSettings, sync: SyncSettings) -> Iterable[tuple[str, str]]:
    del settings
    if said := mixed(list(sync.mapping), VENDOR):
        yield "identifiers_mixed", said


PAGE = ConnectorPage(
    title="Snap customer lists",
    example="""
destinations:
  snap:
    type: snap
    account_id: 8adc3db7-8148-4fbf-999c-8d2266369d74
    access_token: connection:snap
    client_id: 0a1b2c3d-client
    client_secret: env:SNAP_CLIENT_SECRET
    redirect_uri: https://shop.example.com/snap
syncs:
  vip_to_snap:
    id: vip_to_snap
    model: people
    destination: snap
    mode: audience
    audience: VIP customers
    purpose: ads
    mapping: {EMAIL_SHA256: email}
""",
    rights=(
        "An OAuth app of the organisation in Snap Business Manager.",
        "Who logs in has the role *Data Manager*, or one above it, in the ad account.",
    ),
    notes=(
        "A list holds one kind of identifier. Map one field; for another, write a second sync with "
        "an audience of its own.",
        "Snap counts what it took and names nobody. Where it counts fewer than were sent, the rows "
        "of the batch are `unconfirmed`. It works uploads off later: a row is delivered once the "
        "list says `COMPLETE`, which Mayfly asks for, across restarts; after two days without it "
        "the rows are `unconfirmed`, with `processing_unknown`. The list is never cleared: what "
        "changed is added and removed.",
        "Snap has no field for consent in lists: who has not agreed is not sent.",
        "To log in, register `http://localhost:8976/callback` as redirect address. Where Snap "
        "takes only an address of `https`, register one of yours, name it as `redirect_uri`, and "
        "give `mayfly connect` the address that the browser ends at.",
    ),
    untested=(
        "Everything: it was tried against the sandbox. Snap has no client of its own for lists.",
        "Whether `upload_status` turns to `PROCESSING` at once: Mayfly first asks after a minute. "
        "What somebody else uploads to the same list meanwhile is waited for, too.",
        "Whether `number_uploaded_users` counts what Snap could read, or what it was sent.",
        "Whether a list takes more than one kind of identifier: Snap's own page for Adobe says "
        "that it does not.",
        "Whether Snap works requests off in the order in which it took them.",
        "The most identifiers of a request: integrators say 100,000, Mayfly sends 50,000.",
    ),
)

CONNECTOR = Connector(
    spec=SPEC,
    open=_open,
    address=("account_id",),
    page=PAGE,
    renewal=lambda settings: timedelta(days=_days(settings)) / 3,
    refuses=_refuses,
)
