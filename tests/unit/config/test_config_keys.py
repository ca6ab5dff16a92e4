"""Keys that are unknown or missing, values and names that are not allowed."""

from __future__ import annotations

from pathlib import Path

import pytest

from config_faults import Faults, add, check, swap

FAULTS: Faults = {
    "unknown key at the top": (add("sorces: {}\n"), 35, 1, "unknown_key", "Did you mean sources?"),
    "unknown key of a sync": (
        swap("    purpose: ads", "    purpos: ads"),
        32,
        5,
        "unknown_key",
        "Did you mean purpose?",
    ),
    "unknown key of a column": (
        swap("{class: email}", "{clas: email}"),
        15,
        15,
        "unknown_key",
        "Did you mean class?",
    ),
    "unknown key of residency": (
        swap("geography: eu", "geograpy: eu"),
        2,
        68,
        "unknown_key",
        "Did you mean geography?",
    ),
    "unknown key in a target": (
        swap("prod: {}", "prod: {destination: {}}"),
        5,
        68,
        "unknown_key",
        "Did you mean destinations?",
    ),
    "missing key": (swap("    id: vip_to_meta\n", ""), 26, 3, "missing_key", "Names its state;"),
    "missing account": (
        swap('    account_id: "1234567890"\n', ""),
        21,
        3,
        "missing_key",
        "`account_id` is missing The ad account, quoted. For instance 1234567890.",
    ),
    "missing version": (swap("version: 1\n", ""), 1, 1, "missing_key", "`version`"),
    "missing type": (
        swap("type: duckdb, ", ""),
        7,
        3,
        "missing_key",
        "bigquery, clickhouse, databricks, duckdb, files, mysql",
    ),
    "another version": (swap("version: 1", "version: 2"), 1, 10, "not_allowed", "Allowed: 1"),
    "value not allowed": (
        swap("mode: audience", "mode: audiance"),
        30,
        11,
        "not_allowed",
        "Did you mean audience? Allowed: upsert, mirror, append, audience.",
    ),
    "type not allowed": (
        swap("type: meta_ads", "type: meta"),
        22,
        11,
        "not_allowed",
        "Did you mean meta_ads?",
    ),
    "class not allowed": (
        swap("{class: phone", "{class: phne"),
        16,
        22,
        "not_allowed",
        "Did you mean phone?",
    ),
    "rule not allowed": (
        swap("rule: pseudonym", "rule: pseudonim"),
        17,
        26,
        "not_allowed",
        "Did you mean pseudonym?",
    ),
    "number for text": (
        swap('"1234567890"', "1234567890"),
        23,
        17,
        "wrong_type",
        "Quote it.",
    ),
    "text for a list": (
        swap("[customer_id]", "customer_id"),
        12,
        18,
        "wrong_type",
        "expected a list, found text",
    ),
    "bad name of a source": (
        swap("  shop: {type", "  Shop: {type"),
        7,
        3,
        "bad_name",
        "begin with a letter",
    ),
    "name that is SQL": (
        swap("  vip_to_meta:\n", '  "x */ ; drop table customers; --":\n'),
        26,
        3,
        "bad_name",
        "drop table",
    ),
    "bad id": (swap("id: vip_to_meta", "id: vip-to-meta"), 27, 9, "bad_name", "at most 63"),
    "bad purpose": (
        swap("      ads: {column", "      Ads: {column"),
        19,
        7,
        "bad_name",
        "at most 63",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_is_reported_where_it_stands(tmp_path: Path, fault: str) -> None:
    """With its file, line, column, code and way out."""
    check(tmp_path, FAULTS[fault])
