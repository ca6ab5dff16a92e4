"""The public privacy page of a project, of what holds now alone."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from mayfly.api.reporting import facts_of, unwritable
from mayfly.bootstrap import App
from mayfly.services.privacy_sentences import SENTENCES
from mayfly.services.report_privacy import privacy_page
from mayfly.services.report_retention import Period


def write_privacy_page(app: App, file: Path) -> dict[str, Any]:
    """Write the public page in place of the one before.

    Raises:
        ConfigError: `privacy_page_incomplete`, `report_unwritable`; the one before stays.
    """
    facts = facts_of(app, Period())
    content = privacy_page(facts).encode()
    new = file.with_name(f".{file.name}.part")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        new.write_bytes(content)
        new.replace(file)
    except OSError:
        raise unwritable() from None
    says = [s for s in SENTENCES if s.holds(facts)]
    return {
        "schema": "mayfly/privacy-page/1",
        "ok": True,
        "path": str(file),
        "sha256": hashlib.sha256(content).hexdigest(),
        "says": [{"id": s.id, "part": s.part, "command": s.command} for s in says],
        "left_out": [s.id for s in SENTENCES if s not in says],
    }
