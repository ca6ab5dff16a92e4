"""People with marked values who go to a third party, and what a warehouse may hear and say of them.

A story makes a plan, a run that is held, its drain, and plan and run of what changed since; tests
keep all that the warehouse was asked meanwhile, and all that it said.
"""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from end_to_end.holding import come_back, leave
from end_to_end.projects import _no_sleep
from mayfly.adapters.keys.keyring import PURPOSES, FileKeyring
from mayfly.api import Project, load
from mayfly.bootstrap import initialise
from mayfly.sandbox.server import SandboxServer

TO_META = """
models:
  people:
    source: shop
    table: people
    primary_key: [id]
    columns:
      id: {}
      email: {class: email}
      phone: {class: phone, default_country: FR}
      first_name: {class: first_name}
      number: {class: opaque_id}
    consent:
      ads: {column: ads, equals: true, lawful_basis: consent, constant: all agreed}
destinations:
  meta: {type: meta_ads, account_id: "123", access_token: "env:META_TOKEN", endpoint: "URL"}
syncs:
  to_meta:
    id: to_meta
    model: people
    destination: meta
    mode: audience
    audience: People
    on_outage: hold
    purpose: ads
    mapping: {EMAIL: email, PHONE: phone, FN: first_name, EXTERN_ID: number}
"""
PEOPLE = 60
OUTSIDE = "陈静"
"""The name of every twentieth person: SQL may not hash it."""
WITHHELD = 3
"""Every tenth person but every twentieth did not consent."""
CHANGES = (
    "UPDATE people SET email = concat('n', email) WHERE id = 1",
    "UPDATE people SET ads = false WHERE id = 2",
    "DELETE FROM people WHERE id = 3",
)
"""What happens before the last run; no value stands in it. Person 4 is suppressed."""
_LETTERS = "abcdefghij"


def person(number: int) -> tuple[int, str, str, str, str, bool]:
    """Of table `people`: id, email, phone, first name, number, and whether they consented."""
    letters = "".join(_LETTERS[int(digit)] for digit in str(number))
    name = f"Canary{letters}" if number % 20 else OUTSIDE
    consented = number % 10 > 0 or number % 20 == 0
    return (
        number, f"canary-{number}@example.com", f"+3363998{1000 + number}", name,
        f"No-canary-{number}", consented,
    )  # fmt: skip


def people_as_values(true: str = "true", false: str = "false") -> str:
    """All of them as rows of an INSERT."""
    rows = (person(number) for number in range(1, PEOPLE + 1))
    return ", ".join(
        "(" + ", ".join([str(i), *(f"'{t}'" for t in texts), true if ads else false]) + ")"
        for i, *texts, ads in rows
    )


@dataclass(frozen=True)
class Told:
    """What a story's end knows.

    Args:
        keys: all of the workspace.
        outside: how many values outside the repertoire its plans counted. Each is read for the
            plan that only shows, and for the run after it.
    """

    keys: Sequence[bytes]
    outside: int


def play(root: Path, source: str, sandbox: SandboxServer, change: Callable[[], None]) -> Told:
    """The story, with a source called `shop`.

    Args:
        root: of the project, made here.
        source: its settings, as YAML.
        sandbox: to send to.
        change: runs CHANGES.
    """
    head = f"version: 1\nworkspace: {{name: shop}}\nsources:\n  shop: {source}"
    (root / "mayfly.yml").write_text((head + TO_META).replace("URL", sandbox.url))
    initialise(root)
    project = load(root)
    project.app.sleep = _no_sleep
    project.approve(actor="tester")
    first = _outside(project)
    assert first == PEOPLE // 20
    leave(sandbox)
    assert [s["status"] for s in project.run().to_dict()["syncs"]] == ["held"]
    come_back(sandbox)
    [drained] = project.run().to_dict()["syncs"]
    assert (drained["status"], drained["rows"]["delivered"]) == ("succeeded", PEOPLE - WITHHELD)
    change()
    project.suppress("add", [b'{"kind": "email", "value": "canary-4@example.com"}'])
    second = _outside(project)
    [changed] = project.run().to_dict()["syncs"]
    assert (changed["status"], changed["rows"]["delivered"]) == ("succeeded", 1)
    return Told(_keys(project.app.keyring), (first + second) * 2)


def _outside(project: Project) -> int:
    """Values that a plan counts as outside. It leaves all others to the warehouse."""
    [planned] = project.plan().to_dict()["syncs"]
    rules = {c["rule"]: c["where"] for c in planned["columns"]}
    assert {where for rule, where in rules.items() if rule != "pseudonym"} == {"warehouse"}
    return int(planned["rows"]["outside_worker"])


def _keys(ring: FileKeyring) -> Sequence[bytes]:
    """Those that it wraps, and what wraps them."""
    known = [ring.key(purpose) for purpose in PURPOSES]
    known += [ring.key("pseudonym", scope) for purpose, scope in ring._known if scope]
    files = [p.read_bytes() for p in Path(os.environ["MAYFLY_KEYS_DIR"]).rglob("*") if p.is_file()]
    assert any(len(key) >= 32 for key in files)
    return [*known, *files]


def require_statements(asked: bytes, told: Told) -> None:
    """They are those of Mayfly; none holds a value, a digest of one, or a key."""
    assert b"mayfly sync=to_meta" in asked
    require_loads(asked, told)
    for value in (b"canary-1@example.com", b"ncanary-1@example.com", OUTSIDE.encode()):
        for form in _forms(hashlib.sha256(value).digest()):
            assert form not in asked


def require_loads(loaded: bytes, told: Told) -> None:
    """What goes to the warehouse beside statements has no value in clear, and no key."""
    _require_no_value(loaded)
    assert OUTSIDE.encode() not in loaded
    for key in told.keys:
        for form in (key.strip(), *_forms(key)):
            assert form not in loaded


def require_answers(said: bytes, told: Told) -> None:
    """None holds a value but those that plans counted as outside. Digests that go out are there,
    so that all this would be seen.
    """
    _require_no_value(said)
    assert said.count(OUTSIDE.encode()) == told.outside
    assert hashlib.sha256(b"canary-1@example.com").digest() in said
    assert hashlib.sha256(b"ncanary-1@example.com").digest() in said


def _require_no_value(text: bytes) -> None:
    text = text.replace(b"\0", b"")
    for number in range(1, PEOPLE + 1):
        for value in (f"canary-{number}@", f"3363998{1000 + number}", f"No-canary-{number}"):
            assert value.encode() not in text
    assert b"anary" not in text


def _forms(data: bytes) -> tuple[bytes, ...]:
    return (data, data.hex().encode(), data.hex().upper().encode(), base64.b64encode(data))
