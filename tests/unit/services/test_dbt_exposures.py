"""Syncs as exposures of dbt: what they say, what they never say, and where they are written."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from typer.testing import CliRunner

from dbt_projects import TEXT, Json, write
from mayfly.cli.commands import app
from mayfly.config.load import load_project
from mayfly.domain.errors import ConfigError
from mayfly.services.dbt_exposures import FIRST_LINE, Exposures, exposures_of, write_exposures

MORE = """  ads:
    type: meta_ads
    account_id: "123456"
    access_token: env:META_TOKEN
"""
SECOND = """  a_vip:
    id: vip
    model: customers
    destination: ads
    mode: audience
    audience: VIP
    purpose: ads
    description: "100 %, {{ env_var('SECRET') }} {% raw %} {# c #}"
    mapping: {EMAIL: email}
  other:
    id: other
    model: plain
    destination: crm
    mode: append
    table: other
    mapping: {id: id}
"""
PLAIN = "  plain: {source: shop, table: other, primary_key: [id], columns: {id: {}}}\n"
BOTH = TEXT.replace("syncs:\n", f"{MORE}syncs:\n{SECOND}").replace(
    "destinations:\n", f"{PLAIN}destinations:\n"
)


def made(root: Path, text: str = BOTH) -> Exposures:
    """The exposures of a project."""
    return exposures_of(load_project(write(root, text)))


def parsed(text: str) -> Any:
    """As dbt's reader of YAML has it."""
    return YAML(typ="safe", pure=True).load(text)


def test_each_sync_over_a_model_of_dbt_is_an_exposure(tmp_path: Path) -> None:
    """By name, with what it depends on, who answers for it, and where it goes."""
    found = made(tmp_path)
    assert parsed(found.text()) == {
        "version": 2,
        "exposures": [
            {
                "name": "mayfly_a_vip",
                "label": "Mayfly: a_vip",
                "type": "application",
                "description": "Mayfly sends this to ads (meta_ads), mode audience. "
                "100 %, { { env_var('SECRET') }} { % raw %} { # c #}",
                "owner": {"name": "shop"},
                "depends_on": ["ref('dim_customers', v=2)"],
                "config": {
                    "meta": {
                        "mayfly": {
                            "sync": "vip",
                            "model": "customers",
                            "destination": "ads",
                            "platform": "meta_ads",
                            "kind": "external",
                            "mode": "audience",
                            "purpose": "ads",
                            "columns": ["email"],
                        }
                    }
                },
            },
            {
                "name": "mayfly_to_crm",
                "label": "Mayfly: to_crm",
                "type": "application",
                "description": "Mayfly sends this to crm (sqlite), mode mirror.",
                "owner": {"name": "care"},
                "depends_on": ["ref('dim_customers', v=2)"],
                "config": {
                    "meta": {
                        "mayfly": {
                            "sync": "to_crm",
                            "model": "customers",
                            "destination": "crm",
                            "platform": "sqlite",
                            "kind": "internal",
                            "mode": "mirror",
                            "columns": ["city", "email", "id"],
                        }
                    }
                },
            },
        ],
    }
    assert found.left_out == ("other",)


def test_no_secret_address_or_template_is_in_the_text(tmp_path: Path) -> None:
    """Neither by its value nor by its name."""
    text = made(tmp_path).text()
    for hidden in ("META_TOKEN", "123456", "crm.sqlite", str(tmp_path), "{{", "{%", "{#"):
        assert hidden not in text


def test_the_text_is_the_same_in_any_order_of_the_files(tmp_path: Path) -> None:
    """So that it changes in Git only where something did."""
    first, _, rest = BOTH.partition("syncs:\n")
    own = rest.index("  to_crm:\n")
    turned = f"{first}syncs:\n{rest[own:]}{rest[:own]}"
    assert turned != BOTH
    assert made(tmp_path, turned).text() == made(tmp_path).text()


def test_a_table_that_dbt_keeps_private_is_left_out(tmp_path: Path) -> None:
    """An exposure that refers to it would keep dbt from reading its own project."""
    text = TEXT.replace("ref: dim_customers", "table: analytics.hidden")
    assert made(tmp_path, text).left_out == ("to_crm",)


@pytest.mark.parametrize("name", ["o'clock", "{{ secret }}", 'a"b', "a\\"])
def test_a_name_that_dbt_would_not_read_is_left_out(tmp_path: Path, name: str) -> None:
    """It would end the quotes around it, or be taken for a template."""
    text = TEXT.replace("ref: dim_customers", "table: raw.events")

    def change(manifest: Json) -> None:
        manifest["sources"]["source.shop.raw.events"]["name"] = name

    assert exposures_of(load_project(write(tmp_path, text, change))).left_out == ("to_crm",)


def test_an_owner_may_be_named_for_all(tmp_path: Path) -> None:
    """Beside the manifest."""
    text = BOTH.replace("dbt: {", "dbt: {owner: Data team, ")
    owners = [e["owner"] for e in made(tmp_path, text).exposures]
    assert owners == [{"name": "Data team"}] * 2


def test_a_project_without_dbt_has_none(tmp_path: Path) -> None:
    """It says what to write."""
    text = TEXT.replace("dbt: {manifest: dbt/manifest.json}\n", "").replace("ref:", "table:")
    with pytest.raises(ConfigError, match="dbt_missing") as refused:
        made(tmp_path, text)
    assert "manifest:" in refused.value.hint


def test_a_file_is_written_once(tmp_path: Path) -> None:
    """Again only where it is another."""
    path = tmp_path / "mayfly.yml"
    first = f"{FIRST_LINE}\nversion: 2\n"
    assert write_exposures(path, first)
    assert not write_exposures(path, first)
    assert write_exposures(path, f"{first}exposures: []\n")
    assert path.read_text() == f"{first}exposures: []\n"
    assert os.listdir(tmp_path) == ["mayfly.yml"]


@pytest.mark.parametrize("content", ["models: []\n", ""])
def test_a_file_of_somebody_else_is_left_alone(tmp_path: Path, content: str) -> None:
    """It may hold what dbt needs."""
    path = tmp_path / "schema.yml"
    path.write_text(content)
    with pytest.raises(ConfigError, match="dbt_file_not_ours"):
        write_exposures(path, f"{FIRST_LINE}\n")
    assert path.read_text() == content


def test_a_link_is_not_written_through(tmp_path: Path) -> None:
    """Where it leads is not what was named."""
    (tmp_path / "real.yml").write_text(f"{FIRST_LINE}\n")
    (tmp_path / "link.yml").symlink_to(tmp_path / "real.yml")
    with pytest.raises(ConfigError, match="dbt_file_not_ours"):
        write_exposures(tmp_path / "link.yml", f"{FIRST_LINE}\nversion: 2\n")
    assert (tmp_path / "real.yml").read_text() == f"{FIRST_LINE}\n"


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    """By what to do, and nothing is left behind."""
    with pytest.raises(ConfigError, match="dbt_file_unwritable") as refused:
        write_exposures(tmp_path / "none/mayfly.yml", f"{FIRST_LINE}\n")
    assert "folder must exist" in refused.value.hint


def test_the_command_prints_what_dbt_reads(tmp_path: Path) -> None:
    """On standard output nothing else, and what was left out beside it."""
    text = made(tmp_path).text()
    words = ["dbt", "exposures", "--project", str(tmp_path)]
    printed = CliRunner().invoke(app, words)
    assert (printed.exit_code, printed.stdout) == (0, text)
    assert "left out, over no model of dbt: other" in printed.stderr
    path = tmp_path / "exposures.yml"
    said = [
        CliRunner().invoke(app, [*words, "--write", str(path), *more]).stdout
        for more in ([], [], ["--output", "json"])
    ]
    assert said[:2] == ["wrote: 2 exposures\n", "unchanged: 2 exposures\n"]
    assert path.read_text() == text
    document = json.loads(said[2])
    assert (document["written"], document["left_out"]) == (False, ["other"])
