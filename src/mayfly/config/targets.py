"""What a target changes in the merged files."""

from __future__ import annotations

from mayfly.config.files import SECTIONS, Merged
from mayfly.config.findings import Findings
from mayfly.config.parse import Parsed, parse_entry

DEFAULT_TARGET = "dev"
_WHOLE = ("store", "dbt")  # parts that have no names below them


def declared(merged: Merged) -> list[str]:
    """Names of the targets that stand in the files."""
    return list(_targets(merged))


def check_target(merged: Merged, target: str, findings: Findings) -> None:
    """The target is one of those declared, or `dev` where none is."""
    names = declared(merged)
    if target in names or (not names and target == DEFAULT_TARGET):
        return
    # Falling back to what stands outside the targets could reach production by accident.
    message = "the target chosen is not declared"
    findings.add_unknown(
        merged.spots.key("targets"), "unknown_target", message, target, names or [DEFAULT_TARGET]
    )


def with_target(merged: Merged, target: str) -> Merged:
    """The files as the target sees them; an undeclared target changes nothing."""
    changed = Merged(
        root=merged.root,
        data=dict(merged.data),
        spots=merged.spots.copy(),
        sql_files=merged.sql_files,
        files=list(merged.files),
        main=merged.main,
        broken=merged.broken,
        plugins=merged.plugins,
    )
    overlay = _of(merged, target)
    for key in (*_WHOLE, *SECTIONS):
        if isinstance(overlay.get(key), dict):
            changed.data[key] = _overlaid(changed.data.get(key), overlay[key])
    taken = {key for key in _WHOLE if isinstance(overlay.get(key), dict)}
    if taken:
        # They are checked where they take effect, and would be reported twice.
        rest = {k: v for k, v in overlay.items() if k not in taken}
        changed.data["targets"] = {**_targets(merged), target: rest}
    start = ("targets", target)
    for path, place in merged.spots.items():
        if path[:2] != start or len(path) < 3 or path[2] not in (*_WHOLE, *SECTIONS):
            continue
        inner = path[2:]
        if inner not in merged.spots or not isinstance(_value(overlay, inner), dict):
            changed.spots.set(inner, place)
    return changed


def check_others(merged: Merged, target: str, findings: Findings) -> None:
    """What the other targets change is sound, too, so that a fault is found before it is used."""
    for name in declared(merged):
        if name == target:
            continue
        changed = with_target(merged, name)
        for section in ("sources", "destinations"):
            entries = _of(merged, name).get(section)
            for entry in entries if isinstance(entries, dict) else ():
                parse_entry(changed, section, entry, Parsed(), findings)


def _of(merged: Merged, target: str) -> dict[str, object]:
    found = _targets(merged).get(target)
    return found if isinstance(found, dict) else {}


def _targets(merged: Merged) -> dict[str, object]:
    found = merged.data.get("targets")
    return found if isinstance(found, dict) else {}


def _value(data: object, path: tuple[str | int, ...]) -> object:
    for part in path:
        if not isinstance(data, dict):
            return None
        data = data.get(part)
    return data


def _overlaid(base: object, over: object) -> object:
    if not (isinstance(base, dict) and isinstance(over, dict)):
        return over
    changed = {key: _overlaid(base.get(key), value) for key, value in over.items()}
    return base | changed
