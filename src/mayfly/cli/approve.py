"""`mayfly approve`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mayfly.cli.options import (
    HERE,
    Output,
    OutputOption,
    ProjectOption,
    SyncsArgument,
    TargetOption,
)
from mayfly.cli.options import print_result as _print
from mayfly.cli.waiting import tell_act

if TYPE_CHECKING:
    from mayfly.api import Project

_SIGNATURE_MOST = 64 * 1024


def approve(
    syncs: SyncsArgument = None,
    project: ProjectOption = HERE,
    target: TargetOption = "dev",
    output: OutputOption = Output.TEXT,
    *,
    everything: Annotated[bool, typer.Option("--all", help="Approve without asking.")] = False,
    reject: Annotated[
        bool, typer.Option("--reject", help="Refuse the syncs named, as they are now.")
    ] = False,
    request: Annotated[
        bool, typer.Option("--request", help="Of two people: ask, as the author.")
    ] = False,
    people: Annotated[
        bool, typer.Option("--people", help="The list of people instead of syncs.")
    ] = False,
    ai: Annotated[
        bool, typer.Option("--ai", help="The transfer of AI at global instead of syncs.")
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Verify approvals.lock alone, as CI does.")
    ] = False,
    known: Annotated[
        str | None,
        typer.Option(
            metavar="DIGEST", help="With --check: of a list of people that was accepted before."
        ),
    ] = None,
    to_sign: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write what is to be signed, and no more.")
    ] = None,
    sign: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Hand in what `ssh-keygen -Y sign` made.")
    ] = None,
) -> None:
    """Pin columns, classes, mapping, consent and addresses; without --all, list what waits."""
    from mayfly.api import load

    names = tuple(syncs or ())
    if check:
        _check(names or everything or reject or request or people or to_sign or sign)
        _show_check(project, target, output, known)
        return
    if known is not None:
        raise typer.BadParameter("--known goes with --check.")
    if ai:
        _refuse_beside_ai(names or reject or people)
    _refuse_odd(names, everything=everything, reject=reject, people=people)
    _refuse_odd_files(everything or reject, request, to_sign, sign)
    loaded = load(project, target=target)
    if to_sign is not None:
        _write(to_sign, _to_sign(loaded, names, request=request, people=people, ai=ai))
        written = {"schema": "mayfly/approve/1", "ok": True, "pending": [], "approved": []}
        _print(output, written, [f"wrote {to_sign.name}; sign it with: {_how(to_sign)}"])
        return
    signature = None if sign is None else _read(sign)
    decided = everything or signature is not None
    if ai:
        found = loaded.ai_transfer(accept=everything, request=request, signature=signature)
        _print(output, found, _ai_lines(found["ai"]))
    elif people:
        found = loaded.people(accept=everything, request=request, signature=signature)
        _tell(loaded, acted=decided)
        _print(output, found, _people_lines(found["people"]))
    elif reject or decided:
        _decide(loaded, names, output, reject=reject, request=request, signature=signature)
    else:
        _show(loaded, names, output)


def _decide(
    loaded: Project,
    names: tuple[str, ...],
    output: Output,
    *,
    reject: bool,
    request: bool,
    signature: str | None,
) -> None:
    """Of syncs: reject them, approve them, or take a signature."""
    if reject:
        document = loaded.reject(*names)
        lines = [f"rejected {r['sync']}" for r in document["rejected"]]
    else:
        document = loaded.approve(*names, request=request, signature=signature)
        lines = _approved_lines(document) or ["Nothing to approve."]
    _tell(loaded, acted=True)
    _print(output, document, lines)


def _refuse_odd_files(
    decided: bool, request: bool, to_sign: Path | None, sign: Path | None
) -> None:
    if (decided and (request or to_sign or sign)) or (to_sign and sign):
        raise typer.BadParameter("--all, --reject, --to-sign and --sign exclude each other.")
    if request and not (to_sign or sign):
        raise typer.BadParameter("--request needs --to-sign FILE, or --sign FILE.")


def _refuse_beside_ai(others: object) -> None:
    if others:
        raise typer.BadParameter("--ai is about no sync: neither a name, --people nor --reject.")


def _ai_lines(found: dict[str, Any]) -> list[str]:
    lines = [
        f"{p['name']}: {p['legal_name']}, {p['purpose']}, {', '.join(p['locations'])} "
        f"({p['mechanism'] or 'nothing carries a transfer'})"
        for p in found["processors"]
    ]
    if found["author"]:
        lines.append(f"asked for by {found['author']}")
    if found["actor"]:
        return [*lines, f"approved by {found['actor']} on {found['at'][:10]}"]
    if found["waits"]:
        how = "signed by two people: --request, then --sign" if found["two_people"] else "--all"
        return [*lines, f"AI stays off until this is approved: {how}."]
    return [*lines, f"AI is {found['ai']}: there is no transfer to approve."]


def _check(others: object) -> None:
    if others:
        raise typer.BadParameter("--check takes no sync, and nothing else is done with it.")


_BELIEVED = ", by the file's own first list: give --known DIGEST of one that was accepted"


def _show_check(project: Path, target: str, output: Output, known: str | None) -> None:
    from mayfly.api.approving import check

    document = check(project, target=target, known=known)
    lines = [
        f"{c['sync'] or 'people'} {c['target'] or ''}: {c['code'] or 'holds'}"
        + (f", asked for by {c['author']}, approved by {c['actor']}" if c["author"] else "")
        + ("" if c["sync"] or c["known"] else _BELIEVED)
        for c in document["checked"]
    ]
    _print(output, document, lines or ["There is nothing to check."])
    if not document["ok"]:
        raise typer.Exit(3)


def _refuse_odd(names: tuple[str, ...], *, everything: bool, reject: bool, people: bool) -> None:
    if people and (names or reject):
        raise typer.BadParameter("--people is about no sync.")
    if reject and everything:
        raise typer.BadParameter("--all, --reject, --to-sign and --sign exclude each other.")
    if reject and not names:
        raise typer.BadParameter("--reject needs the name of a sync.")


def _show(loaded: Project, names: tuple[str, ...], output: Output) -> None:
    from mayfly.cli.render import approval_lines

    document = loaded.pending(*names)
    lines = approval_lines(document)
    last = "Approve with --all, or refuse with --reject." if document["pending"] else ""
    _print(output, document, [*lines, last or "Nothing waits."])


def _tell(loaded: Project, *, acted: bool) -> None:
    if acted:
        tell_act(loaded)


def _approved_lines(document: dict[str, Any]) -> list[str]:
    lines = [
        f"approved {a['sync']} by {a['actor']}"
        + (" (self-approved by the only member)" if a.get("self_approved") else "")
        for a in document.get("approved", [])
    ]
    asked = document.get("requested", [])
    return lines + [f"asked for {a['sync']} by {a['author']}" for a in asked]


def _people_lines(people: dict[str, Any]) -> list[str]:
    names = ", ".join(people["names"]) or "nobody"
    same = people["digest"] == people["in_force"]
    return [
        f"approvals: {people['approvals']}; people: {names}",
        f"digest of the project files' list: {people['digest']}",
        "It is in force."
        if same
        else f"In force is another one: {people['in_force']}."
        if people["in_force"]
        else "None is in force. Compare the digest, then accept it with --all.",
    ]


def _to_sign(
    loaded: Project, names: tuple[str, ...], *, request: bool, people: bool, ai: bool
) -> bytes:
    if people:
        return loaded.people_to_sign(request=request)
    if ai:
        return loaded.ai_to_sign(request=request)
    return loaded.to_sign(*names, request=request)


def _write(file: Path, text: bytes) -> None:
    from mayfly.domain.errors import ConfigError

    try:
        file.write_bytes(text)
    except OSError as error:
        raise ConfigError(
            "file_unwritable", f"The file for --to-sign cannot be written (error {error.errno})."
        ) from None


def _read(file: Path) -> str:
    from mayfly.domain.errors import ConfigError

    try:
        with file.open("rb") as stream:
            return stream.read(_SIGNATURE_MOST).decode("ascii", "replace")
    except OSError as error:
        raise ConfigError(
            "file_unreadable", f"The file for --sign cannot be read (error {error.errno})."
        ) from None


def _how(file: Path) -> str:
    from mayfly.services.two_people import NAMESPACE

    return f"ssh-keygen -Y sign -n {NAMESPACE} -f KEY {file.name}"
