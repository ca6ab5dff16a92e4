"""How often the detection is right, on columns made of lists that it does not have."""

from __future__ import annotations

import pytest

from detect_world import LOCALES, Case, cases
from mayfly.privacy.detect import classify_table

DIRECT = {
    "email", "phone", "first_name", "last_name", "full_name", "street_address", "national_id",
    "iban", "credit_card", "ip_address", "username", "date_of_birth", "special", "free_text_pii",
    "device_id", "url_pii",
}  # fmt: skip
OPEN = {"none", "hashed", "uuid", "opaque_id", "country", "region", "gender"}
CERTAIN = {"email", "phone", "credit_card", "iban", "ip_address"}


def _found(made: tuple[Case, ...]) -> list[tuple[Case, str]]:
    return [
        (case, classify_table({case.name: case.values}, table=case.table)[case.name].cls)
        for case in made
    ]


def _share(found: list[tuple[Case, str]], of: set[str], taken_for: set[str]) -> float:
    chosen = [(case, cls) for case, cls in found if case.cls in of]
    assert chosen
    return sum(cls in taken_for and cls not in case.also for case, cls in chosen) / len(chosen)


def _right(found: list[tuple[Case, str]]) -> float:
    """F1 of each class, averaged."""
    scores = []
    said = [(case.cls, case.cls if cls in case.also else cls) for case, cls in found]
    for cls in {true for true, _ in said}:
        hits = sum(true == got == cls for true, got in said)
        scores.append(2 * hits / sum((true == cls) + (got == cls) for true, got in said))
    return sum(scores) / len(scores)


def _check(found: list[tuple[Case, str]]) -> None:
    assert _share(found, DIRECT, OPEN) <= 0.08
    assert _share(found, CERTAIN, OPEN) <= 0.03
    assert _share(found, {"dirty_hashed"}, {"hashed", *OPEN}) == 0
    assert _share(found, {"hashed"}, DIRECT | {"dirty_hashed"}) == 0
    assert _share(found, {"none", "opaque_id", "uuid"}, DIRECT) <= 0.03
    assert _right(found) >= 0.85


def test_a_few_languages_are_told_apart() -> None:
    """Those that a short run has time for."""
    _check(_found(cases(LOCALES[::5], rows=120)))


@pytest.mark.slow
def test_every_language_is_told_apart() -> None:
    """Honest, foreign and meaningless names; dirty mixtures of one in two thousand."""
    _check(_found(cases(LOCALES, rows=300)))
