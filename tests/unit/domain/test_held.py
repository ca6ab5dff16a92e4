"""What may be said of a batch that waits."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from mayfly.domain.held import HeldBatch, HoldException, latest_purge_ms, limit_seconds
from mayfly.domain.retention import RetentionClass

READ = 1_772_366_400_000
HOUR_MS = 3_600_000
DAYS_30 = 30 * 86_400_000
HELD = HeldBatch(
    id="0f" * 16,
    workspace="shop-1",
    region="eu-west-1",
    target="dev",
    sync="vip",
    run="r1",
    batch=3,
    operation="add",
    identifier=None,
    rows=7,
    cls=RetentionClass.CUSTOMER_DATA,
    exception=HoldException.DESTINATION_OUTAGE,
    read_at_ms=READ,
    purge_by_ms=READ + DAYS_30,
)


@pytest.mark.parametrize("exception", HoldException)
def test_with_one_of_two_reasons_the_last_moment_is_thirty_days_after_the_read(
    exception: HoldException,
) -> None:
    """For customer data and temporary data; what has no cap cannot be held."""
    assert latest_purge_ms(READ, RetentionClass.CUSTOMER_DATA, exception) == READ + DAYS_30
    assert latest_purge_ms(READ, RetentionClass.TEMPORARY, exception) == READ + DAYS_30
    for cls in (RetentionClass.KEPT_BY_NEED, RetentionClass.ACCESS_KEYS, RetentionClass.METADATA):
        with pytest.raises(ValueError, match="cap"):
            replace(HELD, cls=cls)


def test_without_one_it_is_the_target() -> None:
    """Whatever else kept the data waiting: a process that was killed, a run that failed."""
    assert latest_purge_ms(READ, RetentionClass.CUSTOMER_DATA, None) == READ + 8 * HOUR_MS
    assert latest_purge_ms(READ, RetentionClass.TEMPORARY, None) == READ + 24 * HOUR_MS
    for reason in ("", "batch_cut", "destination_busy", "DESTINATION_OUTAGE"):
        assert limit_seconds(RetentionClass.TEMPORARY, reason) == 86_400
    assert limit_seconds(RetentionClass.TEMPORARY, "in_doubt") == 30 * 86_400


@pytest.mark.parametrize("purge_by", [READ + DAYS_30 + 1, READ, READ - 1])
def test_a_deadline_lies_after_the_read_and_within_the_cap(purge_by: int) -> None:
    """A millisecond later is refused; an earlier deadline is not."""
    with pytest.raises(ValueError, match="purge_by_ms"):
        replace(HELD, purge_by_ms=purge_by)
    assert replace(HELD, purge_by_ms=READ + 1).purge_by_ms == READ + 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("id", v) for v in ("", "0F" * 16, "0f" * 15, "0f" * 17, "0f" * 16 + "\n", None)),
        *(
            (name, value)
            for name in ("workspace", "region", "target", "sync", "run", "operation", "identifier")
            for value in ("ann@example.com", "a b", "x" * 129, "a\n", 5)
        ),
        *((name, "") for name in ("workspace", "sync", "run", "operation", "identifier")),
        *((name, None) for name in ("workspace", "region", "target", "sync", "run", "operation")),
        *(
            (name, value)
            for name in ("batch", "rows", "read_at_ms", "purge_by_ms")
            for value in (-1, True, 1.0, "7", 2**53, None)
        ),
        ("cls", "customer_data"),
        ("exception", "destination_outage"),
        ("exception", "because"),
    ],
)
def test_anything_else_is_refused_by_name(name: str, value: Any) -> None:
    """The field is named; what stood in it is not repeated."""
    with pytest.raises(ValueError, match=f"held batch {name}") as caught:
        replace(HELD, **{name: value})
    if isinstance(value, str) and len(value) > 2:
        assert value.strip() not in str(caught.value)


@pytest.mark.parametrize("name", ["region", "target"])
def test_what_is_not_configured_is_empty(name: str) -> None:
    """Region and target."""
    assert getattr(replace(HELD, **{name: ""}), name) == ""
