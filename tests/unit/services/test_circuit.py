"""A destination is away once it says so, or does not answer; nobody asks it any more then."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mayfly.domain.batch import BatchHead, Operation
from mayfly.domain.errors import ContractError, EngineError, TransientError
from mayfly.domain.outcomes import OutcomeCode, Outcomes
from mayfly.domain.runs import Outage
from mayfly.ports.destination import Done, JobRef, Submitted
from mayfly.services.circuit import PAUSE_MAX, Circuit, circuit_of, probe_seconds
from mayfly.services.deliver import ATTEMPTS_MAX, Sender

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HEAD = BatchHead(sync="s", run="r", number=0, of=1, operation=Operation.WRITE, rows=1)
KNOWN = Outage(
    destination="meta",
    target="dev",
    since=NOW - timedelta(hours=2),
    failures=7,
    code="http_503",
    asked_again_at=None,
)


@dataclass
class Platform:
    """Answers what it is told to, one after the other; the last for ever."""

    answers: list[EngineError | None]
    asked: int = 0
    waited: list[float] = field(default_factory=list)

    async def check(self) -> None:
        """Ask whether it is there."""
        await self.locate(None)

    async def locate(self, known: str | None) -> str | None:
        """As any request."""
        del known
        answer = self.answers[min(self.asked, len(self.answers) - 1)]
        self.asked += 1
        if answer is not None:
            raise answer
        return None

    async def applied(self, head: object) -> bool | None:
        """As any request."""
        del head
        await self.locate(None)
        return True

    async def poll(self, job: object) -> Done:
        """As any request."""
        del job
        await self.locate(None)
        return Done(outcomes=Outcomes.all_of(OutcomeCode.ACCEPTED, 1))

    async def sleep(self, seconds: float) -> None:
        """Nobody waits."""
        self.waited.append(seconds)

    def sender(self, circuit: Circuit) -> Sender:
        """Of this platform."""
        return Sender(destination=self, sleep=self.sleep, circuit=circuit)  # type: ignore[arg-type]


def away(seconds: float | None = None) -> TransientError:
    """It is not there, or asks for a pause."""
    return TransientError("http_503", "Away.", retry_after_seconds=seconds)


def ask(platform: Platform, circuit: Circuit) -> str:
    """The code of the answer to one request, empty where it is one."""
    try:
        asyncio.run(platform.sender(circuit).locate(None))
    except EngineError as error:
        return error.code
    return ""


def test_it_is_away_after_as_many_failures_as_a_request_has_attempts() -> None:
    """From then on nobody asks; each failure counts."""
    platform, circuit = Platform([away()]), Circuit()
    assert ask(platform, circuit) == "http_503"
    assert (platform.asked, circuit.failures) == (ATTEMPTS_MAX, ATTEMPTS_MAX)
    assert ask(platform, circuit) == "destination_away"
    assert platform.asked == ATTEMPTS_MAX


@pytest.mark.parametrize("question", ["applied", "poll"])
def test_questions_about_what_was_sent_count_too(question: str) -> None:
    """One failure is none, and one failure too many tells everybody."""

    def asked(platform: Platform, circuit: Circuit) -> str:
        sender = platform.sender(circuit)
        job = Submitted(job=JobRef(batch=0, rows=1, reference="j"))

        async def main() -> None:
            if question == "poll":
                await sender.wait(job, keep=asyncio.sleep)
            else:
                await sender.applied(HEAD)

        try:
            asyncio.run(main())
        except EngineError as error:
            return error.code
        return ""

    platform = Platform([away(), None])
    assert (asked(platform, Circuit()), platform.asked) == ("", 2)
    platform, circuit = Platform([away()]), Circuit()
    assert (asked(platform, circuit), platform.asked) == ("http_503", ATTEMPTS_MAX)
    assert ask(platform, circuit) == "destination_away"


def test_an_answer_ends_the_row_of_failures() -> None:
    """A refusal is one: somebody is there."""
    refused = ContractError("batch_refused", "No.")
    platform, circuit = Platform([away(), away(), refused, away(), None]), Circuit()
    assert ask(platform, circuit) == "batch_refused"
    assert (circuit.failures, circuit.answered, circuit.away) == (0, True, None)
    assert ask(platform, circuit) == ""
    assert platform.asked == 5


def test_a_pause_longer_than_a_run_waits_says_so_at_once() -> None:
    """A shorter one is kept, and asked again after."""
    platform, circuit = Platform([away(61.0)]), Circuit()
    assert ask(platform, circuit) == "http_503"
    assert (platform.asked, platform.waited) == (1, [])
    platform, circuit = Platform([away(7.0), None]), Circuit()
    assert (ask(platform, circuit), platform.waited) == ("", [7.0])


def test_what_was_away_is_asked_once() -> None:
    """And counts as back with its first answer, however that went on."""
    platform, circuit = Platform([away()]), circuit_of(KNOWN, NOW)
    assert ask(platform, circuit) == "http_503"
    assert (platform.asked, circuit.failures) == (1, 8)
    platform, circuit = Platform([None, away(), None]), circuit_of(KNOWN, NOW)
    assert [ask(platform, circuit) for _ in range(2)] == ["", ""]
    assert circuit.outage(KNOWN, "meta", "dev", NOW) is None


def test_it_is_probed_only_where_it_was_away() -> None:
    """A run that knows of nothing begins with its work."""
    platform = Platform([None])
    asyncio.run(platform.sender(Circuit()).probe())
    assert platform.asked == 0
    asyncio.run(platform.sender(circuit_of(KNOWN, NOW)).probe())
    assert platform.asked == 1


def test_a_lane_that_waits_to_ask_again_does_not() -> None:
    """Another one has found out meanwhile."""
    circuit = Circuit()
    platform = Platform([away()])
    sender = platform.sender(circuit)

    async def go() -> list[BaseException | str | None]:
        return await asyncio.gather(
            *(sender.locate(None) for _ in range(4)), return_exceptions=True
        )

    codes = [error.code for error in asyncio.run(go()) if isinstance(error, EngineError)]
    assert len(codes) == 4
    assert platform.asked < 4 * ATTEMPTS_MAX


def test_what_is_remembered() -> None:
    """Since when, how often, and until when it wants to be left alone; an hour at most."""
    platform, circuit = Platform([away(90.0)]), circuit_of(KNOWN, NOW)
    ask(platform, circuit)
    found = circuit.outage(KNOWN, "meta", "dev", NOW)
    assert found == replace(KNOWN, failures=8, asked_again_at=NOW + timedelta(seconds=90))
    platform, circuit = Platform([away(86_400.0)]), Circuit()
    ask(platform, circuit)
    found = circuit.outage(None, "meta", "dev", NOW)
    assert found is not None
    assert (found.since, found.failures, found.asked_again_at) == (NOW, 1, NOW + PAUSE_MAX)


def test_a_pause_is_kept_and_not_a_moment_longer() -> None:
    """Nothing is asked in it, nor is anything that was known forgotten."""
    paused = replace(KNOWN, asked_again_at=NOW + timedelta(minutes=5))
    platform, circuit = Platform([None]), circuit_of(paused, NOW)
    assert (ask(platform, circuit), platform.asked) == ("destination_away", 0)
    assert circuit.outage(paused, "meta", "dev", NOW) == paused
    circuit = circuit_of(paused, NOW + timedelta(minutes=5))
    assert (ask(platform, circuit), platform.asked) == ("", 1)


def test_a_run_that_did_not_ask_has_found_nothing_out() -> None:
    """Its warehouse was away, say."""
    assert circuit_of(KNOWN, NOW).outage(KNOWN, "meta", "dev", NOW) == KNOWN
    assert Circuit().outage(None, "meta", "dev", NOW) is None


@given(st.integers(1, 10_000), st.none() | st.floats(0, 1e6))
def test_pauses_between_probes_grow_to_a_bound(attempt: int, named: float | None) -> None:
    """And are never shorter than what the destination named."""
    pause = probe_seconds(attempt, named)
    assert pause >= (named or 0.0)
    assert 5.0 <= probe_seconds(attempt, None) <= probe_seconds(attempt + 1, None) <= 300.0


def test_the_error_says_what_to_do() -> None:
    """With the hour from which it is asked again."""
    with pytest.raises(TransientError, match="destination_away") as caught:
        circuit_of(replace(KNOWN, asked_again_at=NOW + timedelta(minutes=5)), NOW).require()
    assert "12:05 UTC" in caught.value.message
    assert "--wait" in caught.value.hint
