"""From the BigQuery emulator to the sandbox."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bigquery_emulator import PROJECT, Emulator
from end_to_end.projects import PEOPLE_TO_META, _no_sleep, members
from mayfly.api import load
from mayfly.bootstrap import initialise
from mayfly.cli.render import plan_text
from mayfly.sandbox.server import SandboxServer

FILES = """
version: 1
workspace: {name: shop}
sources:
  warehouse:
    type: bigquery
    project: PROJECT
    dataset: DATASET
    endpoint: "EMULATOR"
    state_schema: STATE
"""
PEOPLE = (
    "CREATE TABLE people AS SELECT i AS id, CONCAT(' P', CAST(i AS STRING), '@Example.com') AS "
    "email, IF(MOD(i, 2) = 0, '李明', \"O'Brien\") AS first_name, MOD(i, 10) > 0 AS ads "
    "FROM UNNEST(GENERATE_ARRAY(1, 100)) AS i"
)


@pytest.fixture
def dataset(bigquery_emulator: Emulator) -> Iterator[str]:
    """A dataset with the people; gone with what the runs made beside it."""
    name = bigquery_emulator.dataset()
    bigquery_emulator.run(PEOPLE, dataset=name)
    yield name
    for made in (name, f"_{name}"):
        bigquery_emulator.drop(made)


def _digest(number: int) -> str:
    return hashlib.sha256(f"p{number}@example.com".encode()).hexdigest()


def _run(project: Any) -> dict[str, Any]:
    [sync] = project.run().to_dict()["syncs"]
    assert sync["status"] in {"succeeded", "no_changes"}, sync
    return dict(sync["rows"])


@pytest.mark.slow
def test_first_everything_then_what_changed(
    tmp_path: Path,
    bigquery_emulator: Emulator,
    dataset: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A second run sends nothing, a change one row, and who withdraws is removed; no working copy
    is left.
    """
    monkeypatch.setenv("META_TOKEN", "t0ken")
    text = (FILES + PEOPLE_TO_META).replace("DATASET", dataset).replace("STATE", f"_{dataset}")
    text = text.replace("EMULATOR", bigquery_emulator.endpoint).replace("PROJECT", PROJECT)
    with SandboxServer(port=0) as sandbox:
        (tmp_path / "mayfly.yml").write_text(text.replace("URL", sandbox.url))
        initialise(tmp_path)
        project = load(tmp_path)
        project.app.sleep = _no_sleep
        project.approve(actor="tester")
        planned = project.plan()
        # The emulator counts no bytes; a source that does not tell has null.
        [sync] = planned.to_dict()["syncs"]
        assert sync["bytes_scanned"] == 0
        assert {c["where"] for c in sync["columns"]} == {"warehouse"}
        plan_text(planned)
        assert "one reading of the model scans 0 bytes" in capsys.readouterr().out
        assert _run(project)["delivered"] == 90
        assert members(sandbox) == {_digest(i) for i in range(1, 101) if i % 10}
        assert _run(project)["delivered"] == 0
        bigquery_emulator.run(
            "UPDATE people SET email = 'new@example.com' WHERE id = 5",
            "UPDATE people SET ads = FALSE WHERE id = 7",
            dataset=dataset,
        )
        assert _run(project)["delivered"] == 1
        assert _digest(7) not in members(sandbox)
        assert _digest(5) not in members(sandbox)
        assert len(members(sandbox)) == 89
    left = bigquery_emulator.run(
        f"SELECT table_name AS name FROM `_{dataset}`.INFORMATION_SCHEMA.TABLES"
    )
    kinds = {str(row["name"]).partition("_")[0] for row in left}
    assert kinds == {"states", "turns", "state", "pairs", "rejected"}
