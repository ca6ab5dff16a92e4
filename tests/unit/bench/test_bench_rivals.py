"""Programs of others beside Mayfly: refused where they are missing, and held to what they wrote."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from jsonschema import Draft202012Validator

from mayfly.bench import main, postgres, projects
from mayfly.bench.rivals import ingestr, over_http, programs
from mayfly.bench.server import ServerProcess
from mayfly.domain.errors import ConfigError

SCHEMA = Path(__file__).parents[3] / "docs/reference/json/bench.schema.json"


def _program(prefix: Path, script: str, name: str = "ingestr/bin/ingestr") -> Path:
    path = prefix / "rivals" / name
    path.parent.mkdir(parents=True)
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


def test_without_their_environment_nothing_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is refused at once, and says what installs it."""
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    with pytest.raises(ConfigError) as raised:
        main.run_bench(1_000, with_rivals=True)
    assert raised.value.code == "bench_rivals"
    assert "ingestr 0.15.9" in str(raised.value)
    assert "make rivals" in str(raised.value.hint)


@pytest.mark.parametrize("other", ["ingestr", "drt", "dlt"])
def test_another_version_is_refused(
    other: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is compared with are those that are named, each by its first line."""
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    said = {"ingestr": "ingestr version v0.15.9", "drt": "drt version 1.2.1", "dlt": "dlt 1.31.0"}
    command = {"ingestr": "ingestr", "drt": "drt", "dlt": "python"}
    for name, line in said.items():
        more = "0" if name == other else "\nPython 3.11"
        _program(tmp_path, f"printf '{line}{more}\\n'", f"{name}/bin/{command[name]}")
    with pytest.raises(ConfigError, match=f"needs {other} [0-9.]+[0-9] at "):
        programs.programs()
    path = tmp_path / f"rivals/{other}/bin/{command[other]}"
    path.write_text(f"#!/bin/sh\necho '{said[other]}'\n", encoding="utf-8")
    found = programs.programs()
    assert path in (found.ingestr, found.drt, found.dlt_python)


@pytest.mark.parametrize(
    ("host", "address", "local"),
    [
        ("/tmp/pg", "", True),
        ("localhost", "127.0.0.1", True),
        ("localhost", "::1", True),
        ("db.example.com", "192.0.2.1", False),
    ],
)
def test_a_server_elsewhere_takes_no_part(host: str, address: str, local: bool) -> None:
    """A program of others is shown a socket of this machine or its loopback only."""
    assert ingestr.is_local(host, address) is local


@pytest.mark.slow
@pytest.mark.parametrize("query", ["SELECT * FROM people WHERE id > 0", "SELECT * FROM others"])
def test_who_did_not_write_it_has_no_figure(
    postgres_database: str, tmp_path: Path, query: str
) -> None:
    """However fast it ended: one row less is found, and so is another value."""
    script = f"{sys.executable} - <<'E'\n{_COPY.replace('QUERY', query)}\nE"
    what = ingestr._Upserting(
        command=[str(_program(tmp_path, script))],
        environment={"SOURCE_URI": postgres_database},
        table="ingestr_people",
    )
    made = [
        *projects.postgres_people(1_000),
        "CREATE VIEW others AS SELECT id, email, phone, first_name, last_name, zip, "
        "CASE id WHEN 5 THEN 'Nice' ELSE city END AS city, points, ads FROM people",
    ]
    with psycopg.connect(postgres_database, autocommit=True) as connection:
        for statement in made:
            connection.execute(statement.encode())
    with pytest.raises(ConfigError, match="What ingestr wrote is not what stands"):
        ingestr._measured("ingestr", what, postgres_database, postgres_database)
    all_of_it = replace(what, command=[str(_program(tmp_path / "all", _ALL))])
    took = ingestr._measured("ingestr", all_of_it, postgres_database, postgres_database)
    assert took["seconds"] > 0


@pytest.mark.slow
def test_what_fails_leaves_no_database(
    postgres_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one that was written to is gone, and the message has the exit code only."""
    for name in ("TOKEN", "DSN", "OTHER_DSN"):
        monkeypatch.setenv(f"MAYFLY_BENCH_{name}", "")
    monkeypatch.setenv("MAYFLY_KEYS_DIR", str(tmp_path / "keys"))
    program = _program(tmp_path, "echo secret >&2; exit 3")
    with pytest.raises(ConfigError, match="ingestr ended with exit code 3") as raised:
        ingestr.upserts(program, tmp_path / "project", postgres_database, 1_000)
    assert "secret" not in str(raised.value)
    with psycopg.connect(postgres_database) as connection:
        left = connection.execute("SELECT 1 FROM pg_database WHERE datname LIKE 'mayfly_bench_%'")
        assert left.fetchall() == []


_COPY = """
import os, psycopg
with psycopg.connect(os.environ["SOURCE_URI"]) as connection:
    connection.execute("DROP TABLE IF EXISTS ingestr_people")
    connection.execute("CREATE TABLE ingestr_people AS QUERY")
"""
_ALL = f"{sys.executable} - <<'E'\n{_COPY.replace('QUERY', 'SELECT * FROM people')}\nE"


@pytest.mark.slow
def test_rows_that_did_not_come_have_no_figure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mayfly's rows came and are counted; a drt that sends nothing and ends well is named."""
    monkeypatch.setenv("MAYFLY_KEYS_DIR", str(tmp_path / "keys"))
    for name in ("TOKEN", "SECRET"):
        monkeypatch.setenv(f"MAYFLY_BENCH_{name}", "")
    idle = _program(tmp_path, "exit 0", "drt/bin/drt")
    found = programs.Programs(ingestr=idle, drt=idle, dlt_python=idle)
    with ServerProcess() as url:
        with pytest.raises(ConfigError, match="What drt sent is not what stands in the source"):
            over_http.deliveries(found, tmp_path / "http", url, 1_500)
        assert over_http.taken(f"{url}/take/mayfly") == over_http._expected(1_500)
        assert over_http.taken(f"{url}/take/drt") == (0, 0, 0)
    written = (tmp_path / "http/drt/syncs/people.yml").read_text(encoding="utf-8")
    assert f"url: {url}/take/drt" in written
    assert "max_records_per_request: 1000" in written


@pytest.mark.slow
@pytest.mark.soak
def test_all_send_the_same_rows(
    postgres_database: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """With the real programs: figures of each, of new and of changed rows, as the schema says."""
    try:
        programs.programs()
    except ConfigError:
        pytest.skip("needs drt, dlt and ingestr (make rivals)")
    monkeypatch.setenv(postgres.VARIABLE, postgres_database)
    for name in ("TOKEN", "DSN", "OTHER_DSN", "SECRET"):
        monkeypatch.setenv(f"MAYFLY_BENCH_{name}", "")
    monkeypatch.setenv("MAYFLY_KEYS_DIR", str(tmp_path))
    document = main.run_bench(1_000, with_rivals=True)
    Draft202012Validator(json.loads(SCHEMA.read_text(encoding="utf-8"))).validate(document)
    measured = document["rivals"]
    assert (measured["rows"], measured["columns"]) == (1_000, 9)
    ratios = {found["name"]: found["ratio"] for found in document["ratios"]}
    for ratio, which in (("upsert_over_ingestr", "first"), ("upsert_again_over_ingestr", "again")):
        seconds = {name: took["seconds"] for name, took in measured[which].items()}
        assert ratios[ratio] == seconds["ingestr"] / seconds["mayfly"]
        assert all(took["cpu_seconds"] > 0 for took in measured[which].values())
    speed = {name: measured["http"][name] for name in ("mayfly", *over_http.RATIOS.values())}
    assert all(took["rows"] == 1_000 for took in speed.values())
    for ratio, name in over_http.RATIOS.items():
        assert ratios[ratio] == pytest.approx(speed[name]["seconds"] / speed["mayfly"]["seconds"])
    out = " ".join(capsys.readouterr().out.split())
    assert "beside ingestr 0.15.9" in out
    assert "beside drt 1.2.1 and dlt 1.31.0" in out
    with psycopg.connect(postgres_database) as connection:
        changed = connection.execute("SELECT sum(points) FROM people").fetchone()
    assert changed == (sum(i * 7 + 1 for i in range(1_000)),)
