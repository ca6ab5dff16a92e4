"""Text for people: tables and lines on stdout, as wide as the terminal; unbroken elsewhere."""

from __future__ import annotations

import json
import re
import sys
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.filesize import decimal
from rich.markup import escape
from rich.table import Table

from mayfly.api.results import PlanResult, RunResult, SyncPlan
from mayfly.ports.ledger import Recipient
from mayfly.services.left_behind import HINT, said_of

_ENDLESS = 100_000


def to_json(document: Mapping[str, Any]) -> str:
    """One document, indented."""
    return json.dumps(document, indent=2, ensure_ascii=False)


def pending_line(waiting: Mapping[str, Any]) -> str:
    """What waits for approval: sync, `source.table.column`, change."""
    place = ".".join(waiting[k] for k in ("source", "table", "column") if waiting[k])
    return f"{waiting['sync']}: {place}: {waiting['change']}"


def approval_lines(document: Mapping[str, Any]) -> list[str]:
    """What waits, old beside new, and for each column of such a sync the rule that is suggested."""
    lines = []
    for waiting in document["pending"]:
        lines.append(pending_line(waiting))
        lines += [f"  {k}: {waiting[k]}" for k in ("old", "new") if waiting[k] is not None]
    for sync in document["syncs"]:
        by = f" by {sync['actor']}" if sync["actor"] else ""
        asked = f", asked for by {sync['author']}" if sync["author"] else ""
        lines.append(f"{sync['sync']}: {sync['state']}{by}{asked}")
        columns = [c for c in document["columns"] if c["sync"] == sync["sync"]]
        for c in columns:
            differs = "" if c["rule"] == c["suggested"] else f", not {c['rule']}"
            lines.append(
                f"  {c['column']} as {c['field']} ({c['class']}): suggested {c['suggested']}"
                f"{differs}. {c['why']}"
            )
    return lines


def console() -> Console:
    """What prints: a terminal breaks lines, a pipe or a file does not."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else _ENDLESS)


def wrapped(line: str, width: int) -> list[str]:
    """A line of at most `width` columns each, broken between words and indented where it goes on.

    Pure. A word that is longer stays whole, so that it can be copied.
    """
    indent = " " * (len(line) - len(line.lstrip()) + 2)
    return textwrap.wrap(
        line, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    ) or [""]


def _say(to: Console, line: str) -> None:
    for part in wrapped(line, to.width):
        to.print(part, markup=False, soft_wrap=True)


def _table(*names: str) -> Table:
    """Without lines; what is too long goes on below instead of being cut off."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in names:
        table.add_column(name, header_style="dim", overflow="fold")
    return table


def _counts(to: Console, items: Sequence[str], *, indent: str = "") -> None:
    """Counts side by side, broken between two of them."""
    line = ""
    for item in items:
        if line and len(indent) + len(line) + 3 + len(item) > to.width:
            to.print(indent + line, soft_wrap=True)
            line = ""
        line = f"{line}   {item}" if line else item
    to.print(indent + line, soft_wrap=True)


def plan_text(result: PlanResult) -> None:
    """The plan as a bill."""
    to = console()
    for sync in result.syncs:
        _bill(to, sync)
    _left_behind(to, result.left_behind)


def _left_behind(to: Console, found: Sequence[Recipient]) -> None:
    """Recipients that no sync goes to any more."""
    for recipient in found:
        _say(to, f"left behind: {said_of(recipient)}")
    if found:
        _say(to, f"  \u2192 {HINT}")


def _bill(to: Console, sync: SyncPlan) -> None:
    document = sync.to_dict()
    where = document["destination"]
    country = f" in {where['country']}" if where["country"] else ""
    to.print(
        f"\n[bold]{document['sync']}[/bold]  {document['mode']}  →  {where['platform']}  "
        f"purpose: {document['purpose'] or 'none bound'}"
    )
    to.print(f"{where['kind']}: {where['processor'] or 'no owner named'}{country}")
    for transfer in where["transfers"]:
        by = transfer["mechanism"] or "not allowed"
        _say(to, f"transfer to {transfer['country']}: {by}")
    _consent(to, document["consent"], counted=sync.counts is not None)
    table = _table("column", "class", "rule", "changed in", "leaves as")
    for c in document["columns"]:
        table.add_row(c["from"], c["class"], c["rule"], c["where"], c["to"])
    to.print(table)
    rows = document["rows"]
    shown = ["added", "changed", "removed", "unchanged", "withheld_consent", "suppressed"]
    extra = ("in_doubt", "resend", "due", "rejected_before", "no_identifier", "outside")
    shown += [name for name in extra if rows[name]]
    if sync.counts is None:
        _say(to, "no row was read" + _unread(document["refusals"]))
    else:
        _counts(to, [f"{name.replace('_', ' ')} {rows[name]:,}" for name in shown])
    if document["bytes_scanned"] is not None:
        size = decimal(document["bytes_scanned"])
        to.print(f"one reading of the model scans {size}, as the source says")
    if sync.never_asked:
        _say(to, f"source: compiled, not run: no {sync.never_asked} was ever asked (see doctor)")
    clear = [c["to"] for c in document["columns"] if c["rule"] == "clear"]
    if where["kind"] == "external" and clear:
        to.print(f"[yellow]in clear[/yellow] to a third party: {', '.join(clear)}")
    for c in document["columns"]:
        _values(to, c, f"{c['to']}: ")
    _values(to, {"outside_repertoire": rows["outside_worker"]}, "")
    _mapped_no_more(to, document["mapped_no_more"])
    _object(to, document)
    _sample(to, sync)
    for refusal in document["refusals"]:
        column = f" ({refusal['column']})" if refusal["column"] else ""
        to.print(f"[red]refused[/red] {refusal['code']}{column}: {refusal['message']}")


def _unread(refusals: Sequence[Mapping[str, Any]]) -> str:
    first = any(r["code"] == "not_approved" for r in refusals)
    return ": they are counted from the first approval on" if first else ""


def _consent(to: Console, consent: Mapping[str, Any] | None, *, counted: bool) -> None:
    """What states consent, on what basis and notice, and that it says yes of everybody."""
    if consent is None:
        return
    parts = [f"{kind} {consent[kind]}" for kind in ("column", "table") if consent[kind]]
    named = (("lawful_basis", "basis"), ("notice_version", "notice"))
    parts += [f"{word}: {consent[key]}" for key, word in named if consent[key]]
    if counted:
        parts.append(f"grants {consent['granted']:,} rows")
    if consent["constant"]:
        why = consent["constant_reason"]
        parts.append(f"every row (approved: {why})" if why else "every row")
    _say(to, f"consent: {', '.join(parts)}")


_HOW_VALUES_CAME = {
    "already_hashed": "hashed already, sent as given (whether normalised as the platform wants "
    "cannot be known)",
    "unusable": "without a digest (not of the field's form, or of another algorithm)",
    "outside_repertoire": "hashed in the worker, in memory (phones, other scripts, base64; "
    "`outside_repertoire: withhold` forbids it)",
}


def _values(to: Console, counts: Mapping[str, Any], before: str) -> None:
    """How values that leave as match hashes came, where there is something to say."""
    for name, text in _HOW_VALUES_CAME.items():
        if counts.get(name):
            _say(to, f"{before}values {text}: {counts[name]:,}")


def _sample(to: Console, sync: SyncPlan) -> None:
    """Some rows that go out: of each value its beginning and size, and of each digest a part."""
    for number, row in enumerate(sync.sample, start=1):
        table = _table(f"row {number}", "before", "leaves as", "after")
        for cell in row:
            column, field = map(sync.compiled.shown.name, (cell.column, cell.to))
            table.add_row(*map(escape, (column, cell.before, field, cell.after)))
        to.print(table)


def _mapped_no_more(to: Console, found: Mapping[str, Any]) -> None:
    """What the run takes out first, though no row says so."""
    counts = ", ".join(f"{i['field']} {i['count']:,}" for i in found["identifiers"])
    if not counts:
        return
    _say(to, f"taken out first, mapped no more: {counts}; who had it goes again by the others")
    if found["asks_first"]:
        total = sum(i["count"] for i in found["identifiers"])
        _say(to, f"  \u2192 The run asks before that: --accept removals={total}")


def _object(to: Console, document: Mapping[str, Any]) -> None:
    """Whether what was delivered before is still there."""
    found = document["object"]
    if found["forgotten"]:
        to.print(
            f"[yellow]new audience[/yellow]: the one that {found['forgotten']:,} rows were "
            "delivered to is gone from the destination, so everything goes again"
        )
    if found["unasked"]:
        to.print(
            f"[yellow]not asked[/yellow] \\[{found['unasked']}]: whether the audience is still "
            "there; the counts take it as being there"
        )


def run_text(result: RunResult) -> None:
    """How each run ended, one line and its counts."""
    to = console()
    colours = {"succeeded": "green", "no_changes": "green", "partial": "yellow", "held": "yellow"}
    for sync in result.syncs:
        document = sync.to_dict()
        colour = colours.get(document["status"], "red")
        seconds = document["seconds"]
        delivered = document["rows"]["delivered"] + document["rows"]["removed"]
        speed = f", {delivered / seconds:,.0f} rows/s" if 0 < seconds <= delivered else ""
        to.print(
            f"[bold]{document['sync']}[/bold] [{colour}]{document['status']}[/{colour}] "
            f"in {seconds:.1f} s{speed}"
        )
        shown = [f"{k.replace('_', ' ')} {v:,}" for k, v in document["rows"].items() if v]
        if shown:
            _counts(to, shown, indent="  ")
        _values(to, document["values"], "  ")
        _object(to, document)
        age = document["age_at_purge_seconds"]
        if document["batches"]:
            to.print(
                f"  held in memory: p50 {age['p50']:.1f} s, p95 {age['p95']:.1f} s, "
                f"longest {age['max']:.1f} s; kept: nothing"
            )
        _withdrawals(to, document["withdrawal_seconds"])
        if document["status"] == "cancelled":
            to.print("  stopped; `mayfly run` goes on from there, nothing is lost")
        error = document.get("error")
        if error:
            _say(to, f"  {error['message']} [{error['code']}]")
            if error["hint"]:
                _say(to, f"  → {error['hint']}")
        if sync.withdrawals_held:
            _say(to, "  nobody who withdrew was taken out")
    _left_behind(to, result.left_behind)


def _withdrawals(to: Console, times: Mapping[str, Any]) -> None:
    """How long withdrawals took to the destination's answer; past a day it is an alert."""
    if times["answered"]:
        hours = {k: times[k] / 3600 for k in ("p50", "p95", "max")}
        _say(
            to,
            f"  withdrawals answered: {times['answered']:,}, after p50 {hours['p50']:,.1f} h, "
            f"p95 {hours['p95']:,.1f} h, longest {hours['max']:,.1f} h",
        )
    if times["waiting"]:
        _say(to, f"  withdrawals without an answer: {times['waiting']:,}; the next run goes on")
    if times["late"]:
        to.print(
            f"  [red]alert[/red]: {times['late']:,} withdrawals were not answered within 24 hours"
        )


def runs_text(runs: Sequence[Mapping[str, Any]]) -> None:
    """Past runs, one line each."""
    table = _table()
    table.add_column("run", header_style="dim", no_wrap=True)
    for name in ("sync", "ended as"):
        table.add_column(name, header_style="dim", overflow="fold")
    for name in ("delivered", "removed"):
        table.add_column(name, header_style="dim", justify="right", no_wrap=True)
    for run in runs:
        rows, code = run["rows"], run["error_code"]
        table.add_row(
            run["run"],
            f"{run['sync']} ({run['target']})",
            f"{run['status']}: {code}" if code else run["status"],
            f"{rows.get('delivered', 0):,}",
            f"{rows.get('removed', 0):,}",
        )
    console().print(table)


def yaml_text(name: str) -> str:
    """A name as a YAML scalar: plain where it can only be read as that text."""
    import orjson

    plain = re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", name) is not None
    taken = name.casefold() in ("null", "true", "false", "yes", "no", "on", "off", "y", "n")
    return name if plain and not taken else orjson.dumps(name).decode()
