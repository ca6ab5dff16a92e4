"""One marker for each class of field: none is found anywhere, in any form, whatever happens."""

from __future__ import annotations

import hashlib
import random
import re
import secrets
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path

import duckdb
import pytest

from end_to_end.projects import get, make_project
from killed import Place, digests_found
from mayfly.privacy.scan import scan_bytes
from mayfly.sandbox.app import SandboxApp
from mayfly.sandbox.server import LoopbackServer
from mayfly.services.hash_values import hash_value
from mayfly.services.scan_paths import scan_paths
from unreliable import PEOPLE, Unreliable

# Letters alone survive the rules of names; made anew each time, no source quotes them.
MARK = "".join(secrets.choice("bcdfghjklmnpqrstvwxz") for _ in range(10))
TOKEN = f"token{MARK}"
PHONE_END = f"{secrets.randbelow(10_000):04d}"
AD_ID = str(uuid.uuid4())
# Column: class, field of the platform, field of its rule, and a value that its rule has to change.
CLASSES: Mapping[str, tuple[str, str, str, str]] = {
    "email": ("email", "EMAIL", "email", f"  {MARK.title()}@Example.com "),
    "phone": ("phone", "PHONE", "phone", f"06 39 98 {PHONE_END[:2]} {PHONE_END[2:]}"),
    "ad_id": ("device_id", "MADID", "madid", AD_ID),
    "number": ("opaque_id", "EXTERN_ID", "external_id", f"No-{MARK.upper()}"),
    "first": ("first_name", "FN", "first_name", f" {MARK.title()}-Anne"),
    "last": ("last_name", "LN", "last_name", f"O'{MARK.title()} "),
    "town": ("city", "CT", "city", f"Saint {MARK.title()}"),
    "county": ("region", "ST", "state", f"{MARK.title()} Shire"),
    "postcode": ("postal_code", "ZIP", "zip", f"{MARK[:4]} {MARK[4:8]}".upper()),
}
# Each library says all that it can; retries follow at once.
PROGRAM = """
import logging, sys
from mayfly.cli.entry import main
from mayfly.services import deliver
logging.basicConfig(level=logging.DEBUG)
deliver._wait = lambda state: 0.0
for words in sys.argv[2:]:
    try:
        main([*words.split(), "--project", sys.argv[1]])
    except SystemExit as ended:
        print("ended", words, ended.code)
"""
# Forms without room for a marker: of a closed list, and of a date.
CLOSED = {
    "country": ("country", "COUNTRY", "country", "France"),
    "sex": ("gender", "GEN", "gender", "Female"),
    "born": ("date_of_birth", "DOBY", "dob_year", "1987-06-05"),
}
FIELDS = {**CLASSES, **CLOSED}
TEXT = """
version: 1
workspace: {name: shop}
sources:
  shop: {type: duckdb, path: shop.duckdb}
models:
  people:
    source: shop
    table: people
    primary_key: [id]
    columns: {id: {}, COLUMNS}
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
    mapping: {MAPPING}
"""
COMMANDS = ["plan", "run", "status", "runs", "rejected to_meta", "report retention", "doctor"]


def text() -> str:
    """The project: each column in its class."""
    more = {"phone": ", default_country: FR"}
    columns = [f"{name}: {{class: {f[0]}{more.get(name, '')}}}" for name, f in FIELDS.items()]
    mapping = [f"{f[1]}: {name}" for name, f in FIELDS.items()]
    made = TEXT.replace("COLUMNS", ", ".join(columns))
    return made.replace("MAPPING", ", ".join(mapping))


def normal(name: str) -> str:
    """What is left of a value once its rule was applied."""
    _, _, field, value = FIELDS[name]
    made = hash_value("meta", field, value, {"default_country": "FR"})
    assert made.normalised is not None, name
    return made.normalised


def digests() -> dict[str, str]:
    """In hexadecimal, of each value that is hashed."""
    hashed = FIELDS.keys() - {"ad_id", "number"}
    return {name: hashlib.sha256(normal(name).encode()).hexdigest() for name in hashed}


def known() -> list[str]:
    """Each marker before its rule and after it, and in other letters; the credential."""
    values = [value for *_, value in CLASSES.values()] + [normal(name) for name in CLASSES]
    return sorted({TOKEN, MARK, MARK.upper(), MARK.title(), *(v.strip() for v in values)})


@pytest.fixture
def platform() -> Iterator[tuple[Unreliable, LoopbackServer]]:
    """Away at first; what it says then repeats what it was sent."""
    app = Unreliable(
        app=SandboxApp(tokens=frozenset({TOKEN})),
        chance=random.Random(1),
        said=f"{MARK} {normal('phone')} {TOKEN}",
        away=PEOPLE,
    )
    with LoopbackServer(app) as server:
        yield app, server


@pytest.fixture
def place(tmp_path: Path, platform: tuple[Unreliable, LoopbackServer]) -> Place:
    """One person, with a marker in each column, in the key, and in the name of a column that
    nobody allowed.
    """
    made = Place.below(tmp_path)
    make_project(made.root, platform[1].url, rows=0, text=text())
    columns = ", ".join(f"{name} VARCHAR" for name in FIELDS)
    with duckdb.connect(str(made.root / "shop.duckdb")) as shop:
        shop.execute("DROP TABLE people")
        shop.execute(f"CREATE TABLE people (id VARCHAR, {columns}, ads BOOLEAN, {MARK} VARCHAR)")
        row = [f"K{MARK}", *(value for *_, value in FIELDS.values()), True, MARK]
        shop.execute(f"INSERT INTO people VALUES ({', '.join('?' * len(row))})", row)
    return made


def call(place: Place, *commands: str) -> str:
    """Output of commands in a process of its own, at its most talkative, and their exit codes."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(place.root), *commands],
        env={**place.env, "META_TOKEN": TOKEN},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=True,
    )
    return done.stdout


def found(place: Place, said: str) -> list[object]:
    """Markers where none may be: in files and their names, and in what was said."""
    own = [place.root / ".mayfly", place.root / "approvals.lock", place.home, place.tmp]
    hits: list[object] = [*scan_paths(own, known_values=known(), only_known=True)]
    hits += [hit.encoding for hit in scan_bytes(said.encode(), [v.encode() for v in known()])]
    # What leaves in clear, by approval, is in the plan as it leaves; the customer's own key is the
    # key of the state.
    hashed = [value for value in known() if value != AD_ID]
    shop = scan_paths([place.root / "shop.duckdb"], known_values=hashed, only_known=True)
    hits += [f for f in shop if f.member and not re.match("people|.*/(k0|id)", f.member)]
    return hits


@pytest.mark.slow
def test_no_marker_is_found_anywhere(
    place: Place, platform: tuple[Unreliable, LoopbackServer]
) -> None:
    """While it waits sealed, where a digest is none either; and once it was delivered. That each
    survived its rule shows what the platform was sent.
    """
    unreliable, server = platform
    call(place, "approve --all")
    for away, code in ((PEOPLE, 4), (None, 0)):
        unreliable.away = away
        said = call(place, *COMMANDS)
        assert f"ended run {code}\n" in said, said
        assert found(place, said) == []
        forms = [bytes.fromhex(d) for d in digests().values()]
        assert digests_found(place, forms) == []
        assert not any(digest in said for digest in digests().values())
    bodies = "".join(r["body"] or "" for r in get(f"{server.url}/_sandbox/requests"))
    assert [name for name, digest in digests().items() if digest not in bodies] == []
    assert AD_ID in bodies
    assert normal("number") not in bodies
