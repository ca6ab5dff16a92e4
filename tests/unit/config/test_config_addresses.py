"""Secrets, and where things are: sources, stores, destinations, endpoints, targets."""

from __future__ import annotations

from pathlib import Path

import pytest

from config_faults import Faults, check, swap

FAULTS: Faults = {
    "literal token": (
        swap("env:META_TOKEN", "hunter2secret"),
        24,
        19,
        "literal_secret",
        "env:NAME",
    ),
    "bad variable": (swap("env:META_TOKEN", "env:a b"), 24, 19, "bad_reference", "META_TOKEN"),
    "relative secret": (
        swap("env:META_TOKEN", "file:token"),
        24,
        19,
        "relative_secret",
        "file:~/token",
    ),
    "literal secret of the app": (
        swap("env:META_TOKEN", "env:A\n    app_secret: abcdef"),
        25,
        17,
        "literal_secret",
        "env:NAME",
    ),
    "literal dsn": (
        swap("type: duckdb, path: shop.duckdb", "type: postgres, dsn: 'host=a password=b'"),
        7,
        31,
        "literal_secret",
        "env:NAME",
    ),
    "password in the store": (
        swap("url: sqlite", "url: 'postgresql+psycopg://a:b@db/x'"),
        4,
        14,
        "literal_secret",
        "env:NAME",
    ),
    "password in the store's options": (
        swap("url: sqlite", "url: 'postgresql+psycopg://db/x?password=b'"),
        4,
        14,
        "literal_secret",
        "env:NAME",
    ),
    "literal secret in a target's store": (
        swap("dev: {", "dev: {store: {url: 'postgresql+psycopg://a:b@c/d'}, "),
        5,
        30,
        "literal_secret",
        "env:NAME",
    ),
    "literal secret in the store of a target not chosen": (
        swap("prod: {}", "prod: {store: {url: 'postgresql+psycopg://a:b@c/d'}}"),
        5,
        81,
        "literal_secret",
        "env:NAME",
    ),
    "account that is no number": (
        swap('"1234567890"', "vip"),
        23,
        17,
        "bad_format",
        "Ads Manager",
    ),
    "version of the API": (
        swap("    account_id:", "    api_version: latest\n    account_id:"),
        23,
        18,
        "bad_format",
        "v26.0",
    ),
    "memory without a unit": (
        swap("state: source}", "memory_limit: '2'}"),
        7,
        57,
        "bad_format",
        "2GB",
    ),
    "Spark with its options": (
        swap("duckdb, path: shop.duckdb, state: source}", "spark, remote: 'sc://h:1/;token=x'}"),
        7,
        31,
        "bad_format",
        "keys of their own",
    ),
    "state in Spark": (
        swap("duckdb, path: shop.duckdb,", "spark, remote: 'sc://h:1',"),
        7,
        50,
        "no_transactions",
        "Write local",
    ),
    "another store": (swap("url: sqlite", "url: mysql"), 4, 14, "store_url", "sqlite"),
    "key of another destination": (
        swap("    account_id:", "    dsn: env:A\n    account_id:"),
        23,
        5,
        "key_of_other_type",
        "no key of type meta_ads, but of postgres",
    ),
    "key of another source": (
        swap("path: shop.duckdb,", "path: a, dsn: env:A,"),
        7,
        33,
        "key_of_other_type",
        "no key of type duckdb, but of mysql, postgres",
    ),
    "an ad platform is not internal": (
        swap("    account_id:", "    kind: internal\n    account_id:"),
        23,
        11,
        "not_allowed",
        "external",
    ),
    "a folder keeps no state": (
        swap("type: duckdb, path: shop.duckdb", "type: files, path: exports"),
        7,
        45,
        "not_allowed",
        "local",
    ),
    "endpoint elsewhere": (
        swap("endpoint: sandbox", "endpoint: 'http://evil.example'"),
        5,
        49,
        "endpoint_refused",
        "sandbox",
    ),
    "endpoint by name": (
        swap("endpoint: sandbox", "endpoint: 'http://localhost:9000'"),
        5,
        49,
        "endpoint_refused",
        "127.0.0.1",
    ),
    "endpoint without a port": (
        swap("endpoint: sandbox", "endpoint: 'http://127.0.0.1:0'"),
        5,
        49,
        "endpoint_refused",
        "127.0.0.1",
    ),
    "fault of a target not chosen": (
        swap("prod: {}", "prod: {destinations: {meta: {acount_id: '1'}}}"),
        5,
        90,
        "unknown_key",
        "Did you mean account_id?",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_is_reported_where_it_stands(tmp_path: Path, fault: str) -> None:
    """With its file, line, column, code and way out."""
    check(tmp_path, FAULTS[fault])
