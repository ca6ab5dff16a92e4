"""Fields of a mapping, held against those that a vendor says an object has."""

from __future__ import annotations

from collections.abc import Collection

from mayfly.domain.errors import ConfigError
from mayfly.domain.names import nearest
from mayfly.privacy.detect import ShownNames

_NAMED_MAX = 10


def require_fields(mapped: Collection[str], known: Collection[str], *, where: str) -> None:
    """Refuse a mapping to fields that are not there.

    Args:
        mapped: names in the mapping.
        known: names that the vendor has.
        where: in what, for the message, such as `HubSpot's contacts`.

    Raises:
        ConfigError: `unknown_field`, with the nearest name of each.
    """
    missing = [name for name in mapped if name not in known]
    if not missing:
        return
    near = [(name, nearest(name, known)) for name in missing[:_NAMED_MAX]]
    shown = ShownNames([*mapped, *known]).name
    hints = [f"{shown(other)} for {shown(name)}" for name, other in near if other]
    named = ", ".join(map(shown, missing[:_NAMED_MAX]))
    raise ConfigError(
        "unknown_field",
        f"The mapping names {named}, which {where} do not have.",
        hint=f"Perhaps {', '.join(hints)}." if hints else "Correct the mapping, or add it there.",
    )
