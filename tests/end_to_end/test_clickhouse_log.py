"""What ClickHouse is asked, and what it says, when rows go to a third party.

The log of its interface holds every statement and address as it came; the wire every answer.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from clickhouse_server import PASSWORD, ClickHouse
from end_to_end.holding import come_back, leave
from end_to_end.logged import PEOPLE, TO_META
from end_to_end.projects import _no_sleep
from mayfly.api import load
from mayfly.bootstrap import initialise
from mayfly.sandbox.server import SandboxServer
from wire import Wire, wire_to

OUTSIDE = "李明"
"""A name that SQL may not hash."""

pytestmark = pytest.mark.slow
_DIGITS = "translate(toString(number + 1), '0123456789', 'abcdefghij')"
_TABLE = (
    "CREATE TABLE {}.people ENGINE = MergeTree ORDER BY id AS SELECT number + 1 AS id, "
    "concat('canary-', toString(number + 1), '@example.com') AS email, "
    "concat('+3363998', toString(1001 + number)) AS phone, if((number + 1) % 20 = 0, '李明', "
    f"concat('Canary', {_DIGITS})) AS first_name, concat('No-canary-', toString(number + 1)) AS "
    "number_, (number + 1) % 10 > 0 OR (number + 1) % 20 = 0 AS ads FROM "
    f"numbers({PEOPLE})",
    "ALTER TABLE {}.people RENAME COLUMN number_ TO number",
)


@pytest.fixture
def wire(clickhouse: ClickHouse, monkeypatch: pytest.MonkeyPatch) -> Iterator[Wire]:
    """The project's way to the server."""
    monkeypatch.setenv("CLICKHOUSE_PASSWORD", PASSWORD)
    with wire_to("127.0.0.1", clickhouse.port) as made:
        yield made


def test_no_clear_value_leaves_the_warehouse(
    clickhouse: ClickHouse, wire: Wire, sandbox: SandboxServer, tmp_path: Path
) -> None:
    """Of plan, run and drain: no answer holds one, but of the rows that the plan counts as outside
    the repertoire; no statement and no address holds one, nor a digest of one, nor a key of ours,
    nor the password.
    """
    database = clickhouse.database()
    clickhouse.query(*(s.format(database) for s in _TABLE))
    source = (
        f'{{type: clickhouse, endpoint: "http://127.0.0.1:{wire.port}", user: mayfly, '
        f'password: "env:CLICKHOUSE_PASSWORD", database: {database}}}'
    )
    text = f"version: 1\nworkspace: {{name: shop}}\nsources:\n  shop: {source}\n{TO_META}"
    (tmp_path / "mayfly.yml").write_text(text.replace("URL", sandbox.url))
    initialise(tmp_path)
    project = load(tmp_path)
    project.app.sleep = _no_sleep
    project.approve(actor="tester")
    before = len(clickhouse.log())
    [planned] = project.plan().to_dict()["syncs"]
    assert planned["rows"]["outside_worker"] == PEOPLE // 20
    leave(sandbox)
    assert [s["status"] for s in project.run().to_dict()["syncs"]] == ["held"]
    come_back(sandbox)
    [drained] = project.run().to_dict()["syncs"]
    assert (drained["status"], drained["rows"]["delivered"]) == ("succeeded", 57)

    said = "\n".join(e["url"] + e["query"] for e in clickhouse.log()[before:]).encode()
    assert b"mayfly sync=to_meta" in said
    assert b"FORMAT ArrowStream" in said
    assert b" outside " in said
    digest = hashlib.sha256(b"canary-1@example.com")
    # The wire shows what is sent: a digest that is, stands there.
    assert digest.digest() in wire.sent
    outside = hashlib.sha256(OUTSIDE.encode())
    for made in (digest, outside):
        for form in (made.hexdigest(), made.hexdigest().upper()):
            assert form.encode() not in said
    for number in range(1, PEOPLE + 1):
        for value in (f"canary-{number}@", f"3363998{1000 + number}", f"No-canary-{number}"):
            assert value.encode() not in wire.sent + said
    assert b"anary" not in wire.sent + said
    assert wire.sent.count(OUTSIDE.encode()) == PEOPLE // 20 * 2  # once for plan, once for run
    assert OUTSIDE.encode() not in said
    keys = [p.read_bytes() for p in Path(os.environ["MAYFLY_KEYS_DIR"]).rglob("*") if p.is_file()]
    for secret in (*keys, *(k.hex().encode() for k in keys), PASSWORD.encode(), b"password"):
        assert secret.strip() not in said
