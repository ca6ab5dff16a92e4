"""What BigQuery is asked to compute, computed by Google's own reference of its language."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pytest

from googlesql import GoogleSql, googlesql
from mayfly.planning.probe import differences, planner_probe
from mayfly.planning.sql.bigquery import BigqueryDialect
from mayfly.privacy.rules import RULES
from mayfly.privacy.rules.probe import RuleUse, differing, probe_sql

pytestmark = [pytest.mark.slow, pytest.mark.soak, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def reference() -> Iterator[GoogleSql]:
    """One for all tests here."""
    with googlesql() as made:
        yield made


def test_every_rule_gives_what_python_does(reference: GoogleSql) -> None:
    """Of each platform, over all strings that a server is asked on connecting."""
    text = BigqueryDialect().as_text("{column}")
    for rule in RULES.values():
        use = RuleUse(rule=rule, default_country="FR")
        rows = reference.rows(probe_sql([use], "bigquery", text))
        n, digest, final, canonical = zip(*rows, strict=True)
        found = {"n": n, "d0": _blobs(digest), "i0": final, "c0": _blobs(canonical)}
        assert differing([use], pa.table(found)) == frozenset()


def _blobs(texts: tuple[str | None, ...]) -> list[bytes | None]:
    return [None if text is None else bytes.fromhex(text) for text in texts]


def test_what_plans_rest_on_gives_what_python_does(reference: GoogleSql) -> None:
    """Hashes, lengths, casts, patterns and times."""
    query, wanted = planner_probe(BigqueryDialect())
    [row] = reference.rows(query)
    assert differences(pa.table({n: [v] for n, v in zip(wanted, row, strict=True)}), wanted) == []


def test_it_refuses_what_the_emulator_takes(reference: GoogleSql) -> None:
    """The control: VALUES in a FROM, a comparison of texts with numbers, a missing function."""
    for sql in (
        "SELECT n FROM (VALUES (1, 'a')) AS t (n, v)",
        "SELECT 1 WHERE 'a' = 1",
        "SELECT list_aggregate([1], 'sum')",
    ):
        assert reference.problem("", sql)
    assert reference.problem("", "CREATE TABLE d.t AS SELECT 1 AS n") is None
    assert reference.problem("", "SELECT n FROM d.t") is None
