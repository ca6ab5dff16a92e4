"""What a compilation is asked and what it gives: a bill, refusals, and the sync ready to run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from mayfly.domain.approval import Compiled
from mayfly.domain.errors import PolicyError
from mayfly.domain.settings import ModelSettings, Project, SyncSettings
from mayfly.domain.transfers import Transfer
from mayfly.planning.spec import PlanSpec
from mayfly.planning.sql.dialect import SqlDialect
from mayfly.ports.destination import DestinationContext, DestinationSpec
from mayfly.ports.source import Source
from mayfly.privacy.detect import ShownNames
from mayfly.privacy.gate.gate import GatePolicy
from mayfly.privacy.rules import CanonicalKind, Rule
from mayfly.privacy.rules.probe import RuleUse
from mayfly.services.suggest_rule import Suggestion


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """Why a sync may not run."""

    code: str
    column: str | None
    message: str

    def shown(self, names: ShownNames) -> Refusal:
        """With names as they may be printed."""
        column = None if self.column is None else names.name(self.column)
        return replace(self, column=column, message=names.text(self.message))

    def to_dict(self) -> dict[str, str | None]:
        """As `mayfly plan` prints it."""
        return {"code": self.code, "column": self.column, "message": self.message}


@dataclass(frozen=True, kw_only=True)
class ColumnPlan:
    """One line of the bill: which column leaves as what, and where it is changed."""

    source: str
    cls: str
    rule: str
    where: str
    to: str

    def to_dict(self, names: ShownNames) -> dict[str, str]:
        """As `mayfly plan` prints it."""
        return {
            "from": names.name(self.source),
            "class": self.cls,
            "rule": self.rule,
            "where": self.where,
            "to": names.name(self.to),
        }


@dataclass(frozen=True, kw_only=True)
class CompiledSync:
    """A sync, ready to be planned where `refusals` is empty.

    `shown` has its names as they may be printed. What `refusals` say is so already.
    """

    sync: SyncSettings
    model: ModelSettings
    external: bool
    columns: tuple[ColumnPlan, ...]
    refusals: tuple[Refusal, ...]
    pinned: Compiled
    spec: PlanSpec | None = None
    policy: GatePolicy | None = None
    context: DestinationContext | None = None
    rules: Mapping[str, Rule] = field(default_factory=dict)
    default_countries: Mapping[str, str] = field(default_factory=dict)
    hashed_in_worker: tuple[str, ...] = ()
    suggestions: tuple[Suggestion, ...] = ()
    shown: ShownNames = field(default_factory=ShownNames)


@dataclass(frozen=True, kw_only=True)
class CompileRequest:
    """What the caller knows: the project, the ports, the address of the destination.

    `differing` tells which rules the source's server does not compute as Python does;
    `suppression_forms` by which versions of the canonical forms entries of the list were made.
    `value_classes` has by model column the class that its values were found to have, where they
    were looked at. `renew_before_ms` and `now_ms` are as in `PlanSpec`; `refusals` are those of
    the destination's connector and of `transfers`, which are what sending there is.
    """

    project: Project
    sync: SyncSettings
    source: Source
    dialect: SqlDialect
    destination: DestinationSpec
    address: Sequence[str]
    run: str
    differing: Callable[[Sequence[RuleUse]], frozenset[RuleUse]]
    suppression_version: int = 0
    suppression_forms: Mapping[CanonicalKind, frozenset[int]] = field(default_factory=dict)
    value_classes: Mapping[str, str] = field(default_factory=dict)
    limit: int | None = None
    full_refresh: bool = False
    renew_before_ms: int | None = None
    now_ms: int = 0
    refusals: Sequence[Refusal] = ()
    transfers: Sequence[Transfer] = ()


def first_refusal(compiled: CompiledSync) -> PolicyError | None:
    """The first refusal as an error, None where there is none."""
    if not compiled.refusals:
        return None
    first = compiled.refusals[0]
    more = len(compiled.refusals) - 1
    also = f" (and {more} more: see `mayfly plan`)" if more else ""
    return PolicyError(first.code, first.message + also)
