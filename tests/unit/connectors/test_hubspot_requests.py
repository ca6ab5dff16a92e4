"""Rows as HubSpot's records, and settings that are refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubspot_world import NEWSLETTER, Token, batch, context
from mayfly.connectors.destinations import hubspot as module
from mayfly.connectors.destinations.hubspot import Hubspot
from mayfly.connectors.destinations.hubspot_api import HubspotSettings, Subscription
from mayfly.connectors.destinations.hubspot_requests import Records, as_text, read_body, upsert_body
from mayfly.domain.errors import ConfigError, IntegrityError
from mayfly.ports.connector import HostsRequest
from mayfly.ports.http import HttpClient

_TEXT = st.one_of(st.none(), st.text(st.characters(exclude_categories=["Cs"]), max_size=20))


@given(st.lists(st.tuples(_TEXT, _TEXT), max_size=12))
def test_rows_are_read_back_as_they_were(rows: list[tuple[str | None, str | None]]) -> None:
    """Whatever stands in them; a null is the empty text, and each row has its number."""
    keys, names = ([row[n] for row in rows] for n in (0, 1))
    whole = batch({"email": pa.array(keys, pa.string()), "city": pa.array(names, pa.string())})
    made = Records(whole, "email")
    body = orjson.loads(upsert_body(made.inputs(), tuple(range(len(rows)))))
    assert body["inputs"] == [
        {
            "id": key or "",
            "idProperty": "email",
            "objectWriteTraceId": str(n),
            "properties": {"email": key or "", "city": name or ""},
        }
        for n, (key, name) in enumerate(rows)
    ]
    asked = orjson.loads(read_body(made.identifiers(), tuple(range(len(rows))), "email"))
    assert [entry["id"] for entry in asked["inputs"]] == [key or "" for key in keys]


@pytest.mark.parametrize(
    "kind", [pa.binary(), pa.binary(32), pa.struct([("x", pa.int64())]), pa.list_(pa.binary())]
)
def test_a_type_without_a_form_is_refused(kind: pa.DataType) -> None:
    """Before any row is read; bytes that are a pseudonym leave as text."""
    with pytest.raises(ConfigError) as caught:
        as_text("x", pa.chunked_array([pa.nulls(1, kind)]))
    assert caught.value.code == "unsendable_type"
    with pytest.raises(ConfigError):
        made(context({"email": pa.string(), "x": kind}))


def test_a_batch_without_its_key_is_refused() -> None:
    """It could be of anybody."""
    with pytest.raises(IntegrityError):
        Records(batch({"city": pa.array(["Lyon"])}), "email")


class _Nowhere:
    """No connection."""


def made(given: Any, **settings: Any) -> Hubspot:
    """A connector that calls nobody."""
    http: HttpClient = _Nowhere()  # type: ignore[assignment]
    whole = {"account_id": "1", "access_token": Token(), **settings}
    return Hubspot(HubspotSettings(**whole), http, given)


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ({"account_id": "act_1"}, "bad_account_id"),
        ({"region": "us"}, "bad_region"),
        ({"api_version": "v4"}, "bad_api_version"),
        ({"object_type": "../contacts"}, "bad_object"),
        ({"object_type": "p1_things", "list_name": "x"}, "bad_object"),
        ({"endpoint": "https://api.example.com"}, "bad_endpoint"),
        ({"endpoint": "https://api.hubapi.com", "region": "eu1"}, "bad_endpoint"),
    ],
)
def test_settings_are_checked(settings: dict[str, Any], code: str) -> None:
    """Seven ways to be wrong."""
    with pytest.raises(ConfigError) as caught:
        made(context({"email": pa.string()}), **settings)
    assert caught.value.code == code


def test_a_legal_basis_is_one_of_hubspots() -> None:
    """Another is refused before anything is sent."""
    with pytest.raises(ConfigError):
        Subscription(number=1, legal_basis="BECAUSE")


def test_one_field_names_a_record() -> None:
    """And it is no subscription."""
    columns = {"email": pa.string(), "subscription.newsletter": pa.bool_()}
    one = context(columns, key="subscription.newsletter")
    for given_ in (one, replace(one, key=("email", "city")), replace(one, key=())):
        with pytest.raises(ConfigError) as caught:
            made(given_, subscriptions={"newsletter": NEWSLETTER})
        assert caught.value.code == "one_key"


@pytest.mark.parametrize(
    ("columns", "pseudonyms", "code"),
    [
        ({"email": pa.string(), "subscription.other": pa.bool_()}, (), "unknown_subscription"),
        ({"email": pa.string(), "subscription.newsletter": pa.string()}, (), "subscription_type"),
        ({"customer_no": pa.string(), "subscription.newsletter": pa.bool_()}, (), "no_address"),
        ({"email": pa.binary(), "subscription.newsletter": pa.bool_()}, ("email",), "no_address"),
    ],
)
def test_a_subscription_that_cannot_be_told_is_refused(
    columns: dict[str, pa.DataType], pseudonyms: tuple[str, ...], code: str
) -> None:
    """Not declared, no truth value, nobody to tell it of."""
    given = context(columns, key=next(iter(columns)), pseudonyms=pseudonyms)
    with pytest.raises(ConfigError) as caught:
        made(given, subscriptions={"newsletter": NEWSLETTER})
    assert caught.value.code == code


def test_the_eu_has_a_host_of_its_own() -> None:
    """And a run to it may connect to no other."""
    from mayfly.domain.settings import DestinationSettings

    hosts = module.CONNECTOR.hosts
    assert hosts is not None
    for region, host in (("eu1", "api-eu1.hubapi.com"), (None, "api.hubapi.com")):
        options = {"region": region} if region else {}
        settings = DestinationSettings(name="crm", type="hubspot", options=options)
        assert hosts(HostsRequest(settings=settings, reveal=lambda _: Token())) == {host}
        assert (
            HubspotSettings(account_id="1", access_token=Token(), region=region or "").base
            == f"https://{host}"
        )
