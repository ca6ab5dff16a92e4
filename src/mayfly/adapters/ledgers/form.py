"""Which version of the ledger's form a folder holds, without reading its entries."""

from __future__ import annotations

import re
from pathlib import Path

from mayfly.domain.errors import ConfigError
from mayfly.ledger.checkpoint import VERSION

_ORIGIN = re.compile(rb"mayfly/ledger/([0-9]{1,9})/")


def version_in(path: Path) -> int | None:
    """By its checkpoint; None where there is none, or it says nothing of the kind."""
    try:
        with (path / "checkpoint").open("rb") as file:
            found = _ORIGIN.match(file.read(64))
    except OSError:
        return None
    return int(found[1]) if found else None


def refuse_newer_ledger(path: Path) -> None:
    """Refuse a ledger that a newer program writes. Raises ConfigError `ledger_newer`."""
    found = version_in(path)
    if found is not None and found > VERSION:
        raise ConfigError(
            "ledger_newer",
            f"The ledger has version {found}; this program knows {VERSION}.",
            hint="Use the release of Mayfly that made it, or a newer one.",
        )
