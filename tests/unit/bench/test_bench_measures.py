"""The bench on a small table: every part is measured, and printed as its schema says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from rich.console import Console

from mayfly.bench import main, postgres, projects, requests, scale
from mayfly.bench.rivals import over_http
from mayfly.bench.rivals.over_http import taken
from mayfly.bench.server import ServerProcess
from mayfly.config.load import load_project
from mayfly.domain.errors import ConfigError

RIVALS = (
    "upsert_over_ingestr",
    "upsert_again_over_ingestr",
    "csv_upsert_over_ingestr",
    "csv_upsert_again_over_ingestr",
    *over_http.RATIOS,
)
SCALE = ("cpu_of_a_row_largest_over_smallest", "four_workers_over_one")
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
    assert document["scale"] is None
    assert [beside.pop(name) for name in SCALE] == [None, None]
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


@pytest.mark.slow
@pytest.mark.soak
def test_what_scale_measures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three sizes, and four syncs whose rows all came, by one process and by four."""
    for name in ("TOKEN", "SECRET"):
        monkeypatch.setenv(f"MAYFLY_BENCH_{name}", "")
    monkeypatch.setenv("MAYFLY_KEYS_DIR", str(tmp_path / "keys"))
    with ServerProcess() as url:
        measured = scale.scale(tmp_path / "scale", url, 4_000, main._run_alone)
        came = [taken(f"{url}/take/{who}{n}")[0] for who in ("one", "beside") for n in range(4)]
    assert came == [1_000] * 8
    assert [found["rows"] for found in measured["sizes"]] == [400, 4_000, 40_000]
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    wanted = schema["anyOf"][0]["properties"]["scale"]
    Draft202012Validator({**wanted, "$defs": schema["$defs"]}).validate(measured)
    scale.show(Console(), measured)
    found = scale.ratios(measured)
    assert tuple(found) == SCALE
    assert found["four_workers_over_one"] == pytest.approx(
        measured["one_process_seconds"] / measured["workers_seconds"]
    )


def test_more_rows_and_more_processes_are_compared() -> None:
    """CPU of a row of the largest table over the smallest; seconds of one process over all."""
    sizes = [{"cpu_seconds_per_row": cost} for cost in (2e-6, 9e-6, 3e-6)]
    measured = {"sizes": sizes, "one_process_seconds": 34.0, "workers_seconds": 20.0}
    assert scale.ratios(measured) == {
        "cpu_of_a_row_largest_over_smallest": pytest.approx(1.5),
        "four_workers_over_one": pytest.approx(1.7),
    }
    assert main._judged("four_workers_over_one", 1.6)["kept"] is False
    assert main._judged("cpu_of_a_row_largest_over_smallest", 1.1)["kept"] is True


def test_syncs_side_by_side_have_all_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file, an address and an approval each, so that no process waits for another's file."""
    for name in ("TOKEN", "SECRET"):
        monkeypatch.setenv(f"MAYFLY_BENCH_{name}", "")
    monkeypatch.setenv("MAYFLY_KEYS_DIR", str(tmp_path / "keys"))
    root = projects.side_by_side(tmp_path / "four", "http://127.0.0.1:9/take/x", 10, 4)
    project = load_project(root)
    assert list(project.syncs) == projects.side_by_side_names(4)
    assert len({sync.destination for sync in project.syncs.values()}) == 4
    assert len({model.source for model in project.models.values()}) == 4
    assert {p.name for p in root.glob("*.duckdb")} == {f"people{n}.duckdb" for n in range(4)}
    assert "people3" in (root / "approvals.lock").read_text("utf-8")


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
