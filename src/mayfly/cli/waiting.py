"""`mayfly sweep` and `mayfly purge`: what waits, and its end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import typer

from mayfly.cli.options import (
    HERE,
    Output,
    OutputOption,
    ProjectOption,
    SyncsArgument,
    TargetOption,
    print_result,
    say,
)

if TYPE_CHECKING:
    from mayfly.api import Project


def sweep(
    project: ProjectOption = HERE,
    target: TargetOption = "dev",
    output: OutputOption = Output.TEXT,
) -> None:
    """End everything that is past its deadline. For cron; commands that write do it, too."""
    from mayfly.api import load

    loaded = load(project, target=target, ending=True)
    document = loaded.sweep()
    tell_left(loaded)
    print_result(output, document, swept_lines(document) or ["Nothing is past its deadline."])
    _exit(document)


def purge(
    syncs: SyncsArgument = None,
    project: ProjectOption = HERE,
    target: TargetOption = "dev",
    output: OutputOption = Output.TEXT,
) -> None:
    """End what waits, now: what no answer came for is dropped and not delivered."""
    from mayfly.api import load

    loaded = load(project, target=target, ending=True)
    document = loaded.purge(*(syncs or ()))
    tell_act(loaded)
    print_result(output, document, swept_lines(document) or ["Nothing waits."])
    _exit(document)


def swept_lines(document: Mapping[str, Any]) -> list[str]:
    """What was ended and what is left, one line each."""
    ended = [
        f"{e['sync']} ({e['target']}): {e['reason']}; {e['rows']:,} rows in {e['batches']:,} "
        f"batches without an answer are dropped, {e['in_doubt']:,} of them in doubt"
        for e in document["purged"]
    ]
    return ended + [_left_line(e) for e in document["left"]]


def _left_line(left: Mapping[str, Any]) -> str:
    if left["what"] == "spool":
        return f"the spool could not be looked through for what a crash left [{left['code']}]"
    what = {"copy": "a working copy", "sealed": "sealed batches"}[left["what"]]
    return (
        f"{left['sync']} ({left['target']}): {what} of run {left['run']} could not be ended "
        f"[{left['code']}]"
    )


def held_lines(held: Sequence[Mapping[str, Any]]) -> list[str]:
    """What is held, by class."""
    if not held:
        return ["Mayfly holds no row."]
    return [
        f"{_PLACES.get(h['class'], 'held')} ({h['class']}): {_number(h['rows'])} rows in "
        f"{_number(h['batches'])} batches of {h['copies']} plans, the oldest of "
        f"{h['oldest_read_at'][:16]}; purged by {h['purge_by'][:16]} at the latest"
        for h in held
    ]


def remains_lines(remains: Sequence[Mapping[str, Any]]) -> list[str]:
    """Sealed batches that cannot be opened any more and are not gone yet."""
    return [
        f"{r['sync']} ({r['target']}): sealed bytes of {r['batches']:,} batches of run {r['run']} "
        "may be there; nothing opens them any more, and `mayfly sweep` removes them"
        for r in remains
    ]


def away_lines(away: Sequence[Mapping[str, Any]]) -> list[str]:
    """Destinations that were away when they were last asked."""
    return [
        f"{a['destination']} is away since {a['since'][:16]} [{a['code']}], {a['failures']:,} "
        "failures in a row; asked again "
        + (f"from {a['asked_again_at'][:16]}" if a["asked_again_at"] else "by the next run")
        for a in away
    ]


def pending_lines(pending: Sequence[Mapping[str, Any]]) -> list[str]:
    """Syncs that wait for approval, and are asked for no longer than 30 days."""
    return [
        f"{p['sync']} waits for approval since {p['since'][:16]}: `mayfly approve {p['sync']}`; "
        f"forgotten from {p['expires_at'][:16]}"
        for p in pending
    ]


def waiting_line(syncs: Sequence[str], seconds: float) -> str:
    """What `mayfly run --wait` is waiting for."""
    return f"held: {', '.join(syncs)}; run again in {seconds:,.0f} s. Ctrl-C ends the waiting."


_PLACES = {"temporary": "held in your warehouse", "customer_data": "held sealed"}


def _number(count: int | None) -> str:
    return "an unknown number of" if count is None else f"{count:,}"


def _exit(document: Mapping[str, Any]) -> None:
    if document["left"]:
        raise typer.Exit(4)


def left_behind_lines(found: Sequence[Mapping[str, Any]]) -> list[str]:
    """Recipients that no sync goes to any more, and who must act."""
    from mayfly.ports.ledger import Recipient
    from mayfly.services.left_behind import HINT, said_of

    lines = [said_of(Recipient(**each)) for each in found]
    return [*lines, f"  \u2192 {HINT}"] if lines else []


def warn_overdue(number: int) -> None:
    """A command that writes nothing says what one that writes would end first."""
    if number:
        say(
            [
                f"{number:,} working copies or sealed batches are past the day after which nothing "
                "of them may be there: `mayfly sweep` ends them."
            ],
            err=True,
        )


def tell_act(loaded: Project) -> None:
    """What an act ended first; and what the next act tries again: keys whose epoch was not kept,
    and anchors that did not take the ledger's new head.
    """
    say(swept_lines(loaded.swept.to_dict("sweep")), err=True)
    tell_left(loaded)


def tell_left(loaded: Project) -> None:
    """See `tell_act`."""
    if loaded.epoch_code:
        say([f"keys: their epoch is over and was not ended [{loaded.epoch_code}]"], err=True)
    failed = loaded.unanchored
    say([f"anchor {r.name}: the checkpoint did not arrive [{r.code}]" for r in failed], err=True)
