"""A mapping proposed for one sync; the destination is asked for its fields where it tells them."""

from __future__ import annotations

import asyncio
from typing import Any

from mayfly.bootstrap import SPECS, App
from mayfly.domain.errors import EngineError
from mayfly.domain.settings import SyncSettings
from mayfly.ports.destination import Describing
from mayfly.privacy.detect import ShownNames
from mayfly.services.propose_mapping import Field, propose


def proposed(app: App, sync: SyncSettings) -> dict[str, Any]:
    """Lines from classes and names, and what is left on either side."""
    fields, asked = _fields(app, sync)
    model = app.project.models[sync.model]
    columns = {name: column.cls for name, column in model.columns.items()}
    found = propose(fields, columns, sync.mapping)
    shown = ShownNames([*columns, *sync.mapping, *(field.name for field in fields)]).name
    return {
        "schema": "mayfly/map/1",
        "ok": True,
        "sync": sync.name,
        "fields_from": asked,
        "mapping": [
            {"field": shown(line.field), "column": shown(line.column), "why": line.why}
            for line in found.lines
        ],
        "fields_left": [
            {"field": shown(field.name), "required": field.is_required} for field in found.fields
        ],
        "columns_left": list(map(shown, found.columns)),
    }


def _fields(app: App, sync: SyncSettings) -> tuple[list[Field], str]:
    """The destination's fields, and who named them: its specification, itself, or nobody, with the
    code of why it did not answer.
    """
    settings = app.project.destinations[sync.destination]
    declared = SPECS[settings.type].fields
    if declared:
        return [Field(name=f.name, kind=f.kind) for f in declared], "specification"
    try:
        found = _asked(app, sync)
    except EngineError as error:
        return [], error.code
    return ([], "nobody") if found is None else (found, "destination")


def _asked(app: App, sync: SyncSettings) -> list[Field] | None:
    async def main() -> list[Field] | None:
        destination = make()
        try:
            if not isinstance(destination, Describing):
                return None
            return [
                Field(name=f.name, is_required=f.is_required) for f in await destination.fields()
            ]
        finally:
            await destination.close()

    with app.unplanned_destination(sync) as make:
        return asyncio.run(main())
