"""Pinterest customer lists, through its API v5: what it declares, and how it is opened.

The connector itself is `pinterest_audience`.
"""

from __future__ import annotations

from collections.abc import Iterable

from mayfly.connectors.destinations.pinterest_answers import VENDOR
from mayfly.connectors.destinations.pinterest_audience import (
    AT_PINTEREST,
    FIELDS,
    HOST,
    LIMITS,
    Pinterest,
    PinterestSettings,
)
from mayfly.connectors.jobs import AT_ONCE
from mayfly.connectors.one_identifier import mixed
from mayfly.domain.batch import SyncMode
from mayfly.domain.settings import DestinationSettings, SyncSettings
from mayfly.ports.connector import Connector, ConnectorPage, DestinationRequest
from mayfly.ports.destination import DestinationSpec, Erasure, Processor
from mayfly.ports.oauth import OAuthSpec

LOGIN = OAuthSpec(
    authorise_url="https://www.pinterest.com/oauth/",
    token_url=f"https://{HOST}/v5/oauth/token",
    scopes=("ads:read", "ads:write"),
    life_seconds=2_592_000,
    redirect_host="localhost",
    redirect_port=8976,
    scope_separator=",",
    client_in_header=True,
)
SPEC = DestinationSpec(
    name="pinterest",
    modes=frozenset({SyncMode.AUDIENCE, SyncMode.UPSERT}),
    fields=FIELDS,
    request=LIMITS,
    hosts=frozenset({HOST}),
    processor=Processor(legal_name="Pinterest Europe Limited", countries=frozenset({"IE", "US"})),
    erasure=Erasure.BY_IDENTIFIER,
    always_external=True,
    locates=True,
    oauth=LOGIN,
    batch_rows=LIMITS.rows_max,
)


def _open(request: DestinationRequest) -> Pinterest:
    endpoint = request.settings.endpoint
    settings = PinterestSettings(
        account_id=request.text("account_id"),
        access_token=request.secret("access_token"),
        audience=request.sync.audience or "",
        endpoint=endpoint or f"https://{HOST}",
        pace=AT_ONCE if endpoint else AT_PINTEREST,
    )
    return Pinterest(settings, request.connect(), request.context)


def _refuses(settings: DestinationSettings, sync: SyncSettings) -> Iterable[tuple[str, str]]:
    del settings
    if said := mixed(list(sync.mapping), VENDOR):
        yield "identifiers_mixed", said


PAGE = ConnectorPage(
    title="Pinterest customer lists",
    example="""
destinations:
  pinterest:
    type: pinterest
    account_id: "549755885175"
    access_token: connection:pinterest
    client_id: "1234567"
    client_secret: env:PINTEREST_CLIENT_SECRET
syncs:
  vip_to_pinterest:
    id: vip_to_pinterest
    model: people
    destination: pinterest
    mode: audience
    audience: VIP customers
    purpose: ads
    mapping: {EMAIL: email}
""",
    rights=(
        "An app of the Pinterest developer platform, with `http://localhost:8976/callback` as one "
        "of its redirect addresses.",
        "Who logs in may edit the ad account's audiences; the log-in asks for `ads:read` and "
        "`ads:write`.",
    ),
    notes=(
        "A list holds one kind of identifier. Map one field; for another, write a second sync with "
        "an audience of its own.",
        "Pinterest counts what it took and names nobody; it counts duplicates and absent people, "
        "too. A row is delivered once the list says `READY` or `TOO_SMALL`, which Mayfly asks for, "
        "across restarts, and its counters have come to what was sent; where they have not, the "
        "rows are `unconfirmed` with `invalid_count_only`, with `list_exception` where the list "
        "tells an error, and after two days without an end with `processing_unknown`. The list is "
        "never cleared: what changed is added and removed.",
        "A list is made with its first members. Once it is `READY`, Mayfly makes an audience of "
        "the same name from it where there is none, since ads are shown to audiences alone. Below "
        "100 people with an account a list stays `TOO_SMALL`.",
        "Pinterest has no field for consent in lists: who has not agreed is not sent.",
    ),
    untested=(
        "Everything: it was tried against the sandbox, driven by Pinterest's own client too, and "
        "our requests were read by its models.",
        "Whether a list turns to `PROCESSING` at once: Mayfly first asks after a minute. What "
        "somebody else uploads to the same list meanwhile is waited for, too, and counted.",
        "Whether the counters have risen when a request is answered, or later: they are compared "
        "when the list is worked off.",
        "How many identifiers a request may hold: Mayfly sends 10,000; on HTTP 413 the sync stops "
        "and asks for a smaller `batch_rows`.",
        "Whether Pinterest works requests off in the order in which it took them.",
        "Whether the log-in takes the parameters of PKCE, which Pinterest's documentation does not "
        "name.",
        "Uploads of large lists in parts are a closed beta of Pinterest's, and not used.",
    ),
)

CONNECTOR = Connector(
    spec=SPEC,
    open=_open,
    address=("account_id",),
    page=PAGE,
    refuses=_refuses,
)
