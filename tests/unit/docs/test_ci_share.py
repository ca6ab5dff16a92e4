"""CI plays each slow test by one of its parameter sets."""

from __future__ import annotations

from itertools import product

from ci_share import left_to_a_soak

ENGINES, MODES = ("duckdb", "postgres", "sqlite"), ("audience", "mirror", "upsert")
TESTS = [f"tests/contract/test_a.py::test_{n}" for n in range(40)]


def test_each_test_is_played_once_and_each_engine_and_mode_by_some() -> None:
    """A test without parameters is played, too."""
    sets = {f"{t}[{e}-{m}]" for t, e, m in product(TESTS, ENGINES, MODES)}
    alone = {"tests/end_to_end/test_b.py::test_alone"}
    played = (sets | alone) - left_to_a_soak([*sets, *alone])
    assert sorted(p.partition("[")[0] for p in played) == sorted([*TESTS, *alone])
    shares = [p.partition("[")[2].rstrip("]").split("-") for p in played - alone]
    assert {share[0] for share in shares} == set(ENGINES)
    assert {share[1] for share in shares} == set(MODES)


def test_of_what_is_shown_by_default_a_third_is_played_again() -> None:
    """By one of the slow sets; a test that nothing else plays is always played."""
    sets = {f"{t}[{e}]" for t, e in product(TESTS, ENGINES)}
    shown = TESTS[:30]
    played = [p.partition("[")[0] for p in sets - left_to_a_soak(sets, shown)]
    assert len(played) == len(set(played))
    assert set(TESTS[30:]) <= set(played)
    assert 5 <= len(set(played) & set(shown)) <= 15


def test_the_order_and_the_others_do_not_matter() -> None:
    """Each machine plays the same ones."""
    sets = [f"{TESTS[0]}[{e}]" for e in ENGINES]
    others = [f"{TESTS[1]}[{e}]" for e in ENGINES]
    assert left_to_a_soak(sets) == left_to_a_soak([*others, *sets[::-1]]) & set(sets)
