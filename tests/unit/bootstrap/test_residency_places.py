"""Where the store is, by its address: a server's name tells, a file or a socket is here."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from mayfly.bootstrap.residency import _stores, _telemetry
from mayfly.config.load import load_project
from mayfly.domain.settings import StoreSettings, TelemetrySettings
from mayfly.services.residency_report import Place

HOST = "db.c9ak.us-east-1.rds.amazonaws.com"
URL = "postgresql+psycopg://"


@pytest.mark.parametrize(
    ("url", "declared", "places"),
    [
        ("sqlite", None, [Place(part="store", local=True)]),
        (f"{URL}/m?host=/run/postgresql", None, [Place(part="store", local=True)]),
        (f"{URL}u@127.0.0.1/m", None, [Place(part="store", local=True)]),
        (f"{URL}u@db.example.com/m", None, [Place(part="store", by="host_name")]),
        (f"{URL}u@{HOST}/m", "eu", [Place(part="store", declared="eu", observed="us-east-1")]),
        (f"{URL}/m?host={HOST}", None, [Place(part="store", observed="us-east-1")]),
        (
            f"{URL}/m?host=127.0.0.1:5432,{HOST}:5432",
            None,
            [
                Place(part="store", name="1", local=True),
                Place(part="store", name="2", observed="us-east-1"),
            ],
        ),
    ],
)
def test_no_host_is_taken_for_this_machine(
    tmp_path: Path, url: str, declared: str | None, places: list[Place]
) -> None:
    """Wherever in the address it stands."""
    (tmp_path / "mayfly.yml").write_text("version: 1\nworkspace: {name: shop}\n", "utf-8")
    project = replace(load_project(tmp_path), store=StoreSettings(url=url, region=declared))
    found = _stores(cast("Any", SimpleNamespace(project=project)))
    assert [replace(place, by="nobody") for place in found] == [
        replace(place, by="nobody") for place in places
    ]


@pytest.mark.parametrize(
    ("endpoint", "place"),
    [
        ("http://127.0.0.1:4318", Place(part="telemetry", local=True)),
        ("https://otlp.example.com", Place(part="telemetry", declared="eu", by="host_name")),
    ],
)
def test_telemetry_is_a_part(endpoint: str, place: Place) -> None:
    """On this machine, or where it is declared."""
    region = place.declared or None
    settings = TelemetrySettings(endpoint=endpoint, region=region)
    project = SimpleNamespace(telemetry=settings)
    assert list(_telemetry(cast("Any", SimpleNamespace(project=project)))) == [place]
    none = SimpleNamespace(project=SimpleNamespace(telemetry=None))
    assert list(_telemetry(cast("Any", none))) == []
