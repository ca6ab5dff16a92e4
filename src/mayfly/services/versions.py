"""Versions of what Mayfly keeps, beside those that this program knows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from mayfly.domain.errors import ConfigError

Kind = Literal["store", "state", "ledger", "spool"]
Verdict = Literal["current", "older", "newer"]
_NEWER = {
    "store": "store_newer",
    "state": "state_format",
    "ledger": "ledger_newer",
    "spool": "spool_newer",
}


@dataclass(frozen=True, kw_only=True)
class Version:
    """One thing that is kept, and in which form.

    Args:
        kind: of thing.
        name: of a state, with its source; else that of its kind.
        found: the version it has.
        known: the version that this program writes.
    """

    kind: Kind
    name: str
    found: int
    known: int

    @property
    def verdict(self) -> Verdict:
        """Beside this program."""
        if self.found == self.known:
            return "current"
        return "older" if self.found < self.known else "newer"

    def to_dict(self) -> dict[str, object]:
        """As `mayfly upgrade --output json` prints it."""
        return {
            "kind": self.kind,
            "name": self.name,
            "found": self.found,
            "known": self.known,
            "verdict": self.verdict,
        }


def refuse_newer(versions: Sequence[Version]) -> None:
    """Refuse to write beside what a newer program has made.

    Raises:
        ConfigError: `store_newer`, `state_format`, `ledger_newer`, `spool_newer`.
    """
    for one in versions:
        if one.verdict == "newer":
            raise ConfigError(
                _NEWER[one.kind],
                f"The {one.kind} {one.name} has version {one.found}; this program knows "
                f"{one.known}.",
                hint="Use the release of Mayfly that made it, or a newer one.",
            )
