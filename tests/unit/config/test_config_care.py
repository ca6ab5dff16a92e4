"""Zendesk and Intercom in the project files."""

from __future__ import annotations

from pathlib import Path

import pytest

from mayfly.config.load import load_project
from mayfly.domain.errors import EngineError

FILES = """
version: 1
workspace: {{name: shop}}
sources: {{shop: {{type: duckdb, path: shop.duckdb}}}}
models:
  people: {{source: shop, table: people, primary_key: [id], columns: {{id: {{}}}}}}
destinations:
  there: {{{there}}}
syncs:
  s: {{id: s, model: people, destination: there, mapping: {{external_id: id}}, {sync}}}
"""
ZENDESK = "type: zendesk, subdomain: shop"
INTERCOM = "type: intercom, app_id: ab12cd34, access_token: env:A"
UPSERT = "mode: upsert, key: [external_id]"
AUDIENCE = "mode: audience, key: [external_id], audience: VIP"


def codes(folder: Path, there: str, sync: str = UPSERT) -> set[str]:
    """Of what is wrong with a project."""
    (folder / "mayfly.yml").write_text(FILES.format(there=there, sync=sync), encoding="utf-8")
    try:
        load_project(folder)
    except EngineError as error:
        return {problem.code for problem in getattr(error, "problems", ())}
    return set()


@pytest.mark.parametrize("sync", [UPSERT, AUDIENCE, UPSERT.replace("upsert", "mirror")])
@pytest.mark.parametrize(
    "there",
    [
        ZENDESK + ", access_token: env:A",
        ZENDESK
        + ", api_user: a@example.com, api_token: env:A, kind: internal, owner: o, reason: r",
        INTERCOM + ", region: eu, endpoint: sandbox",
        INTERCOM + ', subscriptions: {news: {id: "91"}}',
    ],
)
def test_what_is_whole_loads(tmp_path: Path, there: str, sync: str) -> None:
    """With every way to log in, in every mode."""
    assert codes(tmp_path, there, sync) == set()


@pytest.mark.parametrize(
    ("there", "sync", "code"),
    [
        (ZENDESK, UPSERT, "missing_key"),
        (ZENDESK + ", api_token: env:A", UPSERT, "missing_key"),
        (ZENDESK + ", access_token: env:A, api_token: env:B", UPSERT, "two_credentials"),
        (ZENDESK + ".example, access_token: env:A", UPSERT, "bad_format"),
        (ZENDESK + ", access_token: t0ken", UPSERT, "literal_secret"),
        (INTERCOM + ", region: mars", UPSERT, "not_allowed"),
        (INTERCOM + ', subscriptions: {news: {id: "9/1"}}', UPSERT, "bad_format"),
        (INTERCOM, "mode: upsert", "missing_key"),
        (INTERCOM, "mode: audience, key: [external_id]", "missing_key"),
        (INTERCOM, "mode: append, key: [external_id]", "mode_not_supported"),
    ],
)
def test_what_is_missing_or_wrong_is_found(
    tmp_path: Path, there: str, sync: str, code: str
) -> None:
    """Before anything is opened."""
    assert code in codes(tmp_path, there, sync)
