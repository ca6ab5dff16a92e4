"""One row for each key, where the model's keys are not unique: of who withdrew all the same.

What says no counts, on whichever of a person's rows it stands. Rows whose key has a null are
nobody's that the state could know.
"""

from __future__ import annotations

from mayfly.planning.columns import key_list, key_names, same_key
from mayfly.planning.names import Names
from mayfly.planning.spec import PlanSpec, RowClass
from mayfly.planning.sql.dialect import TARGET, SqlDialect

_STRICTEST_FIRST = (
    RowClass.SUPPRESSED,
    RowClass.WITHDRAWN,
    RowClass.WITHHELD,
    RowClass.UNKNOWN,
)


class MergingSql:
    """Statements over a scan of which nothing but withdrawals is planned."""

    def __init__(self, spec: PlanSpec, dialect: SqlDialect, names: Names) -> None:
        self._spec = spec
        self._sql = dialect
        self._scan = names.of("scan")
        self._doubled, self._extra = (dialect.quote(f"mf_{kind}") for kind in ("doubled", "extra"))

    def statements(self) -> list[str]:
        """Every key stands on one row then, the strictest that it had. Of those who all grant
        nothing goes: what they hold stays wanted, and is not sent.
        """
        ordinal, sql = self._sql.ordinal, self._sql
        nulls = " OR ".join(f"{TARGET}.{k} IS NULL" for k in key_names(self._spec))
        return [
            sql.delete(self._scan, nulls),
            sql.create_as(self._doubled, self._of_several(), temporary=True),
            sql.create_as(
                self._extra,
                f"SELECT s.{ordinal} AS n FROM {self._scan} s JOIN {self._doubled} d "
                f"ON {same_key(self._spec, 's', 'd')} WHERE s.{ordinal} <> d.kept",
                temporary=True,
            ),
            sql.delete(self._scan, f"{TARGET}.{ordinal} IN (SELECT n FROM {self._extra})"),
            self._classed(RowClass.UNCHANGED, f"NOT IN {_numbers(_STRICTEST_FIRST)}"),
        ]

    def unknown(self) -> str:
        """How many delivered rows have no known consent any more, of all keys."""
        return f"SELECT count(*) AS n FROM {self._scan} WHERE c = {int(RowClass.UNKNOWN)}"

    def take_out_unknown(self) -> str:
        """Those of keys that stood on several rows are as if they had withdrawn."""
        return self._classed(RowClass.WITHDRAWN, f"= {int(RowClass.UNKNOWN)}")

    def _of_several(self) -> str:
        """The keys that stand on several rows, and of these the strictest one by its ordinal."""
        ordinal, keys = self._sql.ordinal, key_list(self._spec)
        strictest = [f"min(CASE WHEN c = {int(c)} THEN {ordinal} END)" for c in _STRICTEST_FIRST]
        return (
            f"SELECT {keys}, coalesce({', '.join([*strictest, f'min({ordinal})'])}) AS kept "
            f"FROM {self._scan} GROUP BY {keys} HAVING count(*) > 1"
        )

    def _classed(self, row_class: RowClass, found: str) -> str:
        kept = f"{TARGET}.{self._sql.ordinal} IN (SELECT kept FROM {self._doubled})"
        return self._sql.update(
            self._scan, {"c": str(int(row_class))}, f"{kept} AND {TARGET}.c {found}"
        )


def _numbers(classes: tuple[RowClass, ...]) -> str:
    return "(" + ", ".join(str(int(c)) for c in classes) + ")"
