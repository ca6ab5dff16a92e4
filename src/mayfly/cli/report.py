"""`mayfly report`: what the ledger proves, for people who must answer for it."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from mayfly.cli.options import (
    HERE,
    Output,
    OutputOption,
    ProjectOption,
    TargetOption,
    print_result,
)
from mayfly.cli.waiting import tell_act

report_app = typer.Typer(help="Reports for who must answer for it.", no_args_is_help=True)
_DAY = "%Y-%m-%d"
SinceOption = Annotated[
    datetime | None, typer.Option("--since", formats=[_DAY], help="From this day on, UTC.")
]
UntilOption = Annotated[
    datetime | None, typer.Option("--until", formats=[_DAY], help="Before this day, UTC.")
]


FolderArgument = Annotated[Path, typer.Argument(help="Folder that its files go into.")]


class Article(enum.StrEnum):
    """Paragraphs of GDPR Article 30."""

    CONTROLLER = "30.1"
    PROCESSOR = "30.2"


@report_app.command("security")
def security(
    folder: FolderArgument,
    project: ProjectOption = HERE,
    target: TargetOption = "dev",
    output: OutputOption = Output.TEXT,
    *,
    since: SinceOption = None,
    until: UntilOption = None,
) -> None:
    """Write the security and retention report: HTML, JSON and CSV, each with its signature."""
    from mayfly.api import load

    loaded = load(project, target=target)
    document = loaded.make_report("security", folder, since=_utc(since), until=_utc(until))
    print_result(output, document, _written(document))


@report_app.command("record")
def record(
    folder: FolderArgument,
    project: ProjectOption = HERE,
    target: TargetOption = "dev",
    output: OutputOption = Output.TEXT,
    *,
    article: Annotated[
        Article,
        typer.Option("--for", help="30.2: the processor's. 30.1: what the controller's needs."),
    ] = Article.PROCESSOR,
) -> None:
    """Write the record of GDPR Article 30(2) from the configuration as it is, signed.

    With --for 30.1: purposes, people, categories, recipients and limits of erasure, for the
    customer's own record. What changed is another version, noted on the ledger.
    """
    from mayfly.api import load

    loaded = load(project, target=target)
    document = loaded.make_report(
        "record" if article is Article.PROCESSOR else "recipients", folder
    )
    tell_act(loaded)
    print_result(output, document, _written(document))


@report_app.command("privacy-page")
def privacy_page(
    file: Annotated[Path, typer.Argument(help="HTML file; one that is there is replaced.")],
    project: ProjectOption = HERE,
    target: TargetOption = "dev",
    output: OutputOption = Output.TEXT,
) -> None:
    """Write the public privacy page: only sentences whose mechanism works now.

    Exit 1 where `organisation` names no contact or no data protection officer.
    """
    from mayfly.api import load

    document = load(project, target=target).privacy_page(file)
    left_out = ", ".join(document["left_out"])
    print_result(
        output,
        document,
        [
            f"wrote {document['path']}: {len(document['says'])} sentences hold",
            f"left out, as their mechanism is not on: {left_out or 'none'}",
        ],
    )


def _written(document: Mapping[str, Any]) -> list[str]:
    version = f", version {document['version']}" if document["version"] else ""
    return [
        *(f"wrote {f['path']} and its .sig" for f in document["files"]),
        f"says {document['content_sha256'][:16]}…{version}; check it with "
        "`mayfly verify FILE --key key.pub`, by a key that you kept",
    ]


@report_app.command("retention")
def retention(
    project: ProjectOption = HERE,
    target: TargetOption = "dev",
    output: OutputOption = Output.TEXT,
    *,
    since: SinceOption = None,
    until: UntilOption = None,
) -> None:
    """How long rows and working copies stayed, and what is still there. Exit 1 beyond a cap."""
    _report("retention", project, target, output, since, until)


@report_app.command("erasure")
def erasure(
    project: ProjectOption = HERE,
    target: TargetOption = "dev",
    output: OutputOption = Output.TEXT,
    *,
    since: SinceOption = None,
    until: UntilOption = None,
) -> None:
    """When sealed batches were erased, and when the keys that wrapped theirs were destroyed.

    Exit 1 beyond a cap.
    """
    _report("erasure", project, target, output, since, until)


def _report(
    kind: str,
    project: Path,
    target: str,
    output: Output,
    since: datetime | None,
    until: datetime | None,
) -> None:
    from mayfly.api import load

    document = load(project, target=target).report(kind, since=_utc(since), until=_utc(until))
    told = _erasure_lines if kind == "erasure" else _retention_lines
    lines = [
        f"{kind.capitalize()}, {_day(document['since'], 'the beginning')} to "
        f"{_day(document['until'], 'now')}, from the ledger alone",
        *told(document),
        *_trust(document),
    ]
    print_result(output, document, lines)
    if not document["ok"]:
        raise typer.Exit(1)


def prove(
    project: ProjectOption = HERE,
    target: TargetOption = "dev",
    *,
    old_size: Annotated[
        int | None,
        typer.Option("--from", min=1, metavar="SIZE", help="Size that an older checkpoint states."),
    ] = None,
    entry: Annotated[
        int | None, typer.Option("--entry", min=0, metavar="N", help="`seq` of an entry.")
    ] = None,
    size: Annotated[
        int | None,
        typer.Option(
            "--to",
            min=1,
            metavar="SIZE",
            help="Size of the tree it is proven for.",
            show_default="all entries",
        ),
    ] = None,
) -> None:
    """Print a proof, in JSON, that `mayfly verify --proof` checks without the ledger.

    With --from: that nothing which the older checkpoint covers was changed or taken away. With
    --entry: that the entry is in the ledger.
    """
    from mayfly.api import load

    if (old_size is None) == (entry is None):
        raise typer.BadParameter("give --from SIZE or --entry N, one of the two.")
    document = load(project, target=target).prove(old_size=old_size, entry=entry, size=size)
    print_result(Output.JSON, document, [])


def _utc(day: datetime | None) -> datetime | None:
    return None if day is None else day.replace(tzinfo=UTC)


def _day(time: str | None, without: str) -> str:
    return time.partition("T")[0] if time else without


def _erasure_lines(document: Mapping[str, Any]) -> list[str]:
    """Batches with one fate in one paragraph."""
    alike: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
    for b in document["batches"]:
        what = b["cryptographic"]
        open_ = b["logical_at"] is None, b["key_destroyed_at"] is None
        fate = (*open_, b["reason"], what["at"], what["state"], *what["waits_for"])
        alike.setdefault((b["sync"], b["target"], b["run"], *fate), []).append(b)
    lines = []
    for (sync, target, run, *_), batches in alike.items():
        last = batches[-1]
        rows = sum(b["rows"] for b in batches)
        # In the order of their ends; what waits, in that of its begin.
        ends = dict.fromkeys(_minute(b["logical_at"]) for b in (batches[0], last))
        logical = f"{' to '.join(ends)} ({last['reason']})"
        lines += [
            f"{sync} ({target}), run {run}: {rows:,} rows in {len(batches):,} batches, sealed "
            f"{_minute(batches[0]['sealed_at'])}",
            f"  logical erase: {logical}"
            if last["logical_at"]
            else f"  logical erase: waits, no later than {_minute(batches[0]['purge_by'])}"
            + _keyless(batches[0]["key_destroyed_at"]),
            f"  cryptographic erase: {_cryptographic(last['cryptographic'])}",
        ]
    return lines or ["no batch was sealed, or none was erased then"]


def _keyless(time: str | None) -> str:
    return f"; its key was destroyed {_minute(time)}, its sealed bytes are left" if time else ""


def _cryptographic(what: Mapping[str, Any]) -> str:
    versions = ", ".join(what["waits_for"])
    match what["state"]:
        case "final":
            return _minute(what["at"])
        case "pending":
            return f"{_minute(what['at'])}; until then key version {versions} can be restored"
        case "open":
            return f"open: key version {versions}"
    return "not on record: sealed before versions of the key were recorded"


def _minute(time: str | None) -> str:
    return time[:16].replace("T", " ") if time else ""


def _retention_lines(document: Mapping[str, Any]) -> list[str]:
    lines = []
    for item in document["classes"]:
        age = item["age_at_purge_seconds"]
        lines += [
            f"{item['class']}: {item['what']}: {item['count']:,}",
            f"  age at purge: p50 {_span(age['p50'])}, p95 {_span(age['p95'])}, longest "
            f"{_span(age['max'])}",
            f"  over the target of {_span(item['target_seconds'])}: {item['over_target']:,}; over "
            f"the cap of {_span(item['cap_seconds'])}: {item['over_cap']:,}",
        ]
    lines.append(f"expired undelivered: {document['expired']:,}")
    return lines + (
        [
            f"open: {o['sync']} ({o['target']}), {o['reason'] or 'its run said nothing'}, for "
            f"{_span(o['age_seconds'])}, purged by {o['purge_by'][:16]}"
            for o in document["open"]
        ]
        or ["open: nothing"]
    )


def _trust(document: Mapping[str, Any]) -> list[str]:
    """What the report rests on."""
    lines = []
    if not document["anchored"]:
        lines.append(
            "not anchored: no checkpoint of the whole ledger is kept elsewhere, so its owner could "
            "have written it anew"
        )
    keys = document["keys"]
    if keys["protection"] != "hsm":
        lines.append(f"keys in no HSM: provider {keys['provider']}, {keys['protection']}")
    lines += [
        f"anchor {a['name']}: {a['entries']:,} entries" + (f" [{a['code']}]" if a["code"] else "")
        for a in document["anchors"]
    ]
    return lines


def _span(seconds: float) -> str:
    """A length of time in the largest unit that it fills twice."""
    for name, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {name}".replace(".0 ", " ")
    return f"{seconds:.1f} s"
