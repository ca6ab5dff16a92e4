"""README and docs say what the program does: they fail here when they lag behind it."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from mayfly.bootstrap import CONNECTORS
from mayfly.cli.reference import (
    commands_page,
    connector_pages,
    destinations_page,
    walk_commands,
)
from mayfly.config.load import load_project

ROOT = Path(__file__).parents[3]
DOCS = ROOT / "docs"
PAGES = sorted([ROOT / "README.md", *DOCS.rglob("*.md")])
FORBIDDEN = ("anonymous", "anonymised", "guaranteed", "fully compliant", "impossible")
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.M | re.S)
TERMS = """source, model, primary key, destination, connector, mapping, identifier, sync, sync mode,
run, step, state, gate, guard, suppression, target, change, plan, in doubt, record, batch, request,
outcome, checkpoint, spool, data key, key encryption key, envelope, purge, ledger, retention class,
data subject, controller, processor, sub-processor, region, residency, data category, purpose,
consent, subject request"""


def name_of(page: Path) -> str:
    """Path of a page as a test id."""
    return str(page.relative_to(ROOT))


def prose(page: Path) -> str:
    """A page without its code blocks."""
    return FENCE.sub("", page.read_text(encoding="utf-8"))


def anchors(page: Path) -> set[str]:
    """Anchors of a page's headings, as GitHub forms them."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.M)
    return {re.sub(r"[^\w\- ]", "", h.lower()).strip().replace(" ", "-") for h in headings}


def test_the_page_of_commands_is_what_the_code_gives() -> None:
    """`commands.md` is the generated text; else run `python -m mayfly.cli.reference`."""
    assert (DOCS / "reference/commands.md").read_text(encoding="utf-8") == commands_page()


def test_every_command_and_option_stands_in_the_page() -> None:
    """Each option of each command is in that command's own section."""
    text = (DOCS / "reference/commands.md").read_text(encoding="utf-8")
    sections = dict(re.findall(r"^## (.+)\n((?:(?!^## ).*\n?)*)", text, re.M))
    commands = dict(walk_commands())
    assert set(sections) == set(commands)
    for name, command in commands.items():
        for parameter in command.params:
            if parameter.param_type_name == "option":
                for option in parameter.opts:
                    assert f"`{option}`" in sections[name], f"{name} {option}"


def test_the_page_of_destinations_is_what_the_code_gives() -> None:
    """`destinations.md` is the generated text; else run `python -m mayfly.cli.reference`."""
    assert (DOCS / "reference/destinations.md").read_text(encoding="utf-8") == destinations_page()


def test_the_pages_of_connectors_are_what_the_code_gives() -> None:
    """Regenerate them with `python -m mayfly.cli.reference docs/reference`."""
    folder = DOCS / "reference/destinations"
    made = dict(connector_pages())
    assert {path.name for path in folder.iterdir()} == set(made)
    for name, text in made.items():
        assert (folder / name).read_text(encoding="utf-8") == text, name


@pytest.mark.parametrize("name", [n for n, c in CONNECTORS.items() if c.page is not None])
def test_the_example_of_a_destination_loads(name: str, tmp_path: Path) -> None:
    """As part of a project whose model has the columns that the mapping names."""
    page = CONNECTORS[name].page
    assert page is not None
    example = YAML(typ="safe").load(page.example)
    columns = {c for sync in example["syncs"].values() for c in sync["mapping"].values()}
    classes = {"email": "email", "phone": "phone"}
    declared = {c: {"class": classes[c]} if c in classes else {} for c in {"id", *columns}}
    whole = {
        "version": 1,
        "workspace": {"name": "shop"},
        "sources": {"shop": {"type": "duckdb", "path": "shop.duckdb"}},
        "models": {
            "people": {
                "source": "shop",
                "table": "people",
                "primary_key": ["id"],
                "columns": declared,
                "consent": {"ads": {"column": "ads", "equals": True}},
            }
        },
        **example,
    }
    (tmp_path / "mayfly.yml").write_text(json.dumps(whole), encoding="utf-8")
    project = load_project(tmp_path)
    assert {d.type for d in project.destinations.values()} == {name}
    for sync in project.syncs.values():
        spec = CONNECTORS[name].spec
        assert not spec.fields or all(spec.field(f) is not None for f in sync.mapping)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_resolve(page: Path) -> None:
    """Every relative link leads to a file of the repository, and its anchor to a heading."""
    for link in LINK.findall(prose(page)):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        goal = (page.parent / path).resolve() if path else page
        assert goal.exists(), link
        if anchor:
            assert anchor in anchors(goal), link


def test_every_page_can_be_reached() -> None:
    """From README, over links, each page of the docs is found."""
    seen: set[Path] = set()
    waiting = [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in seen or page.suffix != ".md" or not page.is_file():
            continue
        seen.add(page)
        links = [link.partition("#")[0] for link in LINK.findall(prose(page))]
        waiting += [(page.parent / link).resolve() for link in links if link]
    assert [name_of(p) for p in PAGES if p not in seen] == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_nothing_is_claimed_that_nobody_can_keep(page: Path) -> None:
    """Words that promise too much stand nowhere."""
    text = page.read_text(encoding="utf-8").lower()
    assert [word for word in FORBIDDEN if word in text] == []


def test_the_glossary_has_every_term() -> None:
    """Each term is a heading with a text below it, in alphabetical order."""
    text = (DOCS / "glossary.md").read_text(encoding="utf-8")
    found = re.findall(r"^## (.+)\n\n(?=\w)", text, re.M)
    assert set(re.split(r",\s+", TERMS)) <= set(found)
    assert found == sorted(found)


def shell_lines(page: Path) -> list[str]:
    """Commands in the shell blocks of a page that call mayfly; continued lines joined."""
    text = page.read_text(encoding="utf-8")
    blocks = [body for kind, body in FENCE.findall(text) if kind in ("", "sh", "bash", "console")]
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    return [m[1] for line in lines if (m := re.match(r"(?:\$ )?(mayfly .*)", line.strip()))]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_in_code_blocks_exist(page: Path) -> None:
    """Each `mayfly …` line names a real command and only options that it has."""
    commands = dict(walk_commands())
    for line in shell_lines(page):
        words = shlex.split(line.partition(" <")[0].partition(" | ")[0], comments=True)
        name = next((" ".join(words[:n]) for n in (3, 2) if " ".join(words[:n]) in commands), None)
        assert name is not None or words[1:] == ["--version"], line
        if name is None:
            continue
        known = {o for p in commands[name].params for o in p.opts} | {"--help"}
        used = {w.partition("=")[0] for w in words if w.startswith("--")}
        assert used <= known, line


def test_the_readme_s_commands_are_seen() -> None:
    """The check above reads the README's lines: without them it would hold of anything."""
    assert len(shell_lines(ROOT / "README.md")) >= 5


def test_what_the_readme_says_is_missing_is_missing() -> None:
    """No command of its list is one that exists."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    [missing] = re.findall(r"^Not yet:\n\n((?:- .*\n)+)", text, re.M)
    named = set(re.findall(r"`(mayfly [a-z-]+(?: [a-z-]+)?)`", missing))
    assert missing.count("- ") > 1
    assert named.isdisjoint(name for name, _ in walk_commands())


def test_the_readme_s_project_loads(tmp_path: Path) -> None:
    """The YAML of the README is a project without a fault."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    [block] = re.findall(r"<!-- project -->\n```yaml\n(.*?)```", text, re.S)
    (tmp_path / "mayfly.yml").write_text(block, encoding="utf-8")
    project = load_project(tmp_path, target="dev")
    assert list(project.syncs) == ["newsletter"]


def test_the_readme_names_every_destination() -> None:
    """A connector that exists is in the README's table."""
    from mayfly.bootstrap import SPECS

    text = (ROOT / "README.md").read_text(encoding="utf-8")
    [row] = re.findall(r"^\| Destinations \| (.+) \|$", text, re.M)
    assert [name for name in SPECS if name not in row] == []
