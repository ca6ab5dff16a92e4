"""Commands that need no project: they check, prove, measure and show."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated

import typer

from mayfly.cli.options import Output, OutputOption, print_result


def hash_command(
    *,
    show_normalised: Annotated[
        bool, typer.Option("--show-normalised", help="Only on a terminal.")
    ] = False,
) -> None:
    """Hash JSON Lines from standard input by a platform's rule; no project needed."""
    import json

    from mayfly.services.hash_values import hash_lines

    shown = show_normalised and sys.stdout.isatty()
    for line in hash_lines(sys.stdin.buffer, show_normalised=shown):
        sys.stdout.write(json.dumps(line, ensure_ascii=False) + "\n")


_MARKER_MIN = 4  # in noise, fewer would be found by chance


def scan(
    paths: Annotated[list[Path] | None, typer.Argument(help="Files and folders.")] = None,
    values: Annotated[
        list[Path] | None, typer.Option("--values", help="Check each line of a file.")
    ] = None,
    marker: Annotated[
        list[str] | None,
        typer.Option("--marker", help="Look for this text instead, in every encoding."),
    ] = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """Find clear personal values in files, in any encoding. Exit 1 where something was found."""
    import json

    from mayfly.services.scan_paths import scan_paths, scan_values

    if any(len(text) < _MARKER_MIN for text in marker or ()):
        raise typer.BadParameter(f"--marker needs {_MARKER_MIN} characters or more.")
    if values and marker:
        raise typer.BadParameter("give --values or --marker, not both.")
    if values:
        found = False
        for path in values:
            for line in scan_values(path):
                found = True
                typer.echo(json.dumps(line))
        raise typer.Exit(1 if found else 0)
    if not paths:
        raise typer.BadParameter("give paths to scan, or --values FILE.")
    known = marker or []
    found_in = scan_paths(paths, known_values=known, only_known=bool(known))
    findings = [f.to_dict() for f in found_in]
    document = {"schema": "mayfly/scan/1", "ok": not findings, "findings": findings}
    lines = [
        f"{f['path']}{' in ' + f['member'] if f['member'] else ''}: "
        f"{f['count']} × {f['class']} ({f['encoding']})"
        for f in findings
    ]
    nothing = "The marker was not found." if known else "No clear personal value found."
    print_result(output, document, lines or [nothing])
    raise typer.Exit(1 if findings else 0)


def verify(
    paths: Annotated[
        list[Path],
        typer.Argument(help="A ledger's folder or archive; files of reports; --proof: a proof."),
    ],
    key: Annotated[Path, typer.Option(help="Public key you trust.")],
    checkpoint: Annotated[list[Path] | None, typer.Option(help="Kept checkpoint.")] = None,
    proof: Annotated[
        bool, typer.Option("--proof", help="Check what `mayfly prove` printed.")
    ] = False,
    output: OutputOption = Output.TEXT,
) -> None:
    """Check a ledger offline: tree, signatures, pairing; or a proof, or reports and their .sig.

    Needs no project.
    """
    from mayfly.ledger import verify as checking

    kept = checkpoint or []
    if not proof and all(map(checking.is_report, paths)):
        found = [checking.verify_report(path, key, kept) for path in paths]
        told = checking.reports_document(found)
        print_result(output, told, [line for r in found for line in r.to_text().splitlines()])
        raise typer.Exit(0 if told["ok"] else 1)
    if len(paths) > 1:
        raise typer.BadParameter("give one ledger or one proof, or files of reports alone.")
    verify = checking.verify_proof if proof else checking.verify_ledger
    report = verify(paths[0], key, kept)
    document = report.to_dict()
    lines = report.to_text().splitlines()
    print_result(output, document, lines)
    raise typer.Exit(0 if document["ok"] else 1)


def sandbox(
    port: Annotated[int, typer.Option(min=1, max=65535, help="On 127.0.0.1.")] = 8765,
) -> None:
    """Serve strict fakes of the platforms on loopback, in memory."""
    from mayfly.sandbox.server import run_sandbox

    run_sandbox(port)


def bench(
    rows: Annotated[int, typer.Option(min=1_000, help="Rows of the large table.")] = 1_000_000,
    *,
    rivals: Annotated[
        bool, typer.Option("--rivals", help="Beside drt, dlt and ingestr: `make rivals`.")
    ] = False,
    scale: Annotated[
        bool, typer.Option("--scale", help="A tenth and ten times the rows, and four workers, too.")
    ] = False,
    output: OutputOption = Output.TEXT,
) -> None:
    """Measure Mayfly against a naive loop and the floor, in one run.

    PostgreSQL takes part where $MAYFLY_BENCH_POSTGRES names an empty database to fill. With
    --rivals, Mayfly, drt and dlt send the same rows to one HTTP address, and Mayfly and ingestr
    upsert the same table from one database to another, each alone; all of it must have come.

    With --scale, CPU for each row of a table of a tenth, once and ten times the rows, and the time
    of four syncs by one process and by four at the same time.
    """
    from mayfly.bench.main import run_bench

    document = run_bench(rows, with_rivals=rivals, with_scale=scale, quiet=output is Output.JSON)
    if output is Output.JSON:
        print_result(output, document, [])


def demo(
    folder: Annotated[Path, typer.Argument(help="New folder for the project.")] = Path(
        "demo-project"
    ),
    rows: Annotated[int, typer.Option(min=1_000, help="Customers.")] = 100_000,
) -> None:
    """Show the main job on synthetic customers: plan, approve, run, prove."""
    from mayfly.cli.demo.main import run_demo

    raise typer.Exit(run_demo(folder, rows))


WITHOUT_PROJECT: Mapping[str, Callable[..., None]] = {
    "hash": hash_command,
    "scan": scan,
    "verify": verify,
    "sandbox": sandbox,
    "bench": bench,
    "demo": demo,
}
"""By name, in the order of `--help`."""
