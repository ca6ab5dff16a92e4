"""The bench on a small table: every part is measured, and printed as its schema says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from mayfly.bench import main, postgres, requests
from mayfly.bench.rivals import over_http
from mayfly.domain.errors import ConfigError

RIVALS = (
    "upsert_over_ingestr",
    "upsert_again_over_ingestr",
    "csv_upsert_over_ingestr",
    "csv_upsert_again_over_ingestr",
    *over_http.RATIOS,
)
SCHEMA = Path(__file__).parents[3] / "docs/reference/json/bench.schema.json"


@pytest.mark.slow
def test_every_part_is_measured(
    postgres_database: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """All ratios have a figure, and each run moved what it should."""
    monkeypatch.setenv(postgres.VARIABLE, postgres_database)
    monkeypatch.setenv("MAYFLY_BENCH_TOKEN", "")
    monkeypatch.setenv("MAYFLY_BENCH_DSN", "")
    document = main.run_bench(10_000)
    Draft202012Validator(json.loads(SCHEMA.read_text(encoding="utf-8"))).validate(document)
    assert [found["name"] for found in document["ratios"]] == list(main.EXPECTED)
    beside = {found["name"]: found["ratio"] for found in document["ratios"]}
    assert [beside.pop(name) for name in RIVALS] == [None] * len(RIVALS)
    assert document["rivals"] is None
    assert all(ratio > 0 for ratio in beside.values())
    assert [found["name"] for found in document["rates"]] == list(main.RATES)
    assert all(found["per_second"] > 0 for found in document["rates"])
    read = {found["source"]: found for found in document["reading"]}
    assert list(read) == ["duckdb", "sqlite", "postgres"]
    assert all(found["rows"] == 10_000 and found["per_second"] > 0 for found in read.values())
    assert {found["destination"] for found in document["requests"]} == set(requests.subjects())
    measured = document["postgres"]
    assert [run["rows"] for run in (document["first"], measured["upsert"])] == [10_000] * 2
    assert [measured[name]["rows"] for name in ("tenth", "whole")] == [1_000, 10_000]
    # A changed row is added anew, and its earlier e-mail removed.
    assert document["second"]["rows"] == 200
    assert document["diff"]["rows"] == 200 * main.DIFF_FACTOR
    assert measured["diff"]["rows"] == 200
    out = capsys.readouterr().out
    assert "postgres diff over its statements" in out
    assert "upsert over copy and merge" in out
    assert "read from" in out
    assert "CPU s per 100,000 rows" in out


def test_a_ratio_is_judged_by_its_own_bound() -> None:
    """Faster than the naive loop is good, slower than the floor is not."""
    assert main._judged("delivery_over_naive", 4.5)["kept"] is True
    assert main._judged("delivery_over_naive", 3.5)["kept"] is False
    assert main._judged("delivery_over_floor", 1.5)["kept"] is True
    assert main._judged("delivery_over_floor", 2.5)["kept"] is False
    assert main._judged("delivery_over_floor", None)["kept"] is None


def test_a_postgres_that_does_not_answer_is_named_by_its_variable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without the dsn, which may hold a password."""
    monkeypatch.setenv(postgres.VARIABLE, "host=/nowhere dbname=x password=s3cret")
    with pytest.raises(ConfigError) as raised, postgres.postgres_server():
        pass
    assert raised.value.code == "bench_postgres"
    assert "s3cret" not in str(raised.value)
