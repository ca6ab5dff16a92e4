"""Buckets of a limit per minute: never more in any minute, and not much less."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from mayfly.domain.limits import SLICE_SECONDS, Bucket, burst

_Acts = st.lists(
    st.tuples(st.floats(0, 40), st.integers(1, 2_000), st.floats(0, SLICE_SECONDS)), max_size=120
)


@given(per_minute=st.integers(1, 3_000), acts=_Acts)
def test_no_minute_has_more_than_the_limit(
    per_minute: int, acts: list[tuple[float, int, float]]
) -> None:
    """Whatever is drawn, whenever, and used as late as a slice may be."""
    bucket, now, used = Bucket.full(per_minute, 0.0), 0.0, []
    for pause, wanted, late in acts:
        now += pause
        bucket, granted, _ = bucket.drawn(wanted, now)
        used.append((now + late, granted))
    for start, _ in used:
        window = [n for at, n in used if start <= at < start + 60]
        assert sum(window) <= per_minute


@given(per_minute=st.integers(1, 100_000))
def test_a_greedy_worker_gets_most_of_it(per_minute: int) -> None:
    """Who waits as long as told gets something then, and in twenty minutes 85 % of the limit."""
    bucket, now, total = Bucket.full(per_minute, 0.0), 0.0, 0
    while now < 1_200:
        bucket, granted, wait = bucket.drawn(burst(per_minute), now)
        total += granted
        assert granted > 0 or wait > 0
        if not granted:
            after, more, _ = bucket.drawn(1, now + wait)
            assert more == 1, (bucket, after)
            now += max(wait, 1.0)
    assert total >= 0.85 * per_minute * 20


@given(
    per_minute=st.integers(1, 100_000),
    sizes=st.lists(st.integers(1, 200_000), min_size=2, max_size=20),
)
def test_what_is_owed_is_waited_for(per_minute: int, sizes: list[int]) -> None:
    """Granted are at most the limit's rate, and one burst and the last batch more."""
    bucket, now = Bucket.full(per_minute, 0.0), 0.0
    granted: list[tuple[float, int]] = []
    for size in sizes:
        while True:
            bucket, all_, wait = bucket.owed(size, now)
            if all_:
                break
            now += wait + 1e-3
        granted.append((now, size))
    for (_, size), (later, _) in pairwise(granted):
        before = sum(n for at, n in granted if at < later)
        assert before <= burst(per_minute) + per_minute * later / 60 + size
