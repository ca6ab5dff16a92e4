"""`connection:NAME` in place of a secret's reference."""

from __future__ import annotations

from pathlib import Path

import pytest

from config_faults import EXAMPLE, Faults, check, found, swap
from mayfly.config.load import load_project
from mayfly.domain.settings import SecretRef

OWN = "connection:meta"
SECOND = (
    '  meta: {{type: meta_ads, account_id: "1", access_token: "{own}"{more}}}\n'
    '  two: {{type: meta_ads, account_id: "2", access_token: "connection:meta"}}\n'
)


def two(own: str = OWN, more: str = "") -> str:
    """The example with a second destination, which logs in by the first one's connection."""
    start = EXAMPLE.index("  meta:\n")
    end = EXAMPLE.index("syncs:\n")
    text = EXAMPLE[:start] + SECOND.format(own=own, more=more) + EXAMPLE[end:]
    return text.replace("{meta: {endpoint: sandbox}}", "{}")


FAULTS: Faults = {
    "no such destination": (
        swap("env:META_TOKEN", "connection:meto"),
        24,
        19,
        "unknown_destination",
        "meta",
    ),
    "no name": (swap("env:META_TOKEN", "connection:a b"), 24, 19, "bad_name", "a-z"),
    "the secret of the app": (
        swap("env:META_TOKEN", "env:A\n    app_secret: connection:meta"),
        25,
        17,
        "connection_elsewhere",
        "env:NAME",
    ),
    "the dsn of a source": (
        swap("type: duckdb, path: shop.duckdb", "type: postgres, dsn: 'connection:meta'"),
        7,
        31,
        "connection_elsewhere",
        "env:NAME",
    ),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_fault_is_told_at_its_place(tmp_path: Path, fault: object) -> None:
    """With what is right."""
    check(tmp_path, fault)  # type: ignore[arg-type]


def test_a_store_has_no_connection(tmp_path: Path) -> None:
    """It is where connections lie."""
    text = swap("store: {url: sqlite}", "store: {url: 'connection:meta'}")(EXAMPLE)
    assert {p.code for p in found(tmp_path, text)} == {"connection_elsewhere"}


def test_a_connection_is_a_reference(tmp_path: Path) -> None:
    """Of the destination itself, or of another that goes to the same place."""
    text = two()
    assert [p for p in found(tmp_path, text) if p.code != "not_enforced"] == []
    destinations = load_project(tmp_path, target="dev").destinations
    assert {d.options["access_token"] for d in destinations.values()} == {
        SecretRef(kind="connection", name="meta")
    }


@pytest.mark.parametrize(
    ("own", "more"), [("env:TOKEN", ""), (OWN, ', endpoint: "http://127.0.0.1:9"')]
)
def test_a_token_is_not_shared_with_another_place(tmp_path: Path, own: str, more: str) -> None:
    """Another endpoint, or a destination that logs in by other means."""
    codes = {p.code for p in found(tmp_path, two(own, more))}
    assert "connection_differs" in codes
