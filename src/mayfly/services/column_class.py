"""The class of a column: the strictest of what is declared, its name, its values, the names of the
columns it is made of, and dbt's mark.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal

from mayfly.domain.classes import PERSONAL, rank, stricter_class
from mayfly.domain.settings import ColumnSettings
from mayfly.planning.lineage import ROW, Origin, Origins
from mayfly.privacy.detect.names import name_vote

By = Literal["", "name", "lineage", "values"]
_PERSONS = rank(PERSONAL)


@dataclass(frozen=True, kw_only=True)
class Verdicts:
    """What is found out about a column; each None where nothing is said.

    Args:
        name: the class that its own name tells.
        lineage: the strictest class that names of the columns it is made of tell.
        origin: which of them tells it.
        values: the class that its values were found to have.
    """

    name: str | None = None
    lineage: str | None = None
    origin: Origin | None = None
    values: str | None = None


@dataclass(frozen=True, kw_only=True)
class Judged(ColumnSettings):
    """A column with the class that holds of it.

    Args:
        by: what made it stricter than what is declared; empty where nothing did.
        why: a sentence about that.
    """

    by: By = ""
    why: str = ""


def verdicts(
    name: str, origins: Origins, *, values: str | None = None, yes_or_no: bool = False
) -> Verdicts:
    """What a column's name, lineage and values say.

    Args:
        name: of the column.
        origins: what it is made of.
        values: the class its values were found to have, where they were looked at.
        yes_or_no: it holds booleans, which tell of a person, if at all, what is special.
    """
    least = rank("special") if yes_or_no else _PERSONS
    own = _of_name(name, least)
    behind = [(cls, o) for o in sorted(origins) if (cls := _of_origin(o, least)) is not None]
    strictest = max(behind, key=lambda found: rank(found[0]), default=(None, None))
    return Verdicts(name=own, lineage=strictest[0], origin=strictest[1], values=values)


def judge(column: ColumnSettings, said: Verdicts) -> Judged:
    """The column under the strictest class.

    A name is a hint: a class that is declared with a `reason` outweighs it, and so does a closed
    list of `values`, unless it says that they are special. Neither the values that were found nor
    dbt's mark are outweighed by anything.
    """
    cls, closed, by, why = column.cls, column.closed, "", ""
    reasoned = column.cls is not None and column.reason is not None and not column.closed
    for verdict, named in _in_turn(said):
        if verdict is None or (reasoned and named != "values"):
            continue
        if column.values and named != "values" and rank(verdict) <= _PERSONS:
            continue
        if column.closed and rank(verdict) <= rank(column.mark):
            continue
        stricter, shut, _ = stricter_class(cls, verdict)
        if shut:
            cls, closed, by = stricter, True, named
            why = _sentence(column.name, said, named)
    known = {f.name: getattr(column, f.name) for f in fields(ColumnSettings)}
    return Judged(**(known | {"cls": cls, "closed": closed, "by": by, "why": why}))


def _in_turn(said: Verdicts) -> list[tuple[str | None, By]]:
    return [(said.name, "name"), (said.lineage, "lineage"), (said.values, "values")]


def _sentence(column: str, said: Verdicts, by: By) -> str:
    if by == "name":
        return f"The name of column {column} says {said.name}."
    if by == "values":
        return f"The values of column {column} were found to be {said.values}."
    if said.origin is not None and said.origin.column == ROW:
        return f"Column {column} is made of whole rows of {said.origin.table}."
    return f"Column {column} is made of {said.origin}, whose name says {said.lineage}."


def _of_name(name: str, least: int) -> str | None:
    vote = name_vote(name)
    return None if vote.qualified or rank(vote.cls) < least else vote.cls


def _of_origin(origin: Origin, least: int) -> str | None:
    if origin.column == ROW:
        return PERSONAL if least == _PERSONS else None
    return _of_name(origin.column, least)
