"""The rule that is suggested for a column, and why, for who approves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mayfly.domain.classes import PERSONAL, rank
from mayfly.planning.lineage import Origins
from mayfly.ports.destination import FieldSpec
from mayfly.privacy.detect import ShownNames
from mayfly.privacy.gate import Form
from mayfly.services.column_class import Judged

_OF_FORM = {Form.DIGEST: "match", Form.PSEUDONYM: "pseudonym", Form.CLEAR: "clear"}
BLOCK = "block"
"""In place of a rule: the column should not be in the mapping."""
_OF_SHAPE = ("country", "postal_code", "device_id")


@dataclass(frozen=True, kw_only=True)
class Suggestion:
    """One column of a mapping, as whoever approves should see it.

    Args:
        field: of the destination.
        column: of the model.
        cls: the class that holds of it.
        made_of: the columns of tables behind it.
        rule: how it leaves as the project files are.
        suggested: how it should; `BLOCK` where it should not.
        why: a sentence.
    """

    field: str
    column: str
    cls: str
    made_of: tuple[str, ...]
    rule: str
    suggested: str
    why: str

    def to_dict(self, names: ShownNames) -> dict[str, Any]:
        """As `mayfly approve --output json` prints it."""
        return {
            "field": names.name(self.field),
            "column": names.name(self.column),
            "class": self.cls,
            "made_of": [names.name(origin) for origin in self.made_of],
            "rule": self.rule,
            "suggested": self.suggested,
            "why": names.text(self.why),
        }


def suggest(
    field: str, column: Judged, declared: FieldSpec | None, made_of: Origins, *, external: bool
) -> Suggestion:
    """What should become of a column at a field of a destination."""
    return Suggestion(
        field=field,
        column=column.name,
        cls=column.cls or (PERSONAL if column.closed else "none"),
        made_of=tuple(sorted(map(str, made_of))),
        rule=_OF_FORM[declared.form] if declared else column.rule or "clear",
        suggested=_rule(column, declared, external=external),
        why=_why(column, external=external),
    )


def _rule(column: Judged, declared: FieldSpec | None, *, external: bool) -> str:
    special = column.cls == "special"
    if external and special:
        return BLOCK
    if declared is not None:
        refused = declared.form is Form.CLEAR and column.closed and column.by == "values"
        return BLOCK if refused else _OF_FORM[declared.form]
    if not external:
        return column.rule or ("pseudonym" if special else "clear")
    shaped = column.values or None not in (column.minimum, column.maximum)
    open_ = column.closed or (rank(column.cls) > 0 and column.cls not in _OF_SHAPE)
    return "pseudonym" if open_ or not (shaped or column.cls in _OF_SHAPE) else "clear"


def _why(column: Judged, *, external: bool) -> str:
    where = "a third party" if external else "a system of one's own"
    if column.why:
        return f"{column.why} It goes to {where}."
    if column.mark is not None and column.closed:
        return f"dbt marks it as {column.mark}. It goes to {where}."
    if column.cls not in (None, "none"):
        return f"It is declared {column.cls}. It goes to {where}."
    return f"Nothing says that it is a person's. It goes to {where}."
