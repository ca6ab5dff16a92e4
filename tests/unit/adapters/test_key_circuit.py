"""The bound on a call, and the circuit around a service that may be away."""

from __future__ import annotations

import threading

import pytest

from mayfly.adapters.keys.circuit import Circuit, bounded
from mayfly.adapters.keys.refusals import denied, unavailable
from mayfly.domain.errors import PolicyError, TransientError


class Time:
    """Seconds that the test sets."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """The seconds."""
        return self.now


class Service:
    """Counts calls, and is away or denies where told so."""

    def __init__(self) -> None:
        self.calls = 0
        self.error: Exception | None = None

    def __call__(self) -> int:
        """One call."""
        self.calls += 1
        if self.error is not None:
            raise self.error
        return self.calls


@pytest.fixture
def time() -> Time:
    """A clock at 1000 s."""
    return Time()


@pytest.fixture
def circuit(time: Time) -> Circuit:
    """Opens after 3 failures, for 30 s."""
    return Circuit(time, failures_max=3, pause_seconds=30)


def fail(circuit: Circuit, service: Service, times: int) -> TransientError:
    """Calls that fail; the last error."""
    for _ in range(times):
        with pytest.raises(TransientError) as caught:
            circuit.call(service)
    return caught.value


def test_it_opens_after_failures_in_a_row(circuit: Circuit, time: Time) -> None:
    """Then nothing is tried for a while, and the error says how long."""
    service = Service()
    service.error = unavailable()
    fail(circuit, service, 3)
    time.now += 10
    assert fail(circuit, service, 2).retry_after_seconds == 20
    assert service.calls == 3


def test_an_answer_between_failures_counts_from_the_start(circuit: Circuit) -> None:
    """Only failures in a row open it."""
    service = Service()
    for _ in range(3):
        service.error = unavailable()
        fail(circuit, service, 2)
        service.error = None
        circuit.call(service)
    assert service.calls == 9


def test_a_denial_is_an_answer(circuit: Circuit) -> None:
    """Who refuses is not away."""
    service = Service()
    service.error = denied("x")
    for _ in range(5):
        with pytest.raises(PolicyError):
            circuit.call(service)
    assert service.calls == 5


def test_one_call_tries_after_the_pause(circuit: Circuit, time: Time) -> None:
    """Others wait while it is on its way; its failure begins another pause, its success none."""
    service = Service()
    service.error = unavailable()
    fail(circuit, service, 3)
    time.now += 30

    def trial() -> int:
        assert fail(circuit, service, 1).retry_after_seconds == 30
        return service()

    with pytest.raises(TransientError):
        circuit.call(trial)
    assert service.calls == 4
    assert fail(circuit, service, 1).retry_after_seconds == 30
    time.now += 30
    service.error = None
    assert circuit.call(service) == 5
    assert circuit.call(service) == 6


def test_a_call_that_never_returns_is_left() -> None:
    """The caller goes on, with an error to retry on."""
    never = threading.Event()
    with pytest.raises(TransientError) as caught:
        bounded(never.wait, 0.01)
    assert caught.value.code == "keys_unavailable"
    never.set()


def test_what_a_call_gives_or_raises_comes_through() -> None:
    """The bound changes nothing for who is in time."""
    assert bounded(lambda: 5, 10) == 5
    with pytest.raises(ZeroDivisionError):
        bounded(lambda: 1 // 0, 10)
