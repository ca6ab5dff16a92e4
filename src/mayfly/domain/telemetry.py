"""Telemetry: the closed list of spans, metrics and attributes there are, and their values.

What is not on this list is refused where it is made, so that no exporter can be handed it. An
attribute is a member of a closed list, a name of the project files, a code of ours, an id that we
made, or a count. There is no attribute for a text, and none for a row, an address or an error's
words.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Final, Literal

from mayfly.domain.alerts import AlertKind
from mayfly.domain.batch import Operation
from mayfly.domain.erasures import Regulation
from mayfly.domain.errors import ContractError
from mayfly.domain.names import is_name
from mayfly.domain.retention import RetentionClass

Value = str | int
Attributes = Mapping[str, Value]

STATUSES: Final = (
    *("running", "succeeded", "no_changes", "partial", "failed", "refused", "held", "in_doubt"),
    *("cancelled", "interrupted", "dry", "stopped"),
)
"""How a run ends, or stands."""
MODES: Final = ("upsert", "mirror", "append", "audience")
OUTCOMES: Final = (
    *("delivered", "rejected", "unconfirmed", "deferred", "removed", "held", "suppressed"),
    *("withheld_consent", "withheld_guard"),
)
_CODE = re.compile(r"[a-z][a-z0-9_]{0,63}")
_RUN = re.compile(r"[0-9]{8}t[0-9]{6}-[0-9a-f]{6}")
_COUNT_MAX = 2**53 - 1


@dataclass(frozen=True, kw_only=True)
class Attribute:
    """One attribute.

    Args:
        holds: what, for the page of metrics.
        allows: whether a value is one of it.
        bounded: whether there are only so many values that a metric may have it.
    """

    holds: str
    allows: Callable[[object], bool]
    bounded: bool = True


def _one_of(*words: str) -> Callable[[object], bool]:
    known = frozenset(words)
    return lambda value: isinstance(value, str) and value in known


def _is_code(value: object) -> bool:
    return isinstance(value, str) and _CODE.fullmatch(value) is not None


def _is_run(value: object) -> bool:
    return isinstance(value, str) and _RUN.fullmatch(value) is not None


def _is_named(value: object) -> bool:
    return isinstance(value, str) and is_name(value)


def _is_count(value: object) -> bool:
    return type(value) is int and 0 <= value <= _COUNT_MAX


def _name(of: str) -> Attribute:
    return Attribute(holds=f"name of {of} in the project files", allows=_is_named)


def _listed(*words: str) -> Attribute:
    return Attribute(holds=", ".join(f"`{w}`" for w in words), allows=_one_of(*words))


def _count(holds: str) -> Attribute:
    return Attribute(holds=holds, allows=_is_count, bounded=False)


ATTRIBUTES: Final[Mapping[str, Attribute]] = MappingProxyType(
    {
        "sync": _name("the sync"),
        "target": _name("the target"),
        "destination": _name("the destination"),
        "channel": _name("the channel for alerts"),
        "anchor": _name("the anchor"),
        "mode": _listed(*MODES),
        "status": _listed(*STATUSES),
        "outcome": _listed(*OUTCOMES),
        "act": Attribute(
            holds="type of an [entry of the ledger](../specs/ledger.md)", allows=_is_code
        ),
        "operation": _listed(*Operation),
        "kind": _listed(*AlertKind),
        "regulation": _listed(*Regulation),
        "class": _listed(*RetentionClass),
        "what": _listed("rows", "sealed", "copy"),
        "result": _listed("ended", "left"),
        "signal": _listed("traces", "metrics"),
        "reason": _listed("away", "refused", "full", "not_allowed"),
        "code": Attribute(holds="a [code](troubleshooting.md) of Mayfly's own", allows=_is_code),
        "run": Attribute(holds="id of the run", allows=_is_run, bounded=False),
        "batch": _count("number of the batch in its run"),
        "rows": _count("how many rows"),
        "batches": _count("how many batches"),
        "planned": _count("rows that were planned"),
        "age_ms": _count("how long rows were in the worker's hand, in milliseconds"),
        **{name: _count(f"rows {name.replace('_', ', by ')}") for name in OUTCOMES},
    }
)
"""Every attribute there is. In OTLP each is named `mayfly.` and its name."""


class MetricKind(StrEnum):
    """What a metric is."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One metric.

    Args:
        name: in OTLP after `mayfly.`, with dots.
        kind: what it is.
        unit: in UCUM: `s`, `By`, or `1` for a count.
        help: one line.
        attributes: that each of its points has.
        bounds: of a histogram's buckets, upper ones, in the unit.
    """

    name: str
    kind: MetricKind
    unit: Literal["s", "By", "1"]
    help: str
    attributes: tuple[str, ...] = ()
    bounds: tuple[float, ...] = ()

    @property
    def prometheus(self) -> str:
        """Its name for Prometheus, with the base unit and `_total` as its conventions have it."""
        words = "mayfly_" + self.name.replace(".", "_")
        unit = {"s": "_seconds", "By": "_bytes", "1": ""}[self.unit]
        return words + unit + ("_total" if self.kind is MetricKind.COUNTER else "")


_SHORT = (0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3_600.0)
_HELD = (1.0, 10.0, 60.0, 600.0, 3_600.0, 28_800.0, 86_400.0, 604_800.0, 2_592_000.0)


def _metrics(*made: Metric) -> Mapping[str, Metric]:
    return MappingProxyType({m.name: m for m in made})


def _counter(
    name: str, help_: str, *attributes: str, unit: Literal["s", "By", "1"] = "1"
) -> Metric:
    return Metric(name=name, kind=MetricKind.COUNTER, unit=unit, help=help_, attributes=attributes)


def _gauge(name: str, help_: str, *attributes: str, unit: Literal["s", "By", "1"] = "1") -> Metric:
    return Metric(name=name, kind=MetricKind.GAUGE, unit=unit, help=help_, attributes=attributes)


COUNTED: Final = _metrics(
    _counter("runs", "Runs that ended.", "sync", "target", "status"),
    _counter("run.errors", "Runs by what kept them from their end.", "sync", "target", "code"),
    _counter("rows", "Rows of runs that ended.", "sync", "target", "outcome"),
    _counter("clear_values", "Rows withheld for a value in clear.", "sync", "target"),
    _counter("batches", "Batches that a destination answered.", "sync", "target"),
    Metric(
        name="run.duration",
        kind=MetricKind.HISTOGRAM,
        unit="s",
        help="How long runs took.",
        attributes=("sync", "target"),
        bounds=_SHORT,
    ),
    Metric(
        name="held.age",
        kind=MetricKind.HISTOGRAM,
        unit="s",
        help="How old rows were when they left Mayfly's hand, by batch.",
        attributes=("act",),
        bounds=_HELD,
    ),
    _counter("wait", "Time that runs waited before they sent or asked again.", "sync", unit="s"),
    _counter("ledger.entries", "Entries that the ledger took.", "act"),
    _counter("swept", "What was past its deadline, and was ended or could not be.", "result"),
    _counter("over_target", "What stays, or stayed, beyond its target.", "what"),
    _counter("withdrawals.late", "Withdrawals not answered within a day.", "sync", "target"),
    _counter("alerts.failed", "Alerts that a channel did not take.", "channel", "kind"),
    _counter("anchors.failed", "Checkpoints that an anchor did not take.", "anchor"),
    _counter("ticks.dropped", "Scheduled runs that were due while one went on.", "sync", "target"),
    _counter("workers.given_up", "Workers that were silent for too long."),
    _counter("runs.given_up", "Asked runs over which too many workers ended.", "sync", "target"),
    _counter("telemetry.dropped", "Spans and points that were not sent.", "signal", "reason"),
)
"""What a process counts of what it does itself."""
FOUND: Final = _metrics(
    _gauge("store.reachable", "Whether store, ledger and spool could be read for what follows."),
    _gauge("held", "Bytes that wait sealed.", "class", unit="By"),
    _gauge("held.rows", "Rows that wait sealed.", "class"),
    _gauge("held.copies", "Plans of which something waits.", "class"),
    _gauge(
        "held.oldest_age", "Age of the oldest that waits; 0 where nothing does.", "class", unit="s"
    ),
    _gauge(
        "purge.deadline",
        "Time until the next forced purge, below 0 where it is overdue; not there where nothing "
        "waits.",
        "class",
        unit="s",
    ),
    _gauge("approvals.open", "Syncs that wait for approval.", "target"),
    _gauge("rights_requests.open", "Open requests for a person.", "regulation"),
    _gauge("rights_requests.overdue", "Open requests past their time limit.", "regulation"),
    _gauge(
        "rights_requests.due",
        "Time until the first open request is due, below 0 where it is overdue; not there where "
        "none is open.",
        "regulation",
        unit="s",
    ),
    _gauge("destinations.away", "1 of a destination that was away when last asked.", "destination"),
    _gauge("syncs.paused", "1 of a sync that somebody paused.", "sync"),
    _gauge("last_run.age", "Time since a sync's newest run ended.", "sync", "status", unit="s"),
    _gauge("workers.living", "Workers that told of themselves lately."),
)
"""What any process reads from store, ledger and spool."""
METRICS: Final[Mapping[str, Metric]] = MappingProxyType({**COUNTED, **FOUND})


@dataclass(frozen=True, kw_only=True)
class SpanType:
    """One kind of span: `mayfly.` and its name, and the attributes it may have."""

    name: str
    help: str
    attributes: frozenset[str]


SPANS: Final[Mapping[str, SpanType]] = MappingProxyType(
    {
        s.name: s
        for s in (
            SpanType(
                name="run",
                help="A run of a sync, from its beginning to its end.",
                attributes=frozenset(
                    {"sync", "target", "run", "mode", "status", "code", "batches"}
                    | {"planned", *OUTCOMES}
                ),
            ),
            SpanType(
                name="plan",
                help="From the beginning of a run until its plan is made.",
                attributes=frozenset({"sync", "target", "run", "planned"}),
            ),
            SpanType(
                name="batch",
                help="A batch, from the read of its first row until the destination's answer.",
                attributes=frozenset(
                    {"sync", "target", "run", "batch", "rows", "age_ms", "operation"}
                    | {"destination"}
                ),
            ),
            SpanType(
                name="close",
                help="From the last answer of a run until its plan is dropped.",
                attributes=frozenset({"sync", "target", "run"}),
            ),
        )
    }
)


@dataclass(frozen=True, kw_only=True)
class Point:
    """One value of a metric.

    Raises:
        ContractError: `not_on_the_list`; the message never repeats a value.
    """

    metric: str
    value: float
    attributes: Attributes = field(default_factory=dict)

    def __post_init__(self) -> None:
        known = METRICS.get(self.metric)
        if known is None or set(self.attributes) != set(known.attributes):
            raise not_on_the_list("a metric")
        check(self.attributes, known.attributes)


@dataclass(frozen=True, kw_only=True)
class Sum:
    """What was counted of one metric with the same attributes.

    Args:
        metric: its name.
        attributes: of all its points.
        total: of the values.
        number: how many there were.
        buckets: of a histogram, how many stood in each; one more than its bounds.
    """

    metric: str
    attributes: Mapping[str, str]
    total: float = 0.0
    number: int = 0
    buckets: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Span:
    """One span; ids are bytes, times are nanoseconds since 1970.

    Args:
        type: a name in `SPANS`.
        trace_id: 16 bytes.
        span_id: 8 bytes.
        parent_id: 8 bytes; empty of a root.
        start_ns, end_ns: when.
        attributes: of those the type may have.
        failed: whether it ended by an error.

    Raises:
        ContractError: `not_on_the_list`.
    """

    type: str
    trace_id: bytes
    span_id: bytes
    parent_id: bytes
    start_ns: int
    end_ns: int
    attributes: Attributes
    failed: bool = False

    def __post_init__(self) -> None:
        known = SPANS.get(self.type)
        if known is None:
            raise not_on_the_list("a span")
        check(self.attributes, known.attributes)


def check(attributes: Attributes, allowed: Collection[str]) -> None:
    """Refuse what is not on the list.

    Raises:
        ContractError: `not_on_the_list`.
    """
    for name, value in attributes.items():
        if name not in allowed or name not in ATTRIBUTES:
            raise not_on_the_list("an attribute")
        if not ATTRIBUTES[name].allows(value):
            raise not_on_the_list("an attribute's value")


def not_on_the_list(what: str) -> ContractError:
    """Nothing of it is repeated: it may be anybody's."""
    return ContractError(
        "not_on_the_list",
        f"Telemetry was to carry {what} that is not on its list.",
        hint="The run is not touched. Report it.",
    )
