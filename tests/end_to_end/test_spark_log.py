"""What Spark is asked, and what it says, when rows go to a third party.

Its event log holds every statement and plan as its history server shows them, its own log what it
complains of; the wire holds every answer.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from end_to_end.holding import come_back, leave
from end_to_end.logged import PEOPLE, TO_META
from end_to_end.projects import _no_sleep
from mayfly.api import load
from mayfly.bootstrap import initialise
from mayfly.sandbox.server import SandboxServer
from spark_connect import SparkServer
from spark_serve import TOKEN
from wire import wire_to

OUTSIDE = "李明"
"""A name that SQL may not hash."""

pytestmark = [pytest.mark.slow, pytest.mark.soak]
_LETTERS = "translate(CAST(id AS STRING), '0123456789', 'abcdefghij')"
_TABLE = (
    "SELECT id, concat('canary-', id, '@example.com') AS email, "
    "concat('+3363998', 1000 + id) AS phone, "
    f"if(id % 20 = 0, '李明', concat('Canary', {_LETTERS})) AS first_name, "
    f"concat('No-canary-', id) AS number, id % 10 > 0 OR id % 20 = 0 AS ads "
    f"FROM range(1, {PEOPLE + 1})"
)
SOURCE = '{type: spark, remote: "REMOTE", token: "env:SPARK_TOKEN", user: SCHEMA, schema: SCHEMA}'


def _logs(server: SparkServer) -> dict[Path, bytes]:
    """All that the server wrote of statements, plans and troubles."""
    events = [p for p in (server.folder / "events").rglob("*") if p.is_file()]
    return {p: p.read_bytes() for p in [*events, server.folder / "log"]}


def test_no_clear_value_leaves_the_warehouse(
    spark_session: SparkServer,
    sandbox: SandboxServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of plan, run and drain: no answer holds one, but of the rows that the plan counts as outside
    the repertoire; no statement holds one, nor a digest of one, nor a key of ours.
    """
    server = spark_session
    schema = server.schema()
    server.sql(f"CREATE TABLE {schema}.people AS {_TABLE}")
    monkeypatch.setenv("SPARK_TOKEN", TOKEN)
    with wire_to("127.0.0.1", server.port) as wire:
        source = SOURCE.replace("REMOTE", f"sc://127.0.0.1:{wire.port}").replace("SCHEMA", schema)
        text = f"version: 1\nworkspace: {{name: shop}}\nsources:\n  shop: {source}\n{TO_META}"
        (tmp_path / "mayfly.yml").write_text(text.replace("URL", sandbox.url))
        initialise(tmp_path)
        project = load(tmp_path)
        project.app.sleep = _no_sleep
        project.approve(actor="tester")
        # Its owner's statement, which made the table, holds every one.
        before = _logs(server)
        [planned] = project.plan().to_dict()["syncs"]
        assert planned["rows"]["outside_worker"] == PEOPLE // 20
        leave(sandbox)
        assert [s["status"] for s in project.run().to_dict()["syncs"]] == ["held"]
        come_back(sandbox)
        [drained] = project.run().to_dict()["syncs"]
        assert (drained["status"], drained["rows"]["delivered"]) == ("succeeded", 57)
    said = b"".join(text[len(before.get(p, b"")) :] for p, text in _logs(server).items())
    assert b"mayfly sync=to_meta" in said
    assert b"mf_scan" in said
    digest = hashlib.sha256(b"canary-1@example.com")
    # The wire shows what is sent: a digest that is, stands there.
    assert digest.digest() in wire.sent
    outside = hashlib.sha256(OUTSIDE.encode())
    for form in (digest.hexdigest(), outside.hexdigest()):
        assert form.encode() not in said
        assert form.upper().encode() not in said
    for number in range(1, PEOPLE + 1):
        for value in (f"canary-{number}@", f"3363998{1000 + number}", f"No-canary-{number}"):
            assert value.encode() not in wire.sent + said
    assert b"anary" not in wire.sent + said
    assert wire.sent.count(OUTSIDE.encode()) == PEOPLE // 20 * 2  # once for plan, once for run
    assert OUTSIDE.encode() not in said
    keys = [p.read_bytes() for p in Path(os.environ["MAYFLY_KEYS_DIR"]).rglob("*") if p.is_file()]
    assert any(len(key) >= 32 for key in keys)
    assert not any(form in said for key in keys for form in (key.strip(), key.hex().encode()))
    server.sql(f"DROP SCHEMA {schema} CASCADE")
