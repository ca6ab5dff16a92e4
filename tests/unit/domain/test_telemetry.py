"""The closed list: what is not on it is refused, and says nothing of what it was."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from mayfly.domain import telemetry as t
from mayfly.domain.errors import ContractError
from mayfly.domain.telemetry import ATTRIBUTES, METRICS, SPANS, MetricKind, Point, Span
from mayfly.ledger.entry import EntryType

EMAIL = "anna.schmidt@example.com"
PHONE = "+4915112345678"
NAMED = re.compile(r"mayfly_[a-z]+(_[a-z]+)*")
RUN_SCHEMA = Path(__file__).parents[3] / "docs/reference/json/run.schema.json"


def span(type_: str, **attributes: t.Value) -> Span:
    """A span of these attributes."""
    return Span(
        type=type_,
        trace_id=bytes(16),
        span_id=bytes(8),
        parent_id=b"",
        start_ns=0,
        end_ns=1,
        attributes=attributes,
    )


@pytest.mark.parametrize(
    ("metric", "attributes"),
    [
        ("people", {}),
        ("runs", {"sync": "ads", "target": "dev", "status": "failed", "email": EMAIL}),
        ("runs", {"sync": "ads", "target": "dev"}),
        ("runs", {"sync": EMAIL, "target": "dev", "status": "failed"}),
        ("runs", {"sync": PHONE, "target": "dev", "status": "failed"}),
        ("runs", {"sync": "ads", "target": "dev", "status": "anna"}),
        ("run.errors", {"sync": "ads", "target": "dev", "code": f"no_{EMAIL}"}),
        ("ledger.entries", {"act": EMAIL}),
    ],
)
def test_a_metric_takes_what_is_listed_alone(metric: str, attributes: dict[str, str]) -> None:
    """Another metric, attribute or value is refused, and not repeated."""
    with pytest.raises(ContractError) as caught:
        Point(metric=metric, value=1, attributes=attributes)
    assert caught.value.code == "not_on_the_list"
    assert not re.search("anna|example|4915|email", f"{caught.value} {caught.value.hint}")


@pytest.mark.parametrize(
    ("type_", "attributes"),
    [
        ("row", {}),
        ("run", {"email": EMAIL}),
        ("run", {"operation": "add"}),
        ("run", {"run": EMAIL}),
        ("run", {"run": "4915112345678"}),
        ("batch", {"rows": "12"}),
        ("batch", {"rows": True}),
        ("batch", {"rows": -1}),
        ("batch", {"operation": PHONE}),
        ("batch", {"destination": "crm/anna"}),
    ],
)
def test_a_span_takes_what_is_listed_alone(type_: str, attributes: dict[str, t.Value]) -> None:
    """Another span, attribute or value is refused."""
    with pytest.raises(ContractError) as caught:
        span(type_, **attributes)
    assert caught.value.code == "not_on_the_list"


def test_what_is_listed_is_taken() -> None:
    """The refusals above are of what they say, not of everything."""
    Point(metric="runs", value=1, attributes={"sync": "a", "target": "b", "status": "held"})
    span("batch", run="20261130t120000-0a1b2c", rows=3, batch=0, operation="add", destination="x")


def test_metrics_are_named_as_prometheus_has_it() -> None:
    """Base units, `_total` of what only grows, and no two alike."""
    names = [m.prometheus for m in METRICS.values()]
    assert len(set(names)) == len(names)
    for metric in METRICS.values():
        assert NAMED.fullmatch(metric.prometheus)
        assert metric.prometheus.endswith("_total") == (metric.kind is MetricKind.COUNTER)
        assert ("_seconds" in metric.prometheus) == (metric.unit == "s")
        assert ("_bytes" in metric.prometheus) == (metric.unit == "By")
    assert {
        "mayfly_held_bytes",
        "mayfly_held_oldest_age_seconds",
        "mayfly_purge_deadline_seconds",
        "mayfly_approvals_open",
        "mayfly_rights_requests_open",
    } <= set(names)


def test_no_metric_has_an_attribute_without_bounds() -> None:
    """Ids and counts are for spans."""
    used = {name for metric in METRICS.values() for name in metric.attributes}
    assert all(ATTRIBUTES[name].bounded for name in used)
    assert not ATTRIBUTES["run"].bounded
    assert {n for s in SPANS.values() for n in s.attributes} | used == set(ATTRIBUTES)


def test_lists_that_stand_elsewhere_too_are_the_same() -> None:
    """Statuses are at least those that a run may end by; acts of the ledger have a form."""
    for kind in EntryType:
        Point(metric="ledger.entries", value=1, attributes={"act": kind.value})
    schema = json.loads(RUN_SCHEMA.read_text(encoding="utf-8"))
    [known] = {
        tuple(found["enum"])
        for found in _objects(schema)
        if isinstance(found.get("enum"), list) and "no_changes" in found["enum"]
    }
    assert set(known) <= set(t.STATUSES)


def _objects(tree: object) -> list[dict[str, list[str]]]:
    if isinstance(tree, list):
        return [found for each in tree for found in _objects(each)]
    if not isinstance(tree, dict):
        return []
    return [tree, *(found for each in tree.values() for found in _objects(each))]
