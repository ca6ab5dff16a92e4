"""The commands. Everything heavy is imported by the command that needs it."""

from __future__ import annotations

import enum
import sys
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from mayfly.cli.access import access
from mayfly.cli.alerts import alerts_app
from mayfly.cli.approve import approve
from mayfly.cli.asking import add_asking, next_text, pause_text
from mayfly.cli.audit import audit_app
from mayfly.cli.classify import classify
from mayfly.cli.connect import connect
from mayfly.cli.dbt import dbt_app
from mayfly.cli.erase import due_lines, erase_app
from mayfly.cli.importing import import_app
from mayfly.cli.incidents import incidents_app
from mayfly.cli.keys import keys_app
from mayfly.cli.ledger import ledger_app
from mayfly.cli.mapping import map_, try_destination
from mayfly.cli.network import network_policy
from mayfly.cli.options import (
    HERE,
    Output,
    OutputOption,
    ProjectOption,
    SyncsArgument,
    TargetOption,
    WaitOption,
)
from mayfly.cli.options import print_result as _print
from mayfly.cli.processors import processors_app
from mayfly.cli.report import prove, report_app
from mayfly.cli.residency import residency
from mayfly.cli.scaffold.new import new_app
from mayfly.cli.serve import serve, worker
from mayfly.cli.state import state_app
from mayfly.cli.suppress import suppress_app
from mayfly.cli.uninstall import uninstall
from mayfly.cli.upgrade import upgrade
from mayfly.cli.waiting import (
    away_lines,
    held_lines,
    left_behind_lines,
    pending_lines,
    purge,
    remains_lines,
    sweep,
    tell_act,
    waiting_line,
    warn_overdue,
)
from mayfly.cli.without_project import WITHOUT_PROJECT
from mayfly.cli.workspace import workspace_app

app = typer.Typer(
    name="mayfly",
    help="Moves customer data from your warehouse to the platforms that act on it, and keeps no "
    "row once it is delivered.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(suppress_app, name="suppress")
app.add_typer(alerts_app, name="alerts")
app.add_typer(erase_app, name="erase")
app.add_typer(workspace_app, name="workspace")
app.add_typer(audit_app, name="audit")
app.add_typer(incidents_app, name="incidents")
app.add_typer(state_app, name="state")
app.add_typer(keys_app, name="keys")
app.add_typer(ledger_app, name="ledger")
app.add_typer(report_app, name="report")
app.add_typer(processors_app, name="processors")
app.add_typer(dbt_app, name="dbt")
app.add_typer(import_app, name="import")
app.add_typer(new_app, name="new")


class Template(enum.StrEnum):
    """Projects that `init` can write."""

    DEMO = "demo"
    POSTGRES = "postgres"


DEMO_ROWS = 1_000


@app.callback(invoke_without_command=True)
def root(
    *,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Moves customer data, and keeps none of it."""
    if version:
        from mayfly.domain.version import VERSION

        typer.echo(VERSION)
        raise typer.Exit


@app.command()
def init(
    project: ProjectOption = HERE,
    template: Annotated[Template | None, typer.Option(help="Files to begin with.")] = None,
    target: TargetOption = "dev",
    output: OutputOption = Output.TEXT,
) -> None:
    """Make what is missing: project files from a template, store, keys, ledger."""
    from mayfly.bootstrap import initialise
    from mayfly.config.load import schema_for
    from mayfly.services.init_project import write_missing, write_schema

    project.mkdir(parents=True, exist_ok=True)
    files: list[str] = []
    if template is not None:
        files = write_missing(project, template=template.value)
    if template is Template.DEMO:
        files += _demo_warehouse(project)
    made = initialise(project, target=target)
    write_schema(project, schema_for(project))
    document = {"schema": "mayfly/init/1", "ok": True, "files": files, "made": made}
    _print(output, document, _made_lines(files, made))


def _demo_warehouse(project: Path) -> list[str]:
    from mayfly.cli.demo.customers import make_warehouse

    path = project / "shop.duckdb"
    if path.exists():
        return []
    make_warehouse(path, DEMO_ROWS)
    return [path.name]


def _made_lines(files: list[str], made: list[str]) -> list[str]:
    lines = [f"wrote {name}" for name in files] + [f"made {name}" for name in made]
    if not lines:
        return ["Nothing was missing."]
    return [
        *lines,
        "Next: `mayfly doctor` says what is still needed, `mayfly plan` what would leave.",
    ]


@app.command()
def validate(
    project: ProjectOption = HERE,
    target: TargetOption = "dev",
    output: OutputOption = Output.TEXT,
) -> None:
    """Read the project files and list every problem."""
    from mayfly.api.validating import validate as validated

    problems = validated(project, target=target)
    document = {
        "schema": "mayfly/validate/1",
        "ok": not problems,
        "problems": [p.to_dict() for p in problems],
    }
    lines = [p.to_text() for p in problems] or ["The project files are fine."]
    _print(output, document, lines)
    if problems:
        raise typer.Exit(1)


@app.command()
def doctor(
    project: ProjectOption = HERE,
    target: TargetOption = "dev",
    output: OutputOption = Output.TEXT,
    grants: Annotated[
        str | None,
        typer.Option(metavar="SOURCE", help="Only print the least rights needed at that source."),
    ] = None,
) -> None:
    """Connect to everything, check rights, and say how to repair what is wrong."""
    from mayfly.api.examine import WARNINGS, examine

    if grants is not None:
        from mayfly.api.grants import least_grants

        found = least_grants(project, grants, target=target)
        _print(output, found, found["grants"])
        return
    problems = examine(project, target=target)
    failed = [p for p in problems if p["code"] not in WARNINGS]
    document = {"schema": "mayfly/doctor/1", "ok": not failed, "problems": problems}
    lines = [f"{p['code']}: {p['message']}\n  → {p['hint']}".rstrip("\n →") for p in problems]
    if not failed:
        lines.append("Everything needed for a run is there.")
    _print(output, document, lines)
    if failed:
        raise typer.Exit(1)


@app.command()
def schema(project: ProjectOption = HERE) -> None:
    """Print the JSON Schema of the project files, with what the project's plug-ins add."""
    from mayfly.cli.render import to_json
    from mayfly.config.load import schema_for

    typer.echo(to_json(schema_for(project)))


@app.command()
def discover(
    source: Annotated[str, typer.Argument(help="Name of a source.")],
    project: ProjectOption = HERE,
    target: TargetOption = "dev",
    output: OutputOption = Output.TEXT,
) -> None:
    """List tables, columns and types of a source. Reads no row."""
    from mayfly.api.examine import discover_source
    from mayfly.cli.classify import discovered_lines

    document = discover_source(project, source, target=target)
    lines = discovered_lines(document["tables"])
    _print(output, document, lines or ["The source has no table."])


_SAMPLE_MAX = 20


@app.command()
def plan(
    syncs: SyncsArgument = None,
    project: ProjectOption = HERE,
    target: TargetOption = "dev",
    output: OutputOption = Output.TEXT,
    *,
    detailed_exitcode: Annotated[
        bool, typer.Option("--detailed-exitcode", help="Exit 2 where changes wait.")
    ] = False,
    sample: Annotated[
        int,
        typer.Option(min=0, max=_SAMPLE_MAX, help="Show so many rows masked; only on a terminal."),
    ] = 0,
) -> None:
    """Show what a run would do, like a bill. Counts only; writes nothing."""
    from mayfly.api import load
    from mayfly.cli.render import plan_text

    if sample and (output is Output.JSON or not sys.stdout.isatty()):
        # Parts of values are for a person's eyes, and for no file.
        raise typer.BadParameter("--sample shows on a terminal only, as text.")
    loaded = load(project, target=target)
    result = loaded.plan(*(syncs or ()), sample=sample)
    warn_overdue(loaded.overdue())
    if output is Output.JSON:
        _print(output, result.to_dict(), [])
    else:
        plan_text(result)
    if not result.ok:
        raise typer.Exit(3)
    if detailed_exitcode and result.changes:
        raise typer.Exit(2)


@app.command()
def run(
    syncs: SyncsArgument = None,
    project: ProjectOption = HERE,
    target: TargetOption = "dev",
    output: OutputOption = Output.TEXT,
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Plan and gate; send nothing.")
    ] = False,
    full_refresh: Annotated[
        bool, typer.Option("--full-refresh", help="Compare everything, send it again.")
    ] = False,
    limit: Annotated[int | None, typer.Option(min=1, help="Only so many rows.")] = None,
    accept: Annotated[
        list[str] | None, typer.Option(help="removals=N: let a mass change through once.")
    ] = None,
    resend: Annotated[bool, typer.Option("--resend", help="Append in doubt: send again.")] = False,
    skip: Annotated[bool, typer.Option("--skip", help="Append in doubt: take as sent.")] = False,
    wait: WaitOption = None,
) -> None:
    """Deliver what changed, and keep nothing."""
    from mayfly.api import RunRequest, load
    from mayfly.cli.progress import shown_progress, stop_on_interrupt
    from mayfly.cli.render import run_text

    if resend and skip:
        raise typer.BadParameter("--resend and --skip exclude each other.")
    if dry_run and wait:
        raise typer.BadParameter("--dry-run sends nothing that could be waited for.")
    request = RunRequest(
        dry_run=dry_run,
        full_refresh=full_refresh,
        limit=limit,
        accept_removals=_accepted(accept or []),
        in_doubt="resend" if resend else "skip" if skip else None,
        wait=wait or timedelta(),
    )
    with shown_progress() as (report, tell, clear), stop_on_interrupt(request.stop, tell, clear):
        request.progress = report
        request.waiting = lambda syncs, seconds: tell(waiting_line(syncs, seconds))
        loaded = load(project, target=target)
        result = loaded.run(*(syncs or ()), request=request)
    tell_act(loaded)
    if output is Output.JSON:
        _print(output, result.to_dict(), [])
    else:
        run_text(result)
    raise typer.Exit(result.exit_code)


def _accepted(given: list[str]) -> int:
    for item in given:
        name, _, number = item.partition("=")
        if name != "removals" or not number.isdigit():
            raise typer.BadParameter("--accept takes removals=N, N a whole number.")
        return int(number)
    return 0


@app.command()
def status(
    project: ProjectOption = HERE,
    target: TargetOption = "dev",
    output: OutputOption = Output.TEXT,
) -> None:
    """Show the last run of each sync, and what is held."""
    from mayfly.api import load

    loaded = load(project, target=target)
    document = loaded.status()
    lines = [
        f"{s['sync']}: {s['status'] or 'never run'}  {s['last_run'] or ''}".rstrip()
        + next_text(s)
        + pause_text(s)
        for s in document["syncs"]
    ]
    lines += [*away_lines(document["away"]), *pending_lines(document["pending"])]
    lines += [*held_lines(document["held"]), *remains_lines(document["remains"])]
    lines += due_lines(document["erasures"])
    lines += left_behind_lines(document["left_behind"])
    _print(output, document, lines)
    warn_overdue(loaded.overdue())


@app.command()
def runs(
    project: ProjectOption = HERE,
    target: TargetOption = "dev",
    output: OutputOption = Output.TEXT,
    limit: Annotated[int, typer.Option(min=1, help="How many.")] = 20,
) -> None:
    """List past runs: ids, counts, codes."""
    from mayfly.api import load

    document = load(project, target=target).runs(limit)
    if output is Output.TEXT and document["runs"]:
        from mayfly.cli.render import runs_text

        runs_text(document["runs"])
        return
    _print(output, document, ["No run yet."])


@app.command()
def rejected(
    sync: Annotated[str, typer.Argument(help="Name of a sync.")],
    project: ProjectOption = HERE,
    target: TargetOption = "dev",
    output: OutputOption = Output.TEXT,
) -> None:
    """Count rejected and withheld rows by reason, and name the view that shows their keys."""
    from mayfly.api import load

    loaded = load(project, target=target)
    document = loaded.rejected(sync)
    lines = [
        f"{r['rows']}  {r['reason']}  {r['vendor'] or ''}".rstrip() for r in document["reasons"]
    ]
    if lines and document["view"] is None:
        lines.append("Their keys are not shown: a local state knows keyed digests only.")
    elif lines:
        lines.append(
            f"Keys: SELECT * FROM {document['view']} WHERE sync = '{loaded.select([sync])[0].id}' "
            f"AND target = '{target}' (in the warehouse)."
        )
    _print(output, document, lines or ["No rejected row."])


@app.command()
def retry(
    sync: Annotated[str, typer.Argument(help="Name of a sync.")],
    project: ProjectOption = HERE,
    target: TargetOption = "dev",
    output: OutputOption = Output.TEXT,
) -> None:
    """Let rejected rows be tried again by the next run."""
    from mayfly.api import load

    loaded = load(project, target=target)
    document = loaded.retry(sync)
    tell_act(loaded)
    _print(output, document, [f"{document['rows']} rows will be tried again."])


app.command()(access)
app.command("approve")(approve)
app.command()(connect)
app.command("classify")(classify)
app.command("map")(map_)
app.command("test")(try_destination)
app.command()(sweep)
app.command()(purge)
app.command()(uninstall)
app.command()(upgrade)
app.command()(residency)
app.command("network-policy")(network_policy)
add_asking(app)
app.command()(serve)
app.command()(worker)
app.command()(prove)
for command_name, command in WITHOUT_PROJECT.items():
    app.command(command_name)(command)
