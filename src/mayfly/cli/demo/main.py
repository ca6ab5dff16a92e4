"""`mayfly demo`: what a person would do by hand, step by step, on this machine alone."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sys
import tempfile
import urllib.request
from pathlib import Path
from typing import Any

from rich.markup import escape

from mayfly.api import Project, RunResult, load
from mayfly.api.classifying import classify
from mayfly.api.examine import discover_source
from mayfly.bootstrap import initialise
from mayfly.cli.classify import classified_lines, discovered_lines
from mayfly.cli.demo.customers import change_few, change_some, make_warehouse
from mayfly.cli.render import console, plan_text, run_text
from mayfly.config.load import project_schema
from mayfly.domain.errors import ConfigError
from mayfly.ledger.verify import verify_ledger
from mayfly.sandbox.server import DEFAULT_PORT, SandboxServer
from mayfly.services.init_project import write_missing, write_schema
from mayfly.services.scan_paths import scan_paths

SANDBOX_PORT = 8765
TOKEN = "sandbox-token"  # noqa: S105 - the sandbox takes any token; it opens nothing


class _Demo:
    """One showing; each step prints what it does and raises when the promise is not kept."""

    def __init__(self, folder: Path, rows: int) -> None:
        self.folder = folder
        self.rows = rows
        self.console = console()
        self.step_number = 0
        self.failures: list[str] = []

    def step(self, text: str) -> None:
        """A heading."""
        self.step_number += 1
        self.console.print(f"\n[bold cyan]{self.step_number}. {text}[/bold cyan]")

    def say(self, text: str) -> None:
        """One line."""
        self.console.print(f"   {text}")

    def expect(self, kept: bool, text: str) -> None:
        """A promise, kept or not."""
        mark = "[green]✓[/green]" if kept else "[red]✗[/red]"
        self.console.print(f"   {mark} {text}")
        if not kept:
            self.failures.append(text)

    def run(self) -> int:
        """All steps; exit code 0 where every promise was kept."""
        self.prepare()
        with SandboxServer(port=DEFAULT_PORT) as sandbox:
            self.point_at(sandbox.url)
            self.discover()
            self.classify()
            project = self.open()
            self.first_run(project)
            self.second_run(project)
            self.outage(project, sandbox.url)
            bodies = self.bodies(sandbox.url)
        self.verify()
        self.scan(bodies)
        self.goodbye()
        return 1 if self.failures else 0

    def prepare(self) -> None:
        """A warehouse and project files."""
        self.step(f"A warehouse with {self.rows:,} synthetic customers, and a project")
        self.folder.mkdir(parents=True, exist_ok=True)
        if (self.folder / ".mayfly" / "store.sqlite").exists():
            raise ConfigError(
                "demo_exists",
                f"{self.folder} holds a project already.",
                hint="Choose another folder: `mayfly demo NEW_FOLDER`, or remove that one.",
            )
        make_warehouse(self.folder / "shop.duckdb", self.rows)
        for name in write_missing(self.folder, template="demo"):
            self.say(f"wrote {name}")
        made = initialise(self.folder)
        write_schema(self.folder, project_schema())
        self.say(f"made {', '.join(made)}")
        os.environ.setdefault("META_TOKEN", TOKEN)

    def point_at(self, url: str) -> None:
        """Another port than the usual one stands in the project file by its address."""
        if not url.endswith(f":{SANDBOX_PORT}"):
            path = self.folder / "mayfly.yml"
            text = path.read_text(encoding="utf-8")
            path.write_text(text.replace("endpoint: sandbox", f'endpoint: "{url}"'), "utf-8")

    def discover(self) -> None:
        """Names and types, and what they suggest."""
        self.step("Discovery: names and types only; what no model names is blocked")
        tables = discover_source(self.folder, "shop", target="dev")["tables"]
        for line in discovered_lines(tables):
            self.say(escape(line))
        states = {c["name"]: c["state"] for t in tables for c in t["columns"]}
        self.expect("approved" not in states.values(), "nothing may leave yet")

    def classify(self) -> None:
        """What stands in the columns."""
        self.step("Classification: counted by the warehouse, and only counts come out")
        found = classify(["shop.customers"], root=self.folder, target="dev")["tables"]
        for line in classified_lines(found):
            self.say(escape(line))
        kinds = {column: verdict["class"] for column, verdict in found["shop.customers"].items()}
        self.expect(
            (kinds["email"], kinds["phone"]) == ("email", "phone"),
            "e-mails and phones are known by their form",
        )

    def open(self) -> Project:
        """The project, planned and approved."""
        project = load(self.folder)
        self.step("The plan, like a bill (nothing is approved yet, so both syncs are refused)")
        plan_text(project.plan())
        self.step("Approval by the only member")
        approved = project.approve()
        for entry in approved["approved"]:
            self.say(f"approved {entry['sync']} by {entry['actor']} (self-approved)")
        plan = project.plan()
        self.say("With the approval rows are counted:")
        plan_text(plan)
        self.expect(plan.ok, "the plan is no longer refused")
        return project

    def first_run(self, project: Project) -> None:
        """Everything goes."""
        self.step("First run: hashed in the warehouse, delivered, dropped")
        result = project.run()
        run_text(result)
        self.expect(_good(result), "both syncs delivered")

    def second_run(self, project: Project) -> None:
        """Only what changed goes."""
        changed, withdrawn = change_some(self.folder / "shop.duckdb")
        self.step(
            f"{changed:,} customers change, {withdrawn:,} withdraw their consent to ads; run again"
        )
        result = project.run()
        run_text(result)
        rows = {s.sync: s.to_dict()["rows"] for s in result.syncs}
        self.expect(_good(result), "both syncs delivered")
        self.expect(
            0 < rows["vip_to_meta"]["planned"] < self.rows // 10, "only changes and removals went"
        )
        self.expect(rows["vip_to_meta"]["removed"] > 0, "withdrawn people were taken out again")

    def outage(self, project: Project, url: str) -> None:
        """The platform breaks and comes back."""
        changed = change_few(self.folder / "shop.duckdb")
        self.step(f"{changed:,} more change, and the platform answers 503 three times")
        _post(f"{url}/_sandbox/faults", {"path": "/*/users", "kind": "503", "count": 3})
        result = project.run("vip_to_meta")
        run_text(result)
        self.expect(_good(result), "the run waited, tried again, and got through")

    def bodies(self, url: str) -> bytes:
        """Everything the platform received."""
        with urllib.request.urlopen(f"{url}/_sandbox/requests", timeout=60) as reply:  # noqa: S310 - loopback
            return bytes(reply.read())

    def verify(self) -> None:
        """The ledger, offline."""
        self.step("The ledger, verified without project, database or network")
        ledger = self.folder / ".mayfly" / "ledger"
        report = verify_ledger(ledger, ledger / "key.pub", [ledger / "checkpoint"]).to_dict()
        self.say(
            f"{report['entries']} entries, {report['unpaired']} unpaired, "
            f"{report['overdue']} overdue, {report['inconsistent']} inconsistent"
        )
        self.expect(bool(report["ok"]), "every working copy that was made was dropped")

    def scan(self, bodies: bytes) -> None:
        """Nothing in what Mayfly wrote, nothing in what left; something where it must be."""
        self.step("A scan for e-mails, phones, cards and accounts, in every encoding")
        ours = [self.folder / ".mayfly", self.folder / "approvals.lock"]
        self.expect(not scan_paths(ours), "nothing in what Mayfly itself wrote")
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "bodies.json"
            file.write_bytes(bodies)
            self.expect(
                not scan_paths([file]), f"nothing in the {len(bodies):,} bytes the platform got"
            )
        found = scan_paths([self.folder / "shop.duckdb"])
        self.expect(bool(found), "the warehouse itself is found, so the scan works")

    def goodbye(self) -> None:
        """What to do next."""
        self.console.print(
            f"\nThe project is in [bold]{self.folder}[/bold]. To go on with it, first the sandbox, "
            "in another window; it keeps nothing on disk, so the next plan finds its audience gone "
            "and the next run fills a new one:\n"
        )
        command = _command()
        lines = [
            f"{command} sandbox",
            "",
            f"export META_TOKEN={TOKEN}",
            f"cd {shlex.quote(str(self.folder))}",
            f"{command} plan",
            f"{command} run",
        ]
        for line in lines:
            self.console.print(f"   {line}" if line else "", soft_wrap=True, highlight=False)
        self.console.print(
            "\nEdit its files as you like: what would change what leaves waits for "
            "`mayfly approve`."
        )
        if self.failures:
            self.console.print(f"\n[red]{len(self.failures)} promises were not kept.[/red]")


def _command() -> str:
    """How to call Mayfly from any folder: by name where a shell finds this one, else by path."""
    own = Path(sys.argv[0]).absolute()
    found = shutil.which("mayfly")
    same = found is not None and own.exists() and Path(found).samefile(own)
    return "mayfly" if same or not own.exists() else shlex.quote(str(own))


def _good(result: RunResult) -> bool:
    return all(s.status in ("succeeded", "no_changes") for s in result.syncs)


def _post(url: str, body: dict[str, Any]) -> None:
    request = urllib.request.Request(  # noqa: S310 - loopback
        url, json.dumps(body).encode(), {"content-type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=10) as reply:  # noqa: S310 - loopback
        reply.read()


def run_demo(folder: Path, rows: int) -> int:
    """Show the main job in a folder; 0 where every promise was kept."""
    return _Demo(folder, rows).run()
