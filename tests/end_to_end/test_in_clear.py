"""What leaves a third party's way in clear is approved and printed."""

from __future__ import annotations

from pathlib import Path

import duckdb
from typer.testing import CliRunner

from end_to_end.projects import FILES, approved, make_project
from mayfly.cli.commands import app
from mayfly.sandbox.server import SandboxServer

WITH_AD_ID = FILES.replace("city: {}}", "city: {}, ad_id: {class: device_id}}").replace(
    "{EMAIL: email, PHONE: phone}", "{EMAIL: email, MADID: ad_id}"
)


def output(root: Path, *command: str) -> tuple[int, str]:
    """Exit code and text."""
    done = CliRunner().invoke(app, [*command, "--project", str(root)])
    return done.exit_code, done.output


def test_a_field_in_clear_is_named_in_the_plan_and_in_the_approval(
    tmp_path: Path, sandbox: SandboxServer
) -> None:
    """Mapped later, it waits for an approval of its own. What goes to our own is not named."""
    root = make_project(tmp_path, sandbox.url, rows=3, text=FILES)
    with duckdb.connect(str(root / "shop.duckdb")) as connection:
        connection.execute("ALTER TABLE people ADD COLUMN ad_id VARCHAR")
        connection.execute("UPDATE people SET ad_id = '0a1b2c3d-0000-4000-8000-00000000000' || id")
    approved(root)
    assert "in clear" not in output(root, "plan")[1]
    (root / "mayfly.yml").write_text(WITH_AD_ID.replace("URL", sandbox.url), encoding="utf-8")
    code, text = output(root, "run", "to_meta")
    assert code == 3
    assert "column MADID added" in text
    assert "[approval_changed]" in text
    code, text = output(root, "plan", "to_meta")
    assert "in clear to a third party: MADID" in text
    code, text = output(root, "approve", "to_meta")
    assert "shop.people.ad_id" in text
    assert output(root, "approve", "to_meta", "--all")[0] == 0
    assert output(root, "run", "to_meta")[0] == 0
