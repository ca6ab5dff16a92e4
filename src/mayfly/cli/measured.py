"""The page of metrics and spans, made from the closed list that the program refuses others by."""

from __future__ import annotations

from collections.abc import Mapping

from mayfly.domain.telemetry import ATTRIBUTES, COUNTED, FOUND, SPANS, Metric

_PAGE = """# Metrics and spans

Made from the code by `python -m mayfly.cli.reference docs/reference`; a test fails where it is out
of date. How to have them: [telemetry](../howto/telemetry.md).

The list is closed: a metric, span or attribute that does not stand here, and a value of another
form, is refused where it is made and counted in `mayfly_telemetry_dropped_total`. None has room for
a value of a row, an address or the words of an error. A metric has attributes of few values only,
never the id of a run.

In OTLP a metric is named `mayfly.` and its name with dots, and an attribute `mayfly.` and its name;
in Prometheus as below.
"""
_FOUND = """## What any process finds

From store, ledger and spool; no source and no destination is asked. What waits is that of all
targets, the rest of its own. Bytes are those of sealed batches; a working copy in a warehouse is
counted, not measured.
"""
_COUNTED = """## What a process counts of what it does

Since it began in Prometheus; since it was last told in OTLP (delta temporality). A dry run is not
counted.
"""
_SPANS = """## Spans

Each is named `mayfly.` and its name. Spans of one run, of whatever process, are of one trace.
"""


def measured_page() -> str:
    """The text of `metrics.md`."""
    parts = [
        _PAGE,
        _FOUND,
        _metrics(FOUND),
        _COUNTED,
        _metrics(COUNTED),
        _SPANS,
        "| Span | What it is | Attributes |\n|---|---|---|\n"
        + "".join(
            f"| `{s.name}` | {s.help} | {_listed(sorted(s.attributes))} |\n" for s in SPANS.values()
        ),
        "## Attributes\n",
        "| Attribute | Values | Of metrics |\n|---|---|---|\n"
        + "".join(
            f"| `{name}` | {a.holds} | {'yes' if a.bounded else ''} |\n"
            for name, a in ATTRIBUTES.items()
        ),
    ]
    return "\n".join(parts)


def _metrics(listed: Mapping[str, Metric]) -> str:
    head = "| Prometheus | OTLP | Kind | What it is | Attributes |\n|---|---|---|---|---|\n"
    return head + "".join(
        f"| `{m.prometheus}` | `{m.name}`, `{m.unit}` | {m.kind} | {m.help} | "
        f"{_listed(m.attributes)} |\n"
        for m in listed.values()
    )


def _listed(names: tuple[str, ...] | list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
