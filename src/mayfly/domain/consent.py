"""What a list of consent events says at a moment; the planner's SQL says the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

Spelling = bool | int | str


@dataclass(frozen=True, kw_only=True)
class Spellings:
    """How a consent table writes what counts; whatever else it writes is a no.

    Args:
        purposes: of events that are about the purpose.
        granted: states that grant.
        unknown: states that neither grant nor refuse.
        sources: whose grants count; None where anybody's do.
        ends: whether an event says until when it is valid.
        without_end: whether one that says nothing of it is valid for ever.
    """

    purposes: tuple[Spelling, ...]
    granted: tuple[Spelling, ...]
    unknown: tuple[Spelling, ...] = ()
    sources: tuple[Spelling, ...] | None = None
    ends: bool = False
    without_end: bool = False


@dataclass(frozen=True, kw_only=True)
class ConsentEvent:
    """One row of a consent table, of one subject. Times are microseconds since 1970, in UTC."""

    purpose: Spelling | None
    state: Spelling | None
    at_us: int | None
    until_us: int | None = None
    source: Spelling | None = None


def consent_at(events: Sequence[ConsentEvent], spellings: Spellings, now_us: int) -> bool | None:
    """What a subject's events say at a moment: yes, no, or None for nothing that is known.

    The latest event wins. Of several at that time all must say the same. An event of the future,
    and one without a time, is later than any other and says nothing.
    """
    about = [e for e in events if e.purpose is None or _is_one(e.purpose, spellings.purposes)]
    if not about or any(e.at_us is None or e.at_us > now_us for e in about):
        return None
    latest = max(e.at_us for e in about if e.at_us is not None)
    said = {_says(e, spellings, now_us) for e in about if e.at_us == latest}
    return said.pop() if len(said) == 1 else None


def _says(event: ConsentEvent, spellings: Spellings, now_us: int) -> bool | None:
    if event.purpose is None or event.state is None:
        return None
    if _is_one(event.state, spellings.unknown):
        return None
    if not _is_one(event.state, spellings.granted):
        return False
    if spellings.sources is not None and not _is_one(event.source, spellings.sources):
        return None
    return None if _is_over(event, spellings, now_us) else True


def _is_over(event: ConsentEvent, spellings: Spellings, now_us: int) -> bool:
    if not spellings.ends:
        return False
    if event.until_us is None:
        return not spellings.without_end
    return event.until_us <= now_us


def _is_one(value: Spelling | None, spellings: Sequence[Spelling]) -> bool:
    """To Python 1 and True are equal."""
    return any(value == s and isinstance(value, bool) == isinstance(s, bool) for s in spellings)
