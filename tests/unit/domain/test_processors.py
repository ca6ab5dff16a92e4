"""Who may be engaged as a sub-processor, and when."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mayfly.domain.places import EEA
from mayfly.domain.processors import (
    Dpa,
    Processor,
    Security,
    TransferTerms,
    digest,
    faults,
    matches,
    review_overdue,
    why_not_engaged,
)

DAY = date(2026, 1, 1)
TODAY = date(2026, 6, 1)
DPA = Dpa(reference="DPA-1", version="1", signed=DAY)
GOOD = Processor(
    name="cloud",
    kind="infrastructure",
    legal_name="Cloud Ltd",
    address="Dublin",
    contact="privacy@cloud.example",
    purpose="Hosting",
    data_categories=("user.contact.email",),
    locations=("IE",),
    hosts=("*.cloud.example",),
    status="active",
    announced=DAY,
    effective=DAY + timedelta(days=30),
    dpa=DPA,
)
DAYS = st.dates(min_value=date(2025, 1, 1), max_value=date(2027, 12, 31))
PROCESSORS = st.builds(
    replace,
    st.just(GOOD),
    status=st.sampled_from(["announced", "active", "objected", "retired"]),
    announced=DAYS,
    effective=DAYS,
    locations=st.lists(st.sampled_from(["IE", "NO", "US", "GB", "SG"]), min_size=1).map(tuple),
    ai_only=st.booleans(),
    dpa=st.none()
    | st.builds(
        Dpa, reference=st.just("r"), version=st.just("1"), signed=DAYS, expires=st.none() | DAYS
    ),
    transfer=st.none()
    | st.builds(
        TransferTerms, mechanism=st.sampled_from(["none_eea", "adequacy", "dpf", "scc", "idta"])
    ),
)


@given(processor=PROCESSORS, today=DAYS, notice_days=st.integers(30, 365))
def test_who_is_engaged_was_announced_and_has_contract_and_transfer(
    processor: Processor, today: date, notice_days: int
) -> None:
    """Whatever the entry: no way leads to engagement around one of the conditions."""
    if why_not_engaged(processor, "eu", "global", today):
        return
    assert processor.status == "active"
    assert processor.effective <= today
    assert processor.dpa is not None
    assert processor.dpa.signed <= today <= (processor.dpa.expires or today)
    if not set(processor.locations) <= EEA:
        assert processor.transfer is not None
        assert processor.transfer.mechanism != "none_eea"
    if not list(faults(processor, notice_days, "eu")):
        assert today >= processor.announced + timedelta(days=notice_days)


@given(processor=PROCESSORS, today=DAYS)
def test_ai_is_engaged_only_where_it_is_on(processor: Processor, today: date) -> None:
    """Off: none of it. In the EEA only: none that has data elsewhere. Others do not care."""
    off = why_not_engaged(processor, "eu", "off", today)
    if processor.ai_only:
        assert off
        assert why_not_engaged(processor, "eu", "eu", today) or processor.in_eea
    else:
        assert off == why_not_engaged(processor, "eu", "global", today)


REFUSED: dict[str, tuple[dict[str, object], str, str]] = {
    "too soon": ({"effective": DAY + timedelta(days=29)}, "effective", "notice_too_short"),
    "no contract": ({"dpa": None}, "status", "processor_without_dpa"),
    "contract signed late": (
        {"dpa": replace(DPA, signed=DAY + timedelta(days=31))},
        "dpa",
        "processor_without_dpa",
    ),
    "abroad without a mechanism": ({"locations": ("US",)}, "status", "processor_without_transfer"),
    "abroad as if in the EEA": (
        {"locations": ("US",), "transfer": TransferTerms(mechanism="none_eea")},
        "status",
        "processor_without_transfer",
    ),
    "objections after it began": (
        {"objection_deadline": DAY + timedelta(days=31)},
        "objection_deadline",
        "dates_disagree",
    ),
    "retired without a day": ({"status": "retired"}, "status", "dates_disagree"),
    "ended and active": ({"retired": TODAY}, "status", "dates_disagree"),
    "ended before it began": (
        {"status": "retired", "retired": DAY - timedelta(days=1)},
        "retired",
        "dates_disagree",
    ),
    "contract ends before it is signed": (
        {"dpa": replace(DPA, expires=DAY - timedelta(days=1))},
        "dpa",
        "dates_disagree",
    ),
    "review due before it was made": (
        {"security": Security(report="r", reviewed=TODAY, next_due=DAY)},
        "security",
        "dates_disagree",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_an_entry_may_not_be(case: str) -> None:
    """One fault, at its key."""
    change, key, code = REFUSED[case]
    found = list(faults(replace(GOOD, **change), 30, "eu"))
    assert [(f.key, f.code) for f in found] == [(key, code)]


def test_a_good_entry_has_no_fault_until_more_notice_is_asked() -> None:
    """The workspace may lengthen the period."""
    assert list(faults(GOOD, 30, "eu")) == []
    assert [f.code for f in faults(GOOD, 31, "eu")] == ["notice_too_short"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, ""),
        ({"status": "announced"}, "its status is announced"),
        ({"status": "objected"}, "its status is objected"),
        ({"effective": TODAY + timedelta(days=1)}, "engaged from 2026-06-02"),
        ({"dpa": replace(DPA, expires=TODAY - timedelta(days=1))}, "expired on 2026-05-31"),
        ({"dpa": replace(DPA, expires=TODAY)}, ""),
        ({"dpa": None}, "no contract"),
        ({"locations": ("SG",), "transfer": TransferTerms(mechanism="dpf")}, "for the United"),
        ({"locations": ("GB", "US"), "transfer": TransferTerms(mechanism="dpf")}, ""),
        ({"locations": ("US",), "transfer": TransferTerms(mechanism="scc")}, ""),
    ],
)
def test_why_one_is_not_engaged(change: dict[str, object], said: str) -> None:
    """The first reason, in words; a contract holds on its last day, too."""
    reason = why_not_engaged(replace(GOOD, **change), "eu", "off", TODAY)
    assert reason == said or (said and said in reason)


def test_a_review_is_overdue_after_its_day() -> None:
    """One that never was is overdue, too; who is not active needs none."""
    reviewed = replace(GOOD, security=Security(report="r", reviewed=DAY, next_due=TODAY))
    assert not review_overdue(reviewed, TODAY)
    assert review_overdue(reviewed, TODAY + timedelta(days=1))
    assert review_overdue(GOOD, TODAY)
    assert not review_overdue(replace(GOOD, status="announced"), TODAY)


@pytest.mark.parametrize(
    ("pattern", "host", "expected"),
    [
        ("kms.example.com", "KMS.example.com.", True),
        ("kms.example.com", "x.kms.example.com", False),
        ("*.example.com", "a.b.example.com", True),
        ("*.example.com", "example.com", False),
        ("*.example.com", "badexample.com", False),
        ("*.example.com", ".example.com", False),
        ("10.0.0.7", "10.0.0.7", True),
    ],
)
def test_which_hosts_a_pattern_covers(pattern: str, host: str, expected: bool) -> None:
    """A star stands for at least one part, at the front only."""
    assert matches(pattern, host) is expected


def test_the_digest_tells_any_change_and_no_order() -> None:
    """The same register has the same digest however its files are sorted."""
    other = replace(GOOD, name="other", locations=("IE", "DE"))
    one = digest({"cloud": GOOD, "other": other})
    assert one == digest({"other": replace(other, locations=("DE", "IE")), "cloud": GOOD})
    assert one != digest({"cloud": GOOD, "other": replace(other, purpose="Mail")})
