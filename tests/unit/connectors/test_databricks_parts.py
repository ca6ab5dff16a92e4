"""What a Databricks source says and refuses without a warehouse."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from mayfly.connectors.sources.databricks_connect import DatabricksAccess
from mayfly.connectors.sources.databricks_errors import from_error
from mayfly.connectors.sources.databricks_types import arrow_type, column, plain, readable
from mayfly.domain.errors import ConfigError, ContractError, EngineError, TransientError


class _Secret:
    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text


def _access(**more: Any) -> DatabricksAccess:
    given: dict[str, Any] = {
        "host": "shop.cloud.databricks.com", "http_path": "/sql/1.0/warehouses/0123456789abcdef",
        "token": lambda: _Secret("t0ken"), "catalog": "shop", "volume": "shop.mayfly.loads", **more,
    }  # fmt: skip
    return DatabricksAccess(**given)


@pytest.mark.parametrize(
    ("text", "answered", "kind", "code"),
    [
        ("[TABLE_OR_VIEW_NOT_FOUND] secret SQLSTATE: 42P01", True, ConfigError, "table_missing"),
        (
            "[UNRESOLVED_COLUMN] secret. SQLSTATE: 42703; line 1",
            True,
            ConfigError,
            "column_missing",
        ),
        ("[PARSE_SYNTAX_ERROR] secret SQLSTATE: 42601", True, ConfigError, "query_syntax"),
        ("[SCHEMA_NOT_FOUND] secret SQLSTATE: 42704", True, ConfigError, "schema_missing"),
        ("[INSUFFICIENT] secret SQLSTATE: 42501", True, ConfigError, "missing_grant"),
        ("[CAST_INVALID_INPUT] secret SQLSTATE: 22018", True, ConfigError, "value_conversion"),
        ("[X] secret SQLSTATE: 42846", True, ConfigError, "query_invalid"),
        ("[X] secret SQLSTATE: 57KD0", True, TransientError, "source_busy"),
        ("[X] secret", True, ContractError, "query_failed"),
        ("Invalid SessionHandle secret", False, TransientError, "connection_lost"),
    ],
)
def test_errors_have_codes_and_tell_no_text(
    text: str, answered: bool, kind: type[EngineError], code: str
) -> None:
    """Whatever else stands in it."""
    found = from_error(text, {}, answered=answered)
    assert (type(found), found.code) == (kind, code)
    assert "secret" not in f"{found.message} {found.hint}"


def test_a_token_that_does_not_work_is_told() -> None:
    """By the status of the answer."""
    assert from_error("secret", {"http-code": 403}, answered=False).code == "source_refused"


@pytest.mark.parametrize(
    ("sql_type", "arrow", "sql"),
    [
        ("BIGINT", "int64", "`c`"),
        ("decimal(12,2)", "decimal128(12, 2)", "`c`"),
        ("timestamp", "timestamp[us, tz=UTC]", "`c`"),
        ("timestamp_ntz", "timestamp[us]", "`c`"),
        ("string", "string", "(CAST(`c` AS STRING) COLLATE UTF8_BINARY)"),
        ("string collate UTF8_LCASE", "string", "(CAST(`c` AS STRING) COLLATE UTF8_BINARY)"),
        ("array<struct<a:int>>", "string", "to_json(`c`)"),
        ("variant", "string", "to_json(`c`)"),
        ("interval day to second", "string", "(CAST(`c` AS STRING) COLLATE UTF8_BINARY)"),
        ("geography(4326)", "string", "st_asewkt(`c`)"),
    ],
)
def test_every_type_has_a_form(sql_type: str, arrow: str, sql: str) -> None:
    """Exact, or its text."""
    made = column("c", sql_type)
    assert str(arrow_type(made.sql_type)) == arrow
    assert readable(made) == sql


def test_results_are_in_plain_types() -> None:
    """Whatever the warehouse calls its zone."""
    given = pa.table(
        {
            "a": pa.array([1], pa.timestamp("ns", tz="Etc/UTC")),
            "b": pa.array(["x"], pa.large_string()),
        }
    )
    with pytest.raises(pa.ArrowInvalid):
        plain(given)
    whole = given.set_column(0, "a", pa.array([1000], pa.timestamp("ns", tz="Etc/UTC")))
    assert [str(f.type) for f in plain(whole).schema] == ["timestamp[us, tz=UTC]", "string"]


def test_settings_verify_tls_and_tell_nobody() -> None:
    """No telemetry, no store of files, no local file for the server."""
    made = _access()._settings()
    assert (made["_tls_no_verify"], made["_tls_verify_hostname"]) == (False, True)
    assert (made["enable_telemetry"], made["force_enable_telemetry"]) == (False, False)
    assert made["use_cloud_fetch"] is False
    assert made["staging_allowed_local_path"] is None
    assert made["access_token"] == "t0ken"
    assert "_connection_uri" not in made
    assert _access().hosts() == {"shop.cloud.databricks.com"}
    assert "t0ken" not in repr(_access())


def test_a_stand_in_is_shown_no_token() -> None:
    """And is all that is connected to."""
    access = _access(endpoint="http://127.0.0.1:8090")
    made = access._settings()
    assert made["access_token"] == "none"
    assert str(made["_connection_uri"]).startswith("http://127.0.0.1:8090/sql/1.0/warehouses/")
    assert access.hosts() == {"127.0.0.1"}
