"""Sessions that only read, of engines that have none: a statement passes by how it begins."""

from __future__ import annotations

import re
from collections.abc import Callable

from mayfly.connectors.sources.refusals import READ_ONLY, refusal

_LEAD = re.compile(r"\s*(?:/\*.*?\*/\s*)*", re.DOTALL)
_MAKES = r"CREATE\s+TEMPORARY\s+TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?"
_CHANGES = r"(?:INSERT\s+INTO|UPDATE|DELETE\s+FROM|MERGE\s+INTO|DROP\s+TABLE(?:\s+IF\s+EXISTS)?)\s+"


def without_comment(sql: str) -> str:
    """A statement without the comments it begins with."""
    lead = _LEAD.match(sql)
    return sql[lead.end() :] if lead else sql


class ReadingGuard:
    """Lets a statement pass that reads, makes a temporary table, or changes one that was made here.
    Behind it stand the rights of the role.

    Args:
        reads: pattern of how a statement begins that reads.
        name: pattern of a table's name, in a group `name`, that is no part of a longer one.
        folded: one spelling of a name, quoted or not.
    """

    def __init__(self, *, reads: str, name: str, folded: Callable[[str], str]) -> None:
        self._reads = re.compile(reads, re.IGNORECASE)
        self._makes = re.compile(_MAKES + name, re.IGNORECASE)
        self._changes = re.compile(_CHANGES + name, re.IGNORECASE)
        self._folded = folded
        self._made: set[str] = set()

    def check(self, sql: str) -> None:
        """Refuse what does not pass.

        Raises:
            ConfigError: `read_only_session`.
        """
        body = without_comment(sql)
        if self._reads.match(body):
            return
        made, changed = self._makes.match(body), self._changes.match(body)
        if made is not None:
            self._made.add(self._folded(made.group("name")))
        elif changed is None or self._folded(changed.group("name")) not in self._made:
            raise refusal(READ_ONLY)
